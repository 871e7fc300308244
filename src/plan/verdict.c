/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan_internal.h"

#include <math.h>
#include <stdio.h>

/* Less than this is not late. */
#define TOLERANCE_S .001

/* What came of the pieces that one task reads. */
struct tally {
	double total_bytes;
	double in_time_bytes;
	double lost_bytes; /* never kept: used from the link, or not planned for */
	double there_s;    /* when the last was there; -INFINITY: from the beginning */
};

static void tally_piece(const struct pa_planner *planner, uint32_t piece, double early_s, struct tally *tally)
{
	const struct pa_timeline_extent_result *result = &planner->with.extents[piece];
	double bytes = (double)planner->pieces[piece].bytes;
	tally->total_bytes += bytes;
	if (planner->piece_extents[piece].resident && result->fetches == 0) {
		tally->in_time_bytes += bytes;
		return;
	}
	if (result->bypassed || result->fetches == 0) {
		tally->lost_bytes += bytes;
		return;
	}
	tally->there_s = fmax(tally->there_s, result->arrived_s);
	if (result->arrived_s <= early_s + TOLERANCE_S)
		tally->in_time_bytes += bytes;
}

static struct pa_verdict judge_reads(const struct pa_planner *planner, size_t task, double early_s,
                                     double stall_s)
{
	struct tally tally = {.there_s = -INFINITY};
	for (size_t i = planner->read_begin[task]; i < planner->read_begin[task + 1]; i++) {
		uint32_t extent = planner->read_extents[i];
		for (uint32_t j = planner->piece_begin[extent]; j < planner->piece_begin[extent + 1]; j++)
			tally_piece(planner, j, early_s, &tally);
	}
	struct pa_verdict verdict = {.kind = PA_VERDICT_READY, .share = 1};
	if (tally.total_bytes <= 0)
		return verdict;
	verdict.share = tally.in_time_bytes / tally.total_bytes;
	uint32_t lane = planner->spread.lanes.first[task];
	if (stall_s > 0)
		tally.there_s = fmax(tally.there_s, planner->with.tasks[lane].run_s);
	if (tally.total_bytes > planner->input->memory_bytes) {
		verdict.kind = PA_VERDICT_TOO_BIG;
		verdict.share = planner->input->memory_bytes / tally.total_bytes;
	} else if (tally.lost_bytes > 0) {
		verdict.kind = PA_VERDICT_PARTIAL;
	} else if (tally.there_s > early_s + TOLERANCE_S) {
		verdict.kind = PA_VERDICT_LATE;
		verdict.late_s = tally.there_s - early_s;
	}
	return verdict;
}

static struct pa_verdict judge(const struct pa_planner *planner, const struct pa_plan_task_times *times,
                               size_t task)
{
	const struct pa_plan_input *input = planner->input;
	bool reads = planner->read_begin[task + 1] > planner->read_begin[task];
	struct pa_verdict verdict = {.kind = PA_VERDICT_NO_DATA, .share = 1};
	if (planner->skipped[task])
		return verdict;
	if (reads)
		verdict.kind = PA_VERDICT_READY;
	if (reads && pa_plan_is_live(planner, task))
		verdict = judge_reads(planner, task, fmax(times->start_early_s, 0), times->stall_s);
	/* A task is not called ready while some of what it reads is out of our sight. */
	bool is_weak = verdict.kind == PA_VERDICT_READY || verdict.kind == PA_VERDICT_NO_DATA;
	if (is_weak && input->unknown_data && input->unknown_data[task])
		verdict.kind = PA_VERDICT_UNKNOWN_DATA;
	else if (is_weak && input->client_reads && input->client_reads[task])
		verdict.kind = PA_VERDICT_CLIENT_READS;
	for (size_t i = planner->read_begin[task]; i < planner->read_begin[task + 1]; i++)
		verdict.bytes += input->extents[planner->read_extents[i]].bytes;
	return verdict;
}

void pa_verdicts_make(const struct pa_planner *planner, struct pa_plan *plan)
{
	for (size_t task = 0; task < planner->graph.task_count; task++)
		plan->verdicts[task] = judge(planner, &plan->times[task], task);
}

char *pa_verdict_format(const struct pa_verdict *verdict, char *out, size_t room)
{
	switch (verdict->kind) {
	case PA_VERDICT_READY:
		snprintf(out, room, "ready");
		break;
	case PA_VERDICT_LATE:
		snprintf(out, room, "late by %.1f s", verdict->late_s);
		break;
	case PA_VERDICT_PARTIAL:
		snprintf(out, room, "partial %.0f%%", floor(verdict->share * 100));
		break;
	case PA_VERDICT_TOO_BIG:
		snprintf(out, room, "too big");
		break;
	case PA_VERDICT_UNKNOWN_DATA:
		snprintf(out, room, "unknown data");
		break;
	case PA_VERDICT_CLIENT_READS:
		snprintf(out, room, "client reads it");
		break;
	case PA_VERDICT_NO_DATA:
		snprintf(out, room, "no data");
		break;
	}
	return out;
}
