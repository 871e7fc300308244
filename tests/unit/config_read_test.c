/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"

static char folder[PATH_MAX];
static char file[PATH_MAX + 32];
static struct pa_arena arena;

static int make_folder(void **state)
{
	char made[] = "/tmp/pa-config-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(made));
	assert_non_null(realpath(made, folder));
	snprintf(file, sizeof(file), "%s/pipeahead.yaml", folder);
	pa_arena_init(&arena);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(file);
	rmdir(folder);
	pa_arena_done(&arena);
	return 0;
}

static int read_text(const char *text, struct pa_config *config, struct pa_error *err)
{
	FILE *out = fopen(file, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, strlen(text), out), strlen(text));
	fclose(out);
	return pa_config_read(&arena, file, config, err);
}

static struct pa_config must_read(const char *text)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_config config = {0};

	if (read_text(text, &config, &err) != 0)
		fail_msg("%s", err.message);
	return config;
}

static const char whole[] = "sources:\n"
			    "  - claim: jsm-conv\n"
			    "    at: file://./data/sub\n"
			    "    bandwidth: 40MB/s\n"
			    "    connections: 4\n"
			    "    latency: 2ms\n"
			    "    access: write\n"
			    "  - match: s3://datasets/\n"
			    "    endpoint: https://minio.example:9000\n"
			    "    region: us-east-1\n"
			    "    credentials: {file: secrets/s3}\n"
			    "    access: read\n"
			    "    immutable: true\n"
			    "  - match: s3://datasets/images\n"
			    "    at: nfs://server/export\n"
			    "    fresh_for: 10m\n"
			    "    credentials: {env: true}\n"
			    "memory:\n"
			    "  node: 1.5GiB\n"
			    "  ignite: {endpoints: [one:10800, '[::1]:10801'], limit: 24GiB,\n"
			    "           tls: {ca: ca.pem, cert: /etc/c.pem, key: k.pem}}\n"
			    "slots: 2\n"
			    "tasks:\n"
			    "  preprocess: {command: [python3, preprocess.py, \"\"], env: {A: 1, B: \"\"}}\n"
			    "  other/train:\n"
			    "    args: []\n";

static void every_key_is_read(void **state)
{
	struct pa_config config = must_read(whole);
	char expected[PATH_MAX + 64];

	(void)state;
	assert_string_equal(config.file, file);
	assert_string_equal(config.directory, folder);
	assert_int_equal(config.source_count, 3);
	snprintf(expected, sizeof(expected), "file://%s/data/sub", folder);
	assert_string_equal(config.sources[0].claim, "jsm-conv");
	assert_string_equal(config.sources[0].at, expected);
	assert_int_equal(config.sources[0].bandwidth_bps, 40000000);
	assert_int_equal(config.sources[0].connections, 4);
	assert_int_equal(config.sources[0].latency_ns, 2000000);
	assert_true(config.sources[0].access_set && !config.sources[0].read_only);
	assert_int_equal(config.sources[0].line, 2);
	assert_string_equal(config.sources[1].endpoint, "https://minio.example:9000");
	assert_string_equal(config.sources[1].region, "us-east-1");
	snprintf(expected, sizeof(expected), "%s/secrets/s3", folder);
	assert_string_equal(config.sources[1].credentials_file, expected);
	assert_false(config.sources[1].credentials_env);
	assert_true(config.sources[1].immutable && config.sources[1].read_only);
	assert_null(config.sources[1].at);
	assert_true(config.sources[2].credentials_env);
	assert_int_equal(config.sources[2].fresh_for_ns, 600000000000);
	assert_false(config.sources[2].access_set);
	assert_int_equal(config.memory_node_bytes, 3u << 29);
	assert_int_equal(config.ignite_endpoint_count, 2);
	assert_string_equal(config.ignite_endpoints[1], "[::1]:10801");
	assert_int_equal(config.ignite_limit_bytes, 24ull << 30);
	snprintf(expected, sizeof(expected), "%s/ca.pem", folder);
	assert_string_equal(config.ignite_ca, expected);
	assert_string_equal(config.ignite_cert, "/etc/c.pem");
	assert_int_equal(config.slots, 2);
}

static void tasks_are_found_by_id_then_template(void **state)
{
	struct pa_config config = must_read(whole);
	const struct pa_config_task *task = pa_config_find_task(&config, "nested/preprocess", "preprocess");

	(void)state;
	assert_non_null(task);
	assert_int_equal(task->command_count, 3);
	assert_string_equal(task->command[2], "");
	assert_false(task->has_args);
	assert_int_equal(task->env_count, 2);
	assert_string_equal(task->env[0].value, "1");
	assert_string_equal(task->env[1].value, "");
	task = pa_config_find_task(&config, "other/train", "preprocess");
	assert_non_null(task);
	assert_true(task->has_args);
	assert_int_equal(task->arg_count, 0);
	assert_null(pa_config_find_task(&config, "x", NULL));
}

