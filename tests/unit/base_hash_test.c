/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const char *content(const char *text)
{
	static char out[PA_HASH128_TEXT_BYTES];

	return pa_hash_format(pa_hash_content(text, strlen(text)), out);
}

static void contents_hash_as_xxh3_says(void **state)
{
	(void)state;
	/* XXH3-128 with seed 0. */
	assert_string_equal(content(""), "99aa06d3014798d86001c324468d497f");
	assert_string_equal(content("abc"), "06b05ab6733a618578af5f94892f3950");
}

static void names_hash_as_sha_256_cut_short(void **state)
{
	char out[PA_HASH128_TEXT_BYTES];
	struct pa_hash_part part = {"abc", 3};

	(void)state;
	/* sha256sum of nothing, and of the length 3 as eight bytes before "abc". */
	assert_string_equal(pa_hash_format(pa_hash_name(NULL, 0), out), "e3b0c44298fc1c149afbf4c8996fb924");
	assert_string_equal(pa_hash_format(pa_hash_name(&part, 1), out), "ce91dc5eec0139adf091900d225971d6");
}

static void parts_are_told_apart(void **state)
{
	struct pa_hash_part one[] = {{"ab", 2}, {"c", 1}};
	struct pa_hash_part two[] = {{"a", 1}, {"bc", 2}};
	struct pa_hash_part three[] = {{"ab", 2}, {"c", 1}, {"", 0}};

	(void)state;
	assert_true(pa_hash_equal(pa_hash_name(one, 2), pa_hash_name(one, 2)));
	assert_false(pa_hash_equal(pa_hash_name(one, 2), pa_hash_name(two, 2)));
	assert_false(pa_hash_equal(pa_hash_name(one, 2), pa_hash_name(three, 3)));
}

static void halves_both_count(void **state)
{
	struct pa_hash128 a = {1, 2}, b = {1, 3}, c = {2, 2};
	char out[PA_HASH128_TEXT_BYTES];

	(void)state;
	assert_true(pa_hash_equal(a, a));
	assert_false(pa_hash_equal(a, b));
	assert_false(pa_hash_equal(a, c));
	assert_string_equal(pa_hash_format(a, out), "00000000000000010000000000000002");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(contents_hash_as_xxh3_says),
	    cmocka_unit_test(names_hash_as_sha_256_cut_short),
	    cmocka_unit_test(parts_are_told_apart),
	    cmocka_unit_test(halves_both_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
