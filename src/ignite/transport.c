/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "ignite/client_internal.h"

static ssize_t plain_result(ssize_t moved, struct pa_error *err, const char *what)
{
	if (moved >= 0)
		return moved;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return -EAGAIN;
	int os_errno = errno;
	pa_error_set_errno(err, os_errno, "%s", what);
	err->class = PA_ERROR_TRANSIENT; /* of the connection; the next may fare better */
	return -os_errno;
}

ssize_t ignite_transport_read(struct ignite_connection *connection, struct iovec *parts, int count,
                              struct pa_error *err)
{
	if (connection->ssl != NULL)
		return ignite_tls_read(connection, parts, count, err);
	return plain_result(readv(connection->fd, parts, count), err, "connection lost");
}

ssize_t ignite_transport_write(struct ignite_connection *connection, struct iovec *parts, int count,
                               struct pa_error *err)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};

	if (connection->ssl != NULL)
		return ignite_tls_write(connection, parts, count, err);
	return plain_result(sendmsg(connection->fd, &message, MSG_NOSIGNAL), err, "connection lost");
}
