/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <sys/wait.h>

#include "mount_fixture.h"

#define BIG_BYTES   (5u * 1024 * 1024 + 12345)
#define MANY_FILES  20000
#define OTHER_VIEWS 4

static const char *const odd_names[] = {
    "new\nline", "\xff\xfe not utf-8 \x80", " leading space", "quote'\"\\", "-rf", "...", "*",
};

static void fill_odd(const char *folder)
{
	char longest[256];

	memset(longest, 'n', 255);
	longest[255] = '\0';
	write_pattern(at(folder, longest), 900, 100);
	for (size_t i = 0; i < sizeof(odd_names) / sizeof(odd_names[0]); i++)
		write_pattern(at(folder, odd_names[i]), 800 + i, 10 * i);
}

/* Folders, links, empty and large files, modes, odd names. */
static void fill_tree(const char *source)
{
	mkdir(at(source, "a"), 0755);
	mkdir(at(source, "a/b"), 0750);
	mkdir(at(source, "a/empty"), 0700);
	mkdir(at(source, "odd"), 0755);
	write_pattern(at(source, "big"), 1, BIG_BYTES);
	write_pattern(at(source, "chunk"), 2, PA_CHUNK_BYTES);
	write_pattern(at(source, "a/small"), 3, 4097);
	write_pattern(at(source, "a/b/nothing"), 4, 0);
	write_pattern(at(source, "a/b/script"), 5, 1);
	chmod(at(source, "a/b/script"), 0755);
	chmod(at(source, "a/small"), 0640);
	assert_int_equal(symlink("../big", at(source, "a/link")), 0);
	assert_int_equal(symlink("/nowhere/at all", at(source, "a/dangling")), 0);
	fill_odd(at(source, "odd"));
}

static void compare_files(const char *want, const char *got)
{
	static char left[1 << 16], right[1 << 16];
	FILE *a = fopen(want, "r"), *b = fopen(got, "r");

	assert_non_null(a);
	assert_non_null(b);
	for (;;) {
		size_t bytes = fread(left, 1, sizeof(left), a);
		assert_int_equal(fread(right, 1, sizeof(right), b), bytes);
		assert_memory_equal(left, right, bytes);
		if (bytes == 0)
			break;
	}
	assert_int_equal(ferror(b), 0);
	fclose(a);
	fclose(b);
}

static void compare_entry(const char *want, const char *got);

static size_t compare_folders(const char *want, const char *got)
{
	struct dirent **left, **right;

	int count = scandir(want, &left, NULL, alphasort);
	assert_int_equal(scandir(got, &right, NULL, alphasort), count);
	for (int i = 0; i < count; i++) {
		assert_string_equal(left[i]->d_name, right[i]->d_name);
		assert_int_equal(left[i]->d_type, right[i]->d_type);
		if (strcmp(left[i]->d_name, ".") != 0 && strcmp(left[i]->d_name, "..") != 0) {
			char *wanted = strdup(at(want, left[i]->d_name));
			char *found = strdup(at(got, left[i]->d_name));
			compare_entry(wanted, found);
			free(wanted);
			free(found);
		}
		free(left[i]);
		free(right[i]);
	}
	free(left);
	free(right);
	return (size_t)count;
}

static void compare_entry(const char *want, const char *got)
{
	struct stat left, right;
	char left_target[4096] = "", right_target[4096] = "";

	assert_int_equal(lstat(want, &left), 0);
	assert_int_equal(lstat(got, &right), 0);
	assert_int_equal(left.st_mode, right.st_mode);
	assert_int_equal(left.st_uid, right.st_uid);
	if (S_ISDIR(left.st_mode)) {
		compare_folders(want, got);
		return;
	}
	assert_int_equal(left.st_size, right.st_size);
	assert_int_equal(left.st_mtim.tv_sec, right.st_mtim.tv_sec);
	assert_int_equal(left.st_mtim.tv_nsec, right.st_mtim.tv_nsec);
	if (S_ISLNK(left.st_mode)) {
		assert_true(readlink(want, left_target, sizeof(left_target) - 1) > 0);
		assert_true(readlink(got, right_target, sizeof(right_target) - 1) > 0);
		assert_string_equal(left_target, right_target);
		return;
	}
	compare_files(want, got);
}

