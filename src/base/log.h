/* SPDX-License-Identifier: Apache-2.0 */
/* Logs of commands and daemons, one line each, to standard error.  Libraries do not log; they return errors.
 * The exceptions are the byte path's permanent read errors, which a task only sees as EIO: those
 * lines name the object.  Threads: any; a line is one write(2). */
#ifndef PA_BASE_LOG_H
#define PA_BASE_LOG_H

enum pa_log_level { PA_LOG_ERROR, PA_LOG_WARNING, PA_LOG_INFO, PA_LOG_DEBUG };

void pa_log_set_level(enum pa_log_level level);
void pa_log(enum pa_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
