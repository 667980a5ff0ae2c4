#include "workers/engine/batch/private.h"
#include "workers/engine/command/refusal.h"
#include "workers/engine/resource/rights.h"

struct resource_moment batch_moment(const struct batch *b)
{
    return (struct resource_moment){.at = b->at, .year = b->year};
}

const struct command *batch_culprit(const struct run *run)
{
    const struct command *first = run->commands[0], *last = run->commands[run->count - 1];
    return first->company_at == last->company_at ? first : NULL;
}

static void on_run(void *arg, struct db_result *result)
{
    struct run *run = arg;
    struct batch *b = run->batch;
    struct resource_moment moment = batch_moment(b);
    if (!batch_note_fault(b, result, batch_culprit(run)))
        resource_read(&run->handler->statement, run->commands, run->count, &moment, run->handler->event,
                      result);
    if (--b->awaited > 0)
        return;
    if (b->fault.err)
        batch_roll_back(b);
    else
        batch_record(b);
}

static void reject(struct command *command, const char *why)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(&command->envelope.id, id);
    command->verdict = ERR_POISON;
    log_error("command.rejected", LOG_S("command", id), LOG_B("type", command->envelope.type),
              LOG_S("why", why), LOG_B("correlation", command_correlation(command)));
    command->why = arena_copy(&command->arena, slice_of(why));
    command_refuse(command, ERR_POISON, why, NULL, 0);
}

static bool is_early(const struct command *command)
{
    return command->envelope.not_before > clock_wall_ms() && !command->row && !command->verdict;
}

/* The company has as many commands that wait for their time as it may have, or as many bytes of them. NULL, or
 * why there is no room for this one. What is refused is counted, too, but only until the batch ends. */
static const char *why_not_one_more(struct batch *b, const struct command *command)
{
    if (!is_early(command))
        return NULL;
    struct sequence *sequence = sequence_of(&b->sequences, command);
    sequence->scheduled_bytes += (int64_t)command->envelope.body.len;
    if (++sequence->scheduled > b->scheduled_max)
        return "Too many commands of the company wait for their time.";
    if (sequence->scheduled_bytes > b->scheduled_bytes)
        return "The commands of the company that wait for their time hold too many bytes.";
    return NULL;
}

/* A command that is to wait needs no statement. It waits only when its company exists, because nobody would
 * ever run the commands of a company that does not. */
static bool is_to_wait(struct batch *b, struct command *command)
{
    if (is_early(command))
        command->deferral = DEFER_SCHEDULE;
    if (!command->deferral || sequence_of(&b->sequences, command)->is_known)
        return command->deferral != DEFER_NONE;
    command->deferral = DEFER_NONE;
    return false;
}

/* A row of `unpublished` says that the command ran. When its result is not there any more, or it waits to run
 * once more, there is nothing that could be published of it. */
static bool has_nothing_to_publish(const struct command *command)
{
    return command->row == DEFER_UNPUBLISHED && (command_is_new(command) || command_is_waiting(command));
}

static void refuse_right(struct command *command)
{
    CLEANUP_FREE char *detail = rights_detail(&command->handler->statement);
    command_refuse(command, ERR_FORBIDDEN, detail, NULL, 0);
}

/* Returns false when the command needs no statement: it has its result, or waits. */
static bool is_to_run(struct batch *b, struct command *command)
{
    if (has_nothing_to_publish(command))
        command_find(command, FINDING_GONE);
    if (!command_is_new(command)) {
        command->deferral = DEFER_NONE;
        return false;
    }
    const char *why_not = why_not_one_more(b, command);
    if (why_not) {
        command->deferral = DEFER_NONE;
        command_refuse(command, ERR_TOO_MANY_REQUESTS, why_not, NULL, 0);
        return false;
    }
    if (is_to_wait(b, command))
        return false;
    command->handler = handlers_find(b->handlers, command->envelope.type);
    if (command->verdict == ERR_POISON)
        reject(command, "The metadata of the message cannot be read.");
    else if (command->verdict)
        command_refuse(command, command->verdict,
                       command->verdict == ERR_VALIDATION
                           ? "A sum that follows from it would be out of its bounds."
                           : NULL,
                       NULL, 0);
    else if (command->is_revoked)
        command_refuse(command, ERR_REVOKED, NULL, NULL, 0);
    else if (!sequence_of(&b->sequences, command)->is_known)
        command_refuse(command, ERR_NOT_FOUND, "There is no such company.", NULL, 0);
    else if (!command->handler)
        reject(command, "There is no such command.");
    else if (!rights_allow(&command->handler->statement, command->envelope.role))
        refuse_right(command);
    else
        return true;
    return false;
}

struct run *batch_keep_run(struct batch *b, const struct run *run)
{
    struct run *sent = arena_alloc(&b->runs, sizeof(*sent));
    *sent = *run;
    sent->commands = arena_alloc(&b->runs, run->count * sizeof(struct command *));
    memcpy(sent->commands, run->commands, run->count * sizeof(struct command *));
    return sent;
}

static void send_run(struct batch *b, struct run *run)
{
    if (run->count == 0)
        return;
    resource_send(b->writer, &run->handler->statement, RESOURCE_PLAIN, NULL, b->db, on_run,
                  batch_keep_run(b, run));
    b->awaited++;
    run->count = 0;
}

static bool fits(const struct run *run, const struct command *command)
{
    return run->count == 0 || (run->handler == command->handler && run->handler->statement.plan->many);
}

static void add(struct batch *b, struct run *run, struct command *command)
{
    char why[WHY_SIZE] = "";
    struct resource_moment moment = batch_moment(b);
    if (!fits(run, command))
        send_run(b, run);
    run->handler = command->handler;
    enum err err = resource_write(b->writer, &command->handler->statement, command, 0, &moment, why);
    if (!err)
        run->commands[run->count++] = command;
    else if (err == ERR_FORBIDDEN)
        command_refuse(command, err, why, NULL, 0);
    else
        reject(command, why);
}

/* The time of the batch is taken when its companies are locked. So within a company times never go backwards
 * while numbers go up. */
void batch_take_time(struct batch *b)
{
    clock_format(clock_wall_us(), b->at);
    memcpy(b->year, b->at, 4);
    b->year[4] = '\0';
}

void batch_run_all(struct batch *b)
{
    batch_enter(b, BATCH_RUNNING);
    batch_put_held_aside(b);
    batch_take_time(b);
    b->awaited = 0;
    arena_reset(&b->runs);
    struct run all = {.batch = b,
                      .commands = arena_alloc(&b->runs, (b->to - b->from) * sizeof(struct command *))};
    for (size_t i = b->from; i < b->to; i++)
        if (is_to_run(b, b->commands[i]))
            all.commands[all.count++] = b->commands[i];
    if (batch_goes_recorded(b, &all))
        return;
    struct run run = {.batch = b, .commands = arena_alloc(&b->runs, all.count * sizeof(struct command *))};
    for (size_t i = 0; i < all.count; i++)
        add(b, &run, all.commands[i]);
    send_run(b, &run);
    if (b->awaited > 0)
        db_ask(b->db);
    else
        batch_record(b);
}
