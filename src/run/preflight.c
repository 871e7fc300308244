/* SPDX-License-Identifier: Apache-2.0 */
#include "run/preflight.h"

#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/node.h"
#include "pipeline/workflow.h"

#define MESSAGE_ROOM_BYTES (PA_ERROR_MESSAGE_BYTES - 64)

/* Repositories of Docker Hub's library whose images hold a system, and at most a language, and nothing else. */
static const char *const plain_images[] = {
    "alpine", "bash", "busybox", "centos", "debian", "fedora", "python", "ubuntu",
};

/* Images of Python and a framework: enough when the program stands in the file and imports nothing else. */
static const char *const python_images[] = {
    "tensorflow/tensorflow",
    "pytorch/pytorch",
    "continuumio/miniconda3",
    "jupyter/base-notebook",
};

#define MAX_MODULE_BYTES 128

/* What a task is looked at with. */
struct checking {
	struct pa_arena *arena;
	const struct pa_pipeline *pipeline;
	const struct pa_preflight_options *options;
	const struct pa_task *task;
	const struct pa_template *template_;
	bool configured;
};

static bool image_is_of(const char *image, const char *const *repositories, size_t count)
{
	static const char *const prefixes[] = {"docker.io/", "index.docker.io/", "library/"};
	for (size_t i = 0; i < PA_ARRAY_LENGTH(prefixes); i++)
		if (strncmp(image, prefixes[i], strlen(prefixes[i])) == 0)
			image += strlen(prefixes[i]);
	size_t bytes = strcspn(image, ":@");
	for (size_t i = 0; i < count; i++)
		if (strlen(repositories[i]) == bytes && strncmp(repositories[i], image, bytes) == 0)
			return true;
	return false;
}

bool pa_preflight_image_is_plain(const char *image)
{
	return image_is_of(image, plain_images, PA_ARRAY_LENGTH(plain_images));
}

/* `python3 -u -c PROGRAM`: nothing of the image's but Python itself is named. */
static bool is_whole_program(const struct pa_task *task)
{
	if (strncmp(task->command[0], "python", strlen("python")) != 0)
		return false;
	for (size_t i = 1; i < task->command_count; i++)
		if (strcmp(task->command[i], "-c") == 0)
			return true;
	return task->command_count == 1 && task->arg_count > 1 && strcmp(task->args[0], "-c") == 0;
}

/* The module of a line like "  import numpy as np" or "from os.path import join"; false when it is none. */
static bool imported_module(const char *line, char module[MAX_MODULE_BYTES])
{
	size_t bytes;

	line += strspn(line, " \t");
	if (strncmp(line, "import ", 7) == 0)
		line += 7;
	else if (strncmp(line, "from ", 5) == 0 && strstr(line, " import ") != NULL)
		line += 5;
	else
		return false;
	line += strspn(line, " ");
	for (bytes = 0; isalnum((unsigned char)line[bytes]) || line[bytes] == '_';)
		bytes++;
	/* What follows tells a statement from prose; a relative import has no name here. */
	if (bytes == 0 || bytes >= MAX_MODULE_BYTES || strchr(" \t.,;\n\r", line[bytes]) == NULL)
		return false;
	memcpy(module, line, bytes);
	module[bytes] = '\0';
	return true;
}

