/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "pipeline/uri_internal.h"

#define MAX_SCHEME_BYTES 10

static const char *const schemes[] = {"s3",      "s3a",       "s3n",   "gs",   "oss",   "hdfs",
                                      "webhdfs", "abfs",      "abfss", "wasb", "wasbs", "adl",
                                      "minio",   "cassandra", "nfs",   "http", "https", "ftp"};

static const char *const data_endings[] = {
    ".csv", ".tsv",         ".json", ".jsonl", ".parquet", ".avro", ".orc",  ".tfrecord", ".npz",
    ".npy", ".h5",          ".hdf5", ".pkl",   ".pt",      ".pth",  ".onnx", ".zip",      ".gz",
    ".tgz", ".tar",         ".bz2",  ".xz",    ".zst",     ".txt",  ".data", ".feather",  ".arrow",
    ".bin", ".safetensors", ".jpg",  ".png",   ".mp4",     ".wav"};

static bool has_ending(const char *text, size_t bytes, const char *ending)
{
	size_t length = strlen(ending);

	return bytes > length && strncasecmp(text + bytes - length, ending, length) == 0;
}

static bool is_data_file(const char *text, size_t bytes)
{
	const char *query = memchr(text, '?', bytes);

	if (query != NULL)
		bytes = (size_t)(query - text);
	for (size_t i = 0; i < sizeof(data_endings) / sizeof(data_endings[0]); i++) {
		if (has_ending(text, bytes, data_endings[i]))
			return true;
	}
	return false;
}

/* Start of the scheme that ends at `colon`, or NULL. */
static const char *find_scheme(const char *text, const char *colon)
{
	const char *begin = colon;

	while (begin > text && colon - begin < MAX_SCHEME_BYTES && isalnum((unsigned char)begin[-1]))
		begin--;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (strlen(schemes[i]) == (size_t)(colon - begin) &&
		    strncmp(begin, schemes[i], (size_t)(colon - begin)) == 0)
			return begin;
	}
	return NULL;
}

/* Behind the reference that begins here, or NULL.  It ends at the next beginning, so that of many without an end
 * each is looked at once. */
static const char *reference_end(const char *begin)
{
	for (const char *at = begin + 2; *at != '\0'; at++) {
		if (at[0] == '}' && at[1] == '}')
			return at + 2;
		if (at[0] == '{' && at[1] == '{')
			return NULL;
	}
	return NULL;
}

/* Length of what follows "://": ends at blanks, quotes and brackets; 0 when a program completes it.  *ret_seen is
 * how far it was looked at: nothing before that begins another. */
static size_t measure_rest(const char *rest, size_t *ret_seen)
{
	static const char open_ended[] = "${}*%<>";
	size_t length = 0;

	while (rest[length] != '\0' && strchr(" \t\r\n\"'`()[]|;,\\^", rest[length]) == NULL) {
		if (rest[length] == '{' && rest[length + 1] == '{') {
			const char *end = reference_end(rest + length);
			*ret_seen = length;
			if (end == NULL)
				return 0;
			length = (size_t)(end - rest);
			continue;
		}
		bool encoded = rest[length] == '%' && isxdigit((unsigned char)rest[length + 1]) &&
		               isxdigit((unsigned char)rest[length + 2]);
		*ret_seen = length;
		if (!encoded && strchr(open_ended, rest[length]) != NULL)
			return 0;
		length++;
	}
	*ret_seen = length;
	while (length > 0 && strchr(".:!?", rest[length - 1]) != NULL)
		length--;
	return length;
}

static bool is_wanted(const char *uri, size_t scheme_bytes, size_t bytes, bool code)
{
	const char *rest = uri + scheme_bytes + 3;
	size_t rest_bytes = bytes - scheme_bytes - 3;

	if (strncmp(uri, "http", 4) != 0)
		return true;
	const char *path = memchr(rest, '/', rest_bytes);
	if (path == NULL || path + 1 == uri + bytes)
		return false;
	/* An address that only a run knows is that of a service in it. */
	if (memmem(rest, (size_t)(path - rest), "{{", 2) != NULL)
		return false;
	return !code || is_data_file(uri, bytes);
}

bool pa_uri_next(const char *text, bool code, size_t *offset, struct pa_uri *ret)
{
	const char *colon;

	while ((colon = strstr(text + *offset, "://")) != NULL) {
		const char *begin = find_scheme(text + *offset, colon);
		size_t seen = 0;
		size_t rest_bytes = begin == NULL ? 0 : measure_rest(colon + 3, &seen);
		*offset = (size_t)(colon + 3 + seen - text);
		if (rest_bytes == 0)
			continue;
		size_t bytes = (size_t)(colon + 3 - begin) + rest_bytes;
		if (!is_wanted(begin, (size_t)(colon - begin), bytes, code))
			continue;
		*ret = (struct pa_uri){begin, bytes};
		return true;
	}
	return false;
}

const char *pa_uri_kind(const char *uri)
{
	const char *path = strstr(uri, "://");
	const char *last = strrchr(uri, '/');

	if (strncmp(uri, "cassandra://", 12) == 0)
		return "table";
	if (path == NULL || last == NULL)
		return "unknown";
	if (last[1] == '\0' || strchr(path + 3, '/') == NULL || has_ending(uri, strlen(uri), ".git"))
		return "directory";
	return is_data_file(uri, strlen(uri)) ? "file" : "unknown";
}
