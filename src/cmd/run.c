/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/units.h"
#include "catalog/catalog.h"
#include "cmd/cmd.h"
#include "run/report.h"
#include "run/run.h"
#include "run/scratch.h"

static const char help[] =
    "usage: pipeahead run FILE [OPTION...]\n\n"
    "Runs a pipeline on this machine, for real: every task is a process in namespaces of its own, its data "
    "is loaded into\n"
    "memory before it starts. Needs root. Ctrl-C stops it cleanly.\n\n"
    "  --config FILE      where data sets are, how tasks run here (default: pipeahead.yaml beside the "
    "pipeline)\n"
    "  --arg NAME=VALUE   a pipeline parameter's value, as often as needed\n"
    "  --args-file FILE   values of parameters: a map in YAML or JSON\n"
    "  --compare          also run it without pipeahead, and with all data local, and compare\n"
    "  --check            only say whether every task can run here\n"
    "  --format FORMAT    table (default) or json\n"
    "  --timeline FILE    draw when each task ran, loaded and stalled, as SVG\n"
    "  --memory SIZE      memory for data, instead of the configuration's\n"
    "  --slots N          tasks at once, instead of the configuration's\n"
    "  --quiet            no lines while it runs\n"
    "  --max-input SIZE   refuse larger files (default 32MiB)\n"
    "  --catalog FILE     default $PIPEAHEAD_CATALOG or ~/.local/state/pipeahead/catalog.db\n\n"
    "examples:\n"
    "  pipeahead run examples/jsm-conv/pipeline.yaml --compare\n"
    "  pipeahead run pipeline.yaml --arg epochs=3 --format json > figures.json\n";

struct run_command {
	const char *config_path;
	const char *timeline_path;
	bool compare, check, json, quiet;
	uint64_t memory_bytes; /* 0: the configuration's */
	uint32_t slots;        /* 0: the configuration's */
	struct pa_cmd_common common;
	/* What the options led to. */
	struct pa_arena arena;
	const struct pa_pipeline *pipeline;
	struct pa_config config;
	struct pa_catalog *catalog;
	struct pa_history history;
	int64_t pipeline_id;
	const char *run_name;
	char uid[37];
	double previous_start_error;
	int signal_fd;
};

static int parse_number(struct run_command *command, int option, const char *text)
{
	struct pa_error err = PA_ERROR_INIT;
	uint64_t value;

	if (pa_units_parse_bytes(text, &value, &err) < 0)
		return pa_cmd_usage("run", "%s", err.message);
	if (value == 0 || (option == 's' && value > 4096))
		return pa_cmd_usage("run", "--%s %s is out of range", option == 's' ? "slots" : "memory",
		                    text);
	else if (option == 's')
		command->slots = (uint32_t)value;
	else
		command->memory_bytes = value;
	return -1;
}

static int take_option(struct run_command *command, int option)
{
	static const char *const formats[] = {"table", "json", NULL};

	switch (option) {
	case 'C':
		command->config_path = optarg;
		return -1;
	case 'f':
		if (pa_cmd_choice(optarg, formats) < 0)
			return pa_cmd_usage("run", "there is no format \"%s\"", optarg);
		command->json = strcmp(optarg, "json") == 0;
		return -1;
	case 'M':
	case 's':
		return parse_number(command, option, optarg);
	case 't':
		command->timeline_path = optarg;
		return -1;
	case 'x':
		command->compare = true;
		return -1;
	case 'k':
		command->check = true;
		return -1;
	case 'q':
		command->quiet = true;
		return -1;
	default:
		return pa_cmd_take_common(&command->common, "run", help, option);
	}
}

static int parse_options(int argument_count, char **arguments, struct run_command *command)
{
	static const struct option known[] = {
	    PA_CMD_COMMON_OPTIONS,
	    {"config", required_argument, NULL, 'C'},
	    {"format", required_argument, NULL, 'f'},
	    {"timeline", required_argument, NULL, 't'},
	    {"memory", required_argument, NULL, 'M'},
	    {"slots", required_argument, NULL, 's'},
	    {"compare", no_argument, NULL, 'x'},
	    {"check", no_argument, NULL, 'k'},
	    {"quiet", no_argument, NULL, 'q'},
	    {NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argument_count, arguments, "hf:", known, NULL)) != -1) {
		int exit_code = take_option(command, option);
		if (exit_code >= 0)
			return exit_code;
	}
	if (optind + 1 != argument_count)
		return pa_cmd_usage("run", "give one file");
	return -1;
}

