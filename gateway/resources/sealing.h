#pragma once
/* Secrets in a request's body (x-secret) are sealed to the pool of the resource before they leave this process. The pool's
 * workers say in the table `pool_key` to which key. */

#include "common/crypto/secret.h"
#include "gateway/http/call.h"

struct db_result;
struct db_statement;

struct sealing {
    uint8_t public_key[SEAL_BOX_KEY_SIZE];
    const struct msg_resource *resource;
    struct uuid company, id; /* of the row that gets the secret */
};

/* Whether the body gives a value to a secret. */
bool sealing_is_needed(const struct msg_resource *resource, const json_t *body);

/* Finds the key of the pool $2. */
extern const struct db_statement sealing_statement;
/* false: the pool has no key, and the call has been answered. */
bool sealing_read_key(struct call *call, const struct db_result *result, struct sealing *sealing);

/* Borrows `sealing`. */
struct msg_sealer sealing_sealer(struct sealing *sealing);
/* For the fingerprint of a command, which is the same when a request comes again: what is sealed is never the same twice. */
extern const struct msg_sealer sealing_leaves_out;
