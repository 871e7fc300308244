/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ignite/codec.h"

#define FLAG_EXPIRY 4

void ignite_encode_cache(struct ignite_writer *writer, const struct pa_ignite_cache *cache)
{
	ignite_write_i32(writer, cache->id);
	ignite_write_u8(writer, cache->has_expiry ? FLAG_EXPIRY : 0);
	if (cache->has_expiry) {
		ignite_write_i64(writer, cache->expiry.create_ms);
		ignite_write_i64(writer, cache->expiry.update_ms);
		ignite_write_i64(writer, cache->expiry.access_ms);
	}
}

static size_t pieces_bytes(const struct pa_ignite_request *request)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < request->piece_count; i++)
		bytes += request->pieces[i].iov_len;
	return bytes;
}

static void write_value_head(struct ignite_writer *writer, size_t bytes)
{
	ignite_write_u8(writer, 12);
	ignite_write_i32(writer, (int32_t)bytes);
}

static void encode_entries(struct ignite_writer *writer, const struct pa_ignite_request *request)
{
	ignite_write_i32(writer, (int32_t)request->entry_count);
	for (size_t i = 0; i < request->entry_count; i++) {
		const struct pa_ignite_entry *entry = &request->entries[i];
		ignite_write_key(writer, &entry->key);
		if (request->operation == PA_IGNITE_PUT_ALL) {
			write_value_head(writer, entry->value_bytes);
			ignite_write_outside(writer, entry->value, entry->value_bytes);
		}
	}
}

static const enum ignite_op codes[] = {
    [PA_IGNITE_GET] = IGNITE_OP_GET,
    [PA_IGNITE_PUT] = IGNITE_OP_PUT,
    [PA_IGNITE_PUT_IF_ABSENT] = IGNITE_OP_PUT_IF_ABSENT,
    [PA_IGNITE_CONTAINS] = IGNITE_OP_CONTAINS_KEY,
    [PA_IGNITE_REMOVE] = IGNITE_OP_REMOVE_KEY,
    [PA_IGNITE_GET_ALL] = IGNITE_OP_GET_ALL,
    [PA_IGNITE_PUT_ALL] = IGNITE_OP_PUT_ALL,
    [PA_IGNITE_CONTAINS_ALL] = IGNITE_OP_CONTAINS_KEYS,
    [PA_IGNITE_REMOVE_KEYS] = IGNITE_OP_REMOVE_KEYS,
    [PA_IGNITE_REMOVE_ALL] = IGNITE_OP_REMOVE_ALL,
    [PA_IGNITE_CLEAR] = IGNITE_OP_CLEAR,
    [PA_IGNITE_SIZE] = IGNITE_OP_SIZE,
};

void ignite_encode_request(struct ignite_writer *writer, const struct pa_ignite_request *request)
{
	ignite_begin_frame(writer, codes[request->operation]);
	ignite_encode_cache(writer, &request->cache);
	switch (request->operation) {
	case PA_IGNITE_PUT:
	case PA_IGNITE_PUT_IF_ABSENT:
		ignite_write_key(writer, &request->key);
		write_value_head(writer, pieces_bytes(request));
		for (unsigned i = 0; i < request->piece_count; i++)
			ignite_write_outside(writer, request->pieces[i].iov_base, request->pieces[i].iov_len);
		break;
	case PA_IGNITE_GET:
	case PA_IGNITE_CONTAINS:
	case PA_IGNITE_REMOVE:
		ignite_write_key(writer, &request->key);
		break;
	case PA_IGNITE_GET_ALL:
	case PA_IGNITE_PUT_ALL:
	case PA_IGNITE_CONTAINS_ALL:
	case PA_IGNITE_REMOVE_KEYS:
		encode_entries(writer, request);
		break;
	case PA_IGNITE_SIZE:
		ignite_write_i32(writer, 0); /* no peek modes: primaries everywhere */
		break;
	case PA_IGNITE_REMOVE_ALL:
	case PA_IGNITE_CLEAR:
	case PA_IGNITE_OTHER:
		break;
	}
}

static int check_key(const struct pa_ignite_key *key, struct pa_error *err)
{
	if (key->type != PA_IGNITE_KEY_LONG && key->type != PA_IGNITE_KEY_UUID &&
	    key->type != PA_IGNITE_KEY_TEXT)
		return pa_error_set(err, PA_ERROR_INPUT, "the key is no int64, UUID or text");
	if (key->type != PA_IGNITE_KEY_TEXT)
		return 0;
	if (key->text.length > PA_IGNITE_MAX_TEXT_BYTES)
		return pa_error_set(err, PA_ERROR_INPUT, "a text key of %zu bytes; the limit is %d",
		                    key->text.length, PA_IGNITE_MAX_TEXT_BYTES);
	if (!ignite_is_utf8(key->text.bytes, key->text.length))
		return pa_error_set(err, PA_ERROR_INPUT, "the text key is not UTF-8; use a UUID for bytes");
	return 0;
}

static int check_value_bytes(size_t bytes, size_t max_value_bytes, struct pa_error *err)
{
	if (bytes > max_value_bytes)
		return pa_error_set(err, PA_ERROR_INPUT, "a value of %zu bytes; max_value_bytes is %zu",
		                    bytes, max_value_bytes);
	return 0;
}

static int check_entries(const struct pa_ignite_request *request, size_t max_value_bytes,
                         struct pa_error *err)
{
	size_t total = 0;
	int result = 0;

