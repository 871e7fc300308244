/* SPDX-License-Identifier: Apache-2.0 */
/* Scratch folders: where a run keeps what its tasks write, one per run, locked while its process lives.
 *
 * They are below $PIPEAHEAD_SCRATCH, else /var/tmp/pipeahead.  A folder whose lock nobody holds belongs to a process that is
 * gone; pa_scratch_sweep() removes such folders, and every command begins with it. Only folders of the same user
 * are touched.  Threads: any.  Blocking: disk I/O, and short waits for another process's sweep.
 */
#ifndef PA_RUN_SCRATCH_H
#define PA_RUN_SCRATCH_H

#include <stddef.h>

#include "base/error.h"

struct pa_scratch;

int pa_scratch_new(struct pa_scratch **ret, struct pa_error *err);
const char *pa_scratch_path(const struct pa_scratch *scratch);
/* Removes the folder and all in it. */
void pa_scratch_free(struct pa_scratch *scratch);
/* Removes what runs that were killed have left; failures are left for the next time. */
void pa_scratch_sweep(void);

/* Removes a folder and all below it without following links or leaving its file system; missing is fine. */
int pa_scratch_remove_tree(const char *path, struct pa_error *err);

#endif
