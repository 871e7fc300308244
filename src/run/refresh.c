/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets are held against their sources before a task starts.  A listing may take long and the loop has other
 * tasks to look after, so a thread of its own does it. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/run_internal.h"

/* The data set that was asked for first; NULL: none. */
static struct run_data_set *next_wanted(struct pa_run *run)
{
	struct run_data_set *first = NULL;

	for (size_t i = 0; i < run->data_set_count; i++) {
		struct run_data_set *set = &run->data_sets[i];
		if (set->refresh_wanted_ns > set->refreshed_ns &&
		    (first == NULL || set->refresh_wanted_ns < first->refresh_wanted_ns))
			first = set;
	}
	return first;
}

static void *refresh_thread(void *context)
{
	struct pa_run *run = context;
	struct pa_refresher *refresher = &run->refresher;

	pthread_mutex_lock(&refresher->mutex);
	while (!refresher->stopping) {
		struct run_data_set *set = next_wanted(run);
		if (set == NULL) {
			pthread_cond_wait(&refresher->wanted, &refresher->mutex);
			continue;
		}
		pthread_mutex_unlock(&refresher->mutex);
		struct pa_store_call call = run_call(run, PA_RUN_OPEN_DEADLINE_NS);
		struct pa_error err = PA_ERROR_INIT;
		int64_t began_ns = pa_clock_ns();
		int result = pa_data_set_refresh(set->opened, &call, &err);
		pthread_mutex_lock(&refresher->mutex);
		set->refreshed_ns = began_ns;
		set->refresh_result = result;
		set->refresh_error = err;
		eventfd_write(refresher->done_fd, 1);
	}
	pthread_mutex_unlock(&refresher->mutex);
	return NULL;
}

int run_refresh_begin(struct pa_run *run, struct pa_error *err)
{
	struct pa_refresher *refresher = &run->refresher;

	pthread_mutex_init(&refresher->mutex, NULL);
	pa_clock_cond_init(&refresher->wanted);
	refresher->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int os_errno = refresher->done_fd < 0 ? errno : 0;
	if (os_errno == 0)
		os_errno = pthread_create(&refresher->thread, NULL, refresh_thread, run);
	refresher->running = os_errno == 0;
	if (os_errno == 0)
		return 0;
	return pa_error_set_errno(err, os_errno, "the thread that lists data sets cannot be started");
}

void run_refresh_end(struct pa_run *run)
{
	struct pa_refresher *refresher = &run->refresher;

	if (!refresher->running)
		return;
	pthread_mutex_lock(&refresher->mutex);
	refresher->stopping = true;
	pthread_cond_signal(&refresher->wanted);
	pthread_mutex_unlock(&refresher->mutex);
	/* A listing under way would keep us waiting for its deadline. */
	__atomic_store_n(&run->cancel, 1, __ATOMIC_RELAXED);
	pthread_join(refresher->thread, NULL);
	pthread_cond_destroy(&refresher->wanted);
	pthread_mutex_destroy(&refresher->mutex);
	close(refresher->done_fd);
	refresher->running = false;
}

static void add_read(struct pa_run *run, struct run_instance *starting, const char *kind, const char *name)
{
	struct run_data_set *set = run_data_find(run, pa_arena_printf(&run->arena, "%s:%s", kind, name));

	if (set != NULL && set->opened != NULL)
		starting->reads[starting->read_count++] = set;
}

static void find_reads(struct pa_run *run, struct run_instance *starting)
{
	const struct pa_instance *instance = starting->instance;
	size_t most = instance->mount_count + instance->input_artifact_count;

	starting->reads = pa_arena_array(&run->arena, most, sizeof(struct run_data_set *));
	for (size_t i = 0; i < instance->mount_count; i++)
		if (instance->mounts[i].claim != NULL && !instance->mounts[i].claim_template)
			add_read(run, starting, "claim", instance->mounts[i].claim);
	for (size_t i = 0; i < instance->input_artifact_count; i++)
		if (instance->input_artifacts[i].uri != NULL)
			add_read(run, starting, "uri", instance->input_artifacts[i].uri);
}

/* Locked. One that is under way began before the question, so another follows it. */
static void want(struct run_data_set *set, int64_t asked_ns)
{
	if (set->refresh_wanted_ns <= set->refreshed_ns)
		set->refresh_wanted_ns = asked_ns;
}

bool run_refresh_ask(struct pa_run *run, struct run_instance *starting)
{
	struct pa_refresher *refresher = &run->refresher;

	if (!refresher->running)
		return false;
	find_reads(run, starting);
	starting->refresh_asked_ns = pa_clock_ns();
	pthread_mutex_lock(&refresher->mutex);
	for (size_t i = 0; i < starting->read_count; i++)
		want(starting->reads[i], starting->refresh_asked_ns);
	pthread_cond_signal(&refresher->wanted);
	pthread_mutex_unlock(&refresher->mutex);
	return starting->read_count > 0;
}

int run_refresh_check(struct pa_run *run, const struct run_instance *starting, bool *ret_done,
                      struct pa_error *err)
{
	struct pa_refresher *refresher = &run->refresher;
	int result = 0;

	*ret_done = true;
	pthread_mutex_lock(&refresher->mutex);
	for (size_t i = 0; result == 0 && i < starting->read_count; i++) {
		struct run_data_set *set = starting->reads[i];
		if (set->refreshed_ns < starting->refresh_asked_ns) {
			want(set, starting->refresh_asked_ns);
			pthread_cond_signal(&refresher->wanted);
			*ret_done = false;
		} else if (set->refresh_result < 0) {
			*err = set->refresh_error;
			result = pa_error_wrap(err, "%s", set->name);
		}
	}
	pthread_mutex_unlock(&refresher->mutex);
	return result;
}