static const char *where(const struct pa_config *config, const char *data_set)
{
	const struct pa_config_source *source = pa_config_find_source(config, data_set);

	return source == NULL ? NULL : pa_config_location(&arena, source, data_set);
}

static void sources_are_found_by_the_longest_prefix(void **state)
{
	struct pa_config config = must_read(whole);

	(void)state;
	assert_ptr_equal(pa_config_find_source(&config, "claim:jsm-conv"), &config.sources[0]);
	assert_null(pa_config_find_source(&config, "claim:jsm"));
	assert_null(pa_config_find_source(&config, "uri:jsm-conv"));
	assert_null(pa_config_find_source(&config, "jsm-conv"));
	assert_string_equal(where(&config, "uri:s3://datasets/a b"), "s3://datasets/a b");
	assert_string_equal(where(&config, "uri:s3://datasets"), "s3://datasets");
	assert_null(where(&config, "uri:s3://dataset"));
	assert_string_equal(where(&config, "uri:s3://datasets/images"), "nfs://server/export");
	assert_string_equal(where(&config, "uri:s3://datasets/images/x/y"), "nfs://server/export/x/y");
	/* A name that only begins alike belongs to the shorter prefix. */
	assert_string_equal(where(&config, "uri:s3://datasets/images2/x"), "s3://datasets/images2/x");
}

static void a_uri_does_not_climb_out_of_its_folder(void **state)
{
	struct pa_config config = must_read("sources: [{match: s3://b/, at: file:///srv/b/}]\n");

	(void)state;
	assert_string_equal(where(&config, "uri:s3://b/x..y/..z"), "file:///srv/b/x..y/..z");
	assert_null(where(&config, "uri:s3://b/../etc"));
	assert_null(where(&config, "uri:s3://b/x/.."));
	assert_string_equal(where(&config, "uri:s3://b//x"), "file:///srv/b/x");
	assert_string_equal(where(&config, "uri:s3://b/"), "file:///srv/b");
}

