/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target once over each file named: the committed seeds, as a plain test. */
#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int main(int argument_count, char **arguments)
{
	struct pa_error err = PA_ERROR_INIT;

	for (int i = 1; i < argument_count; i++) {
		struct pa_buffer text;
		if (pa_buffer_read_file(arguments[i], 64u << 20, &text, &err) < 0) {
			fprintf(stderr, "%s\n", err.message);
			return 1;
		}
		LLVMFuzzerTestOneInput((const uint8_t *)text.data, text.length);
		pa_buffer_done(&text);
	}
	printf("%d inputs\n", argument_count - 1);
	return argument_count > 1 ? 0 : 1;
}