static void tree_is_equal(const struct fixture_options *options, bool load)
{
	struct fixture *fixture = fixture_folders();
	struct pa_view_account account;

	fill_tree(fixture->source);
	fixture_open(fixture, options);
	if (load)
		fixture_load_all(fixture);
	char *shown = strdup(at(fixture->mount_point, "set"));
	compare_folders(fixture->source, shown);
	free(shown);
	pa_mount_view_account(fixture->view, &account);
	assert_int_equal(account.read_errors, 0);
	if (load) {
		assert_int_equal(account.source_bytes, 0);
		assert_int_equal(account.stalled_ns, 0);
	}
	if (load && pa_mount_has_passthrough(fixture->mount))
		assert_true(account.passthrough_opens >= account.opens - 2); /* empty files may be direct */
	else if (options->direct)
		assert_int_equal(account.passthrough_opens, 0);
	fixture_close(fixture);
}

static void test_tree_passthrough(void **state)
{
	(void)state;
	tree_is_equal(&(struct fixture_options){0}, true);
}

static void test_tree_direct(void **state)
{
	(void)state;
	tree_is_equal(&(struct fixture_options){.direct = true}, true);
}

static void test_tree_not_loaded(void **state)
{
	(void)state;
	tree_is_equal(&(struct fixture_options){.read_only = true}, false);
}

static void test_many_names(void **state)
{
	struct fixture *fixture = fixture_folders();
	static char seen[MANY_FILES];
	struct stat status;
	char name[64];
	size_t count = 0;

	(void)state;
	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < MANY_FILES; i++) {
		snprintf(name, sizeof(name), "file-%05u", i);
		write_pattern(at(fixture->source, name), i, i % 100);
	}
	fixture_open(fixture, &(struct fixture_options){0});
	DIR *folder = opendir(at(fixture->mount_point, "set"));
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		unsigned index;
		if (sscanf(entry->d_name, "file-%u", &index) != 1)
			continue;
		assert_true(index < MANY_FILES);
		assert_int_equal(seen[index]++, 0);
		assert_int_equal(fstatat(dirfd(folder), entry->d_name, &status, 0), 0);
		assert_int_equal(status.st_size, index % 100);
		assert_int_equal(status.st_ino, entry->d_ino);
		count++;
	}
	closedir(folder);
	assert_int_equal(count, MANY_FILES);
	fixture_close(fixture);
}

static void random_reads(const struct fixture_options *options, bool load)
{
	struct fixture *fixture = fixture_folders();
	static unsigned char block[300000];
	unsigned seed = 7;

	write_pattern(at(fixture->source, "big"), 1, BIG_BYTES);
	fixture_open(fixture, options);
	if (load)
		fixture_load_all(fixture);
	int fd = open(in_view(fixture, "big"), O_RDONLY);
	assert_true(fd >= 0);
	for (int i = 0; i < 500; i++) {
		uint64_t offset = (uint64_t)rand_r(&seed) % (BIG_BYTES + 1000);
		size_t bytes = (size_t)rand_r(&seed) % sizeof(block);
		uint64_t left = offset < BIG_BYTES ? BIG_BYTES - offset : 0;
		ssize_t got = pread(fd, block, bytes, (off_t)offset);
		assert_int_equal(got, bytes < left ? bytes : left);
		assert_true(is_pattern(block, 1, offset, (size_t)got));
	}
	close(fd);
	fixture_close(fixture);
}

static void test_random_reads(void **state)
{
	(void)state;
	random_reads(&(struct fixture_options){0}, true);
	random_reads(&(struct fixture_options){.direct = true}, true);
	random_reads(&(struct fixture_options){0}, false);
	/* Past the memory: most of it finds no room. */
	random_reads(&(struct fixture_options){.quota_bytes = 2u << 20}, false);
}

