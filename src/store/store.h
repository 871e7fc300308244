/* SPDX-License-Identifier: Apache-2.0 */
/* A store: where bytes come from.  One `struct pa_store` is one configured source, behind one ops table;
 * every driver passes the same conformance test (tests/unit/store_conformance.h).
 *
 * Paths are relative to the source's root, without a leading or trailing '/', "" is the root itself;
 * components are never "", "." or "..".  Nothing outside the root is ever read or written: symbolic links are
 * reported as links and never followed by a driver.
 *
 * Threads: all calls may be made from many threads at once.  Blocking: every call may block, until
 * `call->deadline_ns` at the latest (PA_ERROR_DEADLINE), and returns PA_ERROR_CANCELLED soon after
 * `*call->cancel` turns non-zero.
 * Errors: transient and permanent are told apart; a read of a version that is gone is PA_ERROR_CHANGED.
 * Ownership: pa_store_ref()/_unref(); the last one closes it.
 *
 * Every read passes the source's link (link.h), which keeps the bandwidth and the connections that were
 * configured, for all tasks together, and adds the latency that was asked for; writes pay the latency only.
 */
#ifndef PA_STORE_STORE_H
#define PA_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"

struct pa_store;
struct pa_store_file;

struct pa_store_call {
	int64_t deadline_ns;        /* monotonic (base/clock.h); PA_DEADLINE_NEVER is allowed for loads */
	const volatile int *cancel; /* NULL: cannot be cancelled */
	const int *yields; /* not 0: other transfers of the link go first (may become 0); NULL: never */
};

/* Whether a call may go on: 0, PA_ERROR_CANCELLED or PA_ERROR_DEADLINE; `what` begins the message.  A call that is
 * NULL has no end. */
int pa_store_call_check(const struct pa_store_call *call, const char *what, struct pa_error *err);
/* When a thread that waits for this call has to look again: the wake time, the deadline, or soon when it
 * could be cancelled meanwhile. */
int64_t pa_store_call_wake_ns(const struct pa_store_call *call, int64_t wake_ns);

enum pa_entry_kind { PA_ENTRY_FILE, PA_ENTRY_DIRECTORY, PA_ENTRY_SYMLINK };

struct pa_store_entry {
	const char *path; /* valid during the callback, or for as long as the caller says */
	enum pa_entry_kind kind;
	uint32_t mode; /* permission bits */
	uint32_t uid;
	uint32_t gid;
	uint64_t size_bytes;
	int64_t mtime_ns; /* since 1970 */
	struct pa_hash128
	    version; /* a mark that changes when the content does (inode+mtime+ctime+size, ETag, …) */
	const char *link_target; /* symlinks; else NULL */
	bool closed;             /* a folder that may not be listed: nothing below it is reported */
};

/* What a driver can do beyond reading. */
enum pa_store_ability {
	PA_STORE_WRITE_RANDOM = 1 << 0, /* write anywhere in a file, truncate */
	PA_STORE_WRITE_APPEND = 1 << 1,
	PA_STORE_RENAME = 1 << 2,
	PA_STORE_DIRECTORIES = 1 << 3, /* make and remove directories */
	PA_STORE_SYMLINKS = 1 << 4,
	PA_STORE_ATTRIBUTES = 1 << 5, /* mode, times */
};

enum pa_store_open_flag {
	PA_STORE_OPEN_CREATE = 1 << 0,
	PA_STORE_OPEN_EXCLUSIVE = 1 << 1,
	PA_STORE_OPEN_TRUNCATE = 1 << 2,
};

struct pa_store_attributes {
	bool set_mode, set_mtime, set_size;
	uint32_t mode;
	int64_t mtime_ns;
	uint64_t size_bytes;
};

/* Called for each entry, parents before children; return non-zero to stop the listing (it then returns that). */
typedef int (*pa_store_entry_fn)(void *context, const struct pa_store_entry *entry);

