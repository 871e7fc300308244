/* SPDX-License-Identifier: Apache-2.0 */
/* retryStrategy: whether an attempt is followed by another, and when.  maxDuration is kept in terms of the waits alone:
 * there is no clock here. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "run/engine_internal.h"

#define MAX_DELAY_MS ((int64_t)24 * 3600 * 1000)

static int read_number(struct pa_engine_scope *scope, const char *what, const char *text, double *ret,
                       struct pa_error *err)
{
	const char *filled;
	int status = pa_engine_expand(scope, text, &filled, err);
	if (status < 0)
		return status;
	char *end;
	double number = strtod(filled, &end);
	if (end == filled || *end || !(number >= 0) || number > 1e9)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "retryStrategy.%s is no number from 0 to 1e9: '%.100s'", what, filled);
	*ret = number;
	return 0;
}

/* "10" (seconds), "2m", "1h30m". */
static int read_duration(struct pa_engine_scope *scope, const char *text, int64_t *ret_ms,
                         struct pa_error *err)
{
	const char *filled;
	int status = pa_engine_expand(scope, text, &filled, err);
	if (status < 0)
		return status;
	char *end;
	double seconds = strtod(filled, &end);
	if (end != filled && !*end && seconds >= 0 && seconds < 1e9) {
		*ret_ms = (int64_t)(seconds * 1000);
		return 0;
	}
	int64_t total_ns = 0;
	for (const char *at = filled; *at;) {
		size_t bytes = strspn(at, "0123456789.");
		bytes += strcspn(at + bytes, "0123456789.");
		int64_t part_ns;
		status = pa_units_parse_duration(pa_arena_strndup(&scope->engine->arena, at, bytes), &part_ns,
		                                 err);
		if (status < 0)
			return pa_error_wrap(err, "retryStrategy.backoff");
		if (__builtin_add_overflow(total_ns, part_ns, &total_ns))
			total_ns = INT64_MAX;
		at += bytes;
	}
	*ret_ms = total_ns / 1000000;
	return 0;
}

static bool policy_allows(const struct pa_engine_execution *execution, bool has_expression)
{
	const char *policy = execution->plan->template_->retry_policy;
	if (!policy)
		policy = has_expression ? "Always" : "OnFailure";
	if (strcmp(policy, "Always") == 0)
		return true;
	if (strcmp(policy, "OnError") == 0)
		return execution->outcome == PA_OUTCOME_ERROR;
	/* OnTransientError is about errors of the cluster: none happen here. */
	return strcmp(policy, "OnFailure") == 0 && execution->outcome == PA_OUTCOME_FAILED;
}

static int decide_delay(struct pa_engine_scope *scope, struct pa_engine_execution *execution, bool *ret,
                        struct pa_error *err)
{
	const struct pa_template *template_ = execution->plan->template_;
	int64_t delay_ms, longest_ms = INT64_MAX;
	double factor = 1;
	*ret = true;
	if (!template_->retry_backoff_duration)
		return 0;
	int status = read_duration(scope, template_->retry_backoff_duration, &delay_ms, err);
	if (status == 0 && template_->retry_backoff_factor)
		status = read_number(scope, "backoff.factor", template_->retry_backoff_factor, &factor, err);
	if (status == 0 && template_->retry_backoff_max)
		status = read_duration(scope, template_->retry_backoff_max, &longest_ms, err);
	if (status < 0)
		return status;
	double wait = (double)delay_ms;
	for (uint32_t i = 0; factor != 1 && i < execution->attempt && wait < (double)MAX_DELAY_MS; i++)
		wait *= factor;
	delay_ms = wait < (double)MAX_DELAY_MS ? (int64_t)wait : MAX_DELAY_MS;
	*ret = delay_ms <= longest_ms - execution->delays_ms;
	if (*ret) {
		execution->delay_ms = delay_ms;
		execution->delays_ms += delay_ms;
	}
	return 0;
}

int pa_engine_retry_decide(struct pa_engine *engine, struct pa_engine_execution *execution, bool *ret,
                           struct pa_error *err)
{
	const struct pa_template *template_ = execution->plan->template_;
	bool stopped = execution->exit_role ? engine->exits_stopped : engine->stopped;
	*ret = false;
	if (!template_->has_retry || stopped || !pa_engine_outcome_is_failure(execution->outcome))
		return 0;
	struct pa_engine_scope scope = {.engine = engine, .execution = execution, .last_retry = true};
	const char *expression = pa_node_text(pa_node_path(template_->node, "retryStrategy.expression"));
	if (!policy_allows(execution, expression != NULL))
		return 0;
	if (template_->retry_limit) {
		double limit;
		int status = read_number(&scope, "limit", template_->retry_limit, &limit, err);
		if (status < 0)
			return status;
		if ((double)execution->attempt >= limit)
			return 0;
	}
	if (expression) {
		struct pa_engine_value value;
		int status = pa_engine_evaluate(&scope, expression, &value, err);
		if (status < 0)
			return pa_error_wrap(err, "retryStrategy.expression");
		if (value.kind != PA_VALUE_TRUTH || !value.truth)
			return 0;
	}
	return decide_delay(&scope, execution, ret, err);
}
