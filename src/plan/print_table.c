/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/units.h"

#define COLUMN_MAX_WIDTH 48 /* of ids and paths; longer ones push their line to the right */
#define TIME_ROOM        32

static int width_of(const char *text, int width)
{
	size_t length = strlen(text);
	if (length > COLUMN_MAX_WIDTH)
		length = COLUMN_MAX_WIDTH;
	return (int)length > width ? (int)length : width;
}

static const char *time_text(double value_s, char *out)
{
	if (!isfinite(value_s))
		snprintf(out, TIME_ROOM, "-");
	else if (value_s < 0)
		snprintf(out, TIME_ROOM, "%.1f s ago", -value_s);
	else
		pa_units_format_seconds(value_s, out, TIME_ROOM);
	return out;
}

static void print_task(const struct pa_plan_input *input, const struct pa_plan *plan, size_t index, int width,
                       struct pa_buffer *out)
{
	const struct pa_plan_task_times *times = &plan->times[index];
	char start[TIME_ROOM], early[TIME_ROOM], late[TIME_ROOM], end[TIME_ROOM], bytes[TIME_ROOM];
	char between[2 * TIME_ROOM + 4], verdict[64];
	snprintf(between, sizeof(between), "%s .. %s", time_text(times->start_early_s, early),
	         time_text(times->start_late_s, late));
	pa_buffer_printf(out, "%-*s  %10s  %-22s  %10s  %-8s  %10s  %s\n", width,
	                 input->pipeline->tasks[index].id, time_text(times->start_s, start), between,
	                 time_text(times->end_s, end),
	                 pa_forecast_basis_name(input->forecast->tasks[index].basis),
	                 plan->verdicts[index].bytes == 0
	                     ? "-"
	                     : pa_units_format_bytes(plan->verdicts[index].bytes, bytes, sizeof(bytes)),
	                 pa_verdict_format(&plan->verdicts[index], verdict, sizeof(verdict)));
}

static void print_tasks(const struct pa_plan_input *input, const struct pa_plan *plan, struct pa_buffer *out)
{
	int width = 4;
	for (size_t i = 0; i < plan->task_count; i++)
		width = width_of(input->pipeline->tasks[i].id, width);
	pa_buffer_printf(out, "%-*s  %10s  %-22s  %10s  %-8s  %10s  %s\n", width, "TASK", "START",
	                 "LIKELY START", "END", "BASIS", "READS", "VERDICT");
	for (size_t i = 0; i < plan->task_count; i++)
		print_task(input, plan, i, width, out);
}

/* Where the bytes of an extent are, for people: "claim:x/path". */
static void format_place(const struct pa_plan_input *input, const struct pa_plan_action *action, char *out,
                         size_t room)
{
	const struct pa_plan_extent *extent = &input->extents[action->extent];
	const char *data_set = input->data_sets[extent->data_set].name;
	uint64_t offset = extent->offset_bytes + action->offset_bytes;
	int used = snprintf(out, room, "%s%s%s", data_set, extent->path[0] ? "/" : "", extent->path);
	if (offset > 0 && used >= 0 && (size_t)used < room)
		snprintf(out + used, room - (size_t)used, " +%ju", (uintmax_t)offset);
}

static void print_loads(const struct pa_plan_input *input, const struct pa_plan *plan, struct pa_buffer *out)
{
	char place[1024];
	int width = 4;
	bool any = false;
	for (size_t i = 0; i < plan->action_count; i++) {
		if (plan->actions[i].kind != PA_PLAN_LOAD)
			continue;
		format_place(input, &plan->actions[i], place, sizeof(place));
		width = width_of(place, width);
		any = true;
	}
	if (!any)
		return;
	pa_buffer_printf(out, "\n%-*s  %10s  %10s  %10s  %10s  %10s  %s\n", width, "LOAD", "BYTES", "FROM",
	                 "THERE", "NEEDED", "KEPT UNTIL", "FIRST READ BY");
	for (size_t i = 0; i < plan->action_count; i++) {
		const struct pa_plan_action *action = &plan->actions[i];
		char bytes[TIME_ROOM], at[TIME_ROOM], there[TIME_ROOM], needed[TIME_ROOM], until[TIME_ROOM];
		if (action->kind != PA_PLAN_LOAD)
			continue;
		format_place(input, action, place, sizeof(place));
		pa_buffer_printf(
		    out, "%-*s  %10s  %10s  %10s  %10s  %10s  %s\n", width, place,
		    pa_units_format_bytes(action->bytes, bytes, sizeof(bytes)), time_text(action->at_s, at),
		    time_text(action->arrives_s, there), time_text(action->deadline_s, needed),
		    time_text(action->keep_until_s, until), input->pipeline->tasks[action->task].id);
	}
}

static void print_totals(const struct pa_plan_input *input, const struct pa_plan *plan, struct pa_buffer *out)
{
	char with[TIME_ROOM], without[TIME_ROOM], local[TIME_ROOM], bound[TIME_ROOM], bytes[TIME_ROOM];
	pa_buffer_printf(out, "\nmakespan %s with these loads, %s without, %s if all data were local; ",
	                 time_text(plan->makespan_s, with), time_text(plan->without_makespan_s, without),
	                 time_text(plan->local_makespan_s, local));
	pa_buffer_printf(out, "no plan can be faster than %s\n", time_text(plan->bound_s, bound));
	pa_buffer_printf(out, "memory %s at most\n",
	                 pa_units_format_bytes((uint64_t)plan->peak_memory_bytes, bytes, sizeof(bytes)));
	for (size_t i = 0; i < input->link_count; i++) {
		if (plan->link_bytes[i] > 0)
			pa_buffer_printf(
			    out, "from %s: %s\n", input->links[i].name,
			    pa_units_format_bytes((uint64_t)plan->link_bytes[i], bytes, sizeof(bytes)));
	}
}

void pa_plan_print_table(const struct pa_plan_input *input, const struct pa_plan *plan, struct pa_buffer *out)
{
	print_tasks(input, plan, out);
	print_loads(input, plan, out);
	print_totals(input, plan, out);
}
