/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ignite/codec.h"

#define FLAG_FAILED       1
#define FLAG_TOPOLOGY     2
#define FLAG_NOTIFICATION 4

static int bad_answer(struct pa_error *err, const char *what)
{
	return pa_error_set(err, PA_ERROR_PERMANENT, "the server's answer makes no sense: %s", what);
}

int ignite_decode_head(const void *data, size_t bytes, size_t max_frame_bytes, struct ignite_head *ret,
                       struct pa_error *err)
{
	struct ignite_reader reader = ignite_reader(data, bytes);
	struct ignite_head head = {0};
	int32_t length = ignite_read_i32(&reader);

	if (reader.bad)
		return 0;
	if (length < 10 || (size_t)length > max_frame_bytes)
		return pa_error_set(
		    err, PA_ERROR_PERMANENT,
		    "a frame of %d bytes, where 10 to %zu can be; is this the thin client port of "
		    "an Ignite node, and is TLS on or off on both sides?",
		    length, max_frame_bytes);
	head.id = ignite_read_i64(&reader);
	int16_t flags = ignite_read_i16(&reader);
	if (reader.bad)
		return 0;
	head.failed = (flags & FLAG_FAILED) != 0;
	head.has_topology = (flags & FLAG_TOPOLOGY) != 0;
	head.notification = (flags & FLAG_NOTIFICATION) != 0;
	head.frame_bytes = (size_t)length;
	head.head_bytes = 14 + (head.has_topology ? 12u : 0) + (head.notification ? 2u : 0);
	if ((flags & ~(FLAG_FAILED | FLAG_TOPOLOGY | FLAG_NOTIFICATION)) != 0)
		return bad_answer(err, "unknown flags");
	if (head.head_bytes > head.frame_bytes + 4)
		return bad_answer(err, "a frame shorter than its own head");
	if (head.has_topology) {
		head.topology_version = ignite_read_i64(&reader);
		head.topology_minor = ignite_read_i32(&reader);
	}
	if (head.notification)
		ignite_read_i16(&reader);
	if (reader.bad)
		return 0;
	*ret = head;
	return 1;
}

int ignite_decode_value_head(const void *data, size_t bytes, size_t body_bytes, bool *ret_absent,
                             size_t *ret_value_bytes, size_t *ret_value_at, struct pa_error *err)
{
	struct ignite_reader reader = ignite_reader(data, bytes < body_bytes ? bytes : body_bytes);
	uint8_t type = ignite_read_u8(&reader);

	if (reader.bad)
		return body_bytes == 0 ? bad_answer(err, "no value at all") : 0;
	*ret_absent = type == 101;
	*ret_value_bytes = 0;
	*ret_value_at = 1;
	if (type == 101)
		return body_bytes == 1 ? 1 : bad_answer(err, "bytes behind a null");
	if (type != 12)
		return pa_error_set(err, PA_ERROR_PERMANENT,
		                    "the value is no byte[] (type code %d); somebody else wrote it", type);
	int32_t length = ignite_read_i32(&reader);
	if (reader.bad)
		return body_bytes < IGNITE_VALUE_HEAD_BYTES ? bad_answer(err, "a value cut short") : 0;
	if (length < 0 || (size_t)length != body_bytes - IGNITE_VALUE_HEAD_BYTES)
		return bad_answer(err, "a value whose length is not that of its frame");
	*ret_value_bytes = (size_t)length;
	*ret_value_at = IGNITE_VALUE_HEAD_BYTES;
	return 1;
}

static bool has_any(const char *message, size_t bytes, const char *const *words)
{
	for (; *words != NULL; words++)
		if (memmem(message, bytes, *words, strlen(*words)) != NULL)
			return true;
	return false;
}

/* Status 1 says no more than "failed"; what Java threw stands in the text, and its cause in the stack
 * trace behind it, if the server sends that. */
static enum pa_error_class failed_class(const char *message, size_t bytes)
{
	static const char *const full[] = {"IgniteOutOfMemory", "Out of memory in data region",
	                                   "out of memory", NULL};
	static const char *const passing[] = {"retry update if possible",
	                                      "ClusterTopology",
	                                      "topology",
	                                      "cluster is not active",
	                                      "cluster is inactive",
	                                      "cluster is in read-only mode",
	                                      "Grid is in invalid state",
	                                      "grid is stopping",
	                                      "node is stopping",
	                                      "Node is stopping",
	                                      "Failed to map keys",
	                                      "Failed to find",
	                                      "Failed to acquire lock",
	                                      "timed out",
	                                      "partition data has been lost",
	                                      "all partition owners have left",
	                                      NULL};

