/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation of the client against real nodes, in caches of its own.
 * usage: ignite_conformance ENDPOINT[,ENDPOINT...]
 * Prints "ok N - ..." for each check; ends at the first that fails. */
#include "service.h"

static struct pa_ignite_cache make_cache(const char *name)
{
	struct pa_ignite_cache_config config = PA_IGNITE_CACHE_CONFIG_INIT;
	struct pa_error err = PA_ERROR_INIT;

	config.name = name;
	REQUIRE(pa_ignite_cache_create(ignite, &config, true, 0, &err) == 0, "%s", err.message);
	return pa_ignite_cache(name);
}

static void test_values(void)
{
	struct pa_ignite_cache cache = make_cache("values");
	struct pa_ignite_key key = pa_ignite_key_long(7);
	struct pa_error err = PA_ERROR_INIT;
	char buffer[16];
	size_t bytes = 99;
	bool truth;
	int64_t size;

	REQUIRE(pa_ignite_get(ignite, &cache, &key, buffer, 16, &bytes, 0, &err) == -(int)PA_ERROR_NOT_FOUND,
	        "%s", err.message);
	REQUIRE(pa_ignite_contains(ignite, &cache, &key, &truth, 0, &err) == 0 && !truth, "%s", err.message);
	REQUIRE(pa_ignite_put_if_absent(ignite, &cache, &key, "one", 3, &truth, 0, &err) == 0 && truth, "%s",
	        err.message);
	REQUIRE(pa_ignite_put_if_absent(ignite, &cache, &key, "two", 3, &truth, 0, &err) == 0 && !truth, "%s",
	        err.message);
	REQUIRE(pa_ignite_get(ignite, &cache, &key, buffer, 16, &bytes, 0, &err) == 0, "%s", err.message);
	REQUIRE(bytes == 3 && memcmp(buffer, "one", 3) == 0, "%zu", bytes);
	REQUIRE(pa_ignite_put(ignite, &cache, &key, "third", 5, 0, &err) == 0, "%s", err.message);
	REQUIRE(pa_ignite_get(ignite, &cache, &key, buffer, 2, &bytes, 0, &err) == -(int)PA_ERROR_NO_SPACE &&
	            bytes == 5,
	        "%s", err.message);
	REQUIRE(pa_ignite_get(ignite, &cache, &key, buffer, 5, &bytes, 0, &err) == 0 && bytes == 5, "%s",
	        err.message);
	REQUIRE(pa_ignite_contains(ignite, &cache, &key, &truth, 0, &err) == 0 && truth, "%s", err.message);
	REQUIRE(pa_ignite_size(ignite, &cache, &size, 0, &err) == 0 && size == 1, "%" PRId64 " %s", size,
	        err.message);
	REQUIRE(pa_ignite_remove(ignite, &cache, &key, &truth, 0, &err) == 0 && truth, "%s", err.message);
	REQUIRE(pa_ignite_remove(ignite, &cache, &key, &truth, 0, &err) == 0 && !truth, "%s", err.message);
	REQUIRE(pa_ignite_put(ignite, &cache, &key, NULL, 0, 0, &err) == 0, "%s", err.message);
	REQUIRE(pa_ignite_get(ignite, &cache, &key, NULL, 0, &bytes, 0, &err) == 0 && bytes == 0, "%s",
	        err.message);
	ok("get, put, put-if-absent, contains, remove, size, a value that does not fit, an empty value");
}

static void test_pieces(void)
{
	struct pa_ignite_cache cache = make_cache("values");
	struct iovec pieces[100];
	char text[100];
	char back[100];
	struct pa_ignite_request put = {.operation = PA_IGNITE_PUT,
	                                .cache = cache,
	                                .key = pa_ignite_key_text("pieces", 6),
	                                .pieces = pieces,
	                                .piece_count = 100};
	struct pa_error err = PA_ERROR_INIT;
	size_t bytes;

	for (int i = 0; i < 100; i++) {
		text[i] = (char)('!' + i % 90);
		pieces[i] = (struct iovec){.iov_base = &text[i], .iov_len = i % 3 == 2 ? 0 : 1};
	}
	REQUIRE(pa_ignite_call(ignite, &put, &err) == 0, "%s", err.message);
	REQUIRE(pa_ignite_get(ignite, &cache, &put.key, back, 100, &bytes, 0, &err) == 0, "%s", err.message);
	REQUIRE(bytes == 67 && back[0] == text[0] && back[66] == text[99], "%zu", bytes);
	ok("a value in a hundred pieces");
}

