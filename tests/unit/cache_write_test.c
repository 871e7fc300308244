/* SPDX-License-Identifier: Apache-2.0 */
/* Changes through the cache: the source has them, memory follows, readers at the same time are right. */
#include "cache_fixture.h"

#include <errno.h>

static void write_range(struct pa_file *file, unsigned seed, uint64_t offset, size_t bytes)
{
	struct pa_error err = PA_ERROR_INIT;
	unsigned char *data = malloc(bytes);

	fixture_fill(data, seed, offset, bytes);
	if (pa_file_write(file, offset, data, bytes, &no_limit, &err) < 0)
		fail_msg("%s", err.message);
	free(data);
}

static struct pa_file *create(struct fixture *fixture, uint64_t parent, const char *name, unsigned flags)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	struct pa_file *file = NULL;

	if (pa_file_create(fixture->data_set, parent, name, PA_FILE_READ | PA_FILE_WRITE | flags, 0640, &file,
	                   &attributes, &no_limit, &err) < 0)
		fail_msg("%s", err.message);
	return file;
}

/* What the source itself has. */
static void assert_source(struct fixture *fixture, const char *name, unsigned seed, size_t bytes)
{
	char path[256];
	struct stat status;
	unsigned char *data = malloc(bytes + 1);

	snprintf(path, sizeof(path), "%s/%s", fixture->source, name);
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, bytes);
	assert_int_equal(read(fd, data, bytes + 1), (ssize_t)bytes);
	assert_true(fixture_same(data, seed, 0, bytes));
	free(data);
	close(fd);
}

static void refresh(struct fixture *fixture)
{
	struct pa_error err = PA_ERROR_INIT;

	if (pa_data_set_refresh(fixture->data_set, &no_limit, &err) < 0)
		fail_msg("%s", err.message);
}

static void test_written_is_in_memory(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_open(&fixture, &(struct fixture_options){.verify_every = 1});
	struct pa_file *file = create(&fixture, PA_INODE_ROOT, "out", 0);
	for (size_t offset = 0; offset < 3 * MIB; offset += 96 * 1024)
		write_range(file, 1, offset, 96 * 1024);
	fixture_check(file, 1, 0, 3 * MIB);
	struct pa_error err = PA_ERROR_INIT;
	assert_int_equal(pa_file_flush(file, true, &no_limit, &err), 0);
	fixture_file_close(file);
	assert_source(&fixture, "out", 1, 3 * MIB);
	assert_int_equal(fixture_resident(&fixture, "out"), 3 * MIB);
	struct pa_manifest *manifest = pa_data_set_manifest(fixture.data_set);
	assert_int_equal(manifest->total_bytes, 3 * MIB);
	pa_manifest_unref(manifest);
	/* Its version is known: a refresh drops nothing, a reader fetches nothing. */
	refresh(&fixture);
	file = fixture_file_open(&fixture, "out", PA_FILE_READ);
	fixture_check(file, 1, 0, 3 * MIB);
	assert_true(pa_file_hold_whole(file) >= 0);
	pa_file_release_whole(file);
	fixture_file_close(file);
	assert_int_equal(fault_reads(fixture.store), 0);
	assert_int_equal(fixture_status(&fixture).used_bytes, 3 * MIB);
	fixture_end(&fixture);
}

static void test_write_without_room(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_open(&fixture, &(struct fixture_options){.quota_bytes = MIB});
	struct pa_file *file = create(&fixture, PA_INODE_ROOT, "out", 0);
	for (size_t offset = 0; offset < 3 * MIB; offset += 100000)
		write_range(file, 1, offset, offset + 100000 < 3 * MIB ? 100000 : 3 * MIB - offset);
	fixture_check(file, 1, 0, 3 * MIB);
	fixture_file_close(file);
	assert_source(&fixture, "out", 1, 3 * MIB);
	assert_true(fixture_status(&fixture).peak_bytes <= MIB);
	fixture_end(&fixture);
}