	if (request->entry_count > PA_IGNITE_MAX_ENTRIES)
		return pa_error_set(err, PA_ERROR_INPUT, "%zu keys in one request; the limit is %d",
		                    request->entry_count, PA_IGNITE_MAX_ENTRIES);
	for (size_t i = 0; i < request->entry_count && result == 0; i++) {
		const struct pa_ignite_entry *entry = &request->entries[i];
		result = check_key(&entry->key, err);
		if (result == 0 && request->operation == PA_IGNITE_PUT_ALL) {
			result = check_value_bytes(entry->value_bytes, max_value_bytes, err);
			total += entry->value_bytes;
		}
	}
	/* A frame's length is an int32, and keys come on top. */
	if (result == 0 && total > (size_t)1 << 30)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "%zu bytes of values in one request; the limit is 1 GiB", total);
	return result;
}

int ignite_check_request(const struct pa_ignite_request *request, size_t max_value_bytes,
                         struct pa_error *err)
{
	switch (request->operation) {
	case PA_IGNITE_PUT:
	case PA_IGNITE_PUT_IF_ABSENT:
		if (request->piece_count > PA_IGNITE_MAX_PIECES)
			return pa_error_set(err, PA_ERROR_INPUT, "a value in %u pieces; the limit is %d",
			                    request->piece_count, PA_IGNITE_MAX_PIECES);
		if (check_value_bytes(pieces_bytes(request), max_value_bytes, err) < 0)
			return -(int)err->class;
		return check_key(&request->key, err);
	case PA_IGNITE_GET:
	case PA_IGNITE_CONTAINS:
	case PA_IGNITE_REMOVE:
		return check_key(&request->key, err);
	case PA_IGNITE_GET_ALL:
	case PA_IGNITE_PUT_ALL:
	case PA_IGNITE_CONTAINS_ALL:
	case PA_IGNITE_REMOVE_KEYS:
		return check_entries(request, max_value_bytes, err);
	case PA_IGNITE_SIZE:
	case PA_IGNITE_REMOVE_ALL:
	case PA_IGNITE_CLEAR:
	case PA_IGNITE_OTHER:
		return 0;
	}
	return pa_error_set(err, PA_ERROR_INPUT, "there is no operation %d", (int)request->operation);
}

static void write_property(struct ignite_writer *writer, int16_t *count, int16_t code)
{
	ignite_write_i16(writer, code);
	(*count)++;
}

static void write_properties(struct ignite_writer *writer, int16_t *count,
                             const struct pa_ignite_cache_config *config)
{
	const struct {
		int16_t code;
		int value;
	} numbers[] = {{1, (int)config->mode},
	               {2, (int)config->atomicity},
	               {3, config->backups},
	               {4, (int)config->write_sync},
	               {404, (int)config->loss_policy}};
	const struct {
		int16_t code;
		bool value;
	} truths[] = {{5, config->copy_on_read},
	              {6, config->read_from_backup},
	              {101, config->on_heap},
	              {405, config->eager_expiry},
	              {406, config->statistics}};

	write_property(writer, count, 0);
	ignite_write_string(writer, config->name, strlen(config->name));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		write_property(writer, count, numbers[i].code);
		ignite_write_i32(writer, numbers[i].value);
	}
	for (size_t i = 0; i < sizeof(truths) / sizeof(truths[0]); i++) {
		write_property(writer, count, truths[i].code);
		ignite_write_u8(writer, truths[i].value);
	}
	if (config->data_region != NULL) {
		write_property(writer, count, 100);
		ignite_write_string(writer, config->data_region, strlen(config->data_region));
	}
	if (config->has_expiry) {
		write_property(writer, count, 407);
		ignite_write_u8(writer, 1);
		ignite_write_i64(writer, config->expiry.create_ms);
		ignite_write_i64(writer, config->expiry.update_ms);
		ignite_write_i64(writer, config->expiry.access_ms);
	}
}

void ignite_encode_config(struct ignite_writer *writer, const struct pa_ignite_cache_config *config)
{
	struct ignite_writer measure = {0};
	int16_t count = 0;
	int16_t again = 0;

	/* Length and number of the properties come first: measured, then written. */
	write_properties(&measure, &count, config);
	ignite_write_i32(writer, (int32_t)(measure.length + sizeof(count)));
	ignite_write_i16(writer, count);
	write_properties(writer, &again, config);
}

bool ignite_version_known(struct ignite_version version)
{
	return version.major == 1 && version.minor >= 4 && version.minor <= 7 && version.patch == 0;
}

void ignite_encode_handshake(struct ignite_writer *writer, struct ignite_version version, const char *user,
                             const char *password)
{
	const uint32_t features = 1u << IGNITE_FEATURE_CLUSTER_STATES | 1u << IGNITE_FEATURE_ENDPOINTS |
	                          1u << IGNITE_FEATURE_CLUSTER_GROUPS | 1u << IGNITE_FEATURE_HEARTBEAT;

	ignite_write_i32(writer, 0);
	ignite_write_u8(writer, 1);
	ignite_write_i16(writer, version.major);
	ignite_write_i16(writer, version.minor);
	ignite_write_i16(writer, version.patch);
	ignite_write_u8(writer, 2);
	if (version.minor >= 7) {
		ignite_write_u8(writer, 12);
		ignite_write_i32(writer, 2);
		ignite_write_i16(writer, (int16_t)features);
	}
	if (user != NULL) {
		ignite_write_string(writer, user, strlen(user));
		ignite_write_string(writer, password, password == NULL ? 0 : strlen(password));
	}
	ignite_finish_frame(writer);
}
