/* SPDX-License-Identifier: Apache-2.0 */
/* pipeahead.yaml: where data sets are, how much memory there is, how tasks run on this machine.
 *
 * Unknown keys, bad units, duplicate sources and unreadable files are PA_ERROR_INPUT with file, line and column.
 * Everything lives in the arena.  Relative `file://` locations (file://./data, file://data) and `tasks.*.command` run
 * against the configuration file's own folder (`directory`).
 */
#ifndef PA_CONFIG_CONFIG_H
#define PA_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct pa_arena;

struct pa_config_source {
	const char *claim; /* NULL, or the name of a claim … */
	const char *match; /* … NULL, or a URI prefix: exactly one is given */
	const char *at;    /* location of a claim's bytes (absolute); for a URI prefix NULL unless mapped */
	const char *endpoint; /* NULL: none */
	const char *region;
	const char *credentials_file;
	bool credentials_env;
	uint64_t bandwidth_bps; /* 0: no cap */
	int64_t
	    latency_ns; /* `latency: 2ms`: added to each request, so that one machine stands in for far storage */
	uint32_t connections; /* 0: the store's default */
	bool access_set;
	bool read_only; /* access: read */
	bool immutable;
	int64_t fresh_for_ns; /* 0: check at every task start */
	uint32_t line, column;
};

struct pa_config_variable {
	const char *name;
	const char *value;
};

struct pa_config_task {
	const char *name; /* a task's id or template */
	const char **
	    command; /* replaces the container's entrypoint; the pipeline's args stay unless `args` is given */
	size_t command_count;
	bool has_args;
	const char **args;
	size_t arg_count;
	const struct pa_config_variable *env;
	size_t env_count;
	uint32_t line, column;
};

struct pa_config {
	const char *file;      /* NULL: defaults, no file */
	const char *directory; /* absolute folder of the file, or of the pipeline */
	struct pa_config_source *sources;
	size_t source_count;
	uint64_t memory_node_bytes; /* default: a quarter of the machine's memory */
	const char **ignite_endpoints;
	size_t ignite_endpoint_count;
	uint64_t ignite_limit_bytes;
	const char *ignite_ca, *ignite_cert, *ignite_key;
	uint32_t slots; /* default: processors */
	struct pa_config_task *tasks;
	size_t task_count;
};

int pa_config_read(struct pa_arena *arena, const char *path, struct pa_config *ret, struct pa_error *err);
/* What holds without a file. */
int pa_config_default(struct pa_arena *arena, const char *directory, struct pa_config *ret,
                      struct pa_error *err);

/* The source of "claim:NAME" or "uri:URI" (the longest prefix that matches), or NULL. */
const struct pa_config_source *pa_config_find_source(const struct pa_config *config, const char *data_set);
/* The task entry by id, then by template name, or NULL. */
const struct pa_config_task *pa_config_find_task(const struct pa_config *config, const char *id,
                                                 const char *template_name);
/* Where the bytes of a data set are under this source: for a claim its `at`; for a URI `at` + the rest of the
 * URI when mapped, else the URI itself. */
const char *pa_config_location(struct pa_arena *arena, const struct pa_config_source *source,
                               const char *data_set);

#endif
