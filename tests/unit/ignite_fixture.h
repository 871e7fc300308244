/* SPDX-License-Identifier: Apache-2.0 */
/* A server that speaks just enough of the thin protocol to lie in it.  One thread takes connections one after the other,
 * shakes hands, and hands each to the test's `serve`. */
#ifndef TESTS_IGNITE_FIXTURE_H
#define TESTS_IGNITE_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ignite/codec.h"
#include "ignite/ignite.h"

struct fake {
	int listener;
	int port;
	pthread_t thread;
	atomic_int stopped;
	atomic_int accepted;
	void (*greet)(struct fake *fake, int fd); /* NULL: a proper handshake */
	void (*serve)(struct fake *fake, int fd);
	atomic_int step; /* the test's own */
	uint8_t *kept;
	size_t kept_bytes;
};

static bool fake_read(struct fake *fake, int fd, void *into, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		if (atomic_load(&fake->stopped))
			return false;
		if (poll(&poll_fd, 1, 20) == 0)
			continue;
		ssize_t got = recv(fd, (char *)into + done, bytes - done, 0);
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

static void fake_write(struct fake *fake, int fd, const void *data, size_t bytes)
{
	size_t done = 0;

	while (done < bytes && !atomic_load(&fake->stopped)) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
		if (poll(&poll_fd, 1, 20) == 0)
			continue;
		ssize_t sent = send(fd, (const char *)data + done, bytes - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EAGAIN)
			return;
		done += sent > 0 ? (size_t)sent : 0;
	}
}

static void fake_head(struct fake *fake, int fd, int64_t id, size_t body_bytes)
{
	uint8_t head[14];
	struct ignite_writer writer = {.data = head, .room = sizeof(head)};

	ignite_write_i32(&writer, (int32_t)(body_bytes + 10));
	ignite_write_i64(&writer, id);
	ignite_write_i16(&writer, 0);
	fake_write(fake, fd, head, sizeof(head));
}

/* One request: its operation and id; the rest is kept in fake->kept.  Partition maps, which the client asks for by
 * itself, are answered here: there are none. */
static bool fake_request(struct fake *fake, int fd, int16_t *ret_op, int64_t *ret_id)
{
	static const uint8_t no_map[16] = {1};
	uint8_t head[IGNITE_FRAME_HEAD_BYTES];

	for (;;) {
		if (!fake_read(fake, fd, head, sizeof(head)))
			return false;
		struct ignite_reader reader = ignite_reader(head, sizeof(head));
		size_t bytes = (size_t)ignite_read_i32(&reader) - (sizeof(head) - 4);
		*ret_op = ignite_read_i16(&reader);
		*ret_id = ignite_read_i64(&reader);
		fake->kept = realloc(fake->kept, bytes + 1);
		fake->kept_bytes = bytes;
		if (!fake_read(fake, fd, fake->kept, bytes))
			return false;
		if (*ret_op != IGNITE_OP_PARTITIONS)
			return true;
		fake_head(fake, fd, *ret_id, sizeof(no_map));
		fake_write(fake, fd, no_map, sizeof(no_map));
	}
}

static void fake_value_head(struct fake *fake, int fd, int64_t id, size_t bytes)
{
	uint8_t head[5];
	struct ignite_writer writer = {.data = head, .room = sizeof(head)};

	fake_head(fake, fd, id, bytes + 5);
	ignite_write_u8(&writer, 12);
	ignite_write_i32(&writer, (int32_t)bytes);
	fake_write(fake, fd, head, sizeof(head));
}

static void fake_pattern(uint8_t *out, size_t bytes, unsigned seed)
{
	for (size_t i = 0; i < bytes; i++)
		out[i] = (uint8_t)(i * 7 + (i >> 8) + seed);
}

static void fake_value(struct fake *fake, int fd, int64_t id, size_t bytes, unsigned seed)
{
	uint8_t *value = malloc(bytes + 1);

	fake_pattern(value, bytes, seed);
	fake_value_head(fake, fd, id, bytes);
	fake_write(fake, fd, value, bytes);
	free(value);
}

/* Accepts with no features: no discovery, no heartbeats. */
static void fake_accept(struct fake *fake, int fd)
{
	static const uint8_t answer[] = {23, 0, 0, 0, 1, 12, 0,  0,  0,  0,  10, 1,  2, 3,
	                                 4,  5, 6, 7, 8, 9,  10, 11, 12, 13, 14, 15, 16};

	fake_write(fake, fd, answer, sizeof(answer));
}

static bool fake_hello(struct fake *fake, int fd, struct ignite_version *ret)
{
	uint8_t length[4];
	uint8_t body[64];

	if (!fake_read(fake, fd, length, 4) || length[0] > sizeof(body) ||
	    !fake_read(fake, fd, body, length[0]))
		return false;
	struct ignite_reader reader = ignite_reader(body + 1, 6);
	ret->major = ignite_read_i16(&reader);
	ret->minor = ignite_read_i16(&reader);
	ret->patch = ignite_read_i16(&reader);
	return true;
}

static void *fake_thread(void *argument)
{
	struct fake *fake = argument;

	while (!atomic_load(&fake->stopped)) {
		struct pollfd poll_fd = {.fd = fake->listener, .events = POLLIN};
		struct ignite_version version;
		if (poll(&poll_fd, 1, 20) <= 0)
			continue;
		int fd = accept(fake->listener, NULL, NULL);
		atomic_fetch_add(&fake->accepted, 1);
		if (fake->greet != NULL) {
			fake->greet(fake, fd);
		} else if (fake_hello(fake, fd, &version)) {
			fake_accept(fake, fd);
			fake->serve(fake, fd);
		}
		close(fd);
	}
	return NULL;
}

static void fake_start(struct fake *fake)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t bytes = sizeof(address);

	fake->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fake->listener, (struct sockaddr *)&address, bytes), 0);
	assert_int_equal(listen(fake->listener, 16), 0);
	assert_int_equal(getsockname(fake->listener, (struct sockaddr *)&address, &bytes), 0);
	fake->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&fake->thread, NULL, fake_thread, fake), 0);
}

static void fake_stop(struct fake *fake)
{
	atomic_store(&fake->stopped, 1);
	pthread_join(fake->thread, NULL);
	close(fake->listener);
	free(fake->kept);
}

/* One connection, short times. */
static int fake_open(struct fake *fake, struct pa_ignite_options options, struct pa_ignite **ret,
                     struct pa_error *err)
{
	char endpoint[32];
	const char *endpoints[] = {endpoint};

	snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%d", fake->port);
	options.endpoints = endpoints;
	options.endpoint_count = 1;
	options.connections_per_node = 1;
	options.connect_timeout_ns = 500 * PA_NS_PER_MS;
	options.open_timeout_ns = PA_NS_PER_SECOND;
	options.reconnect_min_ns = 5 * PA_NS_PER_MS;
	options.reconnect_max_ns = 20 * PA_NS_PER_MS;
	return pa_ignite_open(&options, ret, err);
}

static int64_t after_ms(int64_t ms)
{
	return pa_clock_deadline(ms * PA_NS_PER_MS);
}

static inline void wait_for_step(struct fake *fake, int step)
{
	int64_t deadline_ns = after_ms(5000);

	while (atomic_load(&fake->step) < step && pa_clock_ns() < deadline_ns)
		usleep(1000);
	assert_true(atomic_load(&fake->step) >= step);
}

#endif
