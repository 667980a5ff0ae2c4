#pragma once
/* Tells gateways to which key they seal the pool's secrets, and seals anew what an older key has sealed. Each process of the
 * pool does it when it starts and now and then; what another one has done meanwhile is left as it is. */

#include <ev.h>

#include "common/db/db.h"
#include "workers/engine/secrets/secrets.h"

struct secret_care;

/* `db` must have nothing else of a transaction open when its loop turns. */
struct secret_care *secret_care_new(struct ev_loop *loop, struct db *db, const char *pool,
                                    const struct secrets *secrets);
void secret_care_free(struct secret_care *care);  /* after its db */
void secret_care_begin(struct secret_care *care); /* the database is up */
void secret_care_drain(struct secret_care *care);
bool secret_care_is_idle(const struct secret_care *care);
