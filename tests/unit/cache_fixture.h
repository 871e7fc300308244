/* SPDX-License-Identifier: Apache-2.0 */
/* What the cache's tests share: folders that go away, files with known content, and a store in front of another one
 * that is slow, fails, or counts, as a test tells it. */
#ifndef PA_TEST_CACHE_FIXTURE_H
#define PA_TEST_CACHE_FIXTURE_H

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cache/cache.h"
#include "cache/tree.h"
#include "store/link.h"
#include "store/store.h"

#define MIB (1024u * 1024u)

static const struct pa_store_call no_limit = {.deadline_ns = PA_DEADLINE_NEVER};

/* ---- folders and files ---- */

static inline int fixture_remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

static inline void fixture_remove(const char *path)
{
	nftw(path, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void fixture_folder(char out[64], const char *kind)
{
	/* On tmpfs where there is one, as the cache expects. */
	snprintf(out, 64, "%s/pa-%s-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", kind);
	assert_non_null(mkdtemp(out));
}

/* The byte of every file's content at an offset. */
static inline unsigned char fixture_byte(unsigned seed, uint64_t offset)
{
	uint64_t x = (offset / 8 + 1) * 0x9e3779b97f4a7c15u + seed * 0xbf58476d1ce4e5b9u;

	x ^= x >> 29;
	return (unsigned char)(x >> (offset % 8 * 8));
}

static inline void fixture_fill(unsigned char *data, unsigned seed, uint64_t offset, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		data[i] = fixture_byte(seed, offset + i);
}

static inline bool fixture_same(const unsigned char *data, unsigned seed, uint64_t offset, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (data[i] != fixture_byte(seed, offset + i))
			return false;
	return true;
}

static inline void fixture_file(const char *folder, const char *name, unsigned seed, size_t bytes)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	unsigned char *data = malloc(bytes + 1);
	fixture_fill(data, seed, 0, bytes);
	assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
	free(data);
	close(fd);
}

static inline void fixture_mkdir(const char *folder, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

/* ---- the store of faults ---- */

#define FIXTURE_MAX_READS 4096

struct fault_read {
	char path[64];
	uint64_t offset;
	size_t bytes;
	int64_t begin_ns;
};

struct fault_store {
	struct pa_store head;
	struct pa_store *below;
	pthread_mutex_t mutex;
	int64_t delay_ns;      /* of each read */
	int transient_reads;   /* so many reads fail, and may be tried again */
	int permanent_reads;   /* so many reads fail for good; < 0: all */
	const char *fail_path; /* only of this path */
	int stats;
	/* Called when a request has come and when it has been carried out ("stat", "listed", "remove", "renamed"). */
	void (*hook)(void *context, const char *moment);
	void *hook_context;
	int running;
	int most_running;
	size_t read_count;
	struct fault_read reads[FIXTURE_MAX_READS];
	struct fault_read in_flight[64];
	int overlaps; /* reads of bytes that another read was already fetching */
};

static inline void fault_close(struct pa_store *head)
{
	struct fault_store *store = (struct fault_store *)head;

	pa_store_unref(store->below);
	pthread_mutex_destroy(&store->mutex);
	free(store);
}

static inline void fault_hook(struct pa_store *head, const char *moment)
{
	struct fault_store *store = (struct fault_store *)head;

	if (store->hook != NULL)
		store->hook(store->hook_context, moment);
}

static inline int fault_list(struct pa_store *head, const char *path, pa_store_entry_fn each, void *context,
                             const struct pa_store_call *call, struct pa_error *err)
{
	int r = pa_store_list(((struct fault_store *)head)->below, path, each, context, call, err);
	fault_hook(head, "listed");
	return r;
}

static inline int fault_stat(struct pa_store *head, const char *path, struct pa_store_entry *ret,
                             const struct pa_store_call *call, struct pa_error *err)
{
	__atomic_add_fetch(&((struct fault_store *)head)->stats, 1, __ATOMIC_RELAXED);
	fault_hook(head, "stat");
	return pa_store_stat(((struct fault_store *)head)->below, path, ret, call, err);
}

/* Notes a read; returns its place among those in flight. */
static inline int fault_begin(struct fault_store *store, const char *path, uint64_t offset, size_t bytes)
{
	struct fault_read note = {.offset = offset, .bytes = bytes, .begin_ns = pa_clock_ns()};
	int place = -1;

	snprintf(note.path, sizeof(note.path), "%s", path);
	for (int i = 0; i < 64; i++) {
		const struct fault_read *other = &store->in_flight[i];
		if (other->bytes == 0) {
			place = place < 0 ? i : place;
			continue;
		}
		if (strcmp(other->path, note.path) == 0 && offset < other->offset + other->bytes &&
		    other->offset < offset + bytes)
			store->overlaps++;
	}
	store->in_flight[place] = note;
	if (store->read_count < FIXTURE_MAX_READS)
		store->reads[store->read_count] = note;
	store->read_count++;
	if (++store->running > store->most_running)
		store->most_running = store->running;
	return place;
}

static inline int fault_read(struct pa_store *head, const char *path, const struct pa_hash128 *version,
                             uint64_t offset, void *data, size_t bytes, size_t *ret_bytes,
                             const struct pa_store_call *call, struct pa_error *err)
{
	struct fault_store *store = (struct fault_store *)head;

	pthread_mutex_lock(&store->mutex);
	bool meant = store->fail_path == NULL || strcmp(store->fail_path, path) == 0;
	bool transient = meant && store->transient_reads > 0;
	bool permanent = meant && store->permanent_reads != 0;
	store->transient_reads -= transient;
	store->permanent_reads -= permanent && store->permanent_reads > 0;
	int64_t delay_ns = store->delay_ns;
	int place = fault_begin(store, path, offset, bytes);
	pthread_mutex_unlock(&store->mutex);

	int64_t until_ns = pa_clock_deadline(delay_ns);
	int r = 0;
	while (r == 0 && pa_clock_ns() < until_ns) {
		usleep(500);
		r = pa_store_call_check(call, "a slow read", err);
	}
	if (r == 0 && transient)
		r = pa_error_set(err, PA_ERROR_TRANSIENT, "a read that may be tried again");
	else if (r == 0 && permanent)
		r = pa_error_set(err, PA_ERROR_PERMANENT, "'%s' cannot be read", path);
	if (r == 0)
		r = pa_store_read(store->below, path, version, offset, data, bytes, ret_bytes, call, err);
	pthread_mutex_lock(&store->mutex);
	store->in_flight[place].bytes = 0;
	store->running--;
	pthread_mutex_unlock(&store->mutex);
	return r;
}

static inline int fault_open_write(struct pa_store *head, const char *path, unsigned flags, uint32_t mode,
                                   struct pa_store_file **ret, const struct pa_store_call *call,
                                   struct pa_error *err)
{
	return pa_store_open_write(((struct fault_store *)head)->below, path, flags, mode, ret, call, err);
}

static struct pa_store *fault_below; /* where a file goes, of which only the driver below knows the shape */
static int fault_writes;             /* so many writes fail half-way */

static inline int fault_write(struct pa_store_file *file, const void *data, size_t bytes, uint64_t offset,
                              const struct pa_store_call *call, struct pa_error *err)
{
	if (fault_writes > 0) {
		fault_writes--;
		pa_store_write(fault_below, file, data, bytes / 2, offset, call, err);
		return pa_error_set(err, PA_ERROR_PERMANENT, "half of it is written");
	}
	return pa_store_write(fault_below, file, data, bytes, offset, call, err);
}

static inline int fault_sync(struct pa_store_file *file, const struct pa_store_call *call,
                             struct pa_error *err)
{
	return pa_store_sync(fault_below, file, call, err);
}

static inline int fault_close_write(struct pa_store_file *file, struct pa_store_entry *ret,
                                    const struct pa_store_call *call, struct pa_error *err)
{
	return pa_store_close_write(fault_below, file, ret, call, err);
}

static inline int fault_set_attributes(struct pa_store *head, const char *path,
                                       const struct pa_store_attributes *attributes,
                                       const struct pa_store_call *call, struct pa_error *err)
{
	return pa_store_set_attributes(((struct fault_store *)head)->below, path, attributes, call, err);
}

static inline int fault_make_directory(struct pa_store *head, const char *path, uint32_t mode,
                                       const struct pa_store_call *call, struct pa_error *err)
{
	return pa_store_make_directory(((struct fault_store *)head)->below, path, mode, call, err);
}

static inline int fault_make_symlink(struct pa_store *head, const char *path, const char *target,
                                     const struct pa_store_call *call, struct pa_error *err)
{
	return pa_store_make_symlink(((struct fault_store *)head)->below, path, target, call, err);
}

static inline int fault_remove(struct pa_store *head, const char *path, bool directory,
                               const struct pa_store_call *call, struct pa_error *err)
{
	fault_hook(head, "remove");
	return pa_store_remove(((struct fault_store *)head)->below, path, directory, call, err);
}

static inline int fault_rename(struct pa_store *head, const char *from, const char *to, bool no_replace,
                               const struct pa_store_call *call, struct pa_error *err)
{
	int r = pa_store_rename(((struct fault_store *)head)->below, from, to, no_replace, call, err);
	fault_hook(head, "renamed");
	return r;
}

static const struct pa_store_ops fault_ops = {
    .scheme = "fault",
    .abilities = PA_STORE_WRITE_RANDOM | PA_STORE_WRITE_APPEND | PA_STORE_RENAME | PA_STORE_DIRECTORIES |
                 PA_STORE_SYMLINKS | PA_STORE_ATTRIBUTES,
    .close = fault_close,
    .list = fault_list,
    .stat = fault_stat,
    .read = fault_read,
    .open_write = fault_open_write,
    .write = fault_write,
    .sync = fault_sync,
    .close_write = fault_close_write,
    .set_attributes = fault_set_attributes,
    .make_directory = fault_make_directory,
    .make_symlink = fault_make_symlink,
    .remove = fault_remove,
    .rename = fault_rename,
};

static inline struct fault_store *fault_new(const char *folder, uint32_t connections)
{
	char location[128];
	struct fault_store *store = calloc(1, sizeof(*store));
	struct pa_error err = PA_ERROR_INIT;

	assert_non_null(store);
	snprintf(location, sizeof(location), "file://%s", folder);
	struct pa_store_options options = {.location = location, .connections = PA_STORE_MAX_CONNECTIONS};
	assert_int_equal(pa_store_open(&options, &store->below, &err), 0);
	fault_below = store->below;
	store->head.ops = &fault_ops;
	store->head.link = pa_link_new(0, 0, connections);
	store->head.location = strdup(location);
	store->head.abilities = fault_ops.abilities;
	store->head.references = 1;
	pthread_mutex_init(&store->mutex, NULL);
	return store;
}

static inline size_t fault_reads(struct fault_store *store)
{
	pthread_mutex_lock(&store->mutex);
	size_t count = store->read_count;
	pthread_mutex_unlock(&store->mutex);
	return count;
}

static inline void fault_set_delay(struct fault_store *store, int64_t delay_ns)
{
	pthread_mutex_lock(&store->mutex);
	store->delay_ns = delay_ns;
	pthread_mutex_unlock(&store->mutex);
}

/* ---- a cache over a store of faults ---- */

struct fixture {
	char source[64];
	char memory[64];
	struct fault_store *store;
	struct pa_cache *cache;
	struct pa_data_set *data_set;
	bool keeps_memory; /* at its end something is still open or pinned */
};

static inline void fixture_begin(struct fixture *fixture)
{
	memset(fixture, 0, sizeof(*fixture));
	fixture_folder(fixture->source, "source");
	fixture_folder(fixture->memory, "memory");
}

struct fixture_options {
	uint64_t quota_bytes;
	uint32_t verify_every;
	uint32_t connections;
	uint32_t readahead_chunks;
	bool read_only;
	const char *root;
};

static inline void fixture_open(struct fixture *fixture, const struct fixture_options *options)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_cache_options cache_options = {
	    .directory = fixture->memory,
	    .quota_bytes = options->quota_bytes != 0 ? options->quota_bytes : 64 * MIB,
	    .verify_every = options->verify_every,
	};

	fixture->store = fault_new(fixture->source, options->connections != 0 ? options->connections : 4);
	if (pa_cache_new(&cache_options, &fixture->cache, &err) < 0)
		fail_msg("%s", err.message);
	struct pa_data_set_options data_set_options = {
	    .name = "set",
	    .store = &fixture->store->head,
	    .root = options->root != NULL ? options->root : "",
	    .read_only = options->read_only,
	    .readahead_chunks = options->readahead_chunks,
	};
	if (pa_cache_open_data_set(fixture->cache, &data_set_options, &no_limit, &fixture->data_set, &err) <
	    0)
		fail_msg("%s", err.message);
}

static inline uint64_t fixture_inode(struct fixture *fixture, const char *path)
{
	char part[256];
	struct pa_attributes attributes = {.inode = PA_INODE_ROOT};
	struct pa_error err = PA_ERROR_INIT;

	while (*path != '\0') {
		size_t length = strcspn(path, "/");
		snprintf(part, sizeof(part), "%.*s", (int)length, path);
		if (pa_tree_lookup(fixture->data_set, attributes.inode, part, &attributes, &err) < 0)
			return 0;
		path += length + (path[length] == '/');
	}
	return attributes.inode;
}

static inline struct pa_file *fixture_file_open(struct fixture *fixture, const char *path, unsigned flags)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_file *file = NULL;

	if (pa_file_open(fixture->data_set, fixture_inode(fixture, path), flags, &file, &no_limit, &err) < 0)
		fail_msg("%s", err.message);
	return file;
}

