/* SPDX-License-Identifier: Apache-2.0 */
/* The small languages: `{{…}}`, `when`, `depends`, URIs in texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "pipeline/condition.h"
#include "pipeline/depends.h"
#include "pipeline/template_text.h"
#include "pipeline/uri_internal.h"

static const char *lookup(void *context, const char *inside)
{
	(*(int *)context)++;
	if (strcmp(inside, "a") == 0)
		return "1";
	return strcmp(inside, "self") == 0 ? "{{a}}" : NULL;
}

static void test_expand(void **state)
{
	static const char *const cases[][2] = {
	    {"plain", "plain"},
	    {"{{a}}", "1"},
	    {"x{{ a }}y{{b}}z", "x1y{{b}}z"},
	    {"{{self}}", "{{a}}"},
	    {"{{a", "{{a"},
	    {"{{a}}{{", "1{{"},
	    {"{{= f('}}') }}{{a}}", "{{= f('}}') }}1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pa_arena arena = PA_ARENA_INIT;
		struct pa_error err = PA_ERROR_INIT;
		const char *result;
		int asked = 0;
		assert_int_equal(pa_template_text_expand(&arena, cases[i][0], lookup, &asked, &result, &err),
		                 0);
		assert_string_equal(result, cases[i][1]);
		pa_arena_done(&arena);
	}
}

static const char *lookup_long(void *context, const char *inside)
{
	(void)inside;
	return context;
}

static void test_expand_is_limited(void **state)
{
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	const char *result = "untouched";
	char *value = malloc(PA_TEMPLATE_TEXT_MAX_BYTES / 2 + 2);

	(void)state;
	memset(value, 'x', PA_TEMPLATE_TEXT_MAX_BYTES / 2 + 1);
	value[PA_TEMPLATE_TEXT_MAX_BYTES / 2 + 1] = '\0';
	assert_int_equal(pa_template_text_expand(&arena, "{{a}}{{a}}", lookup_long, value, &result, &err),
	                 -(int)PA_ERROR_INPUT);
	assert_string_equal(result, "untouched");
	free(value);
	pa_arena_done(&arena);
}

static void test_conditions(void **state)
{
	static const struct {
		const char *text;
		int truth; /* -1: an error */
	} cases[] = {
	    {"heads == heads", 1},
	    {"\"heads\" == \"heads\"", 1},
	    {"'heads' == \"tails\"", 0},
	    {"heads != tails", 1},
	    {"5 > 3", 1},
	    {"5 >= 5 && 3 <= 2", 0},
	    {"10 > 9", 1},
	    {"\"10\" > \"9\"", 0},
	    {"\"5\" == 5", 0},
	    {"\"5\" != 5", 1},
	    {"0x10 == 16", 1},
	    {"1 + 2 * 3 == 7", 1},
	    {"-3 < 2 - 1", 1},
	    {"7 % 4 == 3", 1},
	    {"\"a\" + \"b\" == ab", 1},
	    {"true", 1},
	    {"!true || false", 0},
	    {"!(a == b)", 1},
	    {"true || false && false", 1},
	    {"(true || false) && false", 0},
	    {"a in (\"x\", a)", 1},
	    {"a in (x, y)", 0},
	    {"\"it's\" == \"it\\u0027s\"", 0},
	    {"\"a\\\"b\" == 'a\"b'", 1},
	    {"\"\" == \"\"", 1},
	    {"", -1},
	    {"heads", -1},
	    {"a == ", -1},
	    {"(a == b", -1},
	    {"a == b)", -1},
	    {"my-task == x", -1}, /* a subtraction, as in Argo */
	    {"\"open", -1},
	    {"5 > \"3\"", -1},
	    {"5 && true", -1},
	    {"!5", -1},
	    {"a =~ b", -1},
	    {"{{tasks.a.outputs.result}} == x", -1},
	    {"5x == 5", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pa_error err = PA_ERROR_INIT;
		bool truth = false;
		int rc = pa_condition_evaluate(cases[i].text, &truth, &err);
		int got = rc < 0 ? -1 : truth;
		if (got != cases[i].truth)
			fail_msg("%s: expected %d, got %d %s", cases[i].text, cases[i].truth, got,
			         err.message);
		if (rc < 0)
			assert_int_equal(rc, -(int)PA_ERROR_INPUT);
	}
}

static void test_condition_limits(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	size_t bytes = PA_CONDITION_MAX_BYTES + 2;
	char *text = malloc(bytes);
	bool truth;

	(void)state;
	memset(text, '(', bytes - 1);
	text[bytes - 1] = '\0';
	assert_true(pa_condition_evaluate(text, &truth, &err) < 0);
	text[1000] = '\0';
	assert_true(pa_condition_evaluate(text, &truth, &err) < 0);
	assert_non_null(strstr(err.message, "nested too deeply"));
	memset(text, '!', 1000);
	assert_true(pa_condition_evaluate(text, &truth, &err) < 0);
	free(text);
}

