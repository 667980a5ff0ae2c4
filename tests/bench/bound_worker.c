#include "tests/bench/bound.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/topology.h"
#include "tests/bench/wire.h"

/* What is kept of a delivery. */
struct work {
    uint64_t tag;
    char id[UUID_TEXT_LEN + 1], name[BOUND_NAME_LEN + 1];
    char correlation[64], reply_to[64];
};

/* A committed batch whose events are on their way: the command is acked when the broker has them all. */
struct committed {
    uint64_t last_delivery, last_event;
};

/* IDLE ──commands waiting──▶ COUNTING ──first seq and number──▶ INSERTING ──committed──▶ IDLE */
enum phase { IDLE, COUNTING, INSERTING };

enum { WAITING_MAX = 2 * BOUND_PREFETCH, COMMITTED_MAX = WAITING_MAX, EVENT_MAX = 2048 };

struct worker {
    struct wire wire;
    PGconn *db;
    enum phase phase;
    struct work waiting[WAITING_MAX]; /* a ring: those of the batch are at its front */
    size_t first, count, batch;
    struct committed committed[COMMITTED_MAX];
    size_t committed_first, committed_count;
    int64_t seq, number; /* before the batch */
    char at[CLOCK_TEXT_SIZE];
    bool failed;
};

enum statement { COUNT_EVENTS, COUNT_PROJECTS, INSERT_PROJECT, INSERT_EVENT, INSERT_INBOX };

static const char *const statements[] = {
    [COUNT_EVENTS] = "UPDATE company_sequence SET seq = seq + $2 WHERE company_id = $1 RETURNING seq - $2",
    [COUNT_PROJECTS] = "INSERT INTO counter VALUES ($1, 'project/bound', $2) ON CONFLICT (company_id, scope)"
                       " DO UPDATE SET value = counter.value + excluded.value RETURNING value - $2",
    [INSERT_PROJECT] =
        "INSERT INTO project (company_id, id, number, name, description, status, priority, start_date, "
        "end_date,"
        " budget, address, created_at, updated_at) VALUES ($1, $2, $3, $4,"
        " 'A building that exists only to be created as fast as it goes', 'active', 'high', '2026-03-01',"
        " '2027-09-30', 1125632.5, '12 Quay Street, Auckland', $5, $5)",
    [INSERT_EVENT] =
        "INSERT INTO events (company_id, seq, at, command_id, type, subject, project, actor, version, data)"
        " VALUES ($1, $2, $3, $4, 'project.created', $4, $4, $1, 1, $5)",
    [INSERT_INBOX] = "INSERT INTO inbox (company_id, command_id, fingerprint, status, http_status, seq, at)"
                     " VALUES ($1, $2, 1311768467294899695, 'ok', 201, $3, $4)",
};

/* ---- PostgreSQL ---- */

static void connect_database(struct worker *w, const struct bound_options *options)
{
    w->db = PQconnectdb(options->database_url);
    if (PQstatus(w->db) != CONNECTION_OK)
        errx(1, "%s", PQerrorMessage(w->db));
    char set_role[128];
    snprintf(set_role, sizeof(set_role), "SET ROLE %s",
             options->database_role ? options->database_role : "NONE");
    const char *const first[] = {"INSERT INTO company (id, name) VALUES ('" BOUND_COMPANY
                                 "', 'Bound') ON CONFLICT DO NOTHING",
                                 set_role};
    for (size_t i = 0; i < ARRAY_LEN(first); i++) {
        PGresult *result = PQexec(w->db, first[i]);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            errx(1, "%s", PQerrorMessage(w->db));
        PQclear(result);
    }
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        char name[2] = {(char)('a' + i), 0};
        PGresult *result = PQprepare(w->db, name, statements[i], 0, NULL);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            errx(1, "%s", PQerrorMessage(w->db));
        PQclear(result);
    }
    if (!PQenterPipelineMode(w->db) || PQsetnonblocking(w->db, 1))
        errx(1, "%s", PQerrorMessage(w->db));
}

static void ask(struct worker *w, enum statement statement, const char *const *params, int count)
{
    char name[2] = {(char)('a' + statement), 0};
    if (!PQsendQueryPrepared(w->db, name, count, params, NULL, NULL, 0))
        errx(1, "%s", PQerrorMessage(w->db));
}

static void flush_database(struct worker *w)
{
    if (PQflush(w->db) < 0)
        errx(1, "%s", PQerrorMessage(w->db));
}

static struct work *work_at(struct worker *w, size_t i)
{
    return &w->waiting[(w->first + i) % WAITING_MAX];
}

static void begin_batch(struct worker *w)
{
    w->batch = w->count < BOUND_BATCH_MAX ? w->count : BOUND_BATCH_MAX;
    char size[12];
    snprintf(size, sizeof(size), "%zu", w->batch);
    const char *const params[] = {BOUND_COMPANY, size};
    ask(w, COUNT_EVENTS, params, 2);
    ask(w, COUNT_PROJECTS, params, 2);
    if (!PQsendFlushRequest(w->db))
        errx(1, "%s", PQerrorMessage(w->db));
    flush_database(w);
    w->phase = COUNTING;
}

