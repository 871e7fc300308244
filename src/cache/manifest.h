/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest: one version of a data set, immutable: its entries sorted by path (bytewise by component, so that a folder's
 * content is one range), sizes, marks, totals, and an id that is a 128-bit hash of all that.
 * Reference-counted; may be shared between threads. */
#ifndef PA_CACHE_MANIFEST_H
#define PA_CACHE_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "store/store.h"

#define PA_MANIFEST_MAX_ENTRIES 20000000u

struct pa_manifest {
	struct pa_hash128 id;
	struct pa_store_entry *entries; /* paths live as long as the manifest */
	size_t entry_count;
	size_t file_count;
	uint64_t total_bytes;
	int references;
	void *memory;
};

/* Lists everything at or below `root` of a store (paths in the manifest are relative to it; a single file has path
 * ""), sorts it and makes a manifest of it.  Blocks for the listing. */
int pa_manifest_list(struct pa_store *store, const char *root, const struct pa_store_call *call,
                     struct pa_manifest **ret, struct pa_error *err);
struct pa_manifest *pa_manifest_ref(struct pa_manifest *manifest);
void pa_manifest_unref(struct pa_manifest *manifest);
/* The entry of a path, or NULL. */
const struct pa_store_entry *pa_manifest_find(const struct pa_manifest *manifest, const char *path);
/* Bytes of all files at or below a path. */
uint64_t pa_manifest_bytes_below(const struct pa_manifest *manifest, const char *path);

#endif