#define MANY 1000

static void call_entries(enum pa_ignite_operation operation, struct pa_ignite_cache cache,
                         struct pa_ignite_entry *entries, size_t count, bool *truth)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite_request request = {
	    .operation = operation, .cache = cache, .entries = entries, .entry_count = count};

	REQUIRE(pa_ignite_call(ignite, &request, &err) == 0, "operation %d: %s", (int)operation, err.message);
	if (truth != NULL)
		*truth = request.truth;
}

static void test_many(void)
{
	struct pa_ignite_cache cache = make_cache("many");
	static struct pa_ignite_entry entries[MANY];
	static char texts[MANY][64];
	static uint8_t values[MANY][40];
	static uint8_t backs[MANY][40];
	bool truth;

	for (size_t i = 0; i < MANY; i++) {
		fill_pattern(values[i], i % 40);
		entries[i] = (struct pa_ignite_entry){.value = values[i], .value_bytes = i % 40};
		entries[i].key =
		    i % 3 == 0 ? pa_ignite_key_long((int64_t)i * 977)
		    : i % 3 == 1
			? pa_ignite_key_uuid(i, ~i)
			: pa_ignite_key_text(texts[i], (size_t)sprintf(texts[i], "k\xc3\xa4-%zu", i));
	}
	call_entries(PA_IGNITE_CONTAINS_ALL, cache, entries, MANY, &truth);
	REQUIRE(!truth, "there is nothing yet");
	call_entries(PA_IGNITE_PUT_ALL, cache, entries, MANY, NULL);
	call_entries(PA_IGNITE_CONTAINS_ALL, cache, entries, MANY, &truth);
	REQUIRE(truth, "all were put");
	call_entries(PA_IGNITE_REMOVE_KEYS, cache, entries + 900, 100, NULL);
	for (size_t i = 0; i < MANY; i++) {
		entries[i].value = backs[i];
		entries[i].room = i == 20 ? 5 : 40;
	}
	entries[1].key = entries[4].key; /* the same key twice */
	call_entries(PA_IGNITE_GET_ALL, cache, entries, MANY, NULL);
	for (size_t i = 0; i < MANY; i++) {
		size_t j = i == 1 ? 4 : i;
		REQUIRE(entries[i].found == (i < 900), "%zu", i);
		REQUIRE(entries[i].value_bytes == (i < 900 ? j % 40 : 0), "%zu", i);
		REQUIRE(i == 20 || memcmp(backs[i], values[j], entries[i].value_bytes) == 0, "%zu", i);
	}
	call_entries(PA_IGNITE_GET_ALL, cache, NULL, 0, NULL);
	ok("put-all, get-all, contains-all, remove of many keys");
}

static void test_empty(enum pa_ignite_operation operation, const char *what)
{
	struct pa_ignite_cache cache = pa_ignite_cache("many");
	char value = 'x';
	struct pa_ignite_entry entry = {.key = pa_ignite_key_long(1), .value = &value, .value_bytes = 1};
	struct pa_error err = PA_ERROR_INIT;
	int64_t size;

	call_entries(PA_IGNITE_PUT_ALL, cache, &entry, 1, NULL);
	call_entries(operation, cache, NULL, 0, NULL);
	REQUIRE(pa_ignite_size(ignite, &cache, &size, 0, &err) == 0 && size == 0, "%" PRId64, size);
	ok(what);
}

static bool has_name(const char *name)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	const char *const *names;
	size_t count;
	bool found = false;

	REQUIRE(pa_ignite_cache_names(ignite, &arena, &names, &count, 0, &err) == 0, "%s", err.message);
	for (size_t i = 0; i < count; i++)
		found = found || strcmp(names[i], name) == 0;
	pa_arena_done(&arena);
	return found;
}

