/* SPDX-License-Identifier: Apache-2.0 */
/* What cache/ shares among its own files.
 *
 * Locks, in the order in which they are taken:
 *   1. data_set->refresh_mutex   one refresh at a time; held across the listing
 *   2. data_set->name_mutexes    one change of names at a time in a folder, so that the tree sees the
 * source's order;
 *                                held across the source's answer; of two, the one with the lower index first
 *   3. content->writing          a turn, not a mutex: one change of a file's bytes at a time, so that the
 * source and
 *                                memory see the same order
 *   4. data_set->mirror_mutex    the folder for bind mounts and the names in it
 *   5. cache->mutex              everything else: trees, contents, chunks, queues, quota; never held across
 * I/O
 * A function whose comment says "locked" is called with cache->mutex held; one that may let go of it for a
 * while says
 * so.
 *
 * Who keeps what: a node (a name in the tree) has at most one content (the bytes of one version of a file),
 * made when
 * first needed; handles and fetches hold references of it.  When the source has a new version the
 * node gets another content and the old one is *detached*.  A content has its chunks; a chunk is LOADING (a
 * fetch exists for it), PRESENT (in exactly one of the lists below), or LEAVING (being punched out of its
 * file).
 */
#ifndef PA_CACHE_CACHE_INTERNAL_H
#define PA_CACHE_CACHE_INTERNAL_H

#include <pthread.h>

#include "base/clock.h"
#include "cache/cache.h"
#include "cache/list.h"
#include "cache/region.h"
#include "cache/tree.h"

#define PA_PATH_ROOM 4096
/* One request for an assignment takes at most so many neighbouring chunks. */
#define PA_FETCH_MAX_CHUNKS 4
#define PA_NAME_LOCKS       16
/* Larger files are refused: the table of their chunks alone would be 128 MiB. */
#define PA_CACHE_MAX_FILE_BYTES (UINT64_C(16) << 40)

struct pa_inode;
struct pa_content;
struct pa_fetch;
struct pa_loader;

/* ---- what has to be where ---- */

/* One assignment of the present set, resolved. */
struct pa_need {
	struct pa_data_set *data_set;
	uint64_t inode; /* of the extent's top */
	uint64_t first_byte;
	uint64_t end_byte;
	int64_t deadline_ns;
	int64_t keep_until_ns;
	uint32_t priority;
	uint64_t bytes_per_second;
	struct pa_list chunks; /* resident chunks that this need governs */
	/* The loader's place in the extent. */
	bool walked;
	uint64_t cursor_folder; /* 0: at the start */
	uint64_t cursor_cookie; /* of the last child that is done */
	uint64_t cursor_file;   /* 0: none begun */
	uint32_t cursor_chunk;
};

struct pa_pin {
	struct pa_list link; /* in its node's marks */
	struct pa_data_set *data_set;
	uint64_t inode;
	uint64_t first_byte;
	uint64_t end_byte;
};

/* Needs and pins whose extent's top is this node; most nodes have none. */
struct pa_marks {
	struct pa_need **needs; /* by deadline */
	size_t need_count;
	size_t need_capacity;
	struct pa_list pins;
};

/* ---- the tree ---- */

struct pa_child {
	uint64_t cookie;
	struct pa_inode *node; /* NULL: was removed */
};

struct pa_inode {
	uint64_t inode;
	struct pa_inode *parent;
	struct pa_inode *hash_next;
	char *name;
	uint64_t cookie; /* its place in the parent */
	uint8_t kind;    /* enum pa_entry_kind */
	bool removed;
	bool mirrored;    /* shown in the folder for bind mounts */
	bool closed;      /* a folder that the source does not let us list */
	uint8_t failures; /* of its loads, one after another */
	uint32_t mode, uid, gid;
	uint32_t opens;
	uint64_t refresh_epoch; /* of the last listing that had it, or of a change of ours since */
	int64_t mtime_ns;
	int64_t retry_after_ns; /* after a load failed for good */
	struct pa_hash128 version;
	uint64_t generation;
	/* Bytes of the file, or of all files below. */
	uint64_t total_bytes;
	uint64_t resident_bytes;
	struct pa_marks *marks;
	struct pa_content *content; /* files */
	char *link_target;          /* symbolic links */
	struct pa_child *children;  /* folders, by cookie */
	size_t child_count;         /* with the removed ones */
	size_t child_capacity;
	size_t live_children;
};

