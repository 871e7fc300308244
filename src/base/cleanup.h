/* SPDX-License-Identifier: Apache-2.0 */
/* Clean-up attributes: a local releases itself on every way out of its block. */
#ifndef PA_BASE_CLEANUP_H
#define PA_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void pa_cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void pa_cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define PA_AUTO_FREE  __attribute__((cleanup(pa_cleanup_free)))
#define PA_AUTO_CLOSE __attribute__((cleanup(pa_cleanup_close)))

/* x with EINTR retried; what a caller must look at. */
#define PA_ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#endif
