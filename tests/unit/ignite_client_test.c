/* SPDX-License-Identifier: Apache-2.0 */
/* The client against a server that is late, lies, breaks off, or is none. */
#include "ignite_fixture.h"

#include <semaphore.h>

static const struct pa_ignite_cache some_cache = {.id = 1};

static int get(struct pa_ignite *ignite, int64_t key, void *into, size_t room, size_t *bytes, int64_t ms,
               struct pa_error *err)
{
	struct pa_ignite_key wanted = pa_ignite_key_long(key);

	return pa_ignite_get(ignite, &some_cache, &wanted, into, room, bytes, after_ms(ms), err);
}

static int64_t asked_key(const struct fake *fake)
{
	struct ignite_reader reader = ignite_reader(fake->kept + 6, 8);

	return ignite_read_i64(&reader);
}

/* The value of key n has n bytes; answers come in pairs, the later first, and piece by piece for small ones. */
static void serve_pairs(struct fake *fake, int fd)
{
	int64_t ids[2];
	int64_t keys[2];
	int16_t op;

	for (;;) {
		for (int i = 0; i < 2; i++) {
			if (!fake_request(fake, fd, &op, &ids[i]))
				return;
			keys[i] = asked_key(fake);
		}
		for (int i = 1; i >= 0; i--)
			fake_value(fake, fd, ids[i], (size_t)keys[i], (unsigned)keys[i]);
	}
}

struct transfer {
	struct pa_ignite_request request;
	sem_t *done;
	uint8_t *buffer;
};

static void transfer_done(struct pa_ignite_request *request)
{
	sem_post(((struct transfer *)request->context)->done);
}

static void test_out_of_order(void **state)
{
	static const size_t sizes[] = {0, 1, 3000, 65535, 65536, 70000, 1 << 20, 100, 2 << 20, 5};
	struct fake fake = {.serve = serve_pairs};
	struct transfer transfers[10];
	struct pa_ignite *ignite;
	struct pa_error err = PA_ERROR_INIT;
	uint8_t *wanted = malloc(2 << 20);
	sem_t done;
	(void)state;

	fake_start(&fake);
	sem_init(&done, 0, 0);
	assert_int_equal(fake_open(&fake, (struct pa_ignite_options){0}, &ignite, &err), 0);
	for (int i = 0; i < 10; i++) {
		transfers[i] = (struct transfer){.done = &done, .buffer = malloc(sizes[i] + 1)};
		transfers[i].request =
		    (struct pa_ignite_request){.operation = PA_IGNITE_GET,
		                               .cache = some_cache,
		                               .key = pa_ignite_key_long((int64_t)sizes[i]),
		                               .into = transfers[i].buffer,
		                               .room = sizes[i],
		                               .done = transfer_done,
		                               .context = &transfers[i]};
		assert_int_equal(pa_ignite_submit(ignite, &transfers[i].request, &err), 0);
	}
	for (int i = 0; i < 10; i++)
		sem_wait(&done);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(transfers[i].request.result, 0);
		assert_int_equal(transfers[i].request.value_bytes, sizes[i]);
		fake_pattern(wanted, sizes[i], (unsigned)sizes[i]);
		assert_memory_equal(transfers[i].buffer, wanted, sizes[i]);
		free(transfers[i].buffer);
	}
	pa_ignite_close(ignite);
	fake_stop(&fake);
	free(wanted);
}

/* ---- Lies ---- */

static const struct {
	const char *bytes; /* of a frame: length, id (patched), flags, body */
	size_t count;
	bool whole; /* the id is as it is here */
	enum pa_error_class class;
	const char *says;
} lies[] = {
    {"\xff\xff\xff\x7f\0\0\0\0\0\0\0\0\0\0", 14, false, PA_ERROR_TRANSIENT, "a frame of 2147483647 bytes"},
    {"\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0", 14, false, PA_ERROR_TRANSIENT, "a frame of -1 bytes"},
    {"\x09\0\0\0\0\0\0\0\0\0\0\0\0\0", 14, false, PA_ERROR_TRANSIENT, "a frame of 9 bytes"},
    {"\x0b\0\0\0\x63\0\0\0\0\0\0\0\0\0\x65", 15, true, PA_ERROR_TRANSIENT, "an answer to no request"},
    {"\x0b\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\x65", 15, true, PA_ERROR_TRANSIENT,
     "an answer to no request"},
    {"\x0b\0\0\0\0\0\0\0\0\0\0\0\0\x08\x65", 15, false, PA_ERROR_TRANSIENT, "unknown flags"},
    {"\x0b\0\0\0\0\0\0\0\0\0\0\0\x02\0\x65", 15, false, PA_ERROR_TRANSIENT, "shorter than its own head"},
    {"\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0", 14, false, PA_ERROR_PERMANENT, "no value at all"},
    {"\x0c\0\0\0\0\0\0\0\0\0\0\0\0\0\x65\x65", 16, false, PA_ERROR_PERMANENT, "bytes behind a null"},
    {"\x0f\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\0\0\0\0", 19, false, PA_ERROR_PERMANENT, "type code 9"},
    {"\x0f\0\0\0\0\0\0\0\0\0\0\0\0\0\x0c\xff\xff\xff\x7f", 19, false, PA_ERROR_PERMANENT,
     "not that of its frame"},
    {"\x0f\0\0\0\0\0\0\0\0\0\0\0\x01\0\xe8\x03\0\0\x65", 19, false, PA_ERROR_NOT_FOUND, "status 1000"},
    {"\x0f\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\x65", 19, false, PA_ERROR_PERMANENT, "without status"},
    {"\x0b\0\0\0\0\0\0\0\0\0\0\0\0\0\x65", 15, false, PA_ERROR_NOT_FOUND, "no such key"},
};

