/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of mount/ share: a real mount over a real cache and file store, in a mount namespace of its own.
 * Include after cmocka.h. */
#ifndef PA_TESTS_MOUNT_FIXTURE_H
#define PA_TESTS_MOUNT_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cache/cache.h"
#include "mount/mount.h"

#define FIXTURE_SKIP 77

struct fixture_options {
	bool direct;    /* no passthrough */
	bool read_only; /* the data set */
	int64_t latency_ns;
	uint64_t bandwidth_bps;
	uint64_t quota_bytes; /* 0: 512 MiB */
	int64_t read_timeout_ns;
	uint32_t threads;
	const char *root; /* of the data set; NULL: all */
};

struct fixture {
	char base[64];
	char source[96], memory[96], mount_point[96];
	struct pa_store *store;
	struct pa_cache *cache;
	struct pa_data_set *data_set;
	struct pa_mount *mount;
	struct pa_mount_view *view;
};

static struct fixture *fixture_current; /* the one that is open */

/* Whether a process has been killed and cannot end yet, or has ended. */
static inline bool fixture_is_dying(pid_t process)
{
	char path[64], line[256];
	bool dying = false;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)process);
	FILE *status = fopen(path, "re");
	if (status == NULL)
		return true;
	while (fgets(line, sizeof(line), status) != NULL) {
		if (strncmp(line, "State:", 6) == 0)
			dying = dying || strchr(line, 'Z') != NULL || strchr(line, 'X') != NULL;
		if (strncmp(line, "SigPnd:", 7) == 0 || strncmp(line, "ShdPnd:", 7) == 0)
			dying = dying || (strtoull(line + 7, NULL, 16) & 1ULL << (SIGKILL - 1)) != 0;
	}
	fclose(status);
	return dying;
}

/* Ends the connections of all mounts of tests in this namespace, which is the test's own. */
static inline void fixture_abort_mounts(void)
{
	char line[1024], path[256];
	FILE *mounts = fopen("/proc/self/mountinfo", "re");

	while (mounts != NULL && fgets(line, sizeof(line), mounts) != NULL)
		if (sscanf(line, "%*s %*s %*s %*s %255s", path) == 1 &&
		    strncmp(path, "/tmp/pa-mount-", strlen("/tmp/pa-mount-")) == 0 &&
		    strstr(line, " fuse.pipeahead ") != NULL)
			umount2(path, MNT_FORCE | MNT_DETACH);
	if (mounts != NULL)
		fclose(mounts);
}

/* The tests read and write files of a mount that their own process serves.  Killed in the midst of it, a thread would
 * wait for an answer of threads that are gone, and the process could never end.  So another process, which has no descriptor
 * of the mount, ends the connection then. */
static inline void fixture_guard(void)
{
	pid_t guarded = getpid();
	pid_t guard = fork();

	if (guard != 0)
		return;
	setsid(); /* whoever kills the test's group is not to kill this */
	int null_fd = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3 && null_fd >= 0; fd++)
		dup2(null_fd, fd);
	while (getppid() == guarded) {
		if (fixture_is_dying(guarded))
			fixture_abort_mounts();
		usleep(100000);
	}
	_exit(0);
}

static inline int fixture_group_setup(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    access("/dev/fuse", R_OK | W_OK) != 0) {
		print_message("1..0 # SKIP mounts are not permitted here\n");
		exit(FIXTURE_SKIP);
	}
	fixture_guard();
	return 0;
}

/* folder/name, in one of 64 buffers that take turns.  Not inlined: `folder` may be another of them, which the compiler
 * takes for an overlap. */
static __attribute__((noinline, unused)) const char *at(const char *folder, const char *name)
{
	static _Thread_local char paths[64][4096];
	static _Thread_local unsigned next;
	char *path = paths[next++ % 64];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

/* Bytes that tell their file and place. */
static inline unsigned char pattern(uint64_t seed, uint64_t offset)
{
	uint64_t word = (seed + 1) * 0x9e3779b97f4a7c15ULL ^ (offset / 8) * 0xbf58476d1ce4e5b9ULL;

	return (unsigned char)((word ^ word >> 29) >> (offset % 8 * 8));
}

static inline void write_pattern(const char *path, uint64_t seed, uint64_t bytes)
{
	static unsigned char block[1 << 16];
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	for (uint64_t offset = 0; offset < bytes; offset += sizeof(block)) {
		uint64_t part = bytes - offset < sizeof(block) ? bytes - offset : sizeof(block);
		for (uint64_t i = 0; i < part; i++)
			block[i] = pattern(seed, offset + i);
		assert_int_equal(fwrite(block, 1, part, file), part);
	}
	assert_int_equal(fclose(file), 0);
}

static inline bool is_pattern(const unsigned char *data, uint64_t seed, uint64_t offset, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (data[i] != pattern(seed, offset + i))
			return false;
	return true;
}

/* 0, or the errno of opening or reading, or -1 for content that is not the pattern. */
static inline int check_pattern(const char *path, uint64_t seed, uint64_t bytes)
{
	static _Thread_local unsigned char block[1 << 17];
	uint64_t offset = 0;

	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	for (;;) {
		ssize_t part = read(fd, block, sizeof(block));
		if (part < 0) {
			int cause = errno;
			close(fd);
			return cause;
		}
		if (part == 0)
			break;
		if (!is_pattern(block, seed, offset, (size_t)part))
			break;
		offset += (uint64_t)part;
	}
	close(fd);
	return offset == bytes ? 0 : -1;
}

static inline struct fixture *fixture_folders(void)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	snprintf(fixture->base, sizeof(fixture->base), "/tmp/pa-mount-XXXXXX");
	assert_non_null(mkdtemp(fixture->base));
	snprintf(fixture->source, sizeof(fixture->source), "%s/source", fixture->base);
	snprintf(fixture->memory, sizeof(fixture->memory), "%s/memory", fixture->base);
	snprintf(fixture->mount_point, sizeof(fixture->mount_point), "%s/mnt", fixture->base);
	assert_int_equal(mkdir(fixture->source, 0755), 0);
	assert_int_equal(mkdir(fixture->memory, 0755), 0);
	assert_int_equal(mkdir(fixture->mount_point, 0755), 0);
	assert_int_equal(mount("tmpfs", fixture->source, "tmpfs", 0, NULL), 0);
	assert_int_equal(mount("tmpfs", fixture->memory, "tmpfs", 0, NULL), 0);
	return fixture;
}

