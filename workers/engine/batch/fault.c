#include <stdio.h>

#include "common/base/utf8.h"
#include "workers/engine/batch/private.h"
#include "workers/engine/command/refusal.h"
#include "workers/engine/command/retry.h"

enum { LOSSES_MAX = 3, NAME_SIZE = 128 };

/* ---- the first error ---- */

static void log_fault(const struct batch *b, const struct db_result *result, const struct command *command)
{
    enum err err = db_result_error(result);
    char id[UUID_TEXT_LEN + 1] = "";
    if (command)
        uuid_format(&command->envelope.id, id);
    log_at(err_info(err)->level, "batch.statement_failed", LOG_S("error", err_info(err)->name),
           LOG_S("sqlstate", db_result_sqlstate(result)), LOG_S("message", db_result_message(result)),
           LOG_S("command", id), LOG_B("type", command ? command->envelope.type : SLICE_NONE),
           LOG_B("correlation", command ? command_correlation(command) : SLICE_NONE),
           LOG_I("commands", b->to - b->from));
}

/* The key was used before, and its inbox row has expired since: the entity has the command's id. Only the
 * primary key of the entity's own table says so, when the command creates it; that of another table, which a
 * rule, a trigger or the records write, is a fault like any other. */
static bool is_duplicate_entity(const struct batch *b, const struct db_result *result,
                                const struct command *command)
{
    char key[NAME_SIZE];
    if (b->state != BATCH_RUNNING || !command || !command->handler)
        return false;
    const struct resource_statement *statement = &command->handler->statement;
    const char *table = statement->resource->table;
    snprintf(key, sizeof(key), "%s_pkey", table);
    return statement->plan->verb == RESOURCE_CREATE && strcmp(db_result_sqlstate(result), "23505") == 0 &&
           strcmp(db_result_table(result), table) == 0 && strcmp(db_result_constraint(result), key) == 0;
}

/* A sum that follows from the command is beyond what its column may hold. The schema bounds what a client gives, and
 * nothing but the database bounds what many of them come to. */
static bool is_too_large(const struct batch *b, const struct db_result *result, const struct command *command)
{
    if (b->state != BATCH_RUNNING || !command || !command->handler)
        return false;
    const struct resource_statement *statement = &command->handler->statement;
    const char *sqlstate = db_result_sqlstate(result);
    return (statement->has_follow || statement->resource->sums) &&
           (strcmp(sqlstate, "22003") == 0 || strcmp(sqlstate, "23514") == 0);
}

bool batch_note_fault(struct batch *b, const struct db_result *result, const struct command *command)
{
    enum err err = db_result_error(result);
    if (err == ERR_OK)
        return false;
    if (b->fault.err != ERR_OK)
        return true;
    b->fault = (struct fault){.err = err,
                              .phase = b->state,
                              .is_duplicate = is_duplicate_entity(b, result, command),
                              .is_too_large = is_too_large(b, result, command),
                              .has_company = command != NULL};
    if (command)
        b->fault.company = command->envelope.company;
    snprintf(b->fault.why, sizeof(b->fault.why), "%s %s", db_result_sqlstate(result),
             db_result_message(result));
    utf8_mend(b->fault.why);
    if (!db_result_skipped(result))
        log_fault(b, result, command);
    return true;
}

/* ---- back to the intake ---- */

/* The server is in trouble: all commands come back as they were. The last one comes first, so that whoever
 * takes them back puts each in front of the one before. */
static void give_back(struct batch *b)
{
    for (size_t i = b->count; i-- > b->from;)
        batch_settle(b, b->commands[i], COMMAND_AGAIN);
    b->to = b->count;
    b->callbacks.on_trouble(b->ctx);
    batch_advance(b);
}

/* The command is tried again in its place after a back-off. Those of its company that follow it in this batch
 * go back with it, so that their order holds. */
static void back_off(struct batch *b, enum err err)
{
    struct command *command = b->commands[b->from];
    struct uuid company = command->envelope.company;
    size_t end = b->to;
    while (end < b->count && uuid_equal(&b->commands[end]->envelope.company, &company))
        end++;
    for (size_t i = end; i-- > b->from + 1;)
        batch_settle(b, b->commands[i], COMMAND_AGAIN);
    command->error = err;
    command->backoffs++;
    batch_settle(b, command, COMMAND_RETRY);
    b->to = end;
    batch_advance(b);
}

