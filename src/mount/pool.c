/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of a mount.  All read the one /dev/fuse descriptor.  Before a request may wait for a source its thread
 * makes sure that another one is left to read on: it starts one, or, at the limit, leaves the request in a list that
 * the waiting threads take from as they come free.  So a lookup is answered whatever the number of waiting readers.
 * A thread that comes back and finds enough others reading is parked, and after a while ends.
 *
 * The kernel says once when a signal has come for a thread whose request is under way.  A read of a regular file is not
 * ended by a signal that its process survives (programs do not expect EINTR there), so such a request is marked, and a
 * watcher looks whether the thread is being killed, now or later; then it cancels the request. */
#include "mount/mount_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

/* So many read on when nothing waits: one for every four processors.  The kernel gives requests to readers in turn, and one
 * that has just served is the cheapest: two idle readers on two processors nearly doubled the cost of a request. */
#define PROCESSORS_PER_READER 4
#define MAX_READERS           4
#define PARK_NS               (10 * PA_NS_PER_SECOND)
#define LATER_BYTES           (64u << 20)
#define WATCH_NS              (20 * PA_NS_PER_MS)
#define WATCHED               64 /* requests at a time; others have their turn when these are done */

enum worker_state { WORKER_FREE, WORKER_RUNS, WORKER_ENDED };

struct worker {
	struct pa_pool *pool;
	pthread_t thread;
	enum worker_state state;
	uint64_t unique; /* of the request that it serves; 0: none */
	uint32_t caller; /* thread id of who asked */
	bool interrupted;
	volatile int cancel;
	char *request; /* PA_MOUNT_REQUEST_BYTES and a NUL */
	char *reply;
};

/* A request that waits for a thread. */
struct later {
	struct later *next;
	bool interrupted;
	size_t bytes;
	char data[];
};

struct pa_pool {
	struct pa_mount *mount;
	pthread_mutex_t lock;
	pthread_cond_t interrupted;
	pthread_t watcher;
	bool watched; /* the watcher runs */
	bool stopping;
	uint32_t readers; /* wanted */
	uint32_t running;
	uint32_t blocked; /* of those running: in an operation that may wait */
	uint32_t parked;  /* of those running: not needed now */
	uint32_t wakes;   /* parked threads that are to read on, and have not noticed yet */
	pthread_cond_t needed;
	struct later *later_first;
	struct later **later_last;
	size_t later_bytes;
	uint32_t limit;
	struct worker workers[];
};

static void *worker_main(void *context);

/* Signals are for the threads of whoever made the mount. */
static int thread_start(pthread_t *thread, void *(*run)(void *), void *context)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int result = pthread_create(thread, NULL, run, context);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -result;
}

/* Under the lock. */
static int worker_start(struct pa_pool *pool)
{
	struct worker *worker = pool->workers;
	const struct worker *end = worker + pool->limit;

	/* Those that are about to end no longer count as running, but still have their places. */
	while (worker != end && worker->state == WORKER_RUNS)
		worker++;
	if (worker == end)
		return -EAGAIN;
	if (worker->state == WORKER_ENDED)
		pthread_join(worker->thread, NULL);
	worker->state = WORKER_FREE;
	worker->pool = pool;
	int result = thread_start(&worker->thread, worker_main, worker);
	if (result != 0)
		return result;
	worker->state = WORKER_RUNS;
	pool->running++;
	return 0;
}

/* May this thread's request wait? Then it counts as blocked. */
static bool pool_block(struct pa_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	bool may = pool->running - pool->blocked - pool->parked > 1;
	if (!may && pool->parked != 0) {
		pool->parked--;
		pool->wakes++;
		pthread_cond_signal(&pool->needed);
		may = true;
	}
	if (!may && pool->running < pool->limit && !pool->stopping)
		may = worker_start(pool) == 0;
	pool->blocked += may;
	pthread_mutex_unlock(&pool->lock);
	return may;
}

