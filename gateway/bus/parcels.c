#include "gateway/bus/parcels.h"

#include "common/base/log.h"
#include "common/broker/parcel.h"
#include "common/broker/topology.h"

enum { AROUND_A_BODY = 1024 /* more than an entry takes besides its body */ };

/* The commands of one partition that will go out together. */
struct gathered {
    struct gathered *next; /* in the order of publishing, or unused */
    const char *pool;
    unsigned partition;
    struct buf body;
    size_t count;
    void *args[PARCEL_ENTRIES_MAX];
};

/* A message that the broker has neither confirmed nor refused. */
struct sent {
    struct parcels *parcels;
    size_t count;
    void *args[];
};

struct parcels {
    struct gateway *gateway;
    struct broker *publisher;
    const struct parcel_readers *readers;
    broker_on_confirm *on_confirm;
    struct gathered *first, **last, *unused;
    size_t unconfirmed; /* commands, gathered or published */
    uint64_t messages, bytes;
    struct envelope_scratch scratch;
    ev_prepare end_of_turn;
    ev_idle again; /* the loop does not sleep while something has gathered after the end of the turn */
};

/* ---- publishing ---- */

static void settle(struct parcels *parcels, void *const *args, size_t count, enum err err)
{
    parcels->unconfirmed -= count;
    for (size_t i = 0; i < count; i++)
        parcels->on_confirm(args[i], err);
}

static void on_message_confirm(void *arg, enum err err)
{
    CLEANUP_FREE struct sent *sent = arg;
    settle(sent->parcels, sent->args, sent->count, err);
}

static void publish(struct parcels *parcels, const struct broker_message *message, void *const *args,
                    size_t count)
{
    struct sent *sent = xmalloc(sizeof(*sent) + count * sizeof(*args));
    sent->parcels = parcels;
    sent->count = count;
    memcpy(sent->args, args, count * sizeof(*args));
    parcels->messages++;
    parcels->bytes += message->body.len;
    enum err err = broker_publish(parcels->publisher, message, on_message_confirm, sent);
    if (err)
        on_message_confirm(sent, err);
}

static void publish_one(struct parcels *parcels, const struct gathered *gathered, struct slice entry,
                        void *arg)
{
    struct envelope envelope;
    struct broker_message message;
    enum err err = parcel_read_entry(entry, &envelope);
    if (!err)
        err = envelope_write_command(&envelope, gathered->pool, parcels->gateway->config->partitions,
                                     &parcels->scratch, &message);
    if (err)
        settle(parcels, &arg, 1, err);
    else
        publish(parcels, &message, &arg, 1);
}

static void publish_each(struct parcels *parcels, const struct gathered *gathered)
{
    struct parcel parcel;
    if (parcel_open(buf_slice(&gathered->body), &parcel)) { /* never: we wrote it */
        settle(parcels, gathered->args, gathered->count, ERR_INTERNAL);
        return;
    }
    for (size_t i = 0; i < gathered->count; i++)
        publish_one(parcels, gathered, parcel_take(&parcel), gathered->args[i]);
}

static void publish_parcel(struct parcels *parcels, const struct gathered *gathered)
{
    struct broker_message message;
    enum err err = parcel_write(buf_slice(&gathered->body), gathered->pool, gathered->partition,
                                &parcels->scratch, &message);
    if (err)
        settle(parcels, gathered->args, gathered->count, err);
    else
        publish(parcels, &message, gathered->args, gathered->count);
}

static void publish_gathered(struct parcels *parcels, struct gathered *gathered)
{
    parcel_write_head(gathered->body.data + gathered->body.begin, gathered->count);
    if (gathered->count > 1 && parcel_readers_are_all(parcels->readers, gathered->pool))
        publish_parcel(parcels, gathered);
    else
        publish_each(parcels, gathered);
}

/* ---- gathering ---- */

static struct gathered *take_first(struct parcels *parcels)
{
    struct gathered *gathered = parcels->first;
    parcels->first = gathered->next;
    if (!parcels->first)
        parcels->last = &parcels->first;
    return gathered;
}

static void keep_for_later(struct parcels *parcels, struct gathered *gathered)
{
    buf_clear(&gathered->body);
    gathered->count = 0;
    gathered->next = parcels->unused;
    parcels->unused = gathered;
}

