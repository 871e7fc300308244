/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"

struct reading {
	struct pa_arena arena;
	struct pa_error err;
	struct pa_document *documents;
	size_t count;
	int rc;
};

static struct reading read_bytes(const char *text, size_t bytes)
{
	struct reading reading = {.arena = PA_ARENA_INIT};

	reading.rc = pa_document_read(&reading.arena, "f", text, bytes, &reading.documents, &reading.count,
	                              &reading.err);
	return reading;
}

static struct reading read_text(const char *text)
{
	return read_bytes(text, strlen(text));
}

static void refuses(const char *text, const char *message)
{
	struct reading reading = read_text(text);

	if (reading.rc != -(int)PA_ERROR_INPUT || strstr(reading.err.message, message) == NULL)
		fail_msg("'%.60s': expected \"%s\", got %d \"%s\"", text, message, reading.rc,
		         reading.err.message);
	pa_arena_done(&reading.arena);
}

static void becomes(const char *text, const char *json)
{
	struct reading reading = read_text(text);

	if (reading.rc != 0)
		fail_msg("'%s': %s", text, reading.err.message);
	assert_int_equal(reading.count, 1);
	assert_string_equal(pa_node_to_json(&reading.arena, reading.documents[0].root), json);
	pa_arena_done(&reading.arena);
}

static void test_values_keep_their_text(void **state)
{
	(void)state;
	becomes("a: 010\nb: yes\nc: 1.50\nd: true\ne: ~\nf: '5'\ng:\n",
	        "{\"a\":\"010\",\"b\":\"yes\",\"c\":1.50,\"d\":true,\"e\":null,\"f\":\"5\",\"g\":null}");
	becomes("[1, -2.5e3, 0x10, .5, 1_000, !!str 7]", "[1,-2.5e3,\"0x10\",\".5\",\"1_000\",\"7\"]");
	becomes("a: |2\n    x\n  y\nb: \"tab\\there \\\"q\\\"\"\n",
	        "{\"a\":\"  x\\ny\\n\",\"b\":\"tab\\there \\\"q\\\"\"}");
}

static void test_positions(void **state)
{
	(void)state;
	struct reading reading = read_text("# note\na:\n  - b: {c: d}\n");
	const struct pa_node *list = pa_node_get(reading.documents[0].root, "a");
	const struct pa_node *value = pa_node_path(list->items[0], "b.c");

	assert_int_equal(value->line, 3);
	assert_int_equal(value->column, 12);
	assert_string_equal(value->text, "d");
	assert_int_equal(pa_node_error(value, &reading.err, "wrong"), -(int)PA_ERROR_INPUT);
	assert_string_equal(reading.err.message, "f:3:12: wrong");
	pa_arena_done(&reading.arena);
}

static void test_documents_are_counted(void **state)
{
	(void)state;
	struct reading reading = read_text("a: 1\n---\n---\nb: 2\n");

	assert_int_equal(reading.count, 3);
	assert_null(reading.documents[1].root);
	assert_int_equal(reading.documents[2].index, 2);
	pa_arena_done(&reading.arena);

	reading = read_text("");
	assert_int_equal(reading.rc, 0);
	assert_int_equal(reading.count, 0);
	pa_arena_done(&reading.arena);
}

/* The documents of a text as JSON, a blank between them; one that cannot be read is its error. */
static void documents_are(const char *text, size_t bytes, const char *expected)
{
	struct reading reading = read_bytes(text, bytes);
	char all[4096] = "";
	size_t failed = 0;

	for (size_t i = 0; i < reading.count; i++) {
		const struct pa_document *document = &reading.documents[i];
		const char *one = document->error != NULL  ? document->error
		                  : document->root == NULL ? "-"
		                                           : pa_node_to_json(&reading.arena, document->root);
		assert_int_equal(document->index, i);
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%.24s", i == 0 ? "" : " | ", one);
		if (document->error != NULL && failed++ == 0)
			assert_string_equal(reading.err.message, document->error);
	}
	assert_int_equal(reading.rc, failed > 0 ? -(int)PA_ERROR_INPUT : 0);
	assert_string_equal(all, expected);
	pa_arena_done(&reading.arena);
}

