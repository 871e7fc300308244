/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/condition.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

#define CONDITION_MAX_MEMORY_BYTES (8u << 20)

enum value_kind { VALUE_TEXT, VALUE_NUMBER, VALUE_TRUTH };

struct value {
	enum value_kind kind;
	bool truth;
	double number;
	const char *text;
};

enum token_kind {
	TOKEN_END,
	TOKEN_VALUE,
	TOKEN_OPERATOR, /* `operator_text` says which */
};

struct token {
	enum token_kind kind;
	size_t at; /* offset in the text */
	struct value value;
	char operator_text[3];
};

struct parser {
	struct pa_arena arena;
	const char *text;
	size_t at;
	struct token token; /* the one looked at */
	unsigned int depth;
	struct pa_error *err;
};

static int parse_or(struct parser *parser, struct value *ret);

static int condition_error(struct parser *parser, size_t at, const char *what)
{
	return pa_error_set(parser->err, PA_ERROR_INPUT, "condition '%.200s': at character %zu: %s",
	                    parser->text, at + 1, what);
}

static int read_quoted(struct parser *parser)
{
	const char *text = parser->text;
	char quote = text[parser->at];
	size_t begin = parser->at++;
	size_t end = parser->at;
	size_t length = 0;

	while (text[end] != '\0' && text[end] != quote)
		end += text[end] == '\\' && text[end + 1] != '\0' ? 2 : 1;
	if (text[end] == '\0')
		return condition_error(parser, begin, "the quote is not closed; close it");
	char *value = pa_arena_alloc(&parser->arena, end - begin);
	while (parser->at < end) {
		if (text[parser->at] == '\\')
			parser->at++;
		value[length++] = text[parser->at++];
	}
	parser->at = end + 1;
	parser->token.kind = TOKEN_VALUE;
	parser->token.value = (struct value){.kind = VALUE_TEXT, .text = value};
	return 0;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static int read_number(struct parser *parser)
{
	const char *begin = parser->text + parser->at;
	char *end;
	bool hexadecimal = begin[0] == '0' && (begin[1] == 'x' || begin[1] == 'X');
	size_t length =
	    hexadecimal ? 2 + strspn(begin + 2, "0123456789abcdefABCDEF") : strspn(begin, "0123456789.");
	char *digits = pa_arena_strndup(&parser->arena, begin, length);
	double number = strtod(digits, &end);

	if (*end != '\0' || is_word(begin[length]))
		return condition_error(parser, parser->at, "not a number; put quotes around a text");
	parser->at += length;
	parser->token.kind = TOKEN_VALUE;
	parser->token.value = (struct value){.kind = VALUE_NUMBER, .number = number};
	return 0;
}

static void read_word(struct parser *parser)
{
	size_t begin = parser->at;

	while (is_word(parser->text[parser->at]))
		parser->at++;
	const char *word = pa_arena_strndup(&parser->arena, parser->text + begin, parser->at - begin);
	if (strcmp(word, "in") == 0) {
		parser->token.kind = TOKEN_OPERATOR;
		memcpy(parser->token.operator_text, "in", 3);
		return;
	}
	bool truth = strcmp(word, "true") == 0;
	parser->token.kind = TOKEN_VALUE;
	if (truth || strcmp(word, "false") == 0)
		parser->token.value = (struct value){.kind = VALUE_TRUTH, .truth = truth};
	else
		parser->token.value = (struct value){.kind = VALUE_TEXT, .text = word};
}

static int read_operator(struct parser *parser)
{
	static const char *const operators[] = {"==", "!=", "<=", ">=", "&&", "||", "<", ">", "!",
	                                        "(",  ")",  ",",  "+",  "-",  "*",  "/", "%"};
	const char *begin = parser->text + parser->at;

	if (strncmp(begin, "{{", 2) == 0)
		return condition_error(parser, parser->at, "a {{…}} has no value yet; give it one");
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		size_t length = strlen(operators[i]);
		if (strncmp(begin, operators[i], length) != 0)
			continue;
		parser->token.kind = TOKEN_OPERATOR;
		memcpy(parser->token.operator_text, operators[i], length + 1);
		parser->at += length;
		return 0;
	}
	return condition_error(parser, parser->at, "no operator that is understood; put quotes around texts");
}