/* ---- bytes ---- */

enum pa_chunk_state { PA_CHUNK_LOADING, PA_CHUNK_PRESENT, PA_CHUNK_LEAVING };

struct pa_chunk {
	struct pa_list place; /* PRESENT: in unsorted, unassigned or held of the cache, or in a need */
	struct pa_content *content;
	struct pa_fetch *fetch; /* LOADING */
	uint32_t index;
	uint32_t bytes;
	uint32_t charged_bytes; /* of the quota */
	uint32_t readers;       /* copies under way */
	uint32_t changes;       /* counts writes to it */
	uint8_t state;          /* enum pa_chunk_state */
	bool hash_known;
	bool overwritten;          /* LOADING: a write came in between, what is read now may be old */
	bool storing;              /* LOADING: the fetch is writing it to the region */
	uint32_t unassigned_epoch; /* equals the cache's: is in cache->unassigned */
	struct pa_hash128 hash;
};

struct pa_content {
	struct pa_cache *cache;
	struct pa_data_set *data_set;
	struct pa_inode *node; /* NULL: detached */
	uint64_t id;           /* names its file in the region */
	uint32_t references;
	uint32_t handles;
	uint32_t writers; /* handles open for writing: the version mark is then unknown */
	uint32_t whole_holds;
	bool writing;
	bool growing;             /* the turn is a write, which may bring chunks that are not there */
	bool doubtful;            /* a write failed half-way: what is in memory may differ from the source */
	uint32_t awaiting_copies; /* changes that wait for copies to end: no new one begins before */
	uint64_t changes;         /* counts the turns */
	struct pa_hash128 version;
	uint64_t size_bytes;
	uint64_t resident_bytes;
	struct pa_chunk **chunks;
	uint32_t chunk_capacity;
	uint32_t chunk_count;
	struct pa_list buried; /* in cache->buried when its file is to be removed */
};

struct pa_file {
	struct pa_data_set *data_set;
	struct pa_inode *node;
	struct pa_content *content;
	unsigned flags;
	int region_fd;        /* -1: not opened yet */
	uint64_t next_offset; /* where a sequential reader goes on */
	bool missing;         /* it has been missing while reading on */
	uint32_t whole_holds;
	struct pa_store_file *store_file;
	struct pa_fetch
	    *bypass; /* the last bytes that found no room, for the next read of a sequential reader */
	uint64_t bypass_changes; /* content->changes when they were asked for */
};

/* ---- loads ---- */

/* A write that brings a chunk is its fetch, for those who want to read it. */
enum pa_load_class { PA_LOAD_DEMAND, PA_LOAD_READAHEAD, PA_LOAD_AHEAD, PA_LOAD_WRITE };

/* One request to a source: neighbouring chunks of one content. */
struct pa_fetch {
	struct pa_list link;        /* in a queue of the loader, or its list of running ones */
	struct pa_content *content; /* referenced */
	enum pa_load_class class;
	bool queued;
	bool done;
	uint32_t references;
	uint32_t first;
	uint32_t count;
	int cancel;
	int yields; /* its transfer, to those that a reader waits for */
	int64_t deadline_ns;
	uint64_t bytes_per_second;
	/* What the waiting readers want of the chunk, which is all that is read when there is no room for
	 * it. */
	uint64_t want_first;
	uint64_t want_end;
	int result;
	struct pa_error error;
	/* Past the memory. */
	char *data;
	uint64_t data_offset;
	size_t data_bytes;
	pthread_cond_t finished;
};

