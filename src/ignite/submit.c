/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ignite/client_internal.h"

bool ignite_task_on_its_way(const struct ignite_task *task)
{
	const struct ignite_connection *connection = task->connection;

	if (connection == NULL)
		return false;
	/* A TLS record may hold bytes that are not counted as sent yet. */
	return task->sent_bytes > 0 || task->orphan != NULL ||
	       (connection->tls_out_bytes > 0 && connection->sending.first != NULL);
}

static bool is_read_only(enum pa_ignite_operation operation)
{
	return operation == PA_IGNITE_GET || operation == PA_IGNITE_CONTAINS ||
	       operation == PA_IGNITE_GET_ALL || operation == PA_IGNITE_CONTAINS_ALL ||
	       operation == PA_IGNITE_SIZE;
}

static const struct pa_ignite_key *routing_key(const struct pa_ignite_request *request)
{
	switch (request->operation) {
	case PA_IGNITE_GET:
	case PA_IGNITE_PUT:
	case PA_IGNITE_PUT_IF_ABSENT:
	case PA_IGNITE_CONTAINS:
	case PA_IGNITE_REMOVE:
		return &request->key;
	case PA_IGNITE_GET_ALL:
	case PA_IGNITE_PUT_ALL:
	case PA_IGNITE_CONTAINS_ALL:
	case PA_IGNITE_REMOVE_KEYS:
		/* The node that has the first key spreads the others. */
		return request->entry_count > 0 ? &request->entries[0].key : NULL;
	default:
		return NULL;
	}
}

static void fill_request(struct ignite_writer *writer, const void *argument)
{
	ignite_encode_request(writer, argument);
}

static struct ignite_task *make_task(struct pa_ignite *ignite, struct pa_ignite_request *request,
                                     struct pa_error *err)
{
	const struct pa_ignite_key *key = routing_key(request);
	struct ignite_task *task;

	if (request->operation == PA_IGNITE_OTHER) {
		pa_error_set(err, PA_ERROR_INPUT, "PA_IGNITE_OTHER is the library's own");
		return NULL;
	}
	if (ignite_check_request(request, ignite->options.max_value_bytes, err) < 0)
		return NULL;
	task = ignite_task_new(fill_request, request);
	if (task == NULL) {
		pa_error_set(err, PA_ERROR_NO_SPACE, "no memory for a request");
		return NULL;
	}
	task->request = request;
	task->operation = request->operation;
	task->max_reply_bytes = ignite->options.max_reply_bytes;
	task->read_only = is_read_only(request->operation);
	task->cache_id = request->cache.id;
	task->deadline_ns = request->deadline_ns;
	task->has_hash = key != NULL;
	task->hash = key == NULL ? 0 : ignite_hash_key(key);
	return task;
}

static void clear_results(struct pa_ignite_request *request)
{
	request->result = 0;
	request->status = 0;
	request->truth = false;
	request->maybe_done = false;
	request->number = 0;
	request->value_bytes = 0;
	request->err.class = PA_ERROR_NONE;
	request->err.os_errno = 0;
	request->err.message[0] = '\0';
}

/* Under the lock: waits for room until the deadline. */
static int wait_for_room(struct pa_ignite *ignite, const struct ignite_task *task, struct pa_error *err)
{
	struct timespec until = pa_clock_timespec(task->deadline_ns);
	bool may_wait = !pthread_equal(pthread_self(), ignite->thread);

	while (may_wait && !ignite->closing && ignite->under_way >= ignite->options.max_requests)
		if (pthread_cond_timedwait(&ignite->room, &ignite->lock, &until) != 0 &&
		    pa_clock_ns() >= task->deadline_ns)
			return pa_error_set(
			    err, PA_ERROR_DEADLINE,
			    "%u requests were under way until the deadline; max_requests is as many",
			    ignite->under_way);
	if (ignite->closing)
		return pa_error_set(err, PA_ERROR_CANCELLED, "the client is being closed");
	return 0;
}

int ignite_submit_task(struct pa_ignite *ignite, struct ignite_task *task, struct pa_error *err)
{
	if (task->deadline_ns == 0)
		task->deadline_ns = pa_clock_deadline(ignite->options.request_timeout_ns);
	pthread_mutex_lock(&ignite->lock);
	int result = wait_for_room(ignite, task, err);
	if (result < 0) {
		pthread_mutex_unlock(&ignite->lock);
		ignite_task_free(task);
		return result;
	}
	if (task->request != NULL)
		task->request->task = task;
	ignite->under_way++;
	ignite->submitted_count++;
	ignite_queue_push(&ignite->submitted, task);
	bool wake = ignite->sleeping;
	ignite->sleeping = false;
	pthread_mutex_unlock(&ignite->lock);
	if (wake)
		ignite_wake(ignite);
	return 0;
}

