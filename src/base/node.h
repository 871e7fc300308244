/* SPDX-License-Identifier: Apache-2.0 */
/* Documents: YAML and JSON as one tree of nodes with positions.
 *
 * pa_document_read() reads every document of a YAML text (JSON is a subset) with libyaml into nodes
 * in the caller's arena; pa_document_read_json() reads one JSON text that was found inside a scalar
 * (an annotation, an environment value), with Jansson; its nodes carry the position of that scalar.
 *
 * Scalars keep their text as written: what `yes` or `010` means is the reader's decision (see
 * pa_node_is_true and friends, which follow Go yaml and JSON: true/false only).
 * Aliases are shared nodes (the tree is then a DAG); merge keys `<<` are resolved at reading.
 * Texts that are not UTF-8, control characters, duplicate keys and tags outside the YAML core schema are errors
 * with file:line:column.
 *
 * Ownership: nodes live in the arena, and point into it only.  `file` is kept by pointer and must
 * outlive them.  Threads: none shared.  Blocking: never (text in, nodes out).  Time: linear in the text.
 * Limits, each named by its error: PA_NODE_MAX_DEPTH levels, also through aliases; 16,000,000 nodes as a walk
 * over all aliases would see them; PA_NODE_MAX_FAILED_DOCUMENTS; memory 16 times the text and at least 64 MiB.
 */
#ifndef PA_BASE_NODE_H
#define PA_BASE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pa_arena;
struct pa_error;

#define PA_NODE_MAX_DEPTH            256
#define PA_NODE_MAX_FAILED_DOCUMENTS 100

enum pa_node_kind { PA_NODE_SCALAR, PA_NODE_SEQUENCE, PA_NODE_MAPPING };

struct pa_node;

struct pa_node_entry {
	const struct pa_node *key; /* always a scalar */
	const struct pa_node *value;
};

struct pa_node {
	enum pa_node_kind kind;
	bool plain;       /* a scalar without quotes: may be null, true, a number */
	uint32_t line;    /* from 1 */
	uint32_t column;  /* from 1, in characters */
	uint32_t count;   /* items of a sequence, entries of a mapping */
	uint32_t walk;    /* nodes below and including this one, aliases counted each time */
	uint32_t length;  /* scalar: bytes of text */
	const char *file; /* name for messages */
	const char *text; /* scalar: NUL-terminated, no NUL inside */
	union {
		const struct pa_node **items;
		struct pa_node_entry *entries; /* in the order written */
	};
};

struct pa_document {
	const struct pa_node *root; /* NULL: an empty document, or one that cannot be read */
	const char *error;          /* why it cannot be read: "file:line:col: what; what to do"; else NULL */
	uint32_t index;             /* counts every document of the text */
};

/* Reads all documents.  One that cannot be read does not lose the others: reading goes on at the next line
 * that begins with `---`.  Where there is such a document, returns PA_ERROR_INPUT with the message of the
 * first one, for callers who want the text right as a whole; `ret` is set in any case. */
int pa_document_read(struct pa_arena *arena, const char *file, const char *text, size_t bytes,
                     struct pa_document **ret, size_t *ret_count, struct pa_error *err);

/* One JSON value inside `at` (its position is given to every node). */
int pa_document_read_json(struct pa_arena *arena, const struct pa_node *at, const char *text, size_t bytes,
                          const struct pa_node **ret, struct pa_error *err);

/* The value of a key, or NULL (also when `node` is NULL or no mapping). */
const struct pa_node *pa_node_get(const struct pa_node *node, const char *key);
/* pa_node_get along "a.b.c". */
const struct pa_node *pa_node_path(const struct pa_node *node, const char *dotted);
/* The text of a scalar that is not null, else NULL. */
const char *pa_node_text(const struct pa_node *node);
bool pa_node_is_null(const struct pa_node *node); /* NULL pointer, ~, null, empty plain */
bool pa_node_is_true(const struct pa_node *node); /* plain or quoted "true" */
bool pa_node_is_sequence(const struct pa_node *node);
bool pa_node_is_mapping(const struct pa_node *node);

/* PA_ERROR_INPUT with "file:line:col: " before the message. */
int pa_node_error(const struct pa_node *node, struct pa_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The node as JSON text in the arena (plain scalars typed as JSON where they are null, true, false or numbers;
 * others strings), compact, as Argo writes items into {{item}}. */
const char *pa_node_to_json(struct pa_arena *arena, const struct pa_node *node);

#endif
