/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of the thin protocol, keys as Java hashes them, and who is in the cluster when nodes disagree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ignite/client_internal.h"

static int32_t hash_of(const char *text)
{
	return ignite_hash_text(text, strlen(text));
}

static void test_hashes(void **state)
{
	struct pa_ignite_key key = pa_ignite_key_long(-2);
	(void)state;

	assert_int_equal(hash_of(""), 0);
	assert_int_equal(hash_of("hello"), 99162322);
	assert_int_equal(hash_of("Aa"), hash_of("BB"));
	assert_int_equal(hash_of("\xc3\xbc"), 0xfc);
	assert_int_equal(hash_of("\xf0\x9f\x9a\x80"), 0xd83d * 31 + 0xde80); /* two UTF-16 units */
	assert_int_equal(hash_of("polygenelubricants"), INT32_MIN);
	assert_int_equal(ignite_hash_key(&key), 1);
	key = pa_ignite_key_uuid(UINT64_C(0x0123456789abcdef), UINT64_C(0x0123456789abcdef));
	assert_int_equal(ignite_hash_key(&key), 0);
	assert_int_equal(ignite_partition(0x10001, 1024), 0);
	assert_int_equal(ignite_partition(-7, 100), 7);
	assert_int_equal(ignite_partition(INT32_MIN, 100), 48);
	assert_int_equal(ignite_partition(INT32_MIN, 1), 0);
}

static void test_utf8(void **state)
{
	(void)state;
	assert_true(ignite_is_utf8("gr\xc3\xbc\xc3\x9f \xef\xbf\xbd", 10));
	assert_false(ignite_is_utf8("\xc3", 1));
	assert_false(ignite_is_utf8("\xc0\x80", 2));         /* overlong */
	assert_false(ignite_is_utf8("\xed\xa0\x80", 3));     /* a surrogate */
	assert_false(ignite_is_utf8("\xf4\x90\x80\x80", 4)); /* past the last code point */
	assert_false(ignite_is_utf8("a\xff", 2));
}

static void test_uuids(void **state)
{
	struct pa_ignite_uuid uuid;
	char text[PA_IGNITE_UUID_TEXT_BYTES];
	(void)state;

	assert_true(pa_ignite_uuid_parse("01234567-89ab-cdef-FEDC-ba9876543210", &uuid));
	assert_true(uuid.high == UINT64_C(0x0123456789abcdef) && uuid.low == UINT64_C(0xfedcba9876543210));
	assert_string_equal(pa_ignite_uuid_format(uuid, text), "01234567-89ab-cdef-fedc-ba9876543210");
	assert_false(pa_ignite_uuid_parse("0123456789abcdeffedcba9876543210", &uuid));
	assert_false(pa_ignite_uuid_parse("01234567-89ab-cdef-fedc-ba987654321g", &uuid));
}

/* A frame in parts reads as the same bytes as a frame in one piece. */
static void test_put_frame(void **state)
{
	struct iovec pieces[] = {{(void *)"ab", 2}, {NULL, 0}, {(void *)"cde", 3}};
	struct pa_ignite_request request = {.operation = PA_IGNITE_PUT,
	                                    .cache = {.id = 0x01020304},
	                                    .key = pa_ignite_key_long(5),
	                                    .pieces = pieces,
	                                    .piece_count = 3};
	static const uint8_t wanted[] = {0x26, 0, 0,  0, 0xe9, 0x03, 7, 0,   0,   0,   0,   0,  0,
	                                 0,    4, 3,  2, 1,    0,    4, 5,   0,   0,   0,   0,  0,
	                                 0,    0, 12, 5, 0,    0,    0, 'a', 'b', 'c', 'd', 'e'};
	uint8_t head[64];
	uint8_t flat[64];
	struct iovec parts[8];
	struct ignite_writer writer = {.data = head, .room = 64, .parts = parts, .part_room = 8};
	size_t at = 0;
	(void)state;

	ignite_encode_request(&writer, &request);
	assert_int_equal(ignite_finish_frame(&writer), sizeof(wanted));
	ignite_set_id(head, 7);
	assert_int_equal(writer.part_count, 3);
	for (unsigned i = 0; i < writer.part_count; i++) {
		memcpy(flat + at, parts[i].iov_base, parts[i].iov_len);
		at += parts[i].iov_len;
	}
	assert_int_equal(at, sizeof(wanted));
	((uint8_t *)flat)[0] = wanted[0];
	assert_memory_equal(flat + 1, wanted + 1, sizeof(wanted) - 1);
	assert_int_equal(head[0], sizeof(wanted) - 4);
}

