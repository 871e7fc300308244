/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs against real nodes share: one client, and checks that print and end. */
#ifndef TESTS_IGNITE_SERVICE_H
#define TESTS_IGNITE_SERVICE_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "ignite/ignite.h"

static struct pa_ignite *ignite;
static unsigned checks;

#define REQUIRE(truth, ...)                                                                                  \
	do {                                                                                                 \
		if (!(truth)) {                                                                              \
			fprintf(stderr, "not ok: line %d: %s: ", __LINE__, #truth);                          \
			fprintf(stderr, __VA_ARGS__);                                                        \
			fprintf(stderr, "\n");                                                               \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

static inline void ok(const char *what)
{
	printf("ok %u - %s\n", ++checks, what);
	fflush(stdout);
}

static inline void fill_pattern(uint8_t *out, size_t size)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(i * 31 + (i >> 8) + size);
}

static inline void sleep_ms(int64_t ms)
{
	pa_clock_sleep_until(pa_clock_deadline(ms * PA_NS_PER_MS), NULL);
}

static inline void open_cluster(char *list)
{
	const char *endpoints[16];
	struct pa_ignite_options options = {.endpoints = endpoints};
	struct pa_error err = PA_ERROR_INIT;

	for (char *at = strtok(list, ","); at != NULL && options.endpoint_count < 16; at = strtok(NULL, ","))
		endpoints[options.endpoint_count++] = at;
	REQUIRE(pa_ignite_open(&options, &ignite, &err) == 0, "%s", err.message);
	ok("open");
}

#endif