/* Ctrl-C becomes something to poll; set before any thread, so that all threads block it. */
static int open_signals(struct pa_error *err)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd >= 0 ? fd : pa_error_set_errno(err, errno, "signals cannot be taken");
}

/* As Kubernetes would name the Workflow: what `generateName` says, with five more letters. */
static int name_run(struct run_command *command, struct pa_error *err)
{
	unsigned char random[16];
	char *uid = command->uid;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return pa_error_set_errno(err, errno, "no random numbers");
	random[6] = (random[6] & 0x0f) | 0x40; /* RFC 9562, version 4 */
	random[8] = (random[8] & 0x3f) | 0x80;
	for (size_t i = 0; i < sizeof(random); i++)
		uid += sprintf(uid, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", random[i]);
	const char *name = command->pipeline->name;
	size_t length = strlen(name);
	command->run_name = pa_arena_printf(&command->arena, "%s%s%.5s", name,
	                                    length > 0 && name[length - 1] == '-' ? "" : "-", command->uid);
	return 0;
}

static int prepare(struct run_command *command, const char *file, struct pa_error *err)
{
	int result = pa_cmd_read_pipeline(&command->arena, file, &command->common, &command->pipeline, err);

	if (result == 0)
		result =
		    pa_cmd_read_config(&command->arena, command->config_path, file, &command->config, err);
	if (result < 0)
		return result;
	if (command->memory_bytes != 0)
		command->config.memory_node_bytes = command->memory_bytes;
	if (command->slots != 0)
		command->config.slots = command->slots;
	result = pa_run_preflight(command->pipeline, &command->config, command->common.arguments.items,
	                          command->common.arguments.count, err);
	if (result < 0 || command->check)
		return result;
	result = pa_catalog_open(command->common.catalog_path, &command->catalog, err);
	if (result == 0)
		result = pa_catalog_load_history(command->catalog, &command->arena, command->pipeline->name,
		                                 &command->history, err);
	if (result == 0)
		result = pa_catalog_store_pipeline(command->catalog, command->pipeline, NULL,
		                                   &command->pipeline_id, err);
	if (result == 0)
		result = name_run(command, err);
	if (result == 0)
		result = pa_catalog_start_error(command->catalog, command->pipeline->name,
		                                &command->previous_start_error, err);
	if (result == 0)
		result = command->signal_fd = open_signals(err);
	if (result < 0)
		return result;
	return pa_sandbox_enter_private_mounts(err);
}

/* What happened, and what was predicted. */
static int store(struct run_command *command, const struct pa_run_report *report, struct pa_error *err)
{
	if (report->forecast.task_count > 0 &&
	    pa_catalog_store_pipeline(command->catalog, command->pipeline, &report->forecast,
	                              &command->pipeline_id, err) < 0)
		return -(int)err->class;
	return pa_run_report_store(report, command->catalog, command->pipeline_id, err);
}

/* One run in scratch of its own, into the catalog when it has ended. */
static int run_once(struct run_command *command, enum pa_run_mode mode, struct pa_run_report *ret,
                    struct pa_error *err)
{
	struct pa_scratch *scratch;
	int result = pa_scratch_new(&scratch, err);

	if (result < 0)
		return result;
	struct pa_run_options options = {
	    .pipeline = command->pipeline,
	    .config = &command->config,
	    .history = &command->history,
	    .arguments = command->common.arguments.items,
	    .argument_count = command->common.arguments.count,
	    .mode = mode,
	    .run_name = command->run_name,
	    .uid = command->uid,
	    .scratch = pa_scratch_path(scratch),
	    .keep_outputs = command->compare,
	    .quiet = command->quiet,
	    .terminal = isatty(command->json ? STDERR_FILENO : STDOUT_FILENO),
	    .log_to_stderr = command->json,
	    .signal_fd = command->signal_fd,
	};
	result = pa_run_execute(&options, ret, err);
	pa_scratch_free(scratch);
	if (result == 0 && store(command, ret, err) < 0) {
		pa_run_report_done(ret);
		return pa_error_wrap(err, "the run has ended (%s), but is not in the catalog", ret->outcome);
	}
	return result;
}

static void say(const struct run_command *command, const char *what)
{
	if (!command->quiet)
		fprintf(command->json ? stderr : stdout, "%s\n", what);
}

static bool succeeded(const struct pa_run_report *report)
{
	return strcmp(report->outcome, "succeeded") == 0;
}

static int write_timeline(const struct run_command *command, const struct pa_comparison *comparison,
                          struct pa_error *err)
{
	struct pa_buffer picture;

	if (command->timeline_path == NULL)
		return 0;
	pa_buffer_init(&picture, PA_CMD_MAX_OUTPUT_BYTES);
	pa_report_print_svg(comparison, &picture);
	FILE *file = fopen(command->timeline_path, "we");
	size_t written = file != NULL ? fwrite(picture.data, 1, picture.length, file) : 0;
	bool failed = file == NULL || written != picture.length;
	if (file != NULL && fclose(file) != 0)
		failed = true;
	pa_buffer_done(&picture);
	return failed ? pa_error_set_errno(err, errno, "%s: cannot be written", command->timeline_path) : 0;
}

static int print_report(const struct run_command *command, const struct pa_comparison *comparison)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer out;

	pa_buffer_init(&out, PA_CMD_MAX_OUTPUT_BYTES);
	(command->json ? pa_report_print_json : pa_report_print_table)(comparison, &out);
	int exit_code = pa_cmd_print(&out);
	pa_buffer_done(&out);
	if (write_timeline(command, comparison, &err) < 0)
		exit_code = pa_cmd_fail(&err);
	if (!succeeded(comparison->ahead)) {
		fprintf(stderr, "pipeahead: the run %s: %s\n",
		        strcmp(comparison->ahead->outcome, "interrupted") == 0 ? "was stopped" : "failed",
		        comparison->ahead->message);
		return PA_EXIT_FAILED;
	}
	if (comparison->without != NULL &&
	    !pa_report_outputs_equal(comparison->ahead, comparison->without, NULL))
		return PA_EXIT_FAILED;
	return exit_code;
}

