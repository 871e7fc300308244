/* SPDX-License-Identifier: Apache-2.0 */
/* The preflight: which tasks of a pipeline can run on this machine, before anything starts.  Pure: what it must know of
 * the machine and of pipeahead.yaml it asks through callbacks.
 *
 * A task runs here when
 *   - it is a container or script, or a resource template that creates, gets or deletes a claim (which becomes a scratch
 *     folder), and no daemon;
 *   - an entry under `tasks:` says how it runs, or its command exists on this machine and its image is a plain system
 *     image (pa_preflight_image_is_plain): from any other image the command may need files that are not here; a
 *     Python program that stands whole in the file may come from an image of a Python framework, too;
 *   - the modules that a program in the file imports can be imported here;
 *   - its init containers only run commands of plain images, without an environment of their own;
 *   - it asks for no Secret, ConfigMap or sidecar, unless there is such an entry (which is for the
 *     whole task, so these are then left out) or the file calls them optional;
 *   - its volumes are claims with a source, claims that the pipeline makes, or empty; never a hostPath or a kind of volume
 *     that only a cluster has;
 *   - artifacts that lie at a location have a source.
 * GPU requests, node selectors, pod patches and the like are not looked at.  A limit of what can be said ahead: a command
 * or claim that is known only in the run is refused, an image with a `{{…}}` left is not plain.
 *
 * Ownership: results live in the caller's arena; ids are the pipeline's.  Threads: none shared.  Blocking: as the
 * callbacks do.  Errors: PA_ERROR_INPUT.
 */
#ifndef PA_RUN_PREFLIGHT_H
#define PA_RUN_PREFLIGHT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "pipeline/model.h"

struct pa_arena;

struct pa_preflight_options {
	void *context;
	/* Whether "claim:NAME" or "uri:URI" has a source. */
	bool (*has_source)(void *context, const char *data_set);
	/* Whether a command (a name or an absolute path) can be executed on this machine. */
	bool (*has_command)(void *context, const char *name);
	/* Whether a Python program on this machine can import a module. */
	bool (*has_python_module)(void *context, const char *name);
	/* Whether `tasks:` has a command for this task, by id or by template. */
	bool (*is_configured)(void *context, const char *id, const char *template_name);
};

struct pa_preflight_result {
	const char *task; /* id */
	bool can_run;
	const char *reason; /* why not; "" */
};

/* One result for each task, in the pipeline's order. */
int pa_preflight_tasks(struct pa_arena *arena, const struct pa_pipeline *pipeline,
                       const struct pa_preflight_options *options, struct pa_preflight_result **ret,
                       struct pa_error *err);

/* 0 when every task can run; else one message that names those that cannot, with the reasons. */
int pa_preflight_check(const struct pa_pipeline *pipeline, const struct pa_preflight_options *options,
                       struct pa_error *err);

/* "python:3.9", "docker.io/library/alpine", …: nothing in it but a system and a language. */
bool pa_preflight_image_is_plain(const char *image);

#endif