/* The entity as clients see it. */
static int write_entity(const struct worker *w, const struct work *work, int64_t number, char *text,
                        size_t size)
{
    return snprintf(
        text, size,
        "{\"id\":\"%s\",\"number\":\"PRJ-BOUND-%04" PRId64 "\",\"name\":\"%s\","
        "\"description\":\"A building that exists only to be created as fast as it goes\","
        "\"status\":\"active\",\"priority\":\"high\",\"start_date\":\"2026-03-01\",\"end_date\":\"2027-09-"
        "30\","
        "\"budget\":1125632.50,\"actual_cost\":0,\"address\":\"12 Quay Street, "
        "Auckland\",\"manager_id\":null,"
        "\"progress\":0,\"archived\":false,\"version\":1,\"created_at\":\"%s\",\"updated_at\":\"%s\"}",
        work->id, number, work->name, w->at, w->at);
}

static void insert_rows(struct worker *w)
{
    clock_format(clock_wall_us(), w->at);
    for (size_t i = 0; i < w->batch; i++) {
        const struct work *work = work_at(w, i);
        char number[32], seq[24], entity[EVENT_MAX];
        snprintf(number, sizeof(number), "PRJ-BOUND-%04" PRId64, w->number + (int64_t)i + 1);
        snprintf(seq, sizeof(seq), "%" PRId64, w->seq + (int64_t)i + 1);
        write_entity(w, work, w->number + (int64_t)i + 1, entity, sizeof(entity));
        ask(w, INSERT_PROJECT, (const char *const[]){BOUND_COMPANY, work->id, number, work->name, w->at}, 5);
        ask(w, INSERT_EVENT, (const char *const[]){BOUND_COMPANY, seq, w->at, work->id, entity}, 5);
        ask(w, INSERT_INBOX, (const char *const[]){BOUND_COMPANY, work->id, seq, w->at}, 4);
    }
    if (!PQpipelineSync(w->db))
        errx(1, "%s", PQerrorMessage(w->db));
    flush_database(w);
    w->phase = INSERTING;
}

/* ---- events and acks ---- */

static void publish_event(struct worker *w, const struct work *work, int64_t seq, int64_t number)
{
    char entity[EVENT_MAX], body[EVENT_MAX + 512];
    write_entity(w, work, number, entity, sizeof(entity));
    int len = snprintf(body, sizeof(body),
                       "{\"type\":\"project.created\",\"seq\":%" PRId64
                       ",\"id\":\"%s\",\"project\":\"%s\",\"actor\":\"%s\","
                       "\"at\":\"%s\",\"data\":%s}",
                       seq, work->id, work->id, BOUND_COMPANY, w->at, entity);
    const struct wire_header headers[] = {
        {SLICE("status"), SLICE("ok"), 0},
        {SLICE("http-status"), SLICE_NONE, 201},
        {SLICE("company"), SLICE(BOUND_COMPANY), 0},
        {SLICE("seq"), SLICE_NONE, seq},
        {SLICE("subject"), {work->id, UUID_TEXT_LEN}, 0},
        {SLICE("project"), {work->id, UUID_TEXT_LEN}, 0},
        {SLICE("version"), SLICE_NONE, 1},
        {SLICE("entity-at"), SLICE_NONE, len - 500},
    };
    const struct wire_message message = {
        .exchange = SLICE(EXCHANGE_EVENTS),
        .routing_key = SLICE(BOUND_COMPANY ".project.created"),
        .cc = slice_of(work->reply_to),
        .content_type = SLICE("application/json"),
        .message_id = {work->id, UUID_TEXT_LEN},
        .correlation_id = slice_of(work->correlation),
        .type = SLICE("project.created"),
        .persistent = true,
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .body = {body, (size_t)len},
    };
    wire_publish(&w->wire, &message);
}

static void end_batch(struct worker *w)
{
    uint64_t last_delivery = work_at(w, w->batch - 1)->tag;
    for (size_t i = 0; i < w->batch; i++)
        publish_event(w, work_at(w, i), w->seq + (int64_t)i + 1, w->number + (int64_t)i + 1);
    w->committed[(w->committed_first + w->committed_count++) % COMMITTED_MAX] =
        (struct committed){last_delivery, w->wire.published};
    w->first = (w->first + w->batch) % WAITING_MAX;
    w->count -= w->batch;
    w->phase = IDLE;
}

static void ack_confirmed(struct worker *w)
{
    uint64_t last = 0;
    while (w->committed_count && w->committed[w->committed_first].last_event <= w->wire.confirmed) {
        last = w->committed[w->committed_first].last_delivery;
        w->committed_first = (w->committed_first + 1) % COMMITTED_MAX;
        w->committed_count--;
    }
    if (last)
        wire_ack_up_to(&w->wire, last);
}

/* ---- the loop ---- */

static void keep(char *to, size_t size, struct slice from)
{
    size_t len = from.len < size ? from.len : size - 1;
    memcpy(to, from.data, len);
    to[len] = 0;
}

