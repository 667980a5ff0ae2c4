#include "workers/engine/outbox/event_parcels.h"

#include "common/base/clock.h"
#include "common/broker/event_parcel.h"
#include "workers/engine/outbox/others.h"

enum {
    AROUND_A_BODY = 1024, /* more than an entry takes besides its body */
    UNUSED_MAX = 16,
};

struct letter {
    broker_on_confirm *on_confirm;
    void *arg;
    bool is_for_others; /* an event, not a refusal */
    struct uuid company;
    size_t key;   /* of the parcel's */
    size_t first; /* of the letters with the same company and key */
    enum err err;
};

/* Events for one gateway process that will go out together, and then those that did. */
struct gathered {
    struct event_parcels *parcels;
    struct gathered *next; /* in the order of publishing, or unused */
    struct buf body;
    size_t count;
    struct letter letters[PARCEL_ENTRIES_MAX];
    struct event_parcel_keys keys;
    char reply_key[ENVELOPE_KEY_MAX];
    unsigned unconfirmed; /* messages */
};

/* A message for others that the broker has neither confirmed nor returned. */
struct single {
    struct gathered *gathered;
    size_t at;
    bool is_question; /* whether anybody gets it; those that have its key follow then */
    int64_t sent_ms;
};

struct event_parcels {
    struct ev_loop *loop;
    struct broker *broker;
    struct gateways *gateways;
    struct gathered *first, **last, *unused;
    size_t unused_count;
    size_t messages, bytes; /* that what has gathered may become */
    struct others *others;
    struct envelope_scratch scratch;
    ev_prepare end_of_turn;
    ev_idle again; /* the loop does not sleep while something has gathered after the end of the turn */
};

static void drop(struct gathered *gathered)
{
    buf_done(&gathered->body);
    free(gathered);
}

static void keep_for_later(struct event_parcels *p, struct gathered *gathered)
{
    if (p->unused_count == UNUSED_MAX) {
        drop(gathered);
        return;
    }
    buf_clear(&gathered->body);
    gathered->next = p->unused;
    p->unused = gathered;
    p->unused_count++;
}

static void settle(struct gathered *gathered)
{
    for (size_t i = 0; i < gathered->count; i++)
        gathered->letters[i].on_confirm(gathered->letters[i].arg, gathered->letters[i].err);
    keep_for_later(gathered->parcels, gathered);
}

static void fail(struct gathered *gathered, size_t from, size_t to, enum err err)
{
    for (size_t i = from; i < to; i++)
        if (!gathered->letters[i].err)
            gathered->letters[i].err = err;
}

static void is_answered(struct gathered *gathered)
{
    if (--gathered->unconfirmed == 0)
        settle(gathered);
}

/* ---- one by one ---- */

/* In the order of their entries. POISON: never, because we wrote it. */
static enum err read_next(struct gathered *gathered, struct parcel *parcel, struct event *ret_event)
{
    enum err err = event_parcel_read_entry(parcel_take(parcel), ret_event);
    ret_event->reply_to = slice_of(gathered->reply_key);
    return err;
}

static enum err publish_single(struct event_parcels *p, const struct event *event, enum event_keys keys,
                               broker_on_confirm *on_confirm, void *arg)
{
    struct broker_message message;
    enum err err = envelope_write_event(event, keys, &p->scratch, &message);
    return err ? err : broker_publish(p->broker, &message, on_confirm, arg);
}

/* ---- to others ---- */

static void publish_to_others(struct gathered *gathered, size_t first);

static struct slice key_of(const struct gathered *gathered, const struct letter *letter)
{
    return gathered->keys.key[letter->key];
}

static void on_single_confirm(void *arg, enum err err)
{
    CLEANUP_FREE struct single *single = arg;
    struct gathered *gathered = single->gathered;
    struct others *others = gathered->parcels->others;
    const struct letter *letter = &gathered->letters[single->at];
    if (!err)
        others_note_delivered(others);
    else if (err == ERR_UNROUTABLE)
        others_note_returned(others, &letter->company, key_of(gathered, letter), single->sent_ms);
    else
        fail(gathered, single->at, single->at + 1, err);
    if (!err && single->is_question)
        publish_to_others(gathered, single->at);
    is_answered(gathered);
}

static void send_single(struct gathered *gathered, size_t at, const struct event *event, bool is_question)
{
    struct single *single = xmalloc(sizeof(*single));
    *single = (struct single){gathered, at, is_question, clock_monotonic_ms()};
    gathered->unconfirmed++;
    enum err err = publish_single(gathered->parcels, event, EVENT_KEYS_OTHERS, on_single_confirm, single);
    if (err)
        on_single_confirm(single, err);
}