static void publish_all(struct parcels *parcels)
{
    while (parcels->first) {
        struct gathered *gathered = take_first(parcels);
        publish_gathered(parcels, gathered);
        keep_for_later(parcels, gathered);
    }
}

static void on_end_of_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    (void)events;
    struct parcels *parcels = CONTAINER_OF(prepare, struct parcels, end_of_turn);
    publish_all(parcels);
    ev_idle_stop(loop, &parcels->again);
}

static void on_again(struct ev_loop *loop, ev_idle *idle, int events)
{
    (void)loop, (void)idle, (void)events; /* on_end_of_turn follows */
}

static bool has_room(const struct gathered *gathered, const struct envelope *envelope)
{
    return gathered->count < PARCEL_ENTRIES_MAX &&
           buf_len(&gathered->body) + envelope->body.len + AROUND_A_BODY <= PARCEL_BYTES_MAX;
}

static struct gathered *begin(struct parcels *parcels, const char *pool, unsigned partition)
{
    char head[PARCEL_HEAD_SIZE] = {0};
    struct gathered *gathered = parcels->unused;
    if (gathered) {
        parcels->unused = gathered->next;
    } else {
        gathered = xcalloc(1, sizeof(*gathered));
        buf_init(&gathered->body, BROKER_BODY_MAX + AROUND_A_BODY);
    }
    gathered->next = NULL;
    gathered->pool = pool;
    gathered->partition = partition;
    buf_append(&gathered->body, head, sizeof(head)); /* written when the count is known */
    *parcels->last = gathered;
    parcels->last = &gathered->next;
    return gathered;
}

/* The last one of the partition, if it has room: those before it are closed. */
static struct gathered *find(struct parcels *parcels, const char *pool, unsigned partition,
                             const struct envelope *envelope)
{
    struct gathered *found = NULL;
    for (struct gathered *gathered = parcels->first; gathered; gathered = gathered->next)
        if (gathered->partition == partition && strcmp(gathered->pool, pool) == 0)
            found = gathered;
    return found && has_room(found, envelope) ? found : begin(parcels, pool, partition);
}

enum err parcels_add(struct parcels *parcels, const char *pool, const struct envelope *envelope, void *arg)
{
    const struct config *config = parcels->gateway->config;
    if (parcels->unconfirmed >= (size_t)config->unconfirmed_max)
        return ERR_BROKER_BUSY;
    unsigned partition = topology_partition(&envelope->company, config->partitions);
    struct gathered *gathered = find(parcels, pool, partition, envelope);
    enum err err = parcel_add(&gathered->body, envelope);
    if (err)
        return err;
    gathered->args[gathered->count++] = arg;
    parcels->unconfirmed++;
    ev_idle_start(parcels->gateway->loop, &parcels->again);
    return ERR_OK;
}

/* ---- the outside ---- */

struct parcels *parcels_new(struct gateway *gateway, struct broker *publisher,
                            const struct parcel_readers *readers, broker_on_confirm *on_confirm)
{
    struct parcels *parcels = xcalloc(1, sizeof(*parcels));
    parcels->gateway = gateway;
    parcels->publisher = publisher;
    parcels->readers = readers;
    parcels->on_confirm = on_confirm;
    parcels->last = &parcels->first;
    ev_idle_init(&parcels->again, on_again);
    ev_prepare_init(&parcels->end_of_turn, on_end_of_turn);
    ev_set_priority(&parcels->end_of_turn, EV_MINPRI + 1); /* before the broker's connection writes */
    ev_prepare_start(gateway->loop, &parcels->end_of_turn);
    return parcels;
}

void parcels_stop(struct parcels *parcels)
{
    ev_prepare_stop(parcels->gateway->loop, &parcels->end_of_turn);
    ev_idle_stop(parcels->gateway->loop, &parcels->again);
    while (parcels->first) {
        struct gathered *gathered = take_first(parcels);
        settle(parcels, gathered->args, gathered->count, ERR_SHUTTING_DOWN);
        keep_for_later(parcels, gathered);
    }
}

void parcels_free(struct parcels *parcels)
{
    while (parcels->unused) {
        struct gathered *gathered = parcels->unused;
        parcels->unused = gathered->next;
        buf_done(&gathered->body);
        free(gathered);
    }
    free(parcels);
}

int64_t parcels_average_bytes(const struct parcels *parcels)
{
    return parcels->messages > 0 ? (int64_t)(parcels->bytes / parcels->messages) + 1 : 1;
}