	if (has_any(message, bytes, full))
		return PA_ERROR_NO_SPACE;
	return has_any(message, bytes, passing) ? PA_ERROR_TRANSIENT : PA_ERROR_PERMANENT;
}

enum pa_error_class ignite_status_class(int status, const char *message, size_t bytes)
{
	switch (status) {
	case 1:
		return failed_class(message, bytes);
	case 10:   /* invalid node state */
	case 11:   /* node in recovery mode */
	case 1010: /* too many cursors */
		return PA_ERROR_TRANSIENT;
	case 1000: /* no such cache */
	case 1011: /* no such resource */
		return PA_ERROR_NOT_FOUND;
	default:
		return PA_ERROR_PERMANENT;
	}
}

/* A server's text for people: one line, control characters and Java's stack out. */
static void clean_text(char *out, size_t room, const char *text, size_t bytes)
{
	const char *stack = bytes == 0 ? NULL : memmem(text, bytes, "\n\tat ", 5);
	size_t length = 0;

	if (stack != NULL)
		bytes = (size_t)(stack - text);
	for (size_t i = 0; i < bytes && length + 1 < room; i++) {
		bool control = (unsigned char)text[i] < 0x20 || text[i] == 0x7f;
		if (control && (length == 0 || out[length - 1] == ' '))
			continue;
		out[length++] = control ? ' ' : text[i];
	}
	out[length] = '\0';
}

int ignite_decode_failure(const void *data, size_t bytes, int *ret_status, struct pa_error *err)
{
	struct ignite_reader reader = ignite_reader(data, bytes);
	char text[600];
	const char *message;
	size_t length;
	int status = ignite_read_i32(&reader);

	ignite_read_string(&reader, &message, &length);
	if (reader.bad || status == 0)
		return bad_answer(err, "a failure without status or message");
	message = message == NULL ? "" : message;
	clean_text(text, sizeof(text), message, length);
	*ret_status = status;
	return pa_error_set(err, ignite_status_class(status, message, length), "%s (Ignite status %d)",
	                    text[0] == '\0' ? "failed" : text, status);
}

static int decode_refusal(struct ignite_reader *reader, struct ignite_handshake *ret, struct pa_error *err)
{
	char text[600];
	const char *message;
	size_t length;

	ret->server_version.major = ignite_read_i16(reader);
	ret->server_version.minor = ignite_read_i16(reader);
	ret->server_version.patch = ignite_read_i16(reader);
	ignite_read_string(reader, &message, &length);
	if (reader->bad)
		return bad_answer(err, "a handshake cut short");
	/* Servers before 1.1 send no status. */
	ret->status = ignite_reader_left(reader) >= 4 ? ignite_read_i32(reader) : 1;
	clean_text(text, sizeof(text), message == NULL ? "" : message, length);
	pa_error_set(err,
	             ret->status == 1 || ret->status == 2000
	                 ? PA_ERROR_PERMANENT
	                 : ignite_status_class(ret->status, text, strlen(text)),
	             "the server refuses the connection: %s (Ignite status %d)", text, ret->status);
	return 0;
}

int ignite_decode_handshake(const void *data, size_t bytes, struct ignite_version version,
                            struct ignite_handshake *ret, struct pa_error *err)
{
	struct ignite_reader reader = ignite_reader(data, bytes);
	uint8_t accepted = ignite_read_u8(&reader);

	*ret = (struct ignite_handshake){.accepted = accepted == 1};
	if (reader.bad || accepted > 1)
		return bad_answer(err, "no handshake");
	if (accepted == 0)
		return decode_refusal(&reader, ret, err);
	if (version.minor >= 7) {
		if (ignite_read_u8(&reader) != 12)
			return bad_answer(err, "a handshake without features");
		size_t count = ignite_read_count(&reader, 1);
		const uint8_t *features = ignite_read_bytes(&reader, count);
		for (size_t i = 0; features != NULL && i < count && i < 4; i++)
			ret->features |= (uint32_t)features[i] << (8 * i);
	}
	if (ignite_read_u8(&reader) != 10 && !reader.bad)
		return bad_answer(err, "a handshake without a node's id");
	ret->node = ignite_read_uuid(&reader);
	return reader.bad ? bad_answer(err, "a handshake cut short") : 0;
}

