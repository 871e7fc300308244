/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/depends.h"

#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "pipeline/name_table_internal.h"

enum term_kind { TERM_TASK, TERM_NOT, TERM_AND, TERM_OR };

/* A list of operands, so that a long chain of && is flat and evaluation recurses by parentheses only. */
struct term {
	enum term_kind kind;
	const char *task;
	enum pa_depends_result result;
	struct term *first; /* operand of NOT, first operand of AND and OR */
	struct term *next;  /* the operand behind this one */
};

struct pa_depends {
	struct term *root;
	const char **names;
	size_t name_count;
	size_t name_capacity;
};

struct parser {
	struct pa_arena *arena;
	const char *text;
	size_t at;
	unsigned int depth;
	struct pa_depends *depends;
	struct pa_name_table seen;
	struct pa_error *err;
};

static int parse_any(struct parser *parser, struct term **ret);

static int depends_error(struct parser *parser, const char *what)
{
	return pa_error_set(parser->err, PA_ERROR_INPUT, "depends '%.200s': at character %zu: %s",
	                    parser->text, parser->at + 1, what);
}

static void skip_blanks(struct parser *parser)
{
	while (isspace((unsigned char)parser->text[parser->at]))
		parser->at++;
}

static bool accept(struct parser *parser, const char *sign)
{
	skip_blanks(parser);
	if (strncmp(parser->text + parser->at, sign, strlen(sign)) != 0)
		return false;
	parser->at += strlen(sign);
	return true;
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_';
}

static struct term *new_term(struct parser *parser, enum term_kind kind)
{
	struct term *term = pa_arena_alloc(parser->arena, sizeof(*term));

	term->kind = kind;
	return term;
}

static int parse_result(struct parser *parser, enum pa_depends_result *ret)
{
	static const char *const names[] = {
	    [PA_DEPENDS_SUCCEEDED] = "Succeeded",
	    [PA_DEPENDS_FAILED] = "Failed",
	    [PA_DEPENDS_ERRORED] = "Errored",
	    [PA_DEPENDS_SKIPPED] = "Skipped",
	    [PA_DEPENDS_OMITTED] = "Omitted",
	    [PA_DEPENDS_DAEMONED] = "Daemoned",
	    [PA_DEPENDS_ANY_SUCCEEDED] = "AnySucceeded",
	    [PA_DEPENDS_ALL_FAILED] = "AllFailed",
	};
	size_t length = 0;

	while (is_name(parser->text[parser->at + length]))
		length++;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i]) == length && strncmp(parser->text + parser->at, names[i], length) == 0) {
			*ret = (enum pa_depends_result)i;
			parser->at += length;
			return 0;
		}
	}
	return depends_error(parser,
	                     "no result of that name; use Succeeded, Failed, Errored, Skipped, Omitted, "
	                     "Daemoned, AnySucceeded or AllFailed");
}

static int parse_task(struct parser *parser, struct term **ret)
{
	size_t length = 0;

	skip_blanks(parser);
	while (is_name(parser->text[parser->at + length]))
		length++;
	if (length == 0)
		return depends_error(parser, "the name of a task is missing; put one there");
	struct term *term = new_term(parser, TERM_TASK);
	term->task = pa_arena_strndup(parser->arena, parser->text + parser->at, length);
	term->result = PA_DEPENDS_DEFAULT;
	parser->at += length;
	struct pa_depends *depends = parser->depends;
	if (pa_name_table_put(&parser->seen, term->task, depends->name_count) == SIZE_MAX) {
		depends->names = pa_arena_grow(parser->arena, depends->names, depends->name_count,
		                               &depends->name_capacity, sizeof(*depends->names));
		depends->names[depends->name_count++] = term->task;
	}
	*ret = term;
	if (parser->text[parser->at] != '.')
		return 0;
	parser->at++;
	return parse_result(parser, &term->result);
}

static int parse_unary(struct parser *parser, struct term **ret)
{
	int rc;

	if (accept(parser, "(")) {
		rc = parse_any(parser, ret);
		if (rc == 0 && !accept(parser, ")"))
			return depends_error(parser, "a parenthesis is not closed; put a ')' there");
		return rc;
	}
	if (!accept(parser, "!"))
		return parse_task(parser, ret);
	if (++parser->depth > PA_DEPENDS_MAX_DEPTH)
		return depends_error(parser, "nested too deeply; simplify it");
	struct term *term = new_term(parser, TERM_NOT);
	rc = parse_unary(parser, &term->first);
	parser->depth--;
	*ret = term;
	return rc;
}

static int parse_chain(struct parser *parser, enum term_kind kind, struct term **ret)
{
	struct term *chain = new_term(parser, kind);
	struct term **end = &chain->first;

	do {
		int rc = kind == TERM_OR ? parse_chain(parser, TERM_AND, end) : parse_unary(parser, end);
		if (rc < 0)
			return rc;
		end = &(*end)->next;
	} while (accept(parser, kind == TERM_OR ? "||" : "&&"));
	*ret = chain;
	return 0;
}

static int parse_any(struct parser *parser, struct term **ret)
{
	if (++parser->depth > PA_DEPENDS_MAX_DEPTH)
		return depends_error(parser, "nested too deeply; simplify it");
	int rc = parse_chain(parser, TERM_OR, ret);
	parser->depth--;
	return rc;
}

int pa_depends_parse(struct pa_arena *arena, const char *text, struct pa_depends **ret, struct pa_error *err)
{
	struct parser parser = {.arena = arena, .text = text, .err = err};

	if (strlen(text) > PA_DEPENDS_MAX_BYTES)
		return pa_error_set(err, PA_ERROR_INPUT, "depends '%.60s…' is over %u bytes long; shorten it",
		                    text, PA_DEPENDS_MAX_BYTES);
	parser.depends = pa_arena_alloc(arena, sizeof(*parser.depends));
	pa_name_table_init(&parser.seen, arena);
	int rc = parse_any(&parser, &parser.depends->root);
	if (rc < 0)
		return rc;
	skip_blanks(&parser);
	if (text[parser.at] != '\0')
		return depends_error(&parser, "neither && nor ||; put one there");
	*ret = parser.depends;
	return 0;
}

const char *const *pa_depends_names(const struct pa_depends *depends, size_t *ret_count)
{
	*ret_count = depends->name_count;
	return depends->names;
}

static bool term_is_true(const struct term *term, pa_depends_outcome outcome, void *context)
{
	switch (term->kind) {
	case TERM_NOT:
		return !term_is_true(term->first, outcome, context);
	case TERM_AND:
	case TERM_OR:
		for (const struct term *operand = term->first; operand != NULL; operand = operand->next) {
			if (term_is_true(operand, outcome, context) == (term->kind == TERM_OR))
				return term->kind == TERM_OR;
		}
		return term->kind == TERM_AND;
	case TERM_TASK:
		break;
	}
	if (term->result != PA_DEPENDS_DEFAULT)
		return outcome(context, term->task, term->result);
	return outcome(context, term->task, PA_DEPENDS_SUCCEEDED) ||
	       outcome(context, term->task, PA_DEPENDS_SKIPPED) ||
	       outcome(context, term->task, PA_DEPENDS_DAEMONED);
}

bool pa_depends_evaluate(const struct pa_depends *depends, pa_depends_outcome outcome, void *context)
{
	return term_is_true(depends->root, outcome, context);
}
