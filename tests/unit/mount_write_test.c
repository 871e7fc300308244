/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "mount_fixture.h"

#define BIG_BYTES (3u * 1024 * 1024 + 77)

static struct fixture *open_writable(bool direct)
{
	struct fixture *fixture = fixture_folders();

	mkdir(at(fixture->source, "folder"), 0755);
	write_pattern(at(fixture->source, "big"), 1, BIG_BYTES);
	write_pattern(at(fixture->source, "small"), 2, 1000);
	fixture_open(fixture, &(struct fixture_options){.direct = direct});
	return fixture;
}

static const char *in_source(const struct fixture *fixture, const char *name)
{
	return at(fixture->source, name);
}

static void write_all(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void assert_content(const char *path, const char *want)
{
	char got[4096];

	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	ssize_t bytes = read(fd, got, sizeof(got) - 1);
	close(fd);
	assert_true(bytes >= 0);
	got[bytes] = '\0';
	assert_string_equal(got, want);
}

/* Both the source and the view hold it. */
static void assert_both(const struct fixture *fixture, const char *name, const char *want)
{
	assert_content(in_source(fixture, name), want);
	assert_content(in_view(fixture, name), want);
}

static void test_create_write_append(void **state)
{
	struct fixture *fixture = open_writable(false);
	struct pa_view_account account;

	(void)state;
	int fd = open(in_view(fixture, "folder/new"), O_WRONLY | O_CREAT | O_EXCL, 0640);
	assert_true(fd >= 0);
	write_all(fd, "hello ");
	write_all(fd, "world");
	assert_int_equal(close(fd), 0);
	assert_both(fixture, "folder/new", "hello world");
	assert_int_equal(open(in_view(fixture, "folder/new"), O_WRONLY | O_CREAT | O_EXCL, 0640), -1);
	assert_int_equal(errno, EEXIST);
	fd = open(in_view(fixture, "folder/new"), O_WRONLY | O_APPEND);
	write_all(fd, "!");
	assert_int_equal(fsync(fd), 0);
	assert_content(in_source(fixture, "folder/new"), "hello world!");
	assert_int_equal(close(fd), 0);
	fd = open(in_view(fixture, "folder/new"), O_RDWR);
	assert_int_equal(pwrite(fd, "J", 1, 0), 1);
	assert_int_equal(close(fd), 0);
	assert_both(fixture, "folder/new", "Jello world!");
	fd = open(in_view(fixture, "folder/new"), O_WRONLY | O_TRUNC);
	write_all(fd, "x");
	assert_int_equal(close(fd), 0);
	assert_both(fixture, "folder/new", "x");
	pa_mount_view_account(fixture->view, &account);
	assert_int_equal(account.written_bytes, 11 + 1 + 1 + 1);
	fixture_close(fixture);
}

static void test_large_writes(void **state)
{
	struct fixture *fixture = open_writable(false);

	(void)state;
	write_pattern(in_view(fixture, "copy"), 9, 2 * BIG_BYTES);
	assert_int_equal(check_pattern(in_source(fixture, "copy"), 9, 2 * BIG_BYTES), 0);
	assert_int_equal(check_pattern(in_view(fixture, "copy"), 9, 2 * BIG_BYTES), 0);
	/* Over what was there and has been read. */
	assert_int_equal(check_pattern(in_view(fixture, "big"), 1, BIG_BYTES), 0);
	write_pattern(in_view(fixture, "big"), 5, BIG_BYTES / 2);
	assert_int_equal(check_pattern(in_source(fixture, "big"), 5, BIG_BYTES / 2), 0);
	assert_int_equal(check_pattern(in_view(fixture, "big"), 5, BIG_BYTES / 2), 0);
	fixture_close(fixture);
}

static void test_truncate(void **state)
{
	struct fixture *fixture = open_writable(false);
	struct stat status;
	char tail[10];

	(void)state;
	assert_int_equal(check_pattern(in_view(fixture, "small"), 2, 1000), 0);
	assert_int_equal(truncate(in_view(fixture, "small"), 10), 0);
	assert_int_equal(stat(in_view(fixture, "small"), &status), 0);
	assert_int_equal(status.st_size, 10);
	assert_int_equal(check_pattern(in_source(fixture, "small"), 2, 10), 0);
	assert_int_equal(check_pattern(in_view(fixture, "small"), 2, 10), 0);
	int fd = open(in_view(fixture, "small"), O_RDWR);
	assert_int_equal(ftruncate(fd, 20), 0);
	assert_int_equal(pread(fd, tail, 10, 10), 10);
	for (size_t i = 0; i < sizeof(tail); i++)
		assert_int_equal(tail[i], 0);
	close(fd);
	assert_int_equal(stat(in_source(fixture, "small"), &status), 0);
	assert_int_equal(status.st_size, 20);
	fixture_close(fixture);
}

/* What lies between is zeros, here and at the source, also within the chunk that was there. */
static void test_write_behind_the_end(void **state)
{
	struct fixture *fixture = open_writable(false);
	static char got[BIG_BYTES];

	(void)state;
	int fd = open(in_view(fixture, "new"), O_RDWR | O_CREAT, 0644);
	write_all(fd, "head");
	assert_int_equal(pwrite(fd, "!", 1, BIG_BYTES - 1), 1);
	assert_int_equal(pread(fd, got, BIG_BYTES, 0), BIG_BYTES);
	assert_memory_equal(got, "head", 4);
	for (size_t i = 4; i < BIG_BYTES - 1; i++)
		assert_int_equal(got[i], 0);
	assert_int_equal(got[BIG_BYTES - 1], '!');
	close(fd);
	fixture_close(fixture);
}

static void test_names(void **state)
{
	struct fixture *fixture = open_writable(false);
	char target[64] = "";

	(void)state;
	assert_int_equal(mkdir(in_view(fixture, "new"), 0750), 0);
	assert_int_equal(access(in_source(fixture, "new"), F_OK), 0);
	assert_int_equal(rename(in_view(fixture, "small"), in_view(fixture, "new/moved")), 0);
	assert_int_equal(access(in_source(fixture, "small"), F_OK), -1);
	assert_int_equal(access(in_view(fixture, "small"), F_OK), -1);
	assert_int_equal(check_pattern(in_source(fixture, "new/moved"), 2, 1000), 0);
	assert_int_equal(check_pattern(in_view(fixture, "new/moved"), 2, 1000), 0);
	assert_int_equal(rename(in_view(fixture, "new"), in_view(fixture, "folder/deep")), 0);
	assert_int_equal(check_pattern(in_view(fixture, "folder/deep/moved"), 2, 1000), 0);
	assert_int_equal(renameat2(AT_FDCWD, in_view(fixture, "big"), AT_FDCWD,
	                           in_view(fixture, "folder/deep/moved"), 1 /* RENAME_NOREPLACE */),
	                 -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(rename(in_view(fixture, "big"), in_view(fixture, "folder/deep/moved")), 0);
	assert_int_equal(check_pattern(in_view(fixture, "folder/deep/moved"), 1, BIG_BYTES), 0);
	assert_int_equal(check_pattern(in_source(fixture, "folder/deep/moved"), 1, BIG_BYTES), 0);
	assert_int_equal(rmdir(in_view(fixture, "folder/deep")), -1);
	assert_int_equal(errno, ENOTEMPTY);
	assert_int_equal(unlink(in_view(fixture, "folder/deep/moved")), 0);
	assert_int_equal(rmdir(in_view(fixture, "folder/deep")), 0);
	assert_int_equal(access(in_source(fixture, "folder/deep"), F_OK), -1);
	assert_int_equal(symlink("folder/some where", in_view(fixture, "link")), 0);
	assert_true(readlink(in_source(fixture, "link"), target, sizeof(target) - 1) > 0);
	assert_string_equal(target, "folder/some where");
	assert_int_equal(link(in_view(fixture, "link"), in_view(fixture, "hard")), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(mknod(in_view(fixture, "pipe"), S_IFIFO | 0644, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(mknod(in_view(fixture, "plain"), S_IFREG | 0600, 0), 0);
	assert_both(fixture, "plain", "");
	fixture_close(fixture);
}

static void test_attributes(void **state)
{
	struct fixture *fixture = open_writable(false);
	struct timespec times[2] = {{0, UTIME_OMIT}, {1234567890, 987654321}};
	struct statvfs space;
	struct stat status;
	char value[16];

	(void)state;
	assert_int_equal(chmod(in_view(fixture, "small"), 0751), 0);
	assert_int_equal(stat(in_source(fixture, "small"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0751);
	assert_int_equal(utimensat(AT_FDCWD, in_view(fixture, "small"), times, 0), 0);
	assert_int_equal(stat(in_source(fixture, "small"), &status), 0);
	assert_int_equal(status.st_mtim.tv_sec, 1234567890);
	assert_int_equal(stat(in_view(fixture, "small"), &status), 0);
	assert_int_equal(status.st_mtim.tv_nsec, 987654321);
	assert_int_equal(chown(in_view(fixture, "small"), status.st_uid, status.st_gid), 0);
	assert_int_equal(chown(in_view(fixture, "small"), 4242, 4242), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(getxattr(in_view(fixture, "small"), "user.x", value, sizeof(value)), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(statvfs(in_view(fixture, ""), &space), 0);
	assert_true(space.f_bavail > 0);
	fixture_close(fixture);
}

/* Two views of one data set, both writing. */
static void test_two_views(void **state)
{
	struct fixture *fixture = open_writable(false);
	struct pa_error err = PA_ERROR_INIT;
	struct pa_mount_view *other;
	struct stat status;

	(void)state;
	assert_int_equal(
	    pa_mount_add_view(fixture->mount, "other", fixture->data_set, "", false, &other, &err), 0);
	const char *here = in_view(fixture, "small");
	const char *there = at(fixture->mount_point, "other/small");
	assert_int_equal(stat(there, &status), 0);
	int fd = open(here, O_WRONLY | O_TRUNC);
	write_all(fd, "first");
	/* Not closed yet: the other view sees the size at once. */
	assert_int_equal(stat(there, &status), 0);
	assert_int_equal(status.st_size, 5);
	assert_content(there, "first");
	int appending = open(there, O_WRONLY | O_APPEND);
	write_all(appending, " second");
	close(appending);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, 12);
	close(fd);
	assert_content(here, "first second");
	assert_content(in_source(fixture, "small"), "first second");
	assert_int_equal(rename(here, at(fixture->mount_point, "other/moved")), -1);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(truncate(there, 3), 0);
	assert_int_equal(stat(here, &status), 0);
	assert_int_equal(status.st_size, 3);
	fixture_close(fixture);
}

/* Readers hold a file in passthrough; writers come by every kind of open. The kernel would answer EIO to a direct open
 * of that inode: they get a node of their own, the readers see what they write. */
static void test_write_beside_passthrough(void **state)
{
	static const int kinds[] = {O_WRONLY, O_RDWR, O_WRONLY | O_APPEND, O_RDWR | O_CREAT};
	struct fixture *fixture = open_writable(false);
	struct pa_view_account account;
	char got[8] = "";

	(void)state;
	if (!pa_mount_has_passthrough(fixture->mount)) {
		fixture_close(fixture);
		skip();
	}
	fixture_load_all(fixture);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int reader = open(in_view(fixture, "small"), O_RDONLY);
		assert_true(reader >= 0);
		pa_mount_view_account(fixture->view, &account);
		assert_int_equal(account.passthrough_opens, i + 1);
		int writer = open(in_view(fixture, "small"), kinds[i], 0644);
		if (writer < 0)
			fail_msg("open kind %zu beside a passthrough reader: %s", i, strerror(errno));
		off_t end = lseek(writer, 0, SEEK_END);
		assert_int_equal(pwrite(writer, "new", 3, end), 3);
		assert_int_equal(fsync(writer), 0);
		assert_int_equal(pread(reader, got, 3, end), 3);
		assert_memory_equal(got, "new", 3);
		int late = open(in_view(fixture, "small"), O_RDONLY);
		assert_true(late >= 0);
		assert_int_equal(pread(late, got, 3, end), 3);
		assert_memory_equal(got, "new", 3);
		close(late);
		close(writer);
		close(reader);
		int source = open(in_source(fixture, "small"), O_RDONLY);
		assert_int_equal(pread(source, got, 3, end), 3);
		assert_memory_equal(got, "new", 3);
		close(source);
		/* RELEASE is not waited for by close(2). */
		usleep(50000);
	}
	fixture_close(fixture);
}

static void test_truncate_beside_passthrough(void **state)
{
	struct fixture *fixture = open_writable(false);
	char got[8];

	(void)state;
	fixture_load_all(fixture);
	int reader = open(in_view(fixture, "small"), O_RDONLY);
	int writer = open(in_view(fixture, "small"), O_WRONLY | O_TRUNC);
	assert_true(writer >= 0);
	write_all(writer, "abc");
	close(writer);
	assert_both(fixture, "small", "abc");
	assert_int_equal(pread(reader, got, sizeof(got), 0), 3);
	close(reader);
	fixture_close(fixture);
}

static void shared_mapping_writes(bool load)
{
	struct fixture *fixture = open_writable(false);

	if (load)
		fixture_load_all(fixture);
	int fd = open(in_view(fixture, "big"), O_RDWR);
	assert_true(fd >= 0);
	char *data = mmap(NULL, BIG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(data, MAP_FAILED);
	assert_int_equal((unsigned char)data[4096], pattern(1, 4096));
	memcpy(data + BIG_BYTES - 3, "end", 3);
	memcpy(data, "start", 5);
	assert_int_equal(msync(data, BIG_BYTES, MS_SYNC), 0);
	munmap(data, BIG_BYTES);
	close(fd);
	fd = open(in_source(fixture, "big"), O_RDONLY);
	char got[8] = "";
	assert_int_equal(pread(fd, got, 5, 0), 5);
	assert_string_equal(got, "start");
	assert_int_equal(pread(fd, got, 5, BIG_BYTES - 3), 3);
	assert_memory_equal(got, "end", 3);
	close(fd);
	fixture_close(fixture);
}

static void test_shared_mapping(void **state)
{
	(void)state;
	shared_mapping_writes(false);
	shared_mapping_writes(true);
}

static void test_unlinked_file_lives(void **state)
{
	struct fixture *fixture = open_writable(false);
	unsigned char got[1000];

	(void)state;
	assert_int_equal(check_pattern(in_view(fixture, "small"), 2, 1000), 0);
	int fd = open(in_view(fixture, "small"), O_RDONLY);
	assert_int_equal(unlink(in_view(fixture, "small")), 0);
	assert_int_equal(pread(fd, got, sizeof(got), 0), sizeof(got));
	assert_true(is_pattern(got, 2, 0, sizeof(got)));
	close(fd);
	assert_int_equal(access(in_view(fixture, "small"), F_OK), -1);
	fixture_close(fixture);
}

/* What programs do: copy trees, archive, version. */
static void test_programs(void **state)
{
	struct fixture *fixture = open_writable(false);
	char command[8192];

	(void)state;
	snprintf(
	    command, sizeof(command),
	    "set -e; cd %s/set; mkdir tree; i=0; while [ $i -lt 50 ]; do echo $i >tree/$i; i=$((i+1)); done;"
	    "cp -r tree copy; diff -r tree copy; tar cf all.tar tree; rm -r tree; tar xf all.tar;"
	    "diff -r tree copy; sed -i s/7/seven/ copy/7; grep -q seven copy/7; mv copy tree/;"
	    "diff -r %s/set %s; rm -r tree all.tar; test ! -e %s/tree",
	    fixture->mount_point, fixture->mount_point, fixture->source, fixture->source);
	assert_int_equal(system(command), 0);
	fixture_close(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_create_write_append, fixture_teardown),
	    cmocka_unit_test_teardown(test_large_writes, fixture_teardown),
	    cmocka_unit_test_teardown(test_truncate, fixture_teardown),
	    cmocka_unit_test_teardown(test_write_behind_the_end, fixture_teardown),
	    cmocka_unit_test_teardown(test_names, fixture_teardown),
	    cmocka_unit_test_teardown(test_attributes, fixture_teardown),
	    cmocka_unit_test_teardown(test_two_views, fixture_teardown),
	    cmocka_unit_test_teardown(test_write_beside_passthrough, fixture_teardown),
	    cmocka_unit_test_teardown(test_truncate_beside_passthrough, fixture_teardown),
	    cmocka_unit_test_teardown(test_shared_mapping, fixture_teardown),
	    cmocka_unit_test_teardown(test_unlinked_file_lives, fixture_teardown),
	    cmocka_unit_test_teardown(test_programs, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, fixture_group_setup, NULL);
}
