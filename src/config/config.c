/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buffer.h"

static int read_node(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config *config = target;

	return pa_config_bytes(reader, value, "memory.node", &config->memory_node_bytes);
}

static int read_endpoints(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config *config = target;
	int result = pa_config_words(reader, value, "memory.ignite.endpoints", PA_CONFIG_MAX_ENDPOINTS,
	                             &config->ignite_endpoints, &config->ignite_endpoint_count);

	for (size_t i = 0; result == 0 && i < config->ignite_endpoint_count; i++) {
		const char *endpoint = config->ignite_endpoints[i];
		const char *colon = strrchr(endpoint, ':');
		long port =
		    colon == NULL || strspn(colon + 1, "0123456789") > 5 ? 0 : strtol(colon + 1, NULL, 10);
		if (colon == NULL || colon == endpoint ||
		    colon[1 + strspn(colon + 1, "0123456789")] != '\0' || port < 1 || port > 65535)
			return pa_node_error(
			    value->items[i], reader->err,
			    "memory.ignite.endpoints: write HOST:PORT, such as ignite:10800, not \"%.60s\"",
			    endpoint);
	}
	return result;
}

static int read_limit(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config *config = target;

	return pa_config_bytes(reader, value, "memory.ignite.limit", &config->ignite_limit_bytes);
}

static int read_ca(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config *config = target;

	return pa_config_path(reader, value, "memory.ignite.tls.ca", &config->ignite_ca);
}

static int read_cert(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config *config = target;

	return pa_config_path(reader, value, "memory.ignite.tls.cert", &config->ignite_cert);
}

static int read_key(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config *config = target;

	return pa_config_path(reader, value, "memory.ignite.tls.key", &config->ignite_key);
}

static int read_tls(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	static const struct pa_config_key keys[] = {
	    {"ca", read_ca}, {"cert", read_cert}, {"key", read_key}, PA_CONFIG_LAST_KEY};
	struct pa_config *config = target;
	int result = pa_config_read_section(reader, value, "memory.ignite.tls", keys, config);

	if (result < 0)
		return result;
	if (config->ignite_ca == NULL)
		return pa_node_error(value, reader->err,
		                     "memory.ignite.tls has no ca; without it nobody is checked");
	if ((config->ignite_cert == NULL) != (config->ignite_key == NULL))
		return pa_node_error(value, reader->err, "memory.ignite.tls: cert and key go together");
	return 0;
}

static int read_ignite(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	static const struct pa_config_key keys[] = {
	    {"endpoints", read_endpoints}, {"limit", read_limit}, {"tls", read_tls}, PA_CONFIG_LAST_KEY};
	struct pa_config *config = target;
	int result = pa_config_read_section(reader, value, "memory.ignite", keys, config);

	if (result < 0)
		return result;
	if (config->ignite_endpoint_count == 0)
		return pa_node_error(value, reader->err,
		                     "memory.ignite has no endpoints; name at least one HOST:PORT");
	if (config->ignite_limit_bytes == 0)
		return pa_node_error(
		    value, reader->err,
		    "memory.ignite has no limit; say how much it may hold, such as limit: 24GiB");
	return 0;
}

static int read_memory(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	static const struct pa_config_key keys[] = {
	    {"node", read_node}, {"ignite", read_ignite}, PA_CONFIG_LAST_KEY};

	return pa_config_read_section(reader, value, "memory", keys, target);
}

static int read_slots(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config *config = target;

	return pa_config_integer(reader, value, "slots", PA_CONFIG_MAX_SLOTS, &config->slots);
}

static const struct pa_config_key file_keys[] = {
    {"sources", pa_config_read_sources}, {"memory", read_memory}, {"slots", read_slots},
    {"tasks", pa_config_read_tasks},     PA_CONFIG_LAST_KEY,
};

static int resolve_folder(struct pa_arena *arena, const char *folder, const char **ret, struct pa_error *err)
{
	char resolved[PATH_MAX];

	if (realpath(folder, resolved) == NULL)
		return pa_error_set_errno(err, errno, "%s: the folder cannot be opened", folder);
	*ret = pa_arena_strdup(arena, resolved);
	return 0;
}

int pa_config_default(struct pa_arena *arena, const char *directory, struct pa_config *ret,
                      struct pa_error *err)
{
	struct pa_config config = {0};
	long pages = sysconf(_SC_PHYS_PAGES);
	long page_bytes = sysconf(_SC_PAGESIZE);
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	int result = resolve_folder(arena, directory, &config.directory, err);

	if (result < 0)
		return result;
	if (pages <= 0 || page_bytes <= 0)
		return pa_error_set(err, PA_ERROR_PERMANENT,
		                    "the machine's memory is not known; give memory.node in pipeahead.yaml");
	config.memory_node_bytes = (uint64_t)pages * (uint64_t)page_bytes / 4;
	config.slots = processors > 0 ? (uint32_t)processors : 1;
	*ret = config;
	return 0;
}

static const char *folder_of(struct pa_arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return ".";
	return slash == path ? "/" : pa_arena_strndup(arena, path, (size_t)(slash - path));
}

static int read_document(struct pa_arena *arena, const char *path, const struct pa_buffer *text,
                         const struct pa_node **ret, struct pa_error *err)
{
	struct pa_document *documents = NULL;
	size_t count = 0;
	int result = pa_document_read(arena, path, text->data, text->length, &documents, &count, err);

	if (result < 0)
		return result;
	for (size_t i = 1; i < count; i++)
		if (documents[i].root != NULL)
			return pa_node_error(documents[i].root, err,
			                     "a second document; a configuration is one");
	*ret = count == 0 ? NULL : documents[0].root;
	return 0;
}

int pa_config_read(struct pa_arena *arena, const char *path, struct pa_config *ret, struct pa_error *err)
{
	const char *file = pa_arena_strdup(arena, path);
	const struct pa_node *root = NULL;
	struct pa_config config;
	struct pa_buffer text;
	int result = pa_buffer_read_file(path, PA_CONFIG_FILE_BYTES, &text, err);

	if (result < 0)
		return result;
	result = read_document(arena, file, &text, &root, err);
	pa_buffer_done(&text);
	if (result == 0)
		result = pa_config_default(arena, folder_of(arena, path), &config, err);
	if (result < 0)
		return result;
	struct pa_config_reader reader = {.arena = arena, .config = &config, .err = err};
	config.file = file;
	/* A file of comments only holds what holds without one. */
	if (root != NULL && !pa_node_is_null(root))
		result = pa_config_read_section(&reader, root, "the configuration", file_keys, &config);
	if (result == 0)
		*ret = config;
	return result;
}
