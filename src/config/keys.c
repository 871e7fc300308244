/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/units.h"

#define LONGEST_KEY 32

int pa_config_at(const struct pa_node *node, const char *what, struct pa_error *err)
{
	return pa_error_wrap(err, "%s:%u:%u: %s", node->file, node->line, node->column, what);
}

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* How many letters to change, add or take away to make one word of the other (Levenshtein). */
static size_t edit_distance(const char *from, const char *to)
{
	size_t from_length = strlen(from), to_length = strlen(to);
	size_t row[LONGEST_KEY + 1];

	if (from_length > LONGEST_KEY || to_length > LONGEST_KEY)
		return SIZE_MAX;
	for (size_t j = 0; j <= to_length; j++)
		row[j] = j;
	for (size_t i = 1; i <= from_length; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= to_length; j++) {
			size_t above = row[j];
			row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (from[i - 1] != to[j - 1]));
			diagonal = above;
		}
	}
	return row[to_length];
}

static int refuse_key(const struct pa_node *key, const char *what, const struct pa_config_key *keys,
                      struct pa_error *err)
{
	const char *nearest = NULL;
	size_t least = SIZE_MAX;
	char known[256] = "";

	for (size_t i = 0; keys[i].name != NULL; i++) {
		size_t distance = edit_distance(key->text, keys[i].name);
		size_t length = strlen(known);
		snprintf(known + length, sizeof(known) - length, "%s%s", i == 0 ? "" : ", ", keys[i].name);
		if (distance < least) {
			least = distance;
			nearest = keys[i].name;
		}
	}
	/* A third of the letters wrong is a slip; more is another word. */
	if (nearest != NULL && least <= (strlen(nearest) + 2) / 3)
		return pa_node_error(key, err, "unknown key \"%.60s\" in %s; did you mean \"%s\"?", key->text,
		                     what, nearest);
	return pa_node_error(key, err, "unknown key \"%.60s\" in %s; known are: %s", key->text, what, known);
}

int pa_config_read_section(struct pa_config_reader *reader, const struct pa_node *section, const char *what,
                           const struct pa_config_key *keys, void *target)
{
	if (!pa_node_is_mapping(section))
		return pa_node_error(section, reader->err, "%s must be a mapping, \"key: value\"", what);
	for (uint32_t i = 0; i < section->count; i++) {
		const struct pa_node_entry *entry = &section->entries[i];
		const struct pa_config_key *key = keys;
		while (key->name != NULL && strcmp(key->name, entry->key->text) != 0)
			key++;
		if (key->name == NULL)
			return refuse_key(entry->key, what, keys, reader->err);
		int result = key->read(reader, entry->value, target);
		if (result < 0)
			return result;
	}
	return 0;
}

int pa_config_text(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                   const char **ret)
{
	const char *text = pa_node_text(value);

	if (text == NULL || text[0] == '\0')
		return pa_node_error(value, reader->err, "%s must be a text", what);
	*ret = text;
	return 0;
}

int pa_config_boolean(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                      bool *ret)
{
	const char *text = NULL;
	int result = pa_config_text(reader, value, what, &text);

	if (result < 0)
		return result;
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return pa_node_error(value, reader->err, "%s must be true or false, not \"%.60s\"", what,
		                     text);
	*ret = text[0] == 't';
	return 0;
}

int pa_config_integer(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                      uint32_t max, uint32_t *ret)
{
	const char *text = NULL;
	int result = pa_config_text(reader, value, what, &text);

	if (result < 0)
		return result;
	/* Nine digits fit; more are larger than any limit here. */
	size_t digits = strspn(text, "0123456789");
	unsigned long number = digits <= 9 ? strtoul(text, NULL, 10) : max + 1UL;
	if (text[digits] != '\0' || number == 0 || number > max)
		return pa_node_error(value, reader->err,
		                     "%s must be a whole number from 1 to %u, not \"%.60s\"", what, max,
		                     text);
	*ret = (uint32_t)number;
	return 0;
}

int pa_config_bytes(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                    uint64_t *ret)
{
	const char *text = NULL;
	int result = pa_config_text(reader, value, what, &text);

	if (result < 0)
		return result;
	if (pa_units_parse_bytes(text, ret, reader->err) < 0)
		return pa_config_at(value, what, reader->err);
	if (*ret == 0)
		return pa_node_error(value, reader->err,
		                     "%s is a quota, and a quota of zero holds nothing; give at "
		                     "least 1MiB, or leave the key out for the default",
		                     what);
	return 0;
}

int pa_config_duration(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                       int64_t *ret)
{
	const char *text = NULL;
	int result = pa_config_text(reader, value, what, &text);

	if (result < 0)
		return result;
	if (pa_units_parse_duration(text, ret, reader->err) < 0)
		return pa_config_at(value, what, reader->err);
	return 0;
}

int pa_config_words(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                    uint32_t max, const char ***ret, size_t *ret_count)
{
	if (!pa_node_is_sequence(value))
		return pa_node_error(value, reader->err, "%s must be a list, [a, b, …]", what);
	if (value->count > max)
		return pa_node_error(value, reader->err, "%s has %u items; the limit is %u", what,
		                     value->count, max);
	const char **words = pa_arena_array(reader->arena, value->count, sizeof(*words));
	for (uint32_t i = 0; i < value->count; i++) {
		const struct pa_node *item = value->items[i];
		/* An empty word is one when it is quoted; null is none. */
		if (item->kind != PA_NODE_SCALAR || pa_node_text(item) == NULL)
			return pa_node_error(item, reader->err, "%s: each item must be a text", what);
		words[i] = item->text;
	}
	*ret = words;
	*ret_count = value->count;
	return 0;
}

int pa_config_path(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                   const char **ret)
{
	const char *text = NULL;
	int result = pa_config_text(reader, value, what, &text);

	if (result < 0)
		return result;
	*ret =
	    text[0] == '/' ? text : pa_arena_printf(reader->arena, "%s/%s", reader->config->directory, text);
	return 0;
}
