/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of a run: what is ready, what starts, what has ended, what to plan anew. */
#include "run/run.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache/manifest.h"
#include "run/preflight.h"
#include "run/run_internal.h"

#define TICK_MS             50
#define WAKE_FDS            2 /* besides three of each running task */
#define RUN_NAMESPACE       "default"
#define SAMPLE_INTERVAL_NS  (100 * PA_NS_PER_MS)
#define MAX_SAMPLES         4096
#define WHOLE_DEADLINE_TEXT "the workflow's activeDeadlineSeconds have passed"
#define TERMINATE_GRACE_NS  (5 * PA_NS_PER_SECOND)
#define LISTING_DEADLINE_NS (600LL * PA_NS_PER_SECOND)

const char *pa_run_mode_name(enum pa_run_mode mode)
{
	static const char *const names[] = {"ahead", "without", "local"};

	return names[mode];
}

/* --- instances --- */

static uint32_t task_index(const struct pa_run *run, const char *id)
{
	const struct pa_pipeline *pipeline = run->options->pipeline;
	const struct pa_task *task = pa_pipeline_find_task(pipeline, id);

	return task != NULL ? (uint32_t)(task - pipeline->tasks) : 0;
}

static void take_ready(struct pa_run *run)
{
	const struct pa_instance *instance;

	while ((instance = pa_engine_ready(run->engine)) != NULL) {
		struct run_instance *ready = pa_arena_alloc(&run->arena, sizeof(*ready));
		*ready = (struct run_instance){.instance = instance,
		                               .task = task_index(run, instance->task_id),
		                               .output_fd = -1,
		                               .error_fd = -1,
		                               .ready_s = run_now_s(run),
		                               .start_s = NAN,
		                               .end_s = NAN};
		ready->not_before_s = ready->ready_s + (double)instance->delay_ms / 1000;
		pa_buffer_init(&ready->result, PA_ENGINE_MAX_PARAMETER_BYTES);
		pa_buffer_init(&ready->line, 1 << 16);
		pa_buffer_init(&ready->error_line, 1 << 16);
		pa_buffer_init(&ready->tail, PA_RUN_LOG_TAIL_BYTES);
		run->instances = pa_arena_grow(&run->arena, run->instances, run->instance_count,
		                               &run->instance_capacity, sizeof(struct run_instance *));
		run->instances[run->instance_count++] = ready;
		run->live = pa_arena_grow(&run->arena, run->live, run->live_count, &run->live_capacity,
		                          sizeof(struct run_instance *));
		run->live[run->live_count++] = ready;
	}
}

static void forget_ended(struct pa_run *run)
{
	size_t kept = 0;

	for (size_t i = 0; i < run->live_count; i++)
		if (!run->live[i]->ended)
			run->live[kept++] = run->live[i];
	run->live_count = kept;
}

/* It could not be started: an error of this instance, told to the engine like any other. */
static int fail_start(struct pa_run *run, struct run_instance *failed, const struct pa_error *why,
                      struct pa_error *err)
{
	const struct pa_instance *instance = failed->instance;
	struct pa_instance_result result = {
	    .outcome = PA_OUTCOME_ERROR,
	    .message = why->message,
	    .parameters = pa_arena_array(&run->arena, instance->output_parameter_count + 1, sizeof(char *)),
	    .artifacts = pa_arena_array(&run->arena, instance->output_artifact_count + 1, sizeof(char *)),
	};

	failed->end_s = run_now_s(run);
	failed->outcome = result.outcome;
	failed->ended = true;
	run_progress_event(run, failed, why->message);
	int finished = run_task_tell(run, instance, &result, err);
	run_task_release(run, failed);
	return finished;
}

/* Exit handlers run after the workflow's own deadline, too. */
static bool is_overdue(const struct pa_run *run, const struct run_instance *instance)
{
	const struct pa_pipeline *pipeline = run->options->pipeline;
	int64_t whole_s = pipeline->workflow->active_deadline_seconds;

	return whole_s > 0 && run_now_s(run) > (double)whole_s &&
	       pipeline->tasks[instance->task].role != PA_ROLE_EXIT;
}