/* The loads from one store, which several data sets may share. */
struct pa_loader {
	struct pa_list link; /* in cache->loaders */
	struct pa_cache *cache;
	struct pa_store *store;
	uint32_t users;
	uint32_t thread_count;
	pthread_t *threads;
	bool stopping;
	pthread_cond_t work;
	pthread_cond_t back_off; /* apart from `work`, whose signals are for threads that take loads */
	struct pa_list demand;
	struct pa_list readahead;
	struct pa_list running;
	uint32_t running_ahead;
	uint32_t running_readahead;
	int64_t last_miss_ns;     /* of a reader that loads ahead do not help */
	int64_t pace_free_ns;     /* the budget of bytes per second of assignments */
	int64_t blocked_until_ns; /* no room for what is due: look again then */
	int64_t rewalk_at_ns;     /* something that was passed over has to be looked at again */
	size_t need_position;     /* needs before it are walked, or another loader's */
};

/* ---- data sets and the cache ---- */

/* A path that was changed by us while a refresh was listing. */
struct pa_touched {
	struct pa_touched *next;
	struct pa_hash128 path;
};

struct pa_data_set {
	struct pa_list link; /* in cache->data_sets */
	struct pa_cache *cache;
	struct pa_loader *loader;
	struct pa_store *store;
	struct pa_mirror mirror;
	char *name;
	char *root;
	bool read_only;
	bool immutable;
	bool single_file;
	bool closing;
	uint32_t busy; /* threads in its mirror, without the mutex: it is closed after them */
	uint32_t readahead_chunks;
	int64_t fresh_for_ns;
	int64_t checked_ns;
	pthread_mutex_t refresh_mutex;
	pthread_mutex_t mirror_mutex;
	pthread_mutex_t name_mutexes[PA_NAME_LOCKS];
	/* nodes[inode]; NULL for those that are gone. */
	struct pa_inode **nodes;
	uint64_t node_capacity;
	uint64_t next_inode;
	size_t node_count;
	uint64_t next_cookie;
	struct pa_inode **buckets;
	size_t bucket_count;
	uint64_t refresh_epoch;
	bool refreshing;
	bool folder_moved; /* while refreshing: the listing cannot be trusted */
	/* Removals and renamings under way, by whether refresh_epoch was even or odd when they began: a listing
	 * begins when those are over that could not know of it. */
	uint32_t name_changes[2];
	struct pa_touched *touched;
	struct pa_manifest *manifest; /* NULL: to be made anew */
};

struct pa_cache {
	pthread_mutex_t mutex;
	pthread_cond_t
	    changed; /* a chunk has left, a turn to write is free, a fetch of a closing data set ended */
	struct pa_region region;
	uint64_t quota_bytes;
	uint32_t verify_every;
	uint64_t verify_bytes; /* read from memory since a chunk was last held against its checksum */
	bool stopping;
	struct pa_list data_sets;
	struct pa_list loaders;
	uint64_t next_data_set;
	uint64_t next_content;
	uint64_t open_files;
	uint64_t leaving_bytes; /* of used_bytes, on their way out */
	struct pa_cache_status status;
	/* Resident chunks. */
	struct pa_list unsorted;   /* not looked at since the assignments or pins changed */
	struct pa_list unassigned; /* in no assignment; least recently read first */
	struct pa_list held;       /* pinned, or their file is held whole */
	uint32_t assign_epoch;     /* counts the sets of assignments, from 1 */
	struct pa_need *needs;     /* by deadline and priority */
	size_t need_count;
	size_t latest_need;     /* no need after it has chunks */
	int64_t next_expiry_ns; /* no need is over before */
	struct pa_list buried;
	pthread_mutex_t assign_mutex; /* one pa_cache_assign() at a time; before cache->mutex */
};

