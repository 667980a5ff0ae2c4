#pragma once
/* What the gateway asks for GET …/secret: the secrets of one entity that are valid now. The answer is sealed to the key that
 * the question brings, and is kept nowhere; so it is no operator's request, which leaves a record.
 *
 *   control.<pool> ─ type "secret.read", {"resource", "id", "key"}, header company ─▶ secret_questions_take
 *   {"sealed": a box: {"secret", "previous": null or {"secret", "until"}}} ─▶ reply, ack
 */

#include "common/broker/broker.h"
#include "common/db/db.h"
#include "workers/engine/secrets/secrets.h"

struct secret_questions;

struct secret_questions *secret_questions_new(struct db *db, struct broker *broker, const char *pool,
                                              const struct secrets *secrets);
void secret_questions_free(struct secret_questions *questions); /* after its db */

/* false: it is no such question. */
bool secret_questions_take(struct secret_questions *questions, const struct broker_delivery *delivery);
size_t secret_questions_open(const struct secret_questions *questions);
