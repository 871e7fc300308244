/* SPDX-License-Identifier: Apache-2.0 */
/* One instance of a task: what is bound where, its environment, its process, its end. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/node.h"
#include "run/run_internal.h"
#include "run/scratch.h"

#define DEFAULT_PATH   "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define SCRIPT_TARGET  "/argo/staging/script"
#define MAX_INIT_BYTES (1u << 20)

/* What a sandbox is started with, put together in the run's arena. */
struct launch {
	struct pa_run *run;
	struct run_instance *starting;
	const struct pa_config_task *configured; /* NULL: as the pipeline says */
	struct pa_sandbox_bind *binds;
	size_t bind_count;
	const char **command;
	const char **environment;
	const char **directories;
};

static const char *instance_file(struct pa_run *run, const struct run_instance *instance, const char *kind)
{
	return pa_arena_printf(&run->arena, "%s/%s-%u", instance->folder, kind, run->next_file++);
}

static int make_folder(const char *path, struct pa_error *err)
{
	if (mkdir(path, 0777) < 0 && errno != EEXIST)
		return pa_error_set_errno(err, errno, "%s: cannot be made", path);
	/* As Kubernetes makes volumes: for whoever the task runs as, past our umask. */
	(void)chmod(path, 0777);
	return 0;
}

static int write_text(const char *path, const char *text, struct pa_error *err)
{
	FILE *file = fopen(path, "we");
	size_t length = strlen(text);

	if (file == NULL)
		return pa_error_set_errno(err, errno, "%s: cannot be written", path);
	size_t written = fwrite(text, 1, length, file);
	if (fclose(file) != 0 || written != length)
		return pa_error_set_errno(err, errno, "%s: cannot be written", path);
	(void)chmod(path, 0755);
	return 0;
}

/* Without a '/' at its end, so that paths compare. */
static const char *normal_path(struct pa_arena *arena, const char *path)
{
	char *copy = pa_arena_strdup(arena, path);

	for (size_t end = strlen(copy); end > 1 && copy[end - 1] == '/'; end--)
		copy[end - 1] = '\0';
	return copy;
}

/* The array has room: add_binds() has counted. */
static void add_bind(struct launch *launch, const char *source, const char *target, const char *sub_path,
                     bool read_only)
{
	launch->binds[launch->bind_count++] = (struct pa_sandbox_bind){
	    .source = source,
	    .target = target,
	    .sub_path = sub_path != NULL && sub_path[0] != '\0' ? sub_path : NULL,
	    .read_only = read_only,
	};
}

/* --- data sets --- */

/* The data set as this instance sees it already, through another of its mounts; NULL: not yet. */
static struct pa_data_set *seen_before(const struct run_instance *starting, const struct run_data_set *set)
{
	for (size_t i = 0; i < starting->view_count; i++)
		if (starting->views[i].data_set == set && starting->views[i].served != NULL)
			return starting->views[i].served;
	return NULL;
}

/* Without pipeahead every task starts with nothing in memory: a data set of its own. */
static int open_cold(struct pa_run *run, const struct run_data_set *set, struct pa_data_set **ret,
                     struct pa_error *err)
{
	struct pa_store_call call = run_call(run, PA_RUN_OPEN_DEADLINE_NS);
	struct pa_data_set_options options = {
	    .name = pa_arena_printf(&run->arena, "%s (%u)", set->name, run->next_file++),
	    .store = set->store,
	    .root = set->root,
	    .read_only = set->read_only,
	    .readahead_chunks = 1,
	};

	struct pa_data_set *opened;
	int result = pa_cache_open_data_set(run->cache, &options, &call, &opened, err);
	if (result < 0)
		return result;
	run->cold =
	    pa_arena_grow(&run->arena, run->cold, run->cold_count, &run->cold_capacity, sizeof(*run->cold));
	run->cold[run->cold_count++] = opened;
	*ret = opened;
	return 0;
}

/* The next row of the history's profile, from `*index`, that is of this task and data set; NULL: no more. */
static const struct pa_profile_read *next_profiled(const struct pa_run *run, uint32_t task,
                                                   const char *data_set, size_t *index)
{
	const struct pa_history *history = run->options->history;
	const char *id = run->options->pipeline->tasks[task].id;

	for (; history != NULL && *index < history->profile_count; (*index)++) {
		const struct pa_profile_read *read = &history->profile[*index];
		if (strcmp(read->task_id, id) == 0 && strcmp(read->data_set, data_set) == 0) {
			(*index)++;
			return read;
		}
	}
	return NULL;
}