static int execute(struct run_command *command, struct pa_error *err)
{
	struct pa_run_report reports[3];
	struct pa_comparison comparison = {.ahead = &reports[0],
	                                   .previous_start_error = command->previous_start_error};
	static const char *const titles[] = {
	    "with pipeahead", "without pipeahead: every task starts cold, from the source", "all data local"};
	int wanted = command->compare ? 3 : 1, done = 0, result = 0;

	for (; done < wanted && result == 0; done++) {
		if (command->compare)
			say(command, titles[done]);
		result = run_once(command, (enum pa_run_mode)done, &reports[done], err);
		if (result < 0)
			break;
		if (!succeeded(&reports[done]))
			wanted = done + 1;
	}
	if (done == 3 && succeeded(&reports[2])) {
		comparison.without = &reports[1];
		comparison.local = &reports[2];
	} else if (result == 0 && done > 1) {
		/* A later run of the comparison failed: its message is the one to show. */
		comparison.ahead = &reports[done - 1];
	}
	if (result == 0)
		result = print_report(command, &comparison);
	while (done > 0)
		pa_run_report_done(&reports[--done]);
	return result;
}

int pa_cmd_run(int argument_count, char **arguments)
{
	static struct run_command command = {
	    .common = PA_CMD_COMMON_INIT, .previous_start_error = NAN, .signal_fd = -1};
	struct pa_error err = PA_ERROR_INIT;
	int result = parse_options(argument_count, arguments, &command);

	if (result >= 0)
		return result;
	result = prepare(&command, arguments[optind], &err);
	if (result == 0 && command.check)
		printf("every task of %s can run here\n", command.pipeline->name);
	else if (result == 0)
		result = execute(&command, &err);
	if (command.catalog != NULL)
		pa_catalog_close(command.catalog);
	if (command.signal_fd >= 0)
		close(command.signal_fd);
	pa_arena_done(&command.arena);
	return result < 0 ? pa_cmd_fail(&err) : result;
}