static void test_one_bad_document_does_not_lose_the_others(void **state)
{
#define GIVES(text, expected) documents_are(text, sizeof(text) - 1, expected)
	(void)state;
	GIVES("a: 1\n---\nb: [\n", "{\"a\":1} | f:4:1: not YAML: while p");
	GIVES("a: [\n---\nb: 1\n", "f:2:1: not YAML: while p | {\"b\":1}");
	GIVES("a: 1\n--- # two\nb: 'x\n---\nc: 2\n", "{\"a\":1} | f:4:1: not YAML: while s | {\"c\":2}");
	/* Positions behind an error are those of the whole text, whatever ends its lines. */
	GIVES("a: b: c\n---\nd: 1\n---\ne: f: g\n", "f:1:5: not YAML: mapping | {\"d\":1} | "
	                                            "f:5:5: not YAML: mapping");
	GIVES("a: b: c\r\n---\r\nd: 1\r\n---\r\ne: f: g\r\n",
	      "f:1:5: not YAML: mapping | {\"d\":1} | f:5:5: not YAML: mapping");
	GIVES("\xef\xbb\xbf"
	      "a: b: c\n---\n{d: 1\n",
	      "f:1:5: not YAML: mapping | f:4:1: not YAML: while p");
	/* What is wrong with the tree, too. */
	GIVES("a: 1\na: 2\n---\nb: 1\n---\n? [c]\n: d\n---\n- e\n",
	      "f:2:1: the key 'a' is he | {\"b\":1} | f:6:3: a key is a list o | [\"e\"]");
	/* Anchors end with their document, also with a lost one. */
	GIVES("a: &x 1\nb: [\n---\nc: *x\n---\nd: 1\n",
	      "f:3:1: not YAML: while p | f:4:4: alias '*x' has no | {\"d\":1}");
	/* What stands behind an ended flow map belongs to it. */
	GIVES("{a: 1}\n]\n---\nb: 1\n", "f:2:1: not YAML: did not | {\"b\":1}");
	GIVES("{\"a\": 1}\n{\"b\": 1}\n", "f:2:1: not YAML: did not");
	/* Directives belong to the document behind them. */
	GIVES("a: 1\n...\n%YAML 9.9\n---\nb: 1\n---\nc: 1\n",
	      "{\"a\":1} | f:3:1: not YAML: found i | {\"c\":1}");
	/* `---` is a marker only at the start of a line. */
	GIVES("a: |\n  ---\n  x\nb: [\n---x\n---\nc: 1\n", "f:6:1: not YAML: while p | {\"c\":1}");
}

static void test_bytes_that_no_document_can_hold(void **state)
{
	(void)state;
	GIVES("a: 1\n---\nb: \0\n---\nc: 1\n", "{\"a\":1} | f:3:4: a NUL byte; save  | {\"c\":1}");
	GIVES("a: \xff\n---\nb: 1\n", "f:1:4: not UTF-8; save t | {\"b\":1}");
	GIVES("a: \xc3\xa4\xed\xa0\x80\n", "f:1:5: not UTF-8; save t");
	GIVES("a: \xc0\x80\n", "f:1:4: not UTF-8; save t");
	GIVES("a: \xe2\x82", "f:1:4: not UTF-8; save t");
	GIVES("a: 1\n---\nb: \x1b[0m\n---\n- c\n---\n\x07\n",
	      "{\"a\":1} | f:3:4: a control charact | [\"c\"] | f:7:1: a control charact");
	GIVES("\xff\xfe"
	      "a\0:\0",
	      "f:1:1: the text is UTF-1");
	GIVES("\xfe\xff\0a\0:", "f:1:1: the text is UTF-1");
	GIVES("a: [\n---\nb: \x01\n---\nc: 1\n",
	      "f:2:1: not YAML: while p | f:3:4: a control charact | {\"c\":1}");
	GIVES("a: \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n",
	      "{\"a\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"}");
#undef GIVES
}

static void test_lost_documents_are_limited(void **state)
{
	static char text[8 * 1024];
	size_t length = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "[\n---\n");
	struct reading reading = read_bytes(text, length);
	assert_int_equal(reading.count, PA_NODE_MAX_FAILED_DOCUMENTS + 1);
	assert_string_equal(reading.documents[PA_NODE_MAX_FAILED_DOCUMENTS].error,
	                    "f:200:1: 100 documents cannot be read; the rest of the text was not looked at");
	pa_arena_done(&reading.arena);
}

