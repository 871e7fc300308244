/* SPDX-License-Identifier: Apache-2.0 */
#include "store/link.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "store/link_internal.h"
#include "store/store_internal.h"

/* A transfer that waits for its turn; lives on its thread's stack. */
struct link_turn {
	struct link_turn *next;
	int64_t start_ns;
	int64_t finish_ns;
	bool yields; /* all that do are behind those that do not */
};

struct pa_link {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	uint64_t bandwidth_bps;
	int64_t latency_ns;
	uint32_t connections;
	uint32_t busy;        /* connections taken */
	int64_t next_free_ns; /* the virtual clock: when the last transfer that was booked has crossed */
	uint64_t total_bytes;
	struct link_turn *first; /* by start */
	struct link_turn *last;
};

struct pa_link *pa_link_new(uint64_t bandwidth_bps, int64_t latency_ns, uint32_t connections)
{
	struct pa_link *link = calloc(1, sizeof(*link));

	if (link == NULL)
		abort();
	pthread_mutex_init(&link->mutex, NULL);
	pa_clock_cond_init(&link->changed);
	link->bandwidth_bps = bandwidth_bps;
	link->latency_ns = latency_ns;
	link->connections = connections;
	return link;
}

void pa_link_free(struct pa_link *link)
{
	if (link == NULL)
		return;
	pthread_cond_destroy(&link->changed);
	pthread_mutex_destroy(&link->mutex);
	free(link);
}

int64_t pa_link_transfer_ns(uint64_t bandwidth_bps, uint64_t bytes)
{
	if (bandwidth_bps == 0)
		return 0;
	return (int64_t)((double)bytes * PA_NS_PER_SECOND / (double)bandwidth_bps);
}

int64_t pa_link_start_ns(int64_t next_free_ns, int64_t ready_ns, int64_t now_ns, int64_t transfer_ns)
{
	int64_t start_ns = next_free_ns > ready_ns ? next_free_ns : ready_ns;

	if (start_ns < now_ns - transfer_ns)
		start_ns = now_ns - transfer_ns;
	return start_ns;
}

/* Under the mutex, until `wake_ns`, a change, or something to look at in the call. */
static void link_wait(struct pa_link *link, const struct pa_store_call *call, int64_t wake_ns)
{
	int64_t until_ns = pa_store_call_wake_ns(call, wake_ns);

	if (until_ns == PA_DEADLINE_NEVER) {
		pthread_cond_wait(&link->changed, &link->mutex);
		return;
	}
	struct timespec until = pa_clock_timespec(until_ns);
	pthread_cond_timedwait(&link->changed, &link->mutex, &until);
}

static int link_sleep(struct pa_link *link, int64_t until_ns, const struct pa_store_call *call,
                      struct pa_error *err)
{
	while (pa_clock_ns() < until_ns) {
		int r = pa_store_call_check(call, "the latency of a source", err);
		if (r < 0)
			return r;
		link_wait(link, call, until_ns);
	}
	return 0;
}

static void link_give_connection(struct pa_link *link)
{
	link->busy--;
	pthread_cond_broadcast(&link->changed);
}

int pa_link_begin(struct pa_link *link, int64_t *ret_ready_ns, const struct pa_store_call *call,
                  struct pa_error *err)
{
	int r = 0;

	pthread_mutex_lock(&link->mutex);
	while (link->busy >= link->connections && r == 0) {
		r = pa_store_call_check(call, "waiting for a connection to a source", err);
		if (r == 0)
			link_wait(link, call, PA_DEADLINE_NEVER);
	}
	if (r == 0) {
		link->busy++;
		int64_t ready_ns = pa_clock_deadline(link->latency_ns);
		r = link_sleep(link, link->latency_ns > 0 ? ready_ns : 0, call, err);
		if (r < 0)
			link_give_connection(link);
		else
			*ret_ready_ns = ready_ns;
	}
	pthread_mutex_unlock(&link->mutex);
	return r;
}

/* Takes a turn out of the queue; what it did not use of the link goes to those behind it. */
static void link_leave(struct pa_link *link, struct link_turn *turn, int64_t unused_ns)
{
	struct link_turn **place = &link->first;
	struct link_turn *before = NULL;

	while (*place != turn) {
		before = *place;
		place = &(*place)->next;
	}
	*place = turn->next;
	if (link->last == turn)
		link->last = before;
	if (unused_ns == 0)
		return;
	for (struct link_turn *later = turn->next; later != NULL; later = later->next) {
		later->start_ns -= unused_ns;
		later->finish_ns -= unused_ns;
	}
	link->next_free_ns -= unused_ns;
	pthread_cond_broadcast(&link->changed);
}

