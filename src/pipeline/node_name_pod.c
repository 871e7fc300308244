/* SPDX-License-Identifier: Apache-2.0 */
/* A pod is named WORKFLOW-HASH (version 1 of Argo's pod names) or WORKFLOW-TEMPLATE-HASH (version 2, what
 * is before the hash cut to 242 characters), with the hash of its node's name in decimal.  The way back is
 * to name every node that the model can name, and to compare. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/node_name_pod_internal.h"

#define MAX_POD_NAME_BYTES 253
#define CUT_PREFIX_BYTES   242 /* what stands before "-HASH" when it was cut */
#define MAX_SPLITS         40  /* dashes where the workflow's name may end */
#define MIN_STEPS          20000
#define STEPS_PER_TASK     8

/* Turns and attempts tried at each place: few everywhere come before many somewhere. */
static const size_t pass_turns[] = {2, 12, 100, 1000};

uint32_t node_name_hash(uint32_t hash, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619u;
	return hash;
}

uint32_t node_name_hash_text(uint32_t hash, const char *text)
{
	return node_name_hash(hash, text, strlen(text));
}

uint32_t node_name_hash_attempt(uint32_t hash, size_t attempt)
{
	char text[32];
	int bytes = snprintf(text, sizeof(text), "(%zu)", attempt);

	return node_name_hash(hash, text, (size_t)bytes);
}

/* Whether what stands between the workflow's name and the hash can be this template's name. */
static bool fits_rest(const struct pod_search *search, const char *template_name)
{
	if (search->rest_bytes == 0)
		return true;
	if (strncmp(template_name, search->rest, search->rest_bytes) != 0)
		return false;
	return search->cut || template_name[search->rest_bytes] == '\0';
}

void node_name_try_pod(struct pod_search *search, uint32_t hash, const struct pa_task *task)
{
	if (hash != search->wanted || task == NULL)
		return;
	if (!node_name_is_kfp_v2(search->pipeline)) {
		const char *slash = strrchr(task->template_name, '/');
		if (!fits_rest(search, slash == NULL ? task->template_name : slash + 1) &&
		    !fits_rest(search, task->template_name))
			return;
	}
	search->several |= search->found != NULL && search->found != task;
	search->found = task;
}

static bool is_done(const struct pod_search *search)
{
	return search->found != NULL || search->steps > search->max_steps;
}

static void search_kfp_task(struct pod_search *search, const struct pa_task *task, const char *id,
                            uint32_t hash);

/* A group of KFP's is one name further in; a loop's group has a node for each turn. */
static void search_kfp_group(struct pod_search *search, const struct pa_task *task, const char *name,
                             size_t bytes, uint32_t hash)
{
	uint32_t group = node_name_hash(node_name_hash_text(hash, "."), name, bytes);

	search_kfp_task(search, task, name + bytes + 1, group);
	if (task->loop == NULL || strncmp(name, "for-loop-", strlen("for-loop-")) != 0)
		return;
	for (size_t i = 0; i < search->turns && !is_done(search); i++) {
		char turn[80];
		snprintf(turn, sizeof(turn), ".iteration-iterations(%zu:%zu).iteration-item", i, i);
		search_kfp_task(search, task, name + bytes + 1, node_name_hash_text(group, turn));
	}
}

/* Whether a node of this kind ("driver", "importer", "-impl") can have the template that the pod names. */
static bool rest_allows(const struct pod_search *search, const char *kind)
{
	return search->rest_bytes == 0 || search->cut || strstr(search->rest, kind) != NULL;
}

/* Drivers alone, importers: the task's own node; else its executor's, which may be tried again. */
static void search_kfp_task(struct pod_search *search, const struct pa_task *task, const char *id,
                            uint32_t hash)
{
	const char *slash = strchr(id, '/');

	search->steps++;
	if (is_done(search))
		return;
	if (slash != NULL) {
		search_kfp_group(search, task, id, (size_t)(slash - id), hash);
		return;
	}
	hash = node_name_hash_text(node_name_hash_text(hash, "."), id);
	if (rest_allows(search, "driver") || rest_allows(search, "importer"))
		node_name_try_pod(search, hash, task);
	if (!rest_allows(search, "-impl"))
		return;
	hash = node_name_hash_text(hash, ".executor");
	node_name_try_pod(search, hash, task);
	for (size_t i = 0; task->retries != 0 && i < search->turns && !is_done(search); i++)
		node_name_try_pod(search, node_name_hash_attempt(hash, i), task);
}

/* The groups that `other` is after, which has the task beside it: each with the task as a hook. */
static void search_kfp_hooks_of(struct pod_search *search, const struct pa_task *task,
                                const struct pa_task *other, uint32_t hash)
{
	size_t own_bytes = strcspn(task->id, "/");

	for (size_t i = 0; i < other->after_count && !is_done(search); i++) {
		size_t bytes = strcspn(other->after[i], "/");
		if (bytes == own_bytes && memcmp(other->after[i], task->id, bytes) == 0)
			continue;
		uint32_t group = node_name_hash(node_name_hash_text(hash, "."), other->after[i], bytes);
		search_kfp_task(search, task, task->id, node_name_hash_text(group, ".onExit"));
	}
}

/* A task that ends regardless of others runs as a hook of what it is after; what that is, may be said by
 * another task of a pipeline that runs at the exit. */