/* Leaves a request for later; false when too much waits already. */
static bool pool_defer(struct pa_pool *pool, const char *data, size_t bytes)
{
	struct later *later = malloc(sizeof(*later) + bytes + 1);

	if (later == NULL)
		return false;
	later->next = NULL;
	later->interrupted = false;
	later->bytes = bytes;
	memcpy(later->data, data, bytes);
	later->data[bytes] = '\0';
	pthread_mutex_lock(&pool->lock);
	/* Somebody must be there to take it. */
	bool taken = pool->blocked != 0 && pool->later_bytes + bytes <= LATER_BYTES;
	if (taken) {
		*pool->later_last = later;
		pool->later_last = &later->next;
		pool->later_bytes += bytes;
	}
	pthread_mutex_unlock(&pool->lock);
	if (!taken)
		free(later);
	return taken;
}

/* Under the lock. */
static struct later *later_take(struct pa_pool *pool, struct later **link)
{
	struct later *later = *link;

	*link = later->next;
	if (pool->later_last == &later->next)
		pool->later_last = link;
	pool->later_bytes -= later->bytes;
	return later;
}

static const struct fuse_in_header *later_header(const struct later *later)
{
	return (const void *)later->data;
}

/* Under the lock. The request becomes the one that the worker serves; NULL: none. */
static void worker_takes(struct worker *worker, const struct fuse_in_header *header)
{
	worker->unique = header != NULL ? header->unique : 0;
	worker->caller = header != NULL ? header->pid : 0;
	worker->interrupted = false;
	__atomic_store_n(&worker->cancel, worker->pool->stopping, __ATOMIC_RELAXED);
}

static void worker_serves(struct worker *worker, const struct fuse_in_header *header)
{
	pthread_mutex_lock(&worker->pool->lock);
	worker_takes(worker, header);
	pthread_mutex_unlock(&worker->pool->lock);
}

bool pa_pool_interrupt(struct pa_pool *pool, uint64_t unique)
{
	bool found = false;

	pthread_mutex_lock(&pool->lock);
	for (uint32_t i = 0; i < pool->limit && !found; i++) {
		struct worker *worker = &pool->workers[i];
		found = worker->state == WORKER_RUNS && worker->unique == unique;
		if (found)
			worker->interrupted = true;
	}
	for (struct later *later = pool->later_first; later != NULL && !found; later = later->next) {
		found = later_header(later)->unique == unique;
		if (found)
			later->interrupted = true;
	}
	if (found)
		pthread_cond_signal(&pool->interrupted);
	pthread_mutex_unlock(&pool->lock);
	return found;
}

struct watched {
	uint64_t unique;
	uint32_t caller;
};

/* Under the lock. */
static size_t collect_interrupted(const struct pa_pool *pool, struct watched out[WATCHED])
{
	size_t count = 0;

	for (uint32_t i = 0; i < pool->limit && count < WATCHED; i++) {
		const struct worker *worker = &pool->workers[i];
		if (worker->interrupted && worker->cancel == 0)
			out[count++] = (struct watched){worker->unique, worker->caller};
	}
	for (const struct later *later = pool->later_first; later != NULL && count < WATCHED;
	     later = later->next)
		if (later->interrupted)
			out[count++] =
			    (struct watched){later_header(later)->unique, later_header(later)->pid};
	return count;
}

/* Signals whose default is not to end the process. */
#define HARMLESS                                                                                             \
	(SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH) | SIGNAL_BIT(SIGCONT) |             \
	 SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))
#define SIGNAL_BIT(number) (1ULL << ((number)-1))

/* Whether a signal is pending that will end the thread as soon as it returns from the kernel.  One that cannot be looked at
 * (it is gone, or in a namespace that we do not see) counts as ending. */
static bool is_being_killed(uint32_t thread_id)
{
	enum { OWN, SHARED, BLOCKED, IGNORED, CAUGHT, MASKS };
	static const char *const names[] = {"SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:"};
	unsigned long long masks[MASKS] = {0};
	char path[64], line[256];

	snprintf(path, sizeof(path), "/proc/%u/status", thread_id);
	FILE *status = thread_id != 0 ? fopen(path, "re") : NULL;
	if (status == NULL)
		return true;
	while (fgets(line, sizeof(line), status) != NULL)
		for (size_t i = 0; i < MASKS; i++)
			if (strncmp(line, names[i], strlen(names[i])) == 0)
				masks[i] = strtoull(line + strlen(names[i]), NULL, 16);
	fclose(status);
	unsigned long long pending = masks[OWN] | masks[SHARED];
	unsigned long long survived = masks[BLOCKED] | masks[IGNORED] | masks[CAUGHT] | HARMLESS;
	return (pending & ~survived) != 0;
}

