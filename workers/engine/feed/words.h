#pragma once
/* Hears on `events.slots` that a company has new events, bound for the slots of the companies that were added.
 *
 * The queue is exclusive and bounded: what does not fit, or comes while the connection is away, is lost. on_bound says
 * that what was added is bound now; of events from before, words may be missing. */

#include "common/base/uuid.h"
#include "common/broker/broker.h"

struct words;

struct words_callbacks {
    void (*on_word)(void *ctx, const struct uuid *company); /* of any company in these slots */
    void (*on_bound)(void *ctx);
};

/* `pool` is kept, not copied. */
struct words *words_new(struct broker *broker, const char *pool, const struct words_callbacks *callbacks,
                        void *ctx);
void words_free(struct words *words); /* after its broker */

void words_up(struct words *words);
void words_down(struct words *words);
bool words_delivery(struct words *words, const struct broker_delivery *delivery); /* false: none of ours */

/* Each company is added once before it is removed. true: its slot is not bound yet, and on_bound follows. */
bool words_add(struct words *words, const struct uuid *company);
void words_remove(struct words *words, const struct uuid *company);
