/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/node_name.h"

#include <string.h>

#include "pipeline/name_table_internal.h"
#include "pipeline/node_name_internal.h"
#include "pipeline/workflow.h"

#define MAX_STEPS         1500 /* elements over all readings of one name */
#define MAX_TAIL_READINGS 32   /* readings of a display name; each looks at all tasks */
#define MAX_NAME_SPLITS   16   /* dots in a workflow's name */
#define MAX_BESIDE        8    /* exit tasks of KFP in exit tasks */

struct reader {
	const struct node_name_question *question;
	struct node_name_answer *answer;
	bool tail;   /* a display name: the end of an id */
	bool first;  /* the answer has the id of the first reading */
	bool dotted; /* names may have dots in them: none of a file that Argo takes today */
	unsigned int steps, tail_readings, beside;
	char id[PA_NODE_NAME_MAX_ID_BYTES + 1];
	size_t id_bytes;
	struct node_name_group groups[NODE_NAME_MAX_GROUPS];
	size_t group_count;
};

static void read_on(struct reader *reader, const char *at, size_t piece, unsigned int depth);

bool node_name_is_kfp_v2(const struct pa_pipeline *pipeline)
{
	return pipeline->format == PA_FORMAT_KFP_V2_IR || pipeline->format == PA_FORMAT_KFP_V2_RUNTIME;
}

/* KFP v2 runs all containers by the same few templates, so they tell nothing. */
bool node_name_fits_template(const struct pa_pipeline *pipeline, const struct pa_task *task,
                             const char *template_name)
{
	if (template_name == NULL || template_name[0] == '\0' || node_name_is_kfp_v2(pipeline))
		return true;
	if (strcmp(task->template_name, template_name) == 0)
		return true;
	const char *slash = strrchr(task->template_name, '/'); /* of another file: "library/template" */
	return slash != NULL && strcmp(slash + 1, template_name) == 0;
}

const struct pa_task *node_name_entry_task(const struct pa_pipeline *pipeline, const char *template_name)
{
	const char *id = template_name;

	if (pipeline->workflow == NULL)
		return NULL;
	if (pipeline->workflow->entrypoint != NULL)
		id = pipeline->workflow->entrypoint;
	else if ((id == NULL || id[0] == '\0') && pipeline->workflow->template_count == 1)
		id = pipeline->workflow->templates[0].name;
	if (id == NULL)
		return NULL;
	const struct pa_template *template = pa_workflow_find_template(pipeline->workflow, id);
	if (template == NULL || template->kind == PA_TEMPLATE_DAG || template->kind == PA_TEMPLATE_STEPS)
		return NULL;
	const struct pa_task *task = pa_pipeline_find_task(pipeline, id);
	return task != NULL && node_name_fits_template(pipeline, task, template_name) ? task : NULL;
}

static void keep_reading(struct reader *reader)
{
	memcpy(reader->answer->id, reader->id, reader->id_bytes);
	reader->answer->id[reader->id_bytes] = '\0';
	memcpy(reader->answer->groups, reader->groups, reader->group_count * sizeof(reader->groups[0]));
	reader->answer->group_count = reader->group_count;
}

static void keep_task(struct reader *reader, const struct pa_task *task)
{
	struct node_name_answer *answer = reader->answer;

	if (task == NULL ||
	    !node_name_fits_template(reader->question->pipeline, task, reader->question->template_name))
		return;
	if (answer->task != NULL) {
		answer->several |= answer->task != task;
		return;
	}
	keep_reading(reader);
	answer->task = task;
}

/* A display name is all that its template adds: the end of an id. */
static void keep_tails(struct reader *reader)
{
	const struct pa_pipeline *pipeline = reader->question->pipeline;

	if (reader->id_bytes == 0 || ++reader->tail_readings > MAX_TAIL_READINGS)
		return;
	for (size_t i = 0; i < pipeline->task_count; i++) {
		const char *id = pipeline->tasks[i].id;
		size_t length = strlen(id);
		if (length < reader->id_bytes)
			continue;
		const char *tail = id + length - reader->id_bytes;
		if (strcmp(tail, reader->id) == 0 && (tail == id || tail[-1] == '/'))
			keep_task(reader, &pipeline->tasks[i]);
	}
}

/* Argo has a node for each container of a set; they are one task. */
static const struct pa_task *container_set_around(struct reader *reader)
{
	char *slash = strrchr(reader->id, '/');

	if (slash == NULL)
		return NULL;
	*slash = '\0';
	const struct pa_task *task = pa_pipeline_find_task(reader->question->pipeline, reader->id);
	*slash = '/';
	return task != NULL && task->kind == PA_TASK_CONTAINERSET ? task : NULL;
}