static void test_memory_is_limited(void **state)
{
	size_t bytes = 8u << 20;
	char *text = malloc(bytes);

	(void)state;
	for (size_t i = 0; i < bytes; i += 2)
		memcpy(text + i, i == 0 ? "[a" : ",a", 2);
	struct reading reading = read_bytes(text, bytes);
	assert_int_equal(reading.rc, -(int)PA_ERROR_INPUT);
	assert_non_null(strstr(reading.err.message, "more memory than its size allows (16 times the text"));
	assert_true(pa_arena_bytes(&reading.arena) < 17 * bytes);
	pa_arena_done(&reading.arena);
	free(text);
}

static void test_aliases_and_merges(void **state)
{
	(void)state;
	becomes("a: &x {k: 1, l: 2}\nb: *x\n", "{\"a\":{\"k\":1,\"l\":2},\"b\":{\"k\":1,\"l\":2}}");
	becomes("a: &x {k: 1, l: 2}\nb: {<<: *x, k: 9}\n",
	        "{\"a\":{\"k\":1,\"l\":2},\"b\":{\"k\":9,\"l\":2}}");
	becomes("- &a {k: 1}\n- &b {k: 2, m: 3}\n- {<<: [*a, *b]}\n",
	        "[{\"k\":1},{\"k\":2,\"m\":3},{\"k\":1,\"m\":3}]");
	struct reading reading = read_text("a: &x [1, 2]\nb: [*x, *x]\n");
	/* map 1, keys 2, list 3, list of two lists 7 */
	assert_int_equal(reading.documents[0].root->walk, 13);
	pa_arena_done(&reading.arena);
	refuses("a: *x\n", "f:1:4: alias '*x' has no anchor");
	refuses("a: &x [*x]\n", "stands inside what it names");
	refuses("a: {<<: 5}\n", "'<<' takes a map");
}

static void test_refuses_bad_text(void **state)
{
	(void)state;
	refuses("a: 1\na: 2\n", "f:2:1: the key 'a' is here a second time (first in line 1)");
	refuses("a: b: c\n", "f:1:5: not YAML");
	refuses("{{- if .Values.x }}\n", "render it first");
	refuses("? [a]\n: b\n", "f:1:3: a key is a list or a map");
	refuses("a: !secret b\n", "the tag '!secret' is not understood");
	refuses("a: \"x\\0y\"\n", "holds a NUL");
	refuses("a: \xff\n", "f:1:4:");
	struct reading reading = read_bytes("ab\nc\0d", 6);
	assert_int_equal(reading.rc, -(int)PA_ERROR_INPUT);
	assert_string_equal(reading.err.message, "f:2:2: a NUL byte; save the file as UTF-8 text");
	pa_arena_done(&reading.arena);
}

static void test_duplicates_in_large_maps(void **state)
{
	char text[4096];
	size_t length = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "k%d: 1\n", i);
	snprintf(text + length, sizeof(text) - length, "k57: 2\n");
	refuses(text, "f:101:1: the key 'k57' is here a second time (first in line 58)");
}

