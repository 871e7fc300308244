/* SPDX-License-Identifier: Apache-2.0 */
/* The preflight: each reason for which a task cannot run here, and what makes it run all the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "pipeline/analyze.h"
#include "run/preflight.h"

struct machine {
	const char *source;     /* the only data set with a source; NULL: none */
	const char *configured; /* the only task of `tasks:`; NULL: none */
};

static bool has_source(void *context, const char *data_set)
{
	const struct machine *machine = context;
	return machine->source && strcmp(machine->source, data_set) == 0;
}

static bool has_command(void *context, const char *name)
{
	(void)context;
	return strcmp(name, "sh") == 0 || strcmp(name, "python3") == 0;
}

static bool has_python_module(void *context, const char *name)
{
	(void)context;
	return strcmp(name, "json") == 0;
}

static bool is_configured(void *context, const char *id, const char *template_name)
{
	const struct machine *machine = context;
	return machine->configured &&
	       (strcmp(machine->configured, id) == 0 || strcmp(machine->configured, template_name) == 0);
}

static int check(const struct machine *machine, const char *spec, struct pa_error *err)
{
	char text[16384];
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_analysis analysis = {0};
	struct pa_preflight_options options = {(void *)(uintptr_t)machine, has_source, has_command,
	                                       has_python_module, is_configured};
	snprintf(text, sizeof(text),
	         "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: w}\nspec:\n%s", spec);
	int status = pa_analyze_text(&arena, "t.yaml", text, strlen(text), NULL, &analysis, err);
	if (status < 0)
		fail_msg("%s", err->message);
	status = pa_preflight_check(&analysis.pipelines[0], &options, err);
	pa_arena_done(&arena);
	return status;
}

/* A workflow of one task with this body. */
static const char *one_task(const char *body)
{
	static char spec[8192];
	snprintf(spec, sizeof(spec), "  entrypoint: t\n  templates:\n  - name: t\n%s", body);
	return spec;
}

static void expect_refused(const char *spec, const char *reason)
{
	const struct machine machine = {NULL, NULL};
	struct pa_error err = PA_ERROR_INIT;
	assert_int_equal(check(&machine, spec, &err), -PA_ERROR_INPUT);
	if (!strstr(err.message, reason))
		fail_msg("'%s' is not in '%s'", reason, err.message);
}

static void expect_runs(const char *source, const char *configured, const char *spec)
{
	const struct machine machine = {source, configured};
	struct pa_error err = PA_ERROR_INIT;
	if (check(&machine, spec, &err) < 0)
		fail_msg("%s", err.message);
}

static void test_commands_and_images(void **state)
{
	(void)state;
	expect_runs(NULL, NULL,
	            one_task("    container: {image: 'python:3.9', command: [python3, -c, x]}\n"));
	expect_runs(NULL, NULL,
	            one_task("    script: {image: 'library/bash:4', command: [sh], source: x}\n"));
	expect_refused(one_task("    container: {image: 'alpine', command: [train]}\n"),
	               "`train` is not on this machine");
	expect_refused(one_task("    container: {image: 'x/y:1'}\n"), "image x/y:1 decides what it runs");
	expect_refused(one_task("    container: {image: 'x/y:1', command: [sh]}\n"), "no plain system image");
	expect_runs(NULL, "t", one_task("    container: {image: 'x/y:1'}\n"));
}

static void test_imports(void **state)
{
	(void)state;
	expect_runs(
	    NULL, NULL,
	    one_task("    container: {image: python, command: [python3, -c, \"import json\\nx()\"]}\n"));
	expect_refused(
	    one_task(
		"    container: {image: python, command: [python3, -c, \"x()\\nfrom pandas import y\"]}\n"),
	    "imports pandas");
	expect_runs(
	    NULL, NULL,
	    one_task("    container: {image: python, command: [python3, -c, \"try:\\n  import pandas\"]}\n"));
	/* A framework's image is enough for a whole program that needs none of it. */
	expect_runs(NULL, NULL,
	            one_task("    container: {image: 'tensorflow/tensorflow:2', command: [python3, -u, -c, "
	                     "\"import json\"]}\n"));
	expect_refused(one_task("    container: {image: 'tensorflow/tensorflow:2', command: [sh, -c, x]}\n"),
	               "no plain system image");
}

static void test_plain_images(void **state)
{
	(void)state;
	assert_true(pa_preflight_image_is_plain("python"));
	assert_true(pa_preflight_image_is_plain("docker.io/library/alpine:3@sha256:00"));
	assert_false(pa_preflight_image_is_plain("pythonx"));
	assert_false(pa_preflight_image_is_plain("me/python:3"));
	assert_false(pa_preflight_image_is_plain("localhost:5000/python"));
	assert_false(pa_preflight_image_is_plain("{{inputs.parameters.registry}}/python"));
	assert_false(pa_preflight_image_is_plain(""));
}