static void on_command(void *ctx, const struct wire_delivery *delivery)
{
    struct worker *w = ctx;
    if (w->count == WAITING_MAX || delivery->body.len < bound_body_head.len + BOUND_NAME_LEN)
        errx(1, "a command that this program did not publish");
    struct work *work = work_at(w, w->count++);
    work->tag = delivery->tag;
    keep(work->id, sizeof(work->id), delivery->message_id);
    keep(work->name, sizeof(work->name),
         (struct slice){delivery->body.data + bound_body_head.len, BOUND_NAME_LEN});
    keep(work->correlation, sizeof(work->correlation), delivery->correlation_id);
    keep(work->reply_to, sizeof(work->reply_to), delivery->reply_to);
}

static void on_result(struct worker *w, PGresult *result, int *rows_seen)
{
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK: /* COUNT_EVENTS, then COUNT_PROJECTS */
        *((*rows_seen)++ ? &w->number : &w->seq) = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
        return;
    case PGRES_COMMAND_OK:
        return;
    case PGRES_PIPELINE_SYNC:
        end_batch(w);
        return;
    default:
        errx(1, "%s", PQresultErrorMessage(result));
    }
}

static void read_database(struct worker *w)
{
    if (!PQconsumeInput(w->db))
        errx(1, "%s", PQerrorMessage(w->db));
    flush_database(w);
    static int rows_seen; /* of this batch: both answers may come in pieces */
    while (w->phase != IDLE && !PQisBusy(w->db)) {
        PGresult *result = PQgetResult(w->db);
        if (!result) { /* between two statements */
            if (w->phase == COUNTING && rows_seen == 2) {
                rows_seen = 0;
                insert_rows(w);
            }
            continue;
        }
        on_result(w, result, &rows_seen);
        PQclear(result);
    }
}

static void turn(struct worker *w)
{
    short broker_write = wire_has_output(&w->wire) ? POLLOUT : 0;
    short database_write = w->phase != IDLE && PQflush(w->db) == 1 ? POLLOUT : 0;
    struct pollfd fds[] = {{w->wire.fd, (short)(POLLIN | broker_write), 0},
                           {PQsocket(w->db), (short)(POLLIN | database_write), 0}};
    if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
        err(1, "poll");
    if (fds[0].revents & ~POLLOUT)
        wire_read(&w->wire, on_command, w);
    if (fds[1].revents)
        read_database(w);
    ack_confirmed(w);
    if (w->phase == IDLE && w->count)
        begin_batch(w);
    wire_flush(&w->wire);
}

static amqp_table_entry_t text_argument(const char *key, const char *value)
{
    return (amqp_table_entry_t){amqp_cstring_bytes(key),
                                {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value)}};
}

static amqp_table_entry_t integer_argument(const char *key, int64_t value)
{
    return (amqp_table_entry_t){amqp_cstring_bytes(key), {.kind = AMQP_FIELD_KIND_I64, .value.i64 = value}};
}

/* The queue has the arguments that common/topology.c gives to a pool's. */
static void declare(struct wire *w)
{
    static const char queue[] = "commands.bound";
    amqp_table_entry_t arguments[] = {
        text_argument("x-queue-type", "quorum"),
        text_argument("x-overflow", "reject-publish"),
        text_argument("x-dead-letter-exchange", EXCHANGE_DEAD),
        text_argument("x-dead-letter-strategy", "at-least-once"),
        integer_argument("x-delivery-limit", 20),
        integer_argument("x-max-length", 1000000),
    };
    static const char *const exchanges[] = {EXCHANGE_COMMANDS, EXCHANGE_EVENTS, EXCHANGE_DEAD};
    for (size_t i = 0; i < ARRAY_LEN(exchanges); i++) {
        amqp_exchange_declare(w->connection, 1, amqp_cstring_bytes(exchanges[i]), amqp_cstring_bytes("topic"),
                              0, 1, 0, 0, amqp_empty_table);
        wire_must(w, exchanges[i]);
    }
    amqp_queue_delete(w->connection, 1, amqp_cstring_bytes(queue), 0, 0); /* what an interrupted run left */
    wire_must(w, "queue.delete");
    amqp_queue_declare(w->connection, 1, amqp_cstring_bytes(queue), 0, 1, 0, 0,
                       (amqp_table_t){ARRAY_LEN(arguments), arguments});
    wire_must(w, "queue.declare");
    amqp_queue_bind(w->connection, 1, amqp_cstring_bytes(queue), amqp_cstring_bytes(EXCHANGE_COMMANDS),
                    amqp_cstring_bytes("bound.#"), amqp_empty_table);
    wire_must(w, "queue.bind");
    wire_take(w, queue, BOUND_PREFETCH);
}

void bound_worker(const struct bound_options *options, int ready_fd)
{
    struct worker *w = xcalloc(1, sizeof(*w));
    connect_database(w, options);
    wire_open(&w->wire, options->amqp_url);
    declare(&w->wire);
    if (write(ready_fd, "", 1) != 1)
        err(1, "telling that the worker is ready");
    close(ready_fd);
    for (;;)
        turn(w);
}
