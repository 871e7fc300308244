/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/mount_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define WRITABLE_VALID_SECONDS  1
#define READ_ONLY_VALID_SECONDS 60
#define PATH_BYTES              4096

/* The files that a view has opened for reading, by order, with an open-addressed index by inode. */
struct access_entry {
	struct pa_view_access public;
	uint64_t inode;
	bool counted_whole;
};

struct pa_view_accesses {
	struct access_entry *entries;
	size_t count;
	size_t capacity;
	uint32_t *slots;   /* entry + 1; 0: free */
	size_t slot_count; /* a power of two, more than twice capacity */
};

static size_t slot_of(const struct pa_view_accesses *accesses, uint64_t inode)
{
	size_t slot = (size_t)((inode * 0x9e3779b97f4a7c15ULL) >> 20) & (accesses->slot_count - 1);

	while (accesses->slots[slot] != 0 && accesses->entries[accesses->slots[slot] - 1].inode != inode)
		slot = (slot + 1) & (accesses->slot_count - 1);
	return slot;
}

static bool accesses_grow(struct pa_view_accesses *accesses)
{
	size_t capacity = accesses->capacity == 0 ? 64 : accesses->capacity * 2;
	struct access_entry *entries = realloc(accesses->entries, capacity * sizeof(*entries));

	if (entries == NULL)
		return false;
	accesses->entries = entries;
	uint32_t *slots = calloc(capacity * 4, sizeof(*slots));
	if (slots == NULL)
		return false;
	free(accesses->slots);
	accesses->slots = slots;
	accesses->slot_count = capacity * 4;
	accesses->capacity = capacity;
	for (size_t i = 0; i < accesses->count; i++)
		slots[slot_of(accesses, entries[i].inode)] = (uint32_t)i + 1;
	return true;
}

/* The entry of an inode, from 1; made with `path` when it is new; 0 past the limit.  Under the account lock. */
static uint32_t accesses_find(struct pa_view_accesses *accesses, uint64_t inode, const char *path)
{
	if (accesses->slot_count != 0) {
		uint32_t found = accesses->slots[slot_of(accesses, inode)];
		if (found != 0)
			return found;
	}
	if (accesses->count == PA_MOUNT_MAX_ACCESSES ||
	    (accesses->count == accesses->capacity && !accesses_grow(accesses)))
		return 0;
	char *copy = strdup(path);
	if (copy == NULL)
		return 0;
	size_t slot = slot_of(accesses, inode);
	struct access_entry *entry = &accesses->entries[accesses->count];
	*entry = (struct access_entry){
	    .public = {.path = copy, .first_open_ns = pa_clock_ns()},
	    .inode = inode,
	};
	accesses->slots[slot] = (uint32_t)++accesses->count;
	return accesses->slots[slot];
}

uint32_t pa_view_count_open(struct pa_mount_view *view, uint64_t inode, uint64_t size_bytes, bool reads,
                            bool passthrough, bool whole)
{
	char path[PATH_BYTES] = "";
	uint32_t access = 0;

	if (reads)
		pa_tree_path(view->data_set, inode, path, sizeof(path));
	pthread_mutex_lock(&view->lock);
	view->account.opens++;
	view->account.passthrough_opens += passthrough;
	if (reads)
		access = accesses_find(view->accesses, inode, path);
	if (access != 0) {
		struct access_entry *entry = &view->accesses->entries[access - 1];
		if (entry->public.size_bytes == 0) {
			entry->public.size_bytes = size_bytes;
			entry->public.whole_at_first_open = whole;
		}
		if (passthrough && !entry->counted_whole) {
			entry->counted_whole = true;
			entry->public.read_bytes += size_bytes;
			view->account.memory_bytes += size_bytes;
		}
	}
	pthread_mutex_unlock(&view->lock);
	return access;
}

void pa_view_count_read(struct pa_mount_view *view, uint32_t access, const struct pa_read_account *read,
                        size_t bytes, bool failed)
{
	pthread_mutex_lock(&view->lock);
	view->account.memory_bytes += read->memory_bytes;
	view->account.source_bytes += read->source_bytes;
	view->account.read_errors += failed;
	if (access != 0)
		view->accesses->entries[access - 1].public.read_bytes += bytes;
	pthread_mutex_unlock(&view->lock);
}

void pa_view_count_write(struct pa_mount_view *view, size_t bytes)
{
	pthread_mutex_lock(&view->lock);
	view->account.written_bytes += bytes;
	pthread_mutex_unlock(&view->lock);
}

void pa_view_wait_begin(struct pa_mount_view *view)
{
	pthread_mutex_lock(&view->lock);
	if (view->waiting++ == 0)
		view->waiting_since_ns = pa_clock_ns();
	pthread_mutex_unlock(&view->lock);
}

