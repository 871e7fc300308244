/* SPDX-License-Identifier: Apache-2.0 */
/* Values exchanged with the official client, and limits of a node.
 * usage: ignite_exchange ENDPOINT[,ENDPOINT...] WHAT ARGUMENT
 *   write CACHE      what the official client's `check` reads
 *   check CACHE      what the official client's `write` wrote
 *   full REGION      puts until the region refuses: the node lives, and what is in stays
 *   idle MS          nothing for so long: a node with an idle time-out keeps the connections all the same */
#include "service.h"

static const size_t sizes[] = {0, 1, 100, 4096, 70000, 1048576};
#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))
#define KEY_COUNT  6

static struct pa_ignite_key make_key(unsigned index, size_t size, char text[128])
{
	switch (index) {
	case 0:
		return pa_ignite_key_long((int64_t)size);
	case 1:
		return pa_ignite_key_long(-1 - (int64_t)size);
	case 2:
		return pa_ignite_key_long((int64_t)(UINT64_C(0x123456789abcdef) * (size + 1)));
	case 3:
		return pa_ignite_key_uuid(UINT64_C(0x0123456789abcdef) + size,
		                          UINT64_C(0xfedcba9876543210) - size);
	case 4:
		return pa_ignite_key_text(text, (size_t)sprintf(text, "plain/%zu", size));
	default:
		return pa_ignite_key_text(
		    text,
		    (size_t)sprintf(text, "schl\xc3\xbcssel \xc3\xa9\xe4\xb8\xad\xf0\x9f\x9a\x80/%zu", size));
	}
}

static void for_official(const char *name, bool write)
{
	struct pa_ignite_cache cache = pa_ignite_cache(name);
	struct pa_error err = PA_ERROR_INIT;
	uint8_t *wanted = malloc(1 << 20);
	uint8_t *got = malloc(1 << 20);
	char text[128];
	size_t bytes;

	if (write)
		REQUIRE(pa_ignite_cache_create_named(ignite, name, true, 0, &err) == 0, "%s", err.message);
	for (size_t i = 0; i < SIZE_COUNT; i++) {
		fill_pattern(wanted, sizes[i]);
		for (unsigned j = 0; j < KEY_COUNT; j++) {
			struct pa_ignite_key key = make_key(j, sizes[i], text);
			if (write) {
				REQUIRE(pa_ignite_put(ignite, &cache, &key, wanted, sizes[i], 0, &err) == 0,
				        "%s", err.message);
				continue;
			}
			REQUIRE(pa_ignite_get(ignite, &cache, &key, got, 1 << 20, &bytes, 0, &err) == 0,
			        "key %u of %zu: %s", j, sizes[i], err.message);
			REQUIRE(bytes == sizes[i] && memcmp(got, wanted, bytes) == 0, "key %u of %zu", j,
			        sizes[i]);
		}
	}
	free(wanted);
	free(got);
	ok(write ? "written for the official client" : "read what the official client wrote");
}

static void test_full(const char *region)
{
	struct pa_ignite_cache_config config = PA_IGNITE_CACHE_CONFIG_INIT;
	struct pa_ignite_cache cache = pa_ignite_cache("filled");
	struct pa_error err = PA_ERROR_INIT;
	size_t bytes = 1 << 20;
	uint8_t *value = calloc(1, bytes);
	int64_t number = 0;
	int64_t refused = 0;

	config.name = "filled";
	config.data_region = region;
	REQUIRE(pa_ignite_cache_create(ignite, &config, true, 0, &err) == 0, "%s", err.message);
	while (refused < 3 && number < 1000) {
		struct pa_ignite_key key = pa_ignite_key_long(number++);
		int result = pa_ignite_put(ignite, &cache, &key, value, bytes, 0, &err);
		REQUIRE(result == 0 || result == -(int)PA_ERROR_NO_SPACE, "%s: %s",
		        pa_error_class_name(err.class), err.message);
		refused += result != 0;
	}
	REQUIRE(refused == 3, "%" PRId64 " MiB and no end", number);
	struct pa_ignite_key first = pa_ignite_key_long(0);
	REQUIRE(pa_ignite_get(ignite, &cache, &first, value, bytes, &bytes, 0, &err) == 0, "%s", err.message);
	fprintf(stderr, "# %" PRId64 " MiB went in; then: %.200s\n", number - 3, err.message);
	REQUIRE(pa_ignite_cache_destroy(ignite, "filled", 0, &err) == 0, "%s", err.message);
	free(value);
	ok("a full region refuses, and nothing else happens");
}

static void test_idle(int64_t ms)
{
	struct pa_ignite_stats stats;

	sleep_ms(ms);
	pa_ignite_stats(ignite, &stats);
	REQUIRE(stats.connections_lost == 0, "%" PRIu64 " connections lost", stats.connections_lost);
	ok("heartbeats keep idle connections");
}

int main(int argument_count, char **arguments)
{
	if (argument_count != 4)
		return 2;
	open_cluster(arguments[1]);
	if (strcmp(arguments[2], "full") == 0)
		test_full(arguments[3]);
	else if (strcmp(arguments[2], "idle") == 0)
		test_idle(atol(arguments[3]));
	else
		for_official(arguments[3], strcmp(arguments[2], "write") == 0);
	pa_ignite_close(ignite);
	ok("close");
	return 0;
}
