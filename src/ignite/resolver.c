/* SPDX-License-Identifier: Apache-2.0 */
/* Names to addresses.  getaddrinfo() may block for long, so it has a thread; the thread and the client share a counted
 * struct, so that closing does not wait for a name server. */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ignite/client_internal.h"

#define MAX_ADDRESSES 256 /* of all endpoints */

struct ignite_resolver {
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	bool asked;
	bool answered;
	bool ended;
	unsigned references;
	int wake_fd; /* a duplicate of the client's */
	char **endpoints;
	size_t endpoint_count;
	struct ignite_address *addresses; /* of the last answer, not yet taken */
	size_t address_count;
	struct pa_error error;
};

int ignite_address_parse(const char *endpoint, char **ret_host, char **ret_port, struct pa_error *err)
{
	const char *host = endpoint;
	const char *end = strchr(endpoint, ':');
	const char *port = NULL;

	if (endpoint[0] == '[') {
		host = endpoint + 1;
		end = strchr(host, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return pa_error_set(err, PA_ERROR_INPUT,
			                    "endpoint \"%s\": write it as [address]:port", endpoint);
		port = end[1] == ':' ? end + 2 : NULL;
	} else if (end != NULL && strchr(end + 1, ':') != NULL) {
		end = NULL; /* an IPv6 address without brackets */
	} else if (end != NULL) {
		port = end + 1;
	}
	size_t bytes = end == NULL ? strlen(host) : (size_t)(end - host);
	char *rest = NULL;
	long number = port == NULL ? PA_IGNITE_DEFAULT_PORT : strtol(port, &rest, 10);
	if (bytes == 0 || bytes > 255 || number < 1 || number > 65535 ||
	    (port != NULL && (*rest != '\0' || rest == port)))
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "endpoint \"%.300s\": write it as host, host:port or [address]:port",
		                    endpoint);
	*ret_host = strndup(host, bytes);
	if (*ret_host == NULL || asprintf(ret_port, "%ld", number) < 0)
		abort();
	return 0;
}

static void set_address(struct ignite_address *ret, const struct addrinfo *info, const char *server_name)
{
	char host[NI_MAXHOST] = "?";
	char port[NI_MAXSERV] = "?";

	memset(ret, 0, sizeof(*ret));
	memcpy(&ret->socket, info->ai_addr, info->ai_addrlen);
	ret->bytes = info->ai_addrlen;
	getnameinfo(info->ai_addr, info->ai_addrlen, host, sizeof(host), port, sizeof(port),
	            NI_NUMERICHOST | NI_NUMERICSERV);
	ret->server_name = strdup(server_name);
	if (ret->server_name == NULL ||
	    asprintf(&ret->text, strchr(host, ':') == NULL ? "%s:%s" : "[%s]:%s", host, port) < 0)
		abort();
}

bool ignite_address_numeric(const char *host, int port, struct ignite_address *ret)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *info;
	char service[16];

	snprintf(service, sizeof(service), "%d", port);
	if (getaddrinfo(host, service, &hints, &info) != 0)
		return false;
	set_address(ret, info, host);
	freeaddrinfo(info);
	return true;
}

static void resolve_one(const char *endpoint, struct ignite_address *addresses, size_t *count,
                        struct pa_error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char *host = NULL;
	char *port = NULL;

	if (ignite_address_parse(endpoint, &host, &port, err) < 0)
		return;
	int result = getaddrinfo(host, port, &hints, &found);
	if (result != 0)
		pa_error_set(err, PA_ERROR_TRANSIENT, "endpoint \"%s\": %s", endpoint,
		             result == EAI_SYSTEM ? strerror(errno) : gai_strerror(result));
	for (const struct addrinfo *info = found; info != NULL && *count < MAX_ADDRESSES;
	     info = info->ai_next)
		set_address(&addresses[(*count)++], info, host);
	if (found != NULL)
		freeaddrinfo(found);
	free(host);
	free(port);
}

static void drop_answer(struct ignite_resolver *resolver)
{
	for (size_t i = 0; i < resolver->address_count; i++)
		ignite_address_done(&resolver->addresses[i]);
	free(resolver->addresses);
	resolver->addresses = NULL;
	resolver->address_count = 0;
}

