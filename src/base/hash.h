/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of 128 bits: XXH3 for integrity, SHA-256 cut short for names that nobody can forge.  Pure. */
#ifndef PA_BASE_HASH_H
#define PA_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pa_hash128 {
	uint64_t high;
	uint64_t low;
};

#define PA_HASH128_TEXT_BYTES 33 /* 32 hex digits and a NUL */

/* XXH3-128 of the bytes. */
struct pa_hash128 pa_hash_content(const void *data, size_t bytes);
/* The first 128 bits of SHA-256 over the parts; each part is preceded by its length as u64 LE, so that
 * ("ab","c") and ("a","bc") differ. */
struct pa_hash_part {
	const void *data;
	size_t bytes;
};
struct pa_hash128 pa_hash_name(const struct pa_hash_part *parts, size_t count);
bool pa_hash_equal(struct pa_hash128 a, struct pa_hash128 b);
char *pa_hash_format(struct pa_hash128 hash, char out[PA_HASH128_TEXT_BYTES]);

#endif
