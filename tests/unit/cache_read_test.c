/* SPDX-License-Identifier: Apache-2.0 */
/* Reading through the cache: content, quota, one fetch per chunk, failures, versions. */
#include "cache_fixture.h"

#include <errno.h>

#define SECOND PA_NS_PER_SECOND

static void test_reads_any_range(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 5 * MIB + 777);
	fixture_open(&fixture, &(struct fixture_options){.verify_every = 3});
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	unsigned random = 1;
	for (int i = 0; i < 200; i++) {
		random = random * 1103515245 + 12345;
		uint64_t offset = random % (5 * MIB);
		random = random * 1103515245 + 12345;
		size_t bytes = random % (i % 2 ? 3 * MIB : 5000);
		if (offset + bytes > 5 * MIB + 777)
			bytes = 5 * MIB + 777 - offset;
		fixture_check(file, 1, offset, bytes);
	}
	/* Past the end, and across it. */
	struct pa_error err = PA_ERROR_INIT;
	unsigned char data[100];
	size_t got = 1;
	assert_int_equal(pa_file_read(file, 5 * MIB + 777, data, 100, &got, NULL, &no_limit, &err), 0);
	assert_int_equal(got, 0);
	assert_int_equal(pa_file_read(file, 5 * MIB + 770, data, 100, &got, NULL, &no_limit, &err), 0);
	assert_int_equal(got, 7);
	assert_int_equal(pa_file_read(file, UINT64_MAX - 5, data, 100, &got, NULL, &no_limit, &err), 0);
	assert_int_equal(got, 0);
	assert_int_equal(fixture_resident(&fixture, ""), 5 * MIB + 777);
	assert_int_equal(fixture_status(&fixture).fetched_bytes, 5 * MIB + 777);
	fixture_file_close(file);
	fixture_end(&fixture);
}

static void test_smaller_quota_than_data(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 8 * MIB);
	fixture_file(fixture.source, "b", 2, 100);
	fixture_open(&fixture,
	             &(struct fixture_options){.quota_bytes = 2 * MIB + 4096, .readahead_chunks = 2});
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	struct pa_file *small = fixture_file_open(&fixture, "b", PA_FILE_READ);
	for (int pass = 0; pass < 2; pass++)
		for (uint64_t offset = 0; offset < 8 * MIB; offset += 128 * 1024) {
			fixture_check(file, 1, offset, 128 * 1024);
			fixture_check(small, 2, 0, 100);
		}
	for (uint64_t offset = 8 * MIB; offset > 0; offset -= 128 * 1024)
		fixture_check(file, 1, offset - 128 * 1024, 128 * 1024);
	struct pa_cache_status status = fixture_status(&fixture);
	assert_true(status.peak_bytes <= 2 * MIB + 4096);
	assert_true(status.evicted_bytes > 0);
	fixture_file_close(file);
	fixture_file_close(small);
	fixture_end(&fixture);
}

/* A quota in which no chunk has room: everything is served past the memory, a sequential reader's
 * chunk with one request. */
static void test_bypass(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 3 * MIB);
	fixture_open(&fixture, &(struct fixture_options){.quota_bytes = 4096});
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	for (uint64_t offset = 0; offset < 3 * MIB; offset += 64 * 1024)
		fixture_check(file, 1, offset, 64 * 1024);
	assert_int_equal(fault_reads(fixture.store), 3);
	struct pa_cache_status status = fixture_status(&fixture);
	assert_int_equal(status.bypassed_bytes, 3 * MIB);
	assert_int_equal(status.peak_bytes, 0);
	/* A reader that jumps gets what it asks for, not whole chunks. */
	fixture_file_close(file);
	file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(file, 1, 2 * MIB + MIB / 2, 4096);
	assert_int_equal(fixture_status(&fixture).fetched_bytes, 3 * MIB + 4096);
	fixture_file_close(file);
	fixture_end(&fixture);
}

struct reader {
	pthread_t thread;
	struct fixture *fixture;
	unsigned random;
	uint64_t size_bytes;
	int rounds;
};

