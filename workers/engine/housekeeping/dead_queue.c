#include "workers/engine/housekeeping/dead_queue.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/base/utf8.h"
#include "common/broker/parcel.h"
#include "common/broker/topology.h"
#include "workers/engine/command/command_list.h"
#include "workers/engine/records/dead_letter.h"

static const double AGAIN_S = 1; /* from a failure of the database to the next try */

enum { PREFETCH = 16, NAME_SIZE = 160, REASON_SIZE = 64 };

/* A delivery that is not acked. */
struct dead_delivery {
    uint64_t tag;
    size_t left; /* commands of it that are not rows; 0: the place is free */
};

struct dead_queue {
    struct ev_loop *loop;
    struct db *db;
    const char *pool;
    int64_t delivery_limit;
    struct broker *broker;
    struct records records;
    struct command_list waiting;
    struct dead_delivery open[PREFETCH]; /* of the connection with that epoch */
    uint32_t epoch;
    ev_timer again;
};

/* A command while its dead letter is written. */
struct dead_letter_write {
    struct dead_queue *queue;
    struct command *command;
    enum err err;
    bool is_of_its_data; /* the failure: the database will not take it another time */
};

/* ---- deliveries ---- */

static void open_delivery(struct dead_queue *queue, const struct broker_delivery *delivery, size_t commands)
{
    size_t i = 0;
    if (queue->epoch != delivery->epoch)
        memset(queue->open, 0, sizeof(queue->open));
    queue->epoch = delivery->epoch;
    while (queue->open[i].left > 0) /* the prefetch leaves one free */
        i++;
    queue->open[i] = (struct dead_delivery){.tag = delivery->tag, .left = commands};
}

static void ack_when_all_are_kept(struct dead_queue *queue, const struct command *command)
{
    if (command->epoch != queue->epoch)
        return;
    for (size_t i = 0; i < ARRAY_LEN(queue->open); i++)
        if (queue->open[i].left > 0 && queue->open[i].tag == command->tag && --queue->open[i].left == 0)
            broker_ack(queue->broker, command->epoch, command->tag, false);
}

/* ---- rows ---- */

/* The database does not take the message as it is, and would not the next time. What is kept of it then is its
 * bytes, which every row takes. */
static void make_plain(struct command *command)
{
    command->reading = READING_NOTHING;
    command->envelope.type = command->envelope.correlation_id = command->envelope.reply_to = SLICE_NONE;
    command->why = SLICE("unreadable");
}

/* Data exception, program limit exceeded (PostgreSQL manual, appendix A). */
static bool is_of_data(const char *sqlstate)
{
    return strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "54", 2) == 0;
}

static void on_kept(void *arg, struct db_result *result)
{
    struct dead_letter_write *write = arg;
    enum err err = db_result_error(result);
    char id[UUID_TEXT_LEN + 1];
    write->err = err;
    write->is_of_its_data = is_of_data(db_result_sqlstate(result));
    uuid_format(&write->command->envelope.id, id);
    if (err && err != ERR_SHUTTING_DOWN)
        log_warn("dead_queue.failed", LOG_S("error", err_info(err)->name), LOG_S("command", id),
                 LOG_S("message", db_result_message(result)));
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    dead_queue_run(CONTAINER_OF(timer, struct dead_queue, again));
}

static void on_committed(void *arg, enum err err)
{
    CLEANUP_FREE struct dead_letter_write *write = arg;
    struct dead_queue *queue = write->queue;
    err = write->err ? write->err : err;
    if (!err) {
        ack_when_all_are_kept(queue, write->command);
        command_free(write->command);
        return;
    }
    if (write->is_of_its_data)
        make_plain(write->command);
    command_list_append(&queue->waiting, write->command);
    if (err != ERR_SHUTTING_DOWN && !ev_is_active(&queue->again)) {
        ev_timer_set(&queue->again, AGAIN_S, 0);
        ev_timer_start(queue->loop, &queue->again);
    }
}

static void write_dead_letter(struct dead_queue *queue, struct command *command)
{
    struct dead_letter_write *write = xcalloc(1, sizeof(*write));
    *write = (struct dead_letter_write){.queue = queue, .command = command};
    dead_letter_keep(&queue->records, command, command->why, on_kept, write);
    db_sync(queue->db, on_committed, write);
}

void dead_queue_run(struct dead_queue *queue)
{
    while (queue->waiting.count > 0 && !ev_is_active(&queue->again)) {
        if (queue->waiting.first->epoch != broker_epoch(queue->broker)) /* the broker delivers it again */
            command_free(command_list_take(&queue->waiting));
        else if (db_is_up(queue->db))
            write_dead_letter(queue, command_list_take(&queue->waiting));
        else
            return;
    }
}

/* ---- the outside ---- */

void dead_queue_consume(struct dead_queue *queue)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof(name), EXCHANGE_DEAD ".%s", queue->pool);
    broker_consume(queue->broker, name, DEAD_QUEUE_TAG, PREFETCH, false, false);
}

/* How often the command was delivered by the queue in which it died. The count in the delivery is that of
 * this queue. */
static unsigned attempts_of(const struct dead_queue *queue, struct slice reason)
{
    return slice_is(reason, "delivery_limit") ? (unsigned)queue->delivery_limit + 1 : 1;
}

static void take_command(struct dead_queue *queue, const struct broker_delivery *delivery,
                         struct command *command)
{
    const struct broker_header *reason = broker_delivery_header(delivery, "x-first-death-reason");
    bool has_reason = reason && !reason->is_integer && reason->text.len < REASON_SIZE &&
                      utf8_valid(reason->text) && !memchr(reason->text.data, '\0', reason->text.len);
    command->why = has_reason ? arena_copy(&command->arena, reason->text) : SLICE("unreadable");
    command->attempts = attempts_of(queue, command->why);
    command_list_append(&queue->waiting, command);
}

void dead_queue_take(struct dead_queue *queue, const struct broker_delivery *delivery)
{
    struct parcel parcel;
    bool is_parcel = parcel_is(delivery) && parcel_open(delivery->body, &parcel) == ERR_OK;
    open_delivery(queue, delivery, is_parcel ? parcel.count : 1);
    if (!is_parcel)
        take_command(queue, delivery, command_new(delivery));
    while (is_parcel && parcel.count > 0)
        take_command(queue, delivery, command_new_of_entry(delivery, parcel_take(&parcel)));
    dead_queue_run(queue);
}

struct dead_queue *dead_queue_new(struct ev_loop *loop, struct broker *broker, struct db *db,
                                  const char *pool, int64_t delivery_limit)
{
    struct dead_queue *queue = xcalloc(1, sizeof(*queue));
    queue->loop = loop;
    queue->broker = broker;
    queue->db = db;
    queue->pool = pool;
    queue->delivery_limit = delivery_limit;
    records_init(&queue->records, db, pool);
    command_list_init(&queue->waiting);
    ev_timer_init(&queue->again, on_again, 0, 0);
    return queue;
}

void dead_queue_free(struct dead_queue *queue)
{
    if (!queue)
        return;
    ev_timer_stop(queue->loop, &queue->again);
    while (queue->waiting.count > 0)
        command_free(command_list_take(&queue->waiting));
    records_done(&queue->records);
    free(queue);
}
