/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "ignite/client_internal.h"

#define MAX_PAGE_ENTRIES 65536

struct pa_ignite_scan {
	struct pa_ignite *ignite;
	struct pa_ignite_cache cache;
	int partition;
	int page_entries;
	uint64_t pinned; /* the connection that the cursor lives on */
	int64_t cursor;
	bool more; /* pages on the server */
	bool open; /* the server still has the cursor */
	struct pa_buffer page;
	struct ignite_reader reader;
	size_t left; /* entries of the page */
};

static void fill_scan(struct ignite_writer *writer, const void *argument)
{
	const struct pa_ignite_scan *scan = argument;

	ignite_begin_frame(writer, IGNITE_OP_SCAN);
	ignite_encode_cache(writer, &scan->cache);
	ignite_write_u8(writer, 101); /* no filter */
	ignite_write_i32(writer, scan->page_entries);
	ignite_write_i32(writer, scan->partition);
	ignite_write_u8(writer, 0); /* not only that node's */
}

static void fill_page(struct ignite_writer *writer, const void *argument)
{
	ignite_begin_frame(writer, IGNITE_OP_SCAN_PAGE);
	ignite_write_i64(writer, ((const struct pa_ignite_scan *)argument)->cursor);
}

static void fill_close(struct ignite_writer *writer, const void *argument)
{
	ignite_begin_frame(writer, IGNITE_OP_RESOURCE_CLOSE);
	ignite_write_i64(writer, ((const struct pa_ignite_scan *)argument)->cursor);
}

/* The last byte of a page says whether another follows: looked at before the entries are handed out. */
static int begin_page(struct pa_ignite_scan *scan, struct pa_error *err)
{
	scan->left = ignite_read_count(&scan->reader, 2);
	if (scan->reader.bad || ignite_reader_left(&scan->reader) < 1)
		return pa_error_set(err, PA_ERROR_PERMANENT,
		                    "the server's answer makes no sense: a page cut short");
	scan->reader.end--;
	scan->more = *scan->reader.end != 0;
	/* The server closes a cursor with its last page. */
	scan->open = scan->more;
	return 0;
}

static int fetch(struct pa_ignite_scan *scan, ignite_fill_fn *fill, int64_t deadline_ns, struct pa_error *err)
{
	struct pa_buffer page;
	struct ignite_exchange exchange = {.fill = fill,
	                                   .argument = scan,
	                                   .deadline_ns = deadline_ns,
	                                   .pinned = scan->pinned,
	                                   .answer = &page};
	int result = ignite_call_op(scan->ignite, &exchange, err);

	if (result < 0)
		return result;
	pa_buffer_done(&scan->page);
	scan->page = page;
	scan->pinned = exchange.serial;
	scan->reader = ignite_reader(page.data, page.length);
	return 0;
}

int pa_ignite_scan_open(struct pa_ignite *ignite, const struct pa_ignite_cache *cache, int partition,
                        int page_entries, int64_t deadline_ns, struct pa_ignite_scan **ret,
                        struct pa_error *err)
{
	if (page_entries < 1 || page_entries > MAX_PAGE_ENTRIES)
		return pa_error_set(err, PA_ERROR_INPUT, "a page of %d entries; it can have 1 to %d",
		                    page_entries, MAX_PAGE_ENTRIES);
	struct pa_ignite_scan *scan = calloc(1, sizeof(*scan));
	if (scan == NULL)
		abort();
	*scan = (struct pa_ignite_scan){
	    .ignite = ignite, .cache = *cache, .partition = partition, .page_entries = page_entries};
	pa_buffer_init(&scan->page, 0);
	if (fetch(scan, fill_scan, deadline_ns, err) < 0) {
		free(scan);
		return -(int)err->class;
	}
	scan->cursor = ignite_read_i64(&scan->reader);
	if (begin_page(scan, err) < 0) {
		pa_ignite_scan_close(scan);
		return -(int)err->class;
	}
	*ret = scan;
	return 0;
}

int pa_ignite_scan_next(struct pa_ignite_scan *scan, struct pa_ignite_scan_entry *ret, int64_t deadline_ns,
                        struct pa_error *err)
{
	while (scan->left == 0) {
		if (!scan->more)
			return 0;
		if (fetch(scan, fill_page, deadline_ns, err) < 0 || begin_page(scan, err) < 0) {
			scan->more = false;
			scan->open = scan->open && err->class != PA_ERROR_TRANSIENT;
			return -(int)err->class;
		}
	}
	*ret = (struct pa_ignite_scan_entry){0};
	if (ignite_decode_key(&scan->reader, &ret->key) < 0 || ignite_decode_value(&scan->reader, ret) < 0) {
		scan->left = 0;
		scan->more = false;
		return pa_error_set(
		    err, PA_ERROR_PERMANENT,
		    "an entry cannot be read: cut short, or of a Java type that is not known here");
	}
	scan->left--;
	return 1;
}

void pa_ignite_scan_close(struct pa_ignite_scan *scan)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_buffer answer;

	if (scan->open) {
		struct ignite_exchange exchange = {.fill = fill_close,
		                                   .argument = scan,
		                                   .deadline_ns = pa_clock_deadline(PA_NS_PER_SECOND),
		                                   .pinned = scan->pinned,
		                                   .answer = &answer};
		/* A cursor that is gone, with its connection or without, is what is wanted. */
		if (ignite_call_op(scan->ignite, &exchange, &err) == 0)
			pa_buffer_done(&answer);
	}
	pa_buffer_done(&scan->page);
	free(scan);
}
