/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands: one file each, over the libraries.  What they share: options, files, exit codes.
 *
 * Exit codes: 0 ok, 1 failed, 2 usage, 3 bad input.  Results go to standard output, messages to standard error.
 */
#ifndef PA_CMD_CMD_H
#define PA_CMD_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "config/config.h"
#include "pipeline/analyze.h"

#define PA_CMD_MAX_OUTPUT_BYTES ((size_t)1 << 30)
#define PA_CMD_MAX_ARGUMENTS    1024
#define PA_CMD_MAX_FILES        100000
#define PA_CMD_MAX_FOLDER_DEPTH 64
#define PA_CMD_MAX_TOTAL_BYTES  ((size_t)1 << 30) /* of all files that one command reads */

enum pa_exit_code { PA_EXIT_OK = 0, PA_EXIT_FAILED = 1, PA_EXIT_USAGE = 2, PA_EXIT_INPUT = 3 };

struct pa_command {
	const char *name;
	const char *summary;
	/* argv[0] is the subcommand's name; returns an exit code. */
	int (*run)(int argument_count, char **arguments);
};

int pa_cmd_analyze(int argument_count, char **arguments);
int pa_cmd_catalog(int argument_count, char **arguments);
int pa_cmd_forecast(int argument_count, char **arguments);
int pa_cmd_ignite(int argument_count, char **arguments);
int pa_cmd_plan(int argument_count, char **arguments);
int pa_cmd_run(int argument_count, char **arguments);
int pa_cmd_simulate(int argument_count, char **arguments);

/* Prints the error and gives the exit code that its class asks for. */
int pa_cmd_fail(const struct pa_error *err);
/* "pipeahead NAME: message; see pipeahead NAME --help": exit code 2. */
int pa_cmd_usage(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes the buffer to standard output; exit code 1 when that fails or the buffer overflowed. */
int pa_cmd_print(struct pa_buffer *out);
/* Index of `text` in a NULL-terminated list; -1: not in it. */
int pa_cmd_choice(const char *text, const char *const *choices);

/* --arg NAME=VALUE, as often as given, and --args-file. */
struct pa_cmd_arguments {
	struct pa_name_value items[PA_CMD_MAX_ARGUMENTS];
	size_t count;
	const char *file; /* NULL: none */
};

/* The options that several commands share. */
struct pa_cmd_common {
	uint64_t max_input_bytes;
	const char *catalog_path; /* NULL: the default */
	struct pa_cmd_arguments arguments;
};
#define PA_CMD_COMMON_OPTIONS                                                                                \
	{"arg", required_argument, NULL, 'a'}, {"args-file", required_argument, NULL, 'A'},                  \
	    {"max-input", required_argument, NULL, 'm'}, {"catalog", required_argument, NULL, 'c'},          \
	{                                                                                                    \
		"help", no_argument, NULL, 'h'                                                               \
	}
#define PA_CMD_COMMON_INIT                                                                                   \
	{                                                                                                    \
		.max_input_bytes = PA_ANALYZE_DEFAULT_MAX_INPUT_BYTES                                        \
	}
/* Takes one of them (optarg is its value), or says what is wrong: -1 to go on, else an exit code. */
int pa_cmd_take_common(struct pa_cmd_common *common, const char *command, const char *help, int option);

/* What --arg and --args-file say, for the analyzer.  The file is a map in YAML or JSON: a parameter's name to its
 * value; lists and maps become JSON text, and --arg wins.  The arena keeps what the options point to. */
int pa_cmd_analyze_options(struct pa_arena *arena, const struct pa_cmd_common *common,
                           struct pa_analyze_options *ret, struct pa_error *err);

/* Files that were named, and what folders among them hold. */
struct pa_cmd_files {
	struct pa_cmd_file {
		const char *path;
		bool in_folder; /* found, not named */
		dev_t device;   /* with the inode: the same file, whatever the path; 0 and 0: not known */
		ino_t inode;
	} * items;
	size_t count, capacity;
};
/* Adds `path`, or if it is a folder every .yaml, .yml and .json below it, sorted.  Links to folders are not
 * followed; PA_CMD_MAX_FILES and PA_CMD_MAX_FOLDER_DEPTH are the limits. */
int pa_cmd_find_files(struct pa_arena *arena, const char *path, struct pa_cmd_files *files,
                      struct pa_error *err);
/* Leaves each file once, where it came first: a file may be named and lie in a folder that is named, too. */
void pa_cmd_drop_repeated_files(struct pa_cmd_files *files);

/* Reads one file ("-": standard input) into the arena. */
int pa_cmd_read_text(struct pa_arena *arena, const char *path, const struct pa_cmd_common *common,
                     struct pa_text *ret, struct pa_error *err);
/* The file's only pipeline; PA_ERROR_INPUT when it has several. */
int pa_cmd_read_pipeline(struct pa_arena *arena, const char *path, const struct pa_cmd_common *common,
                         const struct pa_pipeline **ret, struct pa_error *err);
/* `config_path`, else pipeahead.yaml beside the pipeline, else the defaults. */
int pa_cmd_read_config(struct pa_arena *arena, const char *config_path, const char *pipeline_path,
                       struct pa_config *ret, struct pa_error *err);

#endif
