/* SPDX-License-Identifier: Apache-2.0 */
/* Where an artifact lies: the stores that Argo knows, as URIs. */
#include <string.h>

#include "base/arena.h"
#include "base/node.h"
#include "pipeline/argo_read_internal.h"

/* bucket/key stores; a location with no bucket lies in that of the template's archiveLocation, or in the cluster's
 * default repository: no URI. */
static const char *bucket_uri(struct argo_reader *reader, const struct pa_node *location, const char *store,
                              const char *scheme)
{
	const char *bucket = pa_node_text(pa_node_get(location, "bucket"));
	const char *key = pa_node_text(pa_node_get(location, "key"));

	if (bucket == NULL)
		bucket = pa_node_text(pa_node_get(pa_node_get(reader->archive_location, store), "bucket"));
	if (bucket == NULL || *bucket == '\0')
		return NULL;
	return pa_arena_printf(reader->budget.arena, "%s://%s/%s", scheme, bucket, key == NULL ? "" : key);
}

static const char *hdfs_uri(struct pa_arena *arena, const struct pa_node *location)
{
	const struct pa_node *addresses = pa_node_get(location, "addresses");
	const char *path = pa_node_text(pa_node_get(location, "path"));

	if (!pa_node_is_sequence(addresses) || addresses->count == 0 ||
	    pa_node_text(addresses->items[0]) == NULL || path == NULL)
		return NULL;
	return pa_arena_printf(arena, "hdfs://%s%s%s", pa_node_text(addresses->items[0]),
	                       *path == '/' ? "" : "/", path);
}

/* The address at which the file can be read over HTTP. */
static const char *web_hdfs_uri(struct pa_arena *arena, const struct pa_node *location)
{
	const char *endpoint = pa_node_text(pa_node_get(location, "endpoint"));
	const char *path = pa_node_text(pa_node_get(location, "path"));

	if (endpoint == NULL || path == NULL)
		return NULL;
	return pa_arena_printf(arena, "%s%s%s", endpoint, *path == '/' ? "" : "/", path);
}

static const char *azure_uri(struct pa_arena *arena, const struct pa_node *location)
{
	const char *endpoint = pa_node_text(pa_node_get(location, "endpoint"));
	const char *container = pa_node_text(pa_node_get(location, "container"));
	const char *blob = pa_node_text(pa_node_get(location, "blob"));

	if (endpoint == NULL || container == NULL)
		return NULL;
	size_t length = strlen(endpoint);
	while (length > 0 && endpoint[length - 1] == '/')
		length--;
	return pa_arena_printf(arena, "%.*s/%s/%s", (int)length, endpoint, container,
	                       blob == NULL ? "" : blob);
}

const char *argo_location_uri(struct argo_reader *reader, const struct pa_node *artifact)
{
	struct pa_arena *arena = reader->budget.arena;
	const struct pa_node *location;

	if ((location = pa_node_get(artifact, "s3")) != NULL)
		return bucket_uri(reader, location, "s3", "s3");
	if ((location = pa_node_get(artifact, "gcs")) != NULL)
		return bucket_uri(reader, location, "gcs", "gs");
	if ((location = pa_node_get(artifact, "oss")) != NULL)
		return bucket_uri(reader, location, "oss", "oss");
	if ((location = pa_node_get(artifact, "hdfs")) != NULL)
		return hdfs_uri(arena, location);
	if ((location = pa_node_get(artifact, "webHDFS")) != NULL)
		return web_hdfs_uri(arena, location);
	if ((location = pa_node_get(artifact, "azure")) != NULL)
		return azure_uri(arena, location);
	if ((location = pa_node_path(artifact, "http.url")) != NULL)
		return pa_node_text(location);
	if ((location = pa_node_path(artifact, "artifactory.url")) != NULL)
		return pa_node_text(location);
	return pa_node_text(pa_node_path(artifact, "git.repo"));
}

bool argo_names_store(const struct pa_node *artifact)
{
	static const char *const stores[] = {"s3",  "gcs",         "oss", "hdfs",   "azure",  "http",
	                                     "git", "artifactory", "raw", "plugin", "webHDFS"};

	for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
		if (!pa_node_is_null(pa_node_get(artifact, stores[i])))
			return true;
	}
	return false;
}
