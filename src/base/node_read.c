/* SPDX-License-Identifier: Apache-2.0 */
/* Texts to documents: what cannot be read at all, libyaml's run, and going on behind an error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/node.h"
#include "base/node_build_internal.h"
#include "base/node_text_internal.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct document_list {
	struct pa_document *documents;
	size_t count;
	size_t capacity;
	size_t failed;
};

/* One text on its way; `begin` is where the part that has not been read starts. */
struct reading {
	struct node_builder builder;
	struct document_list list;
	const char *text;
	size_t bytes;
	size_t begin;
	struct node_text_problem problem; /* the next in the text that no document can hold */
};

/* Where libyaml is in one part of the text. */
struct part {
	uint32_t document_line; /* lines of the part before its last document's marker or first value */
	bool inside;            /* a document has begun and not ended */
	bool open_end;          /* the document before ended without a marker of its own */
};

static struct pa_document *add_document(struct reading *reading)
{
	struct document_list *list = &reading->list;

	list->documents = pa_arena_grow(reading->builder.arena, list->documents, list->count, &list->capacity,
	                                sizeof(*list->documents));
	struct pa_document *document = &list->documents[list->count];
	*document = (struct pa_document){.index = (uint32_t)list->count};
	list->count++;
	return document;
}

/* The error that loses a document; `ret_first` keeps the first of the text. */
static void fail_document(struct reading *reading, struct pa_document *document, const struct pa_error *err,
                          struct pa_error *ret_first)
{
	document->root = NULL;
	document->error = pa_arena_strdup(reading->builder.arena, err->message);
	if (reading->list.failed++ == 0)
		*ret_first = *err;
}

static int finish_document(struct reading *reading, const yaml_event_t *event, struct pa_error *err)
{
	struct node_builder *builder = &reading->builder;
	const struct pa_node *root = builder->root;
	/* What a longer list takes at most. */
	size_t more_bytes = (reading->list.capacity * 2 + 8) * sizeof(*reading->list.documents);
	int rc = 0;

	if (reading->list.count == reading->list.capacity)
		rc = node_builder_check_memory(builder, more_bytes,
		                               builder->lines_before + (uint32_t)event->start_mark.line + 1,
		                               (uint32_t)event->start_mark.column + 1, err);
	if (rc < 0)
		return rc;
	add_document(reading)->root = pa_node_is_null(root) ? NULL : root;
	node_builder_clear(builder);
	return 0;
}

static int syntax_error(const struct reading *reading, const yaml_parser_t *parser, struct pa_error *err)
{
	const char *problem = parser->problem == NULL ? "it cannot be read as YAML" : parser->problem;
	size_t line = parser->problem_mark.line;
	size_t at = node_text_skip_lines(reading->text, reading->begin, reading->bytes, line);
	const char *advice = node_text_line_is_template(reading->text, at, reading->bytes)
	                         ? "if this is a Helm or Jinja template, render it first"
	                         : "correct the YAML there";

	return pa_error_set(err, PA_ERROR_INPUT, "%s:%zu:%zu: not YAML: %s%s%s; %s", reading->builder.file,
	                    reading->builder.lines_before + line + 1, parser->problem_mark.column + 1,
	                    parser->context == NULL ? "" : parser->context,
	                    parser->context == NULL ? "" : ": ", problem, advice);
}

static int take_event(struct reading *reading, const yaml_event_t *event, struct part *part,
                      struct pa_error *err)
{
	if (event->type == YAML_DOCUMENT_START_EVENT) {
		part->document_line = (uint32_t)event->end_mark.line;
		part->inside = true;
		return 0;
	}
	if (event->type == YAML_DOCUMENT_END_EVENT) {
		part->inside = false;
		part->open_end = event->data.document_end.implicit;
		return finish_document(reading, event, err);
	}
	return node_builder_event(&reading->builder, event, err);
}

/* The line of the part behind whose first marker reading can go on, and the document that is lost: where
 * something follows a document that libyaml took for ended, it is that document. */
static struct pa_document *lost_document(struct reading *reading, size_t count_before, size_t error_line,
                                         struct part *part)
{
	size_t at = node_text_skip_lines(reading->text, reading->begin, reading->bytes, error_line);
	size_t marker;

	if (part->inside)
		return add_document(reading);
	if (part->open_end && reading->list.count > count_before && at < reading->bytes &&
	    reading->text[at] != '%' && !node_text_is_marker(reading->text, at, reading->bytes))
		return &reading->list.documents[reading->list.count - 1];
	part->document_line = (uint32_t)error_line;
	/* A directive belongs to the document behind it. */
	if (at < reading->bytes && reading->text[at] == '%') {
		marker = node_text_next_marker(reading->text, at, reading->bytes);
		part->document_line += node_text_count_lines(reading->text, at, marker);
	}
	return add_document(reading);
}

/* Reads from `begin` to `end`; *ret_next is where to go on: `end`, or the marker behind a document that was
 * lost. */