/* ---- one command ---- */

static void keep_why(struct batch *b, struct command *command)
{
    struct slice why = slice_of(b->fault.why);
    command->why = why.len > 1 ? arena_copy(&command->arena, why) : SLICE_NONE;
}

/* The error is worth another try: at first soon and here, then later from `deferred`, and then no more. */
static void retry(struct batch *b, struct command *command, enum err err)
{
    command->error = err;
    if (++command->attempts < RETRY_IN_PLACE_MAX) {
        back_off(b, err);
        return;
    }
    command->delay_ms = retry_delay_ms(&b->retries, command);
    if (command->delay_ms >= 0)
        command->deferral = DEFER_RETRY;
    else
        command->verdict = err;
    keep_why(b, command);
    batch_begin(b);
}

/* The database takes no result of the command. So its message goes to the broker's dead letters, or its row to
 * those of the database, and its sender is answered. */
static void reject(struct batch *b, struct command *command)
{
    command_refuse(command, command->verdict ? command->verdict : ERR_DATABASE_ERROR, NULL, NULL, 0);
    batch_settle(b, command, COMMAND_REJECTED);
    batch_advance(b);
}

/* A command that ran alone has failed, and the fate of its error (err.def) decides what becomes of it. A
 * verdict or a wait is recorded by a transaction of its own; when that one fails, it says nothing about the
 * command. */
static void fail_one(struct batch *b, enum err err)
{
    struct command *command = b->commands[b->from];
    bool is_retry = err_info(err)->fate == FATE_RETRY;
    bool is_decided = command->verdict != ERR_OK || command->deferral != DEFER_NONE;
    if (b->fault.phase <= BATCH_LOOKING || (is_decided && is_retry)) {
        back_off(b, err);
    } else if (is_decided) {
        reject(b, command);
    } else if (is_retry) {
        retry(b, command, err);
    } else {
        command->attempts++;
        command->verdict = b->fault.is_duplicate   ? ERR_ALREADY_EXISTS
                           : b->fault.is_too_large ? ERR_VALIDATION
                                                   : ERR_DATABASE_ERROR;
        keep_why(b, command);
        batch_begin(b);
    }
}

/* What failed together runs again one by one, and always by steps: then a failure is that of its command. */
static void own_fault(struct batch *b, enum err err)
{
    if (b->to - b->from > 1)
        batch_divide(b, UNIT_COMMAND);
    else if (b->ways.taken != WAY_BY_STEPS)
        batch_begin(b);
    else
        fail_one(b, err);
}

/* ---- a row that another transaction holds ---- */

static bool is_of_one_company(const struct batch *b)
{
    const struct uuid *company = &b->commands[b->from]->envelope.company;
    for (size_t i = b->from + 1; i < b->to; i++)
        if (!uuid_equal(&b->commands[i]->envelope.company, company))
            return false;
    return true;
}

/* The company whose row it is waits, and the others go on. A statement about many companies does not say whose
 * row it was, so each company gets a transaction of its own. */
static void pass_over(struct batch *b)
{
    if (!b->fault.has_company && !is_of_one_company(b)) {
        batch_divide(b, UNIT_COMPANY);
        return;
    }
    batch_put_company_aside(
        b, b->fault.has_company ? b->fault.company : b->commands[b->from]->envelope.company, COMMAND_BLOCKED);
    b->to = b->from; /* the rest of the transaction begins again */
    batch_advance(b);
}

/* ---- is it the server? ---- */

/* An error such as a full disk may be that of one command (a trigger can raise it) or that of the whole
 * server, which must cost no command a try. A transaction without any command tells them apart. */
static const struct db_statement probe = {"batch.probe", "SELECT probe_write()"};

static void give_back_for_trouble(struct batch *b)
{
    log_warn("database.in_trouble", LOG_S("error", err_info(b->fault.err)->name), LOG_S("why", b->fault.why));
    give_back(b);
}

