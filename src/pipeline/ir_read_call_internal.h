/* SPDX-License-Identifier: Apache-2.0 */
/* The half of reading components that is about the tasks of a DAG. */
#ifndef PA_PIPELINE_IR_READ_CALL_INTERNAL_H
#define PA_PIPELINE_IR_READ_CALL_INTERNAL_H

#include "pipeline/ir_read_internal.h"

struct pa_node_entry;

int ir_read_call(const struct pa_budget *budget, const struct pa_node_entry *entry, struct ir_call *ret,
                 struct pa_error *err);
/* What each call waits for, and an order without circles. */
int ir_order_calls(const struct pa_budget *budget, struct ir_component *component, struct pa_error *err);

#endif