static void serve_lie(struct fake *fake, int fd)
{
	uint8_t frame[64];
	int16_t op;
	int64_t id;

	while (fake_request(fake, fd, &op, &id)) {
		int64_t which = asked_key(fake);
		struct ignite_writer writer = {.data = frame, .room = 12, .length = 4};
		memcpy(frame, lies[which].bytes, lies[which].count);
		if (!lies[which].whole)
			ignite_write_i64(&writer, id);
		fake_write(fake, fd, frame, lies[which].count);
	}
}

static void test_lies(void **state)
{
	struct fake fake = {.serve = serve_lie};
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite *ignite;
	uint8_t buffer[8];
	size_t bytes;
	(void)state;

	fake_start(&fake);
	assert_int_equal(fake_open(&fake, (struct pa_ignite_options){0}, &ignite, &err), 0);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		int result = get(ignite, (int64_t)i, buffer, sizeof(buffer), &bytes, 3000, &err);
		if (result != -(int)lies[i].class || strstr(err.message, lies[i].says) == NULL)
			fail_msg("lie %zu: %s: %s", i, pa_error_class_name(err.class), err.message);
	}
	pa_ignite_close(ignite);
	fake_stop(&fake);
}

/* Breaks off in the middle of a value: the read is sent again, PA_IGNITE_MAX_SENDS times in all. */
static void serve_half(struct fake *fake, int fd)
{
	static const uint8_t half[500];
	int16_t op;
	int64_t id;

	if (!fake_request(fake, fd, &op, &id))
		return;
	if (atomic_fetch_add(&fake->step, 1) == 2 && asked_key(fake) == 1000) {
		fake_value(fake, fd, id, 1000, 9);
		atomic_store(&fake->step, 100);
		fake_request(fake, fd, &op, &id);
		return;
	}
	fake_value_head(fake, fd, id, 1000);
	fake_write(fake, fd, half, sizeof(half));
}

static void test_broken_off(void **state)
{
	struct fake fake = {.serve = serve_half};
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite_key key = pa_ignite_key_long(1);
	struct pa_ignite_request put = {.operation = PA_IGNITE_PUT, .cache = some_cache, .key = key};
	struct pa_ignite *ignite;
	uint8_t buffer[1000];
	uint8_t wanted[1000];
	size_t bytes;
	(void)state;

	fake_start(&fake);
	assert_int_equal(fake_open(&fake, (struct pa_ignite_options){0}, &ignite, &err), 0);
	assert_int_equal(get(ignite, 1000, buffer, sizeof(buffer), &bytes, 5000, &err), 0);
	fake_pattern(wanted, 1000, 9);
	assert_memory_equal(buffer, wanted, 1000);
	assert_int_equal(get(ignite, 1001, buffer, sizeof(buffer), &bytes, 5000, &err),
	                 -(int)PA_ERROR_TRANSIENT);
	assert_non_null(strstr(err.message, "connection lost"));
	/* A write is not sent again: nobody knows whether it was done. */
	assert_int_equal(pa_ignite_call(ignite, &put, &err), -(int)PA_ERROR_TRANSIENT);
	assert_true(put.maybe_done);
	pa_ignite_close(ignite);
	fake_stop(&fake);
}

/* ---- Late, cancelled ---- */

/* The first answer waits for step 2, in the middle of its value. */
static void serve_late(struct fake *fake, int fd)
{
	uint8_t *value = malloc(1 << 20);
	int16_t op;
	int64_t id;

	memset(value, 'x', 1 << 20);
	while (fake_request(fake, fd, &op, &id)) {
		fake_value_head(fake, fd, id, 1 << 20);
		fake_write(fake, fd, value, 1 << 19);
		if (atomic_load(&fake->step) == 0) {
			atomic_store(&fake->step, 1);
			while (atomic_load(&fake->step) < 2 && !atomic_load(&fake->stopped))
				usleep(1000);
		}
		fake_write(fake, fd, value, 1 << 19);
	}
	free(value);
}

