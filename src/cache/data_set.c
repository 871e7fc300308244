/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets: listed into a tree, compared with the source again, closed. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache_internal.h"

/* Entries that are looked at in one go under the mutex. */
#define APPLY_PIECE 256
/* How often a refresh lists again because a folder was renamed by us meanwhile. */
#define REFRESH_TRIES 3

/* ---- taking away ---- */

struct pa_content *pa_data_set_take_out(struct pa_data_set *data_set, struct pa_inode *node)
{
	struct pa_content *content = node->content;

	if (content != NULL) {
		content->references++;
		pa_content_detach(content);
	}
	pa_inode_unlink(data_set, node);
	node->removed = true;
	node->mirrored = false;
	pa_manifest_unref(data_set->manifest);
	data_set->manifest = NULL;
	return content;
}

void pa_data_set_let_go(struct pa_content *content)
{
	if (content == NULL)
		return;
	struct pa_cache *cache = content->cache;
	pthread_mutex_lock(&cache->mutex);
	/* An open file that was removed can still be read, as far as it is in memory. */
	if (content->handles == 0)
		pa_content_drop(content);
	pa_content_unref(content);
	pa_cache_wake_loaders(cache, false);
	pthread_mutex_unlock(&cache->mutex);
	pa_content_bury(cache);
}

void pa_data_set_forget(struct pa_data_set *data_set, uint64_t inode)
{
	struct pa_cache *cache = data_set->cache;
	char path[PA_PATH_ROOM];
	bool last = false;

	while (!last) {
		pthread_mutex_lock(&data_set->mirror_mutex);
		pthread_mutex_lock(&cache->mutex);
		struct pa_content *content = NULL;
		struct pa_inode *node = pa_inode_by_inode(data_set, inode);
		bool hide = false;
		bool directory = false;
		last = node == NULL || node->removed;
		if (!last) {
			for (struct pa_inode *child = node; child != NULL; child = pa_inode_last_child(child))
				node = child;
			last = node->inode == inode;
			directory = node->kind == PA_ENTRY_DIRECTORY;
			/* Folders appear in the mirror with their first file, unmarked. */
			hide = data_set->read_only && (node->mirrored || directory) &&
			       pa_inode_path(node, path, sizeof(path)) > 0;
			content = pa_data_set_take_out(data_set, node);
			pa_inode_release(data_set, node);
		}
		pthread_mutex_unlock(&cache->mutex);
		if (hide)
			pa_mirror_hide(&data_set->mirror, path, directory);
		pthread_mutex_unlock(&data_set->mirror_mutex);
		pa_data_set_let_go(content);
	}
}

void pa_data_set_replace(struct pa_data_set *data_set, uint64_t inode, const struct pa_store_entry *entry)
{
	struct pa_cache *cache = data_set->cache;
	struct pa_content *content = NULL;
	char path[PA_PATH_ROOM];
	bool hide = false;

	pthread_mutex_lock(&data_set->mirror_mutex);
	pthread_mutex_lock(&cache->mutex);
	struct pa_inode *node = pa_inode_by_inode(data_set, inode);
	if (node != NULL && !node->removed && node->kind == entry->kind &&
	    (node->content == NULL || node->content->writers == 0) &&
	    !pa_hash_equal(node->version, entry->version)) {
		hide = node->mirrored && node->kind != PA_ENTRY_DIRECTORY &&
		       pa_inode_path(node, path, sizeof(path)) >= 0;
		node->mirrored = false;
		content = node->content;
		if (content != NULL) {
			content->references++;
			pa_content_detach(content);
		}
		pa_inode_update(node, entry);
		if (node->kind == PA_ENTRY_FILE) {
			pa_inode_set_size(node, entry->size_bytes);
			node->generation++;
		}
		node->retry_after_ns = 0;
		node->failures = 0;
		pa_manifest_unref(data_set->manifest);
		data_set->manifest = NULL;
	}
	pthread_mutex_unlock(&cache->mutex);
	if (hide)
		pa_mirror_hide(&data_set->mirror, path, false);
	pthread_mutex_unlock(&data_set->mirror_mutex);
	if (content == NULL)
		return;
	pthread_mutex_lock(&cache->mutex);
	pa_content_drop(content);
	pa_content_unref(content);
	pthread_mutex_unlock(&cache->mutex);
	pa_content_bury(cache);
}

