/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/ir_internal.h"
#include "pipeline/runtime_internal.h"
#include "pipeline/template_text.h"

#define KFP_PREFIX        "pipelines.kubeflow.org/"
#define ARGUMENT_PREFIX   "workflow.parameters."
#define ANNOTATION_PREFIX "workflow.annotations." KFP_PREFIX

/* A JSON text of the workflow, read when it is first asked for. */
struct embedded {
	const char *name; /* "components-comp-train" */
	const struct pa_node *scalar;
	const struct pa_node *value; /* NULL: broken, which is among the findings */
	bool done;
};

struct runtime_reader {
	struct pa_findings *findings;
	const struct pa_node *workflow;
	struct embedded *texts;
	size_t text_count;
	struct pa_name_table text_index;
	struct ir_spec spec;
};

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_embedded(const char *name)
{
	return has_prefix(name, "components-") || has_prefix(name, "implementations-") ||
	       has_prefix(name, "kubernetes-");
}

static const struct pa_node *argument_list(const struct pa_node *of)
{
	const struct pa_node *list = pa_node_path(of, "arguments.parameters");

	return pa_node_is_sequence(list) ? list : NULL;
}

/* A component by its name, and an object by its looks: other workflows may have parameters of such names. */
static bool is_component(const char *name, const struct pa_node *value)
{
	const char *text = pa_node_text(value);

	return name != NULL && text != NULL && text[0] == '{' &&
	       (has_prefix(name, "components-") || has_prefix(name, "implementations-"));
}

bool runtime_is_workflow(const struct pa_node *root)
{
	const struct pa_node *arguments = argument_list(pa_node_get(root, "spec"));
	const struct pa_node *annotations = pa_node_path(root, "metadata.annotations");

	for (uint32_t i = 0; arguments != NULL && i < arguments->count; i++) {
		if (is_component(pa_node_text(pa_node_get(arguments->items[i], "name")),
		                 pa_node_get(arguments->items[i], "value")))
			return true;
	}
	for (uint32_t i = 0; pa_node_is_mapping(annotations) && i < annotations->count; i++) {
		const char *key = annotations->entries[i].key->text;
		if (has_prefix(key, KFP_PREFIX) &&
		    is_component(key + strlen(KFP_PREFIX), annotations->entries[i].value))
			return true;
	}
	return false;
}

static void add_text(struct runtime_reader *reader, const char *name, const struct pa_node *scalar)
{
	if (name == NULL || scalar == NULL || !is_embedded(name) ||
	    pa_name_table_put(&reader->text_index, name, reader->text_count) != SIZE_MAX)
		return;
	reader->texts[reader->text_count++] = (struct embedded){.name = name, .scalar = scalar};
}

static int collect_texts(struct runtime_reader *reader, struct pa_error *err)
{
	const struct pa_budget *budget = &reader->findings->budget;
	const struct pa_node *arguments = argument_list(pa_node_get(reader->workflow, "spec"));
	const struct pa_node *annotations = pa_node_path(reader->workflow, "metadata.annotations");
	size_t room = 0;

	if (!pa_node_is_mapping(annotations))
		annotations = NULL;
	room += arguments == NULL ? 0 : arguments->count;
	room += annotations == NULL ? 0 : annotations->count;
	int rc = pa_budget_check(budget, room * 2 * sizeof(*reader->texts), reader->workflow, err);
	if (rc < 0)
		return rc;
	reader->texts = pa_arena_array(budget->arena, room, sizeof(*reader->texts));
	for (uint32_t i = 0; arguments != NULL && i < arguments->count; i++)
		add_text(reader, pa_node_text(pa_node_get(arguments->items[i], "name")),
		         pa_node_get(arguments->items[i], "value"));
	for (uint32_t i = 0; annotations != NULL && i < annotations->count; i++) {
		const char *key = annotations->entries[i].key->text;
		if (has_prefix(key, KFP_PREFIX))
			add_text(reader, key + strlen(KFP_PREFIX), annotations->entries[i].value);
	}
	return 0;
}