static void *read_randomly(void *context)
{
	struct reader *reader = context;
	struct pa_file *file = fixture_file_open(reader->fixture, "a", PA_FILE_READ);

	for (int i = 0; i < reader->rounds; i++) {
		reader->random = reader->random * 1103515245 + 12345;
		uint64_t offset = reader->random % reader->size_bytes;
		size_t bytes = (reader->random >> 8) % (MIB + MIB / 2);
		if (offset + bytes > reader->size_bytes)
			bytes = (size_t)(reader->size_bytes - offset);
		fixture_check(file, 1, offset, bytes);
	}
	fixture_file_close(file);
	return NULL;
}

static void run_readers(struct fixture *fixture, int count, int rounds, uint64_t size_bytes)
{
	struct reader readers[16];

	for (int i = 0; i < count; i++) {
		readers[i] = (struct reader){.fixture = fixture,
		                             .random = (unsigned)i + 1,
		                             .size_bytes = size_bytes,
		                             .rounds = rounds};
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_randomly, &readers[i]), 0);
	}
	for (int i = 0; i < count; i++)
		pthread_join(readers[i].thread, NULL);
}

static void test_one_fetch_per_chunk(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 6 * MIB);
	fixture_open(&fixture, &(struct fixture_options){.readahead_chunks = 4});
	fault_set_delay(fixture.store, 20 * PA_NS_PER_MS);
	run_readers(&fixture, 16, 5, 6 * MIB);
	assert_int_equal(fixture.store->overlaps, 0);
	assert_true(fixture_status(&fixture).fetched_bytes <= 6 * MIB);
	assert_true(fault_reads(fixture.store) <= 6);
	fixture_end(&fixture);
}

static void test_many_readers_in_little_memory(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 6 * MIB + 5);
	fixture_open(&fixture, &(struct fixture_options){
				   .readahead_chunks = 2, .quota_bytes = 3 * MIB, .verify_every = 5});
	run_readers(&fixture, 16, 20, 6 * MIB + 5);
	struct pa_cache_status status = fixture_status(&fixture);
	assert_true(status.peak_bytes <= 3 * MIB);
	assert_int_equal(status.corrupt_chunks, 0);
	fixture_end(&fixture);
}

static void test_account(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 2 * MIB);
	fixture_open(&fixture, &(struct fixture_options){0});
	fault_set_delay(fixture.store, 30 * PA_NS_PER_MS);
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	struct pa_read_account account = {0};
	struct pa_error err = PA_ERROR_INIT;
	unsigned char *data = malloc(2 * MIB);
	size_t got;
	assert_int_equal(pa_file_read(file, MIB, data, MIB, &got, &account, &no_limit, &err), 0);
	assert_int_equal(account.source_bytes, MIB);
	assert_int_equal(account.memory_bytes, 0);
	assert_true(account.stalled_ns >= 25 * PA_NS_PER_MS);
	assert_int_equal(pa_file_read(file, 0, data, 2 * MIB, &got, &account, &no_limit, &err), 0);
	assert_int_equal(account.source_bytes, 2 * MIB);
	assert_int_equal(account.memory_bytes, MIB);
	int64_t stalled_ns = account.stalled_ns;
	assert_int_equal(pa_file_read(file, 0, data, 2 * MIB, &got, &account, &no_limit, &err), 0);
	assert_int_equal(account.memory_bytes, 3 * MIB);
	assert_int_equal(account.stalled_ns, stalled_ns);
	free(data);
	fixture_file_close(file);
	fixture_end(&fixture);
}

static void test_readahead(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 8 * MIB);
	fixture_open(&fixture, &(struct fixture_options){.readahead_chunks = 3, .connections = 8});
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(file, 1, 0, 4096);
	assert_true(fixture_wait_resident(&fixture, "a", 4 * MIB));
	/* It goes on while the reader does, though nothing is missing any more. */
	fixture_check(file, 1, 4096, 2 * MIB);
	assert_true(fixture_wait_resident(&fixture, "a", 6 * MIB));
	fixture_file_close(file);
	/* Nobody reads ahead for one who jumps. */
	file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(file, 1, 7 * MIB, 10);
	usleep(20000);
	assert_int_equal(fixture_resident(&fixture, "a"), 7 * MIB);
	fixture_file_close(file);
	fixture_end(&fixture);
}

