/* SPDX-License-Identifier: Apache-2.0 */
/* A thin client of Apache Ignite 2.x: caches of byte[] values under int64, UUID and string keys.
 *
 * A `struct pa_ignite` is one cluster.  It finds the nodes from a few endpoints, keeps several connections to each,
 * sends every request to the node that holds its key, follows the cluster as nodes come and go, and matches answers
 * to requests in whatever order they come.
 *
 *     struct pa_ignite_options options = {.endpoints = (const char *[]){"10.0.0.7"}, .endpoint_count = 1};
 *     struct pa_ignite_cache cache = pa_ignite_cache("chunks");
 *     struct pa_ignite_key key = pa_ignite_key_long(42);
 *     struct pa_error err = PA_ERROR_INIT;
 *     struct pa_ignite *ignite;
 *
 *     if (pa_ignite_open(&options, &ignite, &err) < 0 ||
 *         pa_ignite_put(ignite, &cache, &key, "hello", 5, 0, &err) < 0)
 *             fprintf(stderr, "%s\n", err.message);
 *
 * Requests.  Everything is a `struct pa_ignite_request`: fill it in, pa_ignite_submit(), and its `done` is called
 * once.  The blocking calls further down do that and wait.  Many requests may be under way at once from any number of
 * threads; that is how this library is fast.
 *
 * Memory.  The value of a GET is read from the socket into the buffer that the request names (no copy in between,
 * except over TLS, and for the few bytes that arrive together with the header before); a PUT is written from the
 * pieces that the request names.  A request, its key's text, its pieces and its buffers belong to the caller, and
 * must stay where they are until `done` is called; from then on the library does not touch them.
 *
 * Threads.  One thread of the library does all input and output and calls every `done`.  A `done` must be short, must
 * not block, and may submit (also the same request again).  All functions may be called from any thread; the blocking
 * ones not from a `done`.  All signals are blocked in the library's threads, and it raises none.
 *
 * Blocking and back-pressure.  pa_ignite_submit() waits while `max_requests` are under way, until the request's
 * deadline; in a `done` it never waits.  Every wait ends: each request has a deadline (0 is the default of the
 * options), after which it ends with PA_ERROR_DEADLINE, whatever the servers do.
 *
 * Errors.  A request ends with 0 or a negative class, a message that names the node, and Ignite's status where the
 * server gave one:
 *     PA_ERROR_NOT_FOUND   a GET of a key that is not there, a cache that does not exist
 *     PA_ERROR_TRANSIENT   trying again may help: connection lost, topology changing, cluster not active.  A write that
 *                          was under way may or may not have been done (`maybe_done`)
 *     PA_ERROR_PERMANENT   trying again will not help: refused, unknown, not Ignite, wrong certificate
 *     PA_ERROR_NO_SPACE    the region of the cache is full (if the server sends its stack traces; else that is
 *                          PA_ERROR_TRANSIENT too); or the value does not fit into the buffer (value_bytes says
 *                          what it needs)
 *     PA_ERROR_DEADLINE, PA_ERROR_CANCELLED, PA_ERROR_INPUT (the request is malformed)
 * Reads that a lost connection cut short are sent again to another node by themselves, up to PA_IGNITE_MAX_SENDS times;
 * writes only if not one byte had been sent.
 *
 * Limits.  Each length that a server sends is held against the limits of the options before anything is kept; memory
 * for a reply grows with the bytes that arrive, not with what a header promises.  A server that breaks the protocol
 * loses the connection, and the error says how.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC (base/clock.h); deadlines are absolute.
 */
#ifndef PA_IGNITE_IGNITE_H
#define PA_IGNITE_IGNITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"

struct pa_arena;
struct pa_ignite;

