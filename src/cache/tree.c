/* SPDX-License-Identifier: Apache-2.0 */
/* The tree as a file system sees it: names, attributes, changes of names. */
#include "cache/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache_internal.h"

#define NAME_MAX_BYTES 255

/* Locked. */
static struct pa_inode *live_node(const struct pa_data_set *data_set, uint64_t inode, struct pa_error *err)
{
	struct pa_inode *node = pa_inode_by_inode(data_set, inode);

	if (node == NULL)
		pa_error_set_errno(err, ENOENT, "inode %llu of %s", (unsigned long long)inode,
		                   data_set->name);
	return node;
}

static int check_name(const char *name, struct pa_error *err)
{
	size_t length = strlen(name);

	if (length == 0 || strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return pa_error_set_errno(err, EINVAL, "the name '%s'", name);
	if (length > NAME_MAX_BYTES)
		return pa_error_set_errno(err, ENAMETOOLONG, "a name of %zu bytes; at most %d", length,
		                          NAME_MAX_BYTES);
	return 0;
}

pthread_mutex_t *pa_tree_name_mutex(struct pa_data_set *data_set, uint64_t parent)
{
	return &data_set->name_mutexes[parent % PA_NAME_LOCKS];
}

int pa_tree_store_path(struct pa_data_set *data_set, uint64_t parent, const char *name,
                       char out[PA_PATH_ROOM], struct pa_error *err)
{
	int r = check_name(name, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&data_set->cache->mutex);
	const struct pa_inode *node = live_node(data_set, parent, err);
	if (node == NULL || node->removed)
		r = pa_error_set_errno(err, ENOENT, "the folder of '%s' in %s", name, data_set->name);
	else if (node->kind != PA_ENTRY_DIRECTORY)
		r = pa_error_set_errno(err, ENOTDIR, "what '%s' of %s is to be in", name, data_set->name);
	else if ((r = pa_inode_store_path(data_set, node, name, out, PA_PATH_ROOM)) < 0)
		r = pa_error_set_errno(err, -r, "'%s' of %s", name, data_set->name);
	pthread_mutex_unlock(&data_set->cache->mutex);
	return r < 0 ? r : 0;
}

int pa_tree_lookup(struct pa_data_set *data_set, uint64_t parent, const char *name, struct pa_attributes *ret,
                   struct pa_error *err)
{
	int r = 0;

	pthread_mutex_lock(&data_set->cache->mutex);
	const struct pa_inode *folder = live_node(data_set, parent, err);
	const struct pa_inode *node =
	    folder != NULL ? pa_inode_child(data_set, folder, name, strlen(name)) : NULL;
	if (node != NULL)
		pa_inode_attributes(node, ret);
	else
		r = pa_error_set_errno(err, folder != NULL && folder->closed ? EACCES : ENOENT, "'%s' of %s",
		                       name, data_set->name);
	pthread_mutex_unlock(&data_set->cache->mutex);
	return r;
}

int pa_tree_attributes(struct pa_data_set *data_set, uint64_t inode, struct pa_attributes *ret,
                       struct pa_error *err)
{
	pthread_mutex_lock(&data_set->cache->mutex);
	const struct pa_inode *node = live_node(data_set, inode, err);
	if (node != NULL)
		pa_inode_attributes(node, ret);
	pthread_mutex_unlock(&data_set->cache->mutex);
	return node != NULL ? 0 : -(int)err->class;
}

void pa_tree_path(struct pa_data_set *data_set, uint64_t inode, char *out, size_t room)
{
	pthread_mutex_lock(&data_set->cache->mutex);
	const struct pa_inode *node = pa_inode_by_inode(data_set, inode);
	if (room > 0 && (node == NULL || node->removed || pa_inode_path(node, out, room) < 0))
		*out = '\0';
	pthread_mutex_unlock(&data_set->cache->mutex);
}

int pa_tree_read_link(struct pa_data_set *data_set, uint64_t inode, char *out, size_t room,
                      struct pa_error *err)
{
	int r = 0;

	pthread_mutex_lock(&data_set->cache->mutex);
	const struct pa_inode *node = live_node(data_set, inode, err);
	if (node == NULL)
		r = -(int)err->class;
	else if (node->kind != PA_ENTRY_SYMLINK)
		r = pa_error_set_errno(err, EINVAL, "inode %llu of %s is no symbolic link",
		                       (unsigned long long)inode, data_set->name);
	else if (strlen(node->link_target) >= room)
		r = pa_error_set_errno(err, ENAMETOOLONG, "the link '%s' of %s", node->name, data_set->name);
	else
		strcpy(out, node->link_target); /* it fits: checked above */
	pthread_mutex_unlock(&data_set->cache->mutex);
	return r;
}

int pa_tree_list(struct pa_data_set *data_set, uint64_t inode, uint64_t cookie, pa_tree_entry_fn each,
                 void *context, struct pa_error *err)
{
	struct pa_attributes attributes;
	bool more = true;
	int r = 0;

	pthread_mutex_lock(&data_set->cache->mutex);
	const struct pa_inode *folder = live_node(data_set, inode, err);
	if (folder == NULL)
		r = -(int)err->class;
	else if (folder->kind != PA_ENTRY_DIRECTORY)
		r = pa_error_set_errno(err, ENOTDIR, "inode %llu of %s", (unsigned long long)inode,
		                       data_set->name);
	else if (folder->closed)
		r = pa_error_set_errno(err, EACCES, "the folder '%s' of %s is closed to us at the source",
		                       folder->name, data_set->name);
	while (r == 0 && more) {
		const struct pa_inode *child = pa_inode_next_child(folder, cookie);
		if (child == NULL)
			break;
		cookie = child->cookie;
		pa_inode_attributes(child, &attributes);
		more = each(context, child->name, cookie, &attributes);
	}
	pthread_mutex_unlock(&data_set->cache->mutex);
	return r;
}

static int check_writable(const struct pa_data_set *data_set, const char *name, struct pa_error *err)
{
	if (data_set->read_only)
		return pa_error_set_errno(err, EROFS, "changing '%s': %s is read-only", name, data_set->name);
	return 0;
}

/* After the store has made something: its node. */
static int add_made(struct pa_data_set *data_set, uint64_t parent, const char *name, const char *path,
                    struct pa_attributes *ret, const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_store_entry entry;
	int r = pa_store_stat(data_set->store, path, &entry, call, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&data_set->cache->mutex);
	struct pa_inode *folder = pa_inode_by_inode(data_set, parent);
	if (folder == NULL || folder->removed) {
		r = pa_error_set_errno(err, ENOENT, "the folder of '%s' in %s", name, data_set->name);
	} else {
		struct pa_inode *node = pa_inode_child(data_set, folder, name, strlen(name));
		if (node == NULL) {
			node = pa_inode_new(data_set, &entry);
			pa_inode_attach(data_set, folder, name, node);
		}
		pa_inode_changed(data_set, node);
		pa_inode_attributes(node, ret);
	}
	pthread_mutex_unlock(&data_set->cache->mutex);
	return r;
}

int pa_tree_make_directory(struct pa_data_set *data_set, uint64_t parent, const char *name, uint32_t mode,
                           struct pa_attributes *ret, const struct pa_store_call *call, struct pa_error *err)
{
	char path[PA_PATH_ROOM];
	int r = check_writable(data_set, name, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(pa_tree_name_mutex(data_set, parent));
	r = pa_tree_store_path(data_set, parent, name, path, err);
	if (r == 0)
		r = pa_store_make_directory(data_set->store, path, mode, call, err);
	if (r == 0)
		r = add_made(data_set, parent, name, path, ret, call, err);
	pthread_mutex_unlock(pa_tree_name_mutex(data_set, parent));
	return r;
}

int pa_tree_make_symlink(struct pa_data_set *data_set, uint64_t parent, const char *name, const char *target,
                         struct pa_attributes *ret, const struct pa_store_call *call, struct pa_error *err)
{
	char path[PA_PATH_ROOM];
	int r = check_writable(data_set, name, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(pa_tree_name_mutex(data_set, parent));
	r = pa_tree_store_path(data_set, parent, name, path, err);
	if (r == 0)
		r = pa_store_make_symlink(data_set->store, path, target, call, err);
	if (r == 0)
		r = add_made(data_set, parent, name, path, ret, call, err);
	pthread_mutex_unlock(pa_tree_name_mutex(data_set, parent));
	return r;
}

/* A refresh that begins from now on waits for the end of this change of a name (see begin_refresh()). */
static uint64_t begin_name_change(struct pa_data_set *data_set)
{
	pthread_mutex_lock(&data_set->cache->mutex);
	uint64_t epoch = data_set->refresh_epoch;
	data_set->name_changes[epoch % 2]++;
	pthread_mutex_unlock(&data_set->cache->mutex);
	return epoch;
}

static void end_name_change(struct pa_data_set *data_set, uint64_t epoch)
{
	pthread_mutex_lock(&data_set->cache->mutex);
	data_set->name_changes[epoch % 2]--;
	pthread_cond_broadcast(&data_set->cache->changed);
	pthread_mutex_unlock(&data_set->cache->mutex);
}

/* The inode of a name, 0 if there is none; notes for a refresh under way that it is about to go. */
static uint64_t touch_name(struct pa_data_set *data_set, uint64_t parent, const char *name)
{
	uint64_t inode = 0;

	pthread_mutex_lock(&data_set->cache->mutex);
	const struct pa_inode *folder = pa_inode_by_inode(data_set, parent);
	if (folder != NULL) {
		const struct pa_inode *node = pa_inode_child(data_set, folder, name, strlen(name));
		inode = node != NULL ? node->inode : 0;
		pa_data_set_touch(data_set, folder, name);
		/* What is below goes where a listing under way does not expect it. */
		if (node != NULL && node->kind == PA_ENTRY_DIRECTORY && data_set->refreshing)
			data_set->folder_moved = true;
	}
	pthread_mutex_unlock(&data_set->cache->mutex);
	return inode;
}

int pa_tree_remove(struct pa_data_set *data_set, uint64_t parent, const char *name, bool directory,
                   const struct pa_store_call *call, struct pa_error *err)
{
	char path[PA_PATH_ROOM];
	int r = check_writable(data_set, name, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(pa_tree_name_mutex(data_set, parent));
	uint64_t epoch = begin_name_change(data_set);
	r = pa_tree_store_path(data_set, parent, name, path, err);
	uint64_t inode = r == 0 ? touch_name(data_set, parent, name) : 0;
	if (r == 0)
		r = pa_store_remove(data_set->store, path, directory, call, err);
	/* What is gone there is gone here, too. */
	if (inode != 0 && (r == 0 || err->class == PA_ERROR_NOT_FOUND))
		pa_data_set_forget(data_set, inode);
	end_name_change(data_set, epoch);
	pthread_mutex_unlock(pa_tree_name_mutex(data_set, parent));
	return r;
}

/* ---- changes of a file's attributes, during which its version mark is unknown ---- */

/* The content of a file, referenced, with the turn to change it; `ret` NULL for what is no file. */
static int begin_attributes(struct pa_data_set *data_set, uint64_t inode, struct pa_content **ret,
                            const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_content *content = NULL;
	int r = 0;

	pthread_mutex_lock(&data_set->cache->mutex);
	struct pa_inode *node = pa_inode_by_inode(data_set, inode);
	if (node != NULL && !node->removed && node->kind == PA_ENTRY_FILE) {
		content = pa_content_of(data_set, node);
		r = pa_content_begin_change(content, call, err);
		if (r == 0)
			content->writers++;
		else
			pa_content_unref(content);
	}
	pthread_mutex_unlock(&data_set->cache->mutex);
	if (r == 0)
		*ret = content;
	return r;
}

/* `entry` as in pa_content_take_version(); nothing was `changed` when it failed before it reached the store.
 * */
static void end_attributes(struct pa_content *content, bool changed, const struct pa_store_entry *entry)
{
	struct pa_cache *cache;

	if (content == NULL)
		return;
	cache = content->cache;
	pthread_mutex_lock(&cache->mutex);
	content->writers--;
	pthread_mutex_unlock(&cache->mutex);
	if (changed)
		pa_content_take_version(content, entry);
	pthread_mutex_lock(&cache->mutex);
	pa_content_end_change(content);
	pa_content_unref(content);
	pthread_mutex_unlock(&cache->mutex);
	pa_content_bury(cache);
}

int pa_tree_set_attributes(struct pa_data_set *data_set, uint64_t inode,
                           const struct pa_store_attributes *attributes, struct pa_attributes *ret,
                           const struct pa_store_call *call, struct pa_error *err)
{
	struct pa_content *content = NULL;
	struct pa_store_entry entry;
	struct pa_error looking = PA_ERROR_INIT;
	char path[PA_PATH_ROOM];
	int r = check_writable(data_set, "attributes", err);

	if (r == 0)
		r = begin_attributes(data_set, inode, &content, call, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&data_set->cache->mutex);
	const struct pa_inode *node = live_node(data_set, inode, err);
	if (node == NULL || node->removed)
		r = pa_error_set_errno(err, ENOENT, "a removed file of %s", data_set->name);
	else if (attributes->set_size && content == NULL)
		r = pa_error_set_errno(err, EISDIR, "the size of inode %llu", (unsigned long long)inode);
	else if (attributes->set_size && attributes->size_bytes > PA_CACHE_MAX_FILE_BYTES)
		r = pa_error_set_errno(err, EFBIG, "a file of %s", data_set->name);
	else if ((r = pa_inode_store_path(data_set, node, NULL, path, sizeof(path))) < 0)
		r = pa_error_set_errno(err, -r, "a path of %s", data_set->name);
	pthread_mutex_unlock(&data_set->cache->mutex);
	bool changed = r >= 0;
	if (changed)
		r = pa_store_set_attributes(data_set->store, path, attributes, call, err);
	if (r == 0 && attributes->set_size)
		pa_content_resize(content, attributes->size_bytes);
	bool known = changed && pa_store_stat(data_set->store, path, &entry, call, &looking) == 0;
	if (known && content == NULL) {
		pthread_mutex_lock(&data_set->cache->mutex);
		struct pa_inode *folder = pa_inode_by_inode(data_set, inode);
		if (folder != NULL)
			pa_inode_update(folder, &entry);
		pthread_mutex_unlock(&data_set->cache->mutex);
	}
	end_attributes(content, changed, known ? &entry : NULL);
	return r < 0 ? r : pa_tree_attributes(data_set, inode, ret, err);
}

/* ---- renaming ---- */

static void lock_names(struct pa_data_set *data_set, uint64_t a, uint64_t b)
{
	uint64_t first = a % PA_NAME_LOCKS;
	uint64_t second = b % PA_NAME_LOCKS;

	if (first > second) {
		first = second;
		second = a % PA_NAME_LOCKS;
	}
	pthread_mutex_lock(&data_set->name_mutexes[first]);
	if (second != first)
		pthread_mutex_lock(&data_set->name_mutexes[second]);
}

static void unlock_names(struct pa_data_set *data_set, uint64_t a, uint64_t b)
{
	pthread_mutex_unlock(pa_tree_name_mutex(data_set, a));
	if (a % PA_NAME_LOCKS != b % PA_NAME_LOCKS)
		pthread_mutex_unlock(pa_tree_name_mutex(data_set, b));
}

/* The source has done it: the tree follows. */
static void move_node(struct pa_data_set *data_set, uint64_t inode, uint64_t new_parent, const char *new_name)
{
	struct pa_cache *cache = data_set->cache;

	pthread_mutex_lock(&cache->mutex);
	struct pa_inode *node = pa_inode_by_inode(data_set, inode);
	struct pa_inode *folder = pa_inode_by_inode(data_set, new_parent);
	if (node != NULL && !node->removed && folder != NULL && !folder->removed) {
		pa_inode_unlink(data_set, node);
		pa_inode_attach(data_set, folder, new_name, node);
		pa_inode_changed(data_set, node);
		node->generation--; /* the name changed, not the content */
		if (node->content != NULL)
			pa_cache_unsort(node->content); /* other needs and pins may be above it now */
		if (node->kind == PA_ENTRY_DIRECTORY && data_set->refreshing)
			data_set->folder_moved = true;
	}
	pthread_mutex_unlock(&cache->mutex);
}

/* Within the name locks. */
static int rename_named(struct pa_data_set *data_set, uint64_t parent, const char *name, uint64_t new_parent,
                        const char *new_name, bool no_replace, const struct pa_store_call *call,
                        struct pa_error *err)
{
	struct pa_content *content = NULL;
	struct pa_store_entry entry;
	struct pa_error looking = PA_ERROR_INIT;
	char from[PA_PATH_ROOM];
	char to[PA_PATH_ROOM];
	int r = pa_tree_store_path(data_set, parent, name, from, err);

	if (r == 0)
		r = pa_tree_store_path(data_set, new_parent, new_name, to, err);
	if (r < 0 || strcmp(from, to) == 0)
		return r;
	uint64_t inode = touch_name(data_set, parent, name);
	uint64_t replaced = touch_name(data_set, new_parent, new_name);
	if (inode == 0)
		return pa_error_set_errno(err, ENOENT, "renaming '%s' of %s", name, data_set->name);
	r = begin_attributes(data_set, inode, &content, call, err);
	if (r < 0)
		return r;
	r = pa_store_rename(data_set->store, from, to, no_replace, call, err);
	if (r == 0) {
		if (replaced != 0)
			pa_data_set_forget(data_set, replaced);
		move_node(data_set, inode, new_parent, new_name);
	}
	bool known = pa_store_stat(data_set->store, r == 0 ? to : from, &entry, call, &looking) == 0;
	end_attributes(content, true, known ? &entry : NULL);
	return r;
}

int pa_tree_rename(struct pa_data_set *data_set, uint64_t parent, const char *name, uint64_t new_parent,
                   const char *new_name, bool no_replace, const struct pa_store_call *call,
                   struct pa_error *err)
{
	int r = check_writable(data_set, name, err);

	if (r < 0)
		return r;
	lock_names(data_set, parent, new_parent);
	uint64_t epoch = begin_name_change(data_set);
	r = rename_named(data_set, parent, name, new_parent, new_name, no_replace, call, err);
	end_name_change(data_set, epoch);
	unlock_names(data_set, parent, new_parent);
	return r;
}
