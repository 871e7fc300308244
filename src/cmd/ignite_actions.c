/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd/ignite_internal.h"

#define FIRST_ROOM_BYTES ((size_t)1 << 20)
#define MAX_VALUE_BYTES  ((size_t)64 << 20)
#define SCAN_PAGE        256
#define PING_PAUSE_NS    (200 * PA_NS_PER_MS)
#define MAP_WAIT_NS      (2 * PA_NS_PER_SECOND)
#define MAP_LOOK_NS      (20 * PA_NS_PER_MS)

static int64_t deadline(const struct ignite_command *command)
{
	return pa_clock_deadline(command->timeout_ns);
}

static int parse_key(const struct ignite_command *command, const char *text, struct pa_ignite_key *ret,
                     struct pa_error *err)
{
	struct pa_ignite_uuid uuid;
	char *end;

	errno = 0;
	long long number = strtoll(text, &end, 10);
	bool is_number = errno == 0 && end != text && *end == '\0';
	bool is_uuid = pa_ignite_uuid_parse(text, &uuid);
	if (command->key_type == 0 && !is_number)
		return pa_error_set(err, PA_ERROR_INPUT, "key \"%s\" is no number of 64 bits", text);
	if (command->key_type == 1 && !is_uuid)
		return pa_error_set(err, PA_ERROR_INPUT, "key \"%s\" is no UUID", text);
	if (is_number && command->key_type <= 0)
		*ret = pa_ignite_key_long(number);
	else if (is_uuid && command->key_type != 2)
		*ret = pa_ignite_key_uuid(uuid.high, uuid.low);
	else
		*ret = pa_ignite_key_text(text, strlen(text));
	return 0;
}

/* JSON takes UTF-8 only; other text is shown as far as it is that. */
static json_t *text_json(const char *text, size_t bytes)
{
	json_t *json = json_stringn(text, bytes);

	return json == NULL ? json_string("(not UTF-8)") : json;
}

int ignite_act_ping(const struct ignite_command *command, json_t **ret, struct pa_error *err)
{
	json_t *rows = json_array();

	*ret = rows;
	for (int64_t i = 0; i < command->count; i++) {
		int64_t ns;
		if (i > 0)
			pa_clock_sleep_until(pa_clock_deadline(PING_PAUSE_NS), NULL);
		if (pa_ignite_ping(command->ignite, &ns, deadline(command), err) < 0)
			return -(int)err->class;
		json_array_append_new(rows, json_pack("{s:I, s:f}", "ping", (json_int_t)i + 1, "milliseconds",
		                                      (double)ns / 1e6));
	}
	return 0;
}

static json_t *node_json(const struct pa_ignite_node *node, bool with_partitions)
{
	char id[PA_IGNITE_UUID_TEXT_BYTES];
	json_t *json =
	    json_pack("{s:s, s:s, s:b, s:i}", "id", pa_ignite_uuid_format(node->id, id), "address",
	              node->address, "member", node->member, "connections", (int)node->connections);

	if (with_partitions)
		json_object_set_new(json, "partitions",
		                    node->partitions < 0 ? json_null()
		                                         : json_integer((json_int_t)node->partitions));
	json_object_set_new(json, "error", text_json(node->error, strlen(node->error)));
	return json;
}

static int nodes_json(const struct ignite_command *command, const struct pa_ignite_cache *cache, json_t **ret,
                      struct pa_error *err)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_ignite_node *nodes;
	size_t count;
	int result = pa_ignite_nodes(command->ignite, cache, &arena, &nodes, &count, err);

	if (result == 0) {
		*ret = json_array();
		for (size_t i = 0; i < count; i++)
			json_array_append_new(*ret, node_json(&nodes[i], cache != NULL));
	}
	pa_arena_done(&arena);
	return result;
}