/* A read-only data set that is all in memory needs no daemon: its tmpfs folder itself is bound.  Reads of a bind are not
 * seen, so this is only for a task whose reads are known from an earlier run. */
static bool bind_from_memory(struct pa_run *run, const struct run_instance *starting, struct run_view *view)
{
	struct pa_error ignored = PA_ERROR_INIT;
	struct pa_extent all = {.path = "", .length_bytes = UINT64_MAX};
	size_t first = 0;
	char path[4096];

	if (run->options->mode != PA_RUN_AHEAD || !view->data_set->read_only ||
	    next_profiled(run, starting->task, view->data_set->name, &first) == NULL ||
	    pa_data_set_pin(view->data_set->opened, &all, &view->pin, &ignored) < 0)
		return false;
	if (pa_data_set_bind_path(view->data_set->opened, "", path, sizeof(path), &ignored) < 0) {
		pa_pin_free(view->pin);
		view->pin = NULL;
		return false;
	}
	view->source_path = pa_arena_strdup(&run->arena, path);
	return true;
}

static int open_view(struct pa_run *run, const struct run_instance *starting, struct run_view *view,
                     struct pa_error *err)
{
	struct pa_data_set *data_set = seen_before(starting, view->data_set);
	const char *name;
	int result = 0;

	if (run->options->mode == PA_RUN_LOCAL) {
		view->source_path = run_data_local_path(run, view->data_set);
		if (view->source_path == NULL)
			return pa_error_set(
			    err, PA_ERROR_INPUT,
			    "%s: is not on this machine, so no run with all data local can be made",
			    view->data_set->name);
		return 0;
	}
	if (data_set == NULL && run->options->mode == PA_RUN_WITHOUT) {
		result = open_cold(run, view->data_set, &data_set, err);
	} else if (data_set == NULL) {
		data_set = view->data_set->opened;
	}
	if (result < 0)
		return pa_error_wrap(err, "%s", view->data_set->name);
	if (bind_from_memory(run, starting, view))
		return 0;
	name = pa_arena_printf(&run->arena, "view-%u", run->next_file++);
	result = pa_mount_add_view(run->mount, name, data_set, "", view->read_only, &view->view, err);
	if (result < 0)
		return pa_error_wrap(err, "%s", view->data_set->name);
	view->served = data_set;
	view->source_path = pa_arena_printf(&run->arena, "%s/%s", run->mount_folder, name);
	return 0;
}

static int add_data_view(struct launch *launch, const char *data_set, const char *target,
                         const char *sub_path, bool read_only, struct pa_error *err)
{
	struct run_instance *starting = launch->starting;
	struct run_view view = {.data_set = run_data_find(launch->run, data_set),
	                        .target = target,
	                        .read_only = read_only,
	                        .root_path = ""};

	/* What its source calls read-only stays so whichever way it is bound. */
	if (view.data_set != NULL && view.data_set->read_only)
		view.read_only = read_only = true;
	if (view.data_set == NULL)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "task %s: %s has no source; add it to `sources:` in pipeahead.yaml",
		                    starting->instance->task_id, data_set);
	int result = open_view(launch->run, starting, &view, err);
	if (sub_path != NULL)
		view.root_path = sub_path;
	starting->views[starting->view_count++] = view;
	if (result == 0)
		add_bind(launch, view.source_path, target, sub_path, read_only);
	return result;
}

/* --- volumes --- */

static int scratch_claim(struct pa_run *run, const char *name, bool make, const char **ret,
                         struct pa_error *err)
{
	for (size_t i = 0; i < run->scratch_claim_count; i++) {
		if (strcmp(run->scratch_claims[i].name, name) == 0) {
			*ret = run->scratch_claims[i].path;
			return 0;
		}
	}
	*ret = NULL;
	if (!make)
		return 0;
	const char *path =
	    pa_arena_printf(&run->arena, "%s/claim-%u", run->options->scratch, run->next_file++);
	int result = make_folder(path, err);
	if (result < 0)
		return result;
	run->scratch_claims = pa_arena_grow(&run->arena, run->scratch_claims, run->scratch_claim_count,
	                                    &run->scratch_claim_capacity, sizeof(*run->scratch_claims));
	run->scratch_claims[run->scratch_claim_count++] =
	    (struct run_scratch_claim){.name = pa_arena_strdup(&run->arena, name), .path = path};
	*ret = path;
	return 0;
}

