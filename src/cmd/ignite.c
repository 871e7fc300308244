/* SPDX-License-Identifier: Apache-2.0 */
/* `pipeahead ignite`: the client library for people. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/ignite_internal.h"

#define MAX_ENDPOINTS        64
#define MAX_PASSWORD_BYTES   4096
#define DEFAULT_TIMEOUT_NS   (10 * PA_NS_PER_SECOND)
#define DEFAULT_PING_COUNT   4
#define DEFAULT_LIMIT        100
#define DEFAULT_ENDPOINT     "127.0.0.1"
#define TABLE_MAX_COLUMNS    16
#define MAX_TABLE_CELL_BYTES 120

static const char help[] =
    "usage: pipeahead ignite ping|nodes|caches|get|put|scan|stat [WORD...] [OPTION...]\n\n"
    "Looks into an Apache Ignite cluster and the byte[] values of its caches.\n\n"
    "  ping                 how long nodes take to answer (--count times)\n"
    "  nodes                the nodes, as its members see them\n"
    "  caches               the names of the caches\n"
    "  stat [CACHE]         the cluster; of a cache its size and where its partitions are\n"
    "  get CACHE KEY        the value's bytes, to standard output or --output\n"
    "  put CACHE KEY FILE   the file's bytes (\"-\": standard input) as the value; --create makes the cache\n"
    "  scan CACHE           keys and sizes of the values, --limit of them\n\n"
    "  --endpoint HOST      host, host:port or [address]:port of a node, as often as given; default "
    "127.0.0.1\n"
    "  --key-type TYPE      long, uuid or text; without it a key that looks like one of the first two is "
    "that\n"
    "  --output FILE        where `get` writes\n"
    "  --create             `put` creates the cache if it does not exist\n"
    "  --expire DURATION    `put`: the entry goes after this time\n"
    "  --limit N            of `scan`; default 100, 0 is all\n"
    "  --count N            of `ping`; default 4\n"
    "  --timeout DURATION   of the connection and of each request; default 10s\n"
    "  --tls-ca FILE        speak TLS; the servers' certificates are signed by this (PEM)\n"
    "  --tls-cert FILE      our certificate (PEM), with --tls-key FILE\n"
    "  --tls-name NAME      the name in the servers' certificates, if it is not the host that is connected "
    "to\n"
    "  --user NAME          with --password-file FILE\n"
    "  --format FORMAT      table (at a terminal) or json (elsewhere); `get` writes bytes\n\n"
    "examples:\n"
    "  pipeahead ignite nodes --endpoint ignite.storage.svc\n"
    "  pipeahead ignite put models best ./model.bin --create --endpoint 10.0.0.7:10800\n"
    "  pipeahead ignite get models best --output model.bin\n"
    "  pipeahead ignite stat models --format json\n";

struct settings {
	const char *endpoints[MAX_ENDPOINTS];
	struct pa_ignite_options client;
	struct pa_ignite_tls tls;
	const char *password_file;
	char password[MAX_PASSWORD_BYTES];
	struct ignite_command command;
	bool json;
};

static int take_number(const char *option, const char *text, int64_t *ret)
{
	char *end;

	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || number < 0)
		return pa_cmd_usage("ignite", "%s \"%s\" is no number", option, text);
	*ret = number;
	return -1;
}

static int take_duration(const char *option, const char *text, int64_t *ret_ns)
{
	struct pa_error err = PA_ERROR_INIT;

	if (pa_units_parse_duration(text, ret_ns, &err) < 0 || *ret_ns <= 0)
		return pa_cmd_usage("ignite", "%s \"%s\": write it as 500ms, 10s, 2m", option, text);
	return -1;
}

static int take_key_type(struct settings *settings, const char *text)
{
	static const char *const types[] = {"long", "uuid", "text", NULL};

	settings->command.key_type = pa_cmd_choice(text, types);
	if (settings->command.key_type < 0)
		return pa_cmd_usage("ignite", "there is no type of key \"%s\"; say long, uuid or text", text);
	return -1;
}

static int take_format(struct settings *settings, const char *text)
{
	static const char *const formats[] = {"table", "json", NULL};
	int format = pa_cmd_choice(text, formats);

	if (format < 0)
		return pa_cmd_usage("ignite", "there is no format \"%s\"", text);
	settings->json = format == 1;
	return -1;
}

static int take_endpoint(struct settings *settings, const char *text)
{
	if (settings->client.endpoint_count == MAX_ENDPOINTS)
		return pa_cmd_usage("ignite", "more than %d endpoints", MAX_ENDPOINTS);
	settings->endpoints[settings->client.endpoint_count++] = text;
	return -1;
}

/* -1 to go on, else an exit code. */
static int take_option(struct settings *settings, int option)
{
	switch (option) {
	case 'e':
		return take_endpoint(settings, optarg);
	case 'k':
		return take_key_type(settings, optarg);
	case 'o':
		settings->command.output = optarg;
		return -1;
	case 'C':
		settings->command.create = true;
		return -1;
	case 'x':
		return take_duration("--expire", optarg, &settings->command.expire_ns);
	case 'l':
		return take_number("--limit", optarg, &settings->command.limit);
	case 'c':
		return take_number("--count", optarg, &settings->command.count);
	case 't':
		return take_duration("--timeout", optarg, &settings->command.timeout_ns);
	case 'a':
		settings->tls.ca_file = optarg;
		return -1;
	case 'r':
		settings->tls.certificate_file = optarg;
		return -1;
	case 'y':
		settings->tls.key_file = optarg;
		return -1;
	case 'n':
		settings->tls.server_name = optarg;
		return -1;
	case 'u':
		settings->client.user = optarg;
		return -1;
	case 'p':
		settings->password_file = optarg;
		return -1;
	case 'f':
		return take_format(settings, optarg);
	case 'h':
		fputs(help, stdout);
		return PA_EXIT_OK;
	default:
		return pa_cmd_usage("ignite", "that is no use of it");
	}
}