/* ---- listing and comparing ---- */

static int list_source(struct pa_data_set *data_set, const struct pa_store_call *call,
                       struct pa_manifest **ret, struct pa_error *err)
{
	struct pa_manifest *manifest;

	if (pa_manifest_list(data_set->store, data_set->root, call, &manifest, err) < 0)
		return pa_error_wrap(err, "listing %s", data_set->name);
	bool is_file = manifest->entry_count == 1 && manifest->entries[0].path[0] == '\0' &&
	               manifest->entries[0].kind == PA_ENTRY_FILE;
	if (data_set->single_file && !is_file) {
		pa_manifest_unref(manifest);
		return pa_error_set(err, PA_ERROR_CHANGED, "listing %s: '%s' in %s is no longer a file",
		                    data_set->name, data_set->root, data_set->store->location);
	}
	*ret = manifest;
	return 0;
}

static struct pa_hash128 touched_key(uint64_t parent, const char *name, size_t length)
{
	struct pa_hash128 key = pa_hash_content(name, length);

	key.high ^= parent * 0x9e3779b97f4a7c15u;
	return key;
}

void pa_data_set_touch(struct pa_data_set *data_set, const struct pa_inode *parent, const char *name)
{
	if (!data_set->refreshing)
		return;
	struct pa_touched *touched = calloc(1, sizeof(*touched));
	if (touched == NULL)
		abort();
	touched->path = touched_key(parent->inode, name, strlen(name));
	touched->next = data_set->touched;
	data_set->touched = touched;
}

static bool is_touched(const struct pa_data_set *data_set, const struct pa_inode *parent, const char *name)
{
	struct pa_hash128 key = touched_key(parent->inode, name, strlen(name));

	for (const struct pa_touched *touched = data_set->touched; touched != NULL; touched = touched->next)
		if (pa_hash_equal(touched->path, key))
			return true;
	return false;
}

/* Locked. The folder that a path is in, and its last component. */
static struct pa_inode *parent_of(const struct pa_data_set *data_set, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char parent[PA_PATH_ROOM];

	*ret_name = slash != NULL ? slash + 1 : path;
	size_t length = slash != NULL ? (size_t)(slash - path) : 0;
	if (length >= sizeof(parent))
		return NULL;
	memcpy(parent, path, length);
	parent[length] = '\0';
	struct pa_inode *node = pa_inode_by_path(data_set, parent);
	return node != NULL && node->kind == PA_ENTRY_DIRECTORY ? node : NULL;
}

enum difference { SAME, OTHER_CONTENT, OTHER_KIND };

/* Locked. Adds what is new; `ret_inode` is the node that differs. */
static enum difference apply_entry(struct pa_data_set *data_set, const struct pa_store_entry *entry,
                                   uint64_t *ret_inode)
{
	struct pa_inode *node = pa_inode_by_path(data_set, entry->path);
	const char *name = NULL;

	if (node == NULL) {
		struct pa_inode *parent = parent_of(data_set, entry->path, &name);
		if (parent == NULL || is_touched(data_set, parent, name))
			return SAME;
		node = pa_inode_new(data_set, entry);
		node->refresh_epoch = data_set->refresh_epoch;
		pa_inode_attach(data_set, parent, name, node);
		return SAME;
	}
	*ret_inode = node->inode;
	if (node->refresh_epoch == data_set->refresh_epoch) /* changed by us since the listing began */
		return SAME;
	if (node->kind != entry->kind)
		return OTHER_KIND;
	node->refresh_epoch = data_set->refresh_epoch;
	node->retry_after_ns = 0;
	return pa_hash_equal(node->version, entry->version) ? SAME : OTHER_CONTENT;
}