/* node.c: the tree; all locked. */
struct pa_inode *pa_inode_new(struct pa_data_set *data_set, const struct pa_store_entry *entry);
void pa_inode_update(struct pa_inode *node, const struct pa_store_entry *entry);
void pa_inode_attach(struct pa_data_set *data_set, struct pa_inode *parent, const char *name,
                     struct pa_inode *node);
/* Out of its folder, with its bytes out of the folders' totals; it keeps its inode. */
void pa_inode_unlink(struct pa_data_set *data_set, struct pa_inode *node);
/* Frees it when nothing has it open. */
void pa_inode_release(struct pa_data_set *data_set, struct pa_inode *node);
struct pa_inode *pa_inode_by_inode(const struct pa_data_set *data_set, uint64_t inode);
struct pa_inode *pa_inode_child(const struct pa_data_set *data_set, const struct pa_inode *parent,
                                const char *name, size_t length);
struct pa_inode *pa_inode_by_path(const struct pa_data_set *data_set, const char *path);
/* The first child behind a cookie, or NULL. */
struct pa_inode *pa_inode_next_child(const struct pa_inode *folder, uint64_t cookie);
/* Its last child, or NULL. */
struct pa_inode *pa_inode_last_child(struct pa_inode *folder);
/* Writes "a/b/c" and returns its length; -ENAMETOOLONG. */
int pa_inode_path(const struct pa_inode *node, char *out, size_t room);
/* The same as the store knows it, below the data set's root. */
int pa_inode_store_path(const struct pa_data_set *data_set, const struct pa_inode *node, const char *name,
                        char *out, size_t room);
void pa_inode_set_size(struct pa_inode *node, uint64_t size_bytes);
void pa_inode_add_resident(struct pa_inode *node, int64_t bytes);
void pa_inode_attributes(const struct pa_inode *node, struct pa_attributes *ret);
struct pa_marks *pa_inode_marks(struct pa_inode *node);
void pa_inode_drop_marks(struct pa_inode *node); /* if they are empty */

/* content.c: bytes of one version; locked. */
struct pa_content *pa_content_of(struct pa_data_set *data_set, struct pa_inode *node);
void pa_content_unref(struct pa_content *content);
struct pa_chunk *pa_content_chunk(const struct pa_content *content, uint32_t index);
uint32_t pa_content_chunk_count(const struct pa_content *content);
uint32_t pa_content_chunk_bytes(const struct pa_content *content, uint32_t index);
struct pa_chunk *pa_content_add_chunk(struct pa_content *content, uint32_t index, struct pa_fetch *fetch);
void pa_content_remove_chunk(struct pa_chunk *chunk); /* and its charge */
void pa_chunk_make_present(struct pa_chunk *chunk);
bool pa_content_is_whole(const struct pa_content *content);
/* The node is about to have another content, or none. */
void pa_content_detach(struct pa_content *content);
/* Lets go of the mutex: all chunks of a content that may go. */
void pa_content_drop(struct pa_content *content);
/* Not locked: removes the files of contents that were freed. */
void pa_content_bury(struct pa_cache *cache);
uint32_t pa_chunk_charge(uint32_t bytes);
/* Opens the handle's descriptor of the region; not locked. */
int pa_content_open(const struct pa_content *content, struct pa_error *err);

/* eviction.c; locked. */
#define PA_NEED_NEVER INT64_MAX
/* Takes `bytes` of the quota, making room for something that is needed at `deadline_ns` (PA_NEED_NEVER: in no
 * assignment).  Lets go of the mutex. */