#define PA_IGNITE_DEFAULT_PORT    10800
#define PA_IGNITE_MAX_SENDS       4     /* of one read, on connections that were lost under it */
#define PA_IGNITE_MAX_ENTRIES     65536 /* keys in one request */
#define PA_IGNITE_MAX_PIECES      1024  /* of one value */
#define PA_IGNITE_MAX_TEXT_BYTES  65536 /* of a string key or a cache's name */
#define PA_IGNITE_MAX_NODES       1024
#define PA_IGNITE_MAX_CONNECTIONS 64   /* to one node */
#define PA_IGNITE_MAX_CACHES      4096 /* that one client routes by key; requests of others go to any node */

/* ---- Keys and caches ---- */

enum pa_ignite_key_type { PA_IGNITE_KEY_LONG, PA_IGNITE_KEY_UUID, PA_IGNITE_KEY_TEXT, PA_IGNITE_KEY_OTHER };

struct pa_ignite_uuid {
	uint64_t high;
	uint64_t low;
};
#define PA_IGNITE_UUID_TEXT_BYTES 37

struct pa_ignite_key {
	enum pa_ignite_key_type type;
	union {
		int64_t number;
		struct pa_ignite_uuid uuid;
		struct {
			const char *bytes; /* UTF-8, without NUL at the end */
			size_t length;
		} text;
		int type_code; /* KEY_OTHER, only in scans: a Java type that this library does not read */
	};
};

struct pa_ignite_key pa_ignite_key_long(int64_t number);
struct pa_ignite_key pa_ignite_key_uuid(uint64_t high, uint64_t low);
/* The bytes stay the caller's; they must be UTF-8. */
struct pa_ignite_key pa_ignite_key_text(const char *bytes, size_t length);
bool pa_ignite_uuid_parse(const char *text, struct pa_ignite_uuid *ret);
char *pa_ignite_uuid_format(struct pa_ignite_uuid uuid, char out[PA_IGNITE_UUID_TEXT_BYTES]);

#define PA_IGNITE_EXPIRY_UNCHANGED (-2)
#define PA_IGNITE_EXPIRY_ETERNAL   (-1)

/* How long an entry lives after it is created, updated, read; milliseconds or one of the two above. */
struct pa_ignite_expiry {
	int64_t create_ms;
	int64_t update_ms;
	int64_t access_ms;
};

/* A cache by its name; copied freely.  Nothing is sent: whether it exists shows at the first request. */
struct pa_ignite_cache {
	int32_t id;
	bool has_expiry; /* what this request writes or reads gets `expiry` instead of the cache's own */
	struct pa_ignite_expiry expiry;
};
struct pa_ignite_cache pa_ignite_cache(const char *name);

/* ---- The client ---- */

struct pa_ignite_tls {
	const char *ca_file;          /* PEM: who may sign the servers' certificates; NULL: the system's */
	const char *certificate_file; /* PEM: ours, with its chain; NULL: none */
	const char *key_file;         /* PEM: ours */
	const char *server_name; /* the name in every node's certificate; NULL: the address connected to */
};

struct pa_ignite_options {
	/* "host", "host:port", "[v6]:port"; all addresses of a name count (headless DNS) */
	const char *const *endpoints;
	size_t endpoint_count;
	const struct pa_ignite_tls *tls; /* NULL: plain TCP */
	const char *user;                /* NULL: none */
	const char *password;
	bool only_endpoints;           /* do not look for other nodes */
	unsigned connections_per_node; /* the fields below: 0 is the default in brackets [2] */
	unsigned depth;                /* requests under way on one connection [16] */
	unsigned max_requests;         /* under way on all, see back-pressure [1024] */
	size_t max_value_bytes;        /* [64 MiB] */
	size_t max_reply_bytes;        /* of answers other than a value: pages of a scan, get-all [64 MiB] */
	int64_t connect_timeout_ns;    /* one attempt, handshakes included [5 s] */
	int64_t open_timeout_ns;       /* until pa_ignite_open() gives up [10 s] */
	int64_t request_timeout_ns;    /* for requests without a deadline [30 s] */
	int64_t heartbeat_ns;          /* a connection without traffic asks this often [5 s] */
	int64_t silence_ns;       /* one that owes an answer and sends nothing for so long is closed [15 s] */
	int64_t reconnect_min_ns; /* first pause before connecting again, doubled each time … [100 ms] */
	int64_t reconnect_max_ns; /* … up to this; each is shortened at random by up to a half [5 s] */
};