static size_t count_questions(const struct gathered *gathered)
{
    size_t count = 0;
    for (size_t i = 0; i < gathered->count; i++)
        count += gathered->letters[i].is_for_others && gathered->letters[i].first == i;
    return count;
}

/* Asks with the first event of each key, or sends all when it is known that somebody listens. */
static void ask_others(struct gathered *gathered)
{
    struct parcel parcel;
    struct event event;
    const struct others *others = gathered->parcels->others;
    bool are_there = others_are_there(others), are_many = count_questions(gathered) > OTHERS_KEYS;
    if (parcel_open(buf_slice(&gathered->body), &parcel))
        return;
    for (size_t i = 0; i < gathered->count; i++) {
        const struct letter *letter = &gathered->letters[i];
        if (read_next(gathered, &parcel, &event) || !letter->is_for_others)
            continue;
        bool is_first = letter->first == i;
        bool was_asked = are_many && others_were_asked(others, &letter->company, key_of(gathered, letter));
        if (are_there || (is_first && !was_asked))
            send_single(gathered, i, &event, !are_there);
    }
}

/* Those behind the first of a key, which was a question. */
static void publish_to_others(struct gathered *gathered, size_t first)
{
    struct parcel parcel;
    struct event event;
    if (parcel_open(buf_slice(&gathered->body), &parcel))
        return;
    for (size_t i = 0; i < gathered->count; i++) {
        const struct letter *letter = &gathered->letters[i];
        enum err err = read_next(gathered, &parcel, &event);
        if (!err && letter->is_for_others && letter->first == first && i != first)
            send_single(gathered, i, &event, false);
    }
}

/* ---- publishing ---- */

static void on_parcel_confirm(void *arg, enum err err)
{
    struct gathered *gathered = arg;
    if (err)
        fail(gathered, 0, gathered->count, err);
    is_answered(gathered);
}

static void publish_parcel(struct event_parcels *p, struct gathered *gathered)
{
    struct broker_message message = event_parcel_write(buf_slice(&gathered->body), &gathered->keys);
    gathered->unconfirmed = 2; /* the parcel, and this function */
    enum err err = broker_publish(p->broker, &message, on_parcel_confirm, gathered);
    if (err)
        on_parcel_confirm(gathered, err);
    else
        ask_others(gathered);
    is_answered(gathered);
}

static void publish_only(struct event_parcels *p, struct gathered *gathered)
{
    struct parcel parcel;
    struct event event;
    const struct letter *letter = &gathered->letters[0];
    enum err err = parcel_open(buf_slice(&gathered->body), &parcel);
    if (!err)
        err = read_next(gathered, &parcel, &event);
    if (!err)
        err = publish_single(p, &event, EVENT_KEYS_SLOT, letter->on_confirm, letter->arg);
    if (err)
        letter->on_confirm(letter->arg, err);
    keep_for_later(p, gathered);
}

static struct gathered *take_first(struct event_parcels *p)
{
    struct gathered *gathered = p->first;
    p->first = gathered->next;
    if (!p->first)
        p->last = &p->first;
    return gathered;
}

static void publish_all(struct event_parcels *p)
{
    p->messages = p->bytes = 0;
    while (p->first) {
        struct gathered *gathered = take_first(p);
        parcel_write_head(gathered->body.data + gathered->body.begin, gathered->count);
        if (gathered->count > 1)
            publish_parcel(p, gathered);
        else if (gathered->count == 1)
            publish_only(p, gathered);
        else
            keep_for_later(p, gathered);
    }
}

static void on_end_of_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    (void)events;
    struct event_parcels *p = CONTAINER_OF(prepare, struct event_parcels, end_of_turn);
    publish_all(p);
    ev_idle_stop(loop, &p->again);
}

static void on_again(struct ev_loop *loop, ev_idle *idle, int events)
{
    (void)loop, (void)idle, (void)events; /* on_end_of_turn follows */
}

/* ---- gathering ---- */

static bool has_room(const struct gathered *gathered, const struct event *event)
{
    return gathered->count < PARCEL_ENTRIES_MAX && event_parcel_has_room(&gathered->keys, event) &&
           buf_len(&gathered->body) + event->body.len + AROUND_A_BODY <= PARCEL_BYTES_MAX;
}

static struct gathered *obtain(struct event_parcels *p)
{
    struct gathered *gathered = p->unused;
    if (gathered) {
        p->unused = gathered->next;
        p->unused_count--;
        return gathered;
    }
    gathered = xmalloc(sizeof(*gathered));
    gathered->parcels = p;
    buf_init(&gathered->body, 2 * PARCEL_BYTES_MAX);
    return gathered;
}

