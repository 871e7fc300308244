/* SPDX-License-Identifier: Apache-2.0 */
#include "base/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/error.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void sizes_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
	    {"0", 0},
	    {"4096", 4096},
	    {"8GiB", 8ull << 30},
	    {"200MB", 200000000},
	    {"1.5GiB", 3u << 29},
	    {"1Ki", 1024},
	    {"1k", 1000},
	    {"1K", 1000},
	    {"1kB", 1000},
	    {"1KB", 1000},
	    {"1KiB", 1024},
	    {"2Ti", 2ull << 40},
	    {"5T", 5000000000000},
	    {"9007199254740993B", 9007199254740992},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct pa_error err = PA_ERROR_INIT;
		uint64_t bytes = 77;
		if (pa_units_parse_bytes(cases[i].text, &bytes, &err) != 0)
			fail_msg("%s", err.message);
		assert_true(bytes == cases[i].bytes);
	}
}

static void what_is_no_size_is_refused(void **state)
{
	static const char *const texts[] = {
	    "",
	    "GiB",
	    "-1",
	    "+1",
	    "1 GiB",
	    "1gib",
	    "1m",
	    "1.2.3",
	    ".5",
	    "1e3",
	    "0x10",
	    " 1",
	    "1 ",
	    "inf",
	    "nan",
	    "1GiBs",
	    "1B/s",
	    "99999999999999999999T",
	    "1111111111111111111111111111111111111111111",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct pa_error err = PA_ERROR_INIT;
		uint64_t bytes = 77;
		if (pa_units_parse_bytes(texts[i], &bytes, &err) != -PA_ERROR_INPUT)
			fail_msg("%s is taken", texts[i]);
		assert_int_equal(bytes, 77);
		assert_true(err.message[0] != '\0');
	}
}

static void rates_are_read(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	uint64_t rate = 0;

	(void)state;
	assert_int_equal(pa_units_parse_rate("200MB/s", &rate, &err), 0);
	assert_int_equal(rate, 200000000);
	assert_int_equal(pa_units_parse_rate("1Gbit/s", &rate, &err), 0);
	assert_int_equal(rate, 125000000);
	assert_int_equal(pa_units_parse_rate("64MiB/s", &rate, &err), 0);
	assert_int_equal(rate, 64 << 20);
	rate = 77;
	assert_int_equal(pa_units_parse_rate("0B/s", &rate, &err), -PA_ERROR_INPUT);
	assert_int_equal(pa_units_parse_rate("0.5B/s", &rate, &err), -PA_ERROR_INPUT);
	assert_int_equal(pa_units_parse_rate("200MB", &rate, &err), -PA_ERROR_INPUT);
	assert_int_equal(pa_units_parse_rate("200", &rate, &err), -PA_ERROR_INPUT);
	assert_int_equal(rate, 77);
}

static void times_are_read(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	int64_t ns = 0;

	(void)state;
	assert_int_equal(pa_units_parse_duration("10m", &ns, &err), 0);
	assert_true(ns == 600000000000);
	assert_int_equal(pa_units_parse_duration("1.5s", &ns, &err), 0);
	assert_int_equal(ns, 1500000000);
	assert_int_equal(pa_units_parse_duration("250ms", &ns, &err), 0);
	assert_int_equal(ns, 250000000);
	assert_int_equal(pa_units_parse_duration("1d", &ns, &err), 0);
	assert_true(ns == 86400000000000);
	assert_int_equal(pa_units_parse_duration("0s", &ns, &err), 0);
	assert_int_equal(ns, 0);
	assert_int_equal(pa_units_parse_duration("10", &ns, &err), -PA_ERROR_INPUT);
	assert_int_equal(pa_units_parse_duration("1M", &ns, &err), -PA_ERROR_INPUT);
	assert_int_equal(pa_units_parse_duration("999999999999d", &ns, &err), -PA_ERROR_INPUT);
	assert_int_equal(ns, 0);
}

static void sizes_are_written(void **state)
{
	char out[32];

	(void)state;
	assert_string_equal(pa_units_format_bytes(0, out, sizeof(out)), "0 B");
	assert_string_equal(pa_units_format_bytes(1023, out, sizeof(out)), "1023 B");
	assert_string_equal(pa_units_format_bytes(1024, out, sizeof(out)), "1.0 KiB");
	assert_string_equal(pa_units_format_bytes(3u << 29, out, sizeof(out)), "1.5 GiB");
	/* Never "1024.0 KiB". */
	assert_string_equal(pa_units_format_bytes((1 << 20) - 1, out, sizeof(out)), "1.0 MiB");
	assert_string_equal(pa_units_format_bytes(UINT64_MAX, out, sizeof(out)), "16.0 EiB");
}

static void rates_and_times_are_written(void **state)
{
	char out[32];

	(void)state;
	assert_string_equal(pa_units_format_rate(200e6, out, sizeof(out)), "200.0 MB/s");
	assert_string_equal(pa_units_format_rate(999.99, out, sizeof(out)), "1.0 kB/s");
	assert_string_equal(pa_units_format_seconds(12.34, out, sizeof(out)), "12.3 s");
	assert_string_equal(pa_units_format_seconds(99.96, out, sizeof(out)), "1m 39s");
	assert_string_equal(pa_units_format_seconds(245, out, sizeof(out)), "4m 05s");
	assert_string_equal(pa_units_format_seconds(7260, out, sizeof(out)), "2h 01m");
	assert_string_equal(pa_units_format_seconds(NAN, out, sizeof(out)), "unknown");
	assert_string_equal(pa_units_format_seconds(INFINITY, out, sizeof(out)), "unknown");
	assert_true(strlen(pa_units_format_seconds(1e300, out, sizeof(out))) < sizeof(out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes_are_read),    cmocka_unit_test(what_is_no_size_is_refused),
	    cmocka_unit_test(rates_are_read),    cmocka_unit_test(times_are_read),
	    cmocka_unit_test(sizes_are_written), cmocka_unit_test(rates_and_times_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