static void apply_manifest(struct pa_data_set *data_set, const struct pa_manifest *manifest)
{
	struct pa_cache *cache = data_set->cache;

	for (size_t i = 0; i < manifest->entry_count;) {
		enum difference difference = SAME;
		uint64_t inode = 0;
		pthread_mutex_lock(&cache->mutex);
		for (size_t end = i + APPLY_PIECE; i < end && i < manifest->entry_count && difference == SAME;
		     i++)
			difference = apply_entry(data_set, &manifest->entries[i], &inode);
		pthread_mutex_unlock(&cache->mutex);
		if (difference == OTHER_CONTENT)
			pa_data_set_replace(data_set, inode, &manifest->entries[i - 1]);
		if (difference == OTHER_KIND) {
			pa_data_set_forget(data_set, inode);
			i--; /* now it is new */
		}
	}
}

/* What the listing did not have is gone.  False: a folder was moved meanwhile, the listing does not tell any more. */
static bool sweep(struct pa_data_set *data_set)
{
	struct pa_cache *cache = data_set->cache;
	uint64_t inode = PA_INODE_ROOT + 1;
	bool moved = false;

	for (bool end = false; !end;) {
		uint64_t gone = 0;
		pthread_mutex_lock(&cache->mutex);
		moved = data_set->folder_moved;
		for (uint64_t stop = inode + APPLY_PIECE;
		     !moved && inode < stop && inode < data_set->next_inode && gone == 0; inode++) {
			const struct pa_inode *node = data_set->nodes[inode];
			if (node != NULL && !node->removed &&
			    node->refresh_epoch != data_set->refresh_epoch &&
			    !is_touched(data_set, node->parent, node->name))
				gone = inode;
		}
		end = moved || (inode >= data_set->next_inode && gone == 0);
		pthread_mutex_unlock(&cache->mutex);
		if (gone != 0)
			pa_data_set_forget(data_set, gone);
	}
	return !moved;
}

/* Locked; waits for the changes of names that began in even, or odd, epochs. */
static int wait_for_names(struct pa_data_set *data_set, uint64_t epoch, const struct pa_store_call *call,
                          struct pa_error *err)
{
	int r = 0;

	while (r == 0 && data_set->name_changes[epoch % 2] > 0)
		r = pa_cache_wait(data_set->cache, &data_set->cache->changed, call, err);
	return r;
}

/* From here on changes of names are noted; those that began before are waited for. */
static int begin_refresh(struct pa_data_set *data_set, const struct pa_store_call *call, struct pa_error *err)
{
	pthread_mutex_lock(&data_set->cache->mutex);
	/* Left over where a refresh gave up. */
	int r = wait_for_names(data_set, data_set->refresh_epoch + 1, call, err);
	data_set->refreshing = true;
	data_set->folder_moved = false;
	data_set->refresh_epoch++;
	if (r == 0)
		r = wait_for_names(data_set, data_set->refresh_epoch - 1, call, err);
	pthread_mutex_unlock(&data_set->cache->mutex);
	return r;
}

/* The listing's own picture serves as the manifest if nothing of ours came in between. */
static void end_refresh(struct pa_data_set *data_set, struct pa_manifest *manifest)
{
	struct pa_cache *cache = data_set->cache;

	pthread_mutex_lock(&cache->mutex);
	data_set->refreshing = false;
	while (data_set->touched != NULL) {
		struct pa_touched *touched = data_set->touched;
		data_set->touched = touched->next;
		free(touched);
	}
	if (manifest != NULL &&
	    manifest->entry_count + (data_set->single_file ? 0 : 1) != data_set->node_count) {
		pa_manifest_unref(manifest);
		manifest = NULL;
	}
	pa_manifest_unref(data_set->manifest);
	data_set->manifest = manifest;
	pa_cache_wake_loaders(cache, false);
	if (data_set->loader != NULL)
		pa_loader_rewalk(data_set->loader, 0);
	pthread_mutex_unlock(&cache->mutex);
}