static int launch(struct pa_run *run, struct run_instance *starting, struct pa_error *err)
{
	struct pa_error why = PA_ERROR_INIT;

	if (run_task_start(run, starting, &why) < 0)
		return fail_start(run, starting, &why, err);
	run->running++;
	run_progress_event(run, starting, "started");
	return 0;
}

/* Starts it, or has its data sets looked at first; it then has its slot already. */
static int start_instance(struct pa_run *run, struct run_instance *starting, struct pa_error *err)
{
	struct pa_error why = PA_ERROR_INIT;

	run->plan_due = true;
	if (is_overdue(run, starting)) {
		pa_error_set(&why, PA_ERROR_DEADLINE, WHOLE_DEADLINE_TEXT);
		return fail_start(run, starting, &why, err);
	}
	if (starting->instance->template_->kind == PA_TEMPLATE_RESOURCE)
		return run_task_resource(run, starting, &why) < 0 ? fail_start(run, starting, &why, err) : 0;
	if (!run_refresh_ask(run, starting))
		return launch(run, starting, err);
	starting->checking = true;
	run->running++;
	return 0;
}

/* Those whose data sets have been looked at. */
static int start_checked(struct pa_run *run, struct pa_error *err)
{
	int result = 0;

	for (size_t i = 0; i < run->live_count && result == 0; i++) {
		struct run_instance *instance = run->live[i];
		struct pa_error why = PA_ERROR_INIT;
		bool done;
		if (!instance->checking)
			continue;
		int checked = run_refresh_check(run, instance, &done, &why);
		if (run_signals(run) > 0)
			checked = pa_error_set(&why, PA_ERROR_CANCELLED, "interrupted before it started");
		if (checked == 0 && !done)
			continue;
		instance->checking = false;
		run->running--;
		result = checked < 0 ? fail_start(run, instance, &why, err) : launch(run, instance, err);
	}
	return result;
}

static double start_order(const struct pa_run *run, const struct run_instance *instance)
{
	return run->has_plan ? run->plan.task_order[instance->task] : 0;
}

/* The waiting instance that the plan wants first; NULL when none may start now. */
static struct run_instance *next_to_start(struct pa_run *run)
{
	struct run_instance *best = NULL;
	double now_s = run_now_s(run);

	for (size_t i = 0; i < run->live_count; i++) {
		struct run_instance *instance = run->live[i];
		bool overdue = is_overdue(run, instance);
		bool needs_slot = !overdue && instance->instance->template_->kind != PA_TEMPLATE_RESOURCE;
		if (!isnan(instance->start_s) || instance->ended || instance->checking ||
		    (instance->not_before_s > now_s && !overdue) ||
		    (needs_slot && run->running >= run->slots))
			continue;
		if (best == NULL || start_order(run, instance) < start_order(run, best))
			best = instance;
	}
	return best;
}

static int start_ready(struct pa_run *run, struct pa_error *err)
{
	struct run_instance *next;
	int result = 0;

	for (;;) {
		result = start_checked(run, err);
		forget_ended(run);
		take_ready(run);
		if (result < 0)
			return result;
		if (run_signals(run) > 0 || (next = next_to_start(run)) == NULL)
			return 0;
		result = start_instance(run, next, err);
		if (result < 0)
			return result;
	}
}

/* --- ends and interrupts --- */

static void signal_all(struct pa_run *run, bool kill)
{
	for (size_t i = 0; i < run->live_count; i++)
		if (run->live[i]->sandbox != NULL)
			pa_sandbox_signal(run->live[i]->sandbox, kill);
}

