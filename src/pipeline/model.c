/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/model.h"

#include "pipeline/name_table_internal.h"

const char *pa_format_name(enum pa_pipeline_format format)
{
	static const char *const names[] = {
	    [PA_FORMAT_ARGO_KFP_V1] = "argo-kfp-v1",
	    [PA_FORMAT_ARGO] = "argo",
	    [PA_FORMAT_KFP_V2_IR] = "kfp-v2-ir",
	    [PA_FORMAT_KFP_V2_RUNTIME] = "kfp-v2-runtime",
	};

	return names[format];
}

const char *pa_task_kind_name(enum pa_task_kind kind)
{
	static const char *const names[] = {
	    [PA_TASK_CONTAINER] = "container",
	    [PA_TASK_SCRIPT] = "script",
	    [PA_TASK_RESOURCE] = "resource",
	    [PA_TASK_IMPORTER] = "importer",
	    [PA_TASK_HTTP] = "http",
	    [PA_TASK_SUSPEND] = "suspend",
	    [PA_TASK_PLUGIN] = "plugin",
	    [PA_TASK_DATA] = "data",
	    [PA_TASK_CONTAINERSET] = "containerset",
	    [PA_TASK_UNRESOLVED] = "unresolved",
	};

	return names[kind];
}

const char *pa_task_role_name(enum pa_task_role role)
{
	static const char *const names[] = {
	    [PA_ROLE_MAIN] = "main",
	    [PA_ROLE_EXIT] = "exit",
	    [PA_ROLE_HOOK] = "hook",
	};

	return names[role];
}

const char *pa_confidence_name(enum pa_confidence confidence)
{
	static const char *const names[] = {
	    [PA_CONFIDENCE_DECLARED] = "declared",
	    [PA_CONFIDENCE_ARGUMENT] = "argument",
	    [PA_CONFIDENCE_EMBEDDED] = "embedded",
	};

	return names[confidence];
}

const struct pa_task *pa_pipeline_find_task(const struct pa_pipeline *pipeline, const char *id)
{
	size_t index = pipeline->task_index == NULL ? SIZE_MAX : pa_name_table_get(pipeline->task_index, id);

	return index == SIZE_MAX ? NULL : &pipeline->tasks[index];
}
