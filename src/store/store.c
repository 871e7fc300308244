/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/link.h"
#include "store/store_internal.h"

#define CANCEL_LOOK_NS (10 * PA_NS_PER_MS)

static const struct {
	const char *scheme;
	pa_store_opener open;
} drivers[] = {
    {"file", pa_store_open_file},
};

int pa_store_call_check(const struct pa_store_call *call, const char *what, struct pa_error *err)
{
	if (call == NULL)
		return 0;
	if (call->cancel != NULL && __atomic_load_n(call->cancel, __ATOMIC_RELAXED) != 0)
		return pa_error_set(err, PA_ERROR_CANCELLED, "%s: cancelled", what);
	if (call->deadline_ns != PA_DEADLINE_NEVER && pa_clock_ns() >= call->deadline_ns)
		return pa_error_set(err, PA_ERROR_DEADLINE, "%s: the time allowed has passed", what);
	return 0;
}

int64_t pa_store_call_wake_ns(const struct pa_store_call *call, int64_t wake_ns)
{
	if (call == NULL)
		return wake_ns;
	if (call->deadline_ns < wake_ns)
		wake_ns = call->deadline_ns;
	if (call->cancel != NULL) {
		int64_t look_ns = pa_clock_ns() + CANCEL_LOOK_NS;
		if (look_ns < wake_ns)
			wake_ns = look_ns;
	}
	return wake_ns;
}

/* "scheme://rest" → the driver and where rest begins. */
static int find_driver(const char *location, pa_store_opener *ret_open, const char **ret_rest,
                       struct pa_error *err)
{
	const char *colon = strstr(location, "://");

	if (colon == NULL)
		return pa_error_set(
		    err, PA_ERROR_INPUT,
		    "source '%s': no scheme; write it as scheme://…, for a folder file:///path", location);
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		size_t length = strlen(drivers[i].scheme);
		if (length == (size_t)(colon - location) &&
		    strncmp(drivers[i].scheme, location, length) == 0) {
			*ret_open = drivers[i].open;
			*ret_rest = colon + 3;
			return 0;
		}
	}
	return pa_error_set(
	    err, PA_ERROR_INPUT,
	    "source '%s': no driver for this scheme; known: file:///path (a mounted volume works too)",
	    location);
}

int pa_store_open(const struct pa_store_options *options, struct pa_store **ret, struct pa_error *err)
{
	pa_store_opener open = NULL;
	const char *rest = NULL;
	struct pa_store *store = NULL;

	if (options->connections > PA_STORE_MAX_CONNECTIONS)
		return pa_error_set(err, PA_ERROR_INPUT, "source '%s': %u connections; at most %u",
		                    options->location, options->connections, PA_STORE_MAX_CONNECTIONS);
	if (options->latency_ns < 0)
		return pa_error_set(err, PA_ERROR_INPUT, "source '%s': a latency below zero",
		                    options->location);
	int r = find_driver(options->location, &open, &rest, err);
	if (r == 0)
		r = open(rest, &store, err);
	if (r < 0)
		return r;

	store->location = strdup(options->location);
	if (store->location == NULL)
		abort();
	store->link =
	    pa_link_new(options->bandwidth_bps, options->latency_ns,
	                options->connections != 0 ? options->connections : PA_STORE_DEFAULT_CONNECTIONS);
	store->read_only = options->read_only;
	store->abilities = options->read_only ? 0 : store->ops->abilities;
	store->references = 1;
	*ret = store;
	return 0;
}

struct pa_store *pa_store_ref(struct pa_store *store)
{
	__atomic_add_fetch(&store->references, 1, __ATOMIC_RELAXED);
	return store;
}

