#pragma once
/* Makes the parts of a gateway process in the order in which they need each other, gives each its listeners,
 * and frees them. Only this file knows all of them. */

#include "gateway/gateway.h"

/* Opens the parts. The caller sets loop, config and keys, and keeps owning them. listen_fd is the one of
 * server_new. After an error, too, gateway_close frees what has been made. */
enum err gateway_open(struct gateway *gateway, int listen_fd) MUST_CHECK;
void gateway_close(struct gateway *gateway);