/* A JSON object in a scalar; NULL: broken, which becomes a finding. */
static int read_object(struct runtime_reader *reader, const struct pa_node *scalar, const char *what,
                       const struct pa_node **ret, struct pa_error *err)
{
	const struct pa_budget *budget = &reader->findings->budget;
	const char *text = pa_node_text(scalar);
	struct pa_error broken = PA_ERROR_INIT;
	const struct pa_node *value = NULL;

	*ret = NULL;
	int rc = pa_budget_check(budget, scalar->length, scalar, err);
	if (rc < 0)
		return rc;
	if (text != NULL &&
	    pa_document_read_json(budget->arena, scalar, text, scalar->length, &value, &broken) < 0)
		return pa_findings_unresolved(reader->findings, scalar, err, "%.100s: %.250s", what,
		                              broken.message);
	if (!pa_node_is_mapping(value))
		return pa_findings_unresolved(reader->findings, scalar, err, "%.100s is no JSON object",
		                              what);
	*ret = value;
	return pa_budget_check(budget, 0, scalar, err);
}

static int read_embedded(struct runtime_reader *reader, size_t number, const struct pa_node **ret,
                         struct pa_error *err)
{
	struct embedded *text = &reader->texts[number];
	int rc = 0;

	if (!text->done)
		rc = read_object(reader, text->scalar, text->name, &text->value, err);
	text->done = true;
	*ret = text->value;
	return rc;
}

/* The name in "{{workflow.parameters.NAME}}", or NULL. */
static const char *referred_name(struct runtime_reader *reader, const char *text)
{
	static const char *const prefixes[] = {ARGUMENT_PREFIX, ANNOTATION_PREFIX};
	struct pa_template_reference reference;

	if (text == NULL || !pa_template_text_next(text, 0, &reference) || reference.begin != 0)
		return NULL;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t length = strlen(prefixes[i]);
		if (reference.inside_bytes > length && strncmp(reference.inside, prefixes[i], length) == 0)
			return pa_arena_strndup(reader->findings->budget.arena, reference.inside + length,
			                        reference.inside_bytes - length);
	}
	return NULL;
}

/* The object that a driver's argument gives, itself or by a reference; NULL: no argument, or nothing that
 * can be read. */
static int read_argument(struct runtime_reader *reader, const struct pa_node *call, const char *name,
                         const struct pa_node **ret, struct pa_error *err)
{
	const struct pa_node *arguments = argument_list(call);
	const struct pa_node *value = NULL;

	*ret = NULL;
	for (uint32_t i = 0; arguments != NULL && i < arguments->count && value == NULL; i++) {
		const char *key = pa_node_text(pa_node_get(arguments->items[i], "name"));
		if (key != NULL && strcmp(key, name) == 0)
			value = pa_node_get(arguments->items[i], "value");
	}
	if (pa_node_is_null(value) || (pa_node_text(value) != NULL && value->length == 0))
		return 0;
	const char *referred = referred_name(reader, pa_node_text(value));
	if (referred == NULL)
		return read_object(reader, value, name, ret, err);
	size_t number = pa_name_table_get(&reader->text_index, referred);
	if (number != SIZE_MAX)
		return read_embedded(reader, number, ret, err);
	return pa_findings_unresolved(reader->findings, value, err,
	                              "%.200s is not in the workflow's arguments", referred);
}

/* The component with the executor's label replaced by `label`.  Components that are the same but for
 * Kubernetes' configuration share one text and its label; with a label of its own, each keeps its
 * configuration. */
static const struct pa_node *relabel(struct runtime_reader *reader, const struct pa_node *component,
                                     const char *label)
{
	struct pa_arena *arena = reader->findings->budget.arena;

	for (uint32_t i = 0; i < component->count; i++) {
		if (strcmp(component->entries[i].key->text, "executorLabel") != 0)
			continue;
		struct pa_node *copy = pa_arena_alloc(arena, sizeof(*copy));
		struct pa_node *text = pa_arena_alloc(arena, sizeof(*text));
		*copy = *component;
		copy->entries = pa_arena_array(arena, component->count, sizeof(*copy->entries));
		memcpy(copy->entries, component->entries, component->count * sizeof(*copy->entries));
		*text = (struct pa_node){.kind = PA_NODE_SCALAR,
		                         .line = component->line,
		                         .column = component->column,
		                         .walk = 1,
		                         .file = component->file,
		                         .text = label,
		                         .length = strlen(label)};
		copy->entries[i].value = text;
		return copy;
	}
	return component;
}

