/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: opening, creating, closing, holding whole ones. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/cache_internal.h"

/* How often an open for writing looks again because the file was another one than ours. */
#define OPEN_TRIES 3

void pa_file_drop_bypass(struct pa_file *file)
{
	if (file->bypass != NULL)
		pa_fetch_unref(file->bypass);
	file->bypass = NULL;
}

/* Locked. */
static struct pa_file *file_new(struct pa_data_set *data_set, struct pa_inode *node, unsigned flags)
{
	struct pa_file *file = calloc(1, sizeof(*file));

	if (file == NULL)
		abort();
	file->data_set = data_set;
	file->node = node;
	file->content = pa_content_of(data_set, node);
	file->content->handles++;
	file->flags = flags;
	file->region_fd = -1;
	node->opens++;
	data_set->cache->open_files++;
	return file;
}

int pa_file_open_region(struct pa_file *file, int *ret_fd, struct pa_error *err)
{
	int fd = __atomic_load_n(&file->region_fd, __ATOMIC_ACQUIRE);

	if (fd < 0) {
		int unused = -1;
		fd = pa_content_open(file->content, err);
		if (fd < 0)
			return fd;
		/* Of two threads that open it at once one wins. */
		if (!__atomic_compare_exchange_n(&file->region_fd, &unused, fd, false, __ATOMIC_ACQ_REL,
		                                 __ATOMIC_ACQUIRE)) {
			close(fd);
			fd = unused;
		}
	}
	*ret_fd = fd;
	return 0;
}

/* Everything but the store's file. */
static void file_free(struct pa_file *file)
{
	struct pa_content *content = file->content;
	struct pa_cache *cache = content->cache;

	if (file->region_fd >= 0)
		close(file->region_fd);
	pthread_mutex_lock(&cache->mutex);
	pa_file_drop_bypass(file);
	content->handles--;
	if (content->node == NULL && content->handles == 0)
		pa_content_drop(content);
	pa_content_unref(content);
	file->node->opens--;
	pa_inode_release(file->data_set, file->node);
	pthread_mutex_unlock(&cache->mutex);
	pa_content_bury(cache);
	pthread_mutex_lock(&cache->mutex);
	cache->open_files--;
	pthread_cond_broadcast(&cache->changed);
	pthread_mutex_unlock(&cache->mutex);
	free(file);
}

static int check_open(const struct pa_data_set *data_set, const struct pa_inode *node, unsigned flags,
                      struct pa_error *err)
{
	if (data_set->cache->stopping || data_set->closing)
		return pa_error_set(err, PA_ERROR_CANCELLED, "the cache is being ended");
	if (node == NULL || node->removed)
		return pa_error_set_errno(err, ENOENT, "a file of %s", data_set->name);
	if (node->kind == PA_ENTRY_DIRECTORY)
		return pa_error_set_errno(err, EISDIR, "'%s' of %s", node->name != NULL ? node->name : "",
		                          data_set->name);
	if (node->kind == PA_ENTRY_SYMLINK)
		return pa_error_set_errno(err, ELOOP, "'%s' of %s", node->name, data_set->name);
	if ((flags & (PA_FILE_WRITE | PA_FILE_TRUNCATE)) != 0 && data_set->read_only)
		return pa_error_set_errno(err, EROFS, "%s is read-only", data_set->name);
	if (node->total_bytes > PA_CACHE_MAX_FILE_BYTES)
		return pa_error_set_errno(err, EFBIG, "'%s' of %s has %llu bytes; at most %llu", node->name,
		                          data_set->name, (unsigned long long)node->total_bytes,
		                          (unsigned long long)PA_CACHE_MAX_FILE_BYTES);
	return 0;
}