/* After the source has been filled. */
static inline void fixture_open(struct fixture *fixture, const struct fixture_options *options)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_store_call call = {.deadline_ns = pa_clock_deadline(60 * PA_NS_PER_SECOND)};
	char location[128];

	snprintf(location, sizeof(location), "file://%s", fixture->source);
	struct pa_store_options store = {
	    .location = location,
	    .latency_ns = options->latency_ns,
	    .bandwidth_bps = options->bandwidth_bps,
	    .read_only = options->read_only,
	};
	if (pa_store_open(&store, &fixture->store, &err) != 0)
		fail_msg("%s", err.message);
	struct pa_cache_options cache = {
	    .directory = fixture->memory,
	    .quota_bytes = options->quota_bytes != 0 ? options->quota_bytes : 512u << 20,
	};
	if (pa_cache_new(&cache, &fixture->cache, &err) != 0)
		fail_msg("%s", err.message);
	struct pa_data_set_options set = {
	    .name = "claim:test",
	    .store = fixture->store,
	    .root = options->root != NULL ? options->root : "",
	    .read_only = options->read_only,
	    .readahead_chunks = 4,
	};
	if (pa_cache_open_data_set(fixture->cache, &set, &call, &fixture->data_set, &err) != 0)
		fail_msg("%s", err.message);
	struct pa_mount_options mount = {
	    .mount_point = fixture->mount_point,
	    .no_passthrough = options->direct,
	    .read_timeout_ns = options->read_timeout_ns,
	    .thread_limit = options->threads,
	};
	if (pa_mount_new(&mount, &fixture->mount, &err) != 0)
		fail_msg("%s", err.message);
	fixture_current = fixture;
	if (pa_mount_add_view(fixture->mount, "set", fixture->data_set, "", false, &fixture->view, &err) != 0)
		fail_msg("%s", err.message);
}

/* A path below the view "set". */
static inline const char *in_view(const struct fixture *fixture, const char *name)
{
	static _Thread_local char paths[64][4096];
	static _Thread_local unsigned next;
	char *path = paths[next++ % 64];

	snprintf(path, sizeof(paths[0]), "%s/set/%s", fixture->mount_point, name);
	return path;
}

static inline void fixture_assign_all(struct fixture *fixture)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_assignment all = {
	    .data_set = "claim:test",
	    .extent = {.path = "", .length_bytes = UINT64_MAX},
	    .deadline_ns = pa_clock_ns(),
	    .keep_until_ns = INT64_MAX,
	};

	assert_int_equal(pa_cache_assign(fixture->cache, &all, 1, &err), 0);
}

static inline void fixture_load_all(struct fixture *fixture)
{
	struct pa_extent all = {.path = "", .length_bytes = UINT64_MAX};
	uint64_t resident = 0, total = 1;

	fixture_assign_all(fixture);
	for (int i = 0; resident != total; i++) {
		pa_data_set_residency(fixture->data_set, &all, &resident, &total);
		if (i == 3000)
			fail_msg("%llu of %llu bytes are in memory after 30 s", (unsigned long long)resident,
			         (unsigned long long)total);
		usleep(10000);
	}
}

static inline int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

/* fixture->mount may have been freed by the test. */
static inline void fixture_close(struct fixture *fixture)
{
	fixture_current = NULL;
	pa_mount_free(fixture->mount);
	if (fixture->data_set != NULL)
		pa_cache_close_data_set(fixture->cache, fixture->data_set);
	pa_cache_free(fixture->cache);
	pa_store_unref(fixture->store);
	umount2(fixture->source, MNT_DETACH);
	umount2(fixture->memory, MNT_DETACH);
	nftw(fixture->base, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(fixture);
}

/* A test that failed leaves its mount, and the process could not end while it has files of it open. */
static inline int fixture_teardown(void **state)
{
	(void)state;
	if (fixture_current != NULL && fixture_current->mount != NULL)
		pa_mount_free(fixture_current->mount);
	fixture_current = NULL;
	return 0;
}

#endif