static int next_token(struct parser *parser)
{
	while (isspace((unsigned char)parser->text[parser->at]))
		parser->at++;
	parser->token = (struct token){.at = parser->at};
	char c = parser->text[parser->at];
	if (c == '\0') {
		parser->token.kind = TOKEN_END;
		return 0;
	}
	if (c == '"' || c == '\'')
		return read_quoted(parser);
	if (isdigit((unsigned char)c) || c == '.')
		return read_number(parser);
	if (is_word(c)) {
		read_word(parser);
		return 0;
	}
	return read_operator(parser);
}

static bool token_is(const struct parser *parser, const char *operator_text)
{
	return parser->token.kind == TOKEN_OPERATOR &&
	       strcmp(parser->token.operator_text, operator_text) == 0;
}

static int parse_primary(struct parser *parser, struct value *ret)
{
	size_t at = parser->token.at;
	int rc;

	if (parser->token.kind == TOKEN_VALUE) {
		*ret = parser->token.value;
		return next_token(parser);
	}
	if (!token_is(parser, "("))
		return condition_error(parser, at, "a value is missing; put one there");
	rc = next_token(parser);
	if (rc == 0)
		rc = parse_or(parser, ret);
	if (rc < 0)
		return rc;
	if (!token_is(parser, ")"))
		return condition_error(parser, at, "the parenthesis is not closed; close it");
	return next_token(parser);
}

static int parse_unary(struct parser *parser, struct value *ret)
{
	size_t at = parser->token.at;
	bool negated = token_is(parser, "!");
	int rc;

	if (!negated && !token_is(parser, "-"))
		return parse_primary(parser, ret);
	if (++parser->depth > PA_CONDITION_MAX_DEPTH)
		return condition_error(parser, at, "nested too deeply; simplify it");
	rc = next_token(parser);
	if (rc == 0)
		rc = parse_unary(parser, ret);
	parser->depth--;
	if (rc < 0)
		return rc;
	if (ret->kind != (negated ? VALUE_TRUTH : VALUE_NUMBER))
		return condition_error(parser, at,
		                       negated ? "'!' takes true or false" : "'-' takes a number");
	ret->truth = !ret->truth;
	ret->number = -ret->number;
	return 0;
}

static const char *value_text(struct parser *parser, const struct value *value)
{
	if (value->kind == VALUE_TEXT)
		return value->text;
	if (value->kind == VALUE_TRUTH)
		return value->truth ? "true" : "false";
	return pa_arena_printf(&parser->arena, "%.15g", value->number);
}

static int calculate(struct parser *parser, size_t at, char operation, const struct value *right,
                     struct value *left)
{
	if (operation == '+' && (left->kind == VALUE_TEXT || right->kind == VALUE_TEXT)) {
		left->text = pa_arena_printf(&parser->arena, "%s%s", value_text(parser, left),
		                             value_text(parser, right));
		left->kind = VALUE_TEXT;
		if (pa_arena_bytes(&parser->arena) > CONDITION_MAX_MEMORY_BYTES)
			return condition_error(parser, at, "too many texts are joined; simplify it");
		return 0;
	}
	if (left->kind != VALUE_NUMBER || right->kind != VALUE_NUMBER)
		return condition_error(parser, at, "the operator takes numbers; put quotes around texts");
	switch (operation) {
	case '+':
		left->number += right->number;
		break;
	case '-':
		left->number -= right->number;
		break;
	case '*':
		left->number *= right->number;
		break;
	case '/':
		left->number /= right->number;
		break;
	default:
		left->number = fmod(left->number, right->number);
		break;
	}
	return 0;
}

/* Left-associative levels: 0 is + and -, 1 is * / %. */
static int parse_arithmetic(struct parser *parser, unsigned int level, struct value *ret)
{
	const char *operations = level == 0 ? "+-" : "*/%";
	int rc = level == 0 ? parse_arithmetic(parser, 1, ret) : parse_unary(parser, ret);

	while (rc == 0 && parser->token.kind == TOKEN_OPERATOR && parser->token.operator_text[1] == '\0' &&
	       strchr(operations, parser->token.operator_text[0]) != NULL) {
		struct value right;
		char operation = parser->token.operator_text[0];
		size_t at = parser->token.at;
		rc = next_token(parser);
		if (rc == 0)
			rc = level == 0 ? parse_arithmetic(parser, 1, &right) : parse_unary(parser, &right);
		if (rc == 0)
			rc = calculate(parser, at, operation, &right, ret);
	}
	return rc;
}

static bool value_equal(const struct value *a, const struct value *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == VALUE_TEXT)
		return strcmp(a->text, b->text) == 0;
	return a->kind == VALUE_NUMBER ? a->number == b->number : a->truth == b->truth;
}

static int compare(struct parser *parser, size_t at, const char *comparator, const struct value *right,
                   struct value *left)
{
	bool truth;