/* Returns when the first node answers.  Fails at once when every endpoint fails for good (not Ignite, certificate,
 * password), otherwise after open_timeout_ns.  The strings of the options are copied. */
int pa_ignite_open(const struct pa_ignite_options *options, struct pa_ignite **ret, struct pa_error *err);
/* Requests under way end with PA_ERROR_CANCELLED, their `done` is called before this returns. */
void pa_ignite_close(struct pa_ignite *ignite);

/* ---- Requests ---- */

enum pa_ignite_operation {
	PA_IGNITE_GET,           /* key → into, room; value_bytes; NOT_FOUND when absent */
	PA_IGNITE_PUT,           /* key, pieces */
	PA_IGNITE_PUT_IF_ABSENT, /* key, pieces → truth: it was stored */
	PA_IGNITE_CONTAINS,      /* key → truth */
	PA_IGNITE_REMOVE,        /* key → truth: it was there */
	PA_IGNITE_GET_ALL,       /* entries → value_bytes, found of each (copied once) */
	PA_IGNITE_PUT_ALL,       /* entries */
	PA_IGNITE_CONTAINS_ALL,  /* entries' keys → truth: all are there */
	PA_IGNITE_REMOVE_KEYS,   /* entries' keys */
	PA_IGNITE_REMOVE_ALL,    /* every entry of the cache, one by one */
	PA_IGNITE_CLEAR,         /* every entry of the cache, without events */
	PA_IGNITE_SIZE,          /* → number: entries in the cluster, backups not counted */
	PA_IGNITE_OTHER,         /* the library's own: what the calls below are made of */
};

struct pa_ignite_entry {
	struct pa_ignite_key key;
	void *value;        /* put: read from; get: written to */
	size_t room;        /* get */
	size_t value_bytes; /* put: given; get: set, also when it is more than room */
	bool found;         /* get: set; a value larger than `room` is found, and not copied */
};

struct pa_ignite_request {
	/* What to do. */
	enum pa_ignite_operation operation;
	struct pa_ignite_cache cache;
	struct pa_ignite_key key;
	const struct iovec *pieces; /* the value, piece after piece */
	unsigned piece_count;
	void *into;
	size_t room;
	struct pa_ignite_entry *entries;
	size_t entry_count;
	int64_t deadline_ns; /* 0: request_timeout_ns from now */
	void (*done)(struct pa_ignite_request *request);
	void *context; /* the caller's */
	/* What came of it; valid in `done` and after. */
	int result; /* 0, or -(class of err) */
	int status; /* Ignite's status, 0 when the server gave none */
	bool truth;
	bool maybe_done; /* failed, and the server may have done it */
	int64_t number;
	size_t value_bytes;
	struct pa_error err;
	/* The library's, while under way. */
	struct ignite_task *task;
};

/* 0: `done` will be called once, maybe before this returns.  Negative: it will not. */
int pa_ignite_submit(struct pa_ignite *ignite, struct pa_ignite_request *request, struct pa_error *err);
/* Asks for an early end: `done` comes soon, with PA_ERROR_CANCELLED unless it was done already.  The request must still
 * be there; what has gone to the server may be done there all the same. */
void pa_ignite_cancel(struct pa_ignite *ignite, struct pa_ignite_request *request);
/* Submits and waits; `done` and `context` are not the caller's here.  Returns request->result. */
int pa_ignite_call(struct pa_ignite *ignite, struct pa_ignite_request *request, struct pa_error *err);

/* ---- Blocking calls: values ---- */

int pa_ignite_get(struct pa_ignite *ignite, const struct pa_ignite_cache *cache,
                  const struct pa_ignite_key *key, void *into, size_t room, size_t *ret_bytes,
                  int64_t deadline_ns, struct pa_error *err);