static void mapped_reads(const struct fixture_options *options, bool load)
{
	struct fixture *fixture = fixture_folders();

	write_pattern(at(fixture->source, "big"), 1, BIG_BYTES);
	fixture_open(fixture, options);
	if (load)
		fixture_load_all(fixture);
	for (int flags = MAP_SHARED; flags <= MAP_PRIVATE; flags++) {
		int fd = open(in_view(fixture, "big"), O_RDONLY);
		unsigned char *data = mmap(NULL, BIG_BYTES, PROT_READ, flags, fd, 0);
		assert_ptr_not_equal(data, MAP_FAILED);
		close(fd);
		assert_true(is_pattern(data, 1, 0, BIG_BYTES));
		/* Beside the mapping, opens of all kinds work. */
		assert_int_equal(check_pattern(in_view(fixture, "big"), 1, BIG_BYTES), 0);
		munmap(data, BIG_BYTES);
		assert_int_equal(check_pattern(in_view(fixture, "big"), 1, BIG_BYTES), 0);
	}
	fixture_close(fixture);
}

static void test_mapped_reads(void **state)
{
	(void)state;
	mapped_reads(&(struct fixture_options){0}, true);
	mapped_reads(&(struct fixture_options){.direct = true}, true);
	mapped_reads(&(struct fixture_options){0}, false);
}

static void test_executes(void **state)
{
	struct fixture *fixture = fixture_folders();
	char command[4200];

	(void)state;
	snprintf(command, sizeof(command), "cp /bin/true %s/true", fixture->source);
	assert_int_equal(system(command), 0);
	fixture_open(fixture, &(struct fixture_options){.direct = true});
	assert_int_equal(system(in_view(fixture, "true")), 0);
	fixture_close(fixture);
}

