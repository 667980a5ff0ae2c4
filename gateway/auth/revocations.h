#pragma once
/* Tokens that are worth nothing any more (resource `revocation`): known to every gateway process, of every
 * company.
 *
 *   start, every (re)binding of the queue, now and then ─▶ read all that have not expired
 *   event revocation.created (key *.revocation.created, which every process binds) ─▶ added, and sockets are looked at
 *
 * Until the first reading /readyz says no. A reading adds, and what has expired is forgotten: a replica that
 * is behind takes nothing away.
 */

#include "common/broker/envelope.h"
#include "common/crypto/token.h"
#include "gateway/gateway.h"

struct revocations;

#define REVOCATION_EVENT "revocation.created"
#define REVOCATION_KEY   "*." REVOCATION_EVENT

/* on_news: there are new ones, and whoever connected with a token that they mean is to be closed. */
struct revocations *revocations_new(struct gateway *gateway, void (*on_news)(struct gateway *gateway));
void revocations_free(struct revocations *revocations);
bool revocations_are_known(const struct revocations *revocations); /* have been read once */

void revocations_read(struct revocations *revocations);
void revocations_on_event(struct revocations *revocations, const struct event *event);

/* The token that this identity is of has been revoked. */
bool revocations_have(const struct revocations *revocations, const struct identity *identity);