/* A file or folder of ours that is bound like a view, so that outputs are found at or below it. */
static void add_own_view(struct launch *launch, const char *source, const char *target, const char *sub_path,
                         bool read_only)
{
	struct run_instance *starting = launch->starting;

	starting->views[starting->view_count++] = (struct run_view){
	    .target = target, .source_path = source, .root_path = sub_path != NULL ? sub_path : ""};
	add_bind(launch, source, target, sub_path, read_only);
}

static int add_mount(struct launch *launch, const struct pa_instance_mount *mount, struct pa_error *err)
{
	struct pa_run *run = launch->run;
	const char *target = normal_path(&run->arena, mount->path);
	const char *folder;
	int result;

	if (strcmp(mount->kind, "pvc") == 0 && !mount->claim_template && mount->claim != NULL) {
		result = scratch_claim(run, mount->claim, false, &folder, err);
		if (result == 0 && folder == NULL)
			return add_data_view(launch, pa_arena_printf(&run->arena, "claim:%s", mount->claim),
			                     target, mount->sub_path, mount->read_only, err);
	} else if (strcmp(mount->kind, "pvc") == 0) {
		result = scratch_claim(run, pa_arena_printf(&run->arena, "{template}%s", mount->volume), true,
		                       &folder, err);
	} else {
		/* emptyDir and what the preflight lets pass as empty: one folder for each volume of this instance. */
		folder =
		    pa_arena_printf(&run->arena, "%s/volume-%s", launch->starting->folder, mount->volume);
		result = make_folder(folder, err);
	}
	if (result < 0)
		return result;
	add_own_view(launch, folder, target, mount->sub_path, mount->read_only);
	return 0;
}

static int add_input(struct launch *launch, const struct pa_instance_artifact *input, struct pa_error *err)
{
	struct pa_run *run = launch->run;
	struct stat status;

	if (input->path == NULL || input->path[0] == '\0')
		return 0;
	const char *target = normal_path(&run->arena, input->path);
	const char *source = input->stored;
	if (source == NULL && input->raw != NULL) {
		source = instance_file(run, launch->starting, "raw");
		if (write_text(source, input->raw, err) < 0)
			return -(int)err->class;
	}
	if (source == NULL && input->uri != NULL)
		return add_data_view(launch, pa_arena_printf(&run->arena, "uri:%s", input->uri), target, NULL,
		                     true, err);
	if (source == NULL) {
		if (input->optional)
			return 0;
		return pa_error_set(err, PA_ERROR_INPUT, "task %s: input artifact %s has no source",
		                    launch->starting->instance->task_id, input->name);
	}
	if (stat(source, &status) == 0 && S_ISREG(status.st_mode))
		launch->starting->artifact_bytes += (uint64_t)status.st_size;
	add_own_view(launch, source, target, NULL, true);
	return 0;
}

/* Whether a folder of this machine is there in every sandbox: not in one that is fresh, not on a disk of its own. */
static bool is_shown(const char *directory)
{
	static const char *const fresh[] = {"/tmp/", "/var/tmp/", "/run/", "/dev/shm/"};
	struct stat root, status;

	for (size_t i = 0; i < sizeof(fresh) / sizeof(fresh[0]); i++)
		if (strncmp(directory, fresh[i], strlen(fresh[i])) == 0)
			return false;
	return stat("/", &root) == 0 && stat(directory, &status) == 0 && root.st_dev == status.st_dev;
}

