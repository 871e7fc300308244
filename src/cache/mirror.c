/* SPDX-License-Identifier: Apache-2.0 */
/* The folder that shows the whole files of a read-only data set by name, for bind mounts.  Files appear when
 * their last chunk has come and go before their first chunk goes; what else the source has (folders, links,
 * empty
 * files) is shown when a bind is asked for. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cache/cache_internal.h"

/* Nodes that are looked at in one go under the mutex. */
#define BIND_PIECE 512

/* What pa_mirror_show() needs of a node, copied out of the lock. */
struct shown {
	struct pa_store_entry entry;
	uint64_t id;
	uint64_t inode;
	char path[PA_PATH_ROOM];
	char target[PA_PATH_ROOM];
};

static int shown_fill(struct shown *shown, const struct pa_data_set *data_set, const struct pa_inode *node,
                      uint64_t id)
{
	int length = pa_inode_path(node, shown->path, sizeof(shown->path));

	if (length < 0)
		return length;
	if (data_set->single_file) {
		const char *slash = strrchr(data_set->root, '/');
		const char *name = slash != NULL ? slash + 1 : data_set->root;
		memcpy(shown->path, name, strlen(name) + 1);
	}
	shown->target[0] = '\0';
	if (node->link_target != NULL)
		memcpy(shown->target, node->link_target, strlen(node->link_target) + 1);
	shown->entry = (struct pa_store_entry){
	    .path = shown->path,
	    .kind = node->kind,
	    .mode = node->mode,
	    .uid = node->uid,
	    .gid = node->gid,
	    .mtime_ns = node->mtime_ns,
	    .link_target = shown->target,
	};
	shown->id = id;
	shown->inode = node->inode;
	return 0;
}

void pa_mirror_publish(struct pa_content *content)
{
	struct pa_data_set *data_set = content->data_set;
	struct pa_cache *cache = content->cache;
	struct pa_error err = PA_ERROR_INIT;
	struct shown shown;
	bool show = false;

	if (!data_set->read_only)
		return;
	pthread_mutex_lock(&data_set->mirror_mutex);
	pthread_mutex_lock(&cache->mutex);
	struct pa_inode *node = content->node;
	if (node != NULL && !node->mirrored && pa_content_is_whole(content) &&
	    shown_fill(&shown, data_set, node, content->id) == 0) {
		node->mirrored = true;
		show = true;
	}
	pthread_mutex_unlock(&cache->mutex);
	if (show && pa_mirror_show(&data_set->mirror, &shown.entry, shown.id, &err) < 0) {
		pthread_mutex_lock(&cache->mutex);
		node = pa_inode_by_inode(data_set, shown.inode);
		if (node != NULL)
			node->mirrored = false;
		pthread_mutex_unlock(&cache->mutex);
	}
	pthread_mutex_unlock(&data_set->mirror_mutex);
}

void pa_mirror_withdraw(struct pa_content *content)
{
	struct pa_data_set *data_set = content->data_set;
	struct pa_cache *cache = content->cache;
	struct shown shown;
	bool hide = false;

	if (!data_set->read_only)
		return;
	pthread_mutex_lock(&data_set->mirror_mutex);
	pthread_mutex_lock(&cache->mutex);
	struct pa_inode *node = content->node;
	if (node != NULL && node->mirrored && shown_fill(&shown, data_set, node, content->id) == 0) {
		node->mirrored = false;
		hide = true;
	}
	pthread_mutex_unlock(&cache->mutex);
	if (hide)
		pa_mirror_hide(&data_set->mirror, shown.path, false);
	pthread_mutex_unlock(&data_set->mirror_mutex);
}

/* A place in a walk over a sub-tree, which survives letting go of the mutex. */
struct bind_walk {
	struct pa_data_set *data_set;
	uint64_t top;
	uint64_t folder;
	uint64_t cookie;
	bool done;
};

/* The node behind the place in the order "folders after what is in them"; NULL at the end. Locked. */
static struct pa_inode *bind_next(struct bind_walk *walk)
{
	struct pa_inode *folder = pa_inode_by_inode(walk->data_set, walk->folder);