static void cancel_request(struct pa_pool *pool, uint64_t unique)
{
	struct later *later = NULL;

	pthread_mutex_lock(&pool->lock);
	for (uint32_t i = 0; i < pool->limit; i++)
		if (pool->workers[i].unique == unique)
			__atomic_store_n(&pool->workers[i].cancel, 1, __ATOMIC_RELAXED);
	for (struct later **link = &pool->later_first; *link != NULL && later == NULL;) {
		if (later_header(*link)->unique == unique)
			later = later_take(pool, link);
		else
			link = &(*link)->next;
	}
	pthread_mutex_unlock(&pool->lock);
	if (later != NULL)
		pa_mount_send(pool->mount, unique, -EINTR, NULL, 0);
	free(later);
}

static void *watcher_main(void *context)
{
	struct pa_pool *pool = context;
	struct watched watched[WATCHED];

	pthread_mutex_lock(&pool->lock);
	while (!pool->stopping) {
		size_t count = collect_interrupted(pool, watched);
		if (count == 0) {
			pthread_cond_wait(&pool->interrupted, &pool->lock);
			continue;
		}
		pthread_mutex_unlock(&pool->lock);
		for (size_t i = 0; i < count; i++)
			if (is_being_killed(watched[i].caller))
				cancel_request(pool, watched[i].unique);
		pthread_mutex_lock(&pool->lock);
		struct timespec until = pa_clock_timespec(pa_clock_deadline(WATCH_NS));
		if (!pool->stopping)
			pthread_cond_timedwait(&pool->interrupted, &pool->lock, &until);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static int worker_dispatch(struct worker *worker, const char *data, size_t bytes, bool may_block)
{
	struct pa_mount *mount = worker->pool->mount;
	const struct fuse_in_header *header = (const void *)data;
	struct pa_mount_request request = {
	    .header = header,
	    .argument = header + 1,
	    .argument_bytes = bytes - sizeof(*header),
	    .may_block = may_block,
	    .call = {.deadline_ns = pa_clock_deadline(mount->read_timeout_ns), .cancel = &worker->cancel},
	    .reply = worker->reply,
	};

	return pa_mount_dispatch(mount, &request);
}

/* Serves what was left for later, then counts as free again. */
static void pool_unblock(struct worker *worker)
{
	struct pa_pool *pool = worker->pool;

	pthread_mutex_lock(&pool->lock);
	while (pool->later_first != NULL) {
		struct later *later = later_take(pool, &pool->later_first);
		worker_takes(worker, later_header(later));
		worker->interrupted = later->interrupted;
		pthread_mutex_unlock(&pool->lock);
		worker_dispatch(worker, later->data, later->bytes, true);
		free(later);
		pthread_mutex_lock(&pool->lock);
		worker_takes(worker, NULL);
	}
	pool->blocked--;
	pthread_mutex_unlock(&pool->lock);
}

static void worker_serve(struct worker *worker, size_t bytes)
{
	const struct fuse_in_header *header = (const void *)worker->request;
	struct pa_pool *pool = worker->pool;

	if (bytes < sizeof(*header) || header->len != bytes)
		return;
	worker->request[bytes] = '\0';
	worker_serves(worker, header);
	if (!pa_mount_request_blocks(header, header + 1) &&
	    worker_dispatch(worker, worker->request, bytes, false) != PA_REPLY_WOULD_BLOCK) {
		worker_serves(worker, NULL);
		return;
	}
	if (pool_block(pool)) {
		worker_dispatch(worker, worker->request, bytes, true);
		worker_serves(worker, NULL);
		pool_unblock(worker);
	} else if (!pool_defer(pool, worker->request, bytes)) {
		/* No thread and no room: better slow than lost. */
		worker_dispatch(worker, worker->request, bytes, true);
	}
	worker_serves(worker, NULL);
}

/* Parks a thread that is one too many. False: it was not needed for long, and is no longer counted. */
static bool worker_is_needed(struct worker *worker)
{
	struct pa_pool *pool = worker->pool;
	bool needed = true;

	pthread_mutex_lock(&pool->lock);
	if (pool->running - pool->blocked - pool->parked > pool->readers) {
		struct timespec until = pa_clock_timespec(pa_clock_deadline(PARK_NS));
		int result = 0;
		pool->parked++;
		while (pool->wakes == 0 && !pool->stopping && result != ETIMEDOUT)
			result = pthread_cond_timedwait(&pool->needed, &pool->lock, &until);
		needed = pool->wakes != 0;
		pool->wakes -= needed;
		pool->parked -= !needed;
		pool->running -= !needed;
	}
	pthread_mutex_unlock(&pool->lock);
	return needed;
}

static void *worker_main(void *context)
{
	struct worker *worker = context;
	struct pa_pool *pool = worker->pool;
	bool needed = true;

	worker->request = malloc(PA_MOUNT_REQUEST_BYTES + 1);
	worker->reply = malloc(PA_MOUNT_REPLY_BYTES);
	while (worker->request != NULL && worker->reply != NULL && needed) {
		ssize_t bytes = read(pool->mount->fuse_fd, worker->request, PA_MOUNT_REQUEST_BYTES);
		if (bytes >= 0) {
			worker_serve(worker, (size_t)bytes);
			needed = worker_is_needed(worker);
		} else if (errno != EINTR && errno != EAGAIN && errno != ENOENT) {
			break; /* ENODEV, ECONNABORTED: the mount has gone */
		}
	}
	free(worker->request);
	free(worker->reply);
	pthread_mutex_lock(&pool->lock);
	pool->running -= needed;
	worker->state = WORKER_ENDED;
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static uint32_t readers_wanted(uint32_t limit)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t readers = processors > 0 ? (uint32_t)processors / PROCESSORS_PER_READER : 1;

	if (readers > MAX_READERS)
		readers = MAX_READERS;
	if (readers > limit)
		readers = limit;
	return readers != 0 ? readers : 1;
}

int pa_pool_new(struct pa_mount *mount, struct pa_pool **ret, struct pa_error *err)
{
	struct pa_pool *pool = calloc(1, sizeof(*pool) + mount->thread_limit * sizeof(pool->workers[0]));

	if (pool == NULL)
		return pa_error_set_errno(err, ENOMEM, "mount: threads");
	pool->mount = mount;
	pool->limit = mount->thread_limit;
	pool->readers = readers_wanted(pool->limit);
	pool->later_last = &pool->later_first;
	pthread_mutex_init(&pool->lock, NULL);
	pa_clock_cond_init(&pool->interrupted);
	pa_clock_cond_init(&pool->needed);
	/* Before the first request is read: operations find the pool through the mount. */
	mount->pool = pool;
	pthread_mutex_lock(&pool->lock);
	int result = 0;
	for (uint32_t i = 0; i < pool->readers && result == 0; i++)
		result = worker_start(pool);
	if (result == 0) {
		result = thread_start(&pool->watcher, watcher_main, pool);
		pool->watched = result == 0;
	}
	pthread_mutex_unlock(&pool->lock);
	if (result != 0)
		return pa_error_set_errno(err, -result, "mount: cannot start a thread");
	*ret = pool;
	return 0;
}

void pa_pool_stop(struct pa_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	for (uint32_t i = 0; i < pool->limit; i++)
		__atomic_store_n(&pool->workers[i].cancel, 1, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&pool->interrupted);
	pthread_cond_broadcast(&pool->needed);
	pthread_mutex_unlock(&pool->lock);
}

void pa_pool_free(struct pa_pool *pool)
{
	/* None is started any more, so a thread that is free stays so. */
	for (uint32_t i = 0; i < pool->limit; i++) {
		pthread_mutex_lock(&pool->lock);
		bool started = pool->workers[i].state != WORKER_FREE;
		pthread_mutex_unlock(&pool->lock);
		if (started)
			pthread_join(pool->workers[i].thread, NULL);
	}
	if (pool->watched)
		pthread_join(pool->watcher, NULL);
	while (pool->later_first != NULL)
		free(later_take(pool, &pool->later_first));
	pthread_cond_destroy(&pool->interrupted);
	pthread_cond_destroy(&pool->needed);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