/* Without truncation, what is in memory must be of the version that the writer goes on from. */
static int check_version(struct pa_file *file, const char *path, bool *ret_same,
                         const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_store_entry entry;
	int r = pa_store_stat(file->data_set->store, path, &entry, call, err);

	if (r < 0)
		return r;
	*ret_same = pa_hash_equal(entry.version, file->content->version);
	if (!*ret_same) {
		pthread_mutex_lock(&file->content->cache->mutex);
		file->content->writers--;
		pthread_mutex_unlock(&file->content->cache->mutex);
		pa_data_set_replace(file->data_set, file->node->inode, &entry);
		pthread_mutex_lock(&file->content->cache->mutex);
		file->content->writers++;
		pthread_mutex_unlock(&file->content->cache->mutex);
	}
	return 0;
}

static int close_store_file(struct pa_file *file, struct pa_store_entry *ret,
                            const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_store_file *store_file = file->store_file;

	file->store_file = NULL;
	return pa_store_close_write(file->data_set->store, store_file, ret, call, err);
}

/* Within the turn, not locked. */
static int open_store_file(struct pa_file *file, bool alone, bool *ret_same, const struct pa_store_call *call,
                           struct pa_error *err)
{
	struct pa_cache *cache = file->content->cache;
	char path[PA_PATH_ROOM];
	bool truncate = (file->flags & PA_FILE_TRUNCATE) != 0;

	pthread_mutex_lock(&cache->mutex);
	int length = file->node->removed
	                 ? -ENOENT
	                 : pa_inode_store_path(file->data_set, file->node, NULL, path, sizeof(path));
	pthread_mutex_unlock(&cache->mutex);
	if (length < 0)
		return pa_error_set_errno(err, -length, "opening a file of %s", file->data_set->name);
	int r = pa_store_open_write(file->data_set->store, path, truncate ? PA_STORE_OPEN_TRUNCATE : 0, 0,
	                            &file->store_file, call, err);
	if (r < 0)
		return r;
	*ret_same = true;
	if (truncate)
		pa_content_resize(file->content, 0);
	else if (alone)
		r = check_version(file, path, ret_same, call, err);
	if (r < 0 || !*ret_same) {
		struct pa_error ignored = PA_ERROR_INIT;
		close_store_file(file, NULL, call, &ignored);
	}
	return r;
}

/* Opens the store's file; `ret_same` is false when the content turned out to be another version. */
static int begin_writing(struct pa_file *file, bool *ret_same, const struct pa_store_call *call,
                         struct pa_error *err)
{
	struct pa_content *content = file->content;
	struct pa_cache *cache = content->cache;

	*ret_same = true;
	pthread_mutex_lock(&cache->mutex);
	int r = pa_content_begin_change(content, call, err);
	if (r < 0) {
		pthread_mutex_unlock(&cache->mutex);
		return r;
	}
	bool alone = content->writers++ == 0;
	pthread_mutex_unlock(&cache->mutex);
	r = open_store_file(file, alone, ret_same, call, err);
	pthread_mutex_lock(&cache->mutex);
	if (r < 0 || !*ret_same)
		content->writers--;
	pa_content_end_change(content);
	pthread_mutex_unlock(&cache->mutex);
	return r;
}

int pa_file_open(struct pa_data_set *data_set, uint64_t inode, unsigned flags, struct pa_file **ret,
                 const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_cache *cache = data_set->cache;

	/* Cutting a file short is a write, whatever else is asked. */
	if ((flags & PA_FILE_TRUNCATE) != 0)
		flags |= PA_FILE_WRITE;
	for (unsigned tries = 0; tries < OPEN_TRIES; tries++) {
		pthread_mutex_lock(&cache->mutex);
		struct pa_inode *node = pa_inode_by_inode(data_set, inode);
		struct pa_file *file = NULL;
		int r = check_open(data_set, node, flags, err);
		if (r == 0)
			file = file_new(data_set, node, flags);
		pthread_mutex_unlock(&cache->mutex);
		if (r < 0)
			return r;
		bool same = true;
		if ((flags & PA_FILE_WRITE) != 0)
			r = begin_writing(file, &same, call, err);
		if (r == 0 && same) {
			*ret = file;
			return 0;
		}
		file_free(file);
		if (r < 0)
			return r;
	}
	return pa_error_set(err, PA_ERROR_TRANSIENT, "a file of %s keeps changing at its source",
	                    data_set->name);
}