static void test_heads(void **state)
{
	static const uint8_t plain[] = {11, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 101};
	static const uint8_t topology[] = {22, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2,
	                                   0,  9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0};
	static const uint8_t zeros[17] = {17};
	struct pa_error err = PA_ERROR_INIT;
	struct ignite_head head;
	(void)state;

	for (size_t i = 0; i < 14; i++)
		assert_int_equal(ignite_decode_head(plain, i, 100, &head, &err), 0);
	assert_int_equal(ignite_decode_head(plain, 15, 100, &head, &err), 1);
	assert_int_equal(head.head_bytes, 14);
	assert_int_equal(ignite_decode_head(topology, 25, 100, &head, &err), 0);
	assert_int_equal(ignite_decode_head(topology, 26, 100, &head, &err), 1);
	assert_true(head.has_topology && head.topology_version == 9 && head.topology_minor == 3);
	assert_true(ignite_decode_head(topology, 26, 20, &head, &err) < 0); /* over the limit */
	assert_int_equal(ignite_decode_head(zeros, 17, 100, &head, &err), 1);
	assert_true(ignite_decode_head("HTTP/1.1 400 Bad Request", 24, 1 << 26, &head, &err) < 0);
	assert_non_null(strstr(err.message, "thin client port"));
}

static int value_head(const void *data, size_t bytes, size_t body, size_t *value)
{
	struct pa_error err = PA_ERROR_INIT;
	bool absent;
	size_t at;

	return ignite_decode_value_head(data, bytes, body, &absent, value, &at, &err);
}

static void test_value_heads(void **state)
{
	size_t value = 0;
	(void)state;

	assert_int_equal(value_head("\x65", 1, 1, &value), 1);
	assert_true(value_head("\x65", 1, 2, &value) < 0);
	assert_int_equal(value_head("\x0c\x02\0\0", 4, 7, &value), 0);
	assert_int_equal(value_head("\x0c\x02\0\0\0ab", 7, 7, &value), 1);
	assert_int_equal(value, 2);
	assert_true(value_head("\x0c\x03\0\0\0ab", 7, 7, &value) < 0);
	assert_true(value_head("\x0c\xff\xff\xff\xff", 5, 5, &value) < 0);
	assert_true(value_head("\x0c\0\0\0", 4, 4, &value) < 0);
	assert_true(value_head("\x09\0\0\0\0", 5, 5, &value) < 0);
	assert_true(value_head("", 0, 0, &value) < 0);
}

static enum pa_error_class class_of(int status, const char *message)
{
	return ignite_status_class(status, message, strlen(message));
}

static void test_failures(void **state)
{
	static const uint8_t unknown[] = {0xe8, 3, 0, 0, 9, 3, 0, 0, 0, 'a', '\n', 'b'};
	struct pa_error err = PA_ERROR_INIT;
	int status = 0;
	(void)state;

	assert_true(ignite_decode_failure(unknown, sizeof(unknown), &status, &err) < 0);
	assert_int_equal(status, 1000);
	assert_int_equal(err.class, PA_ERROR_NOT_FOUND);
	assert_string_equal(err.message, "a b (Ignite status 1000)");
	assert_int_equal(class_of(1, "IgniteOutOfMemoryException: no"), PA_ERROR_NO_SPACE);
	assert_int_equal(class_of(1, "Failed to update keys (retry update if possible)."),
	                 PA_ERROR_TRANSIENT);
	assert_int_equal(class_of(1, "Failed to update keys (retry update if possible).\n\tat x\nCaused by: "
	                             "IgniteOutOfMemoryException"),
	                 PA_ERROR_NO_SPACE);
	assert_int_equal(class_of(1, "NullPointerException"), PA_ERROR_PERMANENT);
	assert_int_equal(class_of(10, ""), PA_ERROR_TRANSIENT);
	assert_int_equal(class_of(2000, ""), PA_ERROR_PERMANENT);
}

