/* SPDX-License-Identifier: Apache-2.0 */
/* The names of an Argo workflow's nodes, from its templates: in steps they hold the number of the group,
 * which no id has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/node.h"
#include "pipeline/analyze.h"
#include "pipeline/node_name_pod_internal.h"

struct walk {
	struct pod_search *search;
	const struct pa_workflow *workflow;
	const struct pa_template *around[PA_ANALYZE_MAX_NESTING + 2];
	size_t depth;
	char id[PA_NODE_NAME_MAX_ID_BYTES + 1];
	size_t id_bytes;
};

/* A call, hook or exit handler: what its name adds to that of the node around it. */
struct step {
	const char *key;   /* what it adds to the id */
	const char *words; /* "onExit", "hooks.": before the key in the node's name, or instead of it */
	bool keyed;        /* the key is in the node's name */
	size_t group;      /* of steps; SIZE_MAX: none */
	const struct pa_template *template;
	const struct pa_call *call; /* with a loop; NULL for hooks */
};

static void enter_step(struct walk *walk, const struct step *step, uint32_t hash);

static bool is_done(const struct walk *walk)
{
	return walk->search->found != NULL || walk->search->steps > walk->search->max_steps;
}

static const struct pa_template *callee_of(const struct walk *walk, const struct pa_call *call)
{
	if (call->inline_template != NULL)
		return call->inline_template;
	return call->template_name == NULL ? NULL
	                                   : pa_workflow_find_template(walk->workflow, call->template_name);
}

static const struct pa_template *named_template(const struct walk *walk, const char *name)
{
	return name == NULL ? NULL : pa_workflow_find_template(walk->workflow, name);
}

/* Exit handler and hooks of the workflow or a call: a hook named "exit" is the exit handler's other name. */
static void enter_hooks(struct walk *walk, const char *on_exit, const struct pa_node *hooks, uint32_t hash)
{
	if (on_exit != NULL) {
		struct step step = {.key = "onExit",
		                    .words = "onExit",
		                    .group = SIZE_MAX,
		                    .template = named_template(walk, on_exit)};
		enter_step(walk, &step, hash);
	}
	for (uint32_t i = 0; pa_node_is_mapping(hooks) && i < hooks->count && !is_done(walk); i++) {
		const char *name = hooks->entries[i].key->text;
		const char *template = pa_node_text(pa_node_get(hooks->entries[i].value, "template"));
		char key[PA_NODE_NAME_MAX_ID_BYTES];
		bool exit = strcmp(name, "exit") == 0;
		if (snprintf(key, sizeof(key), "hooks.%s", name) >= (int)sizeof(key))
			continue;
		struct step step = {.key = key,
		                    .words = exit ? "onExit" : "",
		                    .keyed = !exit,
		                    .group = SIZE_MAX,
		                    .template = named_template(walk, template)};
		enter_step(walk, &step, hash);
	}
}

static void enter_calls(struct walk *walk, const struct pa_template *template, uint32_t hash)
{
	bool steps = template->kind == PA_TEMPLATE_STEPS;

	for (size_t i = 0; i < walk->depth; i++) {
		if (walk->around[i] == template)
			return;
	}
	if (walk->depth >= sizeof(walk->around) / sizeof(walk->around[0]))
		return;
	walk->around[walk->depth++] = template;
	for (size_t i = 0; i < template->call_count && !is_done(walk); i++) {
		const struct pa_call *call = &template->calls[i];
		struct step step = {.key = call->key,
		                    .words = "",
		                    .keyed = true,
		                    .group = steps ? call->group : SIZE_MAX,
		                    .template = callee_of(walk, call),
		                    .call = call};
		enter_step(walk, &step, hash);
	}
	walk->depth--;
}

/* The node of one use of a template. */
static void enter_template(struct walk *walk, const struct pa_template *template, uint32_t hash)
{
	walk->search->steps++;
	if (template != NULL && (template->kind == PA_TEMPLATE_DAG || template->kind == PA_TEMPLATE_STEPS)) {
		enter_calls(walk, template, hash);
		return;
	}
	walk->id[walk->id_bytes] = '\0';
	node_name_try_pod(walk->search, hash,
	                  walk->id_bytes == 0 ? node_name_entry_task(walk->search->pipeline, NULL)
	                                      : pa_pipeline_find_task(walk->search->pipeline, walk->id));
}

