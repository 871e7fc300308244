/* SPDX-License-Identifier: Apache-2.0 */
/* The actions of `pipeahead ignite`: each fills in a JSON value that is printed as a table or as it is, or writes what it
 * has to say itself and leaves it NULL. */
#ifndef PA_CMD_IGNITE_INTERNAL_H
#define PA_CMD_IGNITE_INTERNAL_H

#include <jansson.h>

#include "ignite/ignite.h"

struct ignite_command;
typedef int ignite_act(const struct ignite_command *command, json_t **ret, struct pa_error *err);

struct ignite_command {
	ignite_act *act;
	struct pa_ignite *ignite;
	char **words; /* behind the action */
	int word_count;
	int key_type; /* 0 long, 1 uuid, 2 text; -1: by its looks */
	const char *output;
	bool create;
	int64_t expire_ns; /* 0: not given */
	int64_t limit;
	int64_t count;
	int64_t timeout_ns;
};

ignite_act ignite_act_ping, ignite_act_nodes, ignite_act_caches, ignite_act_stat, ignite_act_get,
    ignite_act_put, ignite_act_scan;

#endif