	if (strcmp(comparator, "==") == 0 || strcmp(comparator, "!=") == 0) {
		truth = value_equal(left, right) == (comparator[0] == '=');
	} else {
		if (left->kind != right->kind || left->kind == VALUE_TRUTH)
			return condition_error(parser, at, "the comparison takes two numbers or two texts");
		double difference = left->kind == VALUE_NUMBER ? left->number - right->number
		                                               : (double)strcmp(left->text, right->text);
		bool or_equal = comparator[1] == '=' && difference == 0;
		truth = or_equal || (comparator[0] == '<' ? difference < 0 : difference > 0);
	}
	*left = (struct value){.kind = VALUE_TRUTH, .truth = truth};
	return 0;
}

/* `in ("a", "b")`, from behind the `in`. */
static int parse_membership(struct parser *parser, struct value *left)
{
	bool found = false;
	int rc;

	if (!token_is(parser, "("))
		return condition_error(parser, parser->token.at,
		                       "'in' takes a list; write in (\"a\", \"b\")");
	do {
		struct value item;
		rc = next_token(parser);
		if (rc == 0)
			rc = parse_or(parser, &item);
		if (rc < 0)
			return rc;
		found = found || value_equal(left, &item);
	} while (token_is(parser, ","));
	if (!token_is(parser, ")"))
		return condition_error(parser, parser->token.at, "the list is not closed; put a ')' there");
	*left = (struct value){.kind = VALUE_TRUTH, .truth = found};
	return next_token(parser);
}

static bool is_comparator(const struct parser *parser)
{
	static const char *const comparators[] = {"==", "!=", "<", ">", "<=", ">=", "in"};

	for (size_t i = 0; i < sizeof(comparators) / sizeof(comparators[0]); i++) {
		if (token_is(parser, comparators[i]))
			return true;
	}
	return false;
}

static int parse_comparison(struct parser *parser, struct value *ret)
{
	int rc = parse_arithmetic(parser, 0, ret);

	while (rc == 0 && is_comparator(parser)) {
		struct token comparator = parser->token;
		struct value right;
		rc = next_token(parser);
		if (rc == 0 && strcmp(comparator.operator_text, "in") == 0) {
			rc = parse_membership(parser, ret);
			continue;
		}
		if (rc == 0)
			rc = parse_arithmetic(parser, 0, &right);
		if (rc == 0)
			rc = compare(parser, comparator.at, comparator.operator_text, &right, ret);
	}
	return rc;
}

static int parse_logic(struct parser *parser, bool both, struct value *ret)
{
	const char *operator_text = both ? "&&" : "||";
	int rc = both ? parse_comparison(parser, ret) : parse_logic(parser, true, ret);

	while (rc == 0 && token_is(parser, operator_text)) {
		struct value right;
		size_t at = parser->token.at;
		rc = next_token(parser);
		if (rc == 0)
			rc = both ? parse_comparison(parser, &right) : parse_logic(parser, true, &right);
		if (rc < 0)
			return rc;
		if (ret->kind != VALUE_TRUTH || right.kind != VALUE_TRUTH)
			return condition_error(parser, at,
			                       "both sides must be true or false; compare them with ==");
		ret->truth = both ? ret->truth && right.truth : ret->truth || right.truth;
	}
	return rc;
}

static int parse_or(struct parser *parser, struct value *ret)
{
	if (++parser->depth > PA_CONDITION_MAX_DEPTH)
		return condition_error(parser, parser->token.at, "nested too deeply; simplify it");
	int rc = parse_logic(parser, false, ret);
	parser->depth--;
	return rc;
}

int pa_condition_evaluate(const char *text, bool *ret, struct pa_error *err)
{
	struct parser parser = {.text = text, .err = err};
	struct value value;

	if (strlen(text) > PA_CONDITION_MAX_BYTES)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "condition '%.60s…' is over %u bytes long; shorten it", text,
		                    PA_CONDITION_MAX_BYTES);
	int rc = next_token(&parser);
	if (rc == 0)
		rc = parse_or(&parser, &value);
	if (rc == 0 && parser.token.kind != TOKEN_END)
		rc = condition_error(&parser, parser.token.at,
		                     "an operator is missing; put quotes around texts");
	if (rc == 0 && value.kind != VALUE_TRUTH)
		rc = condition_error(&parser, 0, "it is neither true nor false; compare it with ==");
	if (rc == 0)
		*ret = value.truth;
	pa_arena_done(&parser.arena);
	return rc;
}