int pa_ignite_put(struct pa_ignite *ignite, const struct pa_ignite_cache *cache,
                  const struct pa_ignite_key *key, const void *value, size_t bytes, int64_t deadline_ns,
                  struct pa_error *err);
int pa_ignite_put_if_absent(struct pa_ignite *ignite, const struct pa_ignite_cache *cache,
                            const struct pa_ignite_key *key, const void *value, size_t bytes,
                            bool *ret_stored, int64_t deadline_ns, struct pa_error *err);
int pa_ignite_contains(struct pa_ignite *ignite, const struct pa_ignite_cache *cache,
                       const struct pa_ignite_key *key, bool *ret, int64_t deadline_ns, struct pa_error *err);
int pa_ignite_remove(struct pa_ignite *ignite, const struct pa_ignite_cache *cache,
                     const struct pa_ignite_key *key, bool *ret_was_there, int64_t deadline_ns,
                     struct pa_error *err);
int pa_ignite_size(struct pa_ignite *ignite, const struct pa_ignite_cache *cache, int64_t *ret,
                   int64_t deadline_ns, struct pa_error *err);

/* ---- Blocking calls: caches ---- */

enum pa_ignite_cache_mode { PA_IGNITE_REPLICATED = 1, PA_IGNITE_PARTITIONED = 2 };
enum pa_ignite_atomicity { PA_IGNITE_TRANSACTIONAL = 0, PA_IGNITE_ATOMIC = 1 };
enum pa_ignite_write_sync { PA_IGNITE_FULL_SYNC = 0, PA_IGNITE_FULL_ASYNC = 1, PA_IGNITE_PRIMARY_SYNC = 2 };
enum pa_ignite_loss_policy {
	PA_IGNITE_LOSS_READ_ONLY_SAFE = 0,
	PA_IGNITE_LOSS_READ_WRITE_SAFE = 2,
	PA_IGNITE_LOSS_IGNORE = 4,
};

/* All fields are sent.  PA_IGNITE_CACHE_CONFIG_INIT has Ignite's own defaults. */
struct pa_ignite_cache_config {
	const char *name;
	enum pa_ignite_cache_mode mode;
	enum pa_ignite_atomicity atomicity;
	int backups;
	enum pa_ignite_write_sync write_sync;
	bool copy_on_read;
	bool read_from_backup;
	const char *data_region; /* NULL: the node's default region */
	bool on_heap;
	enum pa_ignite_loss_policy loss_policy;
	bool eager_expiry;
	bool statistics;
	bool has_expiry;
	struct pa_ignite_expiry expiry;
};
#define PA_IGNITE_CACHE_CONFIG_INIT                                                                          \
	{                                                                                                    \
		.mode = PA_IGNITE_PARTITIONED, .atomicity = PA_IGNITE_ATOMIC,                                \
		.write_sync = PA_IGNITE_PRIMARY_SYNC, .copy_on_read = true, .read_from_backup = true,        \
		.loss_policy = PA_IGNITE_LOSS_IGNORE, .eager_expiry = true                                   \
	}

/* or_get: no error when it exists, whatever its settings. */
int pa_ignite_cache_create(struct pa_ignite *ignite, const struct pa_ignite_cache_config *config, bool or_get,
                           int64_t deadline_ns, struct pa_error *err);
/* By name alone: the server's defaults, or those of the server's template that the name begins like. */
int pa_ignite_cache_create_named(struct pa_ignite *ignite, const char *name, bool or_get, int64_t deadline_ns,
                                 struct pa_error *err);
int pa_ignite_cache_destroy(struct pa_ignite *ignite, const char *name, int64_t deadline_ns,
                            struct pa_error *err);
int pa_ignite_cache_names(struct pa_ignite *ignite, struct pa_arena *arena, const char *const **ret,
                          size_t *ret_count, int64_t deadline_ns, struct pa_error *err);

/* ---- Scans ---- */

struct pa_ignite_scan;

struct pa_ignite_scan_entry {
	struct pa_ignite_key key; /* text points into the scan */
	const void *value;        /* into the scan; NULL for a Java type other than byte[] */
	size_t value_bytes;
	int value_type; /* Ignite's type code: 12 is byte[] */
};