static void test_late(void **state)
{
	struct fake fake = {.serve = serve_late};
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite_stats stats;
	struct pa_ignite *ignite;
	uint8_t *first = malloc(1 << 20);
	uint8_t *second = malloc(1 << 20);
	size_t bytes;
	(void)state;

	fake_start(&fake);
	assert_int_equal(fake_open(&fake, (struct pa_ignite_options){0}, &ignite, &err), 0);
	assert_int_equal(get(ignite, 1, first, 1 << 20, &bytes, 100, &err), -(int)PA_ERROR_DEADLINE);
	assert_non_null(strstr(err.message, "no answer within"));
	memset(first, 'y', 1 << 20); /* ours again */
	atomic_store(&fake.step, 2);
	assert_int_equal(get(ignite, 1, second, 1 << 20, &bytes, 5000, &err), 0);
	assert_true(first[0] == 'y' && first[(1 << 20) - 1] == 'y' && second[0] == 'x');
	pa_ignite_stats(ignite, &stats);
	assert_int_equal(stats.connections_opened, 1);
	pa_ignite_close(ignite);
	fake_stop(&fake);
	free(first);
	free(second);
}

static void test_cancel_get(void **state)
{
	struct fake fake = {.serve = serve_late};
	struct pa_error err = PA_ERROR_INIT;
	sem_t done;
	struct transfer transfer = {.done = &done, .buffer = malloc(1 << 20)};
	struct pa_ignite *ignite;
	size_t bytes;
	(void)state;

	fake_start(&fake);
	sem_init(&done, 0, 0);
	assert_int_equal(fake_open(&fake, (struct pa_ignite_options){0}, &ignite, &err), 0);
	transfer.request = (struct pa_ignite_request){.operation = PA_IGNITE_GET,
	                                              .cache = some_cache,
	                                              .key = pa_ignite_key_long(1),
	                                              .into = transfer.buffer,
	                                              .room = 1 << 20,
	                                              .done = transfer_done,
	                                              .context = &transfer};
	assert_int_equal(pa_ignite_submit(ignite, &transfer.request, &err), 0);
	wait_for_step(&fake, 1);
	pa_ignite_cancel(ignite, &transfer.request);
	sem_wait(&done);
	assert_int_equal(transfer.request.result, -(int)PA_ERROR_CANCELLED);
	pa_ignite_cancel(ignite, &transfer.request); /* harmless */
	free(transfer.buffer);
	atomic_store(&fake.step, 2);
	transfer.buffer = malloc(1 << 20);
	assert_int_equal(get(ignite, 1, transfer.buffer, 1 << 20, &bytes, 5000, &err), 0);
	free(transfer.buffer);
	pa_ignite_close(ignite);
	fake_stop(&fake);
}

#define LARGE ((size_t)24 << 20)

/* Reads nothing until step 1, then keeps what was put. */
static void serve_slow_reader(struct fake *fake, int fd)
{
	int16_t op;
	int64_t id;

	while (atomic_load(&fake->step) < 1 && !atomic_load(&fake->stopped))
		usleep(1000);
	while (fake_request(fake, fd, &op, &id)) {
		uint8_t *wanted = malloc(LARGE);
		fake_pattern(wanted, LARGE, 3);
		bool same = fake->kept_bytes == LARGE + 19 && memcmp(fake->kept + 19, wanted, LARGE) == 0;
		free(wanted);
		fake_head(fake, fd, id, 0);
		atomic_store(&fake->step, same ? 2 : 3);
	}
}

static void test_cancel_put(void **state)
{
	struct fake fake = {.serve = serve_slow_reader};
	struct pa_error err = PA_ERROR_INIT;
	sem_t done;
	struct transfer transfer = {.done = &done, .buffer = malloc(LARGE)};
	struct iovec piece = {.iov_base = transfer.buffer, .iov_len = LARGE};
	struct pa_ignite *ignite;
	(void)state;

	fake_start(&fake);
	sem_init(&done, 0, 0);
	fake_pattern(transfer.buffer, LARGE, 3);
	assert_int_equal(fake_open(&fake, (struct pa_ignite_options){0}, &ignite, &err), 0);
	transfer.request = (struct pa_ignite_request){.operation = PA_IGNITE_PUT,
	                                              .cache = some_cache,
	                                              .key = pa_ignite_key_long(1),
	                                              .pieces = &piece,
	                                              .piece_count = 1,
	                                              .done = transfer_done,
	                                              .context = &transfer};
	assert_int_equal(pa_ignite_submit(ignite, &transfer.request, &err), 0);
	usleep(200000); /* the socket is full, the frame half sent */
	pa_ignite_cancel(ignite, &transfer.request);
	sem_wait(&done);
	assert_int_equal(transfer.request.result, -(int)PA_ERROR_CANCELLED);
	assert_true(transfer.request.maybe_done);
	memset(transfer.buffer, 0, LARGE);
	free(transfer.buffer);
	atomic_store(&fake.step, 1);
	wait_for_step(&fake, 2);
	assert_int_equal(atomic_load(&fake.step), 2); /* what arrived is what was put, not what came after */
	pa_ignite_close(ignite);
	fake_stop(&fake);
}

