/* SPDX-License-Identifier: Apache-2.0 */
/* Caches and the cluster's state. */
#include <string.h>

#include "ignite/client_internal.h"

static void fill_nothing(struct ignite_writer *writer, const void *argument)
{
	ignite_begin_frame(writer, *(const enum ignite_op *)argument);
}

struct named {
	enum ignite_op op;
	const char *name;
};

static void fill_name(struct ignite_writer *writer, const void *argument)
{
	const struct named *named = argument;

	ignite_begin_frame(writer, named->op);
	ignite_write_string(writer, named->name, strlen(named->name));
}

static void fill_destroy(struct ignite_writer *writer, const void *argument)
{
	const struct named *named = argument;

	ignite_begin_frame(writer, named->op);
	ignite_write_i32(writer, pa_ignite_cache(named->name).id);
}

struct configured {
	enum ignite_op op;
	const struct pa_ignite_cache_config *config;
};

static void fill_config(struct ignite_writer *writer, const void *argument)
{
	const struct configured *configured = argument;

	ignite_begin_frame(writer, configured->op);
	ignite_encode_config(writer, configured->config);
}

static void fill_state(struct ignite_writer *writer, const void *argument)
{
	ignite_begin_frame(writer, IGNITE_OP_CHANGE_STATE);
	ignite_write_u8(writer, (uint8_t) * (const enum pa_ignite_cluster_state *)argument);
}

static int check_name(const char *name, struct pa_error *err)
{
	size_t bytes = name == NULL ? 0 : strlen(name);

	if (bytes == 0 || bytes > PA_IGNITE_MAX_TEXT_BYTES || !ignite_is_utf8(name, bytes))
		return pa_error_set(err, PA_ERROR_INPUT, "a cache's name is 1 to %d bytes of UTF-8",
		                    PA_IGNITE_MAX_TEXT_BYTES);
	return 0;
}

/* For operations whose answer is empty. */
static int call_empty(struct pa_ignite *ignite, ignite_fill_fn *fill, const void *argument,
                      int64_t deadline_ns, struct pa_error *err)
{
	struct pa_buffer answer;
	struct ignite_exchange exchange = {
	    .fill = fill, .argument = argument, .deadline_ns = deadline_ns, .answer = &answer};
	int result = ignite_call_op(ignite, &exchange, err);

	if (result == 0)
		pa_buffer_done(&answer);
	return result;
}

int pa_ignite_cache_create(struct pa_ignite *ignite, const struct pa_ignite_cache_config *config, bool or_get,
                           int64_t deadline_ns, struct pa_error *err)
{
	struct configured configured = {.op = or_get ? IGNITE_OP_GET_OR_CREATE_WITH_CONFIG
	                                             : IGNITE_OP_CREATE_WITH_CONFIG,
	                                .config = config};

	if (check_name(config->name, err) < 0 ||
	    (config->data_region != NULL && check_name(config->data_region, err) < 0))
		return -(int)err->class;
	return call_empty(ignite, fill_config, &configured, deadline_ns, err);
}

int pa_ignite_cache_create_named(struct pa_ignite *ignite, const char *name, bool or_get, int64_t deadline_ns,
                                 struct pa_error *err)
{
	struct named named = {.op = or_get ? IGNITE_OP_GET_OR_CREATE_WITH_NAME : IGNITE_OP_CREATE_WITH_NAME,
	                      .name = name};

	if (check_name(name, err) < 0)
		return -(int)err->class;
	return call_empty(ignite, fill_name, &named, deadline_ns, err);
}

int pa_ignite_cache_destroy(struct pa_ignite *ignite, const char *name, int64_t deadline_ns,
                            struct pa_error *err)
{
	struct named named = {.op = IGNITE_OP_DESTROY, .name = name};

	if (check_name(name, err) < 0)
		return -(int)err->class;
	return call_empty(ignite, fill_destroy, &named, deadline_ns, err);
}

static int bad_answer(struct pa_error *err)
{
	return pa_error_set(err, PA_ERROR_PERMANENT, "the server's answer makes no sense: cut short");
}

int pa_ignite_cache_names(struct pa_ignite *ignite, struct pa_arena *arena, const char *const **ret,
                          size_t *ret_count, int64_t deadline_ns, struct pa_error *err)
{
	const enum ignite_op op = IGNITE_OP_NAMES;
	struct pa_buffer answer;
	struct ignite_exchange exchange = {.fill = fill_nothing,
	                                   .argument = &op,
	                                   .deadline_ns = deadline_ns,
	                                   .read_only = true,
	                                   .answer = &answer};
	int result = ignite_call_op(ignite, &exchange, err);

	if (result < 0)
		return result;
	struct ignite_reader reader = ignite_reader(answer.data, answer.length);
	size_t count = ignite_read_count(&reader, 5);
	const char **names = pa_arena_array(arena, count + 1, sizeof(*names));
	for (size_t i = 0; i < count; i++) {
		const char *text;
		size_t bytes;
		ignite_read_string(&reader, &text, &bytes);
		names[i] = pa_arena_strndup(arena, text == NULL ? "" : text, bytes);
	}
	pa_buffer_done(&answer);
	if (reader.bad)
		return bad_answer(err);
	*ret = names;
	*ret_count = count;
	return 0;
}

int pa_ignite_cluster_state(struct pa_ignite *ignite, enum pa_ignite_cluster_state *ret, int64_t deadline_ns,
                            struct pa_error *err)
{
	const enum ignite_op op = IGNITE_OP_GET_STATE;
	struct pa_buffer answer;
	struct ignite_exchange exchange = {.fill = fill_nothing,
	                                   .argument = &op,
	                                   .deadline_ns = deadline_ns,
	                                   .read_only = true,
	                                   .answer = &answer};
	int result = ignite_call_op(ignite, &exchange, err);

	if (result < 0)
		return result;
	struct ignite_reader reader = ignite_reader(answer.data, answer.length);
	uint8_t state = ignite_read_u8(&reader);
	pa_buffer_done(&answer);
	if (reader.bad || state > PA_IGNITE_CLUSTER_READ_ONLY)
		return bad_answer(err);
	*ret = (enum pa_ignite_cluster_state)state;
	return 0;
}

int pa_ignite_cluster_change_state(struct pa_ignite *ignite, enum pa_ignite_cluster_state state,
                                   int64_t deadline_ns, struct pa_error *err)
{
	return call_empty(ignite, fill_state, &state, deadline_ns, err);
}

int pa_ignite_ping(struct pa_ignite *ignite, int64_t *ret_ns, int64_t deadline_ns, struct pa_error *err)
{
	const enum ignite_op op = IGNITE_OP_HEARTBEAT;
	struct pa_buffer answer;
	struct ignite_exchange exchange = {.fill = fill_nothing,
	                                   .argument = &op,
	                                   .deadline_ns = deadline_ns,
	                                   .read_only = true,
	                                   .answer = &answer};
	int64_t begin_ns = pa_clock_ns();
	int result = ignite_call_op(ignite, &exchange, err);

	if (result == 0)
		pa_buffer_done(&answer);
	/* "Invalid operation" is an answer too: a server without heartbeats. */
	if (result < 0 && exchange.status != 2)
		return result;
	*ret_ns = pa_clock_ns() - begin_ns;
	return 0;
}