static void test_transient_errors(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 1000);
	fixture_open(&fixture, &(struct fixture_options){0});
	fixture.store->transient_reads = 2;
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(file, 1, 0, 1000);
	assert_int_equal(fixture_status(&fixture).retries, 2);
	assert_int_equal(fault_reads(fixture.store), 3);
	fixture_file_close(file);
	fixture_end(&fixture);
}

static void test_permanent_error(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 1000);
	fixture_open(&fixture, &(struct fixture_options){0});
	fixture.store->permanent_reads = 1;
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	struct pa_error err = PA_ERROR_INIT;
	char data[10];
	size_t got;
	assert_int_equal(pa_file_read(file, 0, data, 10, &got, NULL, &no_limit, &err),
	                 -(int)PA_ERROR_PERMANENT);
	assert_int_equal(pa_error_to_errno(&err), EIO);
	assert_int_equal(fixture_status(&fixture).failed_loads, 1);
	assert_non_null(strstr(fixture_status(&fixture).last_error, "'a' cannot be read"));
	fixture_check(file, 1, 0, 1000); /* the next one works */
	fixture_file_close(file);
	fixture_end(&fixture);
}

static void test_deadline_and_cancel(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 1000);
	fixture_open(&fixture, &(struct fixture_options){0});
	fault_set_delay(fixture.store, 300 * PA_NS_PER_MS);
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	struct pa_error err = PA_ERROR_INIT;
	char data[10];
	size_t got;
	int cancel = 1;
	struct pa_store_call call = {.deadline_ns = pa_clock_ns() + 30 * PA_NS_PER_MS};
	assert_int_equal(pa_file_read(file, 0, data, 10, &got, NULL, &call, &err), -(int)PA_ERROR_DEADLINE);
	call = (struct pa_store_call){.deadline_ns = PA_DEADLINE_NEVER, .cancel = &cancel};
	assert_int_equal(pa_file_read(file, 0, data, 10, &got, NULL, &call, &err), -(int)PA_ERROR_CANCELLED);
	fixture_check(file, 1, 0, 1000); /* with another's time over, ours goes on */
	fixture_file_close(file);
	fixture_end(&fixture);
}

static void test_changed_at_the_source(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 3 * MIB);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(file, 1, 0, 100);
	fixture_file(fixture.source, "a", 2, 2 * MIB);
	struct pa_error err = PA_ERROR_INIT;
	char data[10];
	size_t got;
	assert_int_equal(pa_file_read(file, MIB, data, 10, &got, NULL, &no_limit, &err),
	                 -(int)PA_ERROR_CHANGED);
	assert_int_equal(pa_error_to_errno(&err), ESTALE);
	/* The old handle stays stale, a new one has the new content and size. */
	assert_int_equal(pa_file_read(file, 2 * MIB, data, 10, &got, NULL, &no_limit, &err),
	                 -(int)PA_ERROR_CHANGED);
	struct pa_attributes attributes;
	assert_int_equal(pa_tree_lookup(fixture.data_set, PA_INODE_ROOT, "a", &attributes, &err), 0);
	assert_int_equal(attributes.size_bytes, 2 * MIB);
	assert_int_equal(attributes.generation, 1);
	struct pa_file *other = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(other, 2, 0, 2 * MIB);
	fixture_file_close(other);
	fixture_file_close(file);
	assert_int_equal(fixture_status(&fixture).used_bytes, 2 * MIB);
	fixture_end(&fixture);
}

