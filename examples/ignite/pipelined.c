/* SPDX-License-Identifier: Apache-2.0 */
/* Puts and gets many values with many requests under way at once, and says how fast that was.
 *
 *     cc pipelined.c $(pkg-config --cflags --libs libpa-ignite) -o pipelined
 *     ./pipelined HOST[:PORT] [VALUES [BYTES [DEPTH]]]
 *
 * Each of DEPTH lanes has a buffer and a request.  When a request is done, its lane submits the next from `done`: no
 * thread waits, and no value is copied on its way between the buffer and the socket. */
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <base/clock.h>
#include <ignite/ignite.h>

struct work {
	struct pa_ignite *ignite;
	struct pa_ignite_cache cache;
	enum pa_ignite_operation operation;
	long values;
	size_t bytes;
	atomic_long next;
	atomic_long failed;
	struct pa_error err; /* of one that failed */
	sem_t finished;      /* posted by each lane at its end */
};

struct lane {
	struct work *work;
	struct pa_ignite_request request;
	struct iovec piece;
	char *buffer;
};

static void fail(struct work *work, const struct pa_error *err)
{
	if (atomic_fetch_add(&work->failed, 1) == 0)
		work->err = *err;
}

static void submit_next(struct lane *lane)
{
	struct work *work = lane->work;
	struct pa_error err = PA_ERROR_INIT;
	long number = atomic_fetch_add(&work->next, 1);

	if (number >= work->values) {
		sem_post(&work->finished);
		return;
	}
	lane->request.key = pa_ignite_key_long(number);
	if (pa_ignite_submit(work->ignite, &lane->request, &err) < 0) {
		fail(work, &err);
		sem_post(&work->finished);
	}
}

static void done(struct pa_ignite_request *request)
{
	struct lane *lane = request->context;

	if (request->result < 0)
		fail(lane->work, &request->err);
	submit_next(lane);
}

static int run(struct work *work, enum pa_ignite_operation operation, struct lane *lanes, int depth)
{
	int64_t begin_ns = pa_clock_ns();
	clock_t cpu = clock();

	work->operation = operation;
	atomic_store(&work->next, 0);
	for (int i = 0; i < depth; i++) {
		lanes[i].request = (struct pa_ignite_request){.operation = operation,
		                                              .cache = work->cache,
		                                              .pieces = &lanes[i].piece,
		                                              .piece_count = 1,
		                                              .into = lanes[i].buffer,
		                                              .room = work->bytes,
		                                              .done = done,
		                                              .context = &lanes[i]};
		submit_next(&lanes[i]);
	}
	for (int i = 0; i < depth; i++)
		sem_wait(&work->finished);
	if (atomic_load(&work->failed) > 0) {
		fprintf(stderr, "%ld failed: %s\n", atomic_load(&work->failed), work->err.message);
		return 1;
	}
	double seconds = (double)(pa_clock_ns() - begin_ns) / 1e9;
	double megabytes = (double)work->values * (double)work->bytes / 1e6;
	printf("%s %ld values of %zu bytes: %.0f MB/s, %.0f a second, %.2f CPU seconds per GB\n",
	       operation == PA_IGNITE_PUT ? "put" : "got", work->values, work->bytes, megabytes / seconds,
	       (double)work->values / seconds, (double)(clock() - cpu) / CLOCKS_PER_SEC / megabytes * 1000);
	return 0;
}

int main(int argument_count, char **arguments)
{
	const char *endpoint = argument_count > 1 ? arguments[1] : "127.0.0.1";
	struct work work = {.values = argument_count > 2 ? atol(arguments[2]) : 200,
	                    .bytes = argument_count > 3 ? (size_t)atol(arguments[3]) : 1 << 20};
	int depth = argument_count > 4 ? atoi(arguments[4]) : 16;
	struct pa_ignite_options options = {.endpoints = &endpoint, .endpoint_count = 1};
	struct pa_ignite_cache_config config = PA_IGNITE_CACHE_CONFIG_INIT;
	struct pa_error err = PA_ERROR_INIT;

	config.name = "pipelined";
	work.cache = pa_ignite_cache(config.name);
	sem_init(&work.finished, 0, 0);
	if (pa_ignite_open(&options, &work.ignite, &err) < 0 ||
	    pa_ignite_cache_create(work.ignite, &config, true, 0, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	struct lane *lanes = calloc((size_t)depth, sizeof(*lanes));
	for (int i = 0; i < depth; i++) {
		lanes[i].work = &work;
		lanes[i].buffer = calloc(1, work.bytes + 1);
		lanes[i].piece = (struct iovec){.iov_base = lanes[i].buffer, .iov_len = work.bytes};
	}
	int failed = run(&work, PA_IGNITE_PUT, lanes, depth) || run(&work, PA_IGNITE_GET, lanes, depth);
	pa_ignite_close(work.ignite);
	for (int i = 0; i < depth; i++)
		free(lanes[i].buffer);
	free(lanes);
	return failed;
}