static int take_options(int argument_count, char **arguments, struct settings *settings)
{
	static const struct option known[] = {
	    {"endpoint", required_argument, NULL, 'e'},
	    {"key-type", required_argument, NULL, 'k'},
	    {"output", required_argument, NULL, 'o'},
	    {"create", no_argument, NULL, 'C'},
	    {"expire", required_argument, NULL, 'x'},
	    {"limit", required_argument, NULL, 'l'},
	    {"count", required_argument, NULL, 'c'},
	    {"timeout", required_argument, NULL, 't'},
	    {"tls-ca", required_argument, NULL, 'a'},
	    {"tls-cert", required_argument, NULL, 'r'},
	    {"tls-key", required_argument, NULL, 'y'},
	    {"tls-name", required_argument, NULL, 'n'},
	    {"user", required_argument, NULL, 'u'},
	    {"password-file", required_argument, NULL, 'p'},
	    {"format", required_argument, NULL, 'f'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argument_count, arguments, "he:o:", known, NULL)) != -1) {
		int exit_code = take_option(settings, option);
		if (exit_code >= 0)
			return exit_code;
	}
	return -1;
}

static int read_password(struct settings *settings, struct pa_error *err)
{
	struct pa_buffer text;

	if (settings->password_file == NULL)
		return 0;
	if (pa_buffer_read_file(settings->password_file, MAX_PASSWORD_BYTES - 1, &text, err) < 0)
		return -(int)err->class;
	size_t bytes = strcspn(text.data, "\r\n");
	memcpy(settings->password, text.data, bytes);
	settings->password[bytes] = '\0';
	settings->client.password = settings->password;
	pa_buffer_done(&text);
	return 0;
}

/* ---- Printing ---- */

static const char *cell_text(const json_t *value, char *room, size_t bytes)
{
	if (json_is_string(value))
		snprintf(room, bytes, "%s", json_string_value(value));
	else if (json_is_integer(value))
		snprintf(room, bytes, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		snprintf(room, bytes, "%.3f", json_real_value(value));
	else if (json_is_boolean(value))
		snprintf(room, bytes, "%s", json_is_true(value) ? "yes" : "no");
	else
		snprintf(room, bytes, "-");
	return room;
}

static void print_row(struct pa_buffer *out, json_t *row, const size_t *widths, bool heading)
{
	char room[MAX_TABLE_CELL_BYTES];
	const char *name;
	json_t *value;
	size_t column = 0;

	json_object_foreach(row, name, value)
	{
		const char *text = heading ? name : cell_text(value, room, sizeof(room));
		int width = column + 1 == json_object_size(row) ? 0 : (int)widths[column];
		pa_buffer_printf(out, "%s%-*s", column == 0 ? "" : "  ", width, text);
		if (++column == TABLE_MAX_COLUMNS)
			break;
	}
	pa_buffer_puts(out, "\n");
}

static void print_rows(struct pa_buffer *out, json_t *rows)
{
	size_t widths[TABLE_MAX_COLUMNS] = {0};
	char room[MAX_TABLE_CELL_BYTES];
	const char *name;
	json_t *value;
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		size_t column = 0;
		json_object_foreach(row, name, value)
		{
			size_t bytes = strlen(cell_text(value, room, sizeof(room)));
			size_t wanted = bytes > strlen(name) ? bytes : strlen(name);
			if (column < TABLE_MAX_COLUMNS && wanted > widths[column])
				widths[column] = wanted;
			column++;
		}
	}
	json_array_foreach(rows, i, row)
	{
		if (i == 0)
			print_row(out, row, widths, true);
		print_row(out, row, widths, false);
	}
}