static void test_overwrite(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 3 * MIB + 100);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_file *reader = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(reader, 1, 0, MIB + 1); /* chunks 0 and 1 are there */
	struct pa_file *writer = fixture_file_open(&fixture, "a", PA_FILE_READ | PA_FILE_WRITE);
	write_range(writer, 2, MIB / 2, 2 * MIB); /* part of 0, all of 1, part of 2, which is not there */
	fixture_check(reader, 1, 0, MIB / 2);
	fixture_check(reader, 2, MIB / 2, 2 * MIB);
	fixture_check(reader, 1, 2 * MIB + MIB / 2, MIB / 2 + 100);
	assert_int_equal(fault_reads(fixture.store), 4);
	write_range(writer, 1, MIB / 2, 2 * MIB);
	/* Past the end, with a gap of zeros. */
	write_range(writer, 1, 5 * MIB, 10);
	struct pa_error err = PA_ERROR_INIT;
	unsigned char byte = 1;
	size_t got;
	assert_int_equal(pa_file_read(reader, 3 * MIB + 100, &byte, 1, &got, NULL, &no_limit, &err), 0);
	assert_int_equal(got, 1);
	assert_int_equal(byte, 0);
	assert_int_equal(pa_file_read(reader, 4 * MIB + 7, &byte, 1, &got, NULL, &no_limit, &err), 0);
	assert_int_equal(byte, 0);
	fixture_check(reader, 1, 5 * MIB, 10);
	fixture_file_close(writer);
	fixture_file_close(reader);
	refresh(&fixture);
	reader = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(reader, 1, 0, 3 * MIB + 100);
	fixture_file_close(reader);
	fixture_end(&fixture);
}

static void test_append_and_truncate(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 2 * MIB);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_file *file =
	    fixture_file_open(&fixture, "a", PA_FILE_READ | PA_FILE_WRITE | PA_FILE_APPEND);
	struct pa_error err = PA_ERROR_INIT;
	unsigned char data[500];
	fixture_fill(data, 1, 2 * MIB, 500);
	assert_int_equal(pa_file_write(file, 7, data, 500, &no_limit, &err), 0);
	fixture_check(file, 1, 0, 2 * MIB + 500);
	uint64_t inode = fixture_inode(&fixture, "a");
	struct pa_attributes attributes;
	struct pa_store_attributes set = {.set_size = true, .size_bytes = MIB + 1000};
	assert_int_equal(pa_tree_set_attributes(fixture.data_set, inode, &set, &attributes, &no_limit, &err),
	                 0);
	assert_int_equal(attributes.size_bytes, MIB + 1000);
	assert_int_equal(fixture_resident(&fixture, "a"), MIB + 1000);
	assert_int_equal(fixture_status(&fixture).used_bytes, MIB + 4096);
	fixture_check(file, 1, 0, MIB + 1000);
	/* Longer again: what was cut off does not come back. */
	set.size_bytes = 2 * MIB;
	assert_int_equal(pa_tree_set_attributes(fixture.data_set, inode, &set, &attributes, &no_limit, &err),
	                 0);
	size_t got;
	assert_int_equal(pa_file_read(file, MIB + 1000, data, 500, &got, NULL, &no_limit, &err), 0);
	assert_int_equal(got, 500);
	for (int i = 0; i < 500; i++)
		assert_int_equal(data[i], 0);
	fixture_file_close(file);
	file = fixture_file_open(&fixture, "a", PA_FILE_READ | PA_FILE_WRITE | PA_FILE_TRUNCATE);
	assert_int_equal(fixture_status(&fixture).used_bytes, 0);
	write_range(file, 3, 0, 100);
	fixture_file_close(file);
	assert_source(&fixture, "a", 3, 100);
	assert_int_equal(fixture_resident(&fixture, "a"), 100);
	set = (struct pa_store_attributes){
	    .set_mode = true, .mode = 0600, .set_mtime = true, .mtime_ns = 1500000000};
	assert_int_equal(pa_tree_set_attributes(fixture.data_set, inode, &set, &attributes, &no_limit, &err),
	                 0);
	assert_int_equal(attributes.mode, 0600);
	assert_int_equal(attributes.mtime_ns, 1500000000);
	refresh(&fixture);
	assert_int_equal(fixture_resident(&fixture, "a"), 100); /* our own change of attributes */
	fixture_end(&fixture);
}

