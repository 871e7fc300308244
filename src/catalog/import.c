/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/catalog_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/hash.h"

bool pa_catalog_parse_time(const char *text, int64_t *ret_ms)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y%m%dT%H%M%S"};
	const char *rest = NULL;
	struct tm parts;
	double fraction = 0;

	for (size_t i = 0; rest == NULL && i < sizeof(forms) / sizeof(forms[0]); i++) {
		memset(&parts, 0, sizeof(parts));
		rest = strptime(text, forms[i], &parts);
	}
	/* Two digits for a year, or a month first, are guesses that nobody should make. */
	if (rest == NULL || parts.tm_year < 70 || parts.tm_year > 300)
		return false;
	if (rest[0] == '.') {
		char *end;
		fraction = strtod(rest, &end);
		rest = end;
	}
	struct tm offset = {0};
	if (rest[0] != '\0') {
		rest = strptime(rest, "%z", &offset);
		if (rest == NULL || rest[0] != '\0')
			return false;
	}
	int64_t seconds = (int64_t)timegm(&parts) - offset.tm_gmtoff;
	*ret_ms = seconds * 1000 + (int64_t)(fraction * 1000);
	return true;
}

static int find_key(struct pa_catalog *catalog, const char *key, bool *ret, struct pa_error *err)
{
	PA_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
	int64_t count = 0;
	int result =
	    pa_catalog_prepare(catalog, "SELECT count(*) FROM run WHERE import_key = ?", &statement, err);

	if (result == 0)
		result = pa_catalog_bind(catalog, statement, err, "s", key);
	if (result == 0)
		result = pa_catalog_integer(catalog, statement, &count, err);
	if (result == 0)
		*ret = count > 0;
	return result;
}

/* The record itself says which execution it is: the same one twice is no second run. */
static char *key_of(const json_t *root, const char *name, char out[PA_HASH128_TEXT_BYTES])
{
	char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	struct pa_hash_part parts[] = {{text == NULL ? "" : text, text == NULL ? 0 : strlen(text)},
	                               {name, strlen(name)}};

	pa_hash_format(pa_hash_name(parts, 2), out);
	free(text);
	return out;
}

static int import_one(struct pa_catalog *catalog, struct pa_arena *arena, const char *file,
                      const json_t *root, const char *name, size_t *runs, struct pa_error *err)
{
	struct pa_catalog_import import = {0};
	char key[PA_HASH128_TEXT_BYTES];
	int64_t pipeline_id = 0, run_id = 0;
	bool known = false;
	int result;

	if (pa_catalog_is_wfformat(root))
		result = pa_catalog_read_wfformat(arena, file, root, &import, err);
	else if (pa_catalog_is_workflow(root))
		result = pa_catalog_read_workflow(arena, file, root, &import, err);
	else
		result = pa_error_set(
		    err, PA_ERROR_INPUT,
		    "%s: neither a WfCommons instance nor an Argo Workflow that has run; give the output of "
		    "\"argo get NAME -o json\" or a file of WfFormat 1.5",
		    file);
	if (result < 0)
		return result;
	if (name != NULL)
		import.pipeline.name = name;
	result = find_key(catalog, key_of(root, import.pipeline.name, key), &known, err);
	if (result < 0 || known)
		return result;
	struct pa_catalog_origin origin = {.import_key = key, .durations_s = import.durations_s};
	result = pa_catalog_write_pipeline(catalog, &import.pipeline, NULL, &pipeline_id, err);
	if (result == 0)
		result = pa_catalog_write_run(catalog, pipeline_id, &import.run, &origin, &run_id, err);
	if (result < 0) {
		/* What breaks a rule of a table here, such as an id given twice, is the file's fault. */
		if (err->class == PA_ERROR_BUG)
			err->class = PA_ERROR_INPUT;
		return pa_error_wrap(err, "%s", file);
	}
	(*runs)++;
	return 0;
}

/* A list, as kubectl and argo print several workflows, or one execution. */
static int import_all(struct pa_catalog *catalog, struct pa_arena *arena, const char *file,
                      const json_t *root, const char *name, size_t *runs, struct pa_error *err)
{
	const json_t *items = json_is_array(root) ? root : json_object_get(root, "items");
	int result = 0;

	if (!json_is_array(items))
		return import_one(catalog, arena, file, root, name, runs, err);
	for (size_t i = 0; result == 0 && i < json_array_size(items); i++)
		result = import_one(catalog, arena, file, json_array_get(items, i), name, runs, err);
	return result;
}

int pa_catalog_import_runs(struct pa_catalog *catalog, const char *file, const char *text, size_t bytes,
                           const char *name, size_t *ret_runs, struct pa_error *err)
{
	json_error_t where;
	struct pa_arena arena;
	size_t runs = 0;

	if (name != NULL && name[0] == '\0')
		return pa_error_set(err, PA_ERROR_INPUT, "%s: the name given for the pipeline is empty",
		                    file);
	json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &where);
	if (root == NULL)
		return pa_error_set(err, PA_ERROR_INPUT, "%s:%d:%d: no JSON: %s", file, where.line,
		                    where.column, where.text);
	pa_arena_init(&arena);
	/* All of the file or nothing of it. */
	int result = pa_catalog_begin(catalog, err);
	if (result == 0)
		result = import_all(catalog, &arena, file, root, name, &runs, err);
	result = pa_catalog_finish(catalog, result, err);
	pa_arena_done(&arena);
	json_decref(root);
	if (result == 0)
		*ret_runs = runs;
	return result;
}