static bool outcome(void *context, const char *task, enum pa_depends_result result)
{
	(void)context;
	if (strcmp(task, "ok") == 0)
		return result == PA_DEPENDS_SUCCEEDED;
	if (strcmp(task, "bad") == 0)
		return result == PA_DEPENDS_FAILED;
	return strcmp(task, "skipped") == 0 && result == PA_DEPENDS_SKIPPED;
}

static void test_depends(void **state)
{
	static const struct {
		const char *text;
		int truth;
		size_t names;
	} cases[] = {
	    {"ok", 1, 1},
	    {"bad", 0, 1},
	    {"skipped", 1, 1},
	    {"ok && bad", 0, 2},
	    {"ok && bad.Failed", 1, 2},
	    {"bad || ok", 1, 2},
	    {"!bad", 1, 1},
	    {"!(ok && bad.Failed)", 0, 2},
	    {"bad || ok && skipped", 1, 3},
	    {"(bad || ok) && bad.Errored", 0, 2},
	    {"ok.Succeeded || ok.Failed || ok", 1, 1},
	    {"other-task_1.Omitted", 0, 1},
	    {"", -1, 0},
	    {"ok &&", -1, 0},
	    {"ok bad", -1, 0},
	    {"(ok", -1, 0},
	    {"ok.Finished", -1, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pa_arena arena = PA_ARENA_INIT;
		struct pa_error err = PA_ERROR_INIT;
		struct pa_depends *depends = NULL;
		int rc = pa_depends_parse(&arena, cases[i].text, &depends, &err);
		int got = rc < 0 ? -1 : pa_depends_evaluate(depends, outcome, NULL);
		size_t count = 0;
		if (got != cases[i].truth)
			fail_msg("%s: expected %d, got %d %s", cases[i].text, cases[i].truth, got,
			         err.message);
		if (rc == 0)
			pa_depends_names(depends, &count);
		assert_int_equal(count, cases[i].names);
		pa_arena_done(&arena);
	}
}

static void test_uris(void **state)
{
	static const struct {
		const char *text;
		bool code;
		const char *uri; /* NULL: none */
	} cases[] = {
	    {"--data=s3://bucket/key", false, "s3://bucket/key"},
	    {"cat 'gs://b/x.csv' | wc", true, "gs://b/x.csv"},
	    {"see hdfs://node:9000/a/b.", false, "hdfs://node:9000/a/b"},
	    {"s3://b/{{workflow.uid}}/x y", false, "s3://b/{{workflow.uid}}/x"},
	    {"gs://$BUCKET/x", true, NULL},
	    {"'gs://{}/x'.format(b)", true, NULL},
	    {"http://minio:9000", false, NULL},
	    {"http://minio:9000/", false, NULL},
	    {"http://host/page", false, "http://host/page"},
	    {"http://www.apache.org/licenses/LICENSE-2.0", true, NULL},
	    {"https://host/iris.csv?raw=1", true, "https://host/iris.csv?raw=1"},
	    {"xs3://b/k", false, NULL},
	    {"s3://", false, NULL},
	    {"json://x/y then s3://b/k", false, "s3://b/k"},
	    {"gs://$B/x,s3://b/k", true, "s3://b/k"},
	    {"s3://{{a s3://b/{{k}}", false, "s3://b/{{k}}"},
	    {"s3://{{a", false, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pa_uri uri = {NULL, 0};
		size_t offset = 0;
		bool found = pa_uri_next(cases[i].text, cases[i].code, &offset, &uri);
		if (found != (cases[i].uri != NULL) ||
		    (found &&
		     (uri.bytes != strlen(cases[i].uri) || memcmp(uri.text, cases[i].uri, uri.bytes) != 0)))
			fail_msg("%s: got %.*s", cases[i].text, (int)uri.bytes,
			         uri.text == NULL ? "" : uri.text);
	}
	assert_string_equal(pa_uri_kind("s3://b/k/"), "directory");
	assert_string_equal(pa_uri_kind("s3://b"), "directory");
	assert_string_equal(pa_uri_kind("s3://b/x.csv"), "file");
	assert_string_equal(pa_uri_kind("s3://b/x"), "unknown");
	assert_string_equal(pa_uri_kind("cassandra://c/k/t"), "table");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_expand),     cmocka_unit_test(test_expand_is_limited),
	    cmocka_unit_test(test_conditions), cmocka_unit_test(test_condition_limits),
	    cmocka_unit_test(test_depends),    cmocka_unit_test(test_uris),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