/* A module that the program imports and that is not here; an import under `try:` may fail. */
static const char *missing_import(const struct checking *checking, const char *program)
{
	char module[MAX_MODULE_BYTES];
	bool tried = false;

	for (const char *line = program; line != NULL && *line != '\0';) {
		if (!tried && imported_module(line, module) &&
		    !checking->options->has_python_module(checking->options->context, module))
			return pa_arena_printf(
			    checking->arena,
			    "its program imports %s, which Python does not find on this machine; "
			    "install it, or say how the task runs in `tasks:` of pipeahead.yaml",
			    module);
		const char *text = line + strspn(line, " \t");
		tried = strncmp(text, "try:", 4) == 0;
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	return NULL;
}

static const char *check_imports(const struct checking *checking)
{
	const struct pa_task *task = checking->task;
	const char *reason = NULL;

	/* Shell programs may install what they need first. */
	for (size_t i = 0; i < task->command_count; i++)
		if (strstr(task->command[i], "pip install") != NULL ||
		    strstr(task->command[i], "'pip', 'install'") != NULL)
			return NULL;
	for (size_t i = 1; i < task->command_count && reason == NULL; i++)
		reason = missing_import(checking, task->command[i]);
	for (size_t i = 0; i < task->arg_count && reason == NULL; i++)
		if (strstr(task->args[i], "pip install") == NULL)
			reason = missing_import(checking, task->args[i]);
	const char *source = checking->template_->container.source;
	if (reason == NULL && source != NULL && strncmp(task->command[0], "python", strlen("python")) == 0)
		reason = missing_import(checking, source);
	return reason;
}

static const struct pa_template *find_inline(const struct pa_workflow *workflow, const char *key)
{
	for (size_t i = 0; i < workflow->template_count; i++) {
		const struct pa_template *template_ = &workflow->templates[i];
		for (size_t k = 0; k < template_->call_count; k++)
			if (template_->calls[k].inline_template && strcmp(template_->calls[k].key, key) == 0)
				return template_->calls[k].inline_template;
	}
	return NULL;
}

static const struct pa_template *template_of(const struct pa_pipeline *pipeline, const struct pa_task *task)
{
	const struct pa_template *template_ =
	    pa_workflow_find_template(pipeline->workflow, task->template_name);
	const char *slash = strrchr(task->id, '/');
	return template_ ? template_ : find_inline(pipeline->workflow, slash ? slash + 1 : task->id);
}

/* The word after `kind:` at the manifest's top level, or NULL.  The manifest is a text with `{{…}}` in it, which need
 * not be YAML before they are filled in; so lines are looked at. */
static const char *manifest_kind(struct pa_arena *arena, const char *manifest)
{
	for (const char *line = manifest; line && *line;) {
		const char *at = line + strspn(line, "{\"' ");
		bool top = at == line || line[0] == '{' || strchr(manifest, '{') == manifest;
		if (top && strncmp(at, "kind", 4) == 0) {
			at += 4;
			at += strspn(at, "\"' :");
			return pa_arena_strndup(arena, at, strcspn(at, "\"' ,}\r\n"));
		}
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return NULL;
}

/* `resource.flags` of a deletion: ["pvc", NAME], as the KFP SDK writes it. */
static bool flags_name_claim(const struct pa_template *template_)
{
	const struct pa_node *flags = pa_node_path(template_->node, "resource.flags");
	const char *first =
	    pa_node_is_sequence(flags) && flags->count > 0 ? pa_node_text(flags->items[0]) : NULL;
	return first && (strcmp(first, "pvc") == 0 || strcasecmp(first, "persistentvolumeclaim") == 0 ||
	                 strcasecmp(first, "persistentvolumeclaims") == 0);
}

static const char *check_resource(const struct checking *checking)
{
	const struct pa_template *template_ = checking->template_;
	const char *action = template_->resource_action ? template_->resource_action : "?";
	const char *kind = manifest_kind(checking->arena, template_->resource_manifest);
	bool known =
	    strcmp(action, "create") == 0 || strcmp(action, "delete") == 0 || strcmp(action, "get") == 0;
	bool claim = kind ? strcmp(kind, "PersistentVolumeClaim") == 0 : flags_name_claim(template_);
	if (known && claim)
		return NULL;
	return pa_arena_printf(checking->arena, "a resource template that would %.40s a %.80s in a cluster",
	                       action, kind ? kind : "resource");
}

static const char *check_kind(const struct checking *checking)
{
	switch (checking->task->kind) {
	case PA_TASK_CONTAINER:
	case PA_TASK_SCRIPT:
		if (checking->template_->daemon)
			return "a daemon, which would have to run beside other tasks";
		return NULL;
	case PA_TASK_RESOURCE:
		return check_resource(checking);
	case PA_TASK_UNRESOLVED:
		return pa_arena_printf(checking->arena, "its template %s is not in this file",
		                       checking->task->template_name);
	default:
		return pa_arena_printf(checking->arena, "a template of kind %s needs a cluster",
		                       pa_task_kind_name(checking->task->kind));
	}
}

static const char *check_command(const struct checking *checking)
{
	const struct pa_task *task = checking->task;
	const struct pa_container *container = &checking->template_->container;
	bool script = task->kind == PA_TASK_SCRIPT;
	if (task->command_count == 0)
		return pa_arena_printf(
		    checking->arena,
		    "image %s decides what it runs; say its command in `tasks:` of pipeahead.yaml",
		    task->image);
	const char *command = task->command[0];
	if (strstr(command, "{{"))
		return "its command is known only in the run; say it in `tasks:` of pipeahead.yaml";
	if (script && !container->source)
		return "a script without a source";
	if (!checking->options->has_command(checking->options->context, command))
		return pa_arena_printf(
		    checking->arena,
		    "its command `%s` is not on this machine (image %s); say how it runs in `tasks:` of "
		    "pipeahead.yaml",
		    command, task->image);
	bool python =
	    image_is_of(task->image, python_images, PA_ARRAY_LENGTH(python_images)) && is_whole_program(task);
	if (!pa_preflight_image_is_plain(task->image) && !python)
		return pa_arena_printf(
		    checking->arena,
		    "image %s is no plain system image; say how it runs in `tasks:` of pipeahead.yaml",
		    task->image[0] ? task->image : "(none)");
	return check_imports(checking);
}

static bool is_optional(const struct pa_node *reference)
{
	return pa_node_is_true(pa_node_get(reference, "optional"));
}

/* A Secret or ConfigMap that environment variables come from. */
static const char *check_environment(const struct checking *checking)
{
	static const struct {
		const char *key;
		const char *kind;
		bool whole; /* under envFrom */
	} references[] = {
	    {"secretKeyRef", "Secret", false},
	    {"configMapKeyRef", "ConfigMap", false},
	    {"secretRef", "Secret", true},
	    {"configMapRef", "ConfigMap", true},
	};
	const struct pa_container *container = &checking->template_->container;
	uint32_t whole_count = pa_node_is_sequence(container->env_from) ? container->env_from->count : 0;
	for (size_t i = 0; i < container->env_count + whole_count; i++) {
		bool whole = i >= container->env_count;
		const struct pa_node *holder = whole ? container->env_from->items[i - container->env_count]
		                                     : container->env[i].value_from;
		for (size_t k = 0; k < sizeof(references) / sizeof(references[0]); k++) {
			const struct pa_node *reference =
			    references[k].whole == whole ? pa_node_get(holder, references[k].key) : NULL;
			const char *name = pa_node_text(pa_node_get(reference, "name"));
			if (reference && !is_optional(reference))
				return pa_arena_printf(
				    checking->arena,
				    "its environment comes from the %s %s, which is in a cluster; say how "
				    "it runs in `tasks:` of pipeahead.yaml",
				    references[k].kind, name ? name : "?");
		}
	}
	return NULL;
}

static const struct pa_volume *find_volume(const struct checking *checking, const char *name)
{
	const struct pa_workflow *workflow = checking->pipeline->workflow;
	for (size_t i = 0; i < checking->template_->volume_count; i++)
		if (strcmp(checking->template_->volumes[i].name, name) == 0)
			return &checking->template_->volumes[i];
	for (size_t i = 0; i < workflow->volume_count; i++)
		if (strcmp(workflow->volumes[i].name, name) == 0)
			return &workflow->volumes[i];
	return NULL;
}

static bool is_scratch_claim(const struct checking *checking, const char *data_set)
{
	for (size_t i = 0; i < checking->pipeline->data_count; i++)
		if (strcmp(checking->pipeline->data[i].id, data_set) == 0)
			return checking->pipeline->data[i].scratch;
	return false;
}

static const char *check_claim(const struct checking *checking, const struct pa_task_mount *mount,
                               const struct pa_volume *volume)
{
	if (mount->created_by || volume->from_claim_template)
		return NULL;
	if (!mount->claim || strstr(mount->claim, "{{"))
		return pa_arena_printf(checking->arena, "the claim of its volume %s is known only in the run",
		                       mount->volume);
	const char *data_set = pa_arena_printf(checking->arena, "claim:%s", mount->claim);
	if (is_scratch_claim(checking, data_set) ||
	    checking->options->has_source(checking->options->context, data_set))
		return NULL;
	return pa_arena_printf(
	    checking->arena,
	    "claim %s has no source; add `- claim: %s` with `at:` to `sources:` of pipeahead.yaml",
	    mount->claim, mount->claim);
}

static const char *check_mount(const struct checking *checking, const struct pa_task_mount *mount)
{
	const struct pa_volume *volume = find_volume(checking, mount->volume);
	if (!volume)
		return pa_arena_printf(checking->arena, "its volume %s is not declared", mount->volume);
	if (strcmp(volume->kind, "pvc") == 0)
		return check_claim(checking, mount, volume);
	if (strcmp(volume->kind, "empty") == 0 || strcmp(volume->kind, "ephemeral") == 0)
		return NULL;
	bool secret = strcmp(volume->kind, "secret") == 0, config = strcmp(volume->kind, "config") == 0;
	if (!secret && !config && strcmp(volume->kind, "projected") != 0 &&
	    strcmp(volume->kind, "downward") != 0)
		return pa_arena_printf(checking->arena, "its volume %s (%s) is on a cluster's node",
		                       volume->name, volume->kind);
	const struct pa_node *source = pa_node_get(volume->node, secret ? "secret" : "configMap");
	const char *name = pa_node_text(pa_node_get(source, secret ? "secretName" : "name"));
	if (checking->configured || is_optional(source))
		return NULL;
	return pa_arena_printf(
	    checking->arena,
	    "its volume %s is the %s %s, which is in a cluster; say how it runs in `tasks:` of "
	    "pipeahead.yaml",
	    volume->name,
	    secret   ? "Secret"
	    : config ? "ConfigMap"
		     : volume->kind,
	    name ? name : "");
}

static const char *check_inputs(const struct checking *checking)
{
	for (size_t i = 0; i < checking->task->input_count; i++) {
		const struct pa_input *input = &checking->task->inputs[i];
		for (size_t k = 0; input->artifact && k < input->origin_count; k++) {
			const struct pa_origin *origin = &input->origins[k];
			if (origin->kind != PA_ORIGIN_URI)
				continue;
			const char *data_set = pa_arena_printf(checking->arena, "uri:%s", origin->text);
			if (!checking->options->has_source(checking->options->context, data_set))
				return pa_arena_printf(
				    checking->arena,
				    "%s has no source; add a `- match:` for it to `sources:` of "
				    "pipeahead.yaml",
				    origin->text);
		}
	}
	return NULL;
}

/* An argument that takes a part of another artifact. */
static const char *check_sub_paths(const struct checking *checking)
{
	const struct pa_workflow *workflow = checking->pipeline->workflow;
	for (size_t i = 0; i < workflow->template_count; i++) {
		for (size_t k = 0; k < workflow->templates[i].call_count; k++) {
			const struct pa_call *call = &workflow->templates[i].calls[k];
			bool here = call->template_name && checking->template_->name &&
			            strcmp(call->template_name, checking->template_->name) == 0;
			for (size_t j = 0; here && j < call->artifact_count; j++)
				if (call->artifacts[j].sub_path)
					return pa_arena_printf(
					    checking->arena, "its artifact %s is a part (subPath) of another",
					    call->artifacts[j].name);
		}
	}
	return NULL;
}

/* Init containers that only run a command of a plain image, with the task's own mounts, run before it. */
static const char *check_init_containers(const struct checking *checking)
{
	const struct pa_template *template_ = checking->template_;
	for (size_t i = 0; i < template_->init_container_count; i++) {
		const struct pa_container *container = &template_->init_containers[i];
		const char *image = container->image ? container->image : "";
		if (container->command_count > 0 && container->env_count == 0 && !container->env_from &&
		    pa_preflight_image_is_plain(image) && !strstr(container->command[0], "{{") &&
		    checking->options->has_command(checking->options->context, container->command[0]))
			continue;
		return "it needs an init container; say how it runs without in `tasks:` of pipeahead.yaml";
	}
	return NULL;
}

/* NULL: it can run. */
static const char *check_task(const struct checking *checking)
{
	const struct pa_task *task = checking->task;
	if (!checking->template_)
		return pa_arena_printf(checking->arena, "its template %s is not in this file",
		                       task->template_name);
	const char *reason = check_kind(checking);
	if (reason || task->kind == PA_TASK_RESOURCE)
		return reason;
	if (!checking->configured && checking->template_->sidecar_count > 0)
		return "it needs a sidecar; say how it runs without in `tasks:` of pipeahead.yaml";
	if (!checking->configured)
		reason = check_init_containers(checking);
	if (!reason && !checking->configured)
		reason = check_command(checking);
	if (!reason && !checking->configured)
		reason = check_environment(checking);
	for (size_t i = 0; i < task->mount_count && !reason; i++)
		reason = check_mount(checking, &task->mounts[i]);
	if (!reason)
		reason = check_inputs(checking);
	return reason ? reason : check_sub_paths(checking);
}

int pa_preflight_tasks(struct pa_arena *arena, const struct pa_pipeline *pipeline,
                       const struct pa_preflight_options *options, struct pa_preflight_result **ret,
                       struct pa_error *err)
{
	if (!pipeline->workflow)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%s: a pipeline of format %s cannot be run here; only Argo workflows can",
		                    pipeline->file, pa_format_name(pipeline->format));
	struct pa_preflight_result *results = pa_arena_array(arena, pipeline->task_count, sizeof(*results));
	for (size_t i = 0; i < pipeline->task_count; i++) {
		const struct pa_task *task = &pipeline->tasks[i];
		struct checking checking = {
		    .arena = arena,
		    .pipeline = pipeline,
		    .options = options,
		    .task = task,
		    .template_ = template_of(pipeline, task),
		    .configured = options->is_configured(options->context, task->id, task->template_name),
		};
		const char *reason = check_task(&checking);
		results[i] = (struct pa_preflight_result){task->id, !reason, reason ? reason : ""};
	}
	*ret = results;
	return 0;
}

/* "train, test (image …); load (claim …)": tasks with one reason stand together. */
static size_t write_group(struct pa_buffer *out, const struct pa_preflight_result *results, size_t count,
                          size_t first, bool *written)
{
	size_t named = 0;
	pa_buffer_puts(out, out->length > 0 ? "; " : "");
	for (size_t i = first; i < count; i++) {
		if (results[i].can_run || written[i] || strcmp(results[i].reason, results[first].reason) != 0)
			continue;
		pa_buffer_printf(out, "%s%s", named++ > 0 ? ", " : "task ", results[i].task);
		written[i] = true;
	}
	pa_buffer_printf(out, " (%s)", results[first].reason);
	return named;
}

int pa_preflight_check(const struct pa_pipeline *pipeline, const struct pa_preflight_options *options,
                       struct pa_error *err)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_preflight_result *results;
	int status = pa_preflight_tasks(&arena, pipeline, options, &results, err);
	if (status < 0) {
		pa_arena_done(&arena);
		return status;
	}
	struct pa_buffer out;
	pa_buffer_init(&out, MESSAGE_ROOM_BYTES);
	bool *written = pa_arena_array(&arena, pipeline->task_count, sizeof(*written));
	size_t left = 0;
	for (size_t i = 0; i < pipeline->task_count; i++)
		left += !results[i].can_run;
	bool refused = left > 0;
	for (size_t i = 0; i < pipeline->task_count && left > 0 && !out.overflowed; i++) {
		size_t kept = out.length;
		if (results[i].can_run || written[i])
			continue;
		size_t named = write_group(&out, results, pipeline->task_count, i, written);
		if (!out.overflowed)
			left -= named;
		else if (kept > 0)
			out.data[kept] = '\0';
	}
	if (refused)
		status = left > 0 ? pa_error_set(err, PA_ERROR_INPUT, "cannot run here: %s; and %zu more",
		                                 out.data, left)
		                  : pa_error_set(err, PA_ERROR_INPUT, "cannot run here: %s", out.data);
	pa_buffer_done(&out);
	pa_arena_done(&arena);
	return status;
}