static void interrupt(struct pa_run *run)
{
	run->interrupts++;
	pa_engine_stop(run->engine, false);
	if (run->interrupts == 1) {
		run_progress_clear(run);
		pa_log(PA_LOG_INFO, "interrupted: stopping the tasks; once more to kill them");
		signal_all(run, false);
		run->kill_at_ns = pa_clock_deadline(TERMINATE_GRACE_NS);
	} else {
		signal_all(run, true);
	}
}

static void obey_signals(struct pa_run *run)
{
	eventfd_t ignored;

	if (run->wake_fd >= 0)
		eventfd_read(run->wake_fd, &ignored);
	while (run->interrupts < run_signals(run))
		interrupt(run);
}

/* What a workflow or template allows a task in time. */
static void enforce_deadlines(struct pa_run *run)
{
	double now_s = run_now_s(run);
	int64_t whole_s = run->options->pipeline->workflow->active_deadline_seconds;

	if (run->kill_at_ns != 0 && pa_clock_ns() > run->kill_at_ns)
		signal_all(run, true);
	for (size_t i = 0; i < run->live_count; i++) {
		struct run_instance *instance = run->live[i];
		int64_t own_s = instance->instance->template_->active_deadline_seconds;
		if (instance->sandbox == NULL || instance->killed_why != NULL)
			continue;
		if (own_s > 0 && now_s - instance->start_s > (double)own_s)
			instance->killed_why = "its activeDeadlineSeconds have passed";
		else if (is_overdue(run, instance))
			instance->killed_why = WHOLE_DEADLINE_TEXT;
		if (instance->killed_why != NULL)
			pa_sandbox_signal(instance->sandbox, true);
	}
	if (whole_s > 0 && now_s > (double)whole_s && !run->stopped) {
		run->stopped = true;
		pa_engine_stop(run->engine, true);
	}
}

/* --- waiting --- */

static int wait_for_events(struct pa_run *run, struct pa_error *err)
{
	size_t room = 3 * run->running + WAKE_FDS, count = 0;
	struct pollfd *polled = calloc(room, sizeof(*polled));
	struct run_instance **ended = calloc(run->running + 1, sizeof(*ended));
	size_t ended_count = 0;
	eventfd_t seen;
	int result = 0;

	if (polled == NULL || ended == NULL)
		abort();
	polled[count++] = (struct pollfd){.fd = run->wake_fd, .events = POLLIN};
	polled[count++] =
	    (struct pollfd){.fd = run->refresher.running ? run->refresher.done_fd : -1, .events = POLLIN};
	for (size_t i = 0; i < run->live_count; i++) {
		struct run_instance *instance = run->live[i];
		if (instance->sandbox == NULL)
			continue;
		polled[count++] = (struct pollfd){.fd = pa_sandbox_fd(instance->sandbox), .events = POLLIN};
		polled[count++] = (struct pollfd){.fd = instance->output_fd, .events = POLLIN};
		polled[count++] = (struct pollfd){.fd = instance->error_fd, .events = POLLIN};
	}
	int ready = poll(polled, count, TICK_MS);
	obey_signals(run);
	if ((polled[1].revents & POLLIN) != 0)
		eventfd_read(run->refresher.done_fd, &seen);
	count = WAKE_FDS;
	for (size_t i = 0; i < run->live_count && ready > 0; i++) {
		struct run_instance *instance = run->live[i];
		if (instance->sandbox == NULL)
			continue;
		if ((polled[count + 1].revents | polled[count + 2].revents) != 0)
			run_output_drain(run, instance);
		if ((polled[count].revents & POLLIN) != 0)
			ended[ended_count++] = instance;
		count += 3;
	}
	for (size_t i = 0; i < ended_count && result == 0; i++) {
		run->running--;
		run->plan_due = true;
		result = run_task_finish(run, ended[i], err);
	}
	free(polled);
	free(ended);
	return result;
}

/* A long run keeps every other sample, and takes half as many from then on. */
static void thin_samples(struct pa_run *run)
{
	struct pa_run_report *report = run->report;

	if (report->sample_count < MAX_SAMPLES)
		return;
	for (size_t i = 0; i < report->sample_count / 2; i++)
		report->samples[i] = report->samples[2 * i];
	report->sample_count /= 2;
	run->sample_interval_ns *= 2;
}