int pa_data_set_refresh(struct pa_data_set *data_set, const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_manifest *manifest = NULL;
	int r = 0;

	if (data_set->immutable)
		return 0;
	pthread_mutex_lock(&data_set->refresh_mutex);
	if (data_set->fresh_for_ns > 0 && pa_clock_ns() - data_set->checked_ns < data_set->fresh_for_ns) {
		pthread_mutex_unlock(&data_set->refresh_mutex);
		return 0;
	}
	bool moved = true;
	for (unsigned tries = 0; tries < REFRESH_TRIES && moved && r == 0; tries++) {
		pa_manifest_unref(manifest);
		manifest = NULL;
		r = begin_refresh(data_set, call, err);
		if (r == 0)
			r = list_source(data_set, call, &manifest, err);
		if (r == 0) {
			apply_manifest(data_set, manifest);
			moved = !sweep(data_set);
		}
	}
	if (r == 0 && moved)
		r = pa_error_set(err, PA_ERROR_TRANSIENT,
		                 "listing %s: its folders are being renamed; try again", data_set->name);
	/* What we write ourselves is newer than the listing. */
	pa_manifest_unref(manifest);
	end_refresh(data_set, NULL);
	if (r == 0)
		data_set->checked_ns = pa_clock_ns();
	pthread_mutex_unlock(&data_set->refresh_mutex);
	return r;
}

struct pa_manifest *pa_data_set_manifest(struct pa_data_set *data_set)
{
	struct pa_cache *cache = data_set->cache;
	char path[PA_PATH_ROOM];

	pthread_mutex_lock(&cache->mutex);
	if (data_set->manifest == NULL) {
		struct pa_manifest_builder *builder = pa_manifest_builder_new();
		for (uint64_t inode = PA_INODE_ROOT; inode < data_set->next_inode; inode++) {
			const struct pa_inode *node = data_set->nodes[inode];
			if (node == NULL || node->removed ||
			    (inode == PA_INODE_ROOT && !data_set->single_file) ||
			    pa_inode_path(node, path, sizeof(path)) < 0)
				continue;
			struct pa_store_entry entry = {
			    .path = path,
			    .kind = node->kind,
			    .mode = node->mode,
			    .uid = node->uid,
			    .gid = node->gid,
			    .size_bytes = node->kind == PA_ENTRY_FILE ? node->total_bytes : 0,
			    .mtime_ns = node->mtime_ns,
			    .version = node->version,
			    .link_target = node->link_target,
			    .closed = node->closed,
			};
			pa_manifest_builder_add(builder, &entry);
		}
		data_set->manifest = pa_manifest_builder_finish(builder);
	}
	struct pa_manifest *manifest = pa_manifest_ref(data_set->manifest);
	pthread_mutex_unlock(&cache->mutex);
	return manifest;
}

/* ---- opening and closing ---- */

static struct pa_data_set *data_set_new(struct pa_cache *cache, const struct pa_data_set_options *options)
{
	struct pa_data_set *data_set = calloc(1, sizeof(*data_set));

	if (data_set == NULL)
		abort();
	data_set->cache = cache;
	data_set->store = pa_store_ref(options->store);
	data_set->name = strdup(options->name);
	data_set->root = strdup(options->root);
	if (data_set->name == NULL || data_set->root == NULL)
		abort();
	data_set->read_only = options->read_only || options->store->read_only;
	data_set->immutable = options->immutable;
	data_set->fresh_for_ns = options->fresh_for_ns;
	data_set->readahead_chunks = options->readahead_chunks;
	data_set->next_inode = PA_INODE_ROOT;
	data_set->mirror.fd = -1;
	pa_list_init(&data_set->link);
	pthread_mutex_init(&data_set->refresh_mutex, NULL);
	pthread_mutex_init(&data_set->mirror_mutex, NULL);
	for (size_t i = 0; i < PA_NAME_LOCKS; i++)
		pthread_mutex_init(&data_set->name_mutexes[i], NULL);
	return data_set;
}

static void free_nodes(struct pa_data_set *data_set)
{
	for (uint64_t inode = 0; inode < data_set->next_inode && data_set->nodes != NULL; inode++) {
		struct pa_inode *node = inode < PA_INODE_ROOT ? NULL : data_set->nodes[inode];
		if (node == NULL)
			continue;
		assert(node->opens == 0); /* a file of it is still open */
		node->removed = true;
		pa_inode_release(data_set, node);
	}
	free(data_set->nodes);
	free(data_set->buckets);
}