static void finish_reading(struct reader *reader)
{
	const struct node_name_question *question = reader->question;

	reader->id[reader->id_bytes] = '\0';
	if (!reader->first) {
		reader->first = true;
		keep_reading(reader);
	}
	if (question->pipeline == NULL)
		return;
	if (reader->tail) {
		keep_tails(reader);
		return;
	}
	const struct pa_task *task = pa_pipeline_find_task(question->pipeline, reader->id);
	if (reader->id_bytes == 0)
		task = node_name_entry_task(question->pipeline, question->template_name);
	else if (task == NULL)
		task = container_set_around(reader);
	keep_task(reader, task);
}

/* Goes on with `text` added to the id. */
static void read_with(struct reader *reader, const char *text, size_t bytes, const char *at, size_t piece,
                      unsigned int depth)
{
	size_t before_bytes = reader->id_bytes;
	size_t separator_bytes = before_bytes > 0 ? 1 : 0;

	if (before_bytes + separator_bytes + bytes > PA_NODE_NAME_MAX_ID_BYTES)
		return;
	if (separator_bytes > 0)
		reader->id[before_bytes] = '/';
	memcpy(reader->id + before_bytes + separator_bytes, text, bytes);
	reader->id_bytes += separator_bytes + bytes;
	read_on(reader, at, piece, depth);
	reader->id_bytes = before_bytes;
}

/* Goes on with the id's last name dropped: KFP's exit task is a hook of the group before it, but its id is
 * beside it. */
static void read_beside(struct reader *reader, const char *at, size_t piece, unsigned int depth)
{
	size_t before_bytes = reader->id_bytes;
	char saved[PA_NODE_NAME_MAX_ID_BYTES];

	if (before_bytes == 0 || reader->beside >= MAX_BESIDE)
		return;
	memcpy(saved, reader->id, before_bytes);
	while (reader->id_bytes > 0 && reader->id[--reader->id_bytes] != '/')
		;
	reader->beside++;
	read_on(reader, at, piece, depth);
	reader->beside--;
	memcpy(reader->id, saved, before_bytes);
	reader->id_bytes = before_bytes;
}

static bool is_word(const char *text, size_t bytes, const char *word)
{
	return bytes == strlen(word) && memcmp(text, word, bytes) == 0;
}

/* Whether the name ends here, but for attempts. */
static bool is_last(const struct reader *reader, const char *end, size_t piece)
{
	return piece + 1 >= reader->question->piece_count && (*end == '\0' || *end == '(');
}

/* Names that KFP v2's compiler to Argo puts between those of the pipeline. */
static bool is_plumbing(const struct reader *reader, const char *text, const char *end, size_t piece)
{
	size_t bytes = (size_t)(end - text);

	if (!reader->question->kfp_v2)
		return false;
	return (reader->id_bytes == 0 && is_word(text, bytes, "root")) ||
	       is_word(text, bytes, "iteration-iterations") || is_word(text, bytes, "iteration-item") ||
	       (is_word(text, bytes, "executor") && is_last(reader, end, piece));
}

static const char *end_of_word(const char *text)
{
	return text + strcspn(text, ".[(");
}

/* One name between separators, and what it may mean besides itself. */
static void read_word(struct reader *reader, const char *text, const char *end, size_t piece,
                      unsigned int depth)
{
	size_t bytes = (size_t)(end - text);

	if (is_plumbing(reader, text, end, piece)) {
		read_on(reader, end, piece, depth);
		/* No task of a pipeline has turns of its own in KFP v2. */
		if (is_word(text, bytes, "iteration-iterations") && *end == '(')
			return;
	}
	if (is_word(text, bytes, "onExit")) {
		if (reader->question->kfp_v2)
			read_beside(reader, end, piece, depth);
		else
			read_with(reader, text, bytes, end, piece, depth);
		read_with(reader, "hooks.exit", strlen("hooks.exit"), end, piece, depth);
		return;
	}
	if (is_word(text, bytes, "hooks") && *end == '.') {
		const char *hook_end = end_of_word(end + 1);
		if (hook_end > end + 1)
			read_with(reader, text, (size_t)(hook_end - text), hook_end, piece, depth);
	}
	read_with(reader, text, bytes, end, piece, depth);
}

static void read_element(struct reader *reader, const char *text, size_t piece, unsigned int depth)
{
	const char *end = end_of_word(text);

	if (end == text)
		return;
	read_word(reader, text, end, piece, depth);
	while (reader->dotted && *end == '.' && reader->steps <= MAX_STEPS) {
		end = end_of_word(end + 1);
		read_with(reader, text, (size_t)(end - text), end, piece, depth);
	}
}