static void without_a_file_there_are_defaults(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_config config = {0};

	(void)state;
	assert_int_equal(pa_config_default(&arena, "/", &config, &err), 0);
	assert_null(config.file);
	assert_string_equal(config.directory, "/");
	assert_int_equal(config.memory_node_bytes,
	                 (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4);
	assert_int_equal(config.slots, sysconf(_SC_NPROCESSORS_ONLN));
	assert_int_equal(pa_config_default(&arena, "/no/such/folder", &config, &err), -PA_ERROR_NOT_FOUND);
	assert_int_equal(must_read("").slots, config.slots);
	assert_int_equal(must_read("# nothing\n").memory_node_bytes, config.memory_node_bytes);
}

struct refusal {
	const char *text;
	const char *place;   /* ":line:column: " */
	const char *message; /* a part of it */
};

static const struct refusal refusals[] = {
    {"slot: 2\n", ":1:1: ", "did you mean \"slots\"?"},
    {"sources:\n  - claim: a\n    at: file:///x\n    bandwith: 1MB/s\n",
     ":4:5: ", "did you mean \"bandwidth\"?"},
    {"zebra: 2\n", ":1:1: ", "known are: sources, memory, slots, tasks"},
    {"memory: {nodes: 1}\n", ":1:10: ", "did you mean \"node\"?"},
    {"memory: {node: 0}\n", ":1:16: ", "quota of zero"},
    {"memory: {node: 8GBB}\n", ":1:16: ", "is not a size"},
    {"memory: {node: -1}\n", ":1:16: ", "is not a size"},
    {"memory: {node: }\n", ":1:", "must be a text"},
    {"memory: 8GiB\n", ":1:9: ", "memory must be a mapping"},
    {"memory: {ignite: {limit: 1GiB}}\n", ":1:18: ", "no endpoints"},
    {"memory: {ignite: {endpoints: [a:1]}}\n", ":1:18: ", "no limit"},
    {"memory: {ignite: {endpoints: [a], limit: 1GiB}}\n", ":1:31: ", "HOST:PORT"},
    {"memory: {ignite: {endpoints: ['a:99999'], limit: 1GiB}}\n", ":1:31: ", "HOST:PORT"},
    {"memory: {ignite: {endpoints: ['a:1x'], limit: 1GiB}}\n", ":1:31: ", "HOST:PORT"},
    {"memory: {ignite: {endpoints: [a:1], limit: 1, tls: {cert: a}}}\n", ":1:52: ", "no ca"},
    {"memory: {ignite: {endpoints: [a:1], limit: 1, tls: {ca: a, cert: a}}}\n", ":1:52: ", "go together"},
    {"slots: 0\n", ":1:8: ", "from 1 to 4096"},
    {"slots: 5000\n", ":1:8: ", "from 1 to 4096"},
    {"slots: 99999999999999999999\n", ":1:8: ", "from 1 to 4096"},
    {"slots: two\n", ":1:8: ", "whole number"},
    {"sources: {claim: a}\n", ":1:10: ", "must be a list"},
    {"sources: [a]\n", ":1:11: ", "must be a mapping"},
    {"sources: [{at: file:///x}]\n", ":1:11: ", "neither"},
    {"sources: [{claim: a, match: s3://b/, at: file:///x}]\n", ":1:11: ", "both"},
    {"sources: [{claim: a}]\n", ":1:11: ", "has no at"},
    {"sources: [{claim: a, at: /x}]\n", ":1:26: ", "file:// or nfs://"},
    {"sources: [{claim: a, at: s3://x/}]\n", ":1:26: ", "file:// or nfs://"},
    {"sources: [{claim: a, at: 'file://'}]\n", ":1:26: ", "no path"},
    {"sources: [{claim: a, at: nfs://host}]\n", ":1:26: ", "nfs://HOST/EXPORT"},
    {"sources: [{match: datasets}]\n", ":1:19: ", "URI prefix"},
    {"sources: [{match: 'https://me:pw@host/'}]\n", ":1:19: ", "holds a password"},
    {"sources: [{match: s3://b/, endpoint: 'https://me:pw@host/'}]\n", ":1:38: ", "holds a password"},
    {"sources: [{match: s3://b/, credentials: abc}]\n", ":1:41: ", "never inline"},
    {"sources: [{match: s3://b/, credentials: {key: abc}}]\n", ":1:42: ", "unknown key"},
    {"sources: [{match: s3://b/, credentials: {env: false}}]\n", ":1:41: ", "give one of"},
    {"sources: [{match: s3://b/, credentials: {env: true, file: x}}]\n", ":1:41: ", "give one of"},
    {"sources: [{match: s3://b/, bandwidth: 200MB}]\n", ":1:39: ", "is not a rate"},
    {"sources: [{match: s3://b/, latency: 2}]\n", ":1:37: ", "is not a time"},
    {"sources: [{match: s3://b/, connections: 0}]\n", ":1:41: ", "from 1 to 1024"},
    {"sources: [{match: s3://b/, access: rw}]\n", ":1:36: ", "read or write"},
    {"sources: [{match: s3://b/, immutable: yes}]\n", ":1:39: ", "true or false"},
    {"sources: [{match: s3://b/, immutable: true, fresh_for: 1m}]\n", ":1:11: ", "never checked"},
    {"sources:\n- {match: s3://b/}\n- {match: s3://b/}\n", ":3:3: ", "already, at line 2"},
    {"sources:\n- {claim: b, at: file:///x}\n- {claim: b, at: file:///y}\n", ":3:3: ", "already, at line 2"},
    {"tasks: [a]\n", ":1:8: ", "must be a mapping"},
    {"tasks: {a: python3}\n", ":1:12: ", "must be a mapping"},
    {"tasks: {a: {command: python3}}\n", ":1:22: ", "must be a list"},
    {"tasks: {a: {command: []}}\n", ":1:22: ", "command is empty"},
    {"tasks: {a: {comand: [x]}}\n", ":1:13: ", "did you mean \"command\"?"},
    {"tasks: {a: {args: [[x]]}}\n", ":1:20: ", "must be a text"},
    {"tasks: {a: {env: {X: }}}\n", ":1:", "has no value"},
    {"tasks: {a: {env: {'A=B': c}}}\n", ":1:19: ", "no name of a variable"},
    {"- a\n", ":1:1: ", "must be a mapping"},
    {"slots: 1\n---\nslots: 2\n", ":3:1: ", "second document"},
    {"slots: 1\nslots: 2\n", ":2:1", ""},
    {"a: [\n", ":", ""},
};

static void what_is_wrong_is_said_with_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < PA_ARRAY_LENGTH(refusals); i++) {
		struct pa_error err = PA_ERROR_INIT;
		struct pa_config config = {.slots = 77};
		int result = read_text(refusals[i].text, &config, &err);
		if (result != -PA_ERROR_INPUT || strncmp(err.message, file, strlen(file)) != 0 ||
		    strstr(err.message, refusals[i].place) == NULL ||
		    strstr(err.message, refusals[i].message) == NULL)
			fail_msg("%s gave %d: %s", refusals[i].text, result, err.message);
		assert_int_equal(config.slots, 77);
	}
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_config config = {0};

	(void)state;
	assert_int_equal(pa_config_read(&arena, "/no/such/pipeahead.yaml", &config, &err), -PA_ERROR_INPUT);
	assert_non_null(strstr(err.message, "/no/such/pipeahead.yaml"));
	assert_int_equal(pa_config_read(&arena, folder, &config, &err), -PA_ERROR_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_key_is_read),
	    cmocka_unit_test(tasks_are_found_by_id_then_template),
	    cmocka_unit_test(sources_are_found_by_the_longest_prefix),
	    cmocka_unit_test(a_uri_does_not_climb_out_of_its_folder),
	    cmocka_unit_test(without_a_file_there_are_defaults),
	    cmocka_unit_test(what_is_wrong_is_said_with_its_place),
	    cmocka_unit_test(a_file_that_cannot_be_read_is_an_error),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