static void data_set_free(struct pa_data_set *data_set)
{
	free_nodes(data_set);
	if (data_set->mirror.fd >= 0)
		pa_mirror_close(&data_set->mirror);
	pa_manifest_unref(data_set->manifest);
	pthread_mutex_destroy(&data_set->refresh_mutex);
	pthread_mutex_destroy(&data_set->mirror_mutex);
	for (size_t i = 0; i < PA_NAME_LOCKS; i++)
		pthread_mutex_destroy(&data_set->name_mutexes[i]);
	pa_store_unref(data_set->store);
	free(data_set->name);
	free(data_set->root);
	free(data_set);
}

void pa_cache_close_data_set(struct pa_cache *cache, struct pa_data_set *data_set)
{
	pthread_mutex_lock(&cache->mutex);
	pa_loader_cancel(data_set);
	pa_needs_drop(data_set);
	for (uint64_t inode = PA_INODE_ROOT; inode < data_set->next_inode; inode++) {
		struct pa_inode *node = data_set->nodes[inode];
		struct pa_content *content = node != NULL ? node->content : NULL;
		if (content == NULL)
			continue;
		content->references++;
		pa_content_detach(content);
		pa_content_drop(content);
		pa_content_unref(content);
	}
	while (data_set->busy > 0)
		pthread_cond_wait(&cache->changed, &cache->mutex);
	pa_list_remove(&data_set->link);
	pa_loader_put(data_set->loader);
	pthread_mutex_unlock(&cache->mutex);
	pa_content_bury(cache);
	data_set_free(data_set);
}

/* Looks at the root and makes its node. */
static int open_root(struct pa_data_set *data_set, const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_store_entry entry;
	int r = pa_store_stat(data_set->store, data_set->root, &entry, call, err);

	if (r < 0)
		return pa_error_wrap(err, "opening %s", data_set->name);
	if (entry.kind == PA_ENTRY_SYMLINK)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "opening %s: '%s' in %s is a symbolic link; name what it points to",
		                    data_set->name, data_set->root, data_set->store->location);
	data_set->single_file = entry.kind == PA_ENTRY_FILE;
	pa_inode_new(data_set, &entry);
	return 0;
}

static int open_listed(struct pa_cache *cache, struct pa_data_set *data_set, const struct pa_store_call *call,
                       struct pa_manifest **ret_manifest, struct pa_error *err)
{
	int r = open_root(data_set, call, err);

	if (r == 0)
		r = list_source(data_set, call, ret_manifest, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&cache->mutex);
	uint64_t number = ++cache->next_data_set;
	pthread_mutex_unlock(&cache->mutex);
	r = pa_mirror_open(&data_set->mirror, &cache->region, number, err);
	if (r == 0) {
		r = begin_refresh(data_set, call, err);
		apply_manifest(data_set, *ret_manifest);
		end_refresh(data_set, *ret_manifest);
		if (r < 0)
			return r;
		data_set->checked_ns = pa_clock_ns();
		data_set->loader = pa_loader_get(cache, data_set->store, err);
		return data_set->loader == NULL ? -(int)err->class : 0;
	}
	pa_manifest_unref(*ret_manifest);
	return r;
}

int pa_cache_open_data_set(struct pa_cache *cache, const struct pa_data_set_options *options,
                           const struct pa_store_call *call, struct pa_data_set **ret, struct pa_error *err)
{
	struct pa_manifest *manifest = NULL;

	if (pa_cache_find_data_set(cache, options->name) != NULL)
		return pa_error_set(err, PA_ERROR_BUG, "data set %s is open already", options->name);
	struct pa_data_set *data_set = data_set_new(cache, options);
	int r = open_listed(cache, data_set, call, &manifest, err);
	if (r < 0) {
		data_set_free(data_set);
		return r;
	}
	pthread_mutex_lock(&cache->mutex);
	pa_list_append(&cache->data_sets, &data_set->link);
	pthread_mutex_unlock(&cache->mutex);
	*ret = data_set;
	return 0;
}

const char *pa_data_set_name(const struct pa_data_set *data_set)
{
	return data_set->name;
}

bool pa_data_set_read_only(const struct pa_data_set *data_set)
{
	return data_set->read_only;
}

bool pa_data_set_is_single_file(const struct pa_data_set *data_set)
{
	return data_set->single_file;
}
