/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "run/sandbox.h"
#include "run/scratch.h"

static const struct pa_command commands[] = {
    {"analyze", "what a pipeline's tasks read and write, and in which order", pa_cmd_analyze},
    {"forecast", "how long each task will take, and when it will start and end", pa_cmd_forecast},
    {"plan", "when each task will start, and what to load for it when", pa_cmd_plan},
    {"simulate", "how a pipeline would fare with this planner, or with another policy", pa_cmd_simulate},
    {"run", "run a pipeline on this machine with its data ahead of every task", pa_cmd_run},
    {"catalog", "the database of pipelines, tasks, data and runs", pa_cmd_catalog},
    {"ignite", "look into an Apache Ignite cluster and the values of its caches", pa_cmd_ignite},
};

static void print_help(FILE *out)
{
	fputs("pipeahead: runs ML pipelines with their data in memory before the tasks need it\n\n"
	      "usage: pipeahead COMMAND [OPTION...]\n\n",
	      out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fputs("\nexamples:\n"
	      "  pipeahead analyze pipeline.yaml\n"
	      "  pipeahead run pipeline.yaml --compare\n\n"
	      "pipeahead COMMAND --help says more; pipeahead --version gives the version.\n"
	      "Exit codes: 0 ok, 1 failed, 2 usage, 3 bad input.\n",
	      out);
}

int main(int argument_count, char **arguments)
{
	if (argument_count >= 2 && strcmp(arguments[1], "task-init") == 0)
		return pa_sandbox_init_main(argument_count - 1, arguments + 1);
	/* A reader that closes our output is an error of a write, not our end: clean-up still runs. */
	signal(SIGPIPE, SIG_IGN);
	if (argument_count < 2) {
		print_help(stderr);
		return PA_EXIT_USAGE;
	}
	const char *name = arguments[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_help(stdout);
		return PA_EXIT_OK;
	}
	if (strcmp(name, "--version") == 0) {
		puts("pipeahead " PA_VERSION);
		return PA_EXIT_OK;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0) {
			pa_scratch_sweep();
			return commands[i].run(argument_count - 1, arguments + 1);
		}
	}
	fprintf(stderr, "pipeahead: there is no command \"%s\"; see pipeahead --help\n", name);
	return PA_EXIT_USAGE;
}