static void test_remove_while_open(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 2 * MIB);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	uint64_t inode = fixture_inode(&fixture, "a");
	fixture_check(file, 1, 0, MIB);
	struct pa_error err = PA_ERROR_INIT;
	assert_int_equal(pa_tree_remove(fixture.data_set, PA_INODE_ROOT, "a", false, &no_limit, &err), 0);
	assert_int_equal(fixture_inode(&fixture, "a"), 0);
	struct pa_attributes attributes;
	assert_int_equal(pa_tree_attributes(fixture.data_set, inode, &attributes, &err), 0);
	assert_int_equal(attributes.link_count, 0);
	fixture_assign(&fixture, NULL, 0);
	fixture_check(file, 1, 0, MIB);
	char byte;
	size_t got;
	assert_int_equal(pa_file_read(file, MIB, &byte, 1, &got, NULL, &no_limit, &err),
	                 -(int)PA_ERROR_CHANGED);
	fixture_file_close(file);
	assert_int_equal(pa_tree_attributes(fixture.data_set, inode, &attributes, &err),
	                 -(int)PA_ERROR_NOT_FOUND);
	assert_int_equal(fixture_status(&fixture).used_bytes, 0);
	assert_int_equal(pa_tree_remove(fixture.data_set, PA_INODE_ROOT, "a", false, &no_limit, &err),
	                 -(int)PA_ERROR_NOT_FOUND);
	fixture_end(&fixture);
}

static void test_names(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes folder;
	struct pa_attributes other;
	assert_int_equal(
	    pa_tree_make_directory(fixture.data_set, PA_INODE_ROOT, "d", 0750, &folder, &no_limit, &err), 0);
	assert_int_equal(folder.kind, PA_ENTRY_DIRECTORY);
	assert_int_equal(folder.mode, 0750);
	struct pa_file *file = create(&fixture, folder.inode, "new.tmp", PA_FILE_EXCLUSIVE);
	write_range(file, 4, 0, 5000);
	fixture_file_close(file);
	file = create(&fixture, folder.inode, "final", 0);
	write_range(file, 5, 0, 300);
	/* A rename over a file that is open. */
	assert_int_equal(pa_tree_rename(fixture.data_set, folder.inode, "new.tmp", folder.inode, "final",
	                                true, &no_limit, &err),
	                 -(int)PA_ERROR_PERMANENT);
	assert_int_equal(pa_error_to_errno(&err), EEXIST);
	assert_int_equal(pa_tree_rename(fixture.data_set, folder.inode, "new.tmp", folder.inode, "final",
	                                false, &no_limit, &err),
	                 0);
	fixture_check(file, 5, 0, 300);
	fixture_file_close(file);
	assert_int_equal(fixture_inode(&fixture, "d/new.tmp"), 0);
	/* The folder moves, too; its files stay in memory through all of it. */
	assert_int_equal(
	    pa_tree_rename(fixture.data_set, PA_INODE_ROOT, "d", PA_INODE_ROOT, "e", false, &no_limit, &err),
	    0);
	refresh(&fixture);
	assert_int_equal(fixture_resident(&fixture, ""), 5000);
	assert_int_equal(fixture_status(&fixture).used_bytes, 8192);
	file = fixture_file_open(&fixture, "e/final", PA_FILE_READ);
	fixture_check(file, 4, 0, 5000);
	fixture_file_close(file);
	assert_int_equal(fault_reads(fixture.store), 0);
	assert_int_equal(
	    pa_tree_make_symlink(fixture.data_set, folder.inode, "l", "final", &other, &no_limit, &err), 0);
	char target[16];
	assert_int_equal(pa_tree_read_link(fixture.data_set, other.inode, target, sizeof(target), &err), 0);
	assert_string_equal(target, "final");
	assert_int_equal(pa_tree_read_link(fixture.data_set, other.inode, target, 5, &err),
	                 -(int)PA_ERROR_PERMANENT);
	assert_int_equal(pa_tree_remove(fixture.data_set, PA_INODE_ROOT, "e", true, &no_limit, &err),
	                 -(int)PA_ERROR_PERMANENT);
	assert_int_equal(pa_error_to_errno(&err), ENOTEMPTY);
	struct pa_file *none = NULL;
	assert_int_equal(pa_file_create(fixture.data_set, folder.inode, "final",
	                                PA_FILE_WRITE | PA_FILE_EXCLUSIVE, 0600, &none, &other, &no_limit,
	                                &err),
	                 -(int)PA_ERROR_PERMANENT);
	assert_int_equal(pa_error_to_errno(&err), EEXIST);
	static const char *const bad[] = {"", ".", "..", "a/b"};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pa_tree_make_directory(fixture.data_set, PA_INODE_ROOT, bad[i], 0700, &other,
		                                        &no_limit, &err),
		                 -(int)PA_ERROR_PERMANENT);
	fixture_end(&fixture);
}