/* partition: -1 for all.  The cursor lives on one node: when its connection is lost, the scan ends with
 * PA_ERROR_TRANSIENT.  One thread at a time. */
int pa_ignite_scan_open(struct pa_ignite *ignite, const struct pa_ignite_cache *cache, int partition,
                        int page_entries, int64_t deadline_ns, struct pa_ignite_scan **ret,
                        struct pa_error *err);
/* 1: an entry, valid until the next call; 0: no more; negative: failed.  The deadline is that of one page. */
int pa_ignite_scan_next(struct pa_ignite_scan *scan, struct pa_ignite_scan_entry *ret, int64_t deadline_ns,
                        struct pa_error *err);
/* Also closes the cursor on the server (waiting at most a second for that). */
void pa_ignite_scan_close(struct pa_ignite_scan *scan);

/* ---- The cluster ---- */

enum pa_ignite_cluster_state {
	PA_IGNITE_CLUSTER_INACTIVE = 0,
	PA_IGNITE_CLUSTER_ACTIVE = 1,
	PA_IGNITE_CLUSTER_READ_ONLY = 2,
};
/* Without the feature on the server (before Ignite 2.9): PA_ERROR_PERMANENT. */
int pa_ignite_cluster_state(struct pa_ignite *ignite, enum pa_ignite_cluster_state *ret, int64_t deadline_ns,
                            struct pa_error *err);
/* INACTIVE lets go of everything that is only in memory. */
int pa_ignite_cluster_change_state(struct pa_ignite *ignite, enum pa_ignite_cluster_state state,
                                   int64_t deadline_ns, struct pa_error *err);
/* One node's answer to an empty request, and how long it took. */
int pa_ignite_ping(struct pa_ignite *ignite, int64_t *ret_ns, int64_t deadline_ns, struct pa_error *err);

struct pa_ignite_node {
	struct pa_ignite_uuid id; /* zero: no handshake yet */
	const char *address;      /* connected to, or tried last */
	unsigned connections;     /* ready */
	bool member;              /* requests go to it; false: not reached, or its peers do not list it */
	uint64_t requests;        /* sent to it so far */
	int64_t partitions;       /* primaries of the cache asked for; -1: not known */
	const char *error;        /* why the last connection failed; "" */
};
/* What the client knows now, without asking anyone.  cache: NULL, or whose primaries to count. */
int pa_ignite_nodes(struct pa_ignite *ignite, const struct pa_ignite_cache *cache, struct pa_arena *arena,
                    struct pa_ignite_node **ret, size_t *ret_count, struct pa_error *err);

/* Where a key lives.  partition: -1 as long as the cache's map is not known (or it is not partitioned by key). */
int pa_ignite_locate(struct pa_ignite *ignite, const struct pa_ignite_cache *cache,
                     const struct pa_ignite_key *key, int *ret_partition, int *ret_partition_count,
                     struct pa_ignite_uuid *ret_primary, struct pa_error *err);

struct pa_ignite_stats {
	uint64_t requests;           /* submitted */
	uint64_t failed;             /* ended with an error other than a GET's NOT_FOUND */
	uint64_t to_primary;         /* sent to the node that holds the key */
	uint64_t to_any;             /* sent to some node, for want of a map or a key */
	uint64_t sent_again;         /* reads that outlived a connection */
	uint64_t late_answers;       /* that came after their request had ended */
	uint64_t connections_opened; /* handshakes that succeeded */
	uint64_t connections_lost;
	uint64_t maps;          /* partition maps taken */
	uint64_t bytes_in;      /* from sockets, TLS taken off */
	uint64_t bytes_in_copy; /* of values: went through the staging buffer */
	uint64_t bytes_out;
	int64_t topology_version; /* of the cluster */
	int32_t topology_minor;
	unsigned under_way;
};
void pa_ignite_stats(struct pa_ignite *ignite, struct pa_ignite_stats *ret);

#endif