/* Flips a byte of the only big file in the region. */
static void damage(struct fixture *fixture, off_t offset)
{
	char command[256];

	snprintf(command, sizeof(command), "%s/data/1", fixture->memory);
	int fd = open(command, O_RDWR);
	assert_true(fd >= 0);
	unsigned char byte;
	assert_int_equal(pread(fd, &byte, 1, offset), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
	close(fd);
}

static void test_corrupt_chunk(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 2 * MIB);
	fixture_open(&fixture, &(struct fixture_options){.verify_every = 1});
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(file, 1, 0, 2 * MIB);
	damage(&fixture, MIB + 5);
	fixture_check(file, 1, 100, 10);
	assert_int_equal(fixture_status(&fixture).corrupt_chunks, 0);
	fixture_check(file, 1, 0, 2 * MIB);
	assert_int_equal(fixture_status(&fixture).corrupt_chunks, 1);
	assert_int_equal(fault_reads(fixture.store), 3);
	fixture_file_close(file);
	fixture_end(&fixture);
}

static void *free_cache(void *context)
{
	pa_cache_free(((struct fixture *)context)->cache);
	return NULL;
}

static void test_free_wakes_readers(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 2 * MIB);
	fixture_open(&fixture, &(struct fixture_options){0});
	fault_set_delay(fixture.store, 60 * SECOND);
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	pthread_t thread;
	int64_t since_ns = pa_clock_ns();
	assert_int_equal(pthread_create(&thread, NULL, free_cache, &fixture), 0);
	struct pa_error err = PA_ERROR_INIT;
	char data[10];
	size_t got;
	assert_int_equal(pa_file_read(file, 0, data, 10, &got, NULL, &no_limit, &err),
	                 -(int)PA_ERROR_CANCELLED);
	fixture_file_close(file);
	pthread_join(thread, NULL);
	assert_true(pa_clock_ns() - since_ns < 30 * SECOND); /* not the minute that the source takes */
	fixture.cache = NULL;
	fixture_end(&fixture);
}

static void test_hold_whole(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 2 * MIB + 10);
	fixture_file(fixture.source, "b", 2, 4 * MIB);
	fixture_file(fixture.source, "empty", 2, 0);
	fixture_open(&fixture, &(struct fixture_options){.quota_bytes = 3 * MIB + 4096});
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	assert_int_equal(pa_file_hold_whole(file), -1);
	fixture_check(file, 1, 0, 2 * MIB + 10);
	int fd = pa_file_hold_whole(file);
	assert_true(fd >= 0);
	struct stat status;
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, 2 * MIB + 10);
	/* It is not displaced while it is held ... */
	struct pa_file *other = fixture_file_open(&fixture, "b", PA_FILE_READ);
	fixture_check(other, 2, 0, 4 * MIB);
	assert_int_equal(fixture_resident(&fixture, "a"), 2 * MIB + 10);
	unsigned char byte;
	assert_int_equal(pread(fd, &byte, 1, 2 * MIB), 1);
	assert_int_equal(byte, fixture_byte(1, 2 * MIB));
	/* ... but afterwards. */
	pa_file_release_whole(file);
	fixture_check(other, 2, 0, 4 * MIB);
	assert_true(fixture_resident(&fixture, "a") < 2 * MIB + 10);
	fixture_file_close(file);
	fixture_file_close(other);
	file = fixture_file_open(&fixture, "empty", PA_FILE_READ);
	assert_true(pa_file_hold_whole(file) >= 0);
	pa_file_release_whole(file);
	fixture_file_close(file);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reads_any_range),
	    cmocka_unit_test(test_smaller_quota_than_data),
	    cmocka_unit_test(test_bypass),
	    cmocka_unit_test(test_one_fetch_per_chunk),
	    cmocka_unit_test(test_many_readers_in_little_memory),
	    cmocka_unit_test(test_account),
	    cmocka_unit_test(test_readahead),
	    cmocka_unit_test(test_transient_errors),
	    cmocka_unit_test(test_permanent_error),
	    cmocka_unit_test(test_deadline_and_cancel),
	    cmocka_unit_test(test_changed_at_the_source),
	    cmocka_unit_test(test_corrupt_chunk),
	    cmocka_unit_test(test_free_wakes_readers),
	    cmocka_unit_test(test_hold_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
