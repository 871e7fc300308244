/* SPDX-License-Identifier: Apache-2.0 */
/* What simulate.c and simulate_input.c share. */
#ifndef PA_CMD_SIMULATE_INTERNAL_H
#define PA_CMD_SIMULATE_INTERNAL_H

#include "cmd/cmd.h"
#include "simulate/instance.h"

/* A WfCommons instance, or a pipeline with what its catalog and sources say of it. */
int pa_cmd_read_instance(struct pa_arena *arena, const char *path, const char *config_path,
                         const struct pa_cmd_common *common, struct pa_instance *ret, struct pa_error *err);

#endif
