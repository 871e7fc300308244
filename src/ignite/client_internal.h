/* SPDX-License-Identifier: Apache-2.0 */
/* What a client is made of.  Two worlds:
 *
 * - Under `lock`, for all threads: the list of what was submitted, the count of what is under way, cancellations, the
 *   flag that says that the loop sleeps.  The lock is held for a few instructions, never across a system call but one
 *   write to the eventfd after it, and never while a `done` runs.
 * - Everything else belongs to the loop's thread and needs no lock.  Other threads ask for it with a job
 *   (ignite_run_job), which the loop runs between two waits.
 *
 * A request under way has a task.  A task waits in the client (no node to send it to), in a node (its connections are
 * full), or has a slot of a connection until the answer comes or the connection is lost.  When the request ends before
 * the answer, the task stays in its slot without it, so that the answer is known for a late one.
 */
#ifndef PA_IGNITE_CLIENT_INTERNAL_H
#define PA_IGNITE_CLIENT_INTERNAL_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/random.h"
#include "ignite/codec.h"

#define IGNITE_STAGING_BYTES       65536
#define IGNITE_INLINE_HEAD_BYTES   128
#define IGNITE_INLINE_PARTS        4
#define IGNITE_NODE_ADDRESSES      16
#define IGNITE_MAX_DEPTH           1024
#define IGNITE_SPARE_SLOTS         8 /* of a connection, for heartbeats, cursors, and what the loop asks */
#define IGNITE_MAX_CLUSTER_BYTES   ((size_t)16 << 20) /* a list of nodes, a partition map */
#define IGNITE_MAX_HANDSHAKE_BYTES 65536

struct ignite_connection;
struct ignite_node;

/* ---- Tasks ---- */

/* How a task ends. */
struct ignite_reply {
	const struct pa_error *err; /* NULL: well */
	int status;
	bool maybe_done;
	const void *data; /* the body of a good answer */
	size_t bytes;
	struct ignite_connection *connection; /* of a good answer */
};

/* The loop's own requests, and those of the calls that take a body: told in the loop's thread. */
typedef void ignite_reply_fn(struct pa_ignite *ignite, void *context, const struct ignite_reply *reply);

struct ignite_task {
	struct ignite_task *next; /* in whatever queue it is */
	struct ignite_task *previous;
	struct pa_ignite_request *request; /* NULL: ended before its answer, or the loop's own */
	ignite_reply_fn *replied;          /* for tasks of OTHER and of the loop */
	void *context;
	size_t max_reply_bytes;
	struct ignite_connection *connection; /* whose slot it has */
	struct ignite_node *queued_at;        /* the node in whose queue it waits */
	uint64_t pinned;                      /* serial of the only connection that it may use; 0: any */
	int64_t deadline_ns;
	size_t heap_index; /* SIZE_MAX: not in the heap */
	int64_t id;
	enum pa_ignite_operation operation;
	int32_t cache_id;
	int32_t hash;
	bool has_hash;
	bool internal;      /* the loop's own: not counted as under way, no part in back-pressure */
	bool waiting;       /* in the client's queue */
	bool cancel_wanted; /* under the lock */
	bool read_only;     /* may be sent twice */
	unsigned sends;
	unsigned part_count;
	struct iovec *parts;
	uint8_t *head;
	size_t frame_bytes;
	size_t sent_bytes;
	void *orphan; /* a copy of what was still to be sent when the request ended */
	struct iovec inline_parts[IGNITE_INLINE_PARTS];
	uint8_t inline_head[IGNITE_INLINE_HEAD_BYTES];
};

struct ignite_queue {
	struct ignite_task *first;
	struct ignite_task *last;
	size_t count;
};

void ignite_queue_push(struct ignite_queue *queue, struct ignite_task *task);
void ignite_queue_remove(struct ignite_queue *queue, struct ignite_task *task);
struct ignite_task *ignite_queue_pop(struct ignite_queue *queue);

/* Room for a frame; `fill` is called once or, when it does not fit inline, twice. */
typedef void ignite_fill_fn(struct ignite_writer *writer, const void *argument);
struct ignite_task *ignite_task_new(ignite_fill_fn *fill, const void *argument);
void ignite_task_free(struct ignite_task *task);

/* Tasks by deadline. */
struct ignite_heap {
	struct ignite_task **items;
	size_t count;
	size_t capacity;
};
void ignite_heap_add(struct ignite_heap *heap, struct ignite_task *task);
void ignite_heap_remove(struct ignite_heap *heap, struct ignite_task *task);

/* ---- Connections ---- */

