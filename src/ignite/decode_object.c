/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ignite/codec.h"

#define MAX_DEPTH 4 /* of arrays in arrays that are skipped */

/* Bytes of one element, by type code; 0: not of fixed size. */
static unsigned fixed_bytes(int type)
{
	static const uint8_t sizes[] = {[1] = 1, [2] = 2,   [3] = 4,  [4] = 8,   [5] = 4,  [6] = 8,  [7] = 2,
	                                [8] = 1, [10] = 16, [11] = 8, [33] = 12, [36] = 8, [101] = 0};

	return type >= 0 && type < (int)sizeof(sizes) ? sizes[type] : 0;
}

/* Arrays of primitives: the element's bytes by the array's type code. */
static unsigned element_bytes(int type)
{
	static const uint8_t sizes[] = {
	    [12] = 1, [13] = 2, [14] = 4, [15] = 8, [16] = 4, [17] = 8, [18] = 2, [19] = 1};

	return type >= 12 && type <= 19 ? sizes[type] : 0;
}

/* A binary object: its own length stands at byte 12 of the header of 24, type code included. */
static void skip_binary(struct ignite_reader *reader)
{
	struct ignite_reader header;
	const uint8_t *rest = ignite_read_bytes(reader, 23);

	if (rest == NULL)
		return;
	header = ignite_reader(rest + 11, 4);
	int32_t length = ignite_read_i32(&header);
	if (length < 24)
		reader->bad = true;
	else
		ignite_read_bytes(reader, (size_t)length - 24);
}

static void skip_body(struct ignite_reader *reader, int type, int depth);

static void skip_array(struct ignite_reader *reader, int depth)
{
	size_t count = ignite_read_count(reader, 1);

	for (size_t i = 0; i < count && !reader->bad; i++)
		skip_body(reader, ignite_read_u8(reader), depth + 1);
}

static void skip_body(struct ignite_reader *reader, int type, int depth)
{
	if (reader->bad || type == 101)
		return;
	if (depth > MAX_DEPTH) {
		reader->bad = true;
	} else if (fixed_bytes(type) > 0) {
		ignite_read_bytes(reader, fixed_bytes(type));
	} else if (element_bytes(type) > 0) {
		size_t count = ignite_read_count(reader, element_bytes(type));
		ignite_read_bytes(reader, count * element_bytes(type));
	} else if (type == 9) {
		ignite_read_bytes(reader, ignite_read_count(reader, 1));
	} else if (type == 27) { /* a binary object in an array of bytes, and an offset */
		ignite_read_bytes(reader, ignite_read_count(reader, 1));
		ignite_read_bytes(reader, 4);
	} else if (type == 103) {
		skip_binary(reader);
	} else if (type == 20 || type == 21 || type == 22 || type == 34 || type == 37) {
		skip_array(reader, depth); /* strings, UUIDs, dates, timestamps, times */
	} else {
		reader->bad = true;
	}
}

int ignite_skip_object(struct ignite_reader *reader, int *ret_type)
{
	int type = ignite_read_u8(reader);

	skip_body(reader, type, 0);
	*ret_type = type;
	return reader->bad ? -1 : 0;
}

int ignite_decode_key(struct ignite_reader *reader, struct pa_ignite_key *ret)
{
	int type = ignite_read_u8(reader);
	size_t count;

	switch (type) {
	case 4:
		*ret = pa_ignite_key_long(ignite_read_i64(reader));
		break;
	case 10:
		*ret = (struct pa_ignite_key){.type = PA_IGNITE_KEY_UUID};
		ret->uuid = ignite_read_uuid(reader);
		break;
	case 9:
		count = ignite_read_count(reader, 1);
		*ret = pa_ignite_key_text((const char *)ignite_read_bytes(reader, count), count);
		break;
	default:
		skip_body(reader, type, 0);
		*ret = (struct pa_ignite_key){.type = PA_IGNITE_KEY_OTHER, .type_code = type};
	}
	return reader->bad ? -1 : 0;
}

int ignite_decode_value(struct ignite_reader *reader, struct pa_ignite_scan_entry *ret)
{
	struct ignite_reader ahead = *reader;

	if (ignite_skip_object(reader, &ret->value_type) < 0)
		return -1;
	ret->value = NULL;
	ret->value_bytes = 0;
	if (ret->value_type == 12) {
		ignite_read_u8(&ahead);
		ret->value_bytes = ignite_read_count(&ahead, 1);
		ret->value = ignite_read_bytes(&ahead, ret->value_bytes);
	}
	return 0;
}