static int add_binds(struct launch *launch, struct pa_error *err)
{
	const struct pa_instance *instance = launch->starting->instance;
	struct pa_run *run = launch->run;
	int result = 0;

	size_t most = instance->mount_count + instance->input_artifact_count;
	launch->starting->views = pa_arena_array(&run->arena, most, sizeof(*launch->starting->views));
	/* And its script, and the folder of the configuration. */
	launch->binds = pa_arena_array(&run->arena, most + 2, sizeof(*launch->binds));
	for (size_t i = 0; i < instance->mount_count && result == 0; i++)
		result = add_mount(launch, &instance->mounts[i], err);
	for (size_t i = 0; i < instance->input_artifact_count && result == 0; i++)
		result = add_input(launch, &instance->input_artifacts[i], err);
	if (result == 0 && instance->source != NULL) {
		const char *script = instance_file(run, launch->starting, "script");
		result = write_text(script, instance->source, err);
		if (result == 0)
			add_bind(launch, script, SCRIPT_TARGET, NULL, true);
	}
	const char *directory = run->options->config->directory;
	if (result == 0 && launch->configured != NULL && !is_shown(directory))
		add_bind(launch, directory, directory, NULL, true);
	return result;
}

/* --- command, environment, folders --- */

/* A word as the shell takes it unchanged. */
static void quote(struct pa_buffer *script, const char *word)
{
	pa_buffer_puts(script, "'");
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			pa_buffer_puts(script, "'\\''");
		else
			pa_buffer_append(script, word, 1);
	}
	pa_buffer_puts(script, "' ");
}

/* `sh -c 'first && second && exec "$@"' sh COMMAND...`: the first that fails is the task's failure. */
static void put_init_commands_before(struct launch *launch)
{
	const struct pa_instance *instance = launch->starting->instance;
	struct pa_arena *arena = &launch->run->arena;
	struct pa_buffer script;
	size_t count = 0, n = 0;

	pa_buffer_init(&script, MAX_INIT_BYTES);
	for (size_t i = 0; i < instance->init_command_count; i++) {
		for (size_t k = 0; k < instance->init_commands[i].word_count; k++)
			quote(&script, instance->init_commands[i].words[k]);
		pa_buffer_puts(&script, "&& ");
	}
	pa_buffer_puts(&script, "exec \"$@\"");
	while (launch->command[count] != NULL)
		count++;
	const char **command = pa_arena_array(arena, count + 5, sizeof(*command));
	command[n++] = "/bin/sh";
	command[n++] = "-c";
	command[n++] = pa_arena_strdup(arena, script.data);
	command[n++] = "sh";
	for (size_t i = 0; i < count; i++)
		command[n++] = launch->command[i];
	launch->command = command;
	pa_buffer_done(&script);
}

static void add_command(struct launch *launch)
{
	const struct pa_instance *instance = launch->starting->instance;
	const struct pa_config_task *configured = launch->configured;
	const char **command = instance->command;
	const char **args = instance->args;
	size_t command_count = instance->command_count, arg_count = instance->arg_count, n = 0;

	if (configured != NULL && configured->command_count > 0) {
		command = configured->command;
		command_count = configured->command_count;
	}
	if (configured != NULL && configured->has_args) {
		args = configured->args;
		arg_count = configured->arg_count;
	}
	launch->command =
	    pa_arena_array(&launch->run->arena, command_count + arg_count + 2, sizeof(*launch->command));
	for (size_t i = 0; i < command_count; i++)
		launch->command[n++] = command[i];
	if (instance->source != NULL && (configured == NULL || configured->command_count == 0))
		launch->command[n++] = SCRIPT_TARGET;
	for (size_t i = 0; i < arg_count; i++)
		launch->command[n++] = args[i];
	if (instance->init_command_count > 0 && configured == NULL)
		put_init_commands_before(launch);
}

static void add_environment(struct launch *launch)
{
	const struct pa_instance *instance = launch->starting->instance;
	const struct pa_config_task *configured = launch->configured;
	struct pa_arena *arena = &launch->run->arena;
	size_t configured_count = configured != NULL ? configured->env_count : 0, n = 0;

	launch->environment =
	    pa_arena_array(arena, instance->env_count + configured_count + 4, sizeof(char *));
	launch->environment[n++] = DEFAULT_PATH;
	launch->environment[n++] = "HOME=/root";
	launch->environment[n++] = "LANG=C.UTF-8";
	for (size_t i = 0; i < instance->env_count; i++)
		launch->environment[n++] =
		    pa_arena_printf(arena, "%s=%s", instance->env[i].name, instance->env[i].value);
	for (size_t i = 0; i < configured_count; i++)
		launch->environment[n++] =
		    pa_arena_printf(arena, "%s=%s", configured->env[i].name, configured->env[i].value);
}

