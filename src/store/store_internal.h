/* SPDX-License-Identifier: Apache-2.0 */
/* What store/ shares among its own files: the drivers' openers. */
#ifndef PA_STORE_STORE_INTERNAL_H
#define PA_STORE_STORE_INTERNAL_H

#include "store/store.h"

/* Opens `rest`, the location behind "scheme://", and returns a driver's struct whose ops are set; the caller
 * fills the rest of the head in. */
typedef int (*pa_store_opener)(const char *rest, struct pa_store **ret, struct pa_error *err);

int pa_store_open_file(const char *rest, struct pa_store **ret, struct pa_error *err);

#endif
