/* SPDX-License-Identifier: Apache-2.0 */
/* Puts and gets for a while, from several threads, while somebody kills nodes.  A value that is not the one of its key,
 * or a call that ends later than its deadline allows, is a failure; errors and misses are counted.
 * usage: ignite_traffic ENDPOINT[,ENDPOINT...] SECONDS THREADS */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ignite/ignite.h"

#define KEYS           2000
#define MAX_BYTES      65536
#define DEADLINE_NS    (3 * PA_NS_PER_SECOND)
#define LATE_NS        (DEADLINE_NS + PA_NS_PER_SECOND)
#define CLASS_COUNT    (PA_ERROR_BUG + 1)
#define RETRY_PAUSE_NS (20 * PA_NS_PER_MS)

static struct pa_ignite *ignite;
static struct pa_ignite_cache cache;
static int64_t end_ns;
static atomic_uint_least64_t stored, fetched, misses, wrong, late, slowest_ns, failures[CLASS_COUNT];
static pthread_mutex_t last_lock = PTHREAD_MUTEX_INITIALIZER;
static char last_message[PA_ERROR_MESSAGE_BYTES];

static uint64_t mix(uint64_t value)
{
	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

/* The value of a key follows from the key. */
static size_t fill_value(uint8_t *out, uint64_t key)
{
	size_t bytes = 1 + mix(key) % MAX_BYTES;

	for (size_t i = 0; i < bytes; i++)
		out[i] = (uint8_t)(key * 13 + i * 7 + (i >> 8));
	return bytes;
}

static struct pa_ignite_key make_key(uint64_t key, char text[32])
{
	if (key % 3 == 0)
		return pa_ignite_key_long((int64_t)key);
	if (key % 3 == 1)
		return pa_ignite_key_uuid(mix(key), key);
	return pa_ignite_key_text(text, (size_t)sprintf(text, "key-%" PRIu64, key));
}

static void note(int result, const struct pa_error *err, int64_t begin_ns)
{
	uint64_t took_ns = (uint64_t)(pa_clock_ns() - begin_ns);
	uint64_t slowest = slowest_ns;

	while (took_ns > slowest && !atomic_compare_exchange_weak(&slowest_ns, &slowest, took_ns))
		;
	late += took_ns > LATE_NS;
	if (result == 0)
		return;
	failures[err->class]++;
	pthread_mutex_lock(&last_lock);
	memcpy(last_message, err->message, sizeof(last_message));
	pthread_mutex_unlock(&last_lock);
	pa_clock_sleep_until(pa_clock_deadline(RETRY_PAUSE_NS), NULL);
}

static void *run(void *argument)
{
	uint64_t random = mix((uint64_t)(uintptr_t)argument + 1);
	uint8_t *wanted = malloc(MAX_BYTES);
	uint8_t *got = malloc(MAX_BYTES);

	while (pa_clock_ns() < end_ns) {
		struct pa_error err = PA_ERROR_INIT;
		char text[32];
		random = mix(random + UINT64_C(0x9e3779b97f4a7c15));
		uint64_t number = random % KEYS;
		struct pa_ignite_key key = make_key(number, text);
		size_t bytes = fill_value(wanted, number);
		int64_t begin_ns = pa_clock_ns();
		if (random >> 60 < 6) {
			int result =
			    pa_ignite_put(ignite, &cache, &key, wanted, bytes, begin_ns + DEADLINE_NS, &err);
			stored += result == 0;
			note(result, &err, begin_ns);
			continue;
		}
		size_t got_bytes = 0;
		int result = pa_ignite_get(ignite, &cache, &key, got, MAX_BYTES, &got_bytes,
		                           begin_ns + DEADLINE_NS, &err);
		fetched += result == 0;
		wrong += result == 0 && (got_bytes != bytes || memcmp(got, wanted, bytes) != 0);
		misses += result == -(int)PA_ERROR_NOT_FOUND;
		note(result == -(int)PA_ERROR_NOT_FOUND ? 0 : result, &err, begin_ns);
	}
	free(wanted);
	free(got);
	return NULL;
}

static void report(void)
{
	struct pa_ignite_stats stats;
	uint64_t failed = 0;

	pa_ignite_stats(ignite, &stats);
	for (int i = 0; i < CLASS_COUNT; i++)
		failed += failures[i];
	printf("{\"puts\": %" PRIu64 ", \"gets\": %" PRIu64 ", \"misses\": %" PRIu64 ", \"failed\": %" PRIu64
	       ", \"transient\": %" PRIu64 ", \"deadline\": %" PRIu64 ", \"wrong\": %" PRIu64
	       ", \"late\": %" PRIu64 ", \"slowest_ms\": %" PRIu64 ", \"sent_again\": %" PRIu64
	       ", \"connections_lost\": %" PRIu64 ", \"to_primary\": %" PRIu64 ", \"to_any\": %" PRIu64
	       ", \"maps\": %" PRIu64 "}\n",
	       stored, fetched, misses, failed, failures[PA_ERROR_TRANSIENT], failures[PA_ERROR_DEADLINE],
	       wrong, late, (uint64_t)slowest_ns / 1000000, stats.sent_again, stats.connections_lost,
	       stats.to_primary, stats.to_any, stats.maps);
	if (failed > 0)
		fprintf(stderr, "the last failure: %s\n", last_message);
}

int main(int argument_count, char **arguments)
{
	const char *endpoints[16];
	struct pa_ignite_options options = {.endpoints = endpoints, .silence_ns = 5 * PA_NS_PER_SECOND};
	struct pa_error err = PA_ERROR_INIT;
	pthread_t threads[64];

	if (argument_count != 4)
		return 2;
	int thread_count = atoi(arguments[3]) < 64 ? atoi(arguments[3]) : 64;
	for (char *at = strtok(arguments[1], ","); at != NULL && options.endpoint_count < 16;
	     at = strtok(NULL, ","))
		endpoints[options.endpoint_count++] = at;
	if (pa_ignite_open(&options, &ignite, &err) < 0 ||
	    pa_ignite_cache_create_named(ignite, "traffic", true, 0, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	cache = pa_ignite_cache("traffic");
	end_ns = pa_clock_deadline(atoi(arguments[2]) * PA_NS_PER_SECOND);
	for (int i = 0; i < thread_count; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)(intptr_t)i) != 0)
			return 1;
	for (int i = 0; i < thread_count; i++)
		pthread_join(threads[i], NULL);
	report();
	pa_ignite_close(ignite);
	return wrong > 0 || late > 0 ? 1 : 0;
}