static void take_sample(struct pa_run *run)
{
	struct pa_run_report *report = run->report;
	struct pa_cache_status status;

	if (run->cache == NULL || pa_clock_ns() - run->sampled_ns < run->sample_interval_ns)
		return;
	run->sampled_ns = pa_clock_ns();
	thin_samples(run);
	pa_cache_status(run->cache, &status);
	report->samples = pa_arena_grow(&report->arena, report->samples, report->sample_count,
	                                &run->sample_capacity, sizeof(*report->samples));
	report->samples[report->sample_count++] = (struct pa_run_sample){
	    .at_s = run_now_s(run), .fetched_bytes = status.fetched_bytes, .used_bytes = status.used_bytes};
}

/* Starts never wait for a plan: after an event they come first, and plans are held to a share of the time. */
static bool is_plan_time(const struct pa_run *run)
{
	int64_t age_ns = pa_clock_ns() - run->planned_ns;

	return run_signals(run) == 0 && run->plan_credit_ns + age_ns / PA_RUN_PLAN_COST_SHARE > 0 &&
	       (run->plan_due || age_ns > PA_RUN_REPLAN_INTERVAL_NS);
}

static int loop(struct pa_run *run, struct pa_error *err)
{
	int result = start_ready(run, err);

	while (result == 0 && !(pa_engine_is_done(run->engine) && run->running == 0)) {
		if (run->interrupts > 0 && run->running == 0)
			break;
		if (is_plan_time(run)) {
			run->plan_due = false;
			result = run_data_plan(run, err);
		}
		if (result == 0)
			result = wait_for_events(run, err);
		enforce_deadlines(run);
		take_sample(run);
		run_progress_tick(run);
		if (result == 0)
			result = start_ready(run, err);
	}
	return result;
}

/* --- before and after --- */

static bool has_source(void *context, const char *data_set)
{
	return pa_config_find_source(context, data_set) != NULL;
}

static bool has_command(void *context, const char *name)
{
	static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
	                                      "/usr/bin",        "/sbin",          "/bin"};
	char path[4096];

	(void)context;
	if (strchr(name, '/') != NULL)
		return access(name, X_OK) == 0;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

