#pragma once
/* Revoked tokens (resource `revocation`). Every gateway process knows those of every company.
 *
 *   start ─▶ all revocations are read, the last one of each user
 *   every binding of the queue, each minute ─▶ those of the last hour, or since the last reading, are read
 *   event revocation.created, for which every process binds its queue ─▶ one is added
 *
 * Until the first reading, /readyz says no, and nobody is believed (auth.h). A revocation holds for good, whatever
 * its expires_at says: a token with an iat is dead after CORTEX_AUTH_MAX_LIFE_MS anyway, and of one without an iat
 * nobody knows how old it is. A reading only adds, so a replica of the database that is behind takes nothing away.
 */

#include "common/broker/envelope.h"
#include "common/crypto/token.h"
#include "gateway/gateway.h"

struct revocations;

#define REVOCATION_EVENT "revocation.created"
#define REVOCATION_KEY   "*." REVOCATION_EVENT

/* on_news is called when there are new revocations: the connections that were opened with such tokens must be
 * closed. */
struct revocations *revocations_new(struct gateway *gateway, void (*on_news)(struct gateway *gateway));
void revocations_free(struct revocations *revocations);
bool revocations_are_known(const struct revocations *revocations); /* they have been read at least once */

void revocations_assume_none(struct revocations *revocations); /* for tests that have no database */

void revocations_read(struct revocations *revocations);
void revocations_on_event(struct revocations *revocations, const struct event *event);

/* Whether the token that this identity comes from has been revoked. */
bool revocations_have(const struct revocations *revocations, const struct identity *identity);
