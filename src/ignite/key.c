/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ignite/codec.h"

struct pa_ignite_key pa_ignite_key_long(int64_t number)
{
	return (struct pa_ignite_key){.type = PA_IGNITE_KEY_LONG, .number = number};
}

struct pa_ignite_key pa_ignite_key_uuid(uint64_t high, uint64_t low)
{
	return (struct pa_ignite_key){.type = PA_IGNITE_KEY_UUID, .uuid = {.high = high, .low = low}};
}

struct pa_ignite_key pa_ignite_key_text(const char *bytes, size_t length)
{
	return (struct pa_ignite_key){.type = PA_IGNITE_KEY_TEXT, .text = {.bytes = bytes, .length = length}};
}

struct pa_ignite_cache pa_ignite_cache(const char *name)
{
	return (struct pa_ignite_cache){.id = ignite_hash_text(name, strlen(name))};
}

char *pa_ignite_uuid_format(struct pa_ignite_uuid uuid, char out[PA_IGNITE_UUID_TEXT_BYTES])
{
	snprintf(out, PA_IGNITE_UUID_TEXT_BYTES,
	         "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64, uuid.high >> 32,
	         (uuid.high >> 16) & 0xffff, uuid.high & 0xffff, uuid.low >> 48,
	         uuid.low & UINT64_C(0xffffffffffff));
	return out;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool pa_ignite_uuid_parse(const char *text, struct pa_ignite_uuid *ret)
{
	uint64_t halves[2] = {0, 0};
	unsigned digits = 0;

	if (strlen(text) != PA_IGNITE_UUID_TEXT_BYTES - 1)
		return false;
	for (unsigned i = 0; text[i] != '\0'; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash != (text[i] == '-'))
			return false;
		if (dash)
			continue;
		int digit = hex_digit(text[i]);
		if (digit < 0)
			return false;
		halves[digits / 16] = halves[digits / 16] << 4 | (uint64_t)digit;
		digits++;
	}
	*ret = (struct pa_ignite_uuid){.high = halves[0], .low = halves[1]};
	return true;
}

/* One code point from well-formed UTF-8; a byte that is out of place stands for U+FFFD, as Java decodes it. */
static size_t decode_utf8(const uint8_t *at, size_t left, uint32_t *ret)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	uint8_t first = at[0];
	size_t length = first < 0x80       ? 1
	                : first >> 5 == 6  ? 2
	                : first >> 4 == 14 ? 3
	                : first >> 3 == 30 ? 4
	                                   : 0;
	uint32_t point = length == 1 ? first : (uint32_t)first & (0x7fu >> length);

	*ret = 0xfffd;
	if (length == 0 || length > left)
		return 1;
	for (size_t i = 1; i < length; i++) {
		if (at[i] >> 6 != 2)
			return 1;
		point = point << 6 | (at[i] & 0x3fu);
	}
	if (point < smallest[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
		return 1;
	*ret = point;
	return length;
}

bool ignite_is_utf8(const char *text, size_t bytes)
{
	const uint8_t *at = (const uint8_t *)text;
	uint32_t point;

	for (size_t i = 0; i < bytes;) {
		size_t length = decode_utf8(at + i, bytes - i, &point);
		/* U+FFFD itself takes three bytes. */
		if (point == 0xfffd && length == 1)
			return false;
		i += length;
	}
	return true;
}

int32_t ignite_hash_text(const char *text, size_t bytes)
{
	const uint8_t *at = (const uint8_t *)text;
	uint32_t hash = 0;
	uint32_t point;

	for (size_t i = 0; i < bytes;) {
		i += decode_utf8(at + i, bytes - i, &point);
		if (point >= 0x10000) {
			hash = hash * 31 + (0xd800 + ((point - 0x10000) >> 10));
			point = 0xdc00 + ((point - 0x10000) & 0x3ff);
		}
		hash = hash * 31 + point;
	}
	return (int32_t)hash;
}

static int32_t fold(uint64_t value)
{
	return (int32_t)(uint32_t)(value ^ value >> 32);
}

int32_t ignite_hash_key(const struct pa_ignite_key *key)
{
	switch (key->type) {
	case PA_IGNITE_KEY_LONG:
		return fold((uint64_t)key->number);
	case PA_IGNITE_KEY_UUID:
		return fold(key->uuid.high ^ key->uuid.low);
	case PA_IGNITE_KEY_TEXT:
		return ignite_hash_text(key->text.bytes, key->text.length);
	case PA_IGNITE_KEY_OTHER:
		break;
	}
	return 0;
}

int ignite_partition(int32_t hash, int partition_count)
{
	uint32_t bits = (uint32_t)hash;

	if ((partition_count & (partition_count - 1)) == 0)
		return (int)((bits ^ bits >> 16) & (uint32_t)(partition_count - 1));
	int partition = hash % partition_count;
	return partition < 0 ? -partition : partition;
}

int ignite_key_compare(const struct pa_ignite_key *a, const struct pa_ignite_key *b)
{
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	switch (a->type) {
	case PA_IGNITE_KEY_LONG:
		return a->number == b->number ? 0 : a->number < b->number ? -1 : 1;
	case PA_IGNITE_KEY_UUID:
		if (a->uuid.high != b->uuid.high)
			return a->uuid.high < b->uuid.high ? -1 : 1;
		return a->uuid.low == b->uuid.low ? 0 : a->uuid.low < b->uuid.low ? -1 : 1;
	case PA_IGNITE_KEY_TEXT:
		if (a->text.length != b->text.length)
			return a->text.length < b->text.length ? -1 : 1;
		return a->text.length == 0 ? 0 : memcmp(a->text.bytes, b->text.bytes, a->text.length);
	case PA_IGNITE_KEY_OTHER:
		break;
	}
	return 0;
}
