/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOG_LINE_BYTES 2048

static atomic_int log_level = PA_LOG_INFO;

void pa_log_set_level(enum pa_log_level level)
{
	atomic_store(&log_level, (int)level);
}

void pa_log(enum pa_log_level level, const char *format, ...)
{
	static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
	char line[LOG_LINE_BYTES];
	va_list arguments;

	if ((int)level > atomic_load(&log_level))
		return;
	int length = snprintf(line, sizeof(line), "pipeahead: %s", names[level]);
	va_start(arguments, format);
	vsnprintf(line + length, sizeof(line) - (size_t)length - 1, format, arguments);
	va_end(arguments);
	/* A name may hold a newline; a log line may not. */
	for (char *at = line; *at != '\0'; at++)
		if (*at == '\n')
			*at = ' ';
	size_t bytes = strlen(line);
	line[bytes++] = '\n';
	/* Standard error gone is nobody's concern. */
	if (write(STDERR_FILENO, line, bytes) < 0)
		return;
}