static void test_caches(void)
{
	struct pa_ignite_cache_config config = PA_IGNITE_CACHE_CONFIG_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite_key key = pa_ignite_key_long(1);
	struct pa_ignite_cache cache = pa_ignite_cache("made \xc3\xbc");
	size_t bytes;

	config.name = "made \xc3\xbc";
	config.backups = 1;
	config.copy_on_read = false;
	config.read_from_backup = false;
	config.eager_expiry = false;
	config.data_region = "chunks";
	REQUIRE(pa_ignite_get(ignite, &cache, &key, NULL, 0, &bytes, 0, &err) == -(int)PA_ERROR_NOT_FOUND,
	        "%s", err.message);
	REQUIRE(strstr(err.message, "1000") != NULL, "%s", err.message);
	REQUIRE(pa_ignite_cache_create(ignite, &config, false, 0, &err) == 0, "%s", err.message);
	REQUIRE(has_name(config.name), "created");
	REQUIRE(pa_ignite_cache_create(ignite, &config, false, 0, &err) == -(int)PA_ERROR_PERMANENT, "%s",
	        err.message);
	REQUIRE(strstr(err.message, "1001") != NULL, "%s", err.message);
	REQUIRE(pa_ignite_cache_create(ignite, &config, true, 0, &err) == 0, "%s", err.message);
	REQUIRE(pa_ignite_cache_create_named(ignite, config.name, false, 0, &err) < 0, "it exists");
	REQUIRE(pa_ignite_cache_create_named(ignite, config.name, true, 0, &err) == 0, "%s", err.message);
	REQUIRE(pa_ignite_cache_destroy(ignite, config.name, 0, &err) == 0, "%s", err.message);
	REQUIRE(!has_name(config.name), "destroyed");
	REQUIRE(pa_ignite_cache_create_named(ignite, "named", false, 0, &err) == 0, "%s", err.message);
	REQUIRE(has_name("named"), "created by name");
	REQUIRE(pa_ignite_cache_destroy(ignite, "named", 0, &err) == 0, "%s", err.message);
	config.data_region = "no such region";
	REQUIRE(pa_ignite_cache_create(ignite, &config, true, 0, &err) < 0, "an unknown region");
	config.data_region = NULL;
	config.mode = PA_IGNITE_REPLICATED;
	config.name = "replicated";
	REQUIRE(pa_ignite_cache_create(ignite, &config, true, 0, &err) == 0, "%s", err.message);
	cache = pa_ignite_cache("replicated");
	REQUIRE(pa_ignite_put(ignite, &cache, &key, "x", 1, 0, &err) == 0, "%s", err.message);
	ok("caches: create, get or create, by name, names, destroy, errors of each");
}

static void test_expiry(void)
{
	struct pa_ignite_cache_config config = PA_IGNITE_CACHE_CONFIG_INIT;
	struct pa_ignite_cache cache = make_cache("values");
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite_key key = pa_ignite_key_text("expires", 7);
	bool there;

	cache.has_expiry = true;
	cache.expiry = (struct pa_ignite_expiry){300, 300, PA_IGNITE_EXPIRY_UNCHANGED};
	REQUIRE(pa_ignite_put_if_absent(ignite, &cache, &key, "x", 1, &there, 0, &err) == 0 && there, "%s",
	        err.message);
	REQUIRE(pa_ignite_put_if_absent(ignite, &cache, &key, "x", 1, &there, 0, &err) == 0 && !there, "%s",
	        err.message);
	sleep_ms(1000);
	REQUIRE(pa_ignite_put_if_absent(ignite, &cache, &key, "x", 1, &there, 0, &err) == 0 && there, "%s",
	        err.message);
	ok("expiry of one entry");
	config.name = "expiring";
	config.has_expiry = true;
	config.expiry = (struct pa_ignite_expiry){300, 300, PA_IGNITE_EXPIRY_UNCHANGED};
	REQUIRE(pa_ignite_cache_create(ignite, &config, true, 0, &err) == 0, "%s", err.message);
	cache = pa_ignite_cache("expiring");
	REQUIRE(pa_ignite_put(ignite, &cache, &key, "x", 1, 0, &err) == 0, "%s", err.message);
	REQUIRE(pa_ignite_contains(ignite, &cache, &key, &there, 0, &err) == 0 && there, "%s", err.message);
	sleep_ms(1000);
	REQUIRE(pa_ignite_contains(ignite, &cache, &key, &there, 0, &err) == 0 && !there, "%s", err.message);
	ok("expiry of a cache");
}

