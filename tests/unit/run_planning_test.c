/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "run/planning.h"

#define MIB   (1u << 20)
#define CLAIM "claim:series"

struct fixture {
	struct pa_arena arena;
	struct pa_store_entry *entries;
	struct pa_manifest manifest;
	struct pa_task *tasks;
	struct pa_pipeline pipeline;
	struct pa_history history;
	struct pa_planning_data_set data_set;
	struct pa_plan_link link;
	struct pa_planning planning;
	size_t entry_room;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	pa_arena_init(&f->arena);
	f->pipeline.name = "p";
	f->link = (struct pa_plan_link){.name = "file:///series", .bytes_per_second = MIB};
	f->data_set = (struct pa_planning_data_set){.name = CLAIM, .manifest = &f->manifest};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pa_arena_done(&f->arena);
	free(f);
	return 0;
}

/* Entries come in the manifest's order. */
static void add_entry(struct fixture *f, enum pa_entry_kind kind, const char *path, uint64_t bytes)
{
	f->entries = pa_arena_grow(&f->arena, f->entries, f->manifest.entry_count, &f->entry_room,
	                           sizeof(*f->entries));
	f->entries[f->manifest.entry_count++] = (struct pa_store_entry){
	    .path = pa_arena_strdup(&f->arena, path), .kind = kind, .size_bytes = bytes};
	f->manifest.entries = f->entries;
	f->manifest.file_count += kind == PA_ENTRY_FILE;
	f->manifest.total_bytes += bytes;
}

static void add_folder_of(struct fixture *f, const char *folder, unsigned files, uint64_t bytes)
{
	char path[64];

	add_entry(f, PA_ENTRY_DIRECTORY, folder, 0);
	for (unsigned i = 0; i < files; i++) {
		snprintf(path, sizeof(path), "%s/%05u", folder, i);
		add_entry(f, PA_ENTRY_FILE, path, bytes);
	}
}

/* Each mounts all of the claim at /mnt. */
static void make_tasks(struct fixture *f, size_t count)
{
	f->tasks = pa_arena_array(&f->arena, count, sizeof(*f->tasks));
	for (size_t i = 0; i < count; i++) {
		struct pa_task_mount *mount = pa_arena_alloc(&f->arena, sizeof(*mount));
		*mount = (struct pa_task_mount){.path = "/mnt", .kind = "pvc", .claim = "series"};
		f->tasks[i] = (struct pa_task){.id = pa_arena_printf(&f->arena, "t%zu", i),
		                               .template_name = "t",
		                               .mounts = mount,
		                               .mount_count = 1};
	}
	f->pipeline.tasks = f->tasks;
	f->pipeline.task_count = count;
}

static void build(struct fixture *f)
{
	struct pa_planning_input input = {.pipeline = &f->pipeline,
	                                  .history = &f->history,
	                                  .data_sets = &f->data_set,
	                                  .data_set_count = 1,
	                                  .links = &f->link,
	                                  .link_count = 1,
	                                  .slots = 2,
	                                  .memory_bytes = 1e9};
	struct pa_error err = PA_ERROR_INIT;

	if (pa_planning_build(&f->arena, &input, &f->planning, &err) < 0)
		fail_msg("%s", err.message);
}

/* "path:knowledge path:knowledge …" of what a task reads, in order. */
static char *reads_of(struct fixture *f, uint32_t task)
{
	static const char *const names[] = {"profiled", "named", "declared"};
	char *text = pa_arena_strdup(&f->arena, "");

	for (size_t i = 0; i < f->planning.plan_input.read_count; i++) {
		const struct pa_plan_read *read = &f->planning.plan_input.reads[i];
		if (read->task == task)
			text =
			    pa_arena_printf(&f->arena, "%s%s%s:%s", text, text[0] != '\0' ? " " : "",
			                    f->planning.extents[read->extent].path, names[read->knowledge]);
	}
	return text;
}

static void small_tree(struct fixture *f)
{
	add_entry(f, PA_ENTRY_DIRECTORY, "a", 0);
	add_entry(f, PA_ENTRY_FILE, "a/1", MIB);
	add_entry(f, PA_ENTRY_DIRECTORY, "a/b", 0);
	add_entry(f, PA_ENTRY_FILE, "a/b/2", MIB);
	add_entry(f, PA_ENTRY_FILE, "a-c", MIB);
	add_entry(f, PA_ENTRY_FILE, "empty", 0);
	add_entry(f, PA_ENTRY_FILE, "z", MIB);
}

static void what_is_mounted_is_read(void **state)
{
	struct fixture *f = *state;

	small_tree(f);
	make_tasks(f, 4);
	f->tasks[1].mounts[0].sub_path = "a/";
	f->tasks[2].mounts[0].sub_path = "a/b";
	f->tasks[3].mounts[0].sub_path = "not/there";
	build(f);
	assert_string_equal(reads_of(f, 0), "a/1:declared a/b/2:declared a-c:declared z:declared");
	assert_string_equal(reads_of(f, 1), "a/1:declared a/b/2:declared");
	assert_string_equal(reads_of(f, 2), "a/b/2:declared");
	assert_string_equal(reads_of(f, 3), "");
	assert_true(f->planning.input_bytes[0] == 4.0 * MIB && f->planning.input_bytes[3] == 0);
}

