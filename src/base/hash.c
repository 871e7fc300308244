/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <endian.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct pa_hash128 pa_hash_content(const void *data, size_t bytes)
{
	XXH128_hash_t hash = XXH3_128bits(data, bytes);

	return (struct pa_hash128){.high = hash.high64, .low = hash.low64};
}

struct pa_hash128 pa_hash_name(const struct pa_hash_part *parts, size_t count)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int digest_bytes = 0;
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	/* SHA-256 of OpenSSL's default provider fails only without memory. */
	if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
		abort();
	for (size_t i = 0; i < count; i++) {
		uint64_t length = htole64(parts[i].bytes);
		if (EVP_DigestUpdate(context, &length, sizeof(length)) != 1 ||
		    EVP_DigestUpdate(context, parts[i].data, parts[i].bytes) != 1)
			abort();
	}
	if (EVP_DigestFinal_ex(context, digest, &digest_bytes) != 1)
		abort();
	EVP_MD_CTX_free(context);
	struct pa_hash128 hash;
	memcpy(&hash.high, digest, 8);
	memcpy(&hash.low, digest + 8, 8);
	hash.high = be64toh(hash.high);
	hash.low = be64toh(hash.low);
	return hash;
}

bool pa_hash_equal(struct pa_hash128 a, struct pa_hash128 b)
{
	return a.high == b.high && a.low == b.low;
}

char *pa_hash_format(struct pa_hash128 hash, char out[PA_HASH128_TEXT_BYTES])
{
	snprintf(out, PA_HASH128_TEXT_BYTES, "%016llx%016llx", (unsigned long long)hash.high,
	         (unsigned long long)hash.low);
	return out;
}
