/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/node.h"
#include "pipeline/status.h"
#include "pipeline/status_internal.h"

#define INFLATE_STEP_BYTES (256u << 10)
#define GZIP_WINDOW        (15 + 16) /* zlib's number for "gzip, the largest window" */

static int base64_digit(char letter)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = letter == '\0' ? NULL : strchr(digits, letter);

	return at == NULL ? -1 : (int)(at - digits);
}

/* Lines may be folded; nothing else may stand between the digits.  False: no base64. */
static bool decode_base64(const char *text, size_t length, unsigned char *out, size_t *ret_bytes)
{
	unsigned int bits = 0, bit_count = 0;
	size_t bytes = 0, at = 0;

	for (; at < length && text[at] != '='; at++) {
		if (text[at] == '\n' || text[at] == '\r' || text[at] == ' ')
			continue;
		int digit = base64_digit(text[at]);
		if (digit < 0)
			return false;
		bits = (bits << 6 | (unsigned int)digit) & 0xffffff;
		bit_count += 6;
		if (bit_count >= 8) {
			bit_count -= 8;
			out[bytes++] = (unsigned char)(bits >> bit_count);
		}
	}
	*ret_bytes = bytes;
	return strspn(text + at, "=\n\r ") == length - at;
}

/* Inflates step by step, so that a small text cannot take much memory before the limit is seen. */
static int inflate_all(z_stream *stream, const struct pa_node *at, struct pa_buffer *out,
                       struct pa_error *err)
{
	int rc = Z_OK;

	while (rc != Z_STREAM_END) {
		if (!pa_buffer_reserve(out, INFLATE_STEP_BYTES))
			return pa_node_error(at, err,
			                     "status.compressedNodes holds more than the limit of %u MiB",
			                     PA_STATUS_MAX_BYTES >> 20);
		stream->next_out = (unsigned char *)out->data + out->length;
		stream->avail_out = INFLATE_STEP_BYTES;
		rc = inflate(stream, Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_STREAM_END)
			return pa_node_error(at, err, "status.compressedNodes is no whole gzip: %s",
			                     stream->msg != NULL ? stream->msg : "it ends too early");
		out->length += INFLATE_STEP_BYTES - stream->avail_out;
		out->data[out->length] = '\0';
	}
	return 0;
}

static int gunzip(unsigned char *bytes, size_t count, const struct pa_node *at, struct pa_buffer *out,
                  struct pa_error *err)
{
	z_stream stream = {.next_in = bytes, .avail_in = (unsigned int)count};

	if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
		return pa_error_set(err, PA_ERROR_NO_SPACE, "no memory to decompress status.compressedNodes");
	int rc = inflate_all(&stream, at, out, err);
	inflateEnd(&stream);
	return rc;
}

int status_decompress(struct pa_arena *arena, const struct pa_node *compressed, const struct pa_node **ret,
                      struct pa_error *err)
{
	const char *text = pa_node_text(compressed);
	struct pa_buffer nodes;
	size_t bytes = 0;

	if (text == NULL)
		return pa_node_error(compressed, err,
		                     "status.compressedNodes must be a text: base64 of a gzip");
	unsigned char *packed = pa_arena_alloc(arena, compressed->length / 4 * 3 + 3);
	if (compressed->length > PA_STATUS_MAX_BYTES ||
	    !decode_base64(text, compressed->length, packed, &bytes))
		return pa_node_error(compressed, err, "status.compressedNodes is no base64");
	pa_buffer_init(&nodes, PA_STATUS_MAX_BYTES);
	int rc = gunzip(packed, bytes, compressed, &nodes, err);
	if (rc == 0)
		rc = pa_document_read_json(arena, compressed, nodes.data, nodes.length, ret, err);
	pa_buffer_done(&nodes);
	return rc;
}