/* Asks the Python that tasks get; one without an answer has nothing. */
static bool has_python_module(void *context, const char *name)
{
	static const char find[] =
	    "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)";
	const char *const arguments[] = {"python3", "-c", find, name, NULL};
	char *const environment[] = {NULL};
	int status = 0;
	pid_t pid;

	(void)context;
	if (posix_spawn(&pid, "/usr/bin/python3", NULL, NULL, (char *const *)(uintptr_t)arguments,
	                environment) != 0)
		return false;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool is_configured(void *context, const char *id, const char *template_name)
{
	const struct pa_config_task *task = pa_config_find_task(context, id, template_name);

	return task != NULL && task->command_count > 0;
}

int pa_run_preflight(const struct pa_pipeline *pipeline, const struct pa_config *config,
                     const struct pa_name_value *arguments, size_t argument_count, struct pa_error *err)
{
	struct pa_preflight_options options = {
	    .context = (void *)(uintptr_t)config,
	    .has_source = has_source,
	    .has_command = has_command,
	    .has_python_module = has_python_module,
	    .is_configured = is_configured,
	};

	struct pa_engine_options engine_options = {.run_name = "preflight",
	                                           .uid = "preflight",
	                                           .namespace_ = RUN_NAMESPACE,
	                                           .arguments = arguments,
	                                           .argument_count = argument_count};
	struct pa_engine *engine;

	int result = pa_preflight_check(pipeline, &options, err);
	if (result < 0)
		return result;
	/* The engine refuses a parameter without a value. */
	result = pa_engine_new(pipeline, &engine_options, &engine, err);
	if (result == 0)
		pa_engine_free(engine);
	return result;
}

/* What the sources held before the run, so that what it writes is known afterwards. */
static int list_before(struct pa_run *run, struct pa_error *err)
{
	for (size_t i = 0; i < run->data_set_count && run->options->keep_outputs; i++) {
		struct run_data_set *set = &run->data_sets[i];
		struct pa_store_call call = run_call(run, LISTING_DEADLINE_NS);
		if (set->first_manifest == NULL &&
		    pa_manifest_list(set->store, set->root, &call, &set->first_manifest, err) < 0)
			return pa_error_wrap(err, "%s", set->name);
	}
	return 0;
}

/* Quantiles of which a plan knows three. */
static struct pa_distribution spread_of(double early_s, double middle_s, double late_s)
{
	return (struct pa_distribution){
	    {early_s, (early_s + middle_s) / 2, middle_s, (middle_s + late_s) / 2, late_s}};
}

/* What the first plan says, to be held against what happens: the forecast, with the times that loads make of it. */
static void note_predictions(struct pa_run *run)
{
	struct pa_run_report *report = run->report;
	struct pa_forecast *forecast = &report->forecast;

	*forecast = run->planning.forecast;
	forecast->tasks = pa_arena_array(&report->arena, forecast->task_count, sizeof(*forecast->tasks));
	forecast->makespan_s.quantiles[2] = run->plan.makespan_s;
	for (size_t i = 0; i < report->task_count; i++) {
		struct pa_run_task *task = &report->tasks[i];
		const struct pa_plan_task_times *times = &run->plan.times[i];
		task->predicted_start_s = times->start_s;
		task->predicted_end_s = times->end_s;
		pa_verdict_format(&run->plan.verdicts[i], task->verdict, sizeof(task->verdict));
		forecast->tasks[i] = run->planning.forecast.tasks[i];
		forecast->tasks[i].start_s =
		    spread_of(times->start_early_s, times->start_s, times->start_late_s);
		forecast->tasks[i].end_s = spread_of(times->end_early_s, times->end_s, times->end_late_s);
	}
}

static int begin(struct pa_run *run, struct pa_error *err)
{
	const struct pa_run_options *options = run->options;
	struct pa_engine_options engine_options = {.run_name = options->run_name,
	                                           .uid = options->uid,
	                                           .namespace_ = RUN_NAMESPACE,
	                                           .arguments = options->arguments,
	                                           .argument_count = options->argument_count};
	int result = pa_engine_new(options->pipeline, &engine_options, &run->engine, err);
	if (result < 0)
		return result;
	run->artifact_folder = pa_arena_printf(&run->arena, "%s/artifacts", options->scratch);
	if (mkdir(run->artifact_folder, 0700) < 0)
		return pa_error_set_errno(err, errno, "%s: cannot be made", run->artifact_folder);
	run->slots = options->config->slots;
	int64_t parallelism = options->pipeline->workflow->parallelism;
	if (parallelism > 0 && parallelism < run->slots)
		run->slots = (uint32_t)parallelism;
	run->states = pa_arena_array(&run->arena, options->pipeline->task_count, sizeof(*run->states));
	/* Submission: what follows is part of the run, but for listings that only the comparison needs. */
	run->start_ns = pa_clock_ns();
	run->report->started_wall_ms = pa_clock_wall_ms();
	result = run_data_open(run, err);
	if (result == 0 && options->mode != PA_RUN_AHEAD) {
		result = list_before(run, err);
		run->start_ns = pa_clock_ns();
	}
	if (result < 0)
		return result;
	run_data_describe(run);
	run_data_note_sources(run);
	result = run_data_plan(run, err);
	if (result == 0 && options->mode == PA_RUN_AHEAD) {
		note_predictions(run);
		run_progress_plan(run);
	}
	return result;
}

static void name_outcome(struct pa_run *run)
{
	struct pa_run_report *report = run->report;
	const char *message = pa_engine_error(run->engine);

	report->outcome = pa_engine_outcome(run->engine) == PA_OUTCOME_SUCCEEDED ? "succeeded" : "failed";
	report->message = pa_arena_strdup(&report->arena, message);
}

static void take_status(struct pa_run *run)
{
	struct pa_run_report *report = run->report;
	struct pa_cache_status status;

	if (run->cache == NULL)
		return;
	pa_cache_status(run->cache, &status);
	report->fetched_bytes = status.fetched_bytes;
	report->ahead_bytes = status.ahead_bytes;
	report->demand_bytes = status.demand_bytes;
	report->evicted_bytes = status.evicted_bytes;
	report->bypassed_bytes = status.bypassed_bytes;
	report->peak_bytes = status.peak_bytes;
	report->quota_bytes = status.quota_bytes;
}

static int sum_up(struct pa_run *run, struct pa_error *err)
{
	run->report->makespan_s = run_now_s(run);
	run_progress_clear(run);
	name_outcome(run);
	run_account(run);
	take_status(run);
	if (run->options->mode == PA_RUN_WITHOUT && run_signals(run) == 0)
		run_data_measure_sequential(run);
	return run->options->keep_outputs && run_signals(run) == 0 ? run_written_hash(run, err) : 0;
}

/* Whatever the signal cut short, and however far the run had come: it is a run that was interrupted. */
static void note_interruption(struct pa_run *run)
{
	struct pa_run_report *report = run->report;

	run_progress_clear(run);
	if (report->makespan_s <= 0)
		report->makespan_s = run_now_s(run);
	report->outcome = report->message = "interrupted";
}

static void end(struct pa_run *run)
{
	for (size_t i = 0; i < run->instance_count; i++)
		run_task_release(run, run->instances[i]);
	run_data_close(run);
	pa_engine_free(run->engine);
	pa_arena_done(&run->plan_arena);
	pa_arena_done(&run->arena);
}

/* The report's tasks, before anything has happened. */
static void prepare_report(struct pa_run *run)
{
	const struct pa_pipeline *pipeline = run->options->pipeline;
	struct pa_run_report *report = run->report;

	report->mode = run->options->mode;
	report->outcome = "failed";
	report->message = "";
	report->slowed_text = "";
	report->task_count = pipeline->task_count;
	report->tasks = pa_arena_array(&report->arena, pipeline->task_count, sizeof(*report->tasks));
	for (size_t i = 0; i < pipeline->task_count; i++)
		report->tasks[i] = (struct pa_run_task){.id = pipeline->tasks[i].id,
		                                        .outcome = "pending",
		                                        .predicted_start_s = NAN,
		                                        .predicted_end_s = NAN,
		                                        .ready_s = NAN,
		                                        .start_s = NAN,
		                                        .end_s = NAN};
}

int pa_run_execute(const struct pa_run_options *options, struct pa_run_report *ret, struct pa_error *err)
{
	struct pa_run_report report = {0};
	struct pa_run run = {.options = options,
	                     .report = &report,
	                     .start_ns = pa_clock_ns(),
	                     .sample_interval_ns = SAMPLE_INTERVAL_NS,
	                     .plan_credit_ns = PA_RUN_PLAN_BURST_NS};

	pa_arena_init(&report.arena);
	pa_arena_init(&run.arena);
	pa_arena_init(&run.plan_arena);
	prepare_report(&run);
	int result = run_watch_begin(&run, err);
	if (result == 0)
		result = begin(&run, err);
	if (result == 0)
		result = loop(&run, err);
	if (result == 0)
		result = sum_up(&run, err);
	run_watch_end(&run);
	if (run_signals(&run) > 0) {
		note_interruption(&run);
		result = 0;
	}
	end(&run);
	if (result < 0) {
		pa_arena_done(&report.arena);
		return result;
	}
	*ret = report;
	return 0;
}

void pa_run_report_done(struct pa_run_report *report)
{
	pa_arena_done(&report->arena);
}