static void on_probed(void *arg, enum err err)
{
    struct batch *b = arg;
    if (!db_is_up(b->db)) {
        batch_failed(b, err);
    } else if (err) {
        give_back_for_trouble(b);
    } else {
        own_fault(b, b->fault.err);
    }
}

static void send_probe(struct batch *b)
{
    batch_enter(b, BATCH_PROBING);
    db_send(b->db, &probe, NULL, 0, NULL, NULL);
    db_sync(b->db, on_probed, b);
}

/* ---- is it the schema? ---- */

/* Class 42: what a statement names is not there, or this role may not do it. No values of a command can bring that
 * about. */
static bool is_of_schema(const struct batch *b)
{
    return b->fault.err == ERR_DATABASE_ERROR && strncmp(b->fault.why, "42", 2) == 0;
}

static void on_compared(void *arg, enum err err)
{
    struct batch *b = arg;
    if (!db_is_up(b->db))
        batch_failed(b, err);
    else if (schema_check_is_lacking(b->schema_check))
        give_back_for_trouble(b);
    else
        own_fault(b, b->fault.err);
}

/* All commands share the statements of the system's own records. One of a handler may be wrong while the database
 * has all that the schemas need: that is a fault of its command. */
static void judge_schema(struct batch *b)
{
    if (b->fault.phase != BATCH_RUNNING) {
        give_back_for_trouble(b);
    } else if (b->schema_check) {
        batch_enter(b, BATCH_PROBING);
        schema_check_ask(b->schema_check, on_compared, b);
    } else {
        own_fault(b, b->fault.err);
    }
}

/* ---- the end of a transaction that failed ---- */

/* The connection is gone, and nobody knows whether the commit went through; the inbox tells when it is back.
 * A command that takes the database with it each time uses up its attempts, so it does not do so for ever. */
static void lose(struct batch *b)
{
    b->losses++;
    if (b->losses >= LOSSES_MAX && b->to - b->from > 1) {
        b->unit = UNIT_COMMAND;
        b->to = b->from + 1;
    }
    batch_enter(b, BATCH_HELD);
    for (size_t i = b->from; i < b->to; i++)
        b->commands[i]->may_have_run = true;
    struct command *command = b->commands[b->from];
    if (b->unit != UNIT_COMMAND || command->deferral || command->verdict || b->fault.phase < BATCH_RUNNING)
        return;
    command->error = ERR_DATABASE_UNAVAILABLE;
    if (++command->attempts < RETRY_IN_PLACE_MAX)
        return;
    command->delay_ms = retry_delay_ms(&b->retries, command);
    if (command->delay_ms >= 0)
        command->deferral = DEFER_RETRY;
    else
        command->verdict = ERR_DATABASE_UNAVAILABLE;
    keep_why(b, command);
}

static void judge(struct batch *b)
{
    enum err err = b->fault.err;
    if (err == ERR_DATABASE_LOCKED)
        pass_over(b);
    else if (err == ERR_DATABASE_UNAVAILABLE)
        send_probe(b);
    else if (is_of_schema(b))
        judge_schema(b);
    else
        own_fault(b, err);
}

/* A count that cannot be taken back, because the server is in trouble, stays that of the next try. */
static void on_unmarked(void *arg, enum err err)
{
    struct batch *b = arg;
    if (!db_is_up(b->db)) {
        batch_failed(b, err);
        return;
    }
    if (!err)
        b->commands[b->from]->is_counted = false;
    judge(b);
}

static void unmark(struct batch *b)
{
    batch_enter(b, BATCH_UNMARKING);
    begun_mark_take_back(&b->records, b->commands[b->from]);
    db_sync(b->db, on_unmarked, b);
}

void batch_failed(struct batch *b, enum err err)
{
    if (b->fault.err)
        err = b->fault.err;
    else
        b->fault = (struct fault){.err = err, .phase = b->state}; /* the commit itself */
    if (b->from == b->to)
        batch_advance(b); /* all commands of the transaction were put aside */
    else if (!db_is_up(b->db))
        lose(b);
    else if (b->to - b->from == 1 && b->commands[b->from]->is_counted)
        unmark(b);
    else
        judge(b);
}
