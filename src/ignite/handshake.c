/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ignite/client_internal.h"

int ignite_handshake_begin(struct pa_ignite *ignite, struct ignite_connection *connection,
                           struct pa_error *err)
{
	struct ignite_writer measure = {0};
	struct ignite_version version = connection->node->version;

	connection->version = version;
	connection->stage = IGNITE_HANDSHAKE;
	ignite_encode_handshake(&measure, version, ignite->options.user, ignite->options.password);
	pa_buffer_clear(&connection->handshake);
	connection->handshake_sent = 0;
	if (!pa_buffer_reserve(&connection->handshake, measure.length))
		return pa_error_set(err, PA_ERROR_INPUT, "user and password are too long");
	struct ignite_writer writer = {.data = (uint8_t *)connection->handshake.data, .room = measure.length};
	ignite_encode_handshake(&writer, version, ignite->options.user, ignite->options.password);
	connection->handshake.length = measure.length;
	return ignite_send(ignite, connection, err);
}

/* Another version that both speak: kept for the node, the next connection begins with it at once. */
static int refused(struct ignite_connection *connection, const struct ignite_handshake *answer,
                   struct pa_error *err)
{
	struct ignite_node *node = connection->node;
	struct ignite_version theirs = answer->server_version;
	bool other = memcmp(&theirs, &connection->version, sizeof(theirs)) != 0;
	bool none = theirs.major == 0 && theirs.minor == 0 && theirs.patch == 0;

	if (none || !other)
		return ignite_connection_error(connection, err);
	if (!ignite_version_known(theirs) || node->version_retried) {
		pa_error_set(
		    err, PA_ERROR_PERMANENT,
		    "the server speaks version %d.%d.%d of the thin protocol, this client 1.4 to 1.7 "
		    "(Ignite 2.8 and later)",
		    theirs.major, theirs.minor, theirs.patch);
		return ignite_connection_error(connection, err);
	}
	node->version = theirs;
	node->version_retried = true;
	node->retry_at_once = true;
	pa_error_set(err, PA_ERROR_TRANSIENT, "the server wants version %d.%d.%d", theirs.major, theirs.minor,
	             theirs.patch);
	return ignite_connection_error(connection, err);
}

int ignite_handshake_answer(struct pa_ignite *ignite, struct ignite_connection *connection, const void *data,
                            size_t bytes, struct pa_error *err)
{
	struct ignite_handshake answer;

	if (ignite_decode_handshake(data, bytes, connection->version, &answer, err) < 0)
		return ignite_connection_error(connection, err);
	if (!answer.accepted)
		return refused(connection, &answer, err);
	connection->features = answer.features;
	if (ignite_node_met(ignite, connection, answer.node, err) < 0)
		return -(int)err->class;
	connection->stage = IGNITE_READY;
	connection->node->version_retried = false;
	ignite_node_ready(ignite, connection);
	return 0;
}