static inline void fixture_file_close(struct pa_file *file)
{
	struct pa_error err = PA_ERROR_INIT;

	if (pa_file_close(file, &no_limit, &err) < 0)
		fail_msg("%s", err.message);
}

/* Reads a range and holds it against the content of that seed. */
static inline void fixture_check(struct pa_file *file, unsigned seed, uint64_t offset, size_t bytes)
{
	struct pa_error err = PA_ERROR_INIT;
	unsigned char *data = malloc(bytes + 1);
	size_t got = 0;

	if (pa_file_read(file, offset, data, bytes, &got, NULL, &no_limit, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(got, bytes);
	assert_true(fixture_same(data, seed, offset, bytes));
	free(data);
}

static inline struct pa_cache_status fixture_status(struct fixture *fixture)
{
	struct pa_cache_status status;

	pa_cache_status(fixture->cache, &status);
	return status;
}

static inline uint64_t fixture_resident(struct fixture *fixture, const char *path)
{
	struct pa_extent extent = {.path = path, .length_bytes = UINT64_MAX};
	uint64_t resident;
	uint64_t total;

	pa_data_set_residency(fixture->data_set, &extent, &resident, &total);
	return resident;
}

static inline bool fixture_wait_resident(struct fixture *fixture, const char *path, uint64_t bytes)
{
	int64_t until_ns = pa_clock_deadline(10 * PA_NS_PER_SECOND);

	while (fixture_resident(fixture, path) != bytes) {
		if (pa_clock_ns() > until_ns)
			return false;
		usleep(1000);
	}
	return true;
}

static inline struct pa_assignment fixture_assignment(const char *path, int64_t deadline_in_ns,
                                                      int64_t keep_in_ns)
{
	return (struct pa_assignment){
	    .data_set = "set",
	    .extent = {.path = path, .length_bytes = UINT64_MAX},
	    .deadline_ns = pa_clock_ns() + deadline_in_ns,
	    .keep_until_ns = pa_clock_ns() + keep_in_ns,
	};
}

static inline void fixture_assign(struct fixture *fixture, const struct pa_assignment *assignments,
                                  size_t count)
{
	struct pa_error err = PA_ERROR_INIT;

	if (pa_cache_assign(fixture->cache, assignments, count, &err) < 0)
		fail_msg("%s", err.message);
}

/* When nothing is wanted any more nothing is charged, whatever came before; files that were left open keep theirs. */
static inline void fixture_check_account(struct fixture *fixture)
{
	struct pa_error err = PA_ERROR_INIT;
	int64_t until_ns = pa_clock_deadline(10 * PA_NS_PER_SECOND);

	if (fixture->keeps_memory || fixture->cache == NULL)
		return;
	do {
		assert_int_equal(pa_cache_assign(fixture->cache, NULL, 0, &err), 0);
	} while (fixture_status(fixture).used_bytes != 0 && usleep(1000) == 0 && pa_clock_ns() < until_ns);
	assert_int_equal(fixture_status(fixture).used_bytes, 0);
}

static inline void fixture_end(struct fixture *fixture)
{
	fixture_check_account(fixture);
	pa_cache_free(fixture->cache);
	if (fixture->store != NULL)
		pa_store_unref(&fixture->store->head);
	/* The cache leaves its folder empty. */
	assert_int_equal(rmdir(fixture->memory), 0);
	fixture_remove(fixture->source);
}

#endif
