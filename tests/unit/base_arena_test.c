/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/random.h"

static void memory_is_zeroed_aligned_and_apart(void **state)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_random random = {1};
	unsigned char *blocks[2000];
	size_t sizes[2000];

	(void)state;
	for (size_t i = 0; i < 2000; i++) {
		sizes[i] = pa_random_u64(&random) % (i % 100 == 0 ? 100000 : 200);
		blocks[i] = pa_arena_alloc(&arena, sizes[i]);
		assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(blocks[i][j], 0);
		memset(blocks[i], (int)(i % 255) + 1, sizes[i]);
	}
	for (size_t i = 0; i < 2000; i++)
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(blocks[i][j], i % 255 + 1);
	pa_arena_done(&arena);
	assert_int_equal(pa_arena_bytes(&arena), 0);
}

static void nothing_has_an_address_of_its_own(void **state)
{
	struct pa_arena arena;

	(void)state;
	pa_arena_init(&arena);
	char *first = pa_arena_alloc(&arena, 0);
	assert_non_null(first);
	assert_ptr_not_equal(first, pa_arena_alloc(&arena, 0));
	pa_arena_done(&arena);
}

static void growing_keeps_what_is_there(void **state)
{
	struct pa_arena arena = PA_ARENA_INIT;
	size_t capacity = 0;
	uint32_t *numbers = NULL;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		numbers = pa_arena_grow(&arena, numbers, i, &capacity, sizeof(*numbers));
		assert_true(capacity > i);
		numbers[i] = i;
	}
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(numbers[i], i);
	/* Old arrays stay in the arena, and blocks double as arrays do: still a small multiple of what is
	 * used. */
	assert_true(pa_arena_bytes(&arena) < 6 * 100000 * sizeof(*numbers));
	pa_arena_done(&arena);
}

static void texts_are_copied(void **state)
{
	struct pa_arena arena = PA_ARENA_INIT;
	char original[] = "abc";

	(void)state;
	char *copy = pa_arena_strdup(&arena, original);
	original[0] = 'x';
	assert_string_equal(copy, "abc");
	assert_string_equal(pa_arena_strndup(&arena, "abcdef", 2), "ab");
	assert_memory_equal(pa_arena_strndup(&arena, "a\0b", 3), "a\0b", 4);
	assert_string_equal(pa_arena_printf(&arena, "%s-%d", "n", 12), "n-12");
	assert_string_equal(pa_arena_printf(&arena, "%s", ""), "");
	size_t bytes = pa_arena_bytes(&arena);
	pa_arena_alloc(&arena, 5 << 20);
	assert_true(pa_arena_bytes(&arena) >= bytes + (5 << 20));
	pa_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory_is_zeroed_aligned_and_apart),
	    cmocka_unit_test(nothing_has_an_address_of_its_own),
	    cmocka_unit_test(growing_keeps_what_is_there),
	    cmocka_unit_test(texts_are_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
