/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ignite/client_internal.h"

#define MEBIBYTE ((size_t)1 << 20)

void ignite_wake(struct pa_ignite *ignite)
{
	const uint64_t one = 1;
	ssize_t written;

	do
		written = write(ignite->wake_fd, &one, sizeof(one));
	while (written < 0 && errno == EINTR);
}

bool ignite_run_job(struct pa_ignite *ignite, void (*run)(struct pa_ignite *, void *), void *argument)
{
	struct ignite_job job = {.run = run, .argument = argument};

	pthread_mutex_lock(&ignite->lock);
	if (ignite->closing) {
		pthread_mutex_unlock(&ignite->lock);
		return false;
	}
	job.next = ignite->jobs;
	ignite->jobs = &job;
	ignite->sleeping = false;
	ignite_wake(ignite);
	while (!job.finished)
		pthread_cond_wait(&ignite->changed, &ignite->lock);
	pthread_mutex_unlock(&ignite->lock);
	return true;
}

static int check_options(const struct pa_ignite_options *options, struct pa_error *err)
{
	if (options->endpoint_count == 0)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "no endpoint; name at least one node as host or host:port");
	if (options->connections_per_node > PA_IGNITE_MAX_CONNECTIONS)
		return pa_error_set(err, PA_ERROR_INPUT, "connections_per_node is %u; the limit is %d",
		                    options->connections_per_node, PA_IGNITE_MAX_CONNECTIONS);
	if (options->depth > IGNITE_MAX_DEPTH)
		return pa_error_set(err, PA_ERROR_INPUT, "depth is %u; the limit is %d", options->depth,
		                    IGNITE_MAX_DEPTH);
	if (options->max_value_bytes > 1024 * MEBIBYTE || options->max_reply_bytes > 1024 * MEBIBYTE)
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "max_value_bytes and max_reply_bytes can be 1 GiB at most");
	if ((options->user == NULL) != (options->password == NULL))
		return pa_error_set(err, PA_ERROR_INPUT, "a user needs a password, and a password a user");
	for (size_t i = 0; i < options->endpoint_count; i++) {
		char *host;
		char *port;
		if (ignite_address_parse(options->endpoints[i], &host, &port, err) < 0)
			return -(int)err->class;
		free(host);
		free(port);
	}
	return 0;
}

static void default_unsigned(unsigned *value, unsigned otherwise)
{
	*value = *value == 0 ? otherwise : *value;
}

static void default_size(size_t *value, size_t otherwise)
{
	*value = *value == 0 ? otherwise : *value;
}

static void default_time(int64_t *value, int64_t otherwise_ms)
{
	*value = *value <= 0 ? otherwise_ms * PA_NS_PER_MS : *value;
}

static void set_defaults(struct pa_ignite_options *options)
{
	default_unsigned(&options->connections_per_node, 2);
	default_unsigned(&options->depth, 16);
	default_unsigned(&options->max_requests, 1024);
	default_size(&options->max_value_bytes, 64 * MEBIBYTE);
	default_size(&options->max_reply_bytes, 64 * MEBIBYTE);
	default_time(&options->connect_timeout_ns, 5000);
	default_time(&options->open_timeout_ns, 10000);
	default_time(&options->request_timeout_ns, 30000);
	default_time(&options->heartbeat_ns, 5000);
	default_time(&options->silence_ns, 15000);
	default_time(&options->reconnect_min_ns, 100);
	default_time(&options->reconnect_max_ns, 5000);
}

static char *copy_text(const char *text)
{
	char *copy = text == NULL ? NULL : strdup(text);

	if (text != NULL && copy == NULL)
		abort();
	return copy;
}

static void copy_options(struct pa_ignite *ignite, const struct pa_ignite_options *options)
{
	struct pa_ignite_options *own = &ignite->options;

	*own = *options;
	set_defaults(own);
	ignite->endpoints = calloc(options->endpoint_count, sizeof(char *));
	if (ignite->endpoints == NULL)
		abort();
	for (size_t i = 0; i < options->endpoint_count; i++)
		ignite->endpoints[i] = copy_text(options->endpoints[i]);
	own->endpoints = (const char *const *)ignite->endpoints;
	own->user = copy_text(options->user);
	own->password = copy_text(options->password);
	if (options->tls != NULL) {
		/* The files are read once, here. */
		ignite->tls_options.server_name = copy_text(options->tls->server_name);
		own->tls = &ignite->tls_options;
	}
}

static struct pa_ignite *new_client(const struct pa_ignite_options *options)
{
	struct pa_ignite *ignite = calloc(1, sizeof(*ignite));