static void search_kfp_hook(struct pod_search *search, const struct pa_task *task, uint32_t hash)
{
	size_t own_bytes = strcspn(task->id, "/");

	search_kfp_hooks_of(search, task, task, hash);
	if (task->role != PA_ROLE_EXIT || task->id[own_bytes] == '\0')
		return;
	for (size_t i = 0; i < search->pipeline->task_count && !is_done(search); i++) {
		const struct pa_task *other = &search->pipeline->tasks[i];
		search->steps++;
		if (other->role == PA_ROLE_EXIT && strncmp(other->id, task->id, own_bytes + 1) == 0)
			search_kfp_hooks_of(search, task, other, hash);
	}
}

static void search_kfp(struct pod_search *search, uint32_t hash)
{
	const struct pa_pipeline *pipeline = search->pipeline;

	if (search->rest_bytes > 0 &&
	    (strstr(search->rest, "system-") == NULL || strstr(search->rest, "system-dag-driver") != NULL))
		return;
	hash = node_name_hash_text(hash, ".root");
	for (size_t i = 0; i < pipeline->task_count && !is_done(search); i++) {
		search_kfp_task(search, &pipeline->tasks[i], pipeline->tasks[i].id, hash);
		search_kfp_hook(search, &pipeline->tasks[i], hash);
	}
}

/* All nodes of a run whose workflow has the first `bytes` of the pod's name as its name. */
static void search_split(struct pod_search *search, const char *pod_name, size_t prefix_bytes, size_t bytes)
{
	uint32_t hash = node_name_hash(NODE_NAME_HASH_START, pod_name, bytes);

	search->rest = bytes == prefix_bytes ? "" : pod_name + bytes + 1;
	search->rest_bytes = bytes == prefix_bytes ? 0 : prefix_bytes - bytes - 1;
	search->steps = 0;
	if (node_name_is_kfp_v2(search->pipeline))
		search_kfp(search, hash);
	else
		node_name_search_argo(search, hash);
}

static bool is_named_after(const struct pa_pipeline *pipeline, const char *pod_name)
{
	return pipeline->name[0] != '\0' && strncmp(pod_name, pipeline->name, strlen(pipeline->name)) == 0;
}

/* Each way to end the workflow's name in the pod's. */
static void search_splits(struct pod_search *search, const char *pod_name, size_t prefix_bytes)
{
	size_t least_bytes = is_named_after(search->pipeline, pod_name) ? strlen(search->pipeline->name) : 1;
	size_t bytes = prefix_bytes;

	for (size_t splits = 0; bytes >= least_bytes && bytes > 0 && splits < MAX_SPLITS; splits++) {
		search_split(search, pod_name, prefix_bytes, bytes);
		for (bytes--; bytes > 0 && pod_name[bytes] != '-'; bytes--)
			;
	}
}

/* The bytes before "-HASH"; 0: the name ends in no hash. */
static size_t split_hash(const char *pod_name, uint32_t *ret_hash)
{
	size_t length = strnlen(pod_name, MAX_POD_NAME_BYTES + 1);
	const char *dash = strrchr(pod_name, '-');

	if (length > MAX_POD_NAME_BYTES || dash == NULL || dash == pod_name ||
	    strspn(pod_name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != length)
		return 0;
	size_t digits = strspn(dash + 1, "0123456789");
	if (digits == 0 || digits > 10 || dash[1 + digits] != '\0')
		return 0;
	unsigned long long hash = strtoull(dash + 1, NULL, 10);
	if (hash > UINT32_MAX)
		return 0;
	*ret_hash = (uint32_t)hash;
	return (size_t)(dash - pod_name);
}

/* A loop over what only the run knows has nodes that cannot be named: the template may still tell. */
static const struct pa_task *only_task_of_template(const struct pa_pipeline *pipeline, const char *pod_name,
                                                   size_t prefix_bytes, const char *template_name)
{
	const struct pa_task *found = NULL;

	if (node_name_is_kfp_v2(pipeline) || prefix_bytes == CUT_PREFIX_BYTES)
		return NULL;
	for (size_t i = 0; i < pipeline->task_count; i++) {
		const struct pa_task *task = &pipeline->tasks[i];
		const char *slash = strrchr(task->template_name, '/');
		const char *name = slash == NULL ? task->template_name : slash + 1;
		size_t bytes = strlen(name);
		if (!node_name_fits_template(pipeline, task, template_name) || bytes + 1 >= prefix_bytes ||
		    memcmp(pod_name + prefix_bytes - bytes, name, bytes) != 0 ||
		    pod_name[prefix_bytes - bytes - 1] != '-')
			continue;
		if (found != NULL)
			return NULL;
		found = task;
	}
	return found;
}

const struct pa_task *node_name_of_pod(const struct pa_pipeline *pipeline, const char *pod_name,
                                       const char *template_name)
{
	struct pod_search search = {.pipeline = pipeline,
	                            .max_steps = MIN_STEPS + STEPS_PER_TASK * pipeline->task_count};
	size_t prefix_bytes = split_hash(pod_name, &search.wanted);

	if (prefix_bytes == 0)
		return NULL;
	search.cut = prefix_bytes == CUT_PREFIX_BYTES;
	for (size_t pass = 0; pass < sizeof(pass_turns) / sizeof(pass_turns[0]); pass++) {
		search.turns = pass_turns[pass];
		search_splits(&search, pod_name, prefix_bytes);
		if (search.found == NULL)
			continue;
		bool fits = !search.several && node_name_fits_template(pipeline, search.found, template_name);
		return fits ? search.found : NULL;
	}
	/* Another pipeline's pods may have templates of the same names. */
	if (!is_named_after(pipeline, pod_name))
		return NULL;
	return only_task_of_template(pipeline, pod_name, prefix_bytes, template_name);
}