static void paths_in_the_command_say_more_than_the_mount(void **state)
{
	struct fixture *f = *state;
	const char *args[] = {"/mnt/a/b/", "/mnt/nothing", "/mnt/z"};
	struct pa_output output = {.name = "out", .path = "/mnt/z"};
	const char *below[] = {"/mnt/b"};

	small_tree(f);
	make_tasks(f, 2);
	f->tasks[0].args = args;
	f->tasks[0].arg_count = 3;
	f->tasks[0].outputs = &output;
	f->tasks[0].output_count = 1;
	f->tasks[1].command = below;
	f->tasks[1].command_count = 1;
	f->tasks[1].mounts[0].sub_path = "a/";
	build(f);
	assert_string_equal(reads_of(f, 0), "a/b/2:named");
	assert_string_equal(reads_of(f, 1), "a/b/2:named");
}

static void a_profile_says_most(void **state)
{
	struct fixture *f = *state;
	/* Rows of one task need not stand together: loops end in any order. */
	struct pa_profile_read profile[] = {
	    {.task_id = "t1", .data_set = CLAIM, .path = "z", .read_bytes = MIB},
	    {.task_id = "t0", .data_set = CLAIM, .path = "a/1", .read_bytes = MIB},
	    {.task_id = "gone", .data_set = CLAIM, .path = "a-c", .read_bytes = MIB},
	    {.task_id = "t1", .data_set = "claim:other", .path = "a/1", .read_bytes = MIB},
	    {.task_id = "t1", .data_set = CLAIM, .path = "a-c", .read_bytes = MIB},
	    {.task_id = "t2", .data_set = CLAIM, .path = "", .read_bytes = 0},
	    {.task_id = "t3", .data_set = CLAIM, .path = "renamed", .read_bytes = MIB},
	    {.task_id = "t4", .data_set = CLAIM, .path = "", .read_bytes = 4 * MIB},
	};

	small_tree(f);
	make_tasks(f, 5);
	f->history.profile = profile;
	f->history.profile_count = sizeof(profile) / sizeof(profile[0]);
	build(f);
	assert_string_equal(reads_of(f, 0), "a/1:profiled");
	assert_string_equal(reads_of(f, 1), "z:profiled a-c:profiled");
	/* Mounted and not read. */
	assert_string_equal(reads_of(f, 2), "");
	/* The data set has outgrown its profile. */
	assert_string_equal(reads_of(f, 3), "a/1:declared a/b/2:declared a-c:declared z:declared");
	assert_string_equal(reads_of(f, 4), "a/1:profiled a/b/2:profiled a-c:profiled z:profiled");
}

static void large_files_are_cut_and_data_sets_of_many_files_are_not(void **state)
{
	struct fixture *f = *state;
	struct pa_profile_read profile = {
	    .task_id = "t0", .data_set = CLAIM, .path = "many/00007", .read_bytes = 1};

	add_entry(f, PA_ENTRY_FILE, "large", 3 * PA_PLANNING_LARGE_FILE_BYTES + 1);
	make_tasks(f, 1);
	build(f);
	assert_int_equal(f->planning.plan_input.extent_count,
	                 3 * PA_PLANNING_LARGE_FILE_BYTES / PA_PLANNING_PIECE_BYTES + 1);
	add_folder_of(f, "many", 9000, 10);
	add_folder_of(f, "more", 20, 10);
	f->history.profile = &profile;
	f->history.profile_count = 1;
	build(f);
	/* The folder that holds what it read. */
	assert_string_equal(reads_of(f, 0), "many:profiled");
	assert_true(f->planning.input_bytes[0] == 90000);
}

static void many_files_at_the_top_are_one_extent(void **state)
{
	struct fixture *f = *state;
	char path[16];

	for (unsigned i = 0; i <= PA_PLANNING_MAX_FILE_EXTENTS; i++) {
		snprintf(path, sizeof(path), "%06u", i);
		add_entry(f, PA_ENTRY_FILE, path, 10);
	}
	make_tasks(f, 2);
	build(f);
	assert_int_equal(f->planning.plan_input.extent_count, 1);
	assert_int_equal(f->planning.plan_input.read_count, 2);
	assert_string_equal(f->planning.extents[0].path, "");
	assert_int_equal(f->planning.extents[0].bytes, f->manifest.total_bytes);
}

/* A plan is made after every event: its cost must follow what is read, not tasks × files. */
static void a_thousand_tasks_with_profiles_are_quick(void **state)
{
	struct fixture *f = *state;
	struct pa_profile_read *profile = pa_arena_array(&f->arena, 10000, sizeof(*profile));

	add_folder_of(f, "many", 8000, MIB);
	make_tasks(f, 1000);
	for (unsigned i = 0; i < 10000; i++)
		profile[i] = (struct pa_profile_read){.task_id = f->tasks[i / 10].id,
		                                      .data_set = CLAIM,
		                                      .path = f->entries[1 + i % 8000].path,
		                                      .read_bytes = MIB};
	f->history.profile = profile;
	f->history.profile_count = 10000;
	int64_t begin_ns = pa_clock_ns();
	build(f);
	assert_int_equal(f->planning.plan_input.read_count, 10000);
	/* With room for slow machines and sanitizers; the forecast takes nearly all of it. */
	assert_true(pa_clock_ns() - begin_ns < 3 * PA_NS_PER_SECOND);
}

static void a_claim_without_source_is_unknown_data(void **state)
{
	struct fixture *f = *state;

	small_tree(f);
	make_tasks(f, 1);
	f->tasks[0].mounts[0].claim = "elsewhere";
	build(f);
	assert_true(f->planning.plan_input.unknown_data[0]);
	assert_int_equal(f->planning.plan_input.read_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_is_mounted_is_read),
	    TEST(paths_in_the_command_say_more_than_the_mount),
	    TEST(a_profile_says_most),
	    TEST(large_files_are_cut_and_data_sets_of_many_files_are_not),
	    TEST(many_files_at_the_top_are_one_extent),
	    TEST(a_thousand_tasks_with_profiles_are_quick),
	    TEST(a_claim_without_source_is_unknown_data),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