/* Where outputs will be written: programs of hand-made components expect the folder to be there. */
static void add_directories(struct launch *launch)
{
	const struct pa_instance *instance = launch->starting->instance;
	size_t n = 0, count = instance->output_parameter_count + instance->output_artifact_count;

	launch->directories = pa_arena_array(&launch->run->arena, count + 1, sizeof(char *));
	for (size_t i = 0; i < count; i++) {
		const struct pa_instance_output *output =
		    i < instance->output_parameter_count
			? &instance->output_parameters[i]
			: &instance->output_artifacts[i - instance->output_parameter_count];
		if (output->path == NULL || output->path[0] != '/')
			continue;
		char *folder = pa_arena_strdup(&launch->run->arena, output->path);
		char *slash = strrchr(folder, '/');
		if (slash == folder)
			continue;
		*slash = '\0';
		launch->directories[n++] = folder;
	}
}

static int open_pipe(int *ret_read, int *ret_write, struct pa_error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return pa_error_set_errno(err, errno, "a pipe cannot be made");
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*ret_read = ends[0];
	*ret_write = ends[1];
	return 0;
}

static int start_process(struct launch *launch, struct pa_error *err)
{
	struct run_instance *starting = launch->starting;
	int output_fd = -1, error_fd = -1;
	int result = open_pipe(&starting->output_fd, &output_fd, err);

	if (result == 0)
		result = open_pipe(&starting->error_fd, &error_fd, err);
	if (result == 0) {
		struct pa_sandbox_options options = {
		    .command = launch->command,
		    .environment = launch->environment,
		    .working_directory = launch->configured != NULL ? launch->run->options->config->directory
		                                                    : starting->instance->working_directory,
		    .scratch = starting->sandbox_folder,
		    .binds = launch->binds,
		    .bind_count = launch->bind_count,
		    .directories = launch->directories,
		    .output_fd = output_fd,
		    .error_fd = error_fd,
		};
		result = pa_sandbox_start(&options, &starting->sandbox, err);
	}
	if (output_fd >= 0)
		close(output_fd);
	if (error_fd >= 0)
		close(error_fd);
	return result;
}

int run_task_start(struct pa_run *run, struct run_instance *starting, struct pa_error *err)
{
	const struct pa_instance *instance = starting->instance;
	struct launch launch = {.run = run,
	                        .starting = starting,
	                        .configured = pa_config_find_task(run->options->config, instance->task_id,
	                                                          instance->template_->name)};

	starting->start_s = run_now_s(run);
	starting->folder = pa_arena_printf(&run->arena, "%s/task-%u", run->options->scratch, instance->index);
	starting->sandbox_folder = pa_arena_printf(&run->arena, "%s/sandbox", starting->folder);
	int result = make_folder(starting->folder, err);
	if (result == 0)
		result = make_folder(starting->sandbox_folder, err);
	if (result == 0)
		result = add_binds(&launch, err);
	if (result == 0) {
		add_command(&launch);
		add_environment(&launch);
		add_directories(&launch);
		result = start_process(&launch, err);
	}
	if (result < 0)
		return pa_error_wrap(err, "task %s%s", instance->task_id, instance->suffix);
	return 0;
}

/* --- the end --- */

static void add_profile(struct pa_run *run, const struct run_instance *ended, const char *data_set,
                        const char *path, uint64_t read_bytes, double first_open_s)
{
	struct pa_run_report *report = run->report;

	report->profile = pa_arena_grow(&report->arena, report->profile, report->profile_count,
	                                &run->profile_capacity, sizeof(*report->profile));
	report->profile[report->profile_count++] = (struct pa_profile_read){
	    .task_id = run->options->pipeline->tasks[ended->task].id,
	    .data_set = pa_arena_strdup(&report->arena, data_set),
	    .path = pa_arena_strdup(&report->arena, path),
	    .read_bytes = read_bytes,
	    .first_open_s = first_open_s,
	};
}