static struct gathered *begin(struct event_parcels *p, struct slice reply_to)
{
    char head[PARCEL_HEAD_SIZE] = {0};
    struct gathered *gathered = obtain(p);
    gathered->next = NULL;
    gathered->count = 0;
    event_parcel_clear_keys(&gathered->keys);
    memcpy(gathered->reply_key, reply_to.len > 0 ? reply_to.data : "", reply_to.len);
    gathered->reply_key[reply_to.len] = '\0';
    event_parcel_add_reply_key(&gathered->keys, slice_of(gathered->reply_key));
    buf_append(&gathered->body, head, sizeof(head)); /* written when the count is known */
    *p->last = gathered;
    p->last = &gathered->next;
    return gathered;
}

/* The last one of the reply key, if it has room: those before it are closed. */
static struct gathered *find(struct event_parcels *p, const struct event *event)
{
    struct gathered *found = NULL;
    for (struct gathered *gathered = p->first; gathered; gathered = gathered->next)
        if (slice_is(event->reply_to, gathered->reply_key))
            found = gathered;
    return found && has_room(found, event) ? found : begin(p, event->reply_to);
}

static size_t first_of_key(const struct gathered *gathered, const struct letter *letter)
{
    size_t at = 0;
    while (at < gathered->count &&
           !(gathered->letters[at].is_for_others && gathered->letters[at].key == letter->key &&
             uuid_equal(&gathered->letters[at].company, &letter->company)))
        at++;
    return at;
}

static enum err gather(struct event_parcels *p, const struct event *event, broker_on_confirm *on_confirm,
                       void *arg)
{
    size_t bytes = 2 * (event->body.len + AROUND_A_BODY); /* in a parcel, and by itself to others */
    if (!broker_has_room(p->broker, p->messages + 2, p->bytes + bytes))
        return ERR_BROKER_BUSY;
    struct gathered *gathered = find(p, event);
    struct letter letter = {.on_confirm = on_confirm,
                            .arg = arg,
                            .is_for_others = event->status == ERR_OK,
                            .company = event->company,
                            .first = gathered->count};
    enum err err = event_parcel_add(&gathered->body, event);
    if (err)
        return err;
    if (letter.is_for_others) {
        letter.key = event_parcel_add_key(&gathered->keys, event);
        letter.first = first_of_key(gathered, &letter);
    }
    gathered->letters[gathered->count++] = letter;
    p->messages += 2;
    p->bytes += bytes;
    ev_idle_start(p->loop, &p->again);
    return ERR_OK;
}

enum err event_parcels_publish(struct event_parcels *p, const struct event *event,
                               broker_on_confirm *on_confirm, void *arg)
{
    bool may_gather = gateways_read_parcels(p->gateways, event->reply_to) && event_parcel_takes(event) &&
                      event->body.len + 2 * AROUND_A_BODY <= PARCEL_BYTES_MAX &&
                      event->reply_to.len < ENVELOPE_KEY_MAX;
    if (may_gather)
        return gather(p, event, on_confirm, arg);
    publish_all(p);
    return publish_single(p, event, gateways_keys(p->gateways, event->reply_to), on_confirm, arg);
}

/* ---- the outside ---- */

struct event_parcels *event_parcels_new(struct ev_loop *loop, struct broker *broker,
                                        struct gateways *gateways)
{
    struct event_parcels *p = xcalloc(1, sizeof(*p));
    p->loop = loop;
    p->broker = broker;
    p->gateways = gateways;
    p->others = others_new();
    p->last = &p->first;
    ev_idle_init(&p->again, on_again);
    ev_prepare_init(&p->end_of_turn, on_end_of_turn);
    ev_set_priority(&p->end_of_turn, EV_MINPRI + 1); /* before the broker's connection writes */
    ev_prepare_start(loop, &p->end_of_turn);
    return p;
}

void event_parcels_free(struct event_parcels *p)
{
    ev_prepare_stop(p->loop, &p->end_of_turn);
    ev_idle_stop(p->loop, &p->again);
    while (p->first) {
        struct gathered *gathered = take_first(p);
        fail(gathered, 0, gathered->count, ERR_SHUTTING_DOWN);
        settle(gathered);
    }
    while (p->unused) {
        struct gathered *gathered = p->unused;
        p->unused = gathered->next;
        drop(gathered);
    }
    others_free(p->others);
    free(p);
}