enum ignite_stage { IGNITE_CLOSED, IGNITE_CONNECTING, IGNITE_TLS, IGNITE_HANDSHAKE, IGNITE_READY };

enum ignite_receive {
	IGNITE_RECEIVE_HEAD,
	IGNITE_RECEIVE_VALUE_HEAD,
	IGNITE_RECEIVE_VALUE, /* into the request's buffer */
	IGNITE_RECEIVE_BODY,  /* into `body` */
	IGNITE_RECEIVE_SKIP,
};

struct ignite_slot {
	int64_t id;
	struct ignite_task *task; /* NULL: free */
	int64_t sent_ns;
};

struct ignite_connection {
	struct ignite_node *node;
	uint64_t serial;
	enum ignite_stage stage;
	int fd;
	uint32_t events; /* registered with epoll */
	bool wants_write;
	int64_t stage_deadline_ns;
	struct ignite_version version;
	uint32_t features;
	/* TLS */
	SSL *ssl;
	uint8_t *tls_out; /* one record's worth, kept until it is sent */
	size_t tls_out_bytes;
	/* sending */
	struct pa_buffer handshake; /* to be sent first */
	size_t handshake_sent;
	struct ignite_queue sending; /* have a slot, are not sent to the end */
	struct ignite_slot *slots;
	unsigned slot_count;
	unsigned in_flight;
	int64_t next_sequence;
	/* receiving */
	enum ignite_receive receiving;
	uint8_t *staging;
	size_t staged_begin;
	size_t staged_end;
	bool direct; /* the last value was read in place: read little else ahead */
	struct ignite_head head;
	struct ignite_task *task; /* whose answer is being received; NULL: nobody's any more */
	size_t frame_left;        /* bytes of the frame not looked at yet */
	struct pa_buffer body;
	uint8_t *value;
	/* life */
	int64_t last_received_ns;
	int64_t last_sent_ns;
	int64_t heartbeat_ns; /* how often; the server's idle time-out may ask for more */
	bool heartbeat_under_way;
	bool view_under_way;
};

/* ---- Nodes ---- */

struct ignite_address {
	struct sockaddr_storage socket;
	socklen_t bytes;
	char *text;        /* "host:port" for messages */
	char *server_name; /* host as it was named, for TLS */
};

struct ignite_node {
	struct ignite_node *next;
	struct pa_ignite_uuid id;
	bool id_known;
	bool from_seed;                /* found by an endpoint: may change its id */
	bool gone;                     /* to be freed at the end of the round */
	struct ignite_version version; /* to begin with: 1.7, or what the node asked for */
	bool version_retried;
	bool retry_at_once;
	struct ignite_address addresses[IGNITE_NODE_ADDRESSES];
	unsigned address_count;
	unsigned address_next;    /* tried next */
	unsigned address_current; /* of the last attempt */
	struct ignite_connection **connections;
	unsigned ready; /* connections */
	int64_t retry_ns;
	unsigned failures; /* in a row */
	struct pa_error error;
	struct ignite_queue queue;
	uint64_t requests;
	/* what it says about the cluster */
	bool view_known;
	struct pa_ignite_uuid *view;
	size_t view_count;
	int64_t view_version;
	bool member;
};

/* ---- The client ---- */

struct ignite_job {
	struct ignite_job *next;
	void (*run)(struct pa_ignite *ignite, void *argument);
	void *argument;
	bool finished;
};

struct ignite_resolver;

struct pa_ignite {
	/* set at open */
	struct pa_ignite_options options;
	char **endpoints;
	struct pa_ignite_tls tls_options;
	SSL_CTX *tls;
	pthread_t thread;
	int epoll_fd;
	int wake_fd;
	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t room;    /* for submitters */
	pthread_cond_t changed; /* for open, and for jobs */
	struct ignite_queue submitted;
	struct ignite_job *jobs;
	bool cancels; /* some task has cancel_wanted */
	bool sleeping;
	bool closing;
	bool opened;   /* some node has been ready */
	bool hopeless; /* every endpoint failed for good */
	unsigned under_way;
	uint64_t submitted_count;
	struct pa_error last_error; /* of a connection */
	/* the loop's */
	struct ignite_queue all_waiting; /* no node to send them to */
	struct ignite_heap deadlines;
	struct ignite_node *nodes;
	unsigned node_count;
	struct ignite_resolver *resolver;
	bool resolving;
	int64_t seeds_next_ns;
	unsigned seeds_failures;
	unsigned turn; /* for requests without a primary */
	uint64_t serial;
	int64_t now_ns;
	int64_t tick_ns;
	struct pa_random random;
	int32_t *cache_ids; /* sorted: caches whose maps are wanted */
	size_t cache_id_count;
	struct pa_arena map_arena;
	struct ignite_map map;
	struct ignite_node **map_nodes; /* of map.nodes */
	bool waiting_wanted;            /* what waits may find a node now */
	bool told_opened;
	int64_t first_member_ns;
	bool members_changed; /* to be worked out anew */
	bool views_unsettled; /* nodes differ in what they list, or list one that is not reached */
	int64_t views_next_ns;
	bool map_wanted;
	bool map_under_way;
	int64_t map_retry_ns;
	int64_t told_version; /* the newest that a member told; 0: none */
	int32_t told_minor;
	/* counted by the loop, read by all */
	_Atomic uint64_t failed, to_primary, to_any, sent_again, late_answers, connections_opened,
	    connections_lost, maps, bytes_in, bytes_in_copy, bytes_out;
};

