/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of the link's virtual clock: pure, so that tests need no wall time. */
#ifndef PA_STORE_LINK_INTERNAL_H
#define PA_STORE_LINK_INTERNAL_H

#include <stdint.h>

/* How long so many bytes take to cross. */
int64_t pa_link_transfer_ns(uint64_t bandwidth_bps, uint64_t bytes);
/* When a transfer starts: after those that were booked before, not before its latency is over, and at most
 * its own
 * length ago, so that a slow source cannot save up a burst. */
int64_t pa_link_start_ns(int64_t next_free_ns, int64_t ready_ns, int64_t now_ns, int64_t transfer_ns);

#endif
