/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: what failed, on what, and what to do about it.
 *
 * A function that can fail returns 0 or a negative number and takes a `struct pa_error *` as its
 * last argument.  The caller owns that struct (on the stack, PA_ERROR_INIT); it is written only on
 * failure, is never NULL, and needs no release.  The number returned is `-(int)class`, so a caller may switch
 * on the class without looking at the struct.
 *
 * Libraries never print and never exit; they fill the error in and return.  On the way up a caller
 * adds its own context with pa_error_wrap(): "context: cause".
 *
 * Threads: an error belongs to the thread that owns the struct.  Blocking: never.
 * Limits: a message is cut at PA_ERROR_MESSAGE_BYTES.
 */
#ifndef PA_BASE_ERROR_H
#define PA_BASE_ERROR_H

#include <stdarg.h>

enum pa_error_class {
	PA_ERROR_NONE = 0,
	PA_ERROR_INPUT,     /* what the user gave is wrong: exit code 3 */
	PA_ERROR_USAGE,     /* the command line is wrong: exit code 2 */
	PA_ERROR_NOT_FOUND, /* the thing asked for is not there */
	PA_ERROR_TRANSIENT, /* trying again may help */
	PA_ERROR_PERMANENT, /* trying again will not help */
	PA_ERROR_CANCELLED, /* somebody asked to stop */
	PA_ERROR_DEADLINE,  /* the time allowed has passed */
	PA_ERROR_NO_SPACE,  /* a disk, memory or quota is full */
	PA_ERROR_CHANGED,   /* the data is another version than the one asked for */
	PA_ERROR_BUG,       /* a broken promise inside the program */
};

#define PA_ERROR_MESSAGE_BYTES 1024

struct pa_error {
	enum pa_error_class class;
	int os_errno; /* 0 when no system call is behind it */
	char message[PA_ERROR_MESSAGE_BYTES];
};

#define PA_ERROR_INIT                                                                                        \
	{                                                                                                    \
		PA_ERROR_NONE, 0,                                                                            \
		{                                                                                            \
			0                                                                                    \
		}                                                                                            \
	}

/* Writes class and message; returns -(int)class. */
int pa_error_set(struct pa_error *err, enum pa_error_class class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same from an errno value: the class follows from it (ENOENT: not found; ENOSPC, EDQUOT:
 * no space; EINTR, EAGAIN, ETIMEDOUT, ECONN*: transient; ECANCELED: cancelled; ESTALE: changed;
 * others: permanent) and ": <strerror>" ends the message. */
int pa_error_set_errno(struct pa_error *err, int os_errno, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message that is there; class and errno stay.  Returns -(int)class. */
int pa_error_wrap(struct pa_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The errno that a file system should answer for this error: os_errno, or one that fits the class. */
int pa_error_to_errno(const struct pa_error *err);

/* "input", "not found", …: for logs and JSON. */
const char *pa_error_class_name(enum pa_error_class class);

#endif
