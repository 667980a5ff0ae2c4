#include "common/db/private.h"

#include "common/base/clock.h"

#include <stdio.h>

enum { FIRST_ENTRIES = 64 };

static void grow(struct db_pipeline *p)
{
    size_t capacity = p->capacity ? 2 * p->capacity : FIRST_ENTRIES;
    struct db_entry *ring = xcalloc(capacity, sizeof(*ring));
    for (uint64_t at = p->head; at < p->tail; at++)
        ring[at & (capacity - 1)] = p->ring[at & (p->capacity - 1)];
    free(p->ring);
    p->ring = ring;
    p->capacity = capacity;
}

void db_pipeline_push(struct db_pipeline *p, const struct db_entry *entry)
{
    if (p->tail - p->head == p->capacity)
        grow(p);
    p->statements += entry->kind == ENTRY_STATEMENT;
    p->ring[p->tail++ & (p->capacity - 1)] = *entry;
}

static struct db_entry pop(struct db_pipeline *p)
{
    struct db_entry entry = p->ring[p->head++ & (p->capacity - 1)];
    p->statements -= entry.kind == ENTRY_STATEMENT;
    return entry;
}

static const struct db_entry *head(const struct db_pipeline *p)
{
    return &p->ring[p->head & (p->capacity - 1)];
}

void db_pipeline_done(struct db_pipeline *p)
{
    db_result_release(p->prepare_error);
    free(p->ring);
    *p = (struct db_pipeline){0};
}

static void fail_first(struct db *db, enum err err, const char *why)
{
    struct db_entry entry = pop(&db->pipeline);
    if (entry.kind == ENTRY_SYNC && entry.on_sync)
        entry.on_sync(entry.arg, err);
    if (entry.kind != ENTRY_STATEMENT || !entry.on_result)
        return;
    struct db_result *result = db_result_make(err, why);
    entry.on_result(entry.arg, result);
    db_result_release(result);
}

void db_pipeline_fail(struct db *db, enum err err, const char *why)
{
    struct db_pipeline *p = &db->pipeline;
    db_result_release(TAKE(p->prepare_error));
    p->transaction_err = ERR_OK;
    for (uint64_t end = p->tail; p->head < end;)
        fail_first(db, err, why);
}

void db_pipeline_fail_unsent(struct db *db)
{
    struct db_pipeline *p = &db->pipeline;
    for (uint64_t end = p->tail; p->head < end && !head(p)->sent;)
        fail_first(db, ERR_DATABASE_UNAVAILABLE, db->why);
}

void db_pipeline_flush(struct db *db)
{
    int left = PQflush(db->conn);
    if (left < 0) {
        /* Reading may still find answers, so the connection ends there or at the next turn. The text of libpq
         * does not last that long, so it is copied. */
        snprintf(db->why, sizeof(db->why), "%s", PQerrorMessage(db->conn));
        db_fault(db, db->why);
        db->unflushed = false;
        return;
    }
    db->unflushed = left > 0;
    /* While output is left, both sides could wait for the other to read; so watch for both. */
    int events = left > 0 ? EV_READ | EV_WRITE : EV_READ;
    if ((db->io.events & (EV_READ | EV_WRITE)) != events)
        db_watch(db, events);
}

static void note_failure(struct db *db, const struct db_result *result)
{
    if (result->err && !db->pipeline.transaction_err)
        db->pipeline.transaction_err = result->err;
    if (strcmp(db_result_sqlstate(result), "25006") == 0)
        db_fault(db, "the server accepts no writes any more");
}

static void answer_sync(struct db *db, PGresult *pg)
{
    if (PQresultStatus(pg) != PGRES_PIPELINE_SYNC) {
        /* The commit failed (a deferred constraint, a serialization failure); the sync's own answer follows.
         */
        struct db_result *result = db_result_wrap(pg);
        note_failure(db, result);
        db_result_release(result);
        return;
    }
    PQclear(pg);
    struct db_entry entry = pop(&db->pipeline);
    enum err err = db->pipeline.transaction_err;
    db->pipeline.transaction_err = ERR_OK;
    if (entry.on_sync)
        entry.on_sync(entry.arg, err);
}

static void answer_prepare(struct db *db, PGresult *pg)
{
    struct db_entry entry = pop(&db->pipeline);
    struct db_result *result = db_result_wrap(pg);
    note_failure(db, result);
    db_statements_answered(&db->statements, &entry, result->err == ERR_OK);
    if (result->err && !result->skipped)
        db->pipeline.prepare_error = db_result_hold(result);
    db_result_release(result);
}

static void answer_statement(struct db *db, PGresult *pg)
{
    struct db_entry entry = pop(&db->pipeline);
    struct db_result *result = db_result_wrap(pg);
    if (db->pipeline.prepare_error) {
        db_result_release(result);
        result = TAKE(db->pipeline.prepare_error);
    }
    note_failure(db, result);
    const char *sqlstate = db_result_sqlstate(result);
    bool is_lost = strcmp(sqlstate, "26000") == 0 || strcmp(sqlstate, "0A000") == 0;
    if (is_lost && entry.statement->name)
        db_statements_forget(&db->statements, entry.statement);
    if (entry.on_result)
        entry.on_result(entry.arg, result);
    db_result_release(result);
}

static void answer(struct db *db, PGresult *pg)
{
    unsigned kind = head(&db->pipeline)->kind;
    if (kind == ENTRY_SYNC) {
        answer_sync(db, pg);
        return;
    }
    /* Takes the NULL that ends the results of one statement, before the callback runs and may send more. */
    PGresult *end = PQgetResult(db->conn);
    if (end) {
        PQclear(end);
        db_fault(db, "the server answered one statement twice");
    }
    if (kind == ENTRY_PREPARE)
        answer_prepare(db, pg);
    else
        answer_statement(db, pg);
}

static void take_answers(struct db *db)
{
    struct db_pipeline *p = &db->pipeline;
    db_pipeline_fail_unsent(db);
    unsigned ends = 0; /* two NULLs in a row mean that libpq expects nothing more */
    while (p->head < p->tail && head(p)->sent && ends < 2 && !PQisBusy(db->conn)) {
        PGresult *pg = PQgetResult(db->conn);
        ends = pg ? 0 : ends + 1;
        if (pg)
            answer(db, pg);
    }
}

void db_pipeline_read(struct db *db)
{
    bool broken = !PQconsumeInput(db->conn);
    db->heard_at = clock_monotonic_s();
    take_answers(db); /* answers that came before the break count */
    if (broken || PQstatus(db->conn) == CONNECTION_BAD)
        db_down(db, PQerrorMessage(db->conn));
}