/* An object as lines "name  value", its lists as tables below; a list as a table. */
static void print_table(struct pa_buffer *out, json_t *result)
{
	char room[MAX_TABLE_CELL_BYTES];
	const char *name;
	json_t *value;

	if (json_is_array(result)) {
		print_rows(out, result);
		return;
	}
	json_object_foreach(result, name, value) if (!json_is_array(value))
	    pa_buffer_printf(out, "%-20s %s\n", name, cell_text(value, room, sizeof(room)));
	json_object_foreach(result, name, value) if (json_is_array(value))
	{
		pa_buffer_puts(out, "\n");
		print_rows(out, value);
	}
}

static int print_result(json_t *result, bool json)
{
	struct pa_buffer out;

	pa_buffer_init(&out, PA_CMD_MAX_OUTPUT_BYTES);
	if (json) {
		char *text = json_dumps(result, JSON_INDENT(2));
		if (text == NULL)
			abort();
		pa_buffer_printf(&out, "%s\n", text);
		free(text);
	} else {
		print_table(&out, result);
	}
	int exit_code = pa_cmd_print(&out);
	pa_buffer_done(&out);
	return exit_code;
}

static int run(struct settings *settings)
{
	struct pa_error err = PA_ERROR_INIT;
	json_t *result = NULL;

	if (read_password(settings, &err) < 0)
		return pa_cmd_fail(&err);
	if (settings->client.endpoint_count == 0)
		settings->endpoints[settings->client.endpoint_count++] = DEFAULT_ENDPOINT;
	settings->client.endpoints = settings->endpoints;
	settings->client.open_timeout_ns = settings->command.timeout_ns;
	settings->client.request_timeout_ns = settings->command.timeout_ns;
	settings->client.connections_per_node = 1;
	if (settings->tls.ca_file != NULL || settings->tls.certificate_file != NULL ||
	    settings->tls.server_name != NULL)
		settings->client.tls = &settings->tls;
	if (pa_ignite_open(&settings->client, &settings->command.ignite, &err) < 0)
		return pa_cmd_fail(&err);
	int failed = settings->command.act(&settings->command, &result, &err);
	pa_ignite_close(settings->command.ignite);
	int exit_code = failed < 0       ? pa_cmd_fail(&err)
	                : result == NULL ? PA_EXIT_OK
	                                 : print_result(result, settings->json);
	if (result != NULL)
		json_decref(result);
	return exit_code;
}

int pa_cmd_ignite(int argument_count, char **arguments)
{
	static const char *const names[] = {"ping", "nodes", "caches", "stat", "get", "put", "scan", NULL};
	static const struct {
		ignite_act *act;
		int min_words;
		int max_words;
		const char *takes;
	} actions[] = {
	    {ignite_act_ping, 0, 0, "nothing more"},     {ignite_act_nodes, 0, 0, "nothing more"},
	    {ignite_act_caches, 0, 0, "nothing more"},   {ignite_act_stat, 0, 1, "at most a cache"},
	    {ignite_act_get, 2, 2, "a cache and a key"}, {ignite_act_put, 3, 3, "a cache, a key and a file"},
	    {ignite_act_scan, 1, 1, "a cache"},
	};
	struct settings settings = {.json = !isatty(STDOUT_FILENO)};

	settings.command = (struct ignite_command){.key_type = -1,
	                                           .limit = DEFAULT_LIMIT,
	                                           .count = DEFAULT_PING_COUNT,
	                                           .timeout_ns = DEFAULT_TIMEOUT_NS};
	int exit_code = take_options(argument_count, arguments, &settings);
	if (exit_code >= 0)
		return exit_code;
	int action = optind < argument_count ? pa_cmd_choice(arguments[optind], names) : -1;
	if (action < 0)
		return pa_cmd_usage("ignite", "say ping, nodes, caches, stat, get, put or scan");
	int words = argument_count - optind - 1;
	if (words < actions[action].min_words || words > actions[action].max_words)
		return pa_cmd_usage("ignite", "%s takes %s", names[action], actions[action].takes);
	settings.command.act = actions[action].act;
	settings.command.words = arguments + optind + 1;
	settings.command.word_count = words;
	return run(&settings);
}