/* ---- Limits ---- */

static void serve_nothing(struct fake *fake, int fd)
{
	int16_t op;
	int64_t id;

	while (fake_request(fake, fd, &op, &id))
		atomic_fetch_add(&fake->step, 1);
}

static void test_back_pressure(void **state)
{
	struct fake fake = {.serve = serve_nothing};
	struct pa_error err = PA_ERROR_INIT;
	sem_t done;
	struct transfer transfers[4];
	struct pa_ignite *ignite;
	uint8_t buffer[8];
	size_t bytes;
	(void)state;

	fake_start(&fake);
	sem_init(&done, 0, 0);
	struct pa_ignite_options options = {.max_requests = 4, .depth = 2};
	assert_int_equal(fake_open(&fake, options, &ignite, &err), 0);
	for (int i = 0; i < 4; i++) {
		transfers[i].done = &done;
		transfers[i].request = (struct pa_ignite_request){.operation = PA_IGNITE_CONTAINS,
		                                                  .cache = some_cache,
		                                                  .key = pa_ignite_key_long(i),
		                                                  .done = transfer_done,
		                                                  .context = &transfers[i]};
		assert_int_equal(pa_ignite_submit(ignite, &transfers[i].request, &err), 0);
	}
	assert_int_equal(get(ignite, 1, buffer, 8, &bytes, 100, &err), -(int)PA_ERROR_DEADLINE);
	assert_non_null(strstr(err.message, "max_requests"));
	wait_for_step(&fake, 2);
	usleep(50000);
	assert_int_equal(atomic_load(&fake.step), 2); /* no more than `depth` on the connection */
	pa_ignite_cancel(ignite, &transfers[3].request);
	sem_wait(&done);
	assert_int_equal(get(ignite, 1, buffer, 8, &bytes, 100, &err), -(int)PA_ERROR_DEADLINE);
	assert_non_null(strstr(err.message, "no place on a connection"));
	pa_ignite_close(ignite); /* ends the three that are under way */
	for (int i = 0; i < 3; i++) {
		sem_wait(&done);
		assert_int_equal(transfers[i].request.result, -(int)PA_ERROR_CANCELLED);
	}
	fake_stop(&fake);
}

static void test_silence(void **state)
{
	struct fake fake = {.serve = serve_nothing};
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite_key key = pa_ignite_key_long(1);
	struct pa_ignite_options options = {.silence_ns = 200 * PA_NS_PER_MS};
	struct pa_ignite *ignite;
	bool there;
	(void)state;

	fake_start(&fake);
	assert_int_equal(fake_open(&fake, options, &ignite, &err), 0);
	assert_int_equal(pa_ignite_remove(ignite, &some_cache, &key, &there, after_ms(5000), &err),
	                 -(int)PA_ERROR_TRANSIENT);
	assert_non_null(strstr(err.message, "given up"));
	pa_ignite_close(ignite);
	fake_stop(&fake);
}

static void test_refused_input(void **state)
{
	struct fake fake = {.serve = serve_nothing};
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite_key key = pa_ignite_key_text("\xff", 1);
	struct pa_ignite_options options = {.max_value_bytes = 10};
	struct pa_ignite *ignite;
	(void)state;

	fake_start(&fake);
	assert_int_equal(fake_open(&fake, options, &ignite, &err), 0);
	assert_int_equal(pa_ignite_put(ignite, &some_cache, &key, "x", 1, 0, &err), -(int)PA_ERROR_INPUT);
	key = pa_ignite_key_long(1);
	assert_int_equal(pa_ignite_put(ignite, &some_cache, &key, "12345678901", 11, 0, &err),
	                 -(int)PA_ERROR_INPUT);
	assert_non_null(strstr(err.message, "max_value_bytes is 10"));
	assert_int_equal(pa_ignite_cache_destroy(ignite, "", 0, &err), -(int)PA_ERROR_INPUT);
	pa_ignite_close(ignite);
	fake_stop(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_out_of_order),  cmocka_unit_test(test_lies),
	    cmocka_unit_test(test_broken_off),    cmocka_unit_test(test_late),
	    cmocka_unit_test(test_cancel_get),    cmocka_unit_test(test_cancel_put),
	    cmocka_unit_test(test_back_pressure), cmocka_unit_test(test_silence),
	    cmocka_unit_test(test_refused_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