static void test_depth_is_limited(void **state)
{
	char text[2048];

	(void)state;
	memset(text, '[', PA_NODE_MAX_DEPTH - 1);
	strcpy(text + PA_NODE_MAX_DEPTH - 1, "x");
	memset(text + PA_NODE_MAX_DEPTH, ']', PA_NODE_MAX_DEPTH - 1);
	text[2 * PA_NODE_MAX_DEPTH - 1] = '\0';
	struct reading reading = read_text(text);
	assert_int_equal(reading.rc, 0);
	pa_arena_done(&reading.arena);
	memset(text, '[', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	refuses(text, "f:1:257: nested deeper than 256 levels");
}

/* Depth counts through aliases too: each level of this chain is shallow by itself. */
static void test_alias_chains_and_bombs(void **state)
{
	size_t length = 0, room = 64 * 1024;
	char *text = malloc(room);

	(void)state;
	length += (size_t)snprintf(text, room, "a0: &a0 [x]\n");
	for (int i = 1; i < 400; i++)
		length += (size_t)snprintf(text + length, room - length, "a%d: &a%d [*a%d]\n", i, i, i - 1);
	refuses(text, "nested deeper than");
	length = (size_t)snprintf(text, room, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 12; i++) {
		length += (size_t)snprintf(text + length, room - length, "a%d: &a%d [", i, i);
		for (int j = 0; j < 10; j++)
			length += (size_t)snprintf(text + length, room - length, "*a%d,", i - 1);
		length += (size_t)snprintf(text + length, room - length, "]\n");
	}
	refuses(text, "once aliases are written out");
	free(text);
}

static void test_merge_bombs_stay_in_memory(void **state)
{
	size_t length = 0, room = 1024 * 1024;
	char *text = malloc(room);

	(void)state;
	length += (size_t)snprintf(text, room, "b: &b {");
	for (int i = 0; i < 5000; i++)
		length += (size_t)snprintf(text + length, room - length, "k%d: 1,", i);
	length += (size_t)snprintf(text + length, room - length, "}\nl:\n");
	for (int i = 0; i < 5000; i++)
		length += (size_t)snprintf(text + length, room - length, "- {<<: *b}\n");
	struct reading reading = read_text(text);
	assert_int_equal(reading.rc, -(int)PA_ERROR_INPUT);
	assert_true(pa_arena_bytes(&reading.arena) < (70u << 20));
	pa_arena_done(&reading.arena);
	free(text);
}

static void test_json(void **state)
{
	(void)state;
	becomes("{\"a\": \"\\ud83d\\ude00\", \"b\": [1, 2.5, null, true]}",
	        "{\"a\":\"\xf0\x9f\x98\x80\",\"b\":[1,2.5,null,true]}");
	refuses("{\"a\": \"\\ud83d\"}", "f:1:");
	struct reading reading = read_text("a: '{\"k\": [0.1, \"t\"]}'\n");
	const struct pa_node *at = pa_node_get(reading.documents[0].root, "a");
	const struct pa_node *json;
	assert_int_equal(pa_document_read_json(&reading.arena, at, at->text, at->length, &json, &reading.err),
	                 0);
	assert_int_equal(json->line, 1);
	assert_int_equal(json->column, 4);
	assert_string_equal(pa_node_get(json, "k")->items[0]->text, "0.1");
	assert_false(pa_node_get(json, "k")->items[1]->plain);
	assert_int_equal(
	    pa_document_read_json(&reading.arena, at, "{\"a\":1,\"a\":2}", 13, &json, &reading.err),
	    -(int)PA_ERROR_INPUT);
	assert_non_null(strstr(reading.err.message, "f:1:4: not JSON"));
	pa_arena_done(&reading.arena);
}

static void test_lookups(void **state)
{
	(void)state;
	struct reading reading = read_text("a: {b: {c: x}}\nn: null\nt: 'true'\nl: [1]\n");
	const struct pa_node *root = reading.documents[0].root;

	assert_string_equal(pa_node_text(pa_node_path(root, "a.b.c")), "x");
	assert_null(pa_node_path(root, "a.x.c"));
	assert_null(pa_node_get(NULL, "a"));
	assert_null(pa_node_get(pa_node_get(root, "l"), "a"));
	assert_null(pa_node_text(pa_node_get(root, "n")));
	assert_true(pa_node_is_null(pa_node_get(root, "n")));
	assert_true(pa_node_is_true(pa_node_get(root, "t")));
	assert_true(pa_node_is_sequence(pa_node_get(root, "l")));
	assert_false(pa_node_is_mapping(pa_node_get(root, "l")));
	pa_arena_done(&reading.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values_keep_their_text),
	    cmocka_unit_test(test_positions),
	    cmocka_unit_test(test_documents_are_counted),
	    cmocka_unit_test(test_one_bad_document_does_not_lose_the_others),
	    cmocka_unit_test(test_bytes_that_no_document_can_hold),
	    cmocka_unit_test(test_lost_documents_are_limited),
	    cmocka_unit_test(test_memory_is_limited),
	    cmocka_unit_test(test_aliases_and_merges),
	    cmocka_unit_test(test_refuses_bad_text),
	    cmocka_unit_test(test_duplicates_in_large_maps),
	    cmocka_unit_test(test_depth_is_limited),
	    cmocka_unit_test(test_alias_chains_and_bombs),
	    cmocka_unit_test(test_merge_bombs_stay_in_memory),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_lookups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
