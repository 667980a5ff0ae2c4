#pragma once
/* The keys of a pool, and what they open.
 *
 *   gateway ── box, sealed to the pool's public key ──▶ message, deferred, dead letter
 *                                                              │ secrets_take
 *                                                              ▼
 *   its user ◀── secrets_open ── "KEY:SEALED" in the column of the row
 */

#include "common/base/arena.h"
#include "common/crypto/secret.h"
#include "common/msg/msg.h"
#include "common/process/config.h"

struct secrets;

/* Of the files that CORTEX_SECRET_KEYS and CORTEX_HOOK_KEYS name, if they do. One that cannot be read is logged:
 * ERR_BAD_REQUEST. */
enum err secrets_new(const struct config *config, struct secrets **ret_secrets) MUST_CHECK;
void secrets_free(struct secrets *secrets);

/* Those under which the field's values rest; NULL: the pool has none. */
const struct seal_keys *secrets_keys(const struct secrets *secrets, const struct msg_field *field);
/* The pair to which gateways seal; NULL: the pool has no keys. */
const struct seal_box *secrets_box(const struct secrets *secrets, const char **ret_key_id);

/* Where a value of the field is at home. */
struct secret_place secrets_place(const struct msg_resource *resource, const struct msg_field *field,
                                  const struct uuid *company, const struct uuid *id);

/* Makes what rests out of what the gateway has sealed, or, without a box (SLICE_NONE), out of a random value; in memory of
 * the arena. false: `why` has a sentence. */
bool secrets_take(const struct secrets *secrets, const struct msg_field *field,
                  const struct secret_place *place, struct slice box, struct arena *arena,
                  struct slice *ret_kept, char why[160]) MUST_CHECK;

/* Appends the value of what rests. The caller wipes it (seal_wipe). false: its key is not there, or it was changed. */
bool secrets_open(const struct secrets *secrets, const struct msg_field *field,
                  const struct secret_place *place, struct slice kept, struct buf *out) MUST_CHECK;