void pa_store_unref(struct pa_store *store)
{
	if (store == NULL || __atomic_sub_fetch(&store->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	pa_link_free(store->link);
	free(store->location);
	store->ops->close(store);
}

/* Paths come from users (extents, bind paths) as well as from listings. */
static int check_path(const struct pa_store *store, const char *path, struct pa_error *err)
{
	if (*path == '\0')
		return 0;
	for (const char *part = path;;) {
		size_t length = strcspn(part, "/");
		if (length == 0 || (length == 1 && part[0] == '.') ||
		    (length == 2 && part[0] == '.' && part[1] == '.'))
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "%s: '%s' is not a path below the source's root", store->location,
			                    path);
		if (part[length] == '\0')
			return 0;
		part += length + 1;
	}
}

static int begin(struct pa_store *store, const char *path, const struct pa_store_call *call,
                 struct pa_error *err)
{
	int r = check_path(store, path, err);

	if (r == 0)
		r = pa_link_latency(store->link, call, err);
	return r;
}

static int begin_change(struct pa_store *store, unsigned abilities, const char *path,
                        const struct pa_store_call *call, struct pa_error *err)
{
	if (store->read_only)
		return pa_error_set_errno(err, EROFS, "%s: '%s': the source is configured with access: read",
		                          store->location, path);
	if ((store->abilities & abilities) != abilities)
		return pa_error_set_errno(err, ENOTSUP, "%s: '%s': the %s driver cannot do this",
		                          store->location, path, store->ops->scheme);
	return begin(store, path, call, err);
}

int pa_store_list(struct pa_store *store, const char *path, pa_store_entry_fn each, void *context,
                  const struct pa_store_call *call, struct pa_error *err)
{
	int r = begin(store, path, call, err);

	return r < 0 ? r : store->ops->list(store, path, each, context, call, err);
}

int pa_store_stat(struct pa_store *store, const char *path, struct pa_store_entry *ret,
                  const struct pa_store_call *call, struct pa_error *err)
{
	int r = begin(store, path, call, err);

	return r < 0 ? r : store->ops->stat(store, path, ret, call, err);
}

int pa_store_read(struct pa_store *store, const char *path, const struct pa_hash128 *version, uint64_t offset,
                  void *data, size_t bytes, size_t *ret_bytes, const struct pa_store_call *call,
                  struct pa_error *err)
{
	size_t got_bytes = 0;
	int64_t ready_ns = 0;
	int r = check_path(store, path, err);

	if (r == 0)
		r = pa_link_begin(store->link, &ready_ns, call, err);
	if (r < 0)
		return r;
	r = store->ops->read(store, path, version, offset, data, bytes, &got_bytes, call, err);
	if (r < 0) {
		pa_link_end(store->link, ready_ns, 0, NULL, err);
		return r;
	}
	r = pa_link_end(store->link, ready_ns, got_bytes, call, err);
	if (r < 0)
		return pa_error_wrap(err, "%s: '%s'", store->location, path);
	*ret_bytes = got_bytes;
	return 0;
}

int pa_store_open_write(struct pa_store *store, const char *path, unsigned flags, uint32_t mode,
                        struct pa_store_file **ret, const struct pa_store_call *call, struct pa_error *err)
{
	if (store->read_only || (store->abilities & (PA_STORE_WRITE_RANDOM | PA_STORE_WRITE_APPEND)) == 0)
		return begin_change(store, PA_STORE_WRITE_RANDOM, path, call, err);
	int r = begin_change(store, 0, path, call, err);
	return r < 0 ? r : store->ops->open_write(store, path, flags, mode, ret, call, err);
}

int pa_store_write(struct pa_store *store, struct pa_store_file *file, const void *data, size_t bytes,
                   uint64_t offset, const struct pa_store_call *call, struct pa_error *err)
{
	int r = pa_link_latency(store->link, call, err);

	return r < 0 ? r : store->ops->write(file, data, bytes, offset, call, err);
}

int pa_store_sync(struct pa_store *store, struct pa_store_file *file, const struct pa_store_call *call,
                  struct pa_error *err)
{
	int r = pa_link_latency(store->link, call, err);

	return r < 0 ? r : store->ops->sync(file, call, err);
}

int pa_store_close_write(struct pa_store *store, struct pa_store_file *file, struct pa_store_entry *ret,
                         const struct pa_store_call *call, struct pa_error *err)
{
	/* The file is released also when there is no time left for the latency. */
	struct pa_error late = PA_ERROR_INIT;
	pa_link_latency(store->link, call, &late);
	return store->ops->close_write(file, ret, call, err);
}

int pa_store_set_attributes(struct pa_store *store, const char *path,
                            const struct pa_store_attributes *attributes, const struct pa_store_call *call,
                            struct pa_error *err)
{
	unsigned needed = 0;

	if (attributes->set_size)
		needed |= PA_STORE_WRITE_RANDOM;
	if (attributes->set_mode || attributes->set_mtime)
		needed |= PA_STORE_ATTRIBUTES;
	int r = begin_change(store, needed, path, call, err);
	return r < 0 ? r : store->ops->set_attributes(store, path, attributes, call, err);
}

int pa_store_make_directory(struct pa_store *store, const char *path, uint32_t mode,
                            const struct pa_store_call *call, struct pa_error *err)
{
	int r = begin_change(store, PA_STORE_DIRECTORIES, path, call, err);

	return r < 0 ? r : store->ops->make_directory(store, path, mode, call, err);
}

int pa_store_make_symlink(struct pa_store *store, const char *path, const char *target,
                          const struct pa_store_call *call, struct pa_error *err)
{
	int r = begin_change(store, PA_STORE_SYMLINKS, path, call, err);

	return r < 0 ? r : store->ops->make_symlink(store, path, target, call, err);
}

int pa_store_remove(struct pa_store *store, const char *path, bool directory,
                    const struct pa_store_call *call, struct pa_error *err)
{
	int r = begin_change(store, directory ? PA_STORE_DIRECTORIES : 0, path, call, err);

	return r < 0 ? r : store->ops->remove(store, path, directory, call, err);
}

int pa_store_rename(struct pa_store *store, const char *from, const char *to, bool no_replace,
                    const struct pa_store_call *call, struct pa_error *err)
{
	int r = begin_change(store, PA_STORE_RENAME, from, call, err);

	if (r == 0)
		r = check_path(store, to, err);
	return r < 0 ? r : store->ops->rename(store, from, to, no_replace, call, err);
}
