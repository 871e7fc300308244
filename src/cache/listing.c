/* SPDX-License-Identifier: Apache-2.0 */
/* A store's listing as a manifest. */
#include <string.h>

#include "cache/cache_internal.h"
#include "cache/manifest.h"

struct listing {
	struct pa_manifest_builder *builder;
	size_t prefix; /* of the root, with its '/' */
	bool full;
};

static int add_entry(void *context, const struct pa_store_entry *entry)
{
	struct listing *listing = context;
	struct pa_store_entry below = *entry;

	below.path = entry->path + listing->prefix;
	int result = pa_manifest_builder_add(listing->builder, &below);
	listing->full = result < 0;
	return result;
}

static int list_below(struct pa_store *store, const char *root, struct listing *listing,
                      const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_store_entry entry;
	int result = pa_store_stat(store, root, &entry, call, err);

	if (result < 0)
		return result;
	if (entry.kind == PA_ENTRY_FILE) {
		entry.path = "";
		return pa_manifest_builder_add(listing->builder, &entry);
	}
	result = pa_store_list(store, root, add_entry, listing, call, err);
	if (listing->full)
		return pa_error_set(err, PA_ERROR_PERMANENT, "'%s' in %s has more than %u entries", root,
		                    store->location, PA_MANIFEST_MAX_ENTRIES);
	return result;
}

int pa_manifest_list(struct pa_store *store, const char *root, const struct pa_store_call *call,
                     struct pa_manifest **ret, struct pa_error *err)
{
	size_t root_length = strlen(root);
	struct listing listing = {
	    .builder = pa_manifest_builder_new(),
	    .prefix = root_length > 0 ? root_length + 1 : 0,
	};
	int result = list_below(store, root, &listing, call, err);

	if (result < 0) {
		pa_manifest_builder_free(listing.builder);
		return result;
	}
	*ret = pa_manifest_builder_finish(listing.builder);
	return 0;
}