static void test_kinds(void **state)
{
	(void)state;
	expect_refused(one_task("    suspend: {}\n"), "suspend needs a cluster");
	expect_refused(one_task("    http: {url: x}\n"), "http needs a cluster");
	expect_refused(
	    one_task("    resource: {action: apply, manifest: \"apiVersion: batch/v1\\nkind: Job\\n\"}\n"),
	    "apply a Job");
	expect_refused(
	    one_task("    resource: {action: patch, manifest: \"kind: PersistentVolumeClaim\\n\"}\n"),
	    "patch a PersistentVolumeClaim");
	expect_refused(one_task("    resource: {action: create, manifest: \"spec:\\n  kind: "
	                        "PersistentVolumeClaim\\nkind: Pod\\n\"}\n"),
	               "create a Pod");
	expect_runs(NULL, NULL,
	            one_task("    resource: {action: create, manifest: \"kind: "
	                     "PersistentVolumeClaim\\nmetadata: {name: '{{workflow.name}}-x'}\\n\"}\n"));
	expect_refused(one_task("    daemon: true\n    container: {image: alpine, command: [sh]}\n"),
	               "a daemon");
}

#define PLAIN "    container: {image: alpine, command: [sh], "

static void test_secrets(void **state)
{
	(void)state;
	const char *spec =
	    one_task(PLAIN "env: [{name: A, valueFrom: {secretKeyRef: {name: keys, key: k}}}]}\n");
	expect_refused(spec, "the Secret keys");
	expect_runs(NULL, "t", spec);
	expect_runs(
	    NULL, NULL,
	    one_task(PLAIN
	             "env: [{name: A, valueFrom: {secretKeyRef: {name: keys, key: k, optional: true}}}]}\n"));
	expect_refused(one_task(PLAIN "envFrom: [{configMapRef: {name: conf}}]}\n"), "the ConfigMap conf");
	expect_runs(NULL, NULL,
	            one_task(PLAIN "env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}\n"));
	expect_refused(one_task(PLAIN "volumeMounts: [{name: v, mountPath: /v}]}\n    volumes: [{name: v, "
	                              "secret: {secretName: s3}}]\n"),
	               "the Secret s3");
}

static void test_volumes(void **state)
{
	(void)state;
	const char *claim =
	    one_task(PLAIN "volumeMounts: [{name: v, mountPath: /v}]}\n"
	                   "    volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]\n");
	expect_refused(claim, "claim data has no source");
	expect_runs("claim:data", NULL, claim);
	expect_refused(
	    one_task(
		PLAIN
		"volumeMounts: [{name: v, mountPath: /v}]}\n    volumes: [{name: v, hostPath: {path: /}}]\n"),
	    "on a cluster's node");
	expect_runs(
	    NULL, NULL,
	    one_task(PLAIN
	             "volumeMounts: [{name: v, mountPath: /v}]}\n    volumes: [{name: v, emptyDir: {}}]\n"));
	expect_runs(NULL, NULL,
	            "  entrypoint: t\n  volumeClaimTemplates: [{metadata: {name: v}, spec: {}}]\n  "
	            "templates:\n  - name: t\n" PLAIN "volumeMounts: [{name: v, mountPath: /v}]}\n");
	expect_refused(one_task(PLAIN "volumeMounts: [{name: none, mountPath: /v}]}\n"),
	               "none is not declared");
}

static void test_artifacts(void **state)
{
	(void)state;
	const char *spec = one_task(
	    "    inputs: {artifacts: [{name: a, path: /a, s3: {bucket: b, key: k}}]}\n" PLAIN "args: []}\n");
	expect_refused(spec, "s3://b/k has no source");
	expect_runs("uri:s3://b/k", NULL, spec);
}

static void test_companions(void **state)
{
	(void)state;
	const char *spec = one_task(PLAIN "args: []}\n    sidecars: [{name: s, image: redis}]\n");
	expect_refused(spec, "sidecar");
	expect_runs(NULL, "t", spec);
	expect_runs(
	    NULL, NULL,
	    one_task(PLAIN
	             "args: []}\n    initContainers: [{name: s, image: alpine, command: [sh, -c, x]}]\n"));
	expect_refused(one_task(PLAIN "args: []}\n    initContainers: [{name: s, image: redis}]\n"),
	               "init container");
}

static void test_one_message_for_all(void **state)
{
	(void)state;
	const char *spec =
	    "  entrypoint: main\n  templates:\n"
	    "  - name: main\n    dag: {tasks: [{name: a, template: x}, {name: b, template: y}, {name: c, "
	    "template: x}]}\n"
	    "  - {name: x, container: {image: q/x, command: [sh]}}\n  - {name: y, suspend: {}}\n";
	expect_refused(spec, "task a, c (image q/x");
	expect_refused(spec, "; task b (a template of kind suspend");
	char many[8192];
	size_t length = (size_t)snprintf(many, sizeof(many),
	                                 "  entrypoint: main\n  templates:\n"
	                                 "  - {name: x, container: {image: q, command: [sh]}}\n"
	                                 "  - {name: y, suspend: {}}\n"
	                                 "  - name: main\n    dag: {tasks: [{name: first, template: y}");
	for (int i = 0; i < 100; i++)
		length += (size_t)snprintf(many + length, sizeof(many) - length,
		                           ", {name: a-long-name-%d, template: x}", i);
	snprintf(many + length, sizeof(many) - length, "]}\n");
	expect_refused(many, "task first (");
	expect_refused(many, "and 100 more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_commands_and_images),
	    cmocka_unit_test(test_imports),
	    cmocka_unit_test(test_plain_images),
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_secrets),
	    cmocka_unit_test(test_volumes),
	    cmocka_unit_test(test_artifacts),
	    cmocka_unit_test(test_companions),
	    cmocka_unit_test(test_one_message_for_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
