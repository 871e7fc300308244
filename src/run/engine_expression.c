/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions of `{{=…}}`, fromExpression, valueFrom.expression, hooks and retries: the part of Argo's language that
 * chooses between values: references, texts, numbers, ?:, ??, ||, &&, !, comparisons, + - * / %, asInt, asFloat,
 * string.  Anything else is an error that names the place.  A reference without a value is nil, as there: what was
 * skipped may be named in the branch that is not taken. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run/engine_internal.h"

#define MAX_DEPTH 64

struct reader {
	struct pa_engine_scope *scope;
	const char *text;
	const char *at;
	unsigned depth;
	struct pa_error *err;
};

typedef struct pa_engine_value value_t;

static int read_choice(struct reader *reader, value_t *ret);

static int fail(struct reader *reader, const char *what)
{
	return pa_error_set(reader->err, PA_ERROR_INPUT, "expression '%.200s', character %zu: %s",
	                    reader->text, (size_t)(reader->at - reader->text) + 1, what);
}

static bool take(struct reader *reader, const char *token)
{
	while (isspace((unsigned char)*reader->at))
		reader->at++;
	size_t bytes = strlen(token);
	if (strncmp(reader->at, token, bytes) != 0)
		return false;
	/* "<" is not the start of "<=", nor "?" of "??", nor "!" of "!=". */
	char next = reader->at[bytes];
	if (bytes == 1 && strchr("<>!", token[0]) && next == '=')
		return false;
	if (token[0] == '?' && bytes == 1 && next == '?')
		return false;
	reader->at += bytes;
	return true;
}

static value_t truth_value(bool truth)
{
	return (value_t){.kind = PA_VALUE_TRUTH, .truth = truth};
}

static value_t number_value(double number)
{
	return (value_t){.kind = PA_VALUE_NUMBER, .number = number};
}

const char *pa_engine_value_text(struct pa_arena *arena, const struct pa_engine_value *value)
{
	switch (value->kind) {
	case PA_VALUE_TEXT:
		return value->text;
	case PA_VALUE_TRUTH:
		return value->truth ? "true" : "false";
	case PA_VALUE_NUMBER:
		if (value->number == floor(value->number) && fabs(value->number) < 1e15)
			return pa_arena_printf(arena, "%.0f", value->number);
		return pa_arena_printf(arena, "%.15g", value->number);
	case PA_VALUE_NIL:
	case PA_VALUE_ARTIFACT:
		return NULL;
	}
	return NULL;
}

static int read_quoted(struct reader *reader, const char **ret)
{
	char quote = *reader->at++;
	char *out = pa_arena_alloc(&reader->scope->engine->arena, strlen(reader->at) + 1);
	size_t length = 0;
	for (; *reader->at && *reader->at != quote; reader->at++) {
		if (*reader->at == '\\' && reader->at[1]) {
			reader->at++;
			out[length++] = *reader->at == 'n' ? '\n' : *reader->at == 't' ? '\t' : *reader->at;
		} else {
			out[length++] = *reader->at;
		}
	}
	if (!*reader->at)
		return fail(reader, "the text has no closing quote");
	reader->at++;
	*ret = out;
	return 0;
}

/* asInt(x), asFloat(x), string(x). */
static int read_function(struct reader *reader, const char *name, value_t *ret)
{
	bool to_number = strcmp(name, "asInt") == 0 || strcmp(name, "asFloat") == 0;
	if (!to_number && strcmp(name, "string") != 0)
		return fail(reader, "only asInt, asFloat and string are known functions here");
	reader->at++; /* the parenthesis */
	value_t argument;
	int status = read_choice(reader, &argument);
	if (status < 0)
		return status;
	if (!take(reader, ")"))
		return fail(reader, "a closing parenthesis is missing");
	const char *text = pa_engine_value_text(&reader->scope->engine->arena, &argument);
	if (!text)
		return fail(reader, "the function's argument has no value");
	if (!to_number) {
		*ret = (value_t){.kind = PA_VALUE_TEXT, .text = text};
		return 0;
	}
	char *end;
	double number = strtod(text, &end);
	if (end == text || *end)
		return fail(reader, "the function's argument is no number");
	*ret = number_value(strcmp(name, "asInt") == 0 ? trunc(number) : number);
	return 0;
}

