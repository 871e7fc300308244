/* SPDX-License-Identifier: Apache-2.0 */
/* The link to a source: a cap of bytes per second, a number of connections, an added latency.
 *
 * A read takes a connection, waits the latency, then takes its share of the link in the order of
 * asking: transfers follow each other on a virtual clock, so that the cap holds to the byte over any span longer
 * than one request, and a request that was cancelled gives its share back.  Transfers that yield (pa_store_call.yields)
 * make way for those that do not, also when they have begun to cross.
 *
 * Threads: any.  Blocking: until the transfer's turn, the deadline or the cancel.
 */
#ifndef PA_STORE_LINK_H
#define PA_STORE_LINK_H

#include <stdint.h>

struct pa_error;
struct pa_link;
struct pa_store_call;

struct pa_link *pa_link_new(uint64_t bandwidth_bps, int64_t latency_ns, uint32_t connections);
void pa_link_free(struct pa_link *link);

/* Before the bytes are asked for: waits for a connection and the latency.  `ret_ready_ns` is the moment from which
 * bytes could have crossed; it goes to pa_link_end(), so that the source's own time is part of the transfer's. */
int pa_link_begin(struct pa_link *link, int64_t *ret_ready_ns, const struct pa_store_call *call,
                  struct pa_error *err);
/* After they came: waits until `bytes` could have crossed the link, and gives the connection back (also when it
 * fails).  With bytes 0 (a failure, a write) only the latter. */
int pa_link_end(struct pa_link *link, int64_t ready_ns, uint64_t bytes, const struct pa_store_call *call,
                struct pa_error *err);
/* Only the latency: for requests that carry no bulk. */
int pa_link_latency(struct pa_link *link, const struct pa_store_call *call, struct pa_error *err);

uint64_t pa_link_bandwidth_bps(const struct pa_link *link); /* 0: no cap */
int64_t pa_link_latency_ns(const struct pa_link *link);
uint32_t pa_link_connections(const struct pa_link *link);
/* All bytes that crossed it so far. */
uint64_t pa_link_total_bytes(const struct pa_link *link);

#endif
