#include "common/broker/private.h"

enum {
    FIRST_CAPACITY = 64,
    /* Slots behind the oldest unconfirmed message take a pointer each even when they are confirmed. So a slow
     * queue may hold up this many windows of the other queues, and not more. */
    SPAN_WINDOWS = 16,
};

void broker_confirms_init(struct broker_confirms *c, size_t count_max, size_t bytes_max)
{
    *c = (struct broker_confirms){.count_max = count_max, .bytes_max = bytes_max, .capacity = FIRST_CAPACITY};
    c->ring = xcalloc(c->capacity, sizeof(struct broker_frames *));
}

bool broker_confirms_has_room(const struct broker_confirms *c, size_t messages, size_t bytes)
{
    return c->count + messages <= c->count_max &&
           c->next - c->first + messages <= c->count_max * SPAN_WINDOWS && bytes <= c->bytes_max &&
           c->bytes <= c->bytes_max - bytes;
}

static struct broker_frames **slot_of(struct broker_confirms *c, uint64_t slot)
{
    return &c->ring[slot & (c->capacity - 1)];
}

static void grow(struct broker_confirms *c)
{
    struct broker_confirms larger = *c;
    larger.capacity = c->capacity * 2;
    larger.ring = xcalloc(larger.capacity, sizeof(struct broker_frames *));
    for (uint64_t slot = c->first; slot < c->next; slot++)
        *slot_of(&larger, slot) = *slot_of(c, slot);
    free(c->ring);
    *c = larger;
}

void broker_confirms_add(struct broker_confirms *c, struct broker_frames *frames)
{
    if (c->next - c->first == c->capacity)
        grow(c);
    *slot_of(c, c->next++) = frames;
    c->count++;
    c->bytes += frames->size;
    c->unsent_bytes += frames->size;
}

/* Takes the message out before the callback runs, because the callback may publish and so move the ring. */
static void settle_slot(struct broker *b, uint64_t slot, enum err err)
{
    struct broker_confirms *c = &b->confirms;
    struct broker_frames *frames = TAKE(*slot_of(c, slot));
    if (!frames)
        return; /* settled before; a multiple ack covers it again */
    c->count--;
    c->bytes -= frames->size;
    while (c->first < c->unsent && !*slot_of(c, c->first))
        c->first++;
    broker_on_confirm *on_confirm = frames->on_confirm;
    void *arg = frames->arg;
    enum err outcome = frames->returned ? ERR_UNROUTABLE : err;
    free(frames);
    if (on_confirm)
        on_confirm(arg, outcome);
}

void broker_confirms_settle(struct broker *b, uint64_t tag, bool multiple, enum err err)
{
    struct broker_confirms *c = &b->confirms;
    uint64_t sent = c->unsent - c->tag_base; /* the highest tag that the server can know */
    if (multiple && tag == 0)
        tag = sent;
    else if (tag == 0 || tag > sent) {
        broker_fail(b, "the server confirmed message %llu of %llu", (unsigned long long)tag,
                    (unsigned long long)sent);
        return;
    }
    if (!multiple) {
        if (c->tag_base + tag - 1 >= c->first)
            settle_slot(b, c->tag_base + tag - 1, err);
        return;
    }
    uint64_t end = c->tag_base + tag;
    for (uint64_t slot = c->first; slot < end; slot++)
        settle_slot(b, slot, err);
}

static bool is_returned_one(const struct broker_frames *frames, struct slice exchange,
                            struct slice routing_key, struct slice id)
{
    return frames && frames->mandatory && !frames->returned &&
           slice_equal(broker_frames_message_id(frames), id) &&
           slice_equal(broker_frames_routing_key(frames), routing_key) &&
           slice_equal(broker_frames_exchange(frames), exchange);
}

/* A return names no delivery tag. The server returns messages in the order of publishing and before their
 * confirms, so the search continues where the last one ended. */
void broker_confirms_returned(struct broker *b, struct slice exchange, struct slice routing_key,
                              struct slice id)
{
    struct broker_confirms *c = &b->confirms;
    if (c->return_from < c->first || c->return_from > c->unsent)
        c->return_from = c->first;
    uint64_t span = c->unsent - c->first;
    for (uint64_t i = 0, slot = c->return_from; i < span; i++, slot++) {
        if (slot >= c->unsent)
            slot = c->first;
        struct broker_frames *frames = broker_confirms_at(c, slot);
        if (is_returned_one(frames, exchange, routing_key, id)) {
            frames->returned = true;
            c->return_from = slot + 1;
            return;
        }
    }
}

/* Closes the gaps, so that delivery tags are slots again. */
static void compact(struct broker_confirms *c)
{
    uint64_t to = c->first;
    for (uint64_t slot = c->first; slot < c->next; slot++) {
        struct broker_frames *frames = TAKE(*slot_of(c, slot));
        if (!frames)
            continue;
        frames->returned = false;
        *slot_of(c, to++) = frames;
    }
    c->next = to;
}

static void fit_frames(struct broker *b)
{
    struct broker_confirms *c = &b->confirms;
    for (uint64_t slot = c->first; slot < c->next; slot++) {
        struct broker_frames *old = broker_confirms_at(c, slot);
        if (!old || old->largest_frame <= b->frame_max)
            continue;
        struct broker_frames *frames = broker_frames_reframe(old, b->frame_max);
        if (!frames) {
            settle_slot(b, slot, ERR_HEADERS_TOO_LARGE);
            continue;
        }
        c->bytes += frames->size - old->size;
        *slot_of(c, slot) = frames;
        free(old);
    }
}

void broker_confirms_rewind(struct broker_confirms *c)
{
    compact(c);
    c->unsent = c->tag_base = c->return_from = c->first;
    c->written = 0;
    c->unsent_bytes = c->bytes;
}

void broker_confirms_restart(struct broker *b)
{
    fit_frames(b);
    broker_confirms_rewind(&b->confirms);
}

void broker_confirms_done(struct broker *b)
{
    struct broker_confirms *c = &b->confirms;
    for (uint64_t slot = c->first; slot < c->next; slot++)
        if (broker_confirms_at(c, slot)) {
            broker_confirms_at(c, slot)->returned = false;
            settle_slot(b, slot, ERR_SHUTTING_DOWN);
        }
    free(TAKE(c->ring));
}
