/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the file of --args-file: arguments, or an error that says where. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "check.h"
#include "cmd/cmd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pa_cmd_common common = PA_CMD_COMMON_INIT;
	struct pa_arena arena = PA_ARENA_INIT;
	struct pa_error err = PA_ERROR_INIT;
	struct pa_analyze_options options = {0};
	char path[64];

	int file = memfd_create("fuzz", 0);
	require(file >= 0 && write(file, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	common.arguments.file = path;
	if (pa_cmd_analyze_options(&arena, &common, &options, &err) < 0) {
		require(has_place(err.message, path) || strstr(err.message, path) != NULL);
	} else {
		for (size_t i = 0; i < options.argument_count; i++)
			require(options.arguments[i].name != NULL && options.arguments[i].value != NULL);
	}
	close(file);
	pa_arena_done(&arena);
	return 0;
}
