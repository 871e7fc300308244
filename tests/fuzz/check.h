/* SPDX-License-Identifier: Apache-2.0 */
/* What fuzz targets share: a broken promise ends the program where the fuzzer sees it. */
#ifndef PA_TESTS_FUZZ_CHECK_H
#define PA_TESTS_FUZZ_CHECK_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(int truth)
{
	if (!truth)
		abort();
}

/* Whether a text is "name:line:column", or starts with that and a colon. */
static inline int has_place(const char *message, const char *name)
{
	size_t length = strlen(name), line, column;

	if (strncmp(message, name, length) != 0 || message[length] != ':')
		return 0;
	message += length + 1;
	line = strspn(message, "0123456789");
	if (line == 0 || message[line] != ':')
		return 0;
	message += line + 1;
	column = strspn(message, "0123456789");
	return column > 0 && (message[column] == ':' || message[column] == '\0');
}

#endif
