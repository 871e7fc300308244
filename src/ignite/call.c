/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait. */
#include <errno.h>
#include <semaphore.h>
#include <string.h>

#include "ignite/client_internal.h"

static void wait_for(sem_t *done)
{
	while (sem_wait(done) < 0 && errno == EINTR)
		;
}

static void call_done(struct pa_ignite_request *request)
{
	sem_post(request->context);
}

int pa_ignite_call(struct pa_ignite *ignite, struct pa_ignite_request *request, struct pa_error *err)
{
	sem_t done;

	sem_init(&done, 0, 0);
	request->done = call_done;
	request->context = &done;
	int result = pa_ignite_submit(ignite, request, err);
	if (result == 0) {
		wait_for(&done);
		result = request->result;
		if (result < 0)
			*err = request->err;
	}
	sem_destroy(&done);
	return result;
}

static int call_key(struct pa_ignite *ignite, struct pa_ignite_request *request,
                    const struct pa_ignite_cache *cache, const struct pa_ignite_key *key, int64_t deadline_ns,
                    struct pa_error *err)
{
	request->cache = *cache;
	request->key = *key;
	request->deadline_ns = deadline_ns;
	return pa_ignite_call(ignite, request, err);
}

int pa_ignite_get(struct pa_ignite *ignite, const struct pa_ignite_cache *cache,
                  const struct pa_ignite_key *key, void *into, size_t room, size_t *ret_bytes,
                  int64_t deadline_ns, struct pa_error *err)
{
	struct pa_ignite_request request = {.operation = PA_IGNITE_GET, .into = into, .room = room};
	int result = call_key(ignite, &request, cache, key, deadline_ns, err);

	/* A value that does not fit says how long it is. */
	if (result == 0 || result == -(int)PA_ERROR_NO_SPACE)
		*ret_bytes = request.value_bytes;
	return result;
}

int pa_ignite_put(struct pa_ignite *ignite, const struct pa_ignite_cache *cache,
                  const struct pa_ignite_key *key, const void *value, size_t bytes, int64_t deadline_ns,
                  struct pa_error *err)
{
	struct iovec piece = {.iov_base = (void *)value, .iov_len = bytes};
	struct pa_ignite_request request = {.operation = PA_IGNITE_PUT, .pieces = &piece, .piece_count = 1};

	return call_key(ignite, &request, cache, key, deadline_ns, err);
}

int pa_ignite_put_if_absent(struct pa_ignite *ignite, const struct pa_ignite_cache *cache,
                            const struct pa_ignite_key *key, const void *value, size_t bytes,
                            bool *ret_stored, int64_t deadline_ns, struct pa_error *err)
{
	struct iovec piece = {.iov_base = (void *)value, .iov_len = bytes};
	struct pa_ignite_request request = {
	    .operation = PA_IGNITE_PUT_IF_ABSENT, .pieces = &piece, .piece_count = 1};
	int result = call_key(ignite, &request, cache, key, deadline_ns, err);

	if (result == 0)
		*ret_stored = request.truth;
	return result;
}

int pa_ignite_contains(struct pa_ignite *ignite, const struct pa_ignite_cache *cache,
                       const struct pa_ignite_key *key, bool *ret, int64_t deadline_ns, struct pa_error *err)
{
	struct pa_ignite_request request = {.operation = PA_IGNITE_CONTAINS};
	int result = call_key(ignite, &request, cache, key, deadline_ns, err);

	if (result == 0)
		*ret = request.truth;
	return result;
}

int pa_ignite_remove(struct pa_ignite *ignite, const struct pa_ignite_cache *cache,
                     const struct pa_ignite_key *key, bool *ret_was_there, int64_t deadline_ns,
                     struct pa_error *err)
{
	struct pa_ignite_request request = {.operation = PA_IGNITE_REMOVE};
	int result = call_key(ignite, &request, cache, key, deadline_ns, err);

	if (result == 0)
		*ret_was_there = request.truth;
	return result;
}

int pa_ignite_size(struct pa_ignite *ignite, const struct pa_ignite_cache *cache, int64_t *ret,
                   int64_t deadline_ns, struct pa_error *err)
{
	struct pa_ignite_request request = {
	    .operation = PA_IGNITE_SIZE, .cache = *cache, .deadline_ns = deadline_ns};
	int result = pa_ignite_call(ignite, &request, err);

	if (result == 0)
		*ret = request.number;
	return result;
}

/* ---- Calls with a body of their own ---- */

struct exchange {
	struct ignite_exchange *of;
	sem_t done;
	struct pa_error *err;
	int result;
};

static void exchange_replied(struct pa_ignite *ignite, void *context, const struct ignite_reply *reply)
{
	struct exchange *exchange = context;

	(void)ignite;
	exchange->of->status = reply->status;
	if (reply->err != NULL) {
		*exchange->err = *reply->err;
		exchange->result = -(int)reply->err->class;
	} else {
		exchange->of->serial = reply->connection->serial;
		pa_buffer_append(exchange->of->answer, reply->data, reply->bytes);
	}
	sem_post(&exchange->done);
}

int ignite_call_op(struct pa_ignite *ignite, struct ignite_exchange *of, struct pa_error *err)
{
	struct exchange exchange = {.of = of, .err = err};
	struct ignite_task *task = ignite_task_new(of->fill, of->argument);

	if (task == NULL)
		return pa_error_set(err, PA_ERROR_NO_SPACE, "no memory for a request");
	task->operation = PA_IGNITE_OTHER;
	task->replied = exchange_replied;
	task->context = &exchange;
	task->max_reply_bytes = ignite->options.max_reply_bytes;
	task->deadline_ns = of->deadline_ns;
	task->pinned = of->pinned;
	task->read_only = of->read_only;
	sem_init(&exchange.done, 0, 0);
	pa_buffer_init(of->answer, ignite->options.max_reply_bytes);
	int result = ignite_submit_task(ignite, task, err);
	if (result == 0) {
		wait_for(&exchange.done);
		result = exchange.result;
	}
	sem_destroy(&exchange.done);
	if (result < 0)
		pa_buffer_done(of->answer);
	return result;
}