/* What is known of one component; all but the component may be missing. */
struct found {
	const struct pa_node *component, *implementation, *kubernetes;
};

static int add_component(struct runtime_reader *reader, const char *name, const struct found *found,
                         struct pa_error *err)
{
	const struct pa_budget *budget = &reader->findings->budget;
	struct ir_spec *spec = &reader->spec;
	bool importer = pa_node_get(found->implementation, "artifactUri") != NULL;

	if (pa_name_table_get(&spec->components.index, name) != SIZE_MAX)
		return 0;
	size_t bytes = sizeof(*found->component) * 2 + found->component->count * sizeof(struct pa_node_entry);
	int rc = pa_budget_check(budget, bytes, found->component, err);
	if (rc == 0)
		rc = ir_spec_add_component(spec, budget, name, relabel(reader, found->component, name), err);
	if (rc == 0 && found->implementation != NULL)
		rc = ir_spec_add_executor(spec, budget, name, importer ? IR_IMPORTER : IR_CONTAINER,
		                          found->implementation, err);
	if (rc == 0 && found->kubernetes != NULL)
		rc = ir_spec_add_platform(spec, budget, name, found->kubernetes, err);
	return rc;
}

static int read_root_driver(struct runtime_reader *reader, const struct pa_node *call, struct pa_error *err)
{
	const struct pa_node *root;
	int rc = read_argument(reader, call, "component", &root, err);

	if (rc < 0 || reader->spec.root != NULL)
		return rc;
	reader->spec.root = root;
	return read_argument(reader, call, "runtime-config", &reader->spec.runtime_config, err);
}

static int read_task_driver(struct runtime_reader *reader, const struct pa_node *call,
                            const struct pa_node *task, struct pa_error *err)
{
	const char *name = pa_node_text(pa_node_path(task, "componentRef.name"));
	struct found found;
	int rc;

	if (name == NULL)
		return pa_findings_unresolved(reader->findings, task, err,
		                              "the task of a driver has no componentRef.name");
	rc = read_argument(reader, call, "component", &found.component, err);
	if (rc == 0)
		rc = read_argument(reader, call, "container", &found.implementation, err);
	if (rc == 0 && found.implementation == NULL)
		rc = read_argument(reader, call, "importer", &found.implementation, err);
	if (rc == 0)
		rc = read_argument(reader, call, "kubernetes-config", &found.kubernetes, err);
	if (rc < 0 || found.component == NULL)
		return rc;
	return add_component(reader, name, &found, err);
}

static bool has_argument(const struct pa_node *call, const char *name, const char *value)
{
	const struct pa_node *arguments = argument_list(call);

	for (uint32_t i = 0; arguments != NULL && i < arguments->count; i++) {
		const char *key = pa_node_text(pa_node_get(arguments->items[i], "name"));
		const char *text = pa_node_text(pa_node_get(arguments->items[i], "value"));
		if (key != NULL && strcmp(key, name) == 0 &&
		    (value == NULL || (text != NULL && strcmp(text, value) == 0)))
			return true;
	}
	return false;
}

/* A call that names a component is a driver's: the root's, or one of a task. */
static int read_call(struct runtime_reader *reader, const struct pa_node *call, struct pa_error *err)
{
	const struct pa_node *task;

	if (!has_argument(call, "component", NULL))
		return 0;
	if (has_argument(call, "driver-type", "ROOT_DAG") || !has_argument(call, "task", NULL))
		return read_root_driver(reader, call, err);
	int rc = read_argument(reader, call, "task", &task, err);
	if (rc < 0 || task == NULL)
		return rc;
	return read_task_driver(reader, call, task, err);
}