static void test_read_only(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 10);
	fixture_open(&fixture, &(struct fixture_options){.read_only = true});
	struct pa_error err = PA_ERROR_INIT;
	struct pa_file *file = NULL;
	struct pa_attributes attributes;
	struct pa_store_attributes set = {.set_size = true};
	uint64_t inode = fixture_inode(&fixture, "a");
	assert_true(pa_file_open(fixture.data_set, inode, PA_FILE_WRITE, &file, &no_limit, &err) < 0);
	assert_int_equal(pa_error_to_errno(&err), EROFS);
	assert_true(pa_file_open(fixture.data_set, inode, PA_FILE_READ | PA_FILE_TRUNCATE, &file, &no_limit,
	                         &err) < 0);
	assert_int_equal(pa_error_to_errno(&err), EROFS);
	assert_true(pa_file_create(fixture.data_set, 1, "b", PA_FILE_WRITE, 0600, &file, &attributes,
	                           &no_limit, &err) < 0);
	assert_int_equal(pa_error_to_errno(&err), EROFS);
	assert_true(pa_tree_remove(fixture.data_set, 1, "a", false, &no_limit, &err) < 0);
	assert_true(pa_tree_rename(fixture.data_set, 1, "a", 1, "b", false, &no_limit, &err) < 0);
	assert_true(pa_tree_set_attributes(fixture.data_set, inode, &set, &attributes, &no_limit, &err) < 0);
	assert_int_equal(pa_error_to_errno(&err), EROFS);
	assert_source(&fixture, "a", 1, 10);
	fixture_end(&fixture);
}

/* A write comes while the chunk is on its way: what was read before may not stay. */
struct late_write {
	struct fixture *fixture;
	uint64_t offset;
};

static void *write_late(void *context)
{
	struct late_write *late = context;
	struct pa_file *file = fixture_file_open(late->fixture, "a", PA_FILE_READ | PA_FILE_WRITE);

	usleep(30000);
	write_range(file, 2, late->offset, 100);
	fixture_check(file, 2, late->offset, 100); /* what I wrote I read */
	fixture_file_close(file);
	return NULL;
}

static void test_write_crosses_load(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 2 * MIB);
	fixture_open(&fixture, &(struct fixture_options){0});
	fault_set_delay(fixture.store, 100 * PA_NS_PER_MS);
	struct late_write late = {.fixture = &fixture, .offset = 5000};
	pthread_t thread;
	struct pa_assignment assignment = fixture_assignment("a", 0, 60 * PA_NS_PER_SECOND);
	assert_int_equal(pthread_create(&thread, NULL, write_late, &late), 0);
	fixture_assign(&fixture, &assignment, 1);
	pthread_join(thread, NULL);
	assert_true(fixture_wait_resident(&fixture, "a", 2 * MIB));
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(file, 1, 0, 5000);
	fixture_check(file, 2, 5000, 100);
	fixture_check(file, 1, 5100, 2 * MIB - 5100);
	fixture_file_close(file);
	fixture_end(&fixture);
}

/* While a file is handed out whole, those who read its descriptor see what is written. */
static void test_write_to_held(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, MIB);
	fixture_open(&fixture, &(struct fixture_options){.quota_bytes = 2 * MIB});
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ | PA_FILE_WRITE);
	fixture_check(file, 1, 0, MIB);
	int fd = pa_file_hold_whole(file);
	assert_true(fd >= 0);
	write_range(file, 2, 100, 50);
	write_range(file, 2, MIB, MIB);
	unsigned char *data = malloc(2 * MIB);
	assert_int_equal(pread(fd, data, 2 * MIB, 0), 2 * MIB);
	assert_true(fixture_same(data + 100, 2, 100, 50));
	assert_true(fixture_same(data + MIB, 2, MIB, MIB));
	/* There is no room for more, and a hole must not be shown. */
	struct pa_error err = PA_ERROR_INIT;
	assert_int_equal(pa_file_write(file, 2 * MIB, data, 10, &no_limit, &err), -(int)PA_ERROR_NO_SPACE);
	pa_file_release_whole(file);
	assert_int_equal(pa_file_write(file, 2 * MIB, data, 10, &no_limit, &err), 0);
	free(data);
	fixture_file_close(file);
	fixture_end(&fixture);
}

