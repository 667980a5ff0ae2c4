#pragma once
/* What a worker process does beside its pool's commands. It has connections of its own, so that neither waits
 * for the other:
 *
 *   control.<pool>.requests ─▶ operators' requests (operator.h), questions for secrets (secret_questions.h)
 *   acts ───────────▶ what operators asked of managers, for the record (acts.h)
 *   dead.<pool> ────▶ messages that the broker gave up (dead_queue.h)
 *   schedule ───────▶ what is due by the clock, retention among it (schedules.h)
 *   <table>_text_changed ▶ what text search has to learn (text_blocks.h)
 *   secrets ────────▶ what an older key has sealed (workers/engine/secrets/care.h)
 *
 * Every process of a pool does this; what one leaves undone when it dies, another one does. What does not belong to
 * one pool (the schedules, text search) is looked for most often by the workers of the first pool (pools.def). Those of
 * the other pools look HOUSEKEEPING_PATIENCE times more rarely, so that it is also done while the first pool is away
 * and a further pool costs little while nothing happens. */

#include <ev.h>

#include "common/process/config.h"
#include "workers/engine/secrets/secrets.h"

enum { HOUSEKEEPING_PATIENCE = 10 };

struct housekeeping;

/* Strings of `config`, `pool` and `secrets` must outlive it. */
enum err housekeeping_new(struct ev_loop *loop, const struct config *config, const char *pool,
                          const struct secrets *secrets, struct housekeeping **ret_housekeeping) MUST_CHECK;
void housekeeping_free(struct housekeeping *housekeeping);

void housekeeping_changed(struct housekeeping *housekeeping); /* a command of the pool was committed */

void housekeeping_drain(struct housekeeping *housekeeping); /* it takes nothing more */
bool housekeeping_is_idle(const struct housekeeping *housekeeping);

/* Requests of operators and dead letters of the broker come in. */
bool housekeeping_hears(const struct housekeeping *housekeeping);
