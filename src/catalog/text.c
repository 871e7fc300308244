/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/catalog_internal.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"

/* Bytes of the character that begins here, or 0 when there is none (RFC 3629: no surrogates, no long
 * forms). */
static size_t utf8_length(const unsigned char *at, size_t left)
{
	size_t length = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

	if (length == 0 || length > left || at[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return length;
}

bool pa_catalog_is_utf8(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes;) {
		size_t length = utf8_length((const unsigned char *)text + i, bytes - i);
		if (length == 0)
			return false;
		i += length;
	}
	return true;
}

/* Names of query values that let in whoever holds them: signed URLs of the object stores, tokens. */
static bool is_secret_name(const char *name, size_t bytes)
{
	static const char *const words[] = {"sig", "token", "secret", "passw", "credential", "key", "auth"};
	char lower[64];

	if (bytes >= sizeof(lower))
		bytes = sizeof(lower) - 1;
	for (size_t i = 0; i < bytes; i++)
		lower[i] = (char)tolower((unsigned char)name[i]);
	lower[bytes] = '\0';
	for (size_t i = 0; i < PA_ARRAY_LENGTH(words); i++)
		if (strstr(lower, words[i]) != NULL)
			return true;
	return false;
}

/* The user information of an authority.  A bucket or a container may stand before an '@' as well
 * (abfss://container@account): a name alone goes only where it can be a token. */
static const char *copy_authority(struct pa_buffer *out, const char *text, const char *start)
{
	size_t length = strcspn(start, "/?#");
	const char *at = memrchr(start, '@', length);

	pa_buffer_append(out, text, (size_t)(start - text));
	if (at == NULL)
		return start;
	const char *colon = memchr(start, ':', (size_t)(at - start));
	const char *scheme = strncmp(text, "uri:", 4) == 0 ? text + 4 : text;
	bool web = strncmp(scheme, "http", 4) == 0 || strncmp(scheme, "git", 3) == 0;
	if (web)
		return at + 1;
	if (colon == NULL)
		return start;
	pa_buffer_append(out, start, (size_t)(colon - start));
	return at;
}

static void copy_query(struct pa_buffer *out, const char *query)
{
	while (*query != '\0') {
		size_t pair = strcspn(query + 1, "&#") + 1;
		const char *equals = memchr(query, '=', pair);
		if (equals != NULL && is_secret_name(query + 1, (size_t)(equals - query - 1))) {
			pa_buffer_append(out, query, (size_t)(equals - query + 1));
			pa_buffer_puts(out, "***");
		} else {
			pa_buffer_append(out, query, pair);
		}
		query += pair;
	}
}

const char *pa_catalog_redact(const char *text, char **ret_copy)
{
	const char *authority = strstr(text, "://");

	if (authority == NULL || strpbrk(authority, "@?") == NULL)
		return text;
	struct pa_buffer out;
	pa_buffer_init(&out, PA_CATALOG_VALUE_BYTES + 4096);
	const char *rest = copy_authority(&out, text, authority + 3);
	size_t path = strcspn(rest, "?");
	pa_buffer_append(&out, rest, path);
	copy_query(&out, rest + path);
	*ret_copy = pa_buffer_take(&out);
	return *ret_copy;
}

static void put_hex(struct pa_buffer *out, const unsigned char *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		pa_buffer_printf(out, "%02x", data[i]);
}

void pa_catalog_put_json_string(struct pa_buffer *out, const char *text, size_t bytes)
{
	pa_buffer_puts(out, "\"");
	for (size_t i = 0; i < bytes; i++) {
		unsigned char byte = (unsigned char)text[i];
		if (byte == '"' || byte == '\\')
			pa_buffer_printf(out, "\\%c", byte);
		else if (byte < 0x20 || byte == 0x7f)
			pa_buffer_printf(out, "\\u%04x", byte);
		else
			pa_buffer_append(out, text + i, 1);
	}
	pa_buffer_puts(out, "\"");
}

/* The shortest of 15 and 17 digits that reads back as the same number. */
static void put_real(struct pa_buffer *out, double value)
{
	char text[40];

	snprintf(text, sizeof(text), "%.15g", value);
	if (strtod(text, NULL) != value)
		snprintf(text, sizeof(text), "%.17g", value);
	pa_buffer_puts(out, text);
}

void pa_catalog_put_json(struct pa_buffer *out, sqlite3_stmt *statement, int column)
{
	int type = sqlite3_column_type(statement, column);
	const char *data =
	    type == SQLITE_TEXT || type == SQLITE_BLOB ? sqlite3_column_blob(statement, column) : NULL;
	size_t bytes = data == NULL ? 0 : (size_t)sqlite3_column_bytes(statement, column);

	if (type == SQLITE_INTEGER) {
		pa_buffer_printf(out, "%lld", (long long)sqlite3_column_int64(statement, column));
	} else if (type == SQLITE_FLOAT && isfinite(sqlite3_column_double(statement, column))) {
		put_real(out, sqlite3_column_double(statement, column));
	} else if (type == SQLITE_TEXT && pa_catalog_is_utf8(data, bytes)) {
		pa_catalog_put_json_string(out, data, bytes);
	} else if (type == SQLITE_TEXT || type == SQLITE_BLOB) {
		pa_buffer_puts(out, "{\"hex\": \"");
		put_hex(out, (const unsigned char *)data, bytes);
		pa_buffer_puts(out, "\"}");
	} else {
		pa_buffer_puts(out, "null");
	}
}

static void put_cell_text(struct pa_buffer *out, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		unsigned char byte = (unsigned char)text[i];
		/* U+0080 to U+009F drive terminals as well. */
		bool c1 = byte == 0xc2 && (unsigned char)text[i + 1] < 0xa0;
		if (byte == '\n')
			pa_buffer_puts(out, "\\n");
		else if (byte == '\t')
			pa_buffer_puts(out, "\\t");
		else if (byte < 0x20 || byte == 0x7f)
			pa_buffer_printf(out, "\\x%02x", byte);
		else if (c1)
			pa_buffer_printf(out, "\\x%02x", (unsigned char)text[++i]);
		else
			pa_buffer_append(out, text + i, 1);
	}
}

void pa_catalog_put_cell(struct pa_buffer *out, sqlite3_stmt *statement, int column)
{
	int type = sqlite3_column_type(statement, column);
	const char *data =
	    type == SQLITE_TEXT || type == SQLITE_BLOB ? sqlite3_column_blob(statement, column) : NULL;
	size_t bytes = data == NULL ? 0 : (size_t)sqlite3_column_bytes(statement, column);

	if (type == SQLITE_TEXT && pa_catalog_is_utf8(data, bytes)) {
		put_cell_text(out, data, bytes);
	} else if (type == SQLITE_TEXT || type == SQLITE_BLOB) {
		pa_buffer_puts(out, "X'");
		put_hex(out, (const unsigned char *)data, bytes);
		pa_buffer_puts(out, "'");
	} else if (type == SQLITE_FLOAT) {
		put_real(out, sqlite3_column_double(statement, column));
	} else if (type == SQLITE_INTEGER) {
		pa_buffer_printf(out, "%lld", (long long)sqlite3_column_int64(statement, column));
	} else {
		pa_buffer_puts(out, "NULL");
	}
}