bool pa_cache_reserve(struct pa_cache *cache, uint64_t bytes, int64_t deadline_ns);
void pa_cache_give_back(struct pa_cache *cache, uint64_t bytes);
/* Puts a PRESENT chunk into the list that it belongs to. */
void pa_cache_sort_chunk(struct pa_cache *cache, struct pa_chunk *chunk, int64_t now_ns);
/* Lets go of the mutex while the chunk (PRESENT, evictable) is punched out. */
void pa_cache_evict(struct pa_cache *cache, struct pa_chunk *chunk);
/* Whether it may go if nothing sooner wants it to stay: nobody reads it, no pin or hold keeps it. */
bool pa_chunk_is_evictable(const struct pa_chunk *chunk);
/* Sorts what is in cache->unsorted, a bounded number at a time; false when there is more. */
bool pa_cache_sort_some(struct pa_cache *cache);
/* The chunks' places are to be found again. */
void pa_cache_unsort(struct pa_content *content);

/* assign.c; locked. */
/* The need that says how long a chunk stays: the earliest one that is not over; NULL. */
struct pa_need *pa_need_of(const struct pa_inode *node, uint32_t chunk, int64_t now_ns);
bool pa_need_is_sooner(const struct pa_need *a, const struct pa_need *b);
/* Forgets the needs of a data set that closes. */
void pa_needs_drop(struct pa_data_set *data_set);

/* pin.c; locked. */
bool pa_pin_covers(const struct pa_inode *node, uint32_t chunk);

/* loader.c. */
struct pa_loader *pa_loader_get(struct pa_cache *cache, struct pa_store *store, struct pa_error *err);
/* Locked; lets go of the mutex: the last user's stops the threads. */
void pa_loader_put(struct pa_loader *loader);
/* Locked. The fetch of a chunk that a reader waits for, referenced: the one that exists, or a new one.  The
 * reader
 * wants a range of the file within the chunk. */
struct pa_fetch *pa_loader_demand(struct pa_content *content, uint32_t index, uint64_t want_first,
                                  uint64_t want_end, int64_t deadline_ns);
/* Locked. A reader waits for a chunk, or did: loads ahead for others keep out of its way for a while. */
void pa_loader_missed(struct pa_loader *loader, const struct pa_content *content, uint32_t index);
/* Locked. The same without waiting, if it is neither there nor on its way. */
void pa_loader_read_ahead(struct pa_content *content, uint32_t index);
/* Locked: needs or room changed. */
void pa_loader_wake(struct pa_loader *loader);
void pa_cache_wake_loaders(struct pa_cache *cache, bool rewalk);
/* Locked. Bytes may go now that could not: wakes those loaders only that found no room (a file's last close calls it). */
void pa_cache_room_freed(struct pa_cache *cache);
/* Locked: looks at all needs again, `delay_ns` from now at the latest. */
void pa_loader_rewalk(struct pa_loader *loader, int64_t delay_ns);
/* Locked; lets go of the mutex: cancels what is under way for a data set and waits for its end. */
void pa_loader_cancel(struct pa_data_set *data_set);

/* tree.c; not locked. */
pthread_mutex_t *pa_tree_name_mutex(struct pa_data_set *data_set, uint64_t parent);
/* The store's path of a name in a folder. */
int pa_tree_store_path(struct pa_data_set *data_set, uint64_t parent, const char *name,
                       char out[PA_PATH_ROOM], struct pa_error *err);

/* file.c; locked: what a sequential reader keeps of the last bytes that found no room. */
void pa_file_drop_bypass(struct pa_file *file);
/* Not locked: the handle's descriptor of its content's file in the region, which is opened if need be. */
int pa_file_open_region(struct pa_file *file, int *ret_fd, struct pa_error *err);

/* fetch.c. */
struct pa_fetch *pa_fetch_new(struct pa_content *content, uint32_t first, enum pa_load_class class);
void pa_fetch_unref(struct pa_fetch *fetch);
/* Locked; lets go of the mutex. `buffer` has room for PA_FETCH_MAX_CHUNKS. */
void pa_fetch_run(struct pa_loader *loader, struct pa_fetch *fetch, char *buffer);
/* Locked: its chunks are PRESENT, its waiters may go on. */
void pa_fetch_complete(struct pa_fetch *fetch);
/* Locked: ends it before it ran. */
void pa_fetch_abandon(struct pa_fetch *fetch);