/* Gives the chunks that were written their checksums. */
static void seal(struct pa_file *file)
{
	struct pa_content *content = file->content;
	struct pa_cache *cache = content->cache;
	struct pa_error err = PA_ERROR_INIT;
	char *buffer = malloc(PA_CHUNK_BYTES);

	if (buffer == NULL)
		abort();
	pthread_mutex_lock(&cache->mutex);
	for (uint32_t i = 0; i < content->chunk_capacity; i++) {
		struct pa_chunk *chunk = content->chunks[i];
		if (chunk == NULL || chunk->state != PA_CHUNK_PRESENT || chunk->hash_known)
			continue;
		uint32_t changes = chunk->changes;
		uint32_t bytes = chunk->bytes;
		chunk->readers++;
		pthread_mutex_unlock(&cache->mutex);
		int r = pa_region_read(file->region_fd, buffer, bytes, (uint64_t)i * PA_CHUNK_BYTES, &err);
		struct pa_hash128 hash = pa_hash_content(buffer, r == 0 ? bytes : 0);
		pthread_mutex_lock(&cache->mutex);
		chunk->readers--;
		pthread_cond_broadcast(&cache->changed);
		if (r == 0 && chunk->changes == changes && chunk->bytes == bytes) {
			chunk->hash = hash;
			chunk->hash_known = true;
		}
	}
	pthread_mutex_unlock(&cache->mutex);
	free(buffer);
}

static int end_writing(struct pa_file *file, const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_content *content = file->content;
	struct pa_cache *cache = content->cache;
	struct pa_error waiting = PA_ERROR_INIT;
	struct pa_store_entry entry;

	if (cache->verify_every != 0 && file->region_fd >= 0)
		seal(file);
	pthread_mutex_lock(&cache->mutex);
	bool turn = pa_content_begin_change(content, NULL, &waiting) == 0;
	pthread_mutex_unlock(&cache->mutex);
	int r = close_store_file(file, &entry, call, err);
	pthread_mutex_lock(&cache->mutex);
	content->writers--;
	pthread_mutex_unlock(&cache->mutex);
	pa_content_take_version(content, r == 0 ? &entry : NULL);
	pthread_mutex_lock(&cache->mutex);
	if (turn)
		pa_content_end_change(content);
	pthread_mutex_unlock(&cache->mutex);
	return r;
}

int pa_file_close(struct pa_file *file, const struct pa_store_call *call, struct pa_error *err)
{
	int r = 0;

	if (file->store_file != NULL)
		r = end_writing(file, call, err);
	file_free(file);
	return r;
}

int pa_file_flush(struct pa_file *file, bool sync, const struct pa_store_call *call, struct pa_error *err)
{
	/* Writes are through already when they return. */
	if (file->store_file == NULL || !sync)
		return 0;
	return pa_store_sync(file->data_set->store, file->store_file, call, err);
}

int pa_file_hold_whole(struct pa_file *file)
{
	struct pa_content *content = file->content;
	struct pa_cache *cache = content->cache;
	struct pa_error err = PA_ERROR_INIT;

	pthread_mutex_lock(&cache->mutex);
	bool held = pa_content_is_whole(content) && content->node != NULL && !content->growing;
	if (held) {
		content->whole_holds++;
		file->whole_holds++;
	}
	pthread_mutex_unlock(&cache->mutex);
	if (!held)
		return -1;
	int fd = -1;
	if (pa_file_open_region(file, &fd, &err) < 0) {
		pa_file_release_whole(file);
		return -1;
	}
	return fd;
}

void pa_file_release_whole(struct pa_file *file)
{
	struct pa_content *content = file->content;
	struct pa_cache *cache = content->cache;

	pthread_mutex_lock(&cache->mutex);
	file->whole_holds--;
	if (--content->whole_holds == 0) {
		pa_cache_unsort(content);
		pa_cache_room_freed(cache);
	}
	pthread_mutex_unlock(&cache->mutex);
}

/* ---- creating ---- */

/* The node of a file that the store has made; a refresh that listed it meanwhile may have added it.  NULL: it is
 * something else by now. */