static int read_templates(struct runtime_reader *reader, struct pa_error *err)
{
	const struct pa_node *templates = pa_node_path(reader->workflow, "spec.templates");
	int rc = 0;

	if (templates != NULL && !pa_node_is_sequence(templates))
		return pa_node_error(templates, err, "spec.templates must be a list of templates");
	for (uint32_t i = 0; templates != NULL && i < templates->count && rc == 0; i++) {
		const struct pa_node *calls = pa_node_path(templates->items[i], "dag.tasks");
		if (calls != NULL && !pa_node_is_sequence(calls))
			return pa_node_error(calls, err, "dag.tasks must be a list of tasks");
		for (uint32_t j = 0; calls != NULL && j < calls->count && rc == 0; j++)
			rc = read_call(reader, calls->items[j], err);
	}
	return rc;
}

/* The text KIND-NAME, if there is one. */
static int read_by_name(struct runtime_reader *reader, const char *kind, const char *name,
                        const struct pa_node **ret, struct pa_error *err)
{
	const char *whole = pa_arena_printf(reader->findings->budget.arena, "%s-%s", kind, name);
	size_t number = pa_name_table_get(&reader->text_index, whole);

	*ret = NULL;
	return number == SIZE_MAX ? 0 : read_embedded(reader, number, ret, err);
}

/* Components that a DAG calls and no driver showed (its template is missing) are found by their names. */
static int add_called(struct runtime_reader *reader, const struct pa_node *component, struct pa_error *err)
{
	const struct pa_node *tasks = pa_node_path(component, "dag.tasks");
	int rc = 0;

	for (uint32_t i = 0; pa_node_is_mapping(tasks) && i < tasks->count && rc == 0; i++) {
		const char *name = pa_node_text(pa_node_path(tasks->entries[i].value, "componentRef.name"));
		struct found found;
		if (name == NULL || pa_name_table_get(&reader->spec.components.index, name) != SIZE_MAX)
			continue;
		rc = read_by_name(reader, "components", name, &found.component, err);
		if (rc == 0)
			rc = read_by_name(reader, "implementations", name, &found.implementation, err);
		if (rc == 0)
			rc = read_by_name(reader, "kubernetes", name, &found.kubernetes, err);
		if (rc == 0 && found.component != NULL)
			rc = add_component(reader, name, &found, err);
	}
	return rc;
}

static int complete(struct runtime_reader *reader, struct pa_error *err)
{
	struct ir_spec *spec = &reader->spec;
	int rc = 0;

	if (spec->root == NULL)
		rc = read_by_name(reader, "components", "root", &spec->root, err);
	if (rc == 0 && spec->root == NULL)
		return pa_node_error(
		    reader->workflow, err,
		    "the workflow's root component is missing or broken; its text should be the argument "
		    "components-root, or what a driver of type ROOT_DAG has as component");
	if (rc == 0)
		rc = add_called(reader, spec->root, err);
	for (size_t i = 0; i < spec->components.count && rc == 0; i++)
		rc = add_called(reader, spec->components.items[i].node, err);
	return rc;
}

int runtime_analyze(const struct pa_budget *budget, const struct pa_node *root, size_t document,
                    const struct pa_analyze_options *options, struct pa_pipeline *ret, struct pa_error *err)
{
	struct pa_findings findings;
	struct runtime_reader reader = {.findings = &findings, .workflow = root};
	const char *name = pa_node_text(pa_node_path(root, "metadata.name"));

	pa_findings_init(&findings, budget, options != NULL ? options->explain : NULL);
	pa_name_table_init(&reader.text_index, budget->arena);
	ir_spec_init(&reader.spec, budget, root);
	reader.spec.document = document;
	reader.spec.format = PA_FORMAT_KFP_V2_RUNTIME;
	reader.spec.name = name != NULL ? name : pa_node_text(pa_node_path(root, "metadata.generateName"));
	reader.spec.partial = true;
	int rc = collect_texts(&reader, err);
	if (rc == 0)
		rc = read_templates(&reader, err);
	if (rc == 0)
		rc = complete(&reader, err);
	if (rc < 0)
		return rc;
	return ir_analyze_spec(&findings, &reader.spec, options, ret, err);
}