	if (walk->done || folder == NULL)
		return NULL;
	struct pa_inode *child = pa_inode_next_child(folder, walk->cookie);
	while (child != NULL && child->kind == PA_ENTRY_DIRECTORY) {
		folder = child;
		walk->folder = folder->inode;
		walk->cookie = 0;
		child = pa_inode_next_child(folder, 0);
	}
	if (child != NULL) {
		walk->cookie = child->cookie;
		return child;
	}
	walk->done = folder->inode == walk->top || folder->parent == NULL;
	if (!walk->done) {
		walk->folder = folder->parent->inode;
		walk->cookie = folder->cookie;
	}
	return folder;
}

/* Shows what publishing does not: empty files, links and folders; a folder gets its mode and time last. */
static int bind_show(struct pa_data_set *data_set, struct pa_inode *node, struct shown *shown,
                     struct pa_error *err)
{
	struct pa_cache *cache = data_set->cache;
	struct pa_content *content = NULL;
	int r = 0;

	if (node->kind == PA_ENTRY_FILE)
		content = pa_content_of(data_set, node);
	if (shown_fill(shown, data_set, node, content != NULL ? content->id : 0) < 0)
		r = pa_error_set(err, PA_ERROR_PERMANENT, "a path below '%s' is longer than %d bytes",
		                 data_set->name, PA_PATH_ROOM - 1);
	bool directory = node->kind == PA_ENTRY_DIRECTORY;
	node->mirrored = true;
	pthread_mutex_unlock(&cache->mutex);
	if (r == 0 && content != NULL) {
		PA_AUTO_CLOSE int fd = pa_content_open(content, err); /* an empty file is made here */
		r = fd < 0 ? fd : 0;
	}
	if (r == 0 && (!directory || *shown->path != '\0'))
		r = pa_mirror_show(&data_set->mirror, &shown->entry, shown->id, err);
	if (r == 0 && directory)
		r = pa_mirror_finish_folder(&data_set->mirror, &shown->entry, err);
	pthread_mutex_lock(&cache->mutex);
	node = pa_inode_by_inode(data_set, shown->inode);
	if (r < 0 && node != NULL)
		node->mirrored = false;
	if (content != NULL)
		pa_content_unref(content);
	return r;
}

/* Locked, within the mirror's mutex; lets go of the former. */
static int bind_all(struct pa_data_set *data_set, struct pa_inode *top, struct pa_error *err)
{
	struct bind_walk walk = {.data_set = data_set, .top = top->inode, .folder = top->inode};
	struct shown *shown = malloc(sizeof(*shown));
	struct pa_inode *node = NULL;
	int r = 0;

	if (shown == NULL)
		abort();
	if (top->kind != PA_ENTRY_DIRECTORY)
		r = top->mirrored ? 0 : bind_show(data_set, top, shown, err);
	else
		for (unsigned i = 1; r == 0 && (node = bind_next(&walk)) != NULL; i++) {
			/* A folder's time changes with every file in it, so it is set anew. */
			if (!node->mirrored || node->kind == PA_ENTRY_DIRECTORY)
				r = bind_show(data_set, node, shown, err);
			if (i % BIND_PIECE == 0) {
				pthread_mutex_unlock(&data_set->cache->mutex);
				pthread_mutex_lock(&data_set->cache->mutex);
			}
		}
	free(shown);
	return r;
}

int pa_data_set_bind_path(struct pa_data_set *data_set, const char *path, char *out, size_t room,
                          struct pa_error *err)
{
	struct pa_cache *cache = data_set->cache;
	int r = 0;

	if (!data_set->read_only)
		return pa_error_set(err, PA_ERROR_NOT_FOUND, "%s is not read-only, so it cannot be bound",
		                    data_set->name);
	pthread_mutex_lock(&data_set->mirror_mutex);
	pthread_mutex_lock(&cache->mutex);
	struct pa_inode *node = pa_inode_by_path(data_set, path);
	if (node == NULL)
		r = pa_error_set(err, PA_ERROR_NOT_FOUND, "'%s' is not in %s", path, data_set->name);
	else if (node->resident_bytes != node->total_bytes)
		r = pa_error_set(err, PA_ERROR_NOT_FOUND, "'%s' of %s is not all in memory", path,
		                 data_set->name);
	else
		r = bind_all(data_set, node, err);
	pthread_mutex_unlock(&cache->mutex);
	pthread_mutex_unlock(&data_set->mirror_mutex);
	pa_content_bury(cache);
	if (r < 0)
		return r;
	if (data_set->single_file) {
		const char *slash = strrchr(data_set->root, '/');
		path = slash != NULL ? slash + 1 : data_set->root;
	}
	return pa_mirror_path(&data_set->mirror, path, out, room, err);
}