/* Appending to a whole file leaves it whole, for those who hold it and for the next. */
static void test_appended_stays_whole(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, 5000);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_file *reader = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(reader, 1, 0, 5000);
	assert_true(pa_file_hold_whole(reader) >= 0);
	for (unsigned i = 0; i < 3; i++) {
		struct pa_file *writer = fixture_file_open(&fixture, "a", PA_FILE_WRITE);
		write_range(writer, 1, 5000 + i * 3, 3);
		struct pa_file *late = fixture_file_open(&fixture, "a", PA_FILE_READ);
		assert_true(pa_file_hold_whole(late) >= 0);
		pa_file_release_whole(late);
		fixture_file_close(late);
		fixture_file_close(writer);
		assert_int_equal(fixture_resident(&fixture, "a"), 5000 + i * 3 + 3);
	}
	pa_file_release_whole(reader);
	fixture_file_close(reader);
	reader = fixture_file_open(&fixture, "a", PA_FILE_READ);
	assert_true(pa_file_hold_whole(reader) >= 0);
	pa_file_release_whole(reader);
	fixture_file_close(reader);
	assert_int_equal(fault_reads(fixture.store), 1);
	fixture_end(&fixture);
}

static void test_foreign_change_before_writing(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, MIB);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(file, 1, 0, MIB);
	fixture_file_close(file);
	fixture_file(fixture.source, "a", 9, MIB + 50);
	file = fixture_file_open(&fixture, "a", PA_FILE_READ | PA_FILE_WRITE);
	write_range(file, 9, 10, 10);
	fixture_check(file, 9, 0, MIB + 50);
	fixture_file_close(file);
	fixture_end(&fixture);
}

/* Several writers, each in its own part of one file, and readers of what is there at the time. */
struct part {
	pthread_t thread;
	struct fixture *fixture;
	unsigned number;
};

#define PART_BYTES (300 * 1024u)

static void *write_part(void *context)
{
	struct part *part = context;
	struct pa_file *file = fixture_file_open(part->fixture, "a", PA_FILE_READ | PA_FILE_WRITE);
	uint64_t start = (uint64_t)part->number * PART_BYTES;

	for (int pass = 0; pass < 6; pass++) {
		for (size_t offset = 0; offset < PART_BYTES; offset += 60 * 1024)
			write_range(file, (unsigned)pass, start + offset, 60 * 1024);
		fixture_check(file, (unsigned)pass, start, PART_BYTES);
	}
	fixture_file_close(file);
	return NULL;
}

static void *read_parts(void *context)
{
	struct part *part = context;
	struct pa_error err = PA_ERROR_INIT;
	unsigned char *data = malloc(PART_BYTES);

	for (int i = 0; i < 60; i++) {
		struct pa_file *file = fixture_file_open(part->fixture, "a", PA_FILE_READ);
		size_t got = 0;
		if (pa_file_read(file, (uint64_t)(i % 8) * PART_BYTES, data, PART_BYTES, &got, NULL,
		                 &no_limit, &err) < 0)
			fail_msg("%s", err.message);
		fixture_file_close(file);
	}
	free(data);
	return NULL;
}

static void *disturb(void *context)
{
	struct part *part = context;

	for (unsigned i = 0; i < 40; i++) {
		struct pa_assignment assignment = fixture_assignment("a", 0, 60 * PA_NS_PER_SECOND);
		fixture_assign(part->fixture, &assignment, i % 2);
		if (i % 4 == 0)
			refresh(part->fixture);
		usleep(2000);
	}
	return NULL;
}

static void test_many_writers(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 0, 8 * PART_BYTES);
	fixture_open(&fixture, &(struct fixture_options){
				   .quota_bytes = 2 * MIB, .verify_every = 4, .readahead_chunks = 1});
	struct part parts[8];
	struct part readers[4];
	struct part other = {.fixture = &fixture};
	for (unsigned i = 0; i < 8; i++) {
		parts[i] = (struct part){.fixture = &fixture, .number = i};
		assert_int_equal(pthread_create(&parts[i].thread, NULL, write_part, &parts[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		readers[i] = (struct part){.fixture = &fixture};
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_parts, &readers[i]), 0);
	}
	assert_int_equal(pthread_create(&other.thread, NULL, disturb, &other), 0);
	for (unsigned i = 0; i < 8; i++)
		pthread_join(parts[i].thread, NULL);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(readers[i].thread, NULL);
	pthread_join(other.thread, NULL);
	assert_source(&fixture, "a", 5, 8 * PART_BYTES);
	refresh(&fixture);
	struct pa_file *file = fixture_file_open(&fixture, "a", PA_FILE_READ);
	fixture_check(file, 5, 0, 8 * PART_BYTES);
	fixture_file_close(file);
	struct pa_cache_status status = fixture_status(&fixture);
	assert_true(status.peak_bytes <= 2 * MIB);
	assert_int_equal(status.corrupt_chunks, 0);
	fixture_end(&fixture);
}

struct endless {
	struct fixture *fixture;
	pthread_t thread;
	int stop;
};

