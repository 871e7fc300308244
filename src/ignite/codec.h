/* SPDX-License-Identifier: Apache-2.0 */
/* The wire format of the thin protocol 1.4 to 1.7: requests to bytes, bytes to answers.  Internal to the library.
 *
 * Pure: no socket, clock or thread.  Encoders write into memory that the caller gives and say how much they would
 * have needed; decoders never read outside of the bytes given, take nothing for granted in them, and say what is wrong.
 * Allocation is by the caller's arena, in proportion to the bytes that are really there.
 */
#ifndef PA_IGNITE_CODEC_H
#define PA_IGNITE_CODEC_H

#include "base/arena.h"
#include "ignite/ignite.h"

/* ---- Primitives ---- */

/* Little-endian.  Reading past the end sets `bad`, which stays, and gives zeros. */
struct ignite_reader {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

struct ignite_reader ignite_reader(const void *data, size_t bytes);
uint8_t ignite_read_u8(struct ignite_reader *reader);
int16_t ignite_read_i16(struct ignite_reader *reader);
int32_t ignite_read_i32(struct ignite_reader *reader);
int64_t ignite_read_i64(struct ignite_reader *reader);
/* NULL when there are not so many. */
const uint8_t *ignite_read_bytes(struct ignite_reader *reader, size_t bytes);
/* Two int64 without a type code. */
struct pa_ignite_uuid ignite_read_uuid(struct ignite_reader *reader);
/* A String with its type code; NULL text for null. */
void ignite_read_string(struct ignite_reader *reader, const char **ret, size_t *ret_bytes);
/* A count of things that take at least `each_bytes`; more than the rest can hold is bad. */
size_t ignite_read_count(struct ignite_reader *reader, size_t each_bytes);
size_t ignite_reader_left(const struct ignite_reader *reader);

/* Writes while there is room and counts on without; `length` is what all of it takes.  Values can be left where they
 * are: ignite_write_outside() makes them a part of their own. */
struct ignite_writer {
	uint8_t *data;
	size_t room;
	size_t length; /* of what was written here */
	struct iovec *parts;
	unsigned part_room;
	unsigned part_count;
	size_t part_begin; /* where in data the open part begins */
	size_t outside_bytes;
};

void ignite_write_u8(struct ignite_writer *writer, uint8_t value);
void ignite_write_i16(struct ignite_writer *writer, int16_t value);
void ignite_write_i32(struct ignite_writer *writer, int32_t value);
void ignite_write_i64(struct ignite_writer *writer, int64_t value);
void ignite_write_bytes(struct ignite_writer *writer, const void *data, size_t bytes);
void ignite_write_string(struct ignite_writer *writer, const char *text, size_t bytes);
void ignite_write_key(struct ignite_writer *writer, const struct pa_ignite_key *key);
void ignite_write_outside(struct ignite_writer *writer, const void *data, size_t bytes);

/* ---- Requests ---- */

enum ignite_op {
	IGNITE_OP_RESOURCE_CLOSE = 0,
	IGNITE_OP_HEARTBEAT = 1,
	IGNITE_OP_IDLE_TIMEOUT = 2,
	IGNITE_OP_GET = 1000,
	IGNITE_OP_PUT = 1001,
	IGNITE_OP_PUT_IF_ABSENT = 1002,
	IGNITE_OP_GET_ALL = 1003,
	IGNITE_OP_PUT_ALL = 1004,
	IGNITE_OP_CONTAINS_KEY = 1011,
	IGNITE_OP_CONTAINS_KEYS = 1012,
	IGNITE_OP_CLEAR = 1013,
	IGNITE_OP_REMOVE_KEY = 1016,
	IGNITE_OP_REMOVE_KEYS = 1018,
	IGNITE_OP_REMOVE_ALL = 1019,
	IGNITE_OP_SIZE = 1020,
	IGNITE_OP_NAMES = 1050,
	IGNITE_OP_CREATE_WITH_NAME = 1051,
	IGNITE_OP_GET_OR_CREATE_WITH_NAME = 1052,
	IGNITE_OP_CREATE_WITH_CONFIG = 1053,
	IGNITE_OP_GET_OR_CREATE_WITH_CONFIG = 1054,
	IGNITE_OP_DESTROY = 1056,
	IGNITE_OP_PARTITIONS = 1101,
	IGNITE_OP_SCAN = 2000,
	IGNITE_OP_SCAN_PAGE = 2001,
	IGNITE_OP_GET_STATE = 5000,
	IGNITE_OP_CHANGE_STATE = 5001,
	IGNITE_OP_ENDPOINTS = 5102,
};

#define IGNITE_FRAME_HEAD_BYTES 14 /* int32 length, int16 operation, int64 id */

/* Begins a frame; length and id are filled in by ignite_finish_frame() and ignite_set_id(). */
void ignite_begin_frame(struct ignite_writer *writer, enum ignite_op op);
/* Closes the last part.  Returns the bytes of the whole frame. */
size_t ignite_finish_frame(struct ignite_writer *writer);
void ignite_set_id(uint8_t *frame, int64_t id);

/* The frame of any operation but PA_IGNITE_OTHER. */
void ignite_encode_request(struct ignite_writer *writer, const struct pa_ignite_request *request);
/* What is wrong with a request before it is encoded. */
int ignite_check_request(const struct pa_ignite_request *request, size_t max_value_bytes,
                         struct pa_error *err);
void ignite_encode_cache(struct ignite_writer *writer, const struct pa_ignite_cache *cache);
void ignite_encode_config(struct ignite_writer *writer, const struct pa_ignite_cache_config *config);

/* Feature bits that are asked for; others would add fields to messages. */
#define IGNITE_FEATURE_CLUSTER_STATES 2
#define IGNITE_FEATURE_ENDPOINTS      3
#define IGNITE_FEATURE_CLUSTER_GROUPS 4
#define IGNITE_FEATURE_HEARTBEAT      11

struct ignite_version {
	int16_t major;
	int16_t minor;
	int16_t patch;
};
bool ignite_version_known(struct ignite_version version);
void ignite_encode_handshake(struct ignite_writer *writer, struct ignite_version version, const char *user,
                             const char *password);

/* ---- Answers ---- */

struct ignite_handshake {
	bool accepted;
	struct pa_ignite_uuid node;
	uint32_t features;                    /* both sides have: bit n is feature n */
	struct ignite_version server_version; /* refused: 0.0.0 when the version is not the reason */
	int status;
};
/* `data` is a whole frame without its length.  A refusal is no failure here, its text is in `err`. */
int ignite_decode_handshake(const void *data, size_t bytes, struct ignite_version version,
                            struct ignite_handshake *ret, struct pa_error *err);

#define IGNITE_MAX_HEAD_BYTES 32

/* What every answer begins with. */
struct ignite_head {
	size_t frame_bytes; /* after the length field */
	size_t head_bytes;  /* with the length field: where the body begins */
	int64_t id;
	bool failed; /* the body is status and message */
	bool notification;
	bool has_topology;
	int64_t topology_version;
	int32_t topology_minor;
};
/* From the first bytes of a frame.  1: done; 0: more bytes are needed (never more than IGNITE_MAX_HEAD_BYTES);
 * negative: not an answer. */
int ignite_decode_head(const void *data, size_t bytes, size_t max_frame_bytes, struct ignite_head *ret,
                       struct pa_error *err);

/* The body of a GET's answer up to the value: 1 with the value's length and where it begins, or `absent`. */
int ignite_decode_value_head(const void *data, size_t bytes, size_t body_bytes, bool *ret_absent,
                             size_t *ret_value_bytes, size_t *ret_value_at, struct pa_error *err);
#define IGNITE_VALUE_HEAD_BYTES 5

/* The body of a failed answer into class, status and message. */
int ignite_decode_failure(const void *data, size_t bytes, int *ret_status, struct pa_error *err);
enum pa_error_class ignite_status_class(int status, const char *message, size_t bytes);

/* The body of an answer to any operation but GET and OTHER, into the request's results. */
int ignite_decode_answer(struct pa_ignite_request *request, const void *data, size_t bytes,
                         struct pa_error *err);

/* One object of any type; key types are read, others are skipped. */
int ignite_decode_key(struct ignite_reader *reader, struct pa_ignite_key *ret);
int ignite_skip_object(struct ignite_reader *reader, int *ret_type);
/* A byte[] as it is; other types as PA_IGNITE_KEY_OTHER would be: value NULL. */
int ignite_decode_value(struct ignite_reader *reader, struct pa_ignite_scan_entry *ret);

struct ignite_view_node {
	struct pa_ignite_uuid id;
	int port;
	const char **hosts;
	size_t host_count;
};
/* The nodes that one node lists. */
struct ignite_view {
	int64_t topology_version;
	struct ignite_view_node *nodes;
	size_t node_count;
};
int ignite_decode_endpoints(struct pa_arena *arena, const void *data, size_t bytes, struct ignite_view *ret,
                            struct pa_error *err);

#define IGNITE_NO_OWNER       UINT16_MAX
#define IGNITE_MAX_PARTITIONS 65536

struct ignite_cache_map {
	int32_t cache_id;
	int32_t partition_count; /* 0: not by key */
	const uint16_t *owners;  /* indices into nodes */
};
struct ignite_map {
	int64_t topology_version;
	int32_t topology_minor;
	struct pa_ignite_uuid *nodes;
	size_t node_count;
	struct ignite_cache_map *caches; /* by id */
	size_t cache_count;
};
int ignite_decode_map(struct pa_arena *arena, const void *data, size_t bytes, struct ignite_map *ret,
                      struct pa_error *err);
const struct ignite_cache_map *ignite_map_find(const struct ignite_map *map, int32_t cache_id);

/* ---- Keys as Java sees them ---- */

/* String.hashCode() of UTF-8 text: over its UTF-16 units. */
int32_t ignite_hash_text(const char *text, size_t bytes);
int32_t ignite_hash_key(const struct pa_ignite_key *key);
/* As RendezvousAffinityFunction does. */
int ignite_partition(int32_t hash, int partition_count);
/* An order over all keys, of no other meaning. */
int ignite_key_compare(const struct pa_ignite_key *a, const struct pa_ignite_key *b);
/* Well-formed, without surrogates and overlong forms. */
bool ignite_is_utf8(const char *text, size_t bytes);

#endif