void pa_view_wait_end(struct pa_mount_view *view)
{
	pthread_mutex_lock(&view->lock);
	if (--view->waiting == 0)
		view->account.stalled_ns += pa_clock_ns() - view->waiting_since_ns;
	pthread_mutex_unlock(&view->lock);
}

void pa_mount_view_account(struct pa_mount_view *view, struct pa_view_account *ret)
{
	pthread_mutex_lock(&view->lock);
	*ret = view->account;
	if (view->waiting != 0)
		ret->stalled_ns += pa_clock_ns() - view->waiting_since_ns;
	pthread_mutex_unlock(&view->lock);
}

size_t pa_mount_view_accesses(struct pa_mount_view *view, struct pa_view_access *out, size_t room)
{
	pthread_mutex_lock(&view->lock);
	size_t count = view->accesses->count;
	for (size_t i = 0; i < count && i < room; i++)
		out[i] = view->accesses->entries[i].public;
	pthread_mutex_unlock(&view->lock);
	return count;
}

bool pa_mount_view_is_stalled(struct pa_mount_view *view)
{
	pthread_mutex_lock(&view->lock);
	bool stalled = view->waiting != 0;
	pthread_mutex_unlock(&view->lock);
	return stalled;
}

static void view_free(struct pa_mount_view *view)
{
	for (size_t i = 0; i < view->accesses->count; i++)
		free((void *)(uintptr_t)view->accesses->entries[i].public.path);
	free(view->accesses->entries);
	free(view->accesses->slots);
	free(view->accesses);
	pthread_mutex_destroy(&view->lock);
	free(view);
}

/* Under the table lock. */
static void view_free_if_unused(struct pa_mount *mount, struct pa_mount_view *view)
{
	if (!view->removed || view->nodes != 0 || view->operations != 0)
		return;
	mount->views[view->index] = NULL;
	memset(&mount->table.views[view->index], 0, sizeof(mount->table.views[0]));
	view_free(view);
}

void pa_view_node_gone(struct pa_mount *mount, uint32_t view)
{
	mount->views[view]->nodes--;
	view_free_if_unused(mount, mount->views[view]);
}

void pa_view_free_all(struct pa_mount *mount)
{
	for (uint32_t i = 0; i < mount->view_end; i++)
		if (mount->views[i] != NULL)
			view_free(mount->views[i]);
}

int pa_target_get(struct pa_mount *mount, uint64_t node_id, struct pa_mount_target *ret)
{
	int result = 0;

	*ret = (struct pa_mount_target){.node = PA_ROOT_NODE};
	if (node_id == FUSE_ROOT_ID)
		return 0;
	pthread_mutex_lock(&mount->lock);
	uint32_t node = pa_table_node_find(&mount->table, node_id);
	if (node == 0) {
		result = -ESTALE;
	} else {
		const struct pa_node_record *record = &mount->table.nodes[node];
		struct pa_mount_view *view = mount->views[record->view];
		if (view->removed)
			result = -ESTALE;
		else
			*ret = (struct pa_mount_target){.node = node, .inode = record->inode, .view = view};
		view->operations += !view->removed;
	}
	pthread_mutex_unlock(&mount->lock);
	return result;
}

void pa_target_put(struct pa_mount *mount, struct pa_mount_target *target)
{
	if (target->view == NULL)
		return;
	pthread_mutex_lock(&mount->lock);
	if (--target->view->operations == 0 && target->view->removed)
		pthread_cond_broadcast(&mount->view_idle);
	pthread_mutex_unlock(&mount->lock);
	target->view = NULL;
}

/* Under the table lock. */
static struct pa_mount_view *view_named(struct pa_mount *mount, const char *name)
{
	for (uint32_t i = 0; i < mount->view_end; i++)
		if (mount->views[i] != NULL && !mount->views[i]->removed &&
		    strcmp(mount->table.views[i].name, name) == 0)
			return mount->views[i];
	return NULL;
}

struct pa_mount_view *pa_view_find(struct pa_mount *mount, const char *name)
{
	pthread_mutex_lock(&mount->lock);
	struct pa_mount_view *view = view_named(mount, name);
	if (view != NULL)
		view->operations++;
	pthread_mutex_unlock(&mount->lock);
	return view;
}

static int check_name(const char *name, struct pa_error *err)
{
	size_t length = strlen(name);

	if (length == 0 || length >= PA_TABLE_NAME_BYTES || strchr(name, '/') != NULL ||
	    strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "mount: \"%s\" cannot name a view: give 1 to %d bytes without '/'", name,
		                    PA_TABLE_NAME_BYTES - 1);
	return 0;
}

