/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a run share.  One thread (the one in pa_run_execute) owns all of it; the cache's and the mount's
 * own threads never see it.
 *
 *   data.c       sources, stores, data sets, residency, assignments
 *   artifacts.c  outputs taken from ended tasks
 *   tree_copy.c  files of a data set, read without the kernel between
 *   output_hash.c  what a run has made, as hashes
 *   task.c       one instance: its binds, environment, process, end
 *   task_output.c  what its process writes to standard output and error
 *   run.c        the loop: what is ready, what starts, what has ended, what to plan anew
 *   interrupt.c  Ctrl-C, also while the run's thread waits for a source
 *   progress.c   what the user sees meanwhile
 *   account.c    times and bytes per task, the stall of the whole
 */
#ifndef PA_RUN_INTERNAL_H
#define PA_RUN_INTERNAL_H

#include <poll.h>
#include <pthread.h>

#include "base/buffer.h"
#include "cache/cache.h"
#include "cache/tree.h"
#include "mount/mount.h"
#include "plan/plan.h"
#include "run/engine.h"
#include "run/planning.h"
#include "run/run.h"
#include "run/sandbox.h"
#include "run/sources.h"

#define PA_RUN_LOG_TAIL_BYTES   2048
#define PA_RUN_OPEN_DEADLINE_NS (60LL * 1000000000)
/* A plan is made anew at least this often, if that does not cost too much. */
#define PA_RUN_REPLAN_INTERVAL_NS (2LL * 1000000000)
/* Planning takes at most one part in so many of the loop's time, after a first burst. */
#define PA_RUN_PLAN_COST_SHARE 20
#define PA_RUN_PLAN_BURST_NS   500000000LL

/* A claim or located artifact that comes from a configured source. */
struct run_data_set {
	const char *name; /* "claim:…", "uri:…" */
	const struct pa_config_source *source;
	const char *root;       /* path below the source's store */
	struct pa_store *store; /* of the source; owned by run->sources */
	uint32_t link;          /* its index there */
	bool read_only;
	struct pa_data_set *opened;         /* ahead: for the whole run; else NULL */
	struct pa_manifest *manifest;       /* ahead: the one that was last planned with */
	struct pa_manifest *first_manifest; /* as the run found it: what differs later was written */
	/* Under the refresher's mutex: */
	int64_t refresh_wanted_ns; /* when a look at the source was last asked for */
	int64_t refreshed_ns;      /* when the last one that has ended began */
	int refresh_result;
	struct pa_error refresh_error;
};

/* A data set, or a part of one, as one instance sees it. */
struct run_view {
	struct run_data_set *data_set;
	const char *target;      /* path in the task */
	const char *source_path; /* what is bound there */
	const char *root_path;   /* what it shows of the data set: a path in it */
	struct pa_data_set
	    *served; /* whose files it shows through the mount; NULL: a folder of this machine */
	struct pa_mount_view *view; /* NULL: bound from memory (pin), or local */
	struct pa_pin *pin;
	bool read_only;
};

/* An instance that was given out by the engine. */
struct run_instance {
	const struct pa_instance *instance;
	uint32_t task;              /* index in the pipeline */
	const char *folder;         /* all that it has on disk; goes when it has ended */
	const char *sandbox_folder; /* in it: the sandbox's scratch */
	struct run_view *views;
	size_t view_count;
	struct pa_sandbox *sandbox; /* NULL: not running */
	int output_fd;              /* read end of its standard output, -1 when closed */
	int error_fd;
	struct pa_buffer result; /* its standard output when it is wanted */
	struct pa_buffer line;   /* an unfinished line of its standard output */
	struct pa_buffer error_line;
	struct pa_buffer tail;          /* its last lines, for a failure's message */
	double ready_s, start_s, end_s; /* since submission; NAN: not yet */
	double not_before_s;            /* a retry's back-off */
	bool checking;                  /* it has its slot, and waits for its data sets to be looked at */
	struct run_data_set **reads;    /* these; of the whole run */
	size_t read_count;
	int64_t refresh_asked_ns;
	struct pa_view_account account;
	uint64_t artifact_bytes; /* of its inputs */
	const char *killed_why;  /* NULL: not by us */
	enum pa_outcome outcome; /* when it has ended */
	bool ended;
};

struct run_scratch_claim {
	const char *name;
	const char *path;
};

/* The thread that holds data sets against their sources (refresh.c). */
struct pa_refresher {
	bool running;
	bool stopping;
	int done_fd; /* readable when something has been looked at */
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wanted;
};

struct pa_run {
	const struct pa_run_options *options;
	struct pa_arena arena;      /* lives as long as the run */
	struct pa_arena plan_arena; /* the present plan's; replaced at every plan */
	struct pa_engine *engine;
	int64_t start_ns;
	struct pa_sources sources;
	struct run_data_set *data_sets;
	size_t data_set_count;
	struct run_scratch_claim *scratch_claims;
	size_t scratch_claim_count, scratch_claim_capacity;
	struct pa_cache *cache; /* NULL in local mode */
	struct pa_mount *mount;
	const char *cache_folder, *mount_folder, *artifact_folder;
	uint32_t next_file;              /* numbers scratch names */
	struct run_instance **instances; /* all that were given out */
	size_t instance_count, instance_capacity;
	struct run_instance **live; /* those that have not ended, oldest first */
	size_t live_count, live_capacity;
	struct pa_data_set *
	    *cold; /* without: every task's own data sets, closed at the end: the kernel lets go of
	                            * their files when it likes */
	size_t cold_count, cold_capacity;
	size_t running;
	uint32_t slots;
	struct pa_plan_task_state *states; /* per task, rebuilt for each plan */
	struct pa_plan plan;
	struct pa_planning planning;
	bool has_plan;
	bool plan_due; /* something has happened since the last one */
	int64_t planned_ns;
	int64_t plan_cost_ns;   /* of the last one */
	int64_t plan_credit_ns; /* that plans may still cost; grows with time */
	struct pa_run_report *report;
	size_t sample_capacity;
	size_t span_capacity, profile_capacity, output_capacity;
	struct pa_refresher refresher;
	pthread_t watcher;   /* takes the signals */
	int stop_fd;         /* ends it; -1: there is none */
	int wake_fd;         /* readable after a signal; -1 without watcher */
	int signals;         /* taken so far; the watcher counts, with __atomic */
	int interrupts;      /* of these, acted on */
	bool stopped;        /* the workflow's time is over */
	volatile int cancel; /* non-zero: calls to sources give up */
	int64_t kill_at_ns;
	int64_t drawn_ns, sampled_ns; /* progress and picture */
	int64_t sample_interval_ns;
	unsigned drawn_lines;
};

