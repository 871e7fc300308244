/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine's tests share: workflows from a text, instances that end as a script says. */
#ifndef PA_TESTS_RUN_ENGINE_SCRIPT_H
#define PA_TESTS_RUN_ENGINE_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "pipeline/analyze.h"
#include "run/engine.h"

#define RUN_LIMIT 2000

/* What one task answers; tasks that are not named succeed. */
struct answer {
	const char *task; /* id, or id with suffix */
	enum pa_outcome outcome;
	const char *value; /* of every output parameter, and the result; NULL: "v" */
};

struct run {
	struct pa_arena arena;
	struct pa_analysis analysis;
	struct pa_engine *engine;
	struct pa_buffer log;
	struct pa_error error;
};

static const char *const LEAVES =
    "  - name: echo\n"
    "    inputs: {parameters: [{name: x, value: none}]}\n"
    "    outputs: {parameters: [{name: o, valueFrom: {path: /o}}]}\n"
    "    container: {image: alpine, command: [echo], args: ['{{inputs.parameters.x}}']}\n"
    "  - name: plain\n"
    "    container: {image: alpine, command: [echo], args: ['-']}\n";

static inline void refuse_references(const char *text)
{
	static const char *const names[] = {"{{inputs", "{{tasks",    "{{steps",
	                                    "{{item",   "{{workflow", "{{pod"};
	for (size_t i = 0; text && i < sizeof(names) / sizeof(names[0]); i++) {
		const char *found = strstr(text, names[i]);
		/* Helm's escape `{{` is plain text to Argo. */
		if (found && (found == text || found[-1] != '`'))
			fail_msg("a text was not filled in: %s", text);
	}
}

static inline void check_texts(const struct pa_instance *instance)
{
	refuse_references(instance->image);
	refuse_references(instance->source);
	refuse_references(instance->working_directory);
	refuse_references(instance->resource_manifest);
	for (size_t i = 0; i < instance->command_count; i++)
		refuse_references(instance->command[i]);
	for (size_t i = 0; i < instance->arg_count; i++)
		refuse_references(instance->args[i]);
	for (size_t i = 0; i < instance->env_count; i++)
		refuse_references(instance->env[i].value);
	for (size_t i = 0; i < instance->mount_count; i++) {
		refuse_references(instance->mounts[i].path);
		refuse_references(instance->mounts[i].claim);
	}
	for (size_t i = 0; i < instance->input_artifact_count; i++)
		refuse_references(instance->input_artifacts[i].path);
	for (size_t i = 0; i < instance->output_parameter_count; i++)
		refuse_references(instance->output_parameters[i].path);
}

static inline int open_with(struct run *run, const char *text, const struct pa_name_value *arguments,
                            size_t count)
{
	memset(run, 0, sizeof(*run));
	pa_arena_init(&run->arena);
	pa_buffer_init(&run->log, 64u << 20);
	int status =
	    pa_analyze_text(&run->arena, "test.yaml", text, strlen(text), NULL, &run->analysis, &run->error);
	if (status < 0)
		return status;
	struct pa_engine_options options = {
	    .run_name = "wf", .uid = "u-1", .arguments = arguments, .argument_count = count};
	return pa_engine_new(&run->analysis.pipelines[0], &options, &run->engine, &run->error);
}

/* The workflow's spec, and the usual leaves after its templates. */
static inline const char *workflow_text(struct run *run, const char *spec)
{
	static const char *const head = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n"
					"metadata: {name: w, labels: {team: blue}}\nspec:\n";
	static char text[65536];
	(void)run;
	snprintf(text, sizeof(text), "%s%s%s", head, spec, LEAVES);
	return text;
}

static inline void open_spec(struct run *run, const char *spec)
{
	if (open_with(run, workflow_text(run, spec), NULL, 0) < 0)
		fail_msg("%s", run->error.message);
}

static inline void close_run(struct run *run)
{
	pa_engine_free(run->engine);
	pa_buffer_done(&run->log);
	pa_arena_done(&run->arena);
}

static inline const struct answer *find_answer(const struct answer *answers, const char *id,
                                               const char *suffix)
{
	char full[1024];
	snprintf(full, sizeof(full), "%s%s", id, suffix);
	for (const struct answer *answer = answers; answer && answer->task; answer++)
		if (strcmp(answer->task, full) == 0)
			return answer;
	for (const struct answer *answer = answers; answer && answer->task; answer++)
		if (strcmp(answer->task, id) == 0)
			return answer;
	return NULL;
}

static inline int finish(struct run *run, const struct pa_instance *instance, const struct answer *answer)
{
	const char *value = answer && answer->value ? answer->value : "v";
	const char *parameters[64], *artifacts[64];
	char stored[1024];
	snprintf(stored, sizeof(stored), "stored:%s%s", instance->task_id, instance->suffix);
	for (size_t i = 0; i < 64; i++) {
		parameters[i] = value;
		artifacts[i] = stored;
	}
	struct pa_instance_result result = {
	    .outcome = answer ? answer->outcome : PA_OUTCOME_SUCCEEDED,
	    .exit_code = answer && answer->outcome == PA_OUTCOME_FAILED ? 3 : 0,
	    .message = answer && answer->outcome == PA_OUTCOME_FAILED ? "exit code 3" : NULL,
	    .parameters = parameters,
	    .artifacts = artifacts,
	    .result = instance->wants_result ? value : NULL,
	};
	struct pa_error err = PA_ERROR_INIT;
	int status = pa_engine_finish(run->engine, instance, &result, &err);
	if (status < 0)
		run->error = err;
	return status;
}

/* Runs one instance after the other to the end; the log has a line "id suffix args" for each. */
static inline void run_all(struct run *run, const struct answer *answers)
{
	size_t count = 0;
	while (!pa_engine_is_done(run->engine)) {
		const struct pa_instance *instance = pa_engine_ready(run->engine);
		assert_non_null(instance);
		assert_true(count++ < RUN_LIMIT);
		check_texts(instance);
		pa_buffer_printf(&run->log, "%s%s", instance->task_id, instance->suffix);
		for (size_t i = 0; i < instance->arg_count && strcmp(instance->args[i], "-") != 0; i++)
			pa_buffer_printf(&run->log, " %s", instance->args[i]);
		pa_buffer_puts(&run->log, "\n");
		finish(run, instance, find_answer(answers, instance->task_id, instance->suffix));
	}
	assert_null(pa_engine_ready(run->engine));
}

#endif
