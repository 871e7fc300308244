/* SPDX-License-Identifier: Apache-2.0 */
/* How the sections of pipeahead.yaml are read: each is a table of keys, and each key has a reader.  What
 * is in no table is an error that names the nearest key. */
#ifndef PA_CONFIG_CONFIG_INTERNAL_H
#define PA_CONFIG_CONFIG_INTERNAL_H

#include "base/node.h"
#include "config/config.h"

#define PA_CONFIG_FILE_BYTES      (4 << 20)
#define PA_CONFIG_MAX_SOURCES     4096
#define PA_CONFIG_MAX_CONNECTIONS 1024
#define PA_CONFIG_MAX_ENDPOINTS   64
#define PA_CONFIG_MAX_SLOTS       4096
#define PA_CONFIG_MAX_TASKS       10000
#define PA_CONFIG_MAX_WORDS       4096 /* of a command, or variables */

struct pa_config_reader {
	struct pa_arena *arena;
	struct pa_config *config;
	struct pa_error *err;
};

struct pa_config_key {
	const char *name;
	/* `target` is what the section is read into. */
	int (*read)(struct pa_config_reader *reader, const struct pa_node *value, void *target);
};

/* Ends a table of keys. */
#define PA_CONFIG_LAST_KEY                                                                                   \
	{                                                                                                    \
		NULL, NULL                                                                                   \
	}

/* keys.c */
int pa_config_read_section(struct pa_config_reader *reader, const struct pa_node *section, const char *what,
                           const struct pa_config_key *keys, void *target);
/* A value that must be there. */
int pa_config_text(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                   const char **ret);
int pa_config_boolean(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                      bool *ret);
int pa_config_integer(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                      uint32_t max, uint32_t *ret);
int pa_config_bytes(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                    uint64_t *ret);
int pa_config_duration(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                       int64_t *ret);
int pa_config_words(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                    uint32_t max, const char ***ret, size_t *ret_count);
/* A file's name, made absolute with the configuration's folder. */
int pa_config_path(struct pa_config_reader *reader, const struct pa_node *value, const char *what,
                   const char **ret);
/* Puts the node's place before the message that is there. */
int pa_config_at(const struct pa_node *node, const char *what, struct pa_error *err);

/* sources.c */
int pa_config_read_sources(struct pa_config_reader *reader, const struct pa_node *list, void *target);

/* tasks.c */
int pa_config_read_tasks(struct pa_config_reader *reader, const struct pa_node *tasks, void *target);

#endif
