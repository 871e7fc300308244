/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "run/report.h"

#define SPANS 450

static struct pa_run_task tasks[2];
static struct pa_run_span spans[SPANS];
static struct pa_run_output outputs[2];
static struct pa_run_sample samples[2];

static struct pa_run_report make_report(void)
{
	tasks[0] = (struct pa_run_task){.id = "prepare",
	                                .outcome = "succeeded",
	                                .instances = 1,
	                                .predicted_start_s = 0,
	                                .predicted_end_s = 3,
	                                .start_s = 1,
	                                .end_s = 4,
	                                .stall_s = 1.5,
	                                .read_bytes = 100,
	                                .memory_bytes = 25,
	                                .cold = true,
	                                .verdict = "late by 1.0 s"};
	tasks[1] = (struct pa_run_task){.id = "train",
	                                .outcome = "skipped",
	                                .predicted_start_s = 3,
	                                .predicted_end_s = NAN,
	                                .start_s = NAN,
	                                .end_s = NAN,
	                                .verdict = "no data"};
	for (uint32_t i = 0; i < SPANS; i++)
		spans[i] =
		    (struct pa_run_span){.suffix = "(<&>)", .outcome = "succeeded", .start_s = 1, .end_s = 4};
	outputs[0] = (struct pa_run_output){.name = "prepare/x", .bytes = 1};
	outputs[1] = (struct pa_run_output){.name = "prepare/y", .bytes = 1};
	samples[1] = (struct pa_run_sample){.at_s = 4, .fetched_bytes = 100, .used_bytes = 50};
	return (struct pa_run_report){.outcome = "succeeded",
	                              .message = "",
	                              .makespan_s = 4,
	                              .stall_s = 1.5,
	                              .tasks = tasks,
	                              .task_count = 2,
	                              .spans = spans,
	                              .span_count = 1,
	                              .samples = samples,
	                              .sample_count = 2,
	                              .outputs = outputs,
	                              .output_count = 2,
	                              .slowed_text = ""};
}

static json_t *as_json(const struct pa_comparison *comparison)
{
	struct pa_buffer out;
	json_error_t error;

	pa_buffer_init(&out, 1 << 20);
	pa_report_print_json(comparison, &out);
	json_t *root = json_loads(out.data, 0, &error);
	if (root == NULL)
		fail_msg("%s: %s", error.text, out.data);
	pa_buffer_done(&out);
	return root;
}

static void figures_are_those_of_the_run(void **state)
{
	struct pa_run_report report = make_report();
	struct pa_comparison comparison = {.ahead = &report, .previous_start_error = NAN};

	(void)state;
	/* Only what ran counts: one task, one second late, of four. */
	assert_true(fabs(pa_report_start_error(&report) - 0.25) < 1e-9);
	assert_true(pa_report_cold_start_s(&report) == 1.5);
	json_t *root = as_json(&comparison);
	assert_true(json_real_value(json_object_get(root, "makespan_s")) == 4);
	assert_true(json_is_null(json_object_get(root, "previous_start_error")));
	json_t *second = json_array_get(json_object_get(root, "tasks"), 1);
	assert_true(json_is_null(json_object_get(second, "start_s")));
	json_decref(root);
	tasks[0].start_s = NAN;
	assert_true(isnan(pa_report_start_error(&report)));
}

static void what_is_no_text_does_not_lose_the_report(void **state)
{
	struct pa_run_report report = make_report();
	struct pa_comparison comparison = {.ahead = &report, .previous_start_error = NAN};

	(void)state;
	report.outcome = "failed";
	report.message = "task prepare failed: \xff\xfe oops \xe2\x80";
	tasks[0].id = "pr\xc3";
	report.slowed = true;
	report.slowed_text = "\xff is slowed";
	json_t *root = as_json(&comparison);
	assert_string_equal(json_string_value(json_object_get(root, "message")),
	                    "task prepare failed: ?? oops ??");
	assert_string_equal(json_string_value(json_object_get(root, "slowed")), "? is slowed");
	json_decref(root);
}

static void outputs_are_equal_when_names_and_bytes_are(void **state)
{
	struct pa_run_report report = make_report(), other = report;
	struct pa_run_output others[2] = {outputs[0], outputs[1]};
	struct pa_buffer why;

	(void)state;
	pa_buffer_init(&why, 4096);
	other.outputs = others;
	assert_true(pa_report_outputs_equal(&report, &other, &why));
	others[1].sha256[31] = 1;
	assert_false(pa_report_outputs_equal(&report, &other, &why));
	assert_string_equal(why.data, "prepare/y differs");
	pa_buffer_clear(&why);
	other.output_count = 1;
	assert_false(pa_report_outputs_equal(&other, &report, &why));
	assert_string_equal(why.data, "prepare/y is only in one of them");
	pa_buffer_done(&why);
}

static void a_comparison_shows_the_stall_against_local(void **state)
{
	struct pa_run_report ahead = make_report(), without = ahead, local = ahead;
	struct pa_comparison comparison = {
	    .ahead = &ahead, .without = &without, .local = &local, .previous_start_error = 0.5};

	(void)state;
	without.makespan_s = 8;
	without.sequential_bps = 9;
	without.cap_bps = 10;
	local.makespan_s = 3;
	json_t *root = as_json(&comparison);
	assert_true(json_real_value(json_object_get(root, "stall_s")) == 1);
	assert_true(json_real_value(json_object_get(json_object_get(root, "without"), "stall_s")) == 5);
	assert_true(json_is_true(json_object_get(root, "outputs_equal")));
	json_decref(root);
	struct pa_buffer out;
	pa_buffer_init(&out, 1 << 20);
	pa_report_print_table(&comparison, &out);
	assert_non_null(strstr(out.data, "(90.0%)"));
	assert_non_null(strstr(out.data, "2, equal byte for byte"));
	assert_non_null(strstr(out.data, "in the run before, by 50.0%"));
	pa_buffer_done(&out);
}

static void a_picture_says_what_it_leaves_out(void **state)
{
	struct pa_run_report report = make_report();
	struct pa_comparison comparison = {.ahead = &report, .previous_start_error = NAN};
	struct pa_buffer out;

	(void)state;
	report.span_count = SPANS;
	pa_buffer_init(&out, 1 << 20);
	pa_report_print_svg(&comparison, &out);
	assert_false(out.overflowed);
	assert_non_null(strstr(out.data, "and 50 more"));
	assert_non_null(strstr(out.data, "prepare(&lt;&amp;>)"));
	pa_buffer_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(figures_are_those_of_the_run),
	    cmocka_unit_test(what_is_no_text_does_not_lose_the_report),
	    cmocka_unit_test(outputs_are_equal_when_names_and_bytes_are),
	    cmocka_unit_test(a_comparison_shows_the_stall_against_local),
	    cmocka_unit_test(a_picture_says_what_it_leaves_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