static struct pa_inode *made_node(struct pa_data_set *data_set, struct pa_inode *folder, const char *name,
                                  const struct pa_store_entry *entry)
{
	struct pa_inode *node = pa_inode_child(data_set, folder, name, strlen(name));

	if (node == NULL) {
		node = pa_inode_new(data_set, entry);
		pa_inode_attach(data_set, folder, name, node);
	} else if (node->kind != PA_ENTRY_FILE) {
		return NULL;
	} else if (node->content == NULL) {
		pa_inode_update(node, entry);
		pa_inode_set_size(node, entry->size_bytes);
	}
	return node;
}

/* Within the folder's name lock: the file is not in the tree. */
static int create_new(struct pa_data_set *data_set, uint64_t parent, const char *name, unsigned flags,
                      uint32_t mode, struct pa_file **ret, const struct pa_store_call *call,
                      struct pa_error *err)
{
	struct pa_cache *cache = data_set->cache;
	unsigned store_flags = PA_STORE_OPEN_CREATE;
	struct pa_store_file *store_file = NULL;
	struct pa_store_entry entry;
	char path[PA_PATH_ROOM];

	if ((flags & PA_FILE_EXCLUSIVE) != 0)
		store_flags |= PA_STORE_OPEN_EXCLUSIVE;
	if ((flags & PA_FILE_TRUNCATE) != 0)
		store_flags |= PA_STORE_OPEN_TRUNCATE;
	int r = pa_tree_store_path(data_set, parent, name, path, err);
	if (r == 0)
		r = pa_store_open_write(data_set->store, path, store_flags, mode, &store_file, call, err);
	if (r < 0)
		return r;
	r = pa_store_stat(data_set->store, path, &entry, call, err);
	if (r < 0) {
		struct pa_error ignored = PA_ERROR_INIT;
		pa_store_close_write(data_set->store, store_file, NULL, call, &ignored);
		return r;
	}
	pthread_mutex_lock(&cache->mutex);
	struct pa_inode *folder = pa_inode_by_inode(data_set, parent);
	struct pa_inode *node =
	    folder != NULL && !folder->removed ? made_node(data_set, folder, name, &entry) : NULL;
	if (node != NULL) {
		pa_inode_changed(data_set, node);
		*ret = file_new(data_set, node, flags | PA_FILE_WRITE);
		(*ret)->store_file = store_file;
		(*ret)->content->writers++;
		store_file = NULL;
	}
	pthread_mutex_unlock(&cache->mutex);
	if (store_file == NULL)
		return 0;
	pa_store_close_write(data_set->store, store_file, NULL, call, err);
	return pa_error_set_errno(err, ENOENT, "creating '%s' of %s: it or its folder is gone already", name,
	                          data_set->name);
}

int pa_file_create(struct pa_data_set *data_set, uint64_t parent, const char *name, unsigned flags,
                   uint32_t mode, struct pa_file **ret, struct pa_attributes *ret_attributes,
                   const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_attributes attributes;
	struct pa_file *file = NULL;

	if (data_set->read_only)
		return pa_error_set_errno(err, EROFS, "creating '%s': %s is read-only", name, data_set->name);
	pthread_mutex_lock(pa_tree_name_mutex(data_set, parent));
	int r = pa_tree_lookup(data_set, parent, name, &attributes, err);
	bool missing = r == -(int)PA_ERROR_NOT_FOUND;
	if (missing)
		r = create_new(data_set, parent, name, flags, mode, &file, call, err);
	else if (r == 0 && (flags & PA_FILE_EXCLUSIVE) != 0)
		r = pa_error_set_errno(err, EEXIST, "creating '%s' of %s", name, data_set->name);
	pthread_mutex_unlock(pa_tree_name_mutex(data_set, parent));
	if (r == 0 && !missing)
		r = pa_file_open(data_set, attributes.inode, flags, &file, call, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&data_set->cache->mutex);
	pa_inode_attributes(file->node, ret_attributes);
	pthread_mutex_unlock(&data_set->cache->mutex);
	*ret = file;
	return 0;
}
