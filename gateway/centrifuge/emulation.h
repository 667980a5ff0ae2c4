#pragma once
/* POST /emulation: what the client of a stream (http_stream.h) has to say. The request may reach any gateway process; it
 * names the one that has the stream (`node`) and the stream's secret (`session`). A process that does not have the
 * stream asks the one that does to hear the commands, over the bus.
 *
 * 204: the session has heard them; the answers come on the stream. 404: there is no such session, or its process is gone.
 * 503: nobody can tell. After both the client connects again, as on a socket that has broken. A wrong secret counts against
 * the client's address as a wrong token does (limit/addresses.h). */

#include "gateway/http/call.h"

#define EMULATION_TYPE "emulation" /* of the question of another process (bus/peers.h) */

void emulation_post(struct call *call);
/* OK: they have been heard. NOT_FOUND: there is no such session here. */
enum err emulation_on_question(struct gateway *gateway, struct slice body);