static void test_read_only_view(void **state)
{
	struct fixture *fixture = fixture_folders();
	struct pa_error err = PA_ERROR_INIT;
	struct pa_mount_view *view;

	(void)state;
	fill_tree(fixture->source);
	fixture_open(fixture, &(struct fixture_options){0});
	assert_int_equal(pa_mount_add_view(fixture->mount, "ro", fixture->data_set, "a", true, &view, &err),
	                 0);
	const char *folder = at(fixture->mount_point, "ro");
	assert_int_equal(check_pattern(at(folder, "small"), 3, 4097), 0);
	assert_int_equal(open(at(folder, "small"), O_WRONLY), -1);
	assert_int_equal(errno, EROFS);
	assert_int_equal(open(at(folder, "new"), O_WRONLY | O_CREAT, 0644), -1);
	assert_int_equal(errno, EROFS);
	assert_int_equal(unlink(at(folder, "small")), -1);
	assert_int_equal(errno, EROFS);
	assert_int_equal(mkdir(at(folder, "new"), 0755), -1);
	assert_int_equal(errno, EROFS);
	assert_int_equal(truncate(at(folder, "small"), 1), -1);
	assert_int_equal(errno, EROFS);
	assert_int_equal(chmod(at(folder, "small"), 0600), -1);
	assert_int_equal(errno, EROFS);
	assert_int_equal(rename(at(folder, "small"), at(folder, "other")), -1);
	assert_int_equal(errno, EROFS);
	assert_int_equal(mkdir(at(fixture->mount_point, "view"), 0755), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(check_pattern(at(fixture->source, "a/small"), 3, 4097), 0);
	fixture_close(fixture);
}

/* Views: of a file, of nothing, twice by one name, taken away with a file open. */
static void test_views(void **state)
{
	struct fixture *fixture = fixture_folders();
	struct pa_error err = PA_ERROR_INIT;
	struct pa_mount_view *view, *other;
	struct stat left, right;

	(void)state;
	fill_tree(fixture->source);
	fixture_open(fixture, &(struct fixture_options){0});
	assert_int_equal(
	    pa_mount_add_view(fixture->mount, "file", fixture->data_set, "a/small", true, &view, &err), 0);
	assert_int_equal(check_pattern(at(fixture->mount_point, "file"), 3, 4097), 0);
	assert_int_equal(
	    pa_mount_add_view(fixture->mount, "gone", fixture->data_set, "a/x", true, &other, &err),
	    -PA_ERROR_NOT_FOUND);
	assert_int_equal(pa_mount_add_view(fixture->mount, "file", fixture->data_set, "", true, &other, &err),
	                 -PA_ERROR_INPUT);
	assert_int_equal(pa_mount_add_view(fixture->mount, "a/b", fixture->data_set, "", true, &other, &err),
	                 -PA_ERROR_INPUT);
	assert_int_equal(stat(at(fixture->mount_point, "file"), &left), 0);
	assert_int_equal(stat(in_view(fixture, "a/small"), &right), 0);
	assert_int_not_equal(left.st_ino, right.st_ino);
	int fd = open(at(fixture->mount_point, "file"), O_RDONLY);
	assert_true(fd >= 0);
	pa_mount_remove_view(fixture->mount, view);
	assert_int_equal(access(at(fixture->mount_point, "file"), F_OK), -1);
	assert_int_equal(errno, ENOENT);
	char byte;
	assert_int_equal(pread(fd, &byte, 1, 4096), 1);
	assert_int_equal((unsigned char)byte, pattern(3, 4096));
	close(fd);
	assert_int_equal(
	    pa_mount_add_view(fixture->mount, "file", fixture->data_set, "chunk", true, &view, &err), 0);
	assert_int_equal(check_pattern(at(fixture->mount_point, "file"), 2, PA_CHUNK_BYTES), 0);
	fixture_close(fixture);
}

static void test_single_file_set(void **state)
{
	struct fixture *fixture = fixture_folders();
	struct dirent **entries;

	(void)state;
	fill_tree(fixture->source);
	fixture_open(fixture, &(struct fixture_options){.root = "big"});
	assert_int_equal(check_pattern(at(fixture->mount_point, "set"), 1, BIG_BYTES), 0);
	int count = scandir(fixture->mount_point, &entries, NULL, alphasort);
	assert_int_equal(count, 3);
	assert_string_equal(entries[2]->d_name, "set");
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	fixture_close(fixture);
}

static void test_accounts(void **state)
{
	struct fixture *fixture = fixture_folders();
	struct pa_error err = PA_ERROR_INIT;
	struct pa_mount_view *other;
	struct pa_view_account account;
	struct pa_view_access accesses[4];

	(void)state;
	fill_tree(fixture->source);
	fixture_open(fixture, &(struct fixture_options){.latency_ns = 50 * PA_NS_PER_MS, .direct = true});
	assert_int_equal(
	    pa_mount_add_view(fixture->mount, "other", fixture->data_set, "", true, &other, &err), 0);
	assert_int_equal(check_pattern(in_view(fixture, "a/small"), 3, 4097), 0);
	assert_int_equal(check_pattern(in_view(fixture, "chunk"), 2, PA_CHUNK_BYTES), 0);
	assert_int_equal(check_pattern(in_view(fixture, "a/small"), 3, 4097), 0);
	assert_int_equal(check_pattern(at(fixture->mount_point, "other/chunk"), 2, PA_CHUNK_BYTES), 0);
	pa_mount_view_account(fixture->view, &account);
	assert_int_equal(account.opens, 3);
	assert_true(account.source_bytes >= 4097 + 1);
	assert_int_equal(account.source_bytes + account.memory_bytes, 2 * 4097 + PA_CHUNK_BYTES);
	assert_in_range(account.stalled_ns, 90 * PA_NS_PER_MS, 2 * PA_NS_PER_SECOND);
	pa_mount_view_account(other, &account);
	assert_int_equal(account.opens, 1);
	assert_int_equal(account.memory_bytes, PA_CHUNK_BYTES);
	assert_int_equal(account.source_bytes, 0);
	assert_int_equal(account.stalled_ns, 0);
	assert_int_equal(pa_mount_view_accesses(fixture->view, accesses, 4), 2);
	assert_string_equal(accesses[0].path, "a/small");
	assert_int_equal(accesses[0].size_bytes, 4097);
	assert_int_equal(accesses[0].read_bytes, 2 * 4097);
	assert_false(accesses[0].whole_at_first_open);
	assert_string_equal(accesses[1].path, "chunk");
	assert_true(accesses[1].first_open_ns >= accesses[0].first_open_ns);
	fixture_close(fixture);
}

static void test_accounts_passthrough(void **state)
{
	struct fixture *fixture = fixture_folders();
	struct pa_view_account account;
	struct pa_view_access access;

	(void)state;
	write_pattern(at(fixture->source, "big"), 1, BIG_BYTES);
	fixture_open(fixture, &(struct fixture_options){0});
	if (!pa_mount_has_passthrough(fixture->mount)) {
		fixture_close(fixture);
		skip();
	}
	fixture_load_all(fixture);
	for (int i = 0; i < 3; i++)
		assert_int_equal(check_pattern(in_view(fixture, "big"), 1, BIG_BYTES), 0);
	pa_mount_view_account(fixture->view, &account);
	assert_int_equal(account.opens, 3);
	assert_int_equal(account.passthrough_opens, 3);
	assert_int_equal(account.memory_bytes, BIG_BYTES);
	assert_int_equal(pa_mount_view_accesses(fixture->view, &access, 1), 1);
	assert_true(access.whole_at_first_open);
	assert_int_equal(access.read_bytes, BIG_BYTES);
	fixture_close(fixture);
}

static void test_source_error(void **state)
{
	struct fixture *fixture = fixture_folders();
	struct pa_view_account account;

	(void)state;
	write_pattern(at(fixture->source, "file"), 1, 1000);
	write_pattern(at(fixture->source, "whole"), 2, 1000);
	fixture_open(fixture, &(struct fixture_options){.read_timeout_ns = 5 * PA_NS_PER_SECOND});
	assert_int_equal(unlink(at(fixture->source, "file")), 0);
	assert_int_equal(mkdir(at(fixture->source, "file"), 0755), 0);
	int result = check_pattern(in_view(fixture, "file"), 1, 1000);
	assert_true(result == EIO || result == ESTALE || result == ENOENT);
	/* The others go on. */
	assert_int_equal(check_pattern(in_view(fixture, "whole"), 2, 1000), 0);
	pa_mount_view_account(fixture->view, &account);
	assert_int_equal(account.read_errors, 1);
	assert_false(pa_mount_view_is_stalled(fixture->view));
	fixture_close(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_tree_passthrough, fixture_teardown),
	    cmocka_unit_test_teardown(test_tree_direct, fixture_teardown),
	    cmocka_unit_test_teardown(test_tree_not_loaded, fixture_teardown),
	    cmocka_unit_test_teardown(test_many_names, fixture_teardown),
	    cmocka_unit_test_teardown(test_random_reads, fixture_teardown),
	    cmocka_unit_test_teardown(test_mapped_reads, fixture_teardown),
	    cmocka_unit_test_teardown(test_executes, fixture_teardown),
	    cmocka_unit_test_teardown(test_read_only_view, fixture_teardown),
	    cmocka_unit_test_teardown(test_views, fixture_teardown),
	    cmocka_unit_test_teardown(test_single_file_set, fixture_teardown),
	    cmocka_unit_test_teardown(test_accounts, fixture_teardown),
	    cmocka_unit_test_teardown(test_accounts_passthrough, fixture_teardown),
	    cmocka_unit_test_teardown(test_source_error, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, fixture_group_setup, NULL);
}
