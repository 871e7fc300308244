/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_internal.h"

#include <string.h>

#include "base/arena.h"
#include "base/units.h"

static int read_claim(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_source *source = target;

	return pa_config_text(reader, value, "claim", &source->claim);
}

/* Who may log in stands in a file or in the environment: this file is shown, copied and committed. */
static int refuse_login(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                        const char *text)
{
	const char *authority = strstr(text, "://");

	authority = authority == NULL ? text : authority + 3;
	const char *at = memchr(authority, '@', strcspn(authority, "/?#"));
	if (at == NULL || memchr(authority, ':', (size_t)(at - authority)) == NULL)
		return 0;
	return pa_node_error(value, reader->err,
	                     "%s holds a password; write credentials: {file: PATH} or {env: true}", what);
}

static int read_match(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_source *source = target;
	int result = pa_config_text(reader, value, "match", &source->match);

	if (result < 0)
		return result;
	size_t scheme = strspn(source->match, "abcdefghijklmnopqrstuvwxyz0123456789+.-");
	if (scheme == 0 || strncmp(source->match + scheme, "://", 3) != 0)
		return pa_node_error(value, reader->err,
		                     "match must be a URI prefix such as s3://bucket/, not \"%.60s\"",
		                     source->match);
	return refuse_login(reader, value, "match", source->match);
}

static int read_at(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_source *source = target;
	const char *text = NULL;
	int result = pa_config_text(reader, value, "at", &text);

	if (result < 0)
		return result;
	if (strncmp(text, "nfs://", 6) == 0) {
		const char *path = strchr(text + 6, '/');
		if (path == NULL || path == text + 6 || path[1] == '\0')
			return pa_node_error(value, reader->err, "at: write nfs://HOST/EXPORT, not \"%.60s\"",
			                     text);
		source->at = text;
		return refuse_login(reader, value, "at", text);
	}
	if (strncmp(text, "file://", 7) != 0)
		return pa_node_error(value, reader->err,
		                     "at must begin with file:// or nfs://, not \"%.60s\"", text);
	const char *path = text + 7;
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	if (path[0] == '\0' && path == text + 7)
		return pa_node_error(value, reader->err, "at: file:// has no path; write file:///srv/data");
	if (path[0] == '/')
		source->at = text;
	else if (path[0] == '\0' || strcmp(path, ".") == 0)
		source->at = pa_arena_printf(reader->arena, "file://%s", reader->config->directory);
	else
		source->at = pa_arena_printf(reader->arena, "file://%s/%s", reader->config->directory, path);
	return 0;
}

static int read_endpoint(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_source *source = target;
	int result = pa_config_text(reader, value, "endpoint", &source->endpoint);

	return result < 0 ? result : refuse_login(reader, value, "endpoint", source->endpoint);
}

static int read_region(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_source *source = target;

	return pa_config_text(reader, value, "region", &source->region);
}

static int read_env(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_source *source = target;

	return pa_config_boolean(reader, value, "credentials.env", &source->credentials_env);
}

static int read_file(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_source *source = target;

	return pa_config_path(reader, value, "credentials.file", &source->credentials_file);
}

static int read_credentials(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	static const struct pa_config_key keys[] = {
	    {"env", read_env}, {"file", read_file}, PA_CONFIG_LAST_KEY};
	struct pa_config_source *source = target;

	if (!pa_node_is_mapping(value))
		return pa_node_error(value, reader->err,
		                     "credentials are never inline; write {file: PATH} or {env: true}");
	int result = pa_config_read_section(reader, value, "credentials", keys, source);
	if (result < 0)
		return result;
	if (source->credentials_env == (source->credentials_file != NULL))
		return pa_node_error(value, reader->err,
		                     "credentials: give one of {file: PATH} and {env: true}");
	return 0;
}

static int read_bandwidth(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_source *source = target;
	const char *text = NULL;
	int result = pa_config_text(reader, value, "bandwidth", &text);

	if (result < 0)
		return result;
	if (pa_units_parse_rate(text, &source->bandwidth_bps, reader->err) < 0)
		return pa_config_at(value, "bandwidth", reader->err);
	return 0;
}

static int read_latency(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_source *source = target;

	return pa_config_duration(reader, value, "latency", &source->latency_ns);
}

static int read_connections(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_source *source = target;

	return pa_config_integer(reader, value, "connections", PA_CONFIG_MAX_CONNECTIONS,
	                         &source->connections);
}

static int read_access(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_source *source = target;
	const char *text = NULL;
	int result = pa_config_text(reader, value, "access", &text);

	if (result < 0)
		return result;
	if (strcmp(text, "read") != 0 && strcmp(text, "write") != 0)
		return pa_node_error(value, reader->err, "access must be read or write, not \"%.60s\"", text);
	source->access_set = true;
	source->read_only = text[0] == 'r';
	return 0;
}

static int read_immutable(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_source *source = target;

	return pa_config_boolean(reader, value, "immutable", &source->immutable);
}

static int read_fresh_for(struct pa_config_reader *reader, const struct pa_node *value, void *target)
{
	struct pa_config_source *source = target;

	return pa_config_duration(reader, value, "fresh_for", &source->fresh_for_ns);
}

