/* SPDX-License-Identifier: Apache-2.0 */
/* The one language between the planning side and the byte side: what to have where, by when, until when.
 * Planners fill arrays of these; pa_cache_assign() takes a whole array at a time (level-triggered: what is in
 * no assignment and not pinned may go at once). */
#ifndef PA_CACHE_ASSIGNMENT_H
#define PA_CACHE_ASSIGNMENT_H

#include <stdint.h>

enum pa_tier_kind { PA_TIER_NODE, PA_TIER_IGNITE };

/* A range of a data set: a file's bytes, or everything below a folder ("" is all; offset and length are then 0
 * and UINT64_MAX). */
struct pa_extent {
	const char *path;
	uint64_t offset_bytes;
	uint64_t length_bytes; /* UINT64_MAX: to the end */
};

struct pa_assignment {
	const char *data_set; /* name, as given to pa_cache_open_data_set() */
	struct pa_extent extent;
	enum pa_tier_kind tier;
	const char *node;          /* NULL: this one */
	int64_t deadline_ns;       /* monotonic: when a task needs it */
	uint32_t priority;         /* among equal deadlines, smaller first */
	int64_t keep_until_ns;     /* may go after this, sooner only for what is needed sooner */
	uint64_t bytes_per_second; /* this node's share of the source; 0: the source's own cap */
};

#endif