static void unref(struct ignite_resolver *resolver)
{
	pthread_mutex_lock(&resolver->lock);
	bool last = --resolver->references == 0;
	pthread_mutex_unlock(&resolver->lock);
	if (!last)
		return;
	drop_answer(resolver);
	for (size_t i = 0; i < resolver->endpoint_count; i++)
		free(resolver->endpoints[i]);
	free(resolver->endpoints);
	close(resolver->wake_fd);
	pthread_cond_destroy(&resolver->wanted);
	pthread_mutex_destroy(&resolver->lock);
	free(resolver);
}

static void answer(struct ignite_resolver *resolver)
{
	struct ignite_address *addresses = calloc(MAX_ADDRESSES, sizeof(*addresses));
	struct pa_error err = PA_ERROR_INIT;
	const uint64_t one = 1;
	size_t count = 0;

	if (addresses == NULL)
		abort();
	for (size_t i = 0; i < resolver->endpoint_count; i++)
		resolve_one(resolver->endpoints[i], addresses, &count, &err);
	pthread_mutex_lock(&resolver->lock);
	drop_answer(resolver);
	resolver->addresses = addresses;
	resolver->address_count = count;
	resolver->error = err;
	resolver->answered = true;
	pthread_mutex_unlock(&resolver->lock);
	if (write(resolver->wake_fd, &one, sizeof(one)) < 0)
		return; /* the loop looks again by itself */
}

static void *resolver_thread(void *argument)
{
	struct ignite_resolver *resolver = argument;

	for (;;) {
		pthread_mutex_lock(&resolver->lock);
		while (!resolver->asked && !resolver->ended)
			pthread_cond_wait(&resolver->wanted, &resolver->lock);
		bool ended = resolver->ended;
		resolver->asked = false;
		pthread_mutex_unlock(&resolver->lock);
		if (ended)
			break;
		answer(resolver);
	}
	unref(resolver);
	return NULL;
}

int ignite_resolver_new(struct pa_ignite *ignite, struct ignite_resolver **ret, struct pa_error *err)
{
	struct ignite_resolver *resolver = calloc(1, sizeof(*resolver));
	pthread_t thread;

	if (resolver == NULL)
		abort();
	pthread_mutex_init(&resolver->lock, NULL);
	pthread_cond_init(&resolver->wanted, NULL);
	resolver->references = 2;
	resolver->wake_fd = dup(ignite->wake_fd);
	resolver->endpoint_count = ignite->options.endpoint_count;
	resolver->endpoints = calloc(resolver->endpoint_count, sizeof(char *));
	if (resolver->endpoints == NULL)
		abort();
	for (size_t i = 0; i < resolver->endpoint_count; i++)
		if ((resolver->endpoints[i] = strdup(ignite->options.endpoints[i])) == NULL)
			abort();
	int result = pthread_create(&thread, NULL, resolver_thread, resolver);
	if (result != 0) {
		resolver->references = 1;
		unref(resolver);
		return pa_error_set_errno(err, result, "no thread for names");
	}
	pthread_detach(thread);
	*ret = resolver;
	return 0;
}

void ignite_resolver_free(struct ignite_resolver *resolver)
{
	pthread_mutex_lock(&resolver->lock);
	resolver->ended = true;
	pthread_cond_signal(&resolver->wanted);
	pthread_mutex_unlock(&resolver->lock);
	unref(resolver);
}

void ignite_resolver_ask(struct ignite_resolver *resolver)
{
	pthread_mutex_lock(&resolver->lock);
	resolver->asked = true;
	resolver->answered = false;
	pthread_cond_signal(&resolver->wanted);
	pthread_mutex_unlock(&resolver->lock);
}

bool ignite_resolver_take(struct ignite_resolver *resolver, struct ignite_address **ret, size_t *ret_count,
                          struct pa_error *err)
{
	pthread_mutex_lock(&resolver->lock);
	bool answered = resolver->answered;
	if (answered) {
		*ret = resolver->addresses;
		*ret_count = resolver->address_count;
		*err = resolver->error;
		resolver->addresses = NULL;
		resolver->address_count = 0;
		resolver->answered = false;
	}
	pthread_mutex_unlock(&resolver->lock);
	return answered;
}
