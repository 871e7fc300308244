/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an answer of an Ignite node, to each kind of question: a result or an error, nothing read past the end.
 * The first byte says the question. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ignite/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth)
{
	if (!truth)
		abort();
}

static void fuzz_head(const uint8_t *data, size_t size)
{
	struct pa_error err = PA_ERROR_INIT;
	struct ignite_head head;
	struct ignite_handshake handshake;
	size_t value_bytes;
	size_t at;
	bool absent;
	int status;

	if (ignite_decode_head(data, size, 1 << 20, &head, &err) == 1)
		require(head.head_bytes <= IGNITE_MAX_HEAD_BYTES && head.head_bytes <= head.frame_bytes + 4);
	for (int16_t minor = 4; minor <= 7; minor++)
		ignite_decode_handshake(data, size, (struct ignite_version){1, minor, 0}, &handshake, &err);
	ignite_decode_failure(data, size, &status, &err);
	if (ignite_decode_value_head(data, size, size, &absent, &value_bytes, &at, &err) == 1)
		require(at + value_bytes == size);
}

static void fuzz_cluster(const uint8_t *data, size_t size)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct ignite_view view;
	struct ignite_map map;

	ignite_decode_endpoints(&arena, data, size, &view, &err);
	if (ignite_decode_map(&arena, data, size, &map, &err) == 0)
		for (size_t i = 0; i < map.cache_count; i++)
			for (int j = 0; j < map.caches[i].partition_count; j++)
				require(map.caches[i].owners[j] == IGNITE_NO_OWNER ||
				        map.caches[i].owners[j] < map.node_count);
	pa_arena_done(&arena);
}

static void fuzz_entries(const uint8_t *data, size_t size)
{
	struct ignite_reader reader = ignite_reader(data, size);
	struct pa_ignite_scan_entry entry;

	while (ignite_reader_left(&reader) > 0) {
		if (ignite_decode_key(&reader, &entry.key) < 0 || ignite_decode_value(&reader, &entry) < 0)
			break;
		require(entry.value == NULL ||
		        (const uint8_t *)entry.value + entry.value_bytes <= data + size);
	}
	require(reader.at <= reader.end);
}

static void fuzz_answer(enum pa_ignite_operation operation, const uint8_t *data, size_t size)
{
	char values[3][8];
	struct pa_ignite_entry entries[3];
	struct pa_ignite_request request = {.operation = operation, .entries = entries, .entry_count = 3};
	struct pa_error err = PA_ERROR_INIT;

	for (int i = 0; i < 3; i++)
		entries[i] = (struct pa_ignite_entry){.key = i == 0 ? pa_ignite_key_text("a", 1)
		                                                    : pa_ignite_key_long(1),
		                                      .value = values[i],
		                                      .room = 8};
	ignite_decode_answer(&request, data, size, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	switch (data[0] % 4) {
	case 0:
		fuzz_head(data + 1, size - 1);
		break;
	case 1:
		fuzz_cluster(data + 1, size - 1);
		break;
	case 2:
		fuzz_entries(data + 1, size - 1);
		break;
	default:
		fuzz_answer((enum pa_ignite_operation)(data[0] / 4 % PA_IGNITE_OTHER), data + 1, size - 1);
	}
	return 0;
}
