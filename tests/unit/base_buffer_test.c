/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

static void an_empty_buffer_is_an_empty_text(void **state)
{
	struct pa_buffer buffer;

	(void)state;
	pa_buffer_init(&buffer, 10);
	assert_string_equal(buffer.data, "");
	pa_buffer_append(&buffer, NULL, 0);
	pa_buffer_clear(&buffer);
	char *taken = pa_buffer_take(&buffer);
	assert_string_equal(taken, "");
	free(taken);
	pa_buffer_done(&buffer);
	pa_buffer_done(&buffer);
}

static void appends_add_up(void **state)
{
	struct pa_buffer buffer;

	(void)state;
	pa_buffer_init(&buffer, 1 << 20);
	for (int i = 0; i < 1000; i++)
		pa_buffer_printf(&buffer, "%03d", i);
	pa_buffer_puts(&buffer, "");
	pa_buffer_append(&buffer, "a\0b", 3);
	assert_int_equal(buffer.length, 3003);
	assert_memory_equal(buffer.data + 2997, "999a\0b", 7);
	char *taken = pa_buffer_take(&buffer);
	assert_memory_equal(taken, "000001", 6);
	free(taken);
	assert_int_equal(buffer.length, 0);
	assert_int_equal(buffer.limit, 1 << 20);
	pa_buffer_done(&buffer);
}

static void past_the_cap_nothing_is_added(void **state)
{
	struct pa_buffer buffer;

	(void)state;
	pa_buffer_init(&buffer, 10);
	pa_buffer_puts(&buffer, "123456");
	assert_false(buffer.overflowed);
	pa_buffer_puts(&buffer, "78901");
	assert_true(buffer.overflowed);
	assert_string_equal(buffer.data, "123456");
	/* It stays so, also for what would have fitted. */
	pa_buffer_puts(&buffer, "7");
	pa_buffer_printf(&buffer, "%d", 7);
	assert_string_equal(buffer.data, "123456");
	assert_false(pa_buffer_reserve(&buffer, 1));
	pa_buffer_clear(&buffer);
	pa_buffer_puts(&buffer, "1234567890");
	assert_false(buffer.overflowed);
	assert_false(pa_buffer_reserve(&buffer, SIZE_MAX));
	pa_buffer_done(&buffer);
}

static void a_file_is_read_up_to_the_limit(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer buffer;
	char path[] = "/tmp/pa-buffer-XXXXXX";
	static char content[200000];

	(void)state;
	memset(content, 'x', sizeof(content));
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, sizeof(content)), sizeof(content));
	close(fd);
	assert_int_equal(pa_buffer_read_file(path, sizeof(content), &buffer, &err), 0);
	assert_int_equal(buffer.length, sizeof(content));
	assert_memory_equal(buffer.data, content, sizeof(content));
	assert_int_equal(buffer.data[buffer.length], '\0');
	pa_buffer_done(&buffer);
	assert_int_equal(pa_buffer_read_file(path, sizeof(content) - 1, &buffer, &err), -PA_ERROR_INPUT);
	assert_non_null(strstr(err.message, path));
	assert_non_null(strstr(err.message, "limit of 195.3 KiB"));
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(pa_buffer_read_file(path, 0, &buffer, &err), 0);
	assert_int_equal(buffer.length, 0);
	pa_buffer_done(&buffer);
	unlink(path);
}

static void what_cannot_be_read_is_an_error(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer buffer;

	(void)state;
	assert_int_equal(pa_buffer_read_file("/no/such/file", 10, &buffer, &err), -PA_ERROR_INPUT);
	assert_string_equal(err.message, "/no/such/file: cannot be opened: No such file or directory");
	assert_int_equal(pa_buffer_read_file("/tmp", 10, &buffer, &err), -PA_ERROR_INPUT);
	assert_int_equal(err.class, PA_ERROR_INPUT);
}

static void a_dash_is_standard_input(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer buffer;
	int ends[2];
	int saved = dup(STDIN_FILENO);

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "abc", 3), 3);
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	int result = pa_buffer_read_file("-", 3, &buffer, &err);
	dup2(saved, STDIN_FILENO);
	close(saved);
	assert_int_equal(result, 0);
	assert_string_equal(buffer.data, "abc");
	pa_buffer_done(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_empty_buffer_is_an_empty_text),
	    cmocka_unit_test(appends_add_up),
	    cmocka_unit_test(past_the_cap_nothing_is_added),
	    cmocka_unit_test(a_file_is_read_up_to_the_limit),
	    cmocka_unit_test(what_cannot_be_read_is_an_error),
	    cmocka_unit_test(a_dash_is_standard_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