	if (ignite == NULL)
		abort();
	copy_options(ignite, options);
	ignite->epoll_fd = -1;
	ignite->wake_fd = -1;
	pthread_mutex_init(&ignite->lock, NULL);
	pa_clock_cond_init(&ignite->room);
	pa_clock_cond_init(&ignite->changed);
	pa_arena_init(&ignite->map_arena);
	ignite->random.state = (uint64_t)pa_clock_ns() ^ (uint64_t)(uintptr_t)ignite;
	ignite->cache_ids = calloc(PA_IGNITE_MAX_CACHES, sizeof(*ignite->cache_ids));
	ignite->map_nodes = calloc(PA_IGNITE_MAX_NODES, sizeof(struct ignite_node *));
	if (ignite->cache_ids == NULL || ignite->map_nodes == NULL)
		abort();
	return ignite;
}

static void free_client(struct pa_ignite *ignite)
{
	if (ignite->resolver != NULL)
		ignite_resolver_free(ignite->resolver);
	if (ignite->tls != NULL)
		SSL_CTX_free(ignite->tls);
	if (ignite->epoll_fd >= 0)
		close(ignite->epoll_fd);
	if (ignite->wake_fd >= 0)
		close(ignite->wake_fd);
	for (size_t i = 0; i < ignite->options.endpoint_count; i++)
		free(ignite->endpoints[i]);
	free(ignite->endpoints);
	free((char *)ignite->options.user);
	free((char *)ignite->options.password);
	free((char *)ignite->tls_options.server_name);
	free(ignite->cache_ids);
	free(ignite->map_nodes);
	free(ignite->deadlines.items);
	pa_arena_done(&ignite->map_arena);
	pthread_cond_destroy(&ignite->room);
	pthread_cond_destroy(&ignite->changed);
	pthread_mutex_destroy(&ignite->lock);
	free(ignite);
}

/* Signals go to the program's threads; a broken TLS connection must not raise SIGPIPE either. */
static int start_threads(struct pa_ignite *ignite, struct pa_error *err)
{
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int result = ignite_resolver_new(ignite, &ignite->resolver, err);
	if (result == 0) {
		int created = pthread_create(&ignite->thread, NULL, ignite_loop, ignite);
		if (created != 0)
			result = pa_error_set_errno(err, created, "no thread for input and output");
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return result;
}

static int prepare(struct pa_ignite *ignite, const struct pa_ignite_options *options, struct pa_error *err)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (options->tls != NULL && ignite_tls_context(options->tls, &ignite->tls, err) < 0)
		return -(int)err->class;
	ignite->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ignite->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ignite->epoll_fd < 0 || ignite->wake_fd < 0 ||
	    epoll_ctl(ignite->epoll_fd, EPOLL_CTL_ADD, ignite->wake_fd, &event) < 0)
		return pa_error_set_errno(err, errno, "no descriptors for input and output");
	return start_threads(ignite, err);
}

static int wait_until_open(struct pa_ignite *ignite, struct pa_error *err)
{
	int64_t deadline_ns = pa_clock_deadline(ignite->options.open_timeout_ns);
	struct timespec until = pa_clock_timespec(deadline_ns);
	bool overdue = false;

	pthread_mutex_lock(&ignite->lock);
	while (!ignite->opened && !ignite->hopeless && !overdue)
		overdue = pthread_cond_timedwait(&ignite->changed, &ignite->lock, &until) != 0 &&
		          pa_clock_ns() >= deadline_ns;
	bool opened = ignite->opened;
	*err = opened ? *err : ignite->last_error;
	pthread_mutex_unlock(&ignite->lock);
	if (opened)
		return 0;
	if (err->class == PA_ERROR_NONE)
		return pa_error_set(err, PA_ERROR_DEADLINE, "no endpoint answered within %lld ms",
		                    (long long)(ignite->options.open_timeout_ns / PA_NS_PER_MS));
	return -(int)err->class;
}

int pa_ignite_open(const struct pa_ignite_options *options, struct pa_ignite **ret, struct pa_error *err)
{
	if (check_options(options, err) < 0)
		return -(int)err->class;
	struct pa_ignite *ignite = new_client(options);
	if (prepare(ignite, options, err) < 0) {
		free_client(ignite);
		return -(int)err->class;
	}
	if (wait_until_open(ignite, err) < 0) {
		pa_ignite_close(ignite);
		return -(int)err->class;
	}
	*ret = ignite;
	return 0;
}

void pa_ignite_close(struct pa_ignite *ignite)
{
	pthread_mutex_lock(&ignite->lock);
	ignite->closing = true;
	pthread_cond_broadcast(&ignite->room);
	pthread_mutex_unlock(&ignite->lock);
	ignite_wake(ignite);
	pthread_join(ignite->thread, NULL);
	free_client(ignite);
}
