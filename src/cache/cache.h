/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of one node: data sets as live trees over their sources, with their bytes in a memory
 * region under one quota, filled by one loader.
 *
 * A data set (struct pa_data_set) is a tree of files at one source.  It is listed once at opening, checked
 * against the source by pa_data_set_refresh() (at every task start), and changed by our own writes,
 * which go to the source first.  Its manifest (manifest.h) is the immutable picture of one moment.
 *
 * Bytes live in chunks of PA_CHUNK_BYTES; in node memory every file is a sparse tmpfs file of its own whose chunks
 * come and go (punched out).  A file is *whole* when all its chunks are there and its version is current.
 *
 * The loader is the only thing that moves bytes from a source: `connections` threads per source; at
 * most one fetch in flight per chunk, whoever asks.  Order: demand (a blocked reader), then readahead of
 * such a reader, then assignments by deadline.  Loads for assignments use at most half of the
 * connections, pause while a reader on the same source has been missing within the last 50 ms, and give way on the
 * link to what a reader waits for, so that load ahead never slows a running task's own reads by more than what is
 * under way at the source.  (With a single connection a reader waits for the end of the one request, of up to
 * 4 MiB, that may be on it.)  Transient errors are retried with back-off (5 tries within the
 * deadline); permanent ones reach the reader and pa_cache_status().
 *
 * A file that cannot be read (no permission, gone, an error of the medium) makes nothing else unusable: it stays in
 * the listing, each read of it fails, and loads ahead leave it alone for a second, then twice as long each time, up
 * to a minute.  Its extents are never wholly resident.  A folder that cannot be listed is there and answers EACCES.
 * Where the memory's file system is full before the quota is, readers are served past the memory and loads ahead rest.
 *
 * Quota: bytes of chunks present or being fetched never exceed it.  Who may go: not pinned, not
 * being read; first what no assignment names, then the latest keep_until/deadline; a load for a plan displaces only
 * what is needed later than itself; demand that finds no room is served past the memory and not kept.
 *
 * Ownership: the cache owns its data sets; all handles (files, pins) must be closed before pa_cache_free().
 * Threads: everything may be called from any thread.  Blocking: calls that take a `call` block until its
 * deadline at most; others only for short locks (no lock is held across I/O).
 */
#ifndef PA_CACHE_CACHE_H
#define PA_CACHE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "cache/assignment.h"
#include "cache/manifest.h"
#include "store/store.h"

#define PA_CHUNK_BYTES (1u << 20)

struct pa_cache;
struct pa_data_set;

struct pa_cache_options {
	const char *directory; /* an empty folder on tmpfs that is ours */
	uint64_t quota_bytes;  /* of chunk content; 0 is refused (PA_ERROR_INPUT) */
	uint32_t
	    verify_every; /* of so many bytes read from memory one is checked (a chunk at a time); 0: none */
};

int pa_cache_new(const struct pa_cache_options *options, struct pa_cache **ret, struct pa_error *err);
/* Stops the loader (fetches in flight are cancelled), removes what is in the directory. */
void pa_cache_free(struct pa_cache *cache);

struct pa_data_set_options {
	const char *name;          /* "claim:jsm-conv", "uri:s3://…": unique in the cache */
	struct pa_store *store;    /* referenced by the data set */
	const char *root;          /* path in the store, "" for all of it; may be a single file */
	bool read_only;            /* refuse writes whatever the store can do */
	bool immutable;            /* refresh does nothing */
	int64_t fresh_for_ns;      /* refresh does nothing within this time after the last check */
	uint32_t readahead_chunks; /* fetched ahead of a sequential reader that misses */
};

/* Lists the source; blocks for it.  Opening a name twice is PA_ERROR_BUG. */
int pa_cache_open_data_set(struct pa_cache *cache, const struct pa_data_set_options *options,
                           const struct pa_store_call *call, struct pa_data_set **ret, struct pa_error *err);
/* Drops its bytes and closes it; no file or pin of it may be open. */
void pa_cache_close_data_set(struct pa_cache *cache, struct pa_data_set *data_set);
struct pa_data_set *pa_cache_find_data_set(struct pa_cache *cache, const char *name);

/* Replaces all assignments.  Names of unknown data sets and paths that are not there are skipped and
 * counted in pa_cache_status.unknown_assignments. Bytes in no assignment and not pinned go at once. */
int pa_cache_assign(struct pa_cache *cache, const struct pa_assignment *assignments, size_t count,
                    struct pa_error *err);

struct pa_cache_status {
	uint64_t quota_bytes;
	uint64_t used_bytes;
	uint64_t peak_bytes;
	uint64_t fetched_bytes; /* from sources, all */
	uint64_t ahead_bytes;   /* of these, for assignments */
	uint64_t demand_bytes;  /* of these, for blocked readers and their readahead */
	uint64_t evicted_bytes;
	uint64_t bypassed_bytes; /* served past the memory */
	uint64_t corrupt_chunks; /* dropped after a checksum mismatch */
	uint64_t retries;
	uint64_t failed_loads; /* permanent */
	uint64_t unknown_assignments;
	char last_error[256];
};
void pa_cache_status(struct pa_cache *cache, struct pa_cache_status *ret);

/* How much of an extent is in memory now. */
void pa_data_set_residency(struct pa_data_set *data_set, const struct pa_extent *extent,
                           uint64_t *ret_resident_bytes, uint64_t *ret_total_bytes);

/* Looks at the source again and takes over what changed there (new, gone and changed files; changed content
 * leaves memory).  A listing only. */
int pa_data_set_refresh(struct pa_data_set *data_set, const struct pa_store_call *call, struct pa_error *err);
/* The present picture; to be unref'd. */
struct pa_manifest *pa_data_set_manifest(struct pa_data_set *data_set);
const char *pa_data_set_name(const struct pa_data_set *data_set);
bool pa_data_set_read_only(const struct pa_data_set *data_set);
bool pa_data_set_is_single_file(const struct pa_data_set *data_set);

/* Keeps the resident bytes of an extent in memory, and those that come, until the pin ends. */
struct pa_pin;
int pa_data_set_pin(struct pa_data_set *data_set, const struct pa_extent *extent, struct pa_pin **ret,
                    struct pa_error *err);
void pa_pin_free(struct pa_pin *pin);

/* The tmpfs folder (or file) that holds a wholly resident part of a read-only data set, for a bind mount:
 * names, modes, mtimes and links are as in the source.  PA_ERROR_NOT_FOUND when it is not wholly resident or not
 * read-only.  Hold a pin of the same extent for as long as anything may see it. */
int pa_data_set_bind_path(struct pa_data_set *data_set, const char *path, char *out, size_t room,
                          struct pa_error *err);

#endif