static const struct pa_config_key source_keys[] = {
    {"claim", read_claim},
    {"match", read_match},
    {"at", read_at},
    {"endpoint", read_endpoint},
    {"region", read_region},
    {"credentials", read_credentials},
    {"bandwidth", read_bandwidth},
    {"latency", read_latency},
    {"connections", read_connections},
    {"access", read_access},
    {"immutable", read_immutable},
    {"fresh_for", read_fresh_for},
    PA_CONFIG_LAST_KEY,
};

static bool same_text(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* What no single key can tell. */
static int check_source(struct pa_config_reader *reader, const struct pa_node *node,
                        const struct pa_config_source *source)
{
	if ((source->claim == NULL) == (source->match == NULL))
		return pa_node_error(node, reader->err, "a source has either claim or match; this one has %s",
		                     source->claim == NULL ? "neither" : "both");
	if (source->claim != NULL && source->at == NULL)
		return pa_node_error(
		    node, reader->err,
		    "the source of claim \"%.60s\" has no at; say where its bytes are, such as "
		    "at: file:///srv/data",
		    source->claim);
	if (source->immutable && source->fresh_for_ns > 0)
		return pa_node_error(
		    node, reader->err,
		    "a source that is immutable is never checked; leave out fresh_for or immutable");
	for (size_t i = 0; i < reader->config->source_count; i++) {
		const struct pa_config_source *other = &reader->config->sources[i];
		if (same_text(source->claim, other->claim) || same_text(source->match, other->match))
			return pa_node_error(
			    node, reader->err,
			    "\"%.60s\" has a source already, at line %u; leave one of them out",
			    source->claim != NULL ? source->claim : source->match, other->line);
	}
	return 0;
}

int pa_config_read_sources(struct pa_config_reader *reader, const struct pa_node *list, void *target)
{
	struct pa_config *config = target;

	if (!pa_node_is_sequence(list))
		return pa_node_error(list, reader->err,
		                     "sources must be a list, each item beginning with \"- \"");
	if (list->count > PA_CONFIG_MAX_SOURCES)
		return pa_node_error(list, reader->err, "%u sources; the limit is %d", list->count,
		                     PA_CONFIG_MAX_SOURCES);
	config->sources = pa_arena_array(reader->arena, list->count, sizeof(*config->sources));
	for (uint32_t i = 0; i < list->count; i++) {
		const struct pa_node *node = list->items[i];
		struct pa_config_source *source = &config->sources[i];
		source->line = node->line;
		source->column = node->column;
		int result = pa_config_read_section(reader, node, "a source", source_keys, source);
		if (result == 0)
			result = check_source(reader, node, source);
		if (result < 0)
			return result;
		config->source_count++;
	}
	return 0;
}

/* Prefixes end where a name of the path does: s3://data is no prefix of s3://database/x. */
static bool has_prefix(const char *uri, const char *prefix)
{
	size_t length = strlen(prefix);

	if (strncmp(uri, prefix, length) != 0) {
		/* "s3://bucket/" is the place "s3://bucket" too. */
		return length > 0 && prefix[length - 1] == '/' && strlen(uri) == length - 1 &&
		       strncmp(uri, prefix, length - 1) == 0;
	}
	return prefix[length - 1] == '/' || uri[length] == '\0' || strchr("/?#", uri[length]) != NULL;
}

static bool climbs(const char *path)
{
	for (; path != NULL; path = strchr(path, '/')) {
		path += *path == '/';
		if (strncmp(path, "..", 2) == 0 && (path[2] == '\0' || path[2] == '/'))
			return true;
	}
	return false;
}

const struct pa_config_source *pa_config_find_source(const struct pa_config *config, const char *data_set)
{
	const struct pa_config_source *best = NULL;
	bool claim = strncmp(data_set, "claim:", 6) == 0;
	const char *name = claim ? data_set + 6 : data_set + 4;

	if (!claim && strncmp(data_set, "uri:", 4) != 0)
		return NULL;
	for (size_t i = 0; i < config->source_count; i++) {
		const struct pa_config_source *source = &config->sources[i];
		if (claim && same_text(source->claim, name))
			return source;
		if (claim || source->match == NULL || !has_prefix(name, source->match))
			continue;
		/* A URI comes from a pipeline: it may not lead out of the folder that it is mapped to. */
		if (source->at != NULL && climbs(name))
			continue;
		if (best == NULL || strlen(source->match) > strlen(best->match))
			best = source;
	}
	return best;
}

const char *pa_config_location(struct pa_arena *arena, const struct pa_config_source *source,
                               const char *data_set)
{
	if (source->claim != NULL)
		return source->at;
	const char *uri = data_set + strlen("uri:");
	if (source->at == NULL)
		return uri;
	size_t prefix = strlen(source->match);
	const char *rest = strlen(uri) > prefix ? uri + prefix : "";
	size_t length = strlen(source->at);
	while (rest[0] == '/')
		rest++;
	while (length > strlen("file:///") && source->at[length - 1] == '/')
		length--;
	if (rest[0] == '\0')
		return pa_arena_strndup(arena, source->at, length);
	return pa_arena_printf(arena, "%.*s%s%s", (int)length, source->at,
	                       source->at[length - 1] == '/' ? "" : "/", rest);
}