/* a.b['c'].d to "a.b.c.d". */
static int read_path(struct reader *reader, struct pa_buffer *path)
{
	for (;;) {
		size_t bytes = 0;
		while (isalnum((unsigned char)reader->at[bytes]) || reader->at[bytes] == '_')
			bytes++;
		if (bytes == 0)
			return fail(reader, "a name is missing");
		pa_buffer_append(path, reader->at, bytes);
		reader->at += bytes;
		while (*reader->at == '[') {
			const char *key;
			reader->at++;
			if (*reader->at != '\'' && *reader->at != '"')
				return fail(reader, "only ['name'] is understood in brackets");
			int status = read_quoted(reader, &key);
			if (status < 0)
				return status;
			if (*reader->at++ != ']')
				return fail(reader, "a closing bracket is missing");
			pa_buffer_puts(path, ".");
			pa_buffer_puts(path, key);
		}
		if (*reader->at != '.')
			return 0;
		reader->at++;
		pa_buffer_puts(path, ".");
	}
}

static int read_reference(struct reader *reader, value_t *ret)
{
	struct pa_buffer path;
	pa_buffer_init(&path, 4096);
	int status = read_path(reader, &path);
	*ret = (value_t){.kind = PA_VALUE_NIL};
	if (status == 0 && *reader->at == '(') {
		status = read_function(reader, path.data, ret);
	} else if (status == 0 && (strcmp(path.data, "true") == 0 || strcmp(path.data, "false") == 0)) {
		*ret = truth_value(path.data[0] == 't');
	} else if (status == 0 && strcmp(path.data, "nil") != 0) {
		const struct pa_engine_artifact *artifact =
		    pa_engine_scope_artifact(reader->scope, path.data);
		const char *text = artifact ? NULL : pa_engine_scope_value(reader->scope, path.data);
		if (artifact && (artifact->stored || artifact->raw || artifact->uri))
			*ret = (value_t){.kind = PA_VALUE_ARTIFACT, .artifact = artifact};
		else if (text)
			*ret = (value_t){.kind = PA_VALUE_TEXT, .text = text};
	}
	pa_buffer_done(&path);
	return status;
}

static int read_single(struct reader *reader, value_t *ret)
{
	if (take(reader, "(")) {
		int status = read_choice(reader, ret);
		if (status == 0 && !take(reader, ")"))
			return fail(reader, "a closing parenthesis is missing");
		return status;
	}
	if (take(reader, "!")) {
		if (++reader->depth > MAX_DEPTH)
			return fail(reader, "it is nested too deeply");
		int status = read_single(reader, ret);
		reader->depth--;
		if (status == 0 && ret->kind != PA_VALUE_TRUTH)
			return fail(reader, "'!' needs true or false");
		ret->truth = !ret->truth;
		return status;
	}
	if (*reader->at == '\'' || *reader->at == '"') {
		*ret = (value_t){.kind = PA_VALUE_TEXT};
		return read_quoted(reader, &ret->text);
	}
	if (isdigit((unsigned char)*reader->at) || *reader->at == '-') {
		char *end;
		*ret = number_value(strtod(reader->at, &end));
		if (end == reader->at)
			return fail(reader, "a number is missing");
		reader->at = end;
		return 0;
	}
	return read_reference(reader, ret);
}

static int calculate(struct reader *reader, char operator_, const value_t *right, value_t *left)
{
	if (operator_ == '+' && left->kind == PA_VALUE_TEXT && right->kind == PA_VALUE_TEXT) {
		left->text = pa_arena_printf(&reader->scope->engine->arena, "%s%s", left->text, right->text);
		return strlen(left->text) > PA_ENGINE_MAX_PARAMETER_BYTES
		           ? fail(reader, "the text is too long")
		           : 0;
	}
	if (left->kind != PA_VALUE_NUMBER || right->kind != PA_VALUE_NUMBER)
		return fail(reader, "arithmetic needs numbers; use asInt(…) or asFloat(…)");
	if ((operator_ == '/' || operator_ == '%') && right->number == 0)
		return fail(reader, "division by zero");
	double a = left->number, b = right->number;
	switch (operator_) {
	case '+':
		left->number = a + b;
		break;
	case '-':
		left->number = a - b;
		break;
	case '*':
		left->number = a * b;
		break;
	case '/':
		left->number = a / b;
		break;
	default:
		left->number = fmod(a, b);
	}
	return 0;
}

