/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int error_store(struct pa_error *err, enum pa_error_class class, int os_errno)
{
	err->class = class;
	err->os_errno = os_errno;
	return -(int)class;
}

int pa_error_set(struct pa_error *err, enum pa_error_class class, const char *format, ...)
{
	/* The arguments may point into err->message itself. */
	char message[PA_ERROR_MESSAGE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	memcpy(err->message, message, sizeof(message));
	return error_store(err, class, 0);
}

static enum pa_error_class error_class_of_errno(int os_errno)
{
	switch (os_errno) {
	case ENOENT:
		return PA_ERROR_NOT_FOUND;
	case ENOSPC:
	case EDQUOT:
		return PA_ERROR_NO_SPACE;
	case EINTR:
	case EAGAIN:
	case ETIMEDOUT:
	case ECONNRESET:
	case ECONNREFUSED:
	case ECONNABORTED:
		return PA_ERROR_TRANSIENT;
	case ECANCELED:
		return PA_ERROR_CANCELLED;
	case ESTALE:
		return PA_ERROR_CHANGED;
	default:
		return PA_ERROR_PERMANENT;
	}
}

int pa_error_set_errno(struct pa_error *err, int os_errno, const char *format, ...)
{
	char message[PA_ERROR_MESSAGE_BYTES];
	char reason[128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	size_t length = strlen(message);
	snprintf(message + length, sizeof(message) - length, ": %s",
	         strerror_r(os_errno, reason, sizeof(reason)));
	memcpy(err->message, message, sizeof(message));
	return error_store(err, error_class_of_errno(os_errno), os_errno);
}

int pa_error_wrap(struct pa_error *err, const char *format, ...)
{
	char message[PA_ERROR_MESSAGE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	size_t length = strlen(message);
	if (length + 2 < sizeof(message)) {
		memcpy(message + length, ": ", 2);
		memcpy(message + length + 2, err->message, sizeof(message) - length - 2);
		message[sizeof(message) - 1] = '\0';
	}
	memcpy(err->message, message, sizeof(message));
	return -(int)err->class;
}

int pa_error_to_errno(const struct pa_error *err)
{
	if (err->os_errno != 0)
		return err->os_errno;
	switch (err->class) {
	case PA_ERROR_NOT_FOUND:
		return ENOENT;
	case PA_ERROR_CANCELLED:
		return EINTR;
	case PA_ERROR_DEADLINE:
		return ETIMEDOUT;
	case PA_ERROR_NO_SPACE:
		return ENOSPC;
	case PA_ERROR_CHANGED:
		return ESTALE;
	case PA_ERROR_INPUT:
	case PA_ERROR_USAGE:
		return EINVAL;
	default:
		return EIO;
	}
}

const char *pa_error_class_name(enum pa_error_class class)
{
	static const char *const names[] = {
	    [PA_ERROR_NONE] = "none",
	    [PA_ERROR_INPUT] = "input",
	    [PA_ERROR_USAGE] = "usage",
	    [PA_ERROR_NOT_FOUND] = "not found",
	    [PA_ERROR_TRANSIENT] = "transient",
	    [PA_ERROR_PERMANENT] = "permanent",
	    [PA_ERROR_CANCELLED] = "cancelled",
	    [PA_ERROR_DEADLINE] = "deadline",
	    [PA_ERROR_NO_SPACE] = "no space",
	    [PA_ERROR_CHANGED] = "changed",
	    [PA_ERROR_BUG] = "bug",
	};
	return class < sizeof(names) / sizeof(names[0]) ? names[class] : "unknown";
}