int ignite_act_nodes(const struct ignite_command *command, json_t **ret, struct pa_error *err)
{
	return nodes_json(command, NULL, ret, err);
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

int ignite_act_caches(const struct ignite_command *command, json_t **ret, struct pa_error *err)
{
	struct pa_arena arena = PA_ARENA_INIT;
	const char *const *names;
	size_t count;
	int result = pa_ignite_cache_names(command->ignite, &arena, &names, &count, deadline(command), err);

	if (result == 0) {
		*ret = json_array();
		if (count > 0)
			qsort((void *)names, count, sizeof(*names), compare_names);
		for (size_t i = 0; i < count; i++)
			json_array_append_new(
			    *ret, json_pack("{s:o}", "cache", text_json(names[i], strlen(names[i]))));
	}
	pa_arena_done(&arena);
	return result;
}

/* The map comes with the first requests: a moment is given to it. */
static int partition_count(const struct ignite_command *command, const struct pa_ignite_cache *cache,
                           int *ret, struct pa_error *err)
{
	struct pa_ignite_key key = pa_ignite_key_long(0);
	struct pa_ignite_uuid primary;
	int64_t until_ns = pa_clock_deadline(MAP_WAIT_NS);
	int partition = -1;

	for (;;) {
		if (pa_ignite_locate(command->ignite, cache, &key, &partition, ret, &primary, err) < 0)
			return -(int)err->class;
		if (partition >= 0 || pa_clock_ns() >= until_ns)
			return 0;
		pa_clock_sleep_until(pa_clock_deadline(MAP_LOOK_NS), NULL);
	}
}

static int stat_cache(const struct ignite_command *command, json_t *stat, struct pa_error *err)
{
	struct pa_ignite_cache cache = pa_ignite_cache(command->words[0]);
	int64_t entries;
	int partitions = 0;

	if (pa_ignite_size(command->ignite, &cache, &entries, deadline(command), err) < 0 ||
	    partition_count(command, &cache, &partitions, err) < 0)
		return pa_error_wrap(err, "cache %s", command->words[0]);
	json_object_set_new(stat, "cache", text_json(command->words[0], strlen(command->words[0])));
	json_object_set_new(stat, "entries", json_integer((json_int_t)entries));
	json_object_set_new(stat, "partitions", partitions == 0 ? json_null() : json_integer(partitions));
	return 0;
}

int ignite_act_stat(const struct ignite_command *command, json_t **ret, struct pa_error *err)
{
	static const char *const states[] = {"inactive", "active", "read-only"};
	struct pa_ignite_cache cache = pa_ignite_cache(command->word_count > 0 ? command->words[0] : "");
	enum pa_ignite_cluster_state state;
	struct pa_ignite_stats stats;
	json_t *nodes;

	*ret = json_object();
	if (pa_ignite_cluster_state(command->ignite, &state, deadline(command), err) < 0)
		return -(int)err->class;
	pa_ignite_stats(command->ignite, &stats);
	json_object_set_new(*ret, "state", json_string(states[state]));
	json_object_set_new(*ret, "topology", json_integer((json_int_t)stats.topology_version));
	json_object_set_new(*ret, "topology_minor", json_integer(stats.topology_minor));
	if (command->word_count > 0 && stat_cache(command, *ret, err) < 0)
		return -(int)err->class;
	if (nodes_json(command, command->word_count > 0 ? &cache : NULL, &nodes, err) < 0)
		return -(int)err->class;
	json_object_set_new(*ret, "nodes", nodes);
	return 0;
}

static int write_value(const struct ignite_command *command, const void *value, size_t bytes,
                       struct pa_error *err)
{
	const char *name = command->output == NULL ? "standard output" : command->output;
	FILE *file = command->output == NULL ? stdout : fopen(command->output, "wb");

	if (file == NULL)
		return pa_error_set_errno(err, errno, "%s", name);
	bool written = fwrite(value, 1, bytes, file) == bytes;
	written = (file == stdout ? fflush(file) : fclose(file)) == 0 && written;
	return written ? 0 : pa_error_set_errno(err, errno, "%s", name);
}

int ignite_act_get(const struct ignite_command *command, json_t **ret, struct pa_error *err)
{
	struct pa_ignite_cache cache = pa_ignite_cache(command->words[0]);
	PA_AUTO_FREE char *value = malloc(FIRST_ROOM_BYTES);
	struct pa_ignite_key key;
	size_t bytes = 0;
	(void)ret;

	if (value == NULL)
		abort();
	if (parse_key(command, command->words[1], &key, err) < 0)
		return -(int)err->class;
	int result = pa_ignite_get(command->ignite, &cache, &key, value, FIRST_ROOM_BYTES, &bytes,
	                           deadline(command), err);
	if (result == -(int)PA_ERROR_NO_SPACE && bytes > FIRST_ROOM_BYTES && bytes <= MAX_VALUE_BYTES) {
		size_t room = bytes;
		free(value);
		value = malloc(room);
		if (value == NULL)
			return pa_error_set(err, PA_ERROR_NO_SPACE, "no memory for a value of %zu bytes",
			                    room);
		result =
		    pa_ignite_get(command->ignite, &cache, &key, value, room, &bytes, deadline(command), err);
	}
	if (result < 0)
		return pa_error_wrap(err, "%s in cache %s", command->words[1], command->words[0]);
	return write_value(command, value, bytes, err);
}

int ignite_act_put(const struct ignite_command *command, json_t **ret, struct pa_error *err)
{
	struct pa_ignite_cache cache = pa_ignite_cache(command->words[0]);
	struct pa_ignite_key key;
	struct pa_buffer value;

	if (parse_key(command, command->words[1], &key, err) < 0 ||
	    (command->create && pa_ignite_cache_create_named(command->ignite, command->words[0], true,
	                                                     deadline(command), err) < 0) ||
	    pa_buffer_read_file(command->words[2], MAX_VALUE_BYTES, &value, err) < 0)
		return -(int)err->class;
	cache.has_expiry = command->expire_ns > 0;
	int64_t expire_ms = command->expire_ns / PA_NS_PER_MS;
	cache.expiry = (struct pa_ignite_expiry){expire_ms, expire_ms, PA_IGNITE_EXPIRY_UNCHANGED};
	int result =
	    pa_ignite_put(command->ignite, &cache, &key, value.data, value.length, deadline(command), err);
	if (result < 0)
		pa_error_wrap(err, "%s in cache %s", command->words[1], command->words[0]);
	else
		*ret = json_pack("{s:I}", "bytes", (json_int_t)value.length);
	pa_buffer_done(&value);
	return result;
}

static json_t *entry_json(const struct pa_ignite_scan_entry *entry)
{
	char id[PA_IGNITE_UUID_TEXT_BYTES];
	json_t *key = NULL;
	const char *type = "other";

	switch (entry->key.type) {
	case PA_IGNITE_KEY_LONG:
		type = "long";
		key = json_integer((json_int_t)entry->key.number);
		break;
	case PA_IGNITE_KEY_UUID:
		type = "uuid";
		key = json_string(pa_ignite_uuid_format(entry->key.uuid, id));
		break;
	case PA_IGNITE_KEY_TEXT:
		type = "text";
		key = text_json(entry->key.text.bytes, entry->key.text.length);
		break;
	case PA_IGNITE_KEY_OTHER:
		key = json_null();
		break;
	}
	json_t *bytes = entry->value_type == 12 ? json_integer((json_int_t)entry->value_bytes) : json_null();
	return json_pack("{s:s, s:o, s:o}", "type", type, "bytes", bytes, "key", key);
}

int ignite_act_scan(const struct ignite_command *command, json_t **ret, struct pa_error *err)
{
	struct pa_ignite_cache cache = pa_ignite_cache(command->words[0]);
	struct pa_ignite_scan_entry entry;
	struct pa_ignite_scan *scan;
	int64_t count = 0;
	int result;

	*ret = json_array();
	int page = command->limit > 0 && command->limit < SCAN_PAGE ? (int)command->limit : SCAN_PAGE;
	if (pa_ignite_scan_open(command->ignite, &cache, -1, page, deadline(command), &scan, err) < 0)
		return pa_error_wrap(err, "cache %s", command->words[0]);
	while ((result = pa_ignite_scan_next(scan, &entry, deadline(command), err)) > 0) {
		json_array_append_new(*ret, entry_json(&entry));
		if (++count == command->limit)
			break;
	}
	pa_ignite_scan_close(scan);
	return result < 0 ? result : 0;
}
