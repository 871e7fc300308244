/* SPDX-License-Identifier: Apache-2.0 */
/* Values that the file itself gives: pipeline parameters, constants, and what is passed down from them. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "pipeline/argo_internal.h"
#include "pipeline/template_text.h"

#define INPUT_PREFIX    "inputs.parameters."
#define WORKFLOW_PREFIX "workflow.parameters."

struct expanding {
	struct argo_analysis *analysis;
	struct argo_instance *instance;
};

bool argo_is_known(const char *text)
{
	struct pa_template_reference reference;

	return text != NULL && !pa_template_text_next(text, 0, &reference);
}

static const char *lookup_value(void *context, const char *inside)
{
	const struct expanding *expanding = context;

	if (strncmp(inside, WORKFLOW_PREFIX, strlen(WORKFLOW_PREFIX)) == 0)
		return argo_pipeline_parameter_value(expanding->analysis, inside + strlen(WORKFLOW_PREFIX));
	if (strncmp(inside, INPUT_PREFIX, strlen(INPUT_PREFIX)) != 0 || expanding->instance->graph == NULL)
		return NULL;
	size_t index =
	    pa_name_table_get(&expanding->instance->graph->input_parameters, inside + strlen(INPUT_PREFIX));
	return index == SIZE_MAX ? NULL
	                         : argo_parameter_value(expanding->analysis, expanding->instance, index);
}

int argo_expand(struct argo_analysis *analysis, struct argo_instance *instance, const char *text,
                const char **ret, struct pa_error *err)
{
	struct expanding expanding = {analysis, instance};

	return pa_template_text_expand(analysis->findings.budget.arena, text, lookup_value, &expanding, ret,
	                               err);
}

/* The text filled in, when nothing of it is left open. */
static const char *known_text(struct argo_analysis *analysis, struct argo_instance *instance,
                              const char *text)
{
	struct pa_error ignored = PA_ERROR_INIT;
	const char *expanded = NULL;

	/* Past a limit all is unknown; the budget's next check, or the search for origins, is the error. */
	if (text == NULL || analysis->reference_depth >= ARGO_MAX_REFERENCE_DEPTH ||
	    pa_arena_bytes(analysis->findings.budget.arena) > analysis->findings.budget.limit_bytes)
		return NULL;
	analysis->reference_depth++;
	int rc = argo_expand(analysis, instance, text, &expanded, &ignored);
	analysis->reference_depth--;
	if (rc < 0)
		return NULL;
	return argo_is_known(expanded) ? expanded : NULL;
}

const char *argo_parameter_value(struct argo_analysis *analysis, struct argo_instance *instance, size_t index)
{
	struct argo_value *value = &instance->values[index];
	const struct pa_parameter *argument = instance->arguments[index];
	const char *fallback = instance->template->input_parameters[index].value;

	if (value->done || value->busy)
		return value->text;
	value->busy = true;
	if (argument != NULL)
		value->text = known_text(analysis, instance->caller->scope, argument->value);
	/* The entrypoint's own default counts where the pipeline's parameter has no value. */
	if (value->text == NULL && (argument == NULL || instance->caller->scope->caller == NULL))
		value->text = known_text(analysis, instance, fallback);
	value->busy = false;
	value->done = true;
	return value->text;
}