/* Some copy is always under way: there are several of these. */
static void *read_endlessly(void *context)
{
	struct endless *endless = context;
	struct pa_file *file = fixture_file_open(endless->fixture, "a", PA_FILE_READ);
	struct pa_error err = PA_ERROR_INIT;
	unsigned char *data = malloc(MIB);
	size_t got;

	while (__atomic_load_n(&endless->stop, __ATOMIC_RELAXED) == 0)
		assert_int_equal(pa_file_read(file, 0, data, MIB, &got, NULL, &no_limit, &err), 0);
	free(data);
	fixture_file_close(file);
	return NULL;
}

/* The readers read until the file has been cut and made longer often enough. */
static void test_truncate_among_readers(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	fixture_file(fixture.source, "a", 1, MIB);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct endless readers[4];
	uint64_t inode = fixture_inode(&fixture, "a");
	struct pa_error err = PA_ERROR_INIT;
	for (unsigned i = 0; i < 4; i++) {
		readers[i] = (struct endless){.fixture = &fixture};
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_endlessly, &readers[i]), 0);
	}
	for (unsigned i = 0; i < 50; i++) {
		struct pa_attributes attributes;
		struct pa_store_attributes set = {.set_size = true, .size_bytes = MIB - 4096 * (i % 7)};
		assert_int_equal(
		    pa_tree_set_attributes(fixture.data_set, inode, &set, &attributes, &no_limit, &err), 0);
		assert_int_equal(attributes.size_bytes, set.size_bytes);
	}
	for (unsigned i = 0; i < 4; i++) {
		__atomic_store_n(&readers[i].stop, 1, __ATOMIC_RELAXED);
		pthread_join(readers[i].thread, NULL);
	}
	fixture_end(&fixture);
}

static bool collect(void *context, const char *name, uint64_t cookie, const struct pa_attributes *attributes)
{
	char *seen = context;

	assert_true(cookie > 0);
	assert_true(attributes->inode != 0);
	strcat(seen, name);
	return strlen(seen) % 2 != 0;
}

static void test_listing_under_changes(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_begin(&fixture);
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	for (int i = 0; i < 5; i++)
		fixture_file(fixture.source, names[i], 0, 1);
	fixture_open(&fixture, &(struct fixture_options){0});
	struct pa_error err = PA_ERROR_INIT;
	struct pa_attributes attributes;
	char seen[32] = "";
	assert_int_equal(pa_tree_list(fixture.data_set, PA_INODE_ROOT, 0, collect, seen, &err), 0);
	assert_string_equal(seen, "ab");
	/* "b" was the last; it goes, and so does the next; one comes, one gets another name. */
	assert_int_equal(pa_tree_lookup(fixture.data_set, PA_INODE_ROOT, "b", &attributes, &err), 0);
	assert_int_equal(pa_tree_remove(fixture.data_set, PA_INODE_ROOT, "b", false, &no_limit, &err), 0);
	assert_int_equal(pa_tree_remove(fixture.data_set, PA_INODE_ROOT, "c", false, &no_limit, &err), 0);
	assert_int_equal(
	    pa_tree_rename(fixture.data_set, PA_INODE_ROOT, "a", PA_INODE_ROOT, "z", false, &no_limit, &err),
	    0);
	assert_int_equal(pa_tree_list(fixture.data_set, PA_INODE_ROOT, 2, collect, seen, &err), 0);
	assert_string_equal(seen, "abde");
	assert_int_equal(pa_tree_list(fixture.data_set, attributes.inode, 0, collect, seen, &err),
	                 -(int)PA_ERROR_NOT_FOUND);
	assert_int_equal(pa_tree_list(fixture.data_set, fixture_inode(&fixture, "d"), 0, collect, seen, &err),
	                 -(int)PA_ERROR_PERMANENT);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_written_is_in_memory),
	    cmocka_unit_test(test_write_without_room),
	    cmocka_unit_test(test_overwrite),
	    cmocka_unit_test(test_append_and_truncate),
	    cmocka_unit_test(test_remove_while_open),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_read_only),
	    cmocka_unit_test(test_write_crosses_load),
	    cmocka_unit_test(test_write_to_held),
	    cmocka_unit_test(test_appended_stays_whole),
	    cmocka_unit_test(test_foreign_change_before_writing),
	    cmocka_unit_test(test_many_writers),
	    cmocka_unit_test(test_truncate_among_readers),
	    cmocka_unit_test(test_listing_under_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