/* A call that ends at the latest after so long, or when the user interrupts. */
struct pa_store_call run_call(const struct pa_run *run, int64_t timeout_ns);
/* Seconds since submission. */
double run_now_s(const struct pa_run *run);

/* refresh.c: between opening and closing of the data sets. */
int run_refresh_begin(struct pa_run *run, struct pa_error *err);
void run_refresh_end(struct pa_run *run);
/* Has what the instance reads looked at; false: it reads nothing that has a source. */
bool run_refresh_ask(struct pa_run *run, struct run_instance *starting);
/* Whether that is done; an error when a source could not be listed. */
int run_refresh_check(struct pa_run *run, const struct run_instance *starting, bool *ret_done,
                      struct pa_error *err);

/* data.c */
int run_data_open(struct pa_run *run, struct pa_error *err);
void run_data_close(struct pa_run *run);
struct run_data_set *run_data_find(struct pa_run *run, const char *name);
const char *run_data_local_path(struct pa_run *run, const struct run_data_set *set);
/* Makes a plan for what is left, and gives its loads to the cache. */
int run_data_plan(struct pa_run *run, struct pa_error *err);
/* Says in the report which sources are slowed. */
void run_data_describe(struct pa_run *run);
/* Puts sources and data sets into the report, for the catalog. */
void run_data_note_sources(struct pa_run *run);
/* Without pipeahead: the rate that one sequential reader gets. */
void run_data_measure_sequential(struct pa_run *run);

/* artifacts.c */
int run_outputs_take(struct pa_run *run, struct run_instance *running, const char **parameters,
                     const char **artifacts, struct pa_error *err);

/* interrupt.c: a signal cancels what waits for a source at once, and wakes the loop. */
int run_watch_begin(struct pa_run *run, struct pa_error *err);
void run_watch_end(struct pa_run *run);
/* Signals taken, also those that the loop has not seen. */
int run_signals(const struct pa_run *run);

/* output_hash.c: for comparisons; hashes go into the report. */
int run_outputs_hash(struct pa_run *run, const struct pa_instance *instance, const char *const *parameters,
                     const char *const *artifacts, struct pa_error *err);
int run_written_hash(struct pa_run *run, struct pa_error *err);

/* tree_copy.c: files of a data set, straight from the cache. */
int run_tree_find(struct pa_data_set *data_set, const char *path, struct pa_attributes *ret,
                  struct pa_error *err);
int run_tree_find_below(struct pa_data_set *data_set, uint64_t inode, const char *path,
                        struct pa_attributes *ret, struct pa_error *err);
/* The first `room` bytes. */
int run_tree_read(struct pa_run *run, struct pa_data_set *data_set, uint64_t inode, char *data, size_t room,
                  size_t *ret_length, struct pa_error *err);
int run_tree_copy(struct pa_run *run, struct pa_data_set *data_set, const struct pa_attributes *attributes,
                  int folder, const char *name, struct pa_error *err);

/* task.c */
int run_task_start(struct pa_run *run, struct run_instance *starting, struct pa_error *err);
/* A resource template that makes or takes away a claim: done at once. */
int run_task_resource(struct pa_run *run, struct run_instance *starting, struct pa_error *err);
/* Its process has ended: outputs, account, the engine's next step. */
int run_task_finish(struct pa_run *run, struct run_instance *running, struct pa_error *err);
void run_task_release(struct pa_run *run, struct run_instance *instance);
/* The outcome, to the engine. */
int run_task_tell(struct pa_run *run, const struct pa_instance *instance,
                  const struct pa_instance_result *result, struct pa_error *err);

/* task_output.c: takes some of what it has written; a task that writes all the time must not keep the loop from anything
 * else. */
void run_output_drain(struct pa_run *run, struct run_instance *running);
/* What is left in its pipes, when all who could write to them are gone. */
void run_output_drain_rest(struct pa_run *run, struct run_instance *ended);
/* ": " and the last line that it wrote, which mostly says why it failed; "" when it wrote none. */
const char *run_output_last_line(struct pa_run *run, const struct run_instance *ended);
/* Its standard output where that is an output: as it is, or an error, never a part of it. */
int run_output_result(struct run_instance *ended, const char **ret, struct pa_error *err);

/* progress.c */
void run_progress_plan(struct pa_run *run);
void run_progress_event(struct pa_run *run, const struct run_instance *instance, const char *what);
void run_progress_tick(struct pa_run *run);
void run_progress_clear(struct pa_run *run);
void run_progress_line(struct pa_run *run, const struct run_instance *instance, const char *text);

/* account.c */
void run_account(struct pa_run *run);

#endif