/* Partition -1: all; counts the entries whose key is not where we think it is. */
static size_t scan(struct pa_ignite_cache cache, int partition, int partition_count, int page,
                   size_t *ret_misplaced)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite_scan_entry entry;
	struct pa_ignite_scan *scan;
	size_t count = 0;
	int result;

	*ret_misplaced = 0;
	REQUIRE(pa_ignite_scan_open(ignite, &cache, partition, page, 0, &scan, &err) == 0, "%s", err.message);
	while ((result = pa_ignite_scan_next(scan, &entry, 0, &err)) > 0) {
		struct pa_ignite_uuid primary;
		int where;
		int counted;
		REQUIRE(pa_ignite_locate(ignite, &cache, &entry.key, &where, &counted, &primary, &err) == 0,
		        "%s", err.message);
		*ret_misplaced += where != partition || counted != partition_count;
		count++;
	}
	REQUIRE(result == 0, "%s", err.message);
	pa_ignite_scan_close(scan);
	return count;
}

static int wait_for_map(struct pa_ignite_cache cache)
{
	struct pa_ignite_key key = pa_ignite_key_long(1);
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite_uuid primary;
	int partition = -1;
	int count = 0;

	for (int i = 0; i < 100 && partition < 0; i++) {
		REQUIRE(pa_ignite_locate(ignite, &cache, &key, &partition, &count, &primary, &err) == 0, "%s",
		        err.message);
		if (partition < 0)
			sleep_ms(50);
	}
	REQUIRE(partition >= 0, "no partition map after 5 s");
	return count;
}

static void put_keys(struct pa_ignite_cache cache, size_t count)
{
	struct pa_error err = PA_ERROR_INIT;
	char text[64];

	for (size_t i = 0; i < count; i++) {
		struct pa_ignite_key key =
		    i % 3 == 0   ? pa_ignite_key_long((int64_t)(i * UINT64_C(0x9e3779b97f4a7c15)))
		    : i % 3 == 1 ? pa_ignite_key_uuid(i * UINT64_C(0x9e3779b97f4a7c15), ~i)
				 : pa_ignite_key_text(
				       text, (size_t)sprintf(text, "\xe4\xb8\xad\xf0\x9f\x9a\x80-%zu", i));
		REQUIRE(pa_ignite_put(ignite, &cache, &key, &i, sizeof(i), 0, &err) == 0, "%s", err.message);
	}
}

/* A partition's scan gives the keys that the server put into it: ours must agree, for each kind of key. */
static void check_partitions(const char *name, int expected_count)
{
	struct pa_ignite_cache cache = pa_ignite_cache(name);
	int count = wait_for_map(cache);
	size_t found = 0;
	size_t misplaced;

	REQUIRE(count == expected_count, "%d partitions", count);
	put_keys(cache, 600);
	for (int i = 0; i < count; i++) {
		found += scan(cache, i, count, 10, &misplaced);
		REQUIRE(misplaced == 0, "%zu keys of partition %d are thought to be elsewhere", misplaced, i);
	}
	REQUIRE(found == 600, "%zu of 600", found);
}

static void test_partitions(void)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite_stats before;
	struct pa_ignite_stats after;

	make_cache("placed");
	check_partitions("placed", 1024);
	REQUIRE(pa_ignite_cache_create_named(ignite, "hundred-1", true, 0, &err) == 0, "%s", err.message);
	check_partitions("hundred-1", 100);
	pa_ignite_stats(ignite, &before);
	put_keys(pa_ignite_cache("placed"), 300);
	pa_ignite_stats(ignite, &after);
	REQUIRE(after.to_primary - before.to_primary == 300 && after.to_any == before.to_any,
	        "%" PRIu64 " to primaries", after.to_primary - before.to_primary);
	ok("keys are in the partitions that the client thinks (1024 and 100 of them); requests go to "
	   "primaries");
}