static void enter_attempts(struct walk *walk, const struct pa_template *template, uint32_t hash)
{
	if (template == NULL || !template->has_retry) {
		enter_template(walk, template, hash);
		return;
	}
	for (size_t i = 0; i < walk->search->turns && !is_done(walk); i++)
		enter_template(walk, template, node_name_hash_attempt(hash, i));
}

/* The hash with "(INDEX:ITEM)" behind it. */
static uint32_t hash_turn(uint32_t hash, size_t index, const char *item)
{
	char text[32];
	int bytes = snprintf(text, sizeof(text), "(%zu:", index);

	hash = node_name_hash_text(node_name_hash(hash, text, (size_t)bytes), item);
	return node_name_hash_text(hash, ")");
}

static bool read_number(const struct pa_node *sequence, const char *key, long long *ret)
{
	const char *text = pa_node_text(pa_node_get(sequence, key));
	char *end;

	if (text == NULL || text[0] == '\0')
		return false;
	*ret = strtoll(text, &end, 10);
	return *end == '\0';
}

/* "count", or "start" to "end" in either direction; a format makes other names. */
static void enter_sequence(struct walk *walk, const struct step *step, uint32_t hash)
{
	const struct pa_node *sequence = step->call->with_sequence;
	long long start = 0, end;
	/* A count that only the run knows may be any. */
	size_t count = walk->search->turns;

	if (pa_node_get(sequence, "format") != NULL)
		return;
	read_number(sequence, "start", &start);
	long long direction = read_number(sequence, "end", &end) && end < start ? -1 : 1;
	for (size_t i = 0; i < count && !is_done(walk); i++) {
		char item[32];
		snprintf(item, sizeof(item), "%lld",
		         (long long)((unsigned long long)start + (unsigned long long)direction * i));
		enter_attempts(walk, step->template, hash_turn(hash, i, item));
	}
}

/* Of lists in the file, items that are a single value; others have names that only Argo makes. */
static void enter_turns(struct walk *walk, const struct step *step, uint32_t hash)
{
	const struct pa_call *call = step->call;

	if (call == NULL ||
	    (call->with_items == NULL && call->with_sequence == NULL && call->with_param == NULL)) {
		enter_attempts(walk, step->template, hash);
		return;
	}
	if (call->with_sequence != NULL) {
		enter_sequence(walk, step, hash);
		return;
	}
	for (uint32_t i = 0; pa_node_is_sequence(call->with_items) && i < call->with_items->count &&
	                     i < walk->search->turns && !is_done(walk);
	     i++) {
		const struct pa_node *item = call->with_items->items[i];
		if (item->kind == PA_NODE_SCALAR)
			enter_attempts(walk, step->template, hash_turn(hash, i, item->text));
	}
}

static void enter_step(struct walk *walk, const struct step *step, uint32_t hash)
{
	size_t before_bytes = walk->id_bytes;
	size_t key_bytes = strlen(step->key);
	char group[32] = "";

	if (before_bytes + 1 + key_bytes > PA_NODE_NAME_MAX_ID_BYTES || is_done(walk))
		return;
	if (step->group != SIZE_MAX)
		snprintf(group, sizeof(group), "[%zu]", step->group);
	uint32_t named = node_name_hash_text(node_name_hash_text(hash, group), ".");
	named = node_name_hash_text(named, step->words);
	if (step->keyed)
		named = node_name_hash_text(named, step->key);
	if (before_bytes > 0)
		walk->id[walk->id_bytes++] = '/';
	memcpy(walk->id + walk->id_bytes, step->key, key_bytes);
	walk->id_bytes += key_bytes;
	enter_turns(walk, step, named);
	if (step->call != NULL)
		enter_hooks(walk, step->call->on_exit, step->call->hooks, named);
	walk->id_bytes = before_bytes;
}

void node_name_search_argo(struct pod_search *search, uint32_t hash)
{
	struct walk walk = {.search = search, .workflow = search->pipeline->workflow};
	const char *entrypoint = walk.workflow == NULL ? NULL : walk.workflow->entrypoint;

	if (walk.workflow == NULL)
		return;
	if (entrypoint == NULL && walk.workflow->template_count == 1)
		entrypoint = walk.workflow->templates[0].name;
	if (entrypoint != NULL)
		enter_attempts(&walk, named_template(&walk, entrypoint), hash);
	enter_hooks(&walk, walk.workflow->on_exit, walk.workflow->hooks, hash);
}