/* The inode of a path in a data set. */
static int walk(struct pa_data_set *data_set, const char *path, uint64_t *ret_inode, struct pa_error *err)
{
	struct pa_attributes attributes = {.inode = PA_INODE_ROOT};
	char name[PA_TABLE_NAME_BYTES];

	for (const char *at = path; *at != '\0';) {
		size_t length = strcspn(at, "/");
		if (length >= sizeof(name))
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "mount: a name in \"%s\" is longer than %zu bytes", path,
			                    sizeof(name) - 1);
		memcpy(name, at, length);
		name[length] = '\0';
		if (length != 0) {
			int result = pa_tree_lookup(data_set, attributes.inode, name, &attributes, err);
			if (result != 0)
				return pa_error_wrap(err, "mount: no view of \"%s\" in data set %s", path,
				                     pa_data_set_name(data_set));
		}
		at += length + (at[length] == '/');
	}
	*ret_inode = attributes.inode;
	return 0;
}

static struct pa_mount_view *view_allocate(struct pa_data_set *data_set, uint64_t inode, bool read_only)
{
	struct pa_mount_view *view = calloc(1, sizeof(*view));
	struct pa_view_accesses *accesses = calloc(1, sizeof(*accesses));

	if (view == NULL || accesses == NULL) {
		free(view);
		free(accesses);
		return NULL;
	}
	view->accesses = accesses;
	view->data_set = data_set;
	view->root_inode = inode;
	view->read_only = read_only || pa_data_set_read_only(data_set);
	view->valid_seconds =
	    pa_data_set_read_only(data_set) ? READ_ONLY_VALID_SECONDS : WRITABLE_VALID_SECONDS;
	pthread_mutex_init(&view->lock, NULL);
	return view;
}

/* Gives the view a place in the table.  Under the table lock. */
static int view_place(struct pa_mount *mount, struct pa_mount_view *view, const char *name,
                      struct pa_error *err)
{
	uint32_t index = 0;

	if (view_named(mount, name) != NULL)
		return pa_error_set(err, PA_ERROR_INPUT, "mount: there is a view named \"%s\" already at %s",
		                    name, mount->mount_point);
	while (index < mount->view_end && mount->views[index] != NULL)
		index++;
	if (index == PA_MOUNT_MAX_VIEWS)
		return pa_error_set(err, PA_ERROR_NO_SPACE,
		                    "mount: no room for view \"%s\": there are %u already", name,
		                    PA_MOUNT_MAX_VIEWS);
	const char *data_set_name = pa_data_set_name(view->data_set);
	struct pa_view_record *record = &mount->table.views[index];
	*record = (struct pa_view_record){
	    .root_inode = view->root_inode,
	    .data_set_mark = pa_hash_content(data_set_name, strlen(data_set_name)).low,
	    .flags = 1,
	};
	memcpy(record->name, name, strlen(name) + 1);
	view->index = index;
	mount->views[index] = view;
	if (index == mount->view_end)
		mount->view_end++;
	return 0;
}

int pa_mount_add_view(struct pa_mount *mount, const char *name, struct pa_data_set *data_set,
                      const char *path, bool read_only, struct pa_mount_view **ret, struct pa_error *err)
{
	uint64_t inode;

	int result = check_name(name, err);
	if (result == 0)
		result = walk(data_set, path, &inode, err);
	if (result != 0)
		return result;
	struct pa_mount_view *view = view_allocate(data_set, inode, read_only);
	if (view == NULL)
		return pa_error_set_errno(err, ENOMEM, "mount: view \"%s\"", name);
	pthread_mutex_lock(&mount->lock);
	result = view_place(mount, view, name, err);
	pthread_mutex_unlock(&mount->lock);
	if (result != 0) {
		view_free(view);
		return result;
	}
	*ret = view;
	return 0;
}

void pa_mount_remove_view(struct pa_mount *mount, struct pa_mount_view *view)
{
	char name[PA_TABLE_NAME_BYTES];

	pthread_mutex_lock(&mount->lock);
	memcpy(name, mount->table.views[view->index].name, sizeof(name));
	view->removed = true;
	view->nodes++; /* ours, so that it stays while we wait */
	/* Its data set may be closed after this: nothing may be looking at it. */
	while (view->operations != 0)
		pthread_cond_wait(&mount->view_idle, &mount->lock);
	pa_view_node_gone(mount, view->index);
	pthread_mutex_unlock(&mount->lock);
	/* Not under the lock: the kernel waits for what is being looked up in the root. */
	pa_entry_invalidate(mount, name);
}