static void test_scans(void)
{
	struct pa_ignite_cache cache = make_cache("scanned");
	struct pa_error err = PA_ERROR_INIT;
	struct pa_ignite_scan_entry entry;
	struct pa_ignite_scan *left;
	size_t misplaced;

	REQUIRE(scan(cache, -1, 0, 10, &misplaced) == 0, "nothing yet");
	put_keys(cache, 999);
	REQUIRE(scan(cache, -1, 0, 7, &misplaced) == 999, "pages of 7");
	REQUIRE(scan(cache, -1, 0, 999, &misplaced) == 999, "one page");
	REQUIRE(scan(cache, -1, 0, 65536, &misplaced) == 999, "a large page");
	/* More cursors than a client may have open, were they not closed. */
	for (int i = 0; i < 200; i++) {
		REQUIRE(pa_ignite_scan_open(ignite, &cache, -1, 5, 0, &left, &err) == 0, "%s", err.message);
		REQUIRE(pa_ignite_scan_next(left, &entry, 0, &err) == 1 && entry.value_bytes == 8 &&
		            entry.value_type == 12,
		        "%s", err.message);
		pa_ignite_scan_close(left);
	}
	ok("scans, in pages, left early");
}

static void test_cluster(void)
{
	enum pa_ignite_cluster_state state;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_ignite_node *nodes;
	struct pa_ignite_cache cache = pa_ignite_cache("placed");
	struct pa_ignite_key key = pa_ignite_key_long(1);
	size_t count;
	int64_t ping_ns;
	int64_t partitions = 0;

	REQUIRE(pa_ignite_ping(ignite, &ping_ns, 0, &err) == 0 && ping_ns > 0, "%s", err.message);
	REQUIRE(pa_ignite_nodes(ignite, &cache, &arena, &nodes, &count, &err) == 0 && count > 0, "%s",
	        err.message);
	for (size_t i = 0; i < count; i++) {
		REQUIRE(nodes[i].member && nodes[i].partitions > 0, "%s: %s", nodes[i].address,
		        nodes[i].error);
		partitions += nodes[i].partitions;
	}
	REQUIRE(partitions == 1024, "%" PRId64, partitions);
	pa_arena_done(&arena);
	REQUIRE(pa_ignite_cluster_state(ignite, &state, 0, &err) == 0 && state == PA_IGNITE_CLUSTER_ACTIVE,
	        "%s", err.message);
	REQUIRE(pa_ignite_cluster_change_state(ignite, PA_IGNITE_CLUSTER_READ_ONLY, 0, &err) == 0, "%s",
	        err.message);
	REQUIRE(pa_ignite_cluster_state(ignite, &state, 0, &err) == 0 && state == PA_IGNITE_CLUSTER_READ_ONLY,
	        "%s", err.message);
	REQUIRE(pa_ignite_put(ignite, &cache, &key, "x", 1, 0, &err) < 0, "a read-only cluster takes a put");
	fprintf(stderr, "# put into a read-only cluster: %s: %s\n", pa_error_class_name(err.class),
	        err.message);
	REQUIRE(pa_ignite_cluster_change_state(ignite, PA_IGNITE_CLUSTER_INACTIVE, 0, &err) == 0, "%s",
	        err.message);
	REQUIRE(pa_ignite_put(ignite, &cache, &key, "x", 1, 0, &err) < 0, "an inactive cluster takes a put");
	fprintf(stderr, "# put into an inactive cluster: %s: %s\n", pa_error_class_name(err.class),
	        err.message);
	REQUIRE(pa_ignite_cluster_change_state(ignite, PA_IGNITE_CLUSTER_ACTIVE, 0, &err) == 0, "%s",
	        err.message);
	ok("ping, nodes, cluster state: got and changed");
}

int main(int argument_count, char **arguments)
{
	if (argument_count != 2)
		return 2;
	open_cluster(arguments[1]);
	test_values();
	test_pieces();
	test_many();
	test_empty(PA_IGNITE_CLEAR, "clear");
	test_empty(PA_IGNITE_REMOVE_ALL, "remove all");
	test_caches();
	test_expiry();
	test_partitions();
	test_scans();
	test_cluster();
	pa_ignite_close(ignite);
	ok("close");
	return 0;
}