static bool call_yields(const struct pa_store_call *call)
{
	return call != NULL && call->yields != NULL && __atomic_load_n(call->yields, __ATOMIC_RELAXED) != 0;
}

/* Books a transfer: at the end, or before those that make way for it, of which the first may have begun to cross.
 * Some that have crossed are still in the list, until their threads wake. */
static void link_enter(struct pa_link *link, struct link_turn *turn, int64_t ready_ns, int64_t transfer_ns)
{
	struct link_turn **place = &link->first;
	struct link_turn *before = NULL;
	int64_t now_ns = pa_clock_ns();

	while (*place != NULL && (turn->yields || !(*place)->yields || (*place)->finish_ns <= now_ns)) {
		before = *place;
		place = &(*place)->next;
	}
	if (*place == NULL)
		turn->start_ns = pa_link_start_ns(link->next_free_ns, ready_ns, now_ns, transfer_ns);
	else
		turn->start_ns = before != NULL && before->finish_ns > now_ns ? before->finish_ns : now_ns;
	turn->finish_ns = turn->start_ns + transfer_ns;
	for (struct link_turn *later = *place; later != NULL; later = later->next) {
		later->start_ns =
		    later->start_ns < turn->start_ns ? turn->finish_ns : later->start_ns + transfer_ns;
		later->finish_ns += transfer_ns;
	}
	link->next_free_ns = *place == NULL ? turn->finish_ns : link->next_free_ns + transfer_ns;
	turn->next = *place;
	*place = turn;
	if (turn->next == NULL)
		link->last = turn;
}

static int link_transfer(struct pa_link *link, int64_t ready_ns, uint64_t bytes,
                         const struct pa_store_call *call, struct pa_error *err)
{
	struct link_turn turn = {.yields = call_yields(call)};
	int64_t unused_ns = 0;
	int64_t now_ns;
	int r = 0;

	link_enter(link, &turn, ready_ns, pa_link_transfer_ns(link->bandwidth_bps, bytes));
	while ((now_ns = pa_clock_ns()) < turn.finish_ns) {
		unused_ns = turn.finish_ns - (now_ns > turn.start_ns ? now_ns : turn.start_ns);
		r = pa_store_call_check(call, "waiting for the bandwidth of a source", err);
		if (r < 0)
			break;
		if (turn.yields && !call_yields(call)) {
			/* Somebody waits for it now: what is left of it goes with the others. */
			link_leave(link, &turn, unused_ns);
			turn.yields = false;
			link_enter(link, &turn, ready_ns, unused_ns);
		}
		link_wait(link, call, turn.finish_ns);
	}
	link_leave(link, &turn, r < 0 ? unused_ns : 0);
	return r;
}

int pa_link_end(struct pa_link *link, int64_t ready_ns, uint64_t bytes, const struct pa_store_call *call,
                struct pa_error *err)
{
	int r = 0;

	pthread_mutex_lock(&link->mutex);
	if (bytes > 0 && link->bandwidth_bps > 0)
		r = link_transfer(link, ready_ns, bytes, call, err);
	if (r == 0)
		link->total_bytes += bytes;
	link_give_connection(link);
	pthread_mutex_unlock(&link->mutex);
	return r;
}

int pa_link_latency(struct pa_link *link, const struct pa_store_call *call, struct pa_error *err)
{
	if (link->latency_ns == 0)
		return pa_store_call_check(call, "a request to a source", err);
	pthread_mutex_lock(&link->mutex);
	int r = link_sleep(link, pa_clock_deadline(link->latency_ns), call, err);
	pthread_mutex_unlock(&link->mutex);
	return r;
}

uint64_t pa_link_bandwidth_bps(const struct pa_link *link)
{
	return link->bandwidth_bps;
}

int64_t pa_link_latency_ns(const struct pa_link *link)
{
	return link->latency_ns;
}

uint32_t pa_link_connections(const struct pa_link *link)
{
	return link->connections;
}

uint64_t pa_link_total_bytes(const struct pa_link *link)
{
	struct pa_link *shared = (struct pa_link *)link; /* only for its mutex */

	pthread_mutex_lock(&shared->mutex);
	uint64_t total_bytes = link->total_bytes;
	pthread_mutex_unlock(&shared->mutex);
	return total_bytes;
}
