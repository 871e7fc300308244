/* SPDX-License-Identifier: Apache-2.0 */
/* Exit handlers and hooks, of the workflow and of single calls: calls of their own beside the one they belong to. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

size_t argo_hook_count(const char *on_exit, const struct pa_node *hooks)
{
	return (on_exit != NULL ? 1 : 0) + (hooks != NULL ? hooks->count : 0);
}

/* One exit handler or hook of `place` (NULL: of the workflow): `<id>/hooks.<name>`. */
static int add_hook(struct argo_analysis *analysis, struct argo_instance *scope, struct argo_place *place,
                    const struct pa_call *call, const char *id, unsigned int depth, struct pa_error *err)
{
	struct argo_place *hook = &scope->places[scope->place_count++];
	int rc = argo_init_place(analysis, hook, scope, call, err);

	if (rc < 0)
		return rc;
	hook->hook_of = place;
	hook->kind = strcmp(call->key, "onExit") == 0 ? ARGO_EXIT : ARGO_HOOK;
	hook->role = hook->kind == ARGO_EXIT ? PA_ROLE_EXIT : PA_ROLE_HOOK;
	const char *prefix = pa_arena_printf(analysis->findings.budget.arena, "%s/", id);
	return argo_enter_place(analysis, hook, id, prefix, depth, err);
}

/* What runs at an end and says no arguments of its own gets the workflow's, wherever it stands. */
static void give_arguments(const struct argo_analysis *analysis, struct pa_call *call)
{
	if (call->parameter_count > 0 || call->artifact_count > 0)
		return;
	call->parameters = analysis->arguments.parameters;
	call->parameter_count = analysis->arguments.parameter_count;
	call->artifacts = analysis->arguments.artifacts;
	call->artifact_count = analysis->arguments.artifact_count;
}

static int add_exit(struct argo_analysis *analysis, struct argo_instance *scope, struct argo_place *place,
                    const char *on_exit, const char *prefix, unsigned int depth, struct pa_error *err)
{
	struct pa_arena *arena = analysis->findings.budget.arena;
	struct pa_call *call = pa_arena_alloc(arena, sizeof(*call));

	*call = (struct pa_call){.key = "onExit", .template_name = on_exit};
	call->node = place == NULL ? argo_spec_position(analysis->workflow, "onExit") : place->call->node;
	give_arguments(analysis, call);
	return add_hook(analysis, scope, place, call, pa_arena_printf(arena, "%sonExit", prefix), depth, err);
}

int argo_add_hooks(struct argo_analysis *analysis, struct argo_instance *scope, struct argo_place *place,
                   const char *prefix, unsigned int depth, struct pa_error *err)
{
	struct pa_arena *arena = analysis->findings.budget.arena;
	const char *on_exit = place == NULL ? analysis->workflow->on_exit : place->call->on_exit;
	const struct pa_node *hooks = place == NULL ? analysis->workflow->hooks : place->call->hooks;
	int rc = 0;

	if (on_exit != NULL)
		rc = add_exit(analysis, scope, place, on_exit, prefix, depth, err);
	for (uint32_t i = 0; hooks != NULL && i < hooks->count && rc == 0; i++) {
		struct pa_call *call = pa_arena_alloc(arena, sizeof(*call));
		const char *name = hooks->entries[i].key->text;
		rc = argo_read_hook(&analysis->reader, hooks->entries[i].value, name, call, err);
		if (rc == 0 && strcmp(name, "exit") == 0)
			give_arguments(analysis, call);
		if (rc == 0)
			rc = add_hook(analysis, scope, place, call,
			              pa_arena_printf(arena, "%shooks.%s", prefix, name), depth, err);
	}
	return rc;
}
