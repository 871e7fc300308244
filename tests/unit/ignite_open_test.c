/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a cluster that is none: what is said, and when. */
#include "ignite_fixture.h"

static void greet_http(struct fake *fake, int fd)
{
	static const char answer[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

	fake_write(fake, fd, answer, sizeof(answer) - 1);
	usleep(20000);
}

static void greet_silent(struct fake *fake, int fd)
{
	uint8_t byte;

	while (fake_read(fake, fd, &byte, 1))
		;
}

static void greet_closed(struct fake *fake, int fd)
{
	(void)fake;
	(void)fd;
}

static void greet_long(struct fake *fake, int fd)
{
	fake_write(fake, fd, "\xff\xff\xff\x7f", 4);
	usleep(20000);
}

static void refuse(struct fake *fake, int fd, struct ignite_version version, const char *text, int status)
{
	uint8_t frame[256];
	struct ignite_writer writer = {.data = frame, .room = sizeof(frame)};

	ignite_write_i32(&writer, 0);
	ignite_write_u8(&writer, 0);
	ignite_write_i16(&writer, version.major);
	ignite_write_i16(&writer, version.minor);
	ignite_write_i16(&writer, version.patch);
	ignite_write_string(&writer, text, strlen(text));
	ignite_write_i32(&writer, status);
	fake_write(fake, fd, frame, ignite_finish_frame(&writer));
	usleep(20000);
}

static void greet_password(struct fake *fake, int fd)
{
	struct ignite_version version;

	if (fake_hello(fake, fd, &version))
		refuse(fake, fd, (struct ignite_version){0, 0, 0}, "The user name or password is incorrect",
		       2000);
}

static void greet_ancient(struct fake *fake, int fd)
{
	struct ignite_version version;

	if (fake_hello(fake, fd, &version))
		refuse(fake, fd, (struct ignite_version){1, 2, 0}, "Unsupported version", 1);
}

static void fails(void (*greet)(struct fake *, int), enum pa_error_class class, const char *says,
                  int64_t within_ms)
{
	struct fake fake = {.greet = greet};
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite *ignite;
	int64_t begin_ns = pa_clock_ns();

	fake_start(&fake);
	int result = fake_open(&fake, (struct pa_ignite_options){0}, &ignite, &err);
	int64_t took_ms = (pa_clock_ns() - begin_ns) / PA_NS_PER_MS;
	fake_stop(&fake);
	if (result != -(int)class || strstr(err.message, says) == NULL ||
	    strstr(err.message, "127.0.0.1:") == NULL)
		fail_msg("%s: %s", pa_error_class_name(err.class), err.message);
	if (took_ms > within_ms)
		fail_msg("after %lld ms: %s", (long long)took_ms, err.message);
}

static void test_not_ignite(void **state)
{
	(void)state;
	fails(greet_http, PA_ERROR_PERMANENT, "thin client port", 700);
	fails(greet_long, PA_ERROR_PERMANENT, "thin client port", 700);
	fails(greet_password, PA_ERROR_PERMANENT, "password is incorrect", 700);
	fails(greet_ancient, PA_ERROR_PERMANENT, "version 1.2.0", 700);
	fails(greet_silent, PA_ERROR_TRANSIENT, "no handshake within 500 ms", 2500);
	fails(greet_closed, PA_ERROR_TRANSIENT, "closed by the server", 2500);
}

/* An older server: refuses 1.7, takes 1.6 and its shorter handshake. */
static void greet_older(struct fake *fake, int fd)
{
	static const uint8_t answer[] = {18, 0, 0, 0, 1,  10, 1,  2,  3,  4,  5,
	                                 6,  7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	struct ignite_version version;
	int16_t op;
	int64_t id;

	if (!fake_hello(fake, fd, &version))
		return;
	if (version.minor != 6) {
		refuse(fake, fd, (struct ignite_version){1, 6, 0}, "Unsupported version", 1);
		return;
	}
	fake_write(fake, fd, answer, sizeof(answer));
	while (fake_request(fake, fd, &op, &id))
		fake_value(fake, fd, id, 3, 0);
}

static void test_older(void **state)
{
	struct fake fake = {.greet = greet_older};
	struct pa_ignite_cache cache = pa_ignite_cache("x");
	struct pa_ignite_key key = pa_ignite_key_long(1);
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite *ignite;
	uint8_t buffer[3];
	size_t bytes = 0;
	(void)state;

	fake_start(&fake);
	assert_int_equal(fake_open(&fake, (struct pa_ignite_options){0}, &ignite, &err), 0);
	assert_int_equal(pa_ignite_get(ignite, &cache, &key, buffer, 3, &bytes, after_ms(3000), &err), 0);
	assert_int_equal(bytes, 3);
	pa_ignite_close(ignite);
	fake_stop(&fake);
}

static int open_endpoint(const char *endpoint, struct pa_error *err)
{
	struct pa_ignite_options options = {
	    .endpoints = &endpoint, .endpoint_count = 1, .open_timeout_ns = 300 * PA_NS_PER_MS};
	struct pa_ignite *ignite;

	return pa_ignite_open(&options, &ignite, err);
}

static void test_endpoints(void **state)
{
	static const char *const bad[] = {"",           ":10800",  "host:", "host:0",
	                                  "host:70000", "host:1x", "[::1",  "[::1]x"};
	struct pa_ignite_options none = {0};
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite *ignite;
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (open_endpoint(bad[i], &err) != -(int)PA_ERROR_INPUT)
			fail_msg("endpoint \"%s\" is taken", bad[i]);
	assert_int_equal(pa_ignite_open(&none, &ignite, &err), -(int)PA_ERROR_INPUT);
	assert_int_equal(open_endpoint("127.0.0.1:1", &err), -(int)PA_ERROR_TRANSIENT);
	assert_non_null(strstr(err.message, "127.0.0.1:1: Connection refused"));
	assert_int_equal(open_endpoint("no-such-host.invalid", &err), -(int)PA_ERROR_TRANSIENT);
	assert_non_null(strstr(err.message, "no-such-host.invalid"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_not_ignite), cmocka_unit_test(test_older),
	                                   cmocka_unit_test(test_endpoints)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