struct sorted_entry {
	const struct pa_ignite_key *key;
	struct pa_ignite_entry *entry;
};

static int compare_entries(const void *left, const void *right)
{
	const struct sorted_entry *a = left;
	const struct sorted_entry *b = right;

	return ignite_key_compare(a->key, b->key);
}

/* All entries of this key (the caller may have asked twice) get the value. */
static bool hand_out(struct sorted_entry *sorted, size_t count, const struct pa_ignite_scan_entry *value)
{
	struct sorted_entry wanted = {.key = &value->key};
	struct sorted_entry *hit = bsearch(&wanted, sorted, count, sizeof(*sorted), compare_entries);

	if (hit == NULL)
		return false;
	while (hit > sorted && compare_entries(hit - 1, &wanted) == 0)
		hit--;
	for (; hit < sorted + count && compare_entries(hit, &wanted) == 0; hit++) {
		hit->entry->found = true;
		hit->entry->value_bytes = value->value_bytes;
		if (value->value_bytes > 0 && value->value_bytes <= hit->entry->room)
			memcpy(hit->entry->value, value->value, value->value_bytes);
	}
	return true;
}

static int decode_entries(struct pa_ignite_request *request, struct ignite_reader *reader,
                          struct pa_error *err)
{
	size_t count = ignite_read_count(reader, 2);
	PA_AUTO_FREE struct sorted_entry *sorted = calloc(request->entry_count + 1, sizeof(*sorted));

	if (sorted == NULL)
		return pa_error_set(err, PA_ERROR_NO_SPACE, "no memory for %zu keys", request->entry_count);
	for (size_t i = 0; i < request->entry_count; i++) {
		request->entries[i].found = false;
		request->entries[i].value_bytes = 0;
		sorted[i] =
		    (struct sorted_entry){.key = &request->entries[i].key, .entry = &request->entries[i]};
	}
	qsort(sorted, request->entry_count, sizeof(*sorted), compare_entries);
	for (size_t i = 0; i < count; i++) {
		struct pa_ignite_scan_entry value = {0};
		if (ignite_decode_key(reader, &value.key) < 0 || ignite_decode_value(reader, &value) < 0)
			return bad_answer(err, "entries cut short");
		if (value.value_type == 101)
			continue;
		if (value.value_type != 12)
			return pa_error_set(err, PA_ERROR_PERMANENT,
			                    "a value is no byte[] (type code %d); somebody else wrote it",
			                    value.value_type);
		if (!hand_out(sorted, request->entry_count, &value))
			return bad_answer(err, "a key that was not asked for");
	}
	return reader->bad || ignite_reader_left(reader) != 0 ? bad_answer(err, "entries and no end") : 0;
}

int ignite_decode_answer(struct pa_ignite_request *request, const void *data, size_t bytes,
                         struct pa_error *err)
{
	struct ignite_reader reader = ignite_reader(data, bytes);

	switch (request->operation) {
	case PA_IGNITE_PUT_IF_ABSENT:
	case PA_IGNITE_CONTAINS:
	case PA_IGNITE_REMOVE:
	case PA_IGNITE_CONTAINS_ALL:
		request->truth = ignite_read_u8(&reader) != 0;
		break;
	case PA_IGNITE_SIZE:
		request->number = ignite_read_i64(&reader);
		break;
	case PA_IGNITE_GET_ALL:
		return decode_entries(request, &reader, err);
	case PA_IGNITE_GET:
	case PA_IGNITE_PUT:
	case PA_IGNITE_PUT_ALL:
	case PA_IGNITE_REMOVE_KEYS:
	case PA_IGNITE_REMOVE_ALL:
	case PA_IGNITE_CLEAR:
	case PA_IGNITE_OTHER:
		break;
	}
	if (reader.bad || ignite_reader_left(&reader) != 0)
		return bad_answer(err, "a body of the wrong length");
	return 0;
}
