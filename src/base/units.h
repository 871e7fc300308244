/* SPDX-License-Identifier: Apache-2.0 */
/* Units as people write them: sizes, rates, times.  Pure. */
#ifndef PA_BASE_UNITS_H
#define PA_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

struct pa_error;

/* "8GiB", "200MB", "4096", "0": KiB = 1024, kB and KB = 1000, K/M/G/T and Ki/Mi/Gi/Ti as Kubernetes writes them
 * (powers of ten and of two).  Fractions ("1.5GiB") are allowed, signs are not. */
int pa_units_parse_bytes(const char *text, uint64_t *ret_bytes, struct pa_error *err);
/* "200MB/s", "1Gbit/s" (bits over eight). Zero is refused. */
int pa_units_parse_rate(const char *text, uint64_t *ret_bytes_per_second, struct pa_error *err);
/* "10m", "1.5s", "250ms", "2h", "1d"; a bare number is an error. */
int pa_units_parse_duration(const char *text, int64_t *ret_ns, struct pa_error *err);

/* "1.5 GiB", "812 B"; "200.0 MB/s"; "12.3 s", "4m 05s".  `room` of 32 is always enough. */
char *pa_units_format_bytes(uint64_t bytes, char *out, size_t room);
char *pa_units_format_rate(double bytes_per_second, char *out, size_t room);
char *pa_units_format_seconds(double seconds, char *out, size_t room);

#endif
