/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ignite/codec.h"

struct ignite_reader ignite_reader(const void *data, size_t bytes)
{
	return (struct ignite_reader){.at = data, .end = (const uint8_t *)data + bytes};
}

size_t ignite_reader_left(const struct ignite_reader *reader)
{
	return (size_t)(reader->end - reader->at);
}

const uint8_t *ignite_read_bytes(struct ignite_reader *reader, size_t bytes)
{
	const uint8_t *begin = reader->at;

	if (reader->bad || bytes > ignite_reader_left(reader)) {
		reader->bad = true;
		return NULL;
	}
	reader->at += bytes;
	return begin;
}

static uint64_t read_number(struct ignite_reader *reader, unsigned bytes)
{
	const uint8_t *data = ignite_read_bytes(reader, bytes);
	uint64_t value = 0;

	if (data == NULL)
		return 0;
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)data[i] << (8 * i);
	return value;
}

uint8_t ignite_read_u8(struct ignite_reader *reader)
{
	return (uint8_t)read_number(reader, 1);
}

int16_t ignite_read_i16(struct ignite_reader *reader)
{
	return (int16_t)read_number(reader, 2);
}

int32_t ignite_read_i32(struct ignite_reader *reader)
{
	return (int32_t)read_number(reader, 4);
}

int64_t ignite_read_i64(struct ignite_reader *reader)
{
	return (int64_t)read_number(reader, 8);
}

struct pa_ignite_uuid ignite_read_uuid(struct ignite_reader *reader)
{
	struct pa_ignite_uuid uuid;

	uuid.high = (uint64_t)ignite_read_i64(reader);
	uuid.low = (uint64_t)ignite_read_i64(reader);
	return uuid;
}

size_t ignite_read_count(struct ignite_reader *reader, size_t each_bytes)
{
	int32_t count = ignite_read_i32(reader);

	if (count < 0 || (uint64_t)count * each_bytes > ignite_reader_left(reader)) {
		reader->bad = true;
		return 0;
	}
	return (size_t)count;
}

void ignite_read_string(struct ignite_reader *reader, const char **ret, size_t *ret_bytes)
{
	uint8_t type = ignite_read_u8(reader);

	*ret = NULL;
	*ret_bytes = 0;
	if (type == 9) {
		size_t bytes = ignite_read_count(reader, 1);
		*ret = (const char *)ignite_read_bytes(reader, bytes);
		*ret_bytes = *ret == NULL ? 0 : bytes;
	} else if (type != 101) {
		reader->bad = true;
	}
}

void ignite_write_bytes(struct ignite_writer *writer, const void *data, size_t bytes)
{
	if (bytes > 0 && writer->length <= writer->room && bytes <= writer->room - writer->length)
		memcpy(writer->data + writer->length, data, bytes);
	writer->length += bytes;
}

static void write_number(struct ignite_writer *writer, uint64_t value, unsigned bytes)
{
	uint8_t data[8];

	for (unsigned i = 0; i < bytes; i++)
		data[i] = (uint8_t)(value >> (8 * i));
	ignite_write_bytes(writer, data, bytes);
}

void ignite_write_u8(struct ignite_writer *writer, uint8_t value)
{
	write_number(writer, value, 1);
}

void ignite_write_i16(struct ignite_writer *writer, int16_t value)
{
	write_number(writer, (uint16_t)value, 2);
}

void ignite_write_i32(struct ignite_writer *writer, int32_t value)
{
	write_number(writer, (uint32_t)value, 4);
}

void ignite_write_i64(struct ignite_writer *writer, int64_t value)
{
	write_number(writer, (uint64_t)value, 8);
}

void ignite_write_string(struct ignite_writer *writer, const char *text, size_t bytes)
{
	if (text == NULL) {
		ignite_write_u8(writer, 101);
		return;
	}
	ignite_write_u8(writer, 9);
	ignite_write_i32(writer, (int32_t)bytes);
	ignite_write_bytes(writer, text, bytes);
}

void ignite_write_key(struct ignite_writer *writer, const struct pa_ignite_key *key)
{
	switch (key->type) {
	case PA_IGNITE_KEY_LONG:
		ignite_write_u8(writer, 4);
		ignite_write_i64(writer, key->number);
		return;
	case PA_IGNITE_KEY_UUID:
		ignite_write_u8(writer, 10);
		ignite_write_i64(writer, (int64_t)key->uuid.high);
		ignite_write_i64(writer, (int64_t)key->uuid.low);
		return;
	case PA_IGNITE_KEY_TEXT:
		ignite_write_string(writer, key->text.bytes, key->text.length);
		return;
	case PA_IGNITE_KEY_OTHER:
		ignite_write_u8(writer, 101);
		return;
	}
}

static void add_part(struct ignite_writer *writer, const void *data, size_t bytes)
{
	if (writer->part_count < writer->part_room)
		writer->parts[writer->part_count] =
		    (struct iovec){.iov_base = (void *)data, .iov_len = bytes};
	writer->part_count++;
}

static void close_part(struct ignite_writer *writer)
{
	if (writer->length == writer->part_begin)
		return;
	if (writer->length <= writer->room)
		add_part(writer, writer->data + writer->part_begin, writer->length - writer->part_begin);
	else
		writer->part_count++;
	writer->part_begin = writer->length;
}

void ignite_write_outside(struct ignite_writer *writer, const void *data, size_t bytes)
{
	if (bytes == 0)
		return;
	close_part(writer);
	add_part(writer, data, bytes);
	writer->outside_bytes += bytes;
}

void ignite_begin_frame(struct ignite_writer *writer, enum ignite_op op)
{
	ignite_write_i32(writer, 0);
	ignite_write_i16(writer, (int16_t)op);
	ignite_write_i64(writer, 0);
}

size_t ignite_finish_frame(struct ignite_writer *writer)
{
	size_t bytes = writer->length + writer->outside_bytes;
	struct ignite_writer length = {.data = writer->data, .room = writer->room};

	close_part(writer);
	ignite_write_i32(&length, (int32_t)(bytes - 4));
	return bytes;
}

void ignite_set_id(uint8_t *frame, int64_t id)
{
	struct ignite_writer writer = {.data = frame, .room = IGNITE_FRAME_HEAD_BYTES, .length = 6};

	ignite_write_i64(&writer, id);
}