static void note_profile(struct pa_run *run, const struct run_instance *ended, const struct run_view *view)
{
	size_t count = pa_mount_view_accesses(view->view, NULL, 0);
	struct pa_view_access *accesses = calloc(count + 1, sizeof(*accesses));
	size_t read = 0;

	if (accesses == NULL)
		abort();
	count = pa_mount_view_accesses(view->view, accesses, count);
	for (size_t i = 0; i < count; i++) {
		if (accesses[i].read_bytes == 0)
			continue;
		double first_open_s =
		    (double)(accesses[i].first_open_ns - run->start_ns) / PA_NS_PER_SECOND - ended->start_s;
		add_profile(run, ended, view->data_set->name, accesses[i].path, accesses[i].read_bytes,
		            first_open_s);
		read++;
	}
	if (read == 0) /* a data set that is mounted and not read is known, too */
		add_profile(run, ended, view->data_set->name, "", 0, 0);
	free(accesses);
}

/* What a task read of a bound data set is taken to be what it read before. */
static uint64_t repeat_profile(struct pa_run *run, const struct run_instance *ended,
                               const struct run_view *view)
{
	const struct pa_profile_read *read;
	uint64_t bytes = 0;
	size_t index = 0;

	while ((read = next_profiled(run, ended->task, view->data_set->name, &index)) != NULL) {
		add_profile(run, ended, read->data_set, read->path, read->read_bytes, read->first_open_s);
		bytes += read->read_bytes;
	}
	return bytes;
}

static void note_account(struct pa_run *run, struct run_instance *ended)
{
	struct pa_view_account *total = &ended->account;

	for (size_t i = 0; i < ended->view_count; i++) {
		const struct run_view *view = &ended->views[i];
		struct pa_view_account account = {0};
		if (view->pin != NULL) {
			account.memory_bytes = repeat_profile(run, ended, view);
		} else if (view->view != NULL) {
			pa_mount_view_account(view->view, &account);
			note_profile(run, ended, view);
		}
		total->opens += account.opens;
		total->passthrough_opens += account.passthrough_opens;
		total->memory_bytes += account.memory_bytes;
		total->source_bytes += account.source_bytes;
		total->written_bytes += account.written_bytes;
		total->stalled_ns += account.stalled_ns;
		total->read_errors += account.read_errors;
	}
}

void run_task_release(struct pa_run *run, struct run_instance *instance)
{
	struct pa_error ignored = PA_ERROR_INIT;

	pa_sandbox_free(instance->sandbox);
	instance->sandbox = NULL;
	for (size_t i = 0; i < instance->view_count; i++) {
		struct run_view *view = &instance->views[i];
		if (view->view != NULL)
			pa_mount_remove_view(run->mount, view->view);
		pa_pin_free(view->pin);
	}
	instance->view_count = 0;
	if (instance->folder != NULL)
		pa_scratch_remove_tree(instance->folder, &ignored);
	instance->folder = NULL;
	if (instance->output_fd >= 0)
		close(instance->output_fd);
	if (instance->error_fd >= 0)
		close(instance->error_fd);
	instance->output_fd = instance->error_fd = -1;
	pa_buffer_done(&instance->result);
	pa_buffer_done(&instance->line);
	pa_buffer_done(&instance->error_line);
	pa_buffer_done(&instance->tail);
}

static const char *failure_message(struct pa_run *run, const struct run_instance *ended,
                                   const struct pa_sandbox_exit *end)
{
	struct pa_cache_status status = {0};
	const char *source = "";

	if (ended->account.read_errors > 0 && run->cache != NULL) {
		pa_cache_status(run->cache, &status);
		source = pa_arena_printf(&run->arena, "; its data could not be read: %s", status.last_error);
	}
	if (ended->killed_why != NULL)
		return pa_arena_printf(&run->arena, "killed: %s%s", ended->killed_why, source);
	if (end->signal != 0)
		return pa_arena_printf(&run->arena, "ended by signal %d (%s)%s", end->signal,
		                       strsignal(end->signal), source);
	return pa_arena_printf(&run->arena, "ended with exit code %d%s%s", end->status,
	                       run_output_last_line(run, ended), source);
}

int run_task_tell(struct pa_run *run, const struct pa_instance *instance,
                  const struct pa_instance_result *result, struct pa_error *err)
{
	int told = pa_engine_finish(run->engine, instance, result, err);

	/* What breaks the workflow is its failure, which the engine remembers: what is under way goes on, and exit
	 * handlers come. */
	return told == -(int)PA_ERROR_INPUT ? 0 : told;
}

