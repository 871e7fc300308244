/* SPDX-License-Identifier: Apache-2.0 */
#include "base/units.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct unit {
	const char *name;
	double factor;
};

/* No "k" for kibi, no case folding: "m" is a minute or a thousandth, never a mega. */
static const struct unit byte_units[] = {
    {"", 1},        {"B", 1},        {"k", 1e3},     {"K", 1e3},      {"kB", 1e3},    {"KB", 1e3},
    {"M", 1e6},     {"MB", 1e6},     {"G", 1e9},     {"GB", 1e9},     {"T", 1e12},    {"TB", 1e12},
    {"Ki", 1024},   {"KiB", 1024},   {"Mi", 0x1p20}, {"MiB", 0x1p20}, {"Gi", 0x1p30}, {"GiB", 0x1p30},
    {"Ti", 0x1p40}, {"TiB", 0x1p40}, {NULL, 0},
};

static const struct unit rate_units[] = {
    {"B/s", 1},          {"kB/s", 1e3},       {"KB/s", 1e3},       {"MB/s", 1e6},
    {"GB/s", 1e9},       {"KiB/s", 1024},     {"MiB/s", 0x1p20},   {"GiB/s", 0x1p30},
    {"kbit/s", 1e3 / 8}, {"Mbit/s", 1e6 / 8}, {"Gbit/s", 1e9 / 8}, {NULL, 0},
};

static const struct unit time_units[] = {
    {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}, {NULL, 0},
};

/* A number without sign, exponent or space, then a unit of the table: their product. */
static int parse_quantity(const char *text, const struct unit *units, const char *what, const char *examples,
                          double *ret, struct pa_error *err)
{
	size_t digits = strspn(text, "0123456789.");
	char number[32];
	char *end;

	if (digits > 0 && digits < sizeof(number) && isdigit((unsigned char)text[0])) {
		memcpy(number, text, digits);
		number[digits] = '\0';
		double value = strtod(number, &end);
		for (const struct unit *unit = units; *end == '\0' && unit->name != NULL; unit++) {
			if (strcmp(text + digits, unit->name) == 0) {
				*ret = value * unit->factor;
				return 0;
			}
		}
	}
	return pa_error_set(err, PA_ERROR_INPUT, "\"%.60s\" is not a %s; write it like %s", text, what,
	                    examples);
}

int pa_units_parse_bytes(const char *text, uint64_t *ret_bytes, struct pa_error *err)
{
	double value;
	int result = parse_quantity(text, byte_units, "size", "8GiB, 200MB or 4096", &value, err);

	if (result < 0)
		return result;
	if (value >= 0x1p63)
		return pa_error_set(err, PA_ERROR_INPUT, "the size \"%.60s\" is too large", text);
	*ret_bytes = (uint64_t)value;
	return 0;
}

int pa_units_parse_rate(const char *text, uint64_t *ret_bytes_per_second, struct pa_error *err)
{
	double value;
	int result = parse_quantity(text, rate_units, "rate", "200MB/s, 64MiB/s or 1Gbit/s", &value, err);

	if (result < 0)
		return result;
	if (value < 1 || value >= 0x1p63)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "the rate \"%.60s\" is out of range; give at least 1B/s", text);
	*ret_bytes_per_second = (uint64_t)value;
	return 0;
}

int pa_units_parse_duration(const char *text, int64_t *ret_ns, struct pa_error *err)
{
	double value;
	int result = parse_quantity(text, time_units, "time", "10m, 1.5s or 250ms", &value, err);

	if (result < 0)
		return result;
	if (value >= 0x1p62)
		return pa_error_set(err, PA_ERROR_INPUT, "the time \"%.60s\" is too long", text);
	*ret_ns = (int64_t)value;
	return 0;
}

char *pa_units_format_bytes(uint64_t bytes, char *out, size_t room)
{
	static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(out, room, "%u B", (unsigned)bytes);
		return out;
	}
	while (value >= 1023.95 && unit + 1 < sizeof(names) / sizeof(names[0])) {
		value /= 1024;
		unit++;
	}
	snprintf(out, room, "%.1f %s", value, names[unit]);
	return out;
}

char *pa_units_format_rate(double bytes_per_second, char *out, size_t room)
{
	static const char *const names[] = {"B/s", "kB/s", "MB/s", "GB/s", "TB/s"};
	double value = bytes_per_second;
	size_t unit = 0;

	while (value >= 999.95 && unit + 1 < sizeof(names) / sizeof(names[0])) {
		value /= 1000;
		unit++;
	}
	snprintf(out, room, "%.1f %s", value, names[unit]);
	return out;
}

char *pa_units_format_seconds(double seconds, char *out, size_t room)
{
	if (!isfinite(seconds))
		snprintf(out, room, "unknown");
	else if (seconds < 99.95)
		snprintf(out, room, "%.1f s", seconds);
	else if (seconds < 3600)
		snprintf(out, room, "%dm %02ds", (int)(seconds / 60), (int)fmod(seconds, 60));
	else
		snprintf(out, room, "%.0fh %02dm", floor(fmin(seconds, 1e9) / 3600),
		         (int)(fmod(seconds, 3600) / 60));
	return out;
}
