/* SPDX-License-Identifier: Apache-2.0 */
/* A run: a pipeline executed on this machine, with the data of each task ahead of it.
 *
 * pa_run_execute() takes an analysed pipeline and a configuration and runs every task for real (sandbox.h), in the
 * order that the workflow says (engine.h), with claims and located artifacts served from their sources through memory
 * (cache/, mount/), loaded ahead in the order of the plan (planning.h).  It blocks until the run has ended.
 *
 * Three modes, for a fair comparison in one process: *ahead* (the product), *without* (the same sources at the
 * same cap, latency and connections, each task starting cold, 1 MiB of readahead, nothing ahead of anybody) and
 * *local* (every source bound as the plain folder it is: what the tasks take by themselves).
 *
 * All mounts are made in a mount namespace of this process (pa_sandbox_enter_private_mounts(), called by
 * the command before any thread): whatever ends the process ends them.  Scratch folders are locked and swept by the
 * next command (scratch.h).
 *
 * Errors: PA_ERROR_INPUT before anything has started (a task that cannot run here, a claim without a source, …);
 * a run whose tasks failed returns 0 with report.outcome "failed", one that a signal cut short, wherever it was, 0 with
 * "interrupted".  Threads: one run at a time in a process; one of its own takes the signals.
 */
#ifndef PA_RUN_RUN_H
#define PA_RUN_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "catalog/catalog.h"
#include "config/config.h"
#include "pipeline/model.h"
#include "run/sandbox.h"

enum pa_run_mode { PA_RUN_AHEAD, PA_RUN_WITHOUT, PA_RUN_LOCAL };

struct pa_run_options {
	const struct pa_pipeline *pipeline;
	const struct pa_config *config;
	const struct pa_history *history; /* NULL: none */
	const struct pa_name_value *arguments;
	size_t argument_count;
	enum pa_run_mode mode;
	const char *run_name; /* {{workflow.name}} */
	const char
	    *uid; /* {{workflow.uid}}; the same for the runs of a comparison, so that paths made of it are */
	const char *scratch; /* pa_scratch_new() */
	bool keep_outputs;   /* hash every output for a comparison */
	bool quiet;          /* no progress lines */
	bool terminal;       /* progress may redraw itself */
	bool log_to_stderr;  /* tasks' own lines go to standard error (standard output carries JSON) */
	int signal_fd; /* a signalfd that does not block: a signal stops the run, the next kills it; -1: none */
};

/* One task of the pipeline, all its instances together. */
struct pa_run_task {
	const char *id;
	const char *outcome; /* succeeded, failed, skipped, … */
	uint32_t instances;
	double predicted_start_s, predicted_end_s; /* NAN: none */
	double ready_s, start_s, end_s;            /* from submission; NAN: never */
	double stall_s;                            /* held with a slot free, and waiting for bytes */
	uint64_t read_bytes;                       /* from data sets; passthrough files count whole */
	uint64_t memory_bytes;                     /* of these, in memory when asked for */
	uint64_t written_bytes;
	uint64_t input_bytes; /* read_bytes and input artifacts */
	bool cold;            /* had no task before it that data could be loaded behind */
	char verdict[64];     /* of the first plan */
	int exit_code;
};

/* One instance: for the picture, and for the catalog. */
struct pa_run_span {
	uint32_t task; /* index */
	const char *suffix;
	const char *outcome;
	uint32_t attempt; /* from 0 */
	double ready_s, start_s, end_s;
	double stall_s;
	uint64_t read_bytes, memory_bytes, written_bytes, input_bytes; /* as in struct pa_run_task */
};

/* One output and the SHA-256 of its bytes. */
struct pa_run_output {
	const char *name; /* "train/train-model", "claim:jsm-conv/metrics.json" */
	uint64_t bytes;
	unsigned char sha256[32];
};

/* Bytes loaded up to a moment, for the picture. */
struct pa_run_sample {
	double at_s;
	uint64_t fetched_bytes;
	uint64_t used_bytes;
};

struct pa_run_report {
	struct pa_arena arena; /* holds all of it */
	enum pa_run_mode mode;
	const char *outcome; /* succeeded, failed, interrupted */
	const char *message; /* why not succeeded; "" */
	int64_t started_wall_ms;
	double makespan_s;
	/* Makespan less what it would have been with every stall taken out of the same run (the timeline run with the
	 * real computing times). */
	double stall_s;
	struct pa_run_task *tasks;
	size_t task_count;
	struct pa_run_span *spans;
	size_t span_count;
	struct pa_run_sample *samples;
	size_t sample_count;
	struct pa_run_output *outputs; /* sorted by name */
	size_t output_count;
	uint64_t fetched_bytes, ahead_bytes, demand_bytes, evicted_bytes, bypassed_bytes, peak_bytes;
	uint64_t quota_bytes;
	double sequential_bps;       /* without: what one reader gets, measured; 0: not measured */
	double cap_bps;              /* of the source it was measured on; 0: none */
	struct pa_forecast forecast; /* ahead: what the first plan said; else no tasks */
	bool slowed;                 /* a source has an added latency or a cap */
	const char *slowed_text;     /* says which and how */
	/* For the catalog: what was read, per task in order of first open; the sources in use, and, ahead, their data sets
	 * as the run found them. */
	struct pa_profile_read *profile;
	size_t profile_count;
	struct pa_catalog_source *sources;
	size_t source_count;
	struct pa_catalog_manifest *manifests;
	size_t manifest_count;
};

/* Whether every task can run here; PA_ERROR_INPUT names those that cannot, and why.  Starts nothing. */
int pa_run_preflight(const struct pa_pipeline *pipeline, const struct pa_config *config,
                     const struct pa_name_value *arguments, size_t argument_count, struct pa_error *err);

/* After a preflight that passed. */
int pa_run_execute(const struct pa_run_options *options, struct pa_run_report *ret, struct pa_error *err);
void pa_run_report_done(struct pa_run_report *report);

/* Into the catalog. */
int pa_run_report_store(const struct pa_run_report *report, struct pa_catalog *catalog, int64_t pipeline_id,
                        struct pa_error *err);

const char *pa_run_mode_name(enum pa_run_mode mode);

#endif
