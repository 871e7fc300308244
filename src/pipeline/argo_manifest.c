/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests of resource templates, read before a run has filled them in.  `uid: {{workflow.uid}}` is no YAML that means
 * what it should; so references that are left stand between two characters of Unicode's private area meanwhile. */
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/argo_internal.h"
#include "pipeline/template_text.h"

#define OPEN       "\xEE\x80\x80" /* U+E000 */
#define CLOSE      "\xEE\x80\x81" /* U+E001 */
#define MARK_BYTES 3

static char *mask(struct pa_arena *arena, const char *text)
{
	struct pa_template_reference reference;
	size_t length = strlen(text), at = 0, used = 0;
	/* Each reference has two braces on either side; a mark is one byte longer than they are. */
	char *masked = pa_arena_alloc(arena, length + length / 2 + 1);

	for (; pa_template_text_next(text, at, &reference); at = reference.end) {
		memcpy(masked + used, text + at, reference.begin - at);
		used += reference.begin - at;
		memcpy(masked + used, OPEN, MARK_BYTES);
		used += MARK_BYTES;
		memcpy(masked + used, reference.inside, reference.inside_bytes);
		used += reference.inside_bytes;
		memcpy(masked + used, CLOSE, MARK_BYTES);
		used += MARK_BYTES;
	}
	memcpy(masked + used, text + at, length - at);
	masked[used + length - at] = '\0';
	return masked;
}

int argo_read_manifest(struct argo_analysis *analysis, struct argo_instance *instance,
                       struct pa_document **ret, size_t *ret_count, struct pa_error *err)
{
	const struct pa_budget *budget = &analysis->findings.budget;
	const struct pa_node *at = instance->template->node;
	struct pa_error ignored = PA_ERROR_INIT;
	const char *text;

	*ret_count = 0;
	int rc = argo_expand(analysis, instance, instance->template->resource_manifest, &text, err);
	if (rc == 0)
		rc = pa_budget_check(budget, 2 * strlen(text), at, err);
	if (rc < 0)
		return rc;
	const char *masked = mask(budget->arena, text);
	if (pa_document_read(budget->arena, at->file, masked, strlen(masked), ret, ret_count, &ignored) < 0)
		*ret_count = 0;
	return pa_budget_check(budget, 0, at, err);
}

const char *argo_manifest_text(struct argo_analysis *analysis, const struct pa_node *node)
{
	const char *text = pa_node_text(node);
	struct pa_buffer plain;

	if (text == NULL || strstr(text, OPEN) == NULL)
		return text;
	pa_buffer_init(&plain, PA_TEMPLATE_TEXT_MAX_BYTES);
	while (*text != '\0') {
		bool opens = strncmp(text, OPEN, MARK_BYTES) == 0,
		     closes = strncmp(text, CLOSE, MARK_BYTES) == 0;
		if (opens || closes)
			pa_buffer_puts(&plain, opens ? "{{" : "}}");
		else
			pa_buffer_append(&plain, text, 1);
		text += opens || closes ? MARK_BYTES : 1;
	}
	const char *copy = pa_arena_strdup(analysis->findings.budget.arena, plain.data);
	pa_buffer_done(&plain);
	return copy;
}