struct pa_store_ops {
	const char *scheme; /* "file" */
	unsigned abilities; /* of enum pa_store_ability; narrowed to 0 by access: read */
	void (*close)(struct pa_store *store);
	/* Required. */
	/* What is below `path`, a folder; special files (sockets, devices) are left out.  A folder that we have
	 * no right to list is reported as closed and does not end the listing, unless it is `path` itself. */
	int (*list)(struct pa_store *store, const char *path, pa_store_entry_fn each, void *context,
	            const struct pa_store_call *call, struct pa_error *err);
	/* `ret->path` is `path`; `ret->link_target` is valid until the calling thread's next call. */
	int (*stat)(struct pa_store *store, const char *path, struct pa_store_entry *ret,
	            const struct pa_store_call *call, struct pa_error *err);
	/* Reads up to `bytes` at `offset`; short only at the end of the file.  With `version` the content must be of
	 * that version before and after the read, else PA_ERROR_CHANGED. */
	int (*read)(struct pa_store *store, const char *path, const struct pa_hash128 *version,
	            uint64_t offset, void *data, size_t bytes, size_t *ret_bytes,
	            const struct pa_store_call *call, struct pa_error *err);
	/* Required with the ability that each belongs to. */
	int (*open_write)(struct pa_store *store, const char *path, unsigned flags, uint32_t mode,
	                  struct pa_store_file **ret, const struct pa_store_call *call, struct pa_error *err);
	int (*write)(struct pa_store_file *file, const void *data, size_t bytes, uint64_t offset,
	             const struct pa_store_call *call, struct pa_error *err);
	int (*sync)(struct pa_store_file *file, const struct pa_store_call *call, struct pa_error *err);
	/* Always releases the file; an error says that the store may not have all of it.  `ret` (may be
	 * NULL) is what the store now says of it. */
	int (*close_write)(struct pa_store_file *file, struct pa_store_entry *ret,
	                   const struct pa_store_call *call, struct pa_error *err);
	int (*set_attributes)(struct pa_store *store, const char *path,
	                      const struct pa_store_attributes *attributes, const struct pa_store_call *call,
	                      struct pa_error *err);
	int (*make_directory)(struct pa_store *store, const char *path, uint32_t mode,
	                      const struct pa_store_call *call, struct pa_error *err);
	int (*make_symlink)(struct pa_store *store, const char *path, const char *target,
	                    const struct pa_store_call *call, struct pa_error *err);
	int (*remove)(struct pa_store *store, const char *path, bool directory,
	              const struct pa_store_call *call, struct pa_error *err);
	int (*rename)(struct pa_store *store, const char *from, const char *to, bool no_replace,
	              const struct pa_store_call *call, struct pa_error *err);
};

struct pa_store_options {
	const char *location;   /* file:///path, … */
	uint64_t bandwidth_bps; /* bytes per second for reads; 0: no cap */
	int64_t latency_ns;     /* added to every request; 0: none */
	uint32_t connections;   /* reads at once; 0: the default, PA_STORE_DEFAULT_CONNECTIONS */
	bool read_only;         /* access: read */
};

#define PA_STORE_DEFAULT_CONNECTIONS 8
#define PA_STORE_MAX_CONNECTIONS     256

/* The common head of every driver's struct. */
struct pa_store {
	const struct pa_store_ops *ops;
	struct pa_link *link;
	char *location;
	unsigned abilities;
	bool read_only;
	int references;
};

/* Opens the driver of the location's scheme; PA_ERROR_INPUT for one that is not known, PA_ERROR_NOT_FOUND for
 * a root that is not there. */
int pa_store_open(const struct pa_store_options *options, struct pa_store **ret, struct pa_error *err);
struct pa_store *pa_store_ref(struct pa_store *store);
void pa_store_unref(struct pa_store *store);

/* The ops, each with the link around it where the header says so. Writes to a read-only source or without the
 * ability are PA_ERROR_PERMANENT with os_errno EROFS or ENOTSUP. */
int pa_store_list(struct pa_store *store, const char *path, pa_store_entry_fn each, void *context,
                  const struct pa_store_call *call, struct pa_error *err);
int pa_store_stat(struct pa_store *store, const char *path, struct pa_store_entry *ret,
                  const struct pa_store_call *call, struct pa_error *err);
int pa_store_read(struct pa_store *store, const char *path, const struct pa_hash128 *version, uint64_t offset,
                  void *data, size_t bytes, size_t *ret_bytes, const struct pa_store_call *call,
                  struct pa_error *err);
int pa_store_open_write(struct pa_store *store, const char *path, unsigned flags, uint32_t mode,
                        struct pa_store_file **ret, const struct pa_store_call *call, struct pa_error *err);
int pa_store_write(struct pa_store *store, struct pa_store_file *file, const void *data, size_t bytes,
                   uint64_t offset, const struct pa_store_call *call, struct pa_error *err);
int pa_store_sync(struct pa_store *store, struct pa_store_file *file, const struct pa_store_call *call,
                  struct pa_error *err);
int pa_store_close_write(struct pa_store *store, struct pa_store_file *file, struct pa_store_entry *ret,
                         const struct pa_store_call *call, struct pa_error *err);
int pa_store_set_attributes(struct pa_store *store, const char *path,
                            const struct pa_store_attributes *attributes, const struct pa_store_call *call,
                            struct pa_error *err);
int pa_store_make_directory(struct pa_store *store, const char *path, uint32_t mode,
                            const struct pa_store_call *call, struct pa_error *err);
int pa_store_make_symlink(struct pa_store *store, const char *path, const char *target,
                          const struct pa_store_call *call, struct pa_error *err);
int pa_store_remove(struct pa_store *store, const char *path, bool directory,
                    const struct pa_store_call *call, struct pa_error *err);
int pa_store_rename(struct pa_store *store, const char *from, const char *to, bool no_replace,
                    const struct pa_store_call *call, struct pa_error *err);

#endif
