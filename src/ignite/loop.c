/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ignite/client_internal.h"

#define MAX_EVENTS   64
#define TICK_BUSY_NS (20 * PA_NS_PER_MS)
#define TICK_IDLE_NS (200 * PA_NS_PER_MS)

static void describe_wait(struct pa_ignite *ignite, const struct ignite_task *task, struct pa_error *err)
{
	const struct ignite_node *node = task->connection != NULL ? task->connection->node : task->queued_at;

	if (node != NULL) {
		const char *address = node->addresses[node->address_current].text;
		pa_error_set(err, PA_ERROR_DEADLINE,
		             task->connection != NULL
		                 ? "%s: no answer within the request's deadline"
		                 : "%s: no place on a connection within the request's deadline",
		             address);
		return;
	}
	pthread_mutex_lock(&ignite->lock);
	pa_error_set(err, PA_ERROR_DEADLINE, "no node could be reached within the request's deadline%s%.700s",
	             ignite->last_error.message[0] == '\0' ? "" : "; ", ignite->last_error.message);
	pthread_mutex_unlock(&ignite->lock);
}

static void end_overdue(struct pa_ignite *ignite)
{
	while (ignite->deadlines.count > 0 && ignite->deadlines.items[0]->deadline_ns <= ignite->now_ns) {
		struct ignite_task *task = ignite->deadlines.items[0];
		struct pa_error err = PA_ERROR_INIT;
		struct ignite_reply reply = {.err = &err,
		                             .maybe_done = !task->read_only && ignite_task_on_its_way(task)};
		describe_wait(ignite, task, &err);
		ignite_end_task(ignite, task, &reply);
	}
}

static void send_all(struct pa_ignite *ignite)
{
	for (struct ignite_node *node = ignite->nodes; node != NULL; node = node->next) {
		for (unsigned i = 0; i < ignite->options.connections_per_node; i++) {
			struct ignite_connection *connection = node->connections[i];
			struct pa_error err = PA_ERROR_INIT;
			if (connection->stage < IGNITE_READY || connection->sending.first == NULL ||
			    connection->wants_write)
				continue;
			if (ignite_send(ignite, connection, &err) < 0)
				ignite_connection_lose(ignite, connection, &err);
		}
	}
}

static bool all_is_quiet(const struct pa_ignite *ignite)
{
	if (ignite->views_unsettled || ignite->map_wanted || ignite->resolving ||
	    ignite->all_waiting.count > 0 || !ignite->told_opened || ignite->nodes == NULL)
		return false;
	for (const struct ignite_node *node = ignite->nodes; node != NULL; node = node->next)
		for (unsigned i = 0; i < ignite->options.connections_per_node; i++)
			if (node->connections[i]->stage != IGNITE_READY && node->member)
				return false;
	return true;
}

static void run_jobs(struct pa_ignite *ignite)
{
	pthread_mutex_lock(&ignite->lock);
	struct ignite_job *jobs = ignite->jobs;
	ignite->jobs = NULL;
	pthread_mutex_unlock(&ignite->lock);
	while (jobs != NULL) {
		struct ignite_job *job = jobs;
		jobs = job->next;
		job->run(ignite, job->argument);
		pthread_mutex_lock(&ignite->lock);
		job->finished = true;
		pthread_cond_broadcast(&ignite->changed);
		pthread_mutex_unlock(&ignite->lock);
	}
}

/* What is due between two waits. */
static void work(struct pa_ignite *ignite)
{
	ignite_take_submitted(ignite);
	run_jobs(ignite);
	end_overdue(ignite);
	ignite_cluster_tick(ignite);
	ignite_topology_settle(ignite);
	if (ignite->all_waiting.count > 0 && (ignite->waiting_wanted || ignite->now_ns >= ignite->tick_ns)) {
		ignite->waiting_wanted = false;
		ignite_pump_waiting(ignite);
	}
	if (ignite->now_ns >= ignite->tick_ns)
		ignite->tick_ns = ignite->now_ns + (all_is_quiet(ignite) ? TICK_IDLE_NS : TICK_BUSY_NS);
	send_all(ignite);
}

/* How long the loop may wait; 0 when something has been handed in meanwhile. */
static int sleep_ms(struct pa_ignite *ignite)
{
	int64_t until = ignite->tick_ns;

	if (ignite->deadlines.count > 0 && ignite->deadlines.items[0]->deadline_ns < until)
		until = ignite->deadlines.items[0]->deadline_ns;
	pthread_mutex_lock(&ignite->lock);
	bool more =
	    ignite->submitted.first != NULL || ignite->jobs != NULL || ignite->cancels || ignite->closing;
	ignite->sleeping = !more;
	pthread_mutex_unlock(&ignite->lock);
	int64_t left = until - pa_clock_ns();
	return more || left <= 0 ? 0 : (int)((left + PA_NS_PER_MS - 1) / PA_NS_PER_MS);
}

static void wait_for_events(struct pa_ignite *ignite)
{
	struct epoll_event events[MAX_EVENTS];
	int count = epoll_wait(ignite->epoll_fd, events, MAX_EVENTS, sleep_ms(ignite));

	ignite->now_ns = pa_clock_ns();
	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr == NULL) {
			uint64_t woken;
			if (read(ignite->wake_fd, &woken, sizeof(woken)) < 0)
				continue;
		} else {
			ignite_connection_event(ignite, events[i].data.ptr, events[i].events);
		}
	}
}

static void end_all(struct pa_ignite *ignite)
{
	ignite_take_submitted(ignite);
	while (ignite->deadlines.count > 0) {
		struct ignite_task *task = ignite->deadlines.items[0];
		struct pa_error err = PA_ERROR_INIT;
		struct ignite_reply reply = {.err = &err,
		                             .maybe_done = !task->read_only && ignite_task_on_its_way(task)};
		pa_error_set(&err, PA_ERROR_CANCELLED, "the client is being closed");
		ignite_end_task(ignite, task, &reply);
	}
	ignite_cluster_free(ignite);
	run_jobs(ignite);
}

static bool is_closing(struct pa_ignite *ignite)
{
	pthread_mutex_lock(&ignite->lock);
	bool closing = ignite->closing;
	pthread_mutex_unlock(&ignite->lock);
	return closing;
}

void *ignite_loop(void *argument)
{
	struct pa_ignite *ignite = argument;

	ignite->now_ns = pa_clock_ns();
	while (!is_closing(ignite)) {
		work(ignite);
		wait_for_events(ignite);
	}
	end_all(ignite);
	return NULL;
}
