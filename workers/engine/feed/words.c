#include "workers/engine/feed/words.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/broker/envelope.h"
#include "common/broker/topology.h"

enum { KEY_SIZE = 16, WAITING_MAX = 10000 };

#define CONSUMER_TAG "feed"

struct words {
    struct broker *broker;
    const struct words_callbacks *callbacks;
    void *ctx;
    const char *pool;
    char queue[TOPOLOGY_NAME_SIZE];
    uint32_t companies[TOPOLOGY_EVENT_SLOTS]; /* of each slot */
    unsigned unanswered;                      /* bindings that the broker has not confirmed yet */
    bool is_up;
};

struct words *words_new(struct broker *broker, const char *pool, const struct words_callbacks *callbacks,
                        void *ctx)
{
    struct words *w = xcalloc(1, sizeof(*w));
    w->broker = broker;
    w->pool = pool;
    w->callbacks = callbacks;
    w->ctx = ctx;
    return w;
}

void words_free(struct words *w)
{
    free(w);
}

/* ---- bindings ---- */

static void key_of(unsigned slot, char key[KEY_SIZE])
{
    char text[TOPOLOGY_SLOT_SIZE];
    topology_event_slot_format(slot, text);
    snprintf(key, KEY_SIZE, "%s.#", text);
}

static void bind_slot(struct words *w, unsigned slot)
{
    char key[KEY_SIZE];
    key_of(slot, key);
    broker_bind(w->broker, w->queue, EXCHANGE_SLOTS, key);
}

static void unbind_slot(struct words *w, unsigned slot)
{
    char key[KEY_SIZE];
    key_of(slot, key);
    broker_unbind(w->broker, w->queue, EXCHANGE_SLOTS, key);
}

static void on_bound(void *arg)
{
    struct words *w = arg;
    if (w->unanswered > 0 && --w->unanswered == 0)
        w->callbacks->on_bound(w->ctx);
}

static void ask_when_bound(struct words *w)
{
    w->unanswered++;
    broker_after_declarations(w->broker, on_bound, w);
}

void words_up(struct words *w)
{
    const struct broker_header bound = {
        .name = SLICE("x-max-length"), .is_integer = true, .integer = WAITING_MAX};
    topology_exclusive_queue("feed", w->pool, w->queue, sizeof(w->queue));
    broker_declare_queue(w->broker, &(struct broker_queue){.name = w->queue,
                                                           .exclusive = true,
                                                           .auto_delete = true,
                                                           .arguments = &bound,
                                                           .argument_count = 1});
    for (unsigned slot = 0; slot < TOPOLOGY_EVENT_SLOTS; slot++)
        if (w->companies[slot] > 0)
            bind_slot(w, slot);
    broker_consume(w->broker, w->queue, CONSUMER_TAG, 0, true, true);
    w->is_up = true;
    w->unanswered = 0;
    ask_when_bound(w);
}

void words_down(struct words *w)
{
    w->is_up = false;
    w->unanswered = 0;
}

bool words_add(struct words *w, const struct uuid *company)
{
    unsigned slot = topology_event_slot(company);
    bool is_new = w->companies[slot]++ == 0;
    if (is_new && w->is_up) {
        bind_slot(w, slot);
        ask_when_bound(w);
    }
    return is_new || w->unanswered > 0 || !w->is_up;
}

void words_remove(struct words *w, const struct uuid *company)
{
    unsigned slot = topology_event_slot(company);
    if (--w->companies[slot] == 0 && w->is_up)
        unbind_slot(w, slot);
}

/* ---- words ---- */

bool words_delivery(struct words *w, const struct broker_delivery *delivery)
{
    struct event event;
    if (!slice_is(delivery->consumer_tag, CONSUMER_TAG))
        return false;
    if (envelope_read_event(delivery, &event))
        log_debug("feed.unreadable_word",
                  LOG_B("type", delivery->type)); /* the walk finds what it was about */
    else if (event.seq > 0)
        w->callbacks->on_word(w->ctx, &event.company);
    return true;
}