/* "(0)" or "(0:item)": where the item ends is not known, so every ")" that can be its end is tried. */
static void read_group(struct reader *reader, const char *at, size_t piece, unsigned int depth)
{
	const char *digits_end = at + 1 + strspn(at + 1, "0123456789");

	if (digits_end == at + 1 || (*digits_end != ')' && *digits_end != ':') ||
	    reader->group_count >= NODE_NAME_MAX_GROUPS)
		return;
	bool item = *digits_end == ':';
	for (const char *end = strchr(digits_end, ')'); end != NULL; end = strchr(end + 1, ')')) {
		if (end[1] == '\0' || end[1] == '.' || end[1] == '[' || end[1] == '(') {
			reader->groups[reader->group_count++] =
			    (struct node_name_group){.text = at, .bytes = (size_t)(end + 1 - at)};
			read_on(reader, end + 1, piece, depth);
			reader->group_count--;
		}
		if (!item || reader->steps > MAX_STEPS)
			return;
	}
}

/* What may follow a name: its turns and attempts, a group of steps, the next name, the next piece, the
 * end. */
static void read_on(struct reader *reader, const char *at, size_t piece, unsigned int depth)
{
	if (++reader->steps > MAX_STEPS || depth > NODE_NAME_MAX_ELEMENTS)
		return;
	if (*at == '\0') {
		if (piece + 1 >= reader->question->piece_count)
			finish_reading(reader);
		else
			read_on(reader, reader->question->pieces[piece + 1], piece + 1, depth + 1);
		return;
	}
	if (*at == '(') {
		read_group(reader, at, piece, depth + 1);
		return;
	}
	if (*at == '[') {
		size_t digits = strspn(at + 1, "0123456789");
		if (digits == 0 || at[1 + digits] != ']')
			return;
		at += digits + 2;
	}
	if (*at == '.')
		read_element(reader, at + 1, piece, depth + 1);
}

void node_name_answer(const struct node_name_question *question, struct node_name_answer *ret)
{
	struct reader reader = {.question = question, .answer = ret};

	ret->task = NULL;
	ret->several = false;
	ret->id[0] = '\0';
	ret->group_count = 0;
	read_on(&reader, question->pieces[0], 0, 0);
	if (question->pipeline != NULL && ret->task == NULL && reader.steps <= MAX_STEPS) {
		reader.dotted = true;
		reader.steps = 0;
		read_on(&reader, question->pieces[0], 0, 0);
	}
	if (ret->several || reader.steps > MAX_STEPS)
		ret->task = NULL;
}

/* A whole name: what stands before the way is the workflow's name, which may have dots in it. */
static const struct pa_task *read_whole(const struct node_name_question *form, const char *node_name,
                                        struct node_name_answer *answer)
{
	const struct pa_pipeline *pipeline = form->pipeline;
	size_t known_bytes = strlen(pipeline->name);
	const char *at = node_name;

	if (known_bytes > 0 && strncmp(node_name, pipeline->name, known_bytes) == 0)
		at += known_bytes;
	for (unsigned int i = 0; i < MAX_NAME_SPLITS; i++) {
		at = end_of_word(at);
		/* A name without a way is the entrypoint's only if it is named after the pipeline. */
		if (at == node_name || (*at == '\0' && strncmp(node_name, pipeline->name, known_bytes) != 0))
			return NULL;
		struct node_name_question question = *form;
		question.pieces = &at;
		question.piece_count = 1;
		node_name_answer(&question, answer);
		if (answer->task != NULL || answer->several || *at != '.')
			return answer->task;
		at++;
	}
	return NULL;
}

static const struct pa_task *read_display_name(const struct node_name_question *form, const char *name,
                                               struct node_name_answer *answer)
{
	struct node_name_question question = *form;
	struct reader reader = {.question = &question, .answer = answer, .tail = true};

	*answer = (struct node_name_answer){0};
	question.pieces = &name;
	question.piece_count = 1;
	if (name[0] == '[' || name[0] == '.')
		read_on(&reader, name, 0, 0);
	else
		read_element(&reader, name, 0, 0);
	return answer->several || reader.steps > MAX_STEPS ? NULL : answer->task;
}

const struct pa_task *pa_pipeline_task_of_node(const struct pa_pipeline *pipeline, const char *node_name,
                                               const char *template_name)
{
	const struct node_name_question form = {
	    .pipeline = pipeline, .kfp_v2 = node_name_is_kfp_v2(pipeline), .template_name = template_name};
	/* Runs are named after their pipeline, unless somebody chose another name. */
	bool whole_first = strncmp(node_name, pipeline->name, strlen(pipeline->name)) == 0;
	struct node_name_answer answer = {0};
	const struct pa_task *task = node_name_of_pod(pipeline, node_name, template_name);

	if (task == NULL)
		task = whole_first ? read_whole(&form, node_name, &answer)
		                   : read_display_name(&form, node_name, &answer);
	if (task == NULL && !answer.several)
		task = whole_first ? read_display_name(&form, node_name, &answer)
		                   : read_whole(&form, node_name, &answer);
	return task;
}
