/* SPDX-License-Identifier: Apache-2.0 */
/* The engine over real pipelines: every one ends, every text is filled in, every id is in the analysis.
 * PA_CORPUS names the folder; skipped without it. */
#include <dirent.h>

#include "run_engine_script.h"

static bool is_looped_over(const struct pa_workflow *workflow, const char *output)
{
	for (size_t i = 0; i < workflow->template_count; i++) {
		for (size_t k = 0; k < workflow->templates[i].call_count; k++) {
			const char *list = workflow->templates[i].calls[k].with_param;
			if (list && strstr(list, output))
				return true;
		}
	}
	return false;
}

/* A value that keeps a pipeline going: lists for loops, and now and then an end for recursions. */
static const char *plausible_value(const struct pa_workflow *workflow, const struct pa_instance *instance,
                                   size_t count)
{
	static const char *const others[] = {"heads", "tails", "7"};
	for (size_t i = 0; i < instance->output_parameter_count; i++)
		if (is_looped_over(workflow, instance->output_parameters[i].name))
			return "[{\"a\":1,\"b\":2,\"aaa\":\"x\",\"bbb\":\"y\",\"A_a\":\"x\",\"B_b\":\"y\"}]";
	if (instance->wants_result)
		return "[1]";
	return others[count % 3];
}

static bool analysis_knows(const struct pa_pipeline *pipeline, const char *id)
{
	return pa_pipeline_find_task(pipeline, id) != NULL;
}

/* Runs one pipeline of the corpus to its end; returns how many instances it had. */
static size_t run_corpus_pipeline(const struct pa_pipeline *pipeline, const char *path)
{
	struct pa_name_value arguments[64];
	size_t argument_count = 0, count = 0;
	for (size_t i = 0; i < pipeline->workflow->parameter_count && argument_count < 64; i++)
		if (!pipeline->workflow->parameters[i].value)
			arguments[argument_count++] =
			    (struct pa_name_value){pipeline->workflow->parameters[i].name, "7"};
	struct pa_engine_options options = {"wf", "u", "ns", arguments, argument_count};
	struct run run = {0};
	if (pa_engine_new(pipeline, &options, &run.engine, &run.error) < 0) {
		print_message("# %s: %s\n", path, run.error.message);
		return 0;
	}
	while (!pa_engine_is_done(run.engine)) {
		const struct pa_instance *instance = pa_engine_ready(run.engine);
		if (!instance)
			fail_msg("%s: stuck after %zu instances", path, count);
		check_texts(instance);
		if (!analysis_knows(pipeline, instance->task_id))
			fail_msg("%s: %s is not in the analysis", path, instance->task_id);
		struct answer answer = {"", PA_OUTCOME_SUCCEEDED,
		                        plausible_value(pipeline->workflow, instance, count)};
		finish(&run, instance, &answer);
		if (count++ > RUN_LIMIT)
			pa_engine_stop(run.engine, true);
	}
	if (pa_engine_outcome(run.engine) != PA_OUTCOME_SUCCEEDED)
		print_message("# %s: %s\n", path, pa_engine_error(run.engine));
	pa_engine_free(run.engine);
	return count;
}

static void run_corpus_file(const char *path, size_t counts[2])
{
	struct pa_buffer text;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_analysis analysis = {0};
	assert_int_equal(pa_buffer_read_file(path, PA_ANALYZE_DEFAULT_MAX_INPUT_BYTES, &text, &err), 0);
	if (pa_analyze_text(&arena, path, text.data, text.length, NULL, &analysis, &err) == 0) {
		for (size_t i = 0; i < analysis.pipeline_count; i++) {
			if (!analysis.pipelines[i].workflow)
				continue;
			counts[0]++;
			counts[1] += run_corpus_pipeline(&analysis.pipelines[i], path);
		}
	}
	pa_arena_done(&arena);
	pa_buffer_done(&text);
}

static void run_corpus_folder(const char *folder, size_t counts[2])
{
	char path[4096];
	DIR *directory = opendir(folder);
	for (struct dirent *entry; directory && (entry = readdir(directory));) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (entry->d_type == DT_DIR)
			run_corpus_folder(path, counts);
		else if (strstr(path, ".yaml") || strstr(path, ".yml"))
			run_corpus_file(path, counts);
	}
	if (directory)
		closedir(directory);
}

static void test_corpus(void **state)
{
	(void)state;
	static const char *const folders[] = {"argo-kfp-v1", "argo-handwritten"};
	const char *corpus = getenv("PA_CORPUS");
	char path[4096];
	snprintf(path, sizeof(path), "%s/argo-kfp-v1", corpus ? corpus : "");
	DIR *directory = opendir(path);
	if (!directory)
		skip();
	closedir(directory);
	for (size_t i = 0; i < 2; i++) {
		size_t counts[2] = {0, 0};
		snprintf(path, sizeof(path), "%s/%s", corpus, folders[i]);
		run_corpus_folder(path, counts);
		print_message("# %s: %zu pipelines, %zu instances\n", folders[i], counts[0], counts[1]);
		assert_true(counts[0] > 50 && counts[1] > counts[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_corpus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
