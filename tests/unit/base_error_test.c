/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

static void the_class_is_what_is_returned(void **state)
{
	struct pa_error err = PA_ERROR_INIT;

	(void)state;
	assert_int_equal(pa_error_set(&err, PA_ERROR_INPUT, "%s: %d", "file", 7), -PA_ERROR_INPUT);
	assert_int_equal(err.class, PA_ERROR_INPUT);
	assert_int_equal(err.os_errno, 0);
	assert_string_equal(err.message, "file: 7");
}

static void the_class_follows_from_errno(void **state)
{
	static const struct {
		int os_errno;
		enum pa_error_class class;
	} cases[] = {
	    {ENOENT, PA_ERROR_NOT_FOUND},       {ENOSPC, PA_ERROR_NO_SPACE},
	    {EDQUOT, PA_ERROR_NO_SPACE},        {EINTR, PA_ERROR_TRANSIENT},
	    {EAGAIN, PA_ERROR_TRANSIENT},       {ETIMEDOUT, PA_ERROR_TRANSIENT},
	    {ECONNRESET, PA_ERROR_TRANSIENT},   {ECONNREFUSED, PA_ERROR_TRANSIENT},
	    {ECONNABORTED, PA_ERROR_TRANSIENT}, {ECANCELED, PA_ERROR_CANCELLED},
	    {ESTALE, PA_ERROR_CHANGED},         {EACCES, PA_ERROR_PERMANENT},
	    {EIO, PA_ERROR_PERMANENT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pa_error err = PA_ERROR_INIT;
		assert_int_equal(pa_error_set_errno(&err, cases[i].os_errno, "x"), -(int)cases[i].class);
		assert_int_equal(err.os_errno, cases[i].os_errno);
		assert_int_equal(pa_error_to_errno(&err), cases[i].os_errno);
	}
}

static void the_reason_ends_the_message(void **state)
{
	struct pa_error err = PA_ERROR_INIT;

	(void)state;
	pa_error_set_errno(&err, ENOENT, "%s: cannot be opened", "a");
	assert_string_equal(err.message, "a: cannot be opened: No such file or directory");
}

static void wrapping_keeps_class_and_errno(void **state)
{
	struct pa_error err = PA_ERROR_INIT;

	(void)state;
	pa_error_set_errno(&err, ENOSPC, "inner");
	assert_int_equal(pa_error_wrap(&err, "outer %d", 1), -PA_ERROR_NO_SPACE);
	assert_int_equal(err.os_errno, ENOSPC);
	assert_string_equal(err.message, "outer 1: inner: No space left on device");
}

static void a_message_may_be_made_of_itself(void **state)
{
	struct pa_error err = PA_ERROR_INIT;

	(void)state;
	pa_error_set(&err, PA_ERROR_BUG, "cause");
	pa_error_set(&err, PA_ERROR_INPUT, "more: %s", err.message);
	assert_string_equal(err.message, "more: cause");
	pa_error_wrap(&err, "[%s]", err.message);
	assert_string_equal(err.message, "[more: cause]: more: cause");
	pa_error_set_errno(&err, EIO, "%.4s", err.message);
	assert_string_equal(err.message, "[mor: Input/output error");
}

static void a_long_message_is_cut(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	char text[4000];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	pa_error_set(&err, PA_ERROR_INPUT, "%s", text);
	assert_int_equal(strlen(err.message), PA_ERROR_MESSAGE_BYTES - 1);
	pa_error_wrap(&err, "b");
	assert_int_equal(strlen(err.message), PA_ERROR_MESSAGE_BYTES - 1);
	assert_memory_equal(err.message, "b: aaa", 6);
	pa_error_wrap(&err, "%s", text);
	assert_int_equal(strlen(err.message), PA_ERROR_MESSAGE_BYTES - 1);
	pa_error_set_errno(&err, EIO, "%s", text);
	assert_int_equal(strlen(err.message), PA_ERROR_MESSAGE_BYTES - 1);
}

static void every_class_has_an_errno_and_a_name(void **state)
{
	(void)state;
	for (int class = PA_ERROR_NONE; class <= PA_ERROR_BUG; class ++) {
		struct pa_error err = PA_ERROR_INIT;
		pa_error_set(&err, (enum pa_error_class) class, "x");
		assert_true(pa_error_to_errno(&err) > 0);
		assert_string_not_equal(pa_error_class_name((enum pa_error_class) class), "unknown");
	}
	assert_string_equal(pa_error_class_name((enum pa_error_class)99), "unknown");
	struct pa_error err = {.class = PA_ERROR_CHANGED};
	assert_int_equal(pa_error_to_errno(&err), ESTALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_class_is_what_is_returned),
	    cmocka_unit_test(the_class_follows_from_errno),
	    cmocka_unit_test(the_reason_ends_the_message),
	    cmocka_unit_test(wrapping_keeps_class_and_errno),
	    cmocka_unit_test(a_message_may_be_made_of_itself),
	    cmocka_unit_test(a_long_message_is_cut),
	    cmocka_unit_test(every_class_has_an_errno_and_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