static void put_i32(uint8_t **at, int32_t value)
{
	struct ignite_writer writer = {.data = *at, .room = 4};

	ignite_write_i32(&writer, value);
	*at += 4;
}

static void put_uuid(uint8_t **at, uint64_t high)
{
	struct ignite_writer writer = {.data = *at, .room = 16};

	ignite_write_i64(&writer, (int64_t)high);
	ignite_write_i64(&writer, 0);
	*at += 16;
}

static void test_map(void **state)
{
	uint8_t data[256] = {5};
	uint8_t *at = data + 8;
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct ignite_map map;
	(void)state;

	put_i32(&at, 2); /* minor */
	put_i32(&at, 1); /* groups */
	*at++ = 1;
	put_i32(&at, 2);
	put_i32(&at, 20);
	put_i32(&at, 0);
	put_i32(&at, 10);
	put_i32(&at, 0);
	put_i32(&at, 2); /* nodes */
	for (int i = 0; i < 2; i++) {
		*at++ = 10;
		put_uuid(&at, 100 + (uint64_t)i);
		put_i32(&at, 2);
		put_i32(&at, i);
		put_i32(&at, i + 4);
	}
	size_t bytes = (size_t)(at - data);
	assert_int_equal(ignite_decode_map(&arena, data, bytes, &map, &err), 0);
	assert_true(map.topology_version == 5 && map.topology_minor == 2 && map.node_count == 2);
	const struct ignite_cache_map *cache = ignite_map_find(&map, 10);
	assert_non_null(cache);
	assert_int_equal(cache->partition_count, 6);
	assert_int_equal(cache->owners[0], 0);
	assert_int_equal(cache->owners[5], 1);
	assert_int_equal(cache->owners[2], IGNITE_NO_OWNER);
	assert_null(ignite_map_find(&map, 11));
	for (size_t i = 0; i < bytes; i++) /* cut short anywhere: an error, and nothing read past the end */
		assert_true(ignite_decode_map(&arena, data, i, &map, &err) < 0);
	pa_arena_done(&arena);
}

static struct ignite_opinion opinion(uint64_t self, const struct pa_ignite_uuid *listed, size_t count,
                                     bool current)
{
	return (struct ignite_opinion){
	    .self = {.high = self}, .listed = listed, .listed_count = count, .current = current};
}

static void test_members(void **state)
{
	static const struct pa_ignite_uuid all[] = {{1, 0}, {2, 0}, {3, 0}};
	static const struct pa_ignite_uuid first[] = {{1, 0}};
	struct ignite_opinion agree[] = {opinion(1, all, 3, false), opinion(2, all, 3, false),
	                                 opinion(3, all, 3, false)};
	struct ignite_opinion cut_off[] = {opinion(1, first, 1, true), opinion(2, all + 1, 2, true),
	                                   opinion(3, all + 1, 2, true)};
	struct ignite_opinion halves[] = {opinion(1, first, 1, false), opinion(2, all + 1, 1, true)};
	struct ignite_opinion believes[] = {opinion(1, all, 3, true), opinion(2, all + 1, 2, true),
	                                    opinion(3, all + 1, 2, true)};
	(void)state;

	ignite_membership(agree, 3);
	assert_true(agree[0].member && agree[1].member && agree[2].member);
	ignite_membership(cut_off, 3);
	assert_true(!cut_off[0].member && cut_off[1].member && cut_off[2].member);
	ignite_membership(halves, 2);
	assert_true(!halves[0].member && halves[1].member);
	ignite_membership(believes, 3); /* it lists the others, they do not list it */
	assert_true(!believes[0].member && believes[1].member && believes[2].member);
	ignite_membership(agree, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hashes),   cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_uuids),    cmocka_unit_test(test_put_frame),
	    cmocka_unit_test(test_heads),    cmocka_unit_test(test_value_heads),
	    cmocka_unit_test(test_failures), cmocka_unit_test(test_map),
	    cmocka_unit_test(test_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