static void read_part(struct reading *reading, size_t end, size_t *ret_next, struct pa_error *ret_first)
{
	const unsigned char *text = (const unsigned char *)reading->text + reading->begin;
	struct pa_error err = PA_ERROR_INIT;
	struct part part = {0};
	size_t count_before = reading->list.count, error_line = 0;
	yaml_parser_t parser;
	yaml_event_t event;
	bool done = false;
	int rc = 0;

	if (yaml_parser_initialize(&parser) == 0) {
		fputs("pipeahead: out of memory\n", stderr);
		abort();
	}
	yaml_parser_set_input_string(&parser, text, end - reading->begin);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	while (rc == 0 && !done) {
		if (yaml_parser_parse(&parser, &event) == 0) {
			error_line = parser.problem_mark.line;
			rc = syntax_error(reading, &parser, &err);
			break;
		}
		rc = take_event(reading, &event, &part, &err);
		done = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	*ret_next = end;
	if (rc == 0)
		return;
	fail_document(reading, lost_document(reading, count_before, error_line, &part), &err, ret_first);
	node_builder_clear(&reading->builder);
	size_t from = node_text_skip_lines(reading->text, reading->begin, end, part.document_line + 1u);
	*ret_next = node_text_next_marker(reading->text, from, end);
}

static void fail_at_problem(struct reading *reading, struct pa_error *ret_first)
{
	const struct node_text_problem *problem = &reading->problem;
	struct pa_error err = PA_ERROR_INIT;
	uint32_t line = reading->builder.lines_before +
	                node_text_count_lines(reading->text, reading->begin, problem->offset);

	pa_error_set(&err, PA_ERROR_INPUT, "%s:%u:%u: %s", reading->builder.file, line + 1,
	             node_text_column(reading->text, problem->offset), problem->what);
	fail_document(reading, add_document(reading), &err, ret_first);
}

static void move_to(struct reading *reading, size_t next)
{
	if (next < reading->bytes)
		reading->builder.lines_before += node_text_count_lines(reading->text, reading->begin, next);
	reading->begin = next;
}

static void give_up(struct reading *reading, struct pa_error *ret_first)
{
	struct pa_error err = PA_ERROR_INIT;

	pa_error_set(&err, PA_ERROR_INPUT,
	             "%s:%u:1: %u documents cannot be read; the rest of the text was not looked at",
	             reading->builder.file, reading->builder.lines_before + 1, PA_NODE_MAX_FAILED_DOCUMENTS);
	fail_document(reading, add_document(reading), &err, ret_first);
}

/* Each turn reads up to an error and goes on at the marker behind the document that it loses. */
static void read_all(struct reading *reading, struct pa_error *ret_first)
{
	reading->problem = node_text_find_problem(reading->text, reading->begin, reading->bytes);
	while (reading->begin < reading->bytes && !reading->builder.exhausted) {
		if (reading->list.failed == PA_NODE_MAX_FAILED_DOCUMENTS) {
			give_up(reading, ret_first);
			return;
		}
		size_t end = reading->bytes, next = reading->begin;
		bool broken = reading->problem.what != NULL;
		if (broken)
			end = node_text_last_marker(reading->text, reading->begin, reading->problem.offset,
			                            reading->bytes);
		if (end > reading->begin)
			read_part(reading, end, &next, ret_first);
		move_to(reading, next);
		if (next < end || !broken || reading->list.failed == PA_NODE_MAX_FAILED_DOCUMENTS)
			continue;
		fail_at_problem(reading, ret_first);
		move_to(reading,
		        node_text_next_marker(reading->text, reading->problem.offset, reading->bytes));
		reading->problem = node_text_find_problem(reading->text, reading->begin, reading->bytes);
	}
}

/* JSON that YAML refuses (surrogate pairs, keys over 1,024 bytes, some characters) is read as JSON. */
static bool read_as_json(struct reading *reading)
{
	struct pa_error ignored = PA_ERROR_INIT;
	struct pa_arena *arena = reading->builder.arena;
	struct document_list list = {.count = 1};
	struct pa_node *at;
	size_t begin = 0;

	while (begin < reading->bytes && memchr(" \t\r\n", reading->text[begin], 4) != NULL)
		begin++;
	if (begin >= reading->bytes || (reading->text[begin] != '{' && reading->text[begin] != '['))
		return false;
	at = pa_arena_alloc(arena, sizeof(*at));
	*at = (struct pa_node){.file = reading->builder.file,
	                       .line = node_text_count_lines(reading->text, 0, begin) + 1,
	                       .column = node_text_column(reading->text, begin),
	                       .text = ""};
	list.documents = pa_arena_alloc(arena, sizeof(*list.documents));
	if (pa_document_read_json(arena, at, reading->text, reading->bytes, &list.documents->root, &ignored) <
	    0)
		return false;
	reading->list = list;
	return true;
}

static bool is_utf16(const char *text, size_t bytes)
{
	return bytes >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0);
}

int pa_document_read(struct pa_arena *arena, const char *file, const char *text, size_t bytes,
                     struct pa_document **ret, size_t *ret_count, struct pa_error *err)
{
	struct reading reading = {.text = text, .bytes = bytes};
	struct pa_error first = PA_ERROR_INIT, refused = PA_ERROR_INIT;

	node_builder_init(&reading.builder, arena, file, bytes);
	if (bytes > UINT32_MAX)
		pa_error_set(&refused, PA_ERROR_INPUT, "%s:1:1: the text is over 4 GiB; split it", file);
	else if (is_utf16(text, bytes))
		pa_error_set(&refused, PA_ERROR_INPUT,
		             "%s:1:1: the text is UTF-16; save the file as UTF-8 text", file);
	if (refused.class != PA_ERROR_NONE) {
		fail_document(&reading, add_document(&reading), &refused, &first);
	} else {
		if (bytes >= strlen(BYTE_ORDER_MARK) &&
		    memcmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
			reading.begin = strlen(BYTE_ORDER_MARK);
		read_all(&reading, &first);
		/* Only of a text that is one document as a whole. */
		if (reading.list.failed > 0 && reading.list.documents[0].error != NULL)
			read_as_json(&reading);
	}
	node_builder_done(&reading.builder);
	*ret = reading.list.documents;
	*ret_count = reading.list.count;
	if (reading.list.failed == 0)
		return 0;
	*err = first;
	return -(int)first.class;
}