int pa_ignite_submit(struct pa_ignite *ignite, struct pa_ignite_request *request, struct pa_error *err)
{
	struct ignite_task *task = make_task(ignite, request, err);

	if (task == NULL)
		return -(int)err->class;
	clear_results(request);
	request->task = NULL;
	return ignite_submit_task(ignite, task, err);
}

void pa_ignite_cancel(struct pa_ignite *ignite, struct pa_ignite_request *request)
{
	bool wake = false;

	pthread_mutex_lock(&ignite->lock);
	if (request->task != NULL) {
		request->task->cancel_wanted = true;
		ignite->cancels = true;
		wake = ignite->sleeping;
		ignite->sleeping = false;
	}
	pthread_mutex_unlock(&ignite->lock);
	if (wake)
		ignite_wake(ignite);
}

/* What a task that has ended leaves in its connection. */
static void leave_slot(struct ignite_task *task)
{
	struct ignite_connection *connection = task->connection;

	if (connection->task == task) {
		connection->receiving = IGNITE_RECEIVE_SKIP;
		return;
	}
	if (ignite_task_on_its_way(task)) {
		ignite_orphan(task);
		return;
	}
	ignite_queue_remove(&connection->sending, task);
	ignite_slot_release(connection, task);
	ignite_task_free(task);
}

static void tell_request(struct pa_ignite *ignite, struct pa_ignite_request *request,
                         const struct ignite_reply *reply)
{
	request->status = reply->status;
	request->maybe_done = reply->maybe_done;
	if (reply->err != NULL) {
		request->err = *reply->err;
		request->result = -(int)reply->err->class;
		if (reply->err->class != PA_ERROR_NOT_FOUND)
			ignite->failed++;
	}
	request->done(request);
}

void ignite_end_task(struct pa_ignite *ignite, struct ignite_task *task, const struct ignite_reply *reply)
{
	struct pa_ignite_request *request = task->request;
	ignite_reply_fn *replied = task->replied;
	bool counted = !task->internal;
	void *context = task->context;

	ignite_heap_remove(&ignite->deadlines, task);
	pthread_mutex_lock(&ignite->lock);
	if (request != NULL)
		request->task = NULL;
	if (counted && ignite->under_way-- >= ignite->options.max_requests)
		pthread_cond_signal(&ignite->room);
	pthread_mutex_unlock(&ignite->lock);
	task->request = NULL;
	task->replied = NULL;
	if (task->connection != NULL) {
		leave_slot(task);
	} else {
		ignite_unqueue(ignite, task);
		ignite_task_free(task);
	}
	if (request != NULL)
		tell_request(ignite, request, reply);
	if (replied != NULL)
		replied(ignite, context, reply);
}

static void end_cancelled(struct pa_ignite *ignite, struct ignite_task *task)
{
	struct pa_error err = PA_ERROR_INIT;
	struct ignite_reply reply = {.err = &err,
	                             .maybe_done = !task->read_only && ignite_task_on_its_way(task)};

	pa_error_set(&err, PA_ERROR_CANCELLED, "cancelled");
	ignite_end_task(ignite, task, &reply);
}

/* All that has a deadline is in the heap; there are few cancellations. */
static void cancel_wanted(struct pa_ignite *ignite)
{
	size_t i = 0;

	while (i < ignite->deadlines.count) {
		struct ignite_task *task = ignite->deadlines.items[i];
		pthread_mutex_lock(&ignite->lock);
		bool wanted = task->cancel_wanted;
		task->cancel_wanted = false;
		pthread_mutex_unlock(&ignite->lock);
		if (wanted) {
			end_cancelled(ignite, task);
			i = 0; /* the heap has moved */
		} else {
			i++;
		}
	}
}

void ignite_take_submitted(struct pa_ignite *ignite)
{
	struct ignite_task *task;

	pthread_mutex_lock(&ignite->lock);
	struct ignite_queue taken = ignite->submitted;
	bool cancels = ignite->cancels;
	ignite->submitted = (struct ignite_queue){0};
	ignite->cancels = false;
	ignite->sleeping = false;
	pthread_mutex_unlock(&ignite->lock);
	while ((task = ignite_queue_pop(&taken)) != NULL) {
		ignite_heap_add(&ignite->deadlines, task);
		ignite_route(ignite, task);
	}
	if (cancels)
		cancel_wanted(ignite);
}
