/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "ignite/client_internal.h"

#define RECORD_BYTES 16384

static int tls_error(struct pa_error *err, enum pa_error_class class, const char *what)
{
	char reason[256] = "no reason given";
	unsigned long code = ERR_peek_last_error();

	if (code != 0)
		ERR_error_string_n(code, reason, sizeof(reason));
	ERR_clear_error();
	return pa_error_set(err, class, "TLS: %s: %s", what, reason);
}

static int load_files(SSL_CTX *context, const struct pa_ignite_tls *options, struct pa_error *err)
{
	if (options->ca_file == NULL ? SSL_CTX_set_default_verify_paths(context) != 1
	                             : SSL_CTX_load_verify_locations(context, options->ca_file, NULL) != 1)
		return tls_error(err, PA_ERROR_INPUT,
		                 options->ca_file == NULL ? "the system's certificates" : options->ca_file);
	if (options->certificate_file != NULL &&
	    SSL_CTX_use_certificate_chain_file(context, options->certificate_file) != 1)
		return tls_error(err, PA_ERROR_INPUT, options->certificate_file);
	if (options->key_file != NULL &&
	    SSL_CTX_use_PrivateKey_file(context, options->key_file, SSL_FILETYPE_PEM) != 1)
		return tls_error(err, PA_ERROR_INPUT, options->key_file);
	if ((options->certificate_file == NULL) != (options->key_file == NULL))
		return pa_error_set(err, PA_ERROR_INPUT,
		                    "TLS: a client certificate needs its key, and a key its certificate");
	if (options->key_file != NULL && SSL_CTX_check_private_key(context) != 1)
		return tls_error(err, PA_ERROR_INPUT, "the key is not that of the certificate");
	return 0;
}

int ignite_tls_context(const struct pa_ignite_tls *options, SSL_CTX **ret, struct pa_error *err)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (context == NULL)
		return tls_error(err, PA_ERROR_PERMANENT, "no context");
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	if (load_files(context, options, err) < 0) {
		SSL_CTX_free(context);
		return -(int)err->class;
	}
	*ret = context;
	return 0;
}

int ignite_tls_begin(struct ignite_connection *connection, SSL_CTX *context, const char *server_name,
                     struct pa_error *err)
{
	unsigned char address[sizeof(struct in6_addr)];

	connection->ssl = SSL_new(context);
	connection->tls_out = malloc(RECORD_BYTES);
	connection->tls_out_bytes = 0;
	if (connection->ssl == NULL || connection->tls_out == NULL ||
	    SSL_set_fd(connection->ssl, connection->fd) != 1)
		return tls_error(err, PA_ERROR_TRANSIENT, "no connection");
	if (inet_pton(AF_INET, server_name, address) == 1 || inet_pton(AF_INET6, server_name, address) == 1) {
		if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection->ssl), server_name) != 1)
			return tls_error(err, PA_ERROR_PERMANENT, "the address to verify");
	} else if (SSL_set1_host(connection->ssl, server_name) != 1 ||
	           SSL_set_tlsext_host_name(connection->ssl, server_name) != 1) {
		return tls_error(err, PA_ERROR_PERMANENT, "the name to verify");
	}
	SSL_set_connect_state(connection->ssl);
	return 0;
}

/* What an SSL call that moved nothing means: -EAGAIN, 0 for the end, or an error. */
static ssize_t tls_result(struct ignite_connection *connection, int result, struct pa_error *err)
{
	int os_errno = errno;

	switch (SSL_get_error(connection->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		connection->wants_write = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		if (os_errno == 0 && ERR_peek_error() == 0)
			return 0;
		pa_error_set_errno(err, os_errno == 0 ? ECONNRESET : os_errno, "TLS connection lost");
		err->class = PA_ERROR_TRANSIENT;
		return -ECONNRESET;
	default:
		/* Java closes without a word of TLS. */
		if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
			ERR_clear_error();
			return 0;
		}
		/* An alert: the server does not take our certificate, for one. */
		tls_error(err, PA_ERROR_PERMANENT, "refused by the server");
		return -EPROTO;
	}
}

int ignite_tls_shake(struct ignite_connection *connection, struct pa_error *err)
{
	ERR_clear_error();
	errno = 0;
	int result = SSL_do_handshake(connection->ssl);
	if (result == 1)
		return 1;
	long verified = SSL_get_verify_result(connection->ssl);
	if (verified != X509_V_OK) {
		ERR_clear_error();
		return pa_error_set(err, PA_ERROR_PERMANENT,
		                    "TLS: the server's certificate is not accepted: %s",
		                    X509_verify_cert_error_string(verified));
	}
	ssize_t why = tls_result(connection, result, err);
	if (why == -EAGAIN)
		return 0;
	if (why == 0)
		return pa_error_set(
		    err, PA_ERROR_TRANSIENT,
		    "TLS: the server closed the connection during the handshake; does it speak TLS?");
	if (ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_SSL || err->class == PA_ERROR_PERMANENT)
		err->class = PA_ERROR_PERMANENT;
	return -(int)err->class;
}

ssize_t ignite_tls_read(struct ignite_connection *connection, struct iovec *parts, int count,
                        struct pa_error *err)
{
	size_t total = 0;

	/* Parts after the first only as far as they can be had without waiting. */
	for (int i = 0; i < count; i++) {
		size_t done = 0;
		while (done < parts[i].iov_len) {
			size_t moved = 0;
			ERR_clear_error();
			errno = 0;
			int result = SSL_read_ex(connection->ssl, (char *)parts[i].iov_base + done,
			                         parts[i].iov_len - done, &moved);
			if (result != 1)
				return total > 0 ? (ssize_t)total : tls_result(connection, result, err);
			done += moved;
			total += moved;
			if (SSL_pending(connection->ssl) == 0)
				return (ssize_t)total;
		}
	}
	return (ssize_t)total;
}

static void fill_record(struct ignite_connection *connection, const struct iovec *parts, int count)
{
	for (int i = 0; i < count && connection->tls_out_bytes < RECORD_BYTES; i++) {
		size_t room = RECORD_BYTES - connection->tls_out_bytes;
		size_t bytes = parts[i].iov_len < room ? parts[i].iov_len : room;
		memcpy(connection->tls_out + connection->tls_out_bytes, parts[i].iov_base, bytes);
		connection->tls_out_bytes += bytes;
	}
}

ssize_t ignite_tls_write(struct ignite_connection *connection, struct iovec *parts, int count,
                         struct pa_error *err)
{
	size_t moved = 0;

	/* A record that could not be sent must be tried again as it was. */
	if (connection->tls_out_bytes == 0)
		fill_record(connection, parts, count);
	ERR_clear_error();
	errno = 0;
	int result = SSL_write_ex(connection->ssl, connection->tls_out, connection->tls_out_bytes, &moved);
	if (result != 1) {
		ssize_t why = tls_result(connection, result, err);
		if (why == 0) {
			pa_error_set(err, PA_ERROR_TRANSIENT, "connection lost: closed by the server");
			return -ECONNRESET;
		}
		return why;
	}
	connection->tls_out_bytes = 0;
	return (ssize_t)moved;
}
