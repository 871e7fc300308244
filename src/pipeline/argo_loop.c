/* SPDX-License-Identifier: Apache-2.0 */
/* Loops: how many items, and which task makes the list. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"

/* Items between start and end, or of `count`; -1 when only the run knows. */
static int sequence_items(struct argo_analysis *analysis, struct argo_instance *scope,
                          const struct pa_node *sequence, int64_t *ret, struct pa_error *err)
{
	static const char *const keys[] = {"count", "start", "end"};
	long long numbers[3] = {0};
	bool known[3] = {false};

	*ret = -1;
	for (size_t i = 0; i < 3; i++) {
		const char *text = pa_node_text(pa_node_get(sequence, keys[i]));
		char *rest;
		if (text == NULL)
			continue;
		int rc = argo_expand(analysis, scope, text, &text, err);
		if (rc < 0)
			return rc;
		errno = 0;
		numbers[i] = strtoll(text, &rest, 10);
		known[i] = errno == 0 && rest != text && *rest == '\0' && numbers[i] > -INT32_MAX &&
		           numbers[i] < INT32_MAX;
		if (!known[i])
			return 0;
	}
	if (known[0])
		*ret = numbers[0] < 0 ? 0 : numbers[0];
	else if (known[2])
		*ret = llabs(numbers[2] - numbers[1]) + 1;
	return 0;
}

/* The length of a list that a parameter holds as JSON. */
static int parameter_items(struct argo_analysis *analysis, struct argo_place *place, int64_t *ret,
                           struct pa_error *err)
{
	const char *text;
	struct pa_error ignored = PA_ERROR_INIT;
	const struct pa_node *list;
	int rc = argo_expand(analysis, place->scope, place->call->with_param, &text, err);

	*ret = -1;
	if (rc < 0 || !argo_is_known(text))
		return rc;
	if (pa_document_read_json(analysis->findings.budget.arena, place->call->node, text, strlen(text),
	                          &list, &ignored) == 0 &&
	    pa_node_is_sequence(list))
		*ret = list->count;
	return pa_budget_check(&analysis->findings.budget, 0, place->call->node, err);
}

static int fill_loop(struct argo_analysis *analysis, struct argo_place *place, struct pa_error *err)
{
	const struct pa_call *call = place->call;
	struct pa_loop *loop = place->loop;
	static const char *const keys[] = {"count", "start", "end"};
	struct argo_origins origins = {0};
	int rc;

	if (call->with_items != NULL) {
		loop->items = call->with_items->count;
		return 0;
	}
	if (call->with_param != NULL) {
		rc = parameter_items(analysis, place, &loop->items, err);
		if (rc == 0)
			rc = argo_origins_of_text(analysis, place->scope, NULL, call->with_param, &origins,
			                          err);
	} else {
		rc = sequence_items(analysis, place->scope, call->with_sequence, &loop->items, err);
		for (size_t i = 0; i < 3 && rc == 0; i++)
			rc = argo_origins_of_text(analysis, place->scope, NULL,
			                          pa_node_text(pa_node_get(call->with_sequence, keys[i])),
			                          &origins, err);
	}
	for (size_t i = 0; i < origins.count && loop->from_task == NULL; i++) {
		loop->from_task = origins.items[i].task;
		loop->from_output = origins.items[i].output;
	}
	return rc;
}

/* The loops of all calls, before tasks look at them. */
int argo_fill_loops(struct argo_analysis *analysis, struct argo_instance *instance, struct pa_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < instance->place_count && rc == 0; i++) {
		struct argo_place *place = &instance->places[i];
		if (place->has_loop && place->inside != NULL)
			rc = fill_loop(analysis, place, err);
		if (rc == 0 && place->inside != NULL)
			rc = argo_fill_loops(analysis, place->inside, err);
	}
	return rc;
}