int run_task_finish(struct pa_run *run, struct run_instance *running, struct pa_error *err)
{
	const struct pa_instance *instance = running->instance;
	struct pa_error output_error = PA_ERROR_INIT;
	struct pa_sandbox_exit end;
	const char **parameters =
	    pa_arena_array(&run->arena, instance->output_parameter_count + 1, sizeof(char *));
	const char **artifacts =
	    pa_arena_array(&run->arena, instance->output_artifact_count + 1, sizeof(char *));
	struct pa_instance_result result = {
	    .outcome = PA_OUTCOME_SUCCEEDED, .parameters = parameters, .artifacts = artifacts};

	run_output_drain_rest(run, running);
	if (pa_sandbox_result(running->sandbox, &end, err) < 0)
		return pa_error_wrap(err, "task %s%s", instance->task_id, instance->suffix);
	note_account(run, running);
	result.exit_code = end.status;
	if (end.status != 0 || end.signal != 0) {
		result.outcome = PA_OUTCOME_FAILED;
		result.message = failure_message(run, running, &end);
	} else if ((instance->wants_result &&
	            run_output_result(running, &result.result, &output_error) < 0) ||
	           run_outputs_take(run, running, parameters, artifacts, &output_error) < 0) {
		result.outcome = PA_OUTCOME_ERROR;
		result.message = output_error.message;
	}
	running->end_s = run_now_s(run);
	running->outcome = result.outcome;
	running->ended = true;
	run->report->tasks[running->task].exit_code = end.status;
	run_progress_event(run, running, result.outcome == PA_OUTCOME_SUCCEEDED ? "done" : result.message);
	int finished = run_task_tell(run, instance, &result, err);
	run_task_release(run, running);
	return finished;
}

/* --- resource templates: claims that the pipeline makes and takes away --- */

static const char *resource_output(struct pa_run *run, const struct pa_instance_output *output,
                                   const char *name, const char *manifest, const struct pa_node *root)
{
	const char *size = pa_node_text(pa_node_path(root, "spec.resources.requests.storage"));
	const char *path = output->json_path != NULL ? output->json_path : "";

	if (strcmp(path, "{.metadata.name}") == 0)
		return name;
	if (strcmp(path, "{}") == 0)
		return manifest;
	if (strstr(path, "capacity.storage") != NULL || strstr(path, "requests.storage") != NULL)
		return size != NULL ? size : "";
	return output->default_value != NULL ? output->default_value : pa_arena_strdup(&run->arena, "");
}

int run_task_resource(struct pa_run *run, struct run_instance *starting, struct pa_error *err)
{
	const struct pa_instance *instance = starting->instance;
	const char *manifest = instance->resource_manifest != NULL ? instance->resource_manifest : "";
	const char **parameters =
	    pa_arena_array(&run->arena, instance->output_parameter_count + 1, sizeof(char *));
	const char **artifacts =
	    pa_arena_array(&run->arena, instance->output_artifact_count + 1, sizeof(char *));
	struct pa_instance_result result = {
	    .outcome = PA_OUTCOME_SUCCEEDED, .parameters = parameters, .artifacts = artifacts};
	struct pa_document *documents = NULL;
	size_t document_count = 0;
	const char *folder;

	starting->start_s = run_now_s(run);
	if (pa_document_read(&run->arena, "manifest", manifest, strlen(manifest), &documents, &document_count,
	                     err) < 0)
		return pa_error_wrap(err, "task %s", instance->task_id);
	const struct pa_node *root = document_count > 0 ? documents[0].root : NULL;
	const char *name = pa_node_text(pa_node_path(root, "metadata.name"));
	const char *prefix = pa_node_text(pa_node_path(root, "metadata.generateName"));
	if (name == NULL && prefix != NULL)
		name = pa_arena_printf(&run->arena, "%s%u", prefix, instance->index);
	if (name != NULL && strcmp(instance->resource_action, "delete") != 0 &&
	    scratch_claim(run, name, true, &folder, err) < 0)
		return -(int)err->class;
	for (size_t i = 0; i < instance->output_parameter_count; i++)
		parameters[i] = resource_output(run, &instance->output_parameters[i],
		                                name != NULL ? name : "", manifest, root);
	starting->end_s = run_now_s(run);
	starting->outcome = result.outcome;
	starting->ended = true;
	run_progress_event(run, starting, "done");
	return run_task_tell(run, instance, &result, err);
}