/* walk.c; locked. */
/* The next fetch for the assignments, made and charged; NULL when none is due.  Looks at a bounded number of
 * nodes and sets
 * `ret_more` when it stopped there.  Lets go of the mutex. */
struct pa_fetch *pa_loader_next_ahead(struct pa_loader *loader, bool *ret_more);

/* mirror.c: the folder for bind mounts; not locked. */
void pa_mirror_publish(struct pa_content *content);
void pa_mirror_withdraw(struct pa_content *content);

/* data_set.c. */
/* Not locked: takes over what the source says of a file; content of another version leaves memory. */
void pa_data_set_replace(struct pa_data_set *data_set, uint64_t inode, const struct pa_store_entry *entry);
/* Locked: a change of ours, which a refresh under way must not undo. */
void pa_data_set_touch(struct pa_data_set *data_set, const struct pa_inode *parent, const char *name);
/* Not locked: removes a node that is gone at the source and all below it. */
void pa_data_set_forget(struct pa_data_set *data_set, uint64_t inode);
/* Locked: takes a node out of the tree; its content, referenced, is to be dropped and unref'd (NULL: none).
 * */
struct pa_content *pa_data_set_take_out(struct pa_data_set *data_set, struct pa_inode *node);
/* Not locked: drops a content that a node had, and lets go of the reference. */
void pa_data_set_let_go(struct pa_content *content);

/* change.c: turns, and what a change of ours does to memory. */
/* Locked; lets go of the mutex: waits for the turn to change a file's bytes or version. */
int pa_content_begin_change(struct pa_content *content, const struct pa_store_call *call,
                            struct pa_error *err);
void pa_content_end_change(struct pa_content *content);
/* Locked, within a turn; lets go of the mutex: a PRESENT chunk goes, when its readers are done. */
void pa_content_drop_chunk(struct pa_content *content, struct pa_chunk *chunk);
/* Not locked, within a turn: memory follows a truncation that the source has done. */
void pa_content_resize(struct pa_content *content, uint64_t size_bytes);
/* Not locked: a change of ours to a file is over; the version that the source gave it becomes ours, if no
 * other
 * writer is left.  `entry` NULL: the source did not say; what is in memory is then dropped. */
void pa_content_take_version(struct pa_content *content, const struct pa_store_entry *entry);
/* Locked; waits on a condition until it is signalled or there is something to look at in the call. */
int pa_cache_wait(struct pa_cache *cache, pthread_cond_t *condition, const struct pa_store_call *call,
                  struct pa_error *err);
/* Locked: the content of a node changed by us. */
void pa_inode_changed(struct pa_data_set *data_set, struct pa_inode *node);
/* Locked; lets go of the mutex: waits until a chunk is neither being stored nor leaving, and returns it. */
struct pa_chunk *pa_content_settled(struct pa_content *content, uint32_t index);
/* Locked; lets go of the mutex: a PRESENT chunk is charged with more, if there is room. */
bool pa_chunk_charge_more(struct pa_chunk *chunk, uint32_t charge_bytes);
/* Locked: when something is needed of a chunk. */
int64_t pa_content_deadline(const struct pa_content *content, uint32_t index);

/* manifest.c. */
struct pa_manifest_builder;
struct pa_manifest_builder *pa_manifest_builder_new(void);
int pa_manifest_builder_add(struct pa_manifest_builder *builder, const struct pa_store_entry *entry);
void pa_manifest_builder_free(struct pa_manifest_builder *builder);
/* Sorts, sums up; the builder is gone. */
struct pa_manifest *pa_manifest_builder_finish(struct pa_manifest_builder *builder);
int pa_manifest_compare_paths(const char *a, const char *b);

#endif