static int read_operators(struct reader *reader, const char *operators,
                          int (*read_operand)(struct reader *reader, value_t *ret), value_t *ret)
{
	int status = read_operand(reader, ret);
	while (status == 0) {
		while (isspace((unsigned char)*reader->at))
			reader->at++;
		if (!*reader->at || !strchr(operators, *reader->at))
			return 0;
		char operator_ = *reader->at++;
		value_t right;
		status = read_operand(reader, &right);
		if (status == 0)
			status = calculate(reader, operator_, &right, ret);
	}
	return status;
}

static int read_product(struct reader *reader, value_t *ret)
{
	return read_operators(reader, "*/%", read_single, ret);
}

static int read_sum(struct reader *reader, value_t *ret)
{
	return read_operators(reader, "+-", read_product, ret);
}

static bool values_equal(const value_t *left, const value_t *right)
{
	if (left->kind != right->kind)
		return false;
	if (left->kind == PA_VALUE_TEXT)
		return strcmp(left->text, right->text) == 0;
	if (left->kind == PA_VALUE_NUMBER)
		return left->number == right->number;
	if (left->kind == PA_VALUE_TRUTH)
		return left->truth == right->truth;
	return left->artifact == right->artifact;
}

static int read_comparison(struct reader *reader, value_t *ret)
{
	static const char *const operators[] = {"==", "!=", "<=", ">=", "<", ">"};
	int status = read_sum(reader, ret);
	if (status < 0)
		return status;
	size_t which = 0;
	while (which < 6 && !take(reader, operators[which]))
		which++;
	if (which == 6)
		return 0;
	value_t right;
	status = read_sum(reader, &right);
	if (status < 0)
		return status;
	if (which < 2) {
		*ret = truth_value(values_equal(ret, &right) == (which == 0));
		return 0;
	}
	if (ret->kind != right.kind || (ret->kind != PA_VALUE_NUMBER && ret->kind != PA_VALUE_TEXT))
		return fail(reader, "the comparison needs two numbers or two texts");
	int order = ret->kind == PA_VALUE_TEXT ? strcmp(ret->text, right.text)
	                                       : (ret->number > right.number) - (ret->number < right.number);
	bool results[] = {order <= 0, order >= 0, order<0, order> 0};
	*ret = truth_value(results[which - 2]);
	return 0;
}

static int read_logic(struct reader *reader, bool conjunction, value_t *ret)
{
	int status = conjunction ? read_comparison(reader, ret) : read_logic(reader, true, ret);
	while (status == 0 && take(reader, conjunction ? "&&" : "||")) {
		value_t right;
		status = conjunction ? read_comparison(reader, &right) : read_logic(reader, true, &right);
		if (status == 0 && (ret->kind != PA_VALUE_TRUTH || right.kind != PA_VALUE_TRUTH))
			return fail(reader, "&& and || need true or false");
		if (status == 0)
			ret->truth = conjunction ? ret->truth && right.truth : ret->truth || right.truth;
	}
	return status;
}

static int read_choice(struct reader *reader, value_t *ret)
{
	if (++reader->depth > MAX_DEPTH)
		return fail(reader, "it is nested too deeply");
	int status = read_logic(reader, false, ret);
	if (status == 0 && take(reader, "??")) {
		value_t otherwise;
		status = read_choice(reader, &otherwise);
		if (status == 0 && ret->kind == PA_VALUE_NIL)
			*ret = otherwise;
	} else if (status == 0 && take(reader, "?")) {
		value_t yes, no;
		bool truth = ret->truth;
		if (ret->kind != PA_VALUE_TRUTH)
			return fail(reader, "what stands before '?' is neither true nor false");
		status = read_choice(reader, &yes);
		if (status == 0 && !take(reader, ":"))
			return fail(reader, "':' is missing");
		if (status == 0)
			status = read_choice(reader, &no);
		if (status == 0)
			*ret = truth ? yes : no;
	}
	reader->depth--;
	return status;
}

int pa_engine_evaluate(struct pa_engine_scope *scope, const char *expression, struct pa_engine_value *ret,
                       struct pa_error *err)
{
	struct reader reader = {scope, expression, expression, 0, err};
	if (strlen(expression) > PA_ENGINE_MAX_PARAMETER_BYTES)
		return pa_error_set(err, PA_ERROR_INPUT, "an expression is longer than 256 KiB");
	struct pa_engine_value value;
	int status = read_choice(&reader, &value);
	if (status < 0)
		return status;
	if (!take(&reader, "") || *reader.at)
		return fail(&reader, "this is not understood here");
	*ret = value;
	return 0;
}