/* client.c */
void ignite_wake(struct pa_ignite *ignite);
/* Runs in the loop's thread, and waits for it; false when the client is closing. */
bool ignite_run_job(struct pa_ignite *ignite, void (*run)(struct pa_ignite *, void *), void *argument);

/* submit.c: the way in and out.  In the loop's thread: */
void ignite_take_submitted(struct pa_ignite *ignite);
/* Tells the task's owner.  A task that has been sent stays in its slot, ownerless, until the answer comes. */
void ignite_end_task(struct pa_ignite *ignite, struct ignite_task *task, const struct ignite_reply *reply);
static inline bool ignite_task_owned(const struct ignite_task *task)
{
	return task->request != NULL || task->replied != NULL;
}
/* Something of it may have gone to the server. */
bool ignite_task_on_its_way(const struct ignite_task *task);
/* A task without a request, answered by `replied` with the whole body. */
int ignite_submit_task(struct pa_ignite *ignite, struct ignite_task *task, struct pa_error *err);

/* call.c: an operation with a body of its own, waited for. */
struct ignite_exchange {
	ignite_fill_fn *fill;
	const void *argument;
	int64_t deadline_ns;
	uint64_t pinned; /* the only connection that will do; 0: any */
	bool read_only;
	struct pa_buffer *answer; /* out: to _done when the call succeeds */
	uint64_t serial;          /* out: the connection that answered */
	int status;               /* out */
};
int ignite_call_op(struct pa_ignite *ignite, struct ignite_exchange *exchange, struct pa_error *err);

/* loop.c */
void *ignite_loop(void *ignite);

/* connection.c */
struct ignite_connection *ignite_connection_new(struct ignite_node *node, unsigned depth);
void ignite_connection_free(struct ignite_connection *connection);
void ignite_connect(struct pa_ignite *ignite, struct ignite_connection *connection);
void ignite_connection_event(struct pa_ignite *ignite, struct ignite_connection *connection, uint32_t events);
/* Closes it; its tasks go elsewhere or end. */
void ignite_connection_lose(struct pa_ignite *ignite, struct ignite_connection *connection,
                            const struct pa_error *err);
/* Heartbeats, and the end of a connection that has gone silent. */
void ignite_connection_tick(struct pa_ignite *ignite, struct ignite_connection *connection);
void ignite_connection_watch(struct pa_ignite *ignite, struct ignite_connection *connection);
int ignite_connection_error(const struct ignite_connection *connection, struct pa_error *err);

/* transport.c: bytes moved, 0 at the end of the stream, -EAGAIN, or another -errno with `err` set. */
ssize_t ignite_transport_read(struct ignite_connection *connection, struct iovec *parts, int count,
                              struct pa_error *err);
ssize_t ignite_transport_write(struct ignite_connection *connection, struct iovec *parts, int count,
                               struct pa_error *err);
/* tls.c */
ssize_t ignite_tls_read(struct ignite_connection *connection, struct iovec *parts, int count,
                        struct pa_error *err);
ssize_t ignite_tls_write(struct ignite_connection *connection, struct iovec *parts, int count,
                         struct pa_error *err);
int ignite_tls_context(const struct pa_ignite_tls *options, SSL_CTX **ret, struct pa_error *err);
int ignite_tls_begin(struct ignite_connection *connection, SSL_CTX *context, const char *server_name,
                     struct pa_error *err);
/* 1: done; 0: wait for more; negative: failed. */
int ignite_tls_shake(struct ignite_connection *connection, struct pa_error *err);

/* send.c */
bool ignite_connection_has_room(const struct ignite_connection *connection);
/* There must be a free slot (some are kept for the loop itself). */
bool ignite_connection_has_slot(const struct ignite_connection *connection);
void ignite_connection_assign(struct pa_ignite *ignite, struct ignite_connection *connection,
                              struct ignite_task *task);
int ignite_send(struct pa_ignite *ignite, struct ignite_connection *connection, struct pa_error *err);
/* The request of a task ends while the frame is being sent: what is left of it is copied. */
void ignite_orphan(struct ignite_task *task);

/* receive.c */
int ignite_receive(struct pa_ignite *ignite, struct ignite_connection *connection, struct pa_error *err);
void ignite_slot_release(struct ignite_connection *connection, struct ignite_task *task);

/* handshake.c */
int ignite_handshake_begin(struct pa_ignite *ignite, struct ignite_connection *connection,
                           struct pa_error *err);
int ignite_handshake_answer(struct pa_ignite *ignite, struct ignite_connection *connection, const void *data,
                            size_t bytes, struct pa_error *err);

/* route.c */
void ignite_route(struct pa_ignite *ignite, struct ignite_task *task);
void ignite_pump(struct pa_ignite *ignite, struct ignite_node *node);
void ignite_pump_waiting(struct pa_ignite *ignite);
struct ignite_node *ignite_primary(struct pa_ignite *ignite, int32_t cache_id, int32_t hash,
                                   int *ret_partition, int *ret_partition_count);
/* Takes a task out of whatever queue it is in (it has no slot). */
void ignite_unqueue(struct pa_ignite *ignite, struct ignite_task *task);
void ignite_want_cache(struct pa_ignite *ignite, int32_t cache_id);

/* cluster.c */
struct ignite_node *ignite_node_new(struct pa_ignite *ignite);
void ignite_cluster_free(struct pa_ignite *ignite);
struct ignite_node *ignite_node_find(struct pa_ignite *ignite, struct pa_ignite_uuid id);
bool ignite_node_add_address(struct ignite_node *node, const struct ignite_address *address);
/* A connection is ready: who is it?  Negative: not who it should be. */
int ignite_node_met(struct pa_ignite *ignite, struct ignite_connection *connection, struct pa_ignite_uuid id,
                    struct pa_error *err);
void ignite_node_ready(struct pa_ignite *ignite, struct ignite_connection *connection);
void ignite_node_failed(struct pa_ignite *ignite, struct ignite_node *node, const struct pa_error *err,
                        bool was_ready);
void ignite_seeds_resolved(struct pa_ignite *ignite, struct ignite_address *addresses, size_t count,
                           const struct pa_error *err);
/* Connects, resolves, asks, frees: what is due. */
void ignite_cluster_tick(struct pa_ignite *ignite);

/* topology.c */
/* A connection has been made: what the cluster looks like from there is asked. */
void ignite_topology_ready(struct pa_ignite *ignite, struct ignite_connection *connection);
void ignite_topology_told(struct pa_ignite *ignite, struct ignite_connection *connection);
/* What has become known since the last round is acted upon. */
void ignite_topology_settle(struct pa_ignite *ignite);
void ignite_topology_tick(struct pa_ignite *ignite);
void ignite_topology_forget(struct pa_ignite *ignite);
void ignite_map_link(struct pa_ignite *ignite);

/* membership.c */
struct ignite_opinion {
	struct pa_ignite_uuid self;
	const struct pa_ignite_uuid *listed;
	size_t listed_count;
	bool current; /* is a member now */
	bool member;  /* out */
};
/* Who is in the cluster, when nodes do not agree: the largest group of nodes that list each other; of equal ones that
 * with more current members, then the one with the smallest id.  Pure. */
void ignite_membership(struct ignite_opinion *opinions, size_t count);

/* resolver.c: names to addresses in a thread of its own. */
int ignite_address_parse(const char *endpoint, char **ret_host, char **ret_port, struct pa_error *err);
int ignite_resolver_new(struct pa_ignite *ignite, struct ignite_resolver **ret, struct pa_error *err);
/* Does not wait for a name server that does not answer. */
void ignite_resolver_free(struct ignite_resolver *resolver);
void ignite_resolver_ask(struct ignite_resolver *resolver);
/* In the loop: true when an answer is there. */
bool ignite_resolver_take(struct ignite_resolver *resolver, struct ignite_address **ret, size_t *ret_count,
                          struct pa_error *err);
/* Numeric addresses and host names that need no asking: one address without blocking; false when it has to be asked. */
bool ignite_address_numeric(const char *host, int port, struct ignite_address *ret);
void ignite_address_done(struct ignite_address *address);

#endif
