#include "workers/engine/command/command.h"

#include <assert.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"
#include "common/broker/parcel.h"

enum { ARENA_BLOCK = 1024 };

/* A copy of one of the texts of an envelope, in the memory of the command. */
static struct slice keep(struct command *command, struct slice s)
{
    return s.data ? arena_copy(&command->arena, s) : SLICE_NONE;
}

static void keep_envelope(struct command *command, const struct envelope *envelope)
{
    command->envelope = *envelope;
    command->envelope.type = keep(command, envelope->type);
    command->envelope.role = keep(command, envelope->role);
    command->envelope.correlation_id = keep(command, envelope->correlation_id);
    command->envelope.reply_to = keep(command, envelope->reply_to);
    command->envelope.traceparent = keep(command, envelope->traceparent);
    command->envelope.body = keep(command, envelope->body);
}

/* The database takes UTF-8 without a NUL. */
static bool is_text(struct slice s)
{
    return utf8_valid(s) && (s.len == 0 || !memchr(s.data, 0, s.len));
}

static struct slice text_or_none(struct slice s)
{
    return is_text(s) ? s : SLICE_NONE;
}

/* Reads what can be read of a message that is no command. Returns true when that is enough for an inbox row
 * and a reply. */
static bool read_address(const struct broker_delivery *delivery, struct envelope *ret_envelope)
{
    const struct broker_header *company = broker_delivery_header(delivery, "company");
    bool has_type =
        delivery->type.len > 0 && delivery->type.len < ENVELOPE_KEY_MAX && is_text(delivery->type);
    *ret_envelope = (struct envelope){
        .type = has_type ? delivery->type : SLICE("unreadable"),
        .correlation_id = text_or_none(delivery->correlation_id),
        .reply_to = text_or_none(delivery->reply_to),
        .body = delivery->body,
    };
    return company && !company->is_integer && uuid_parse(company->text, &ret_envelope->company) &&
           uuid_parse(delivery->message_id, &ret_envelope->id);
}

static bool read_entry_address(struct slice entry, struct envelope *ret_envelope)
{
    bool has_address = parcel_read_address(entry, ret_envelope);
    if (ret_envelope->type.len == 0 || ret_envelope->type.len >= ENVELOPE_KEY_MAX ||
        !is_text(ret_envelope->type))
        ret_envelope->type = SLICE("unreadable");
    ret_envelope->correlation_id = text_or_none(ret_envelope->correlation_id);
    ret_envelope->reply_to = text_or_none(ret_envelope->reply_to);
    return has_address;
}

static bool has_texts(const struct envelope *envelope)
{
    return is_text(envelope->type) && is_text(envelope->role) && is_text(envelope->correlation_id) &&
           is_text(envelope->reply_to) && is_text(envelope->traceparent);
}

static struct command *new_command(void)
{
    struct command *command = xcalloc(1, sizeof(*command));
    command->since_us = clock_monotonic_us();
    arena_init(&command->arena, ARENA_BLOCK, 0);
    return command;
}

static struct command *delivered(const struct broker_delivery *delivery)
{
    struct command *command = new_command();
    command->tag = delivery->tag;
    command->epoch = delivery->epoch;
    command->delivery_count = delivery->delivery_count;
    command->is_redelivered = delivery->redelivered || delivery->delivery_count > 0;
    command->reading = READING_ALL;
    return command;
}

static void cannot_be_read(struct command *command, bool has_address)
{
    command->verdict = ERR_POISON;
    command->reading = has_address ? READING_ADDRESS : READING_NOTHING;
}

struct command *command_new(const struct broker_delivery *delivery)
{
    struct command *command = delivered(delivery);
    struct envelope envelope;
    if (envelope_read_command(delivery, &envelope) || !has_texts(&envelope))
        cannot_be_read(command, read_address(delivery, &envelope));
    keep_envelope(command, &envelope);
    return command;
}

struct command *command_new_of_entry(const struct broker_delivery *delivery, struct slice entry)
{
    struct command *command = delivered(delivery);
    struct envelope envelope;
    command->is_of_parcel = true;
    if (parcel_read_entry(entry, &envelope) || !has_texts(&envelope))
        cannot_be_read(command, read_entry_address(entry, &envelope));
    keep_envelope(command, &envelope);
    return command;
}

struct command *command_new_of_row(const struct envelope *envelope, enum deferral row)
{
    struct command *command = new_command();
    command->row = row;
    command->reading = READING_ALL;
    keep_envelope(command, envelope);
    return command;
}

struct slice command_correlation(const struct command *command)
{
    struct slice rest = command->envelope.correlation_id;
    for (int dots = 0; dots < 2; dots++) {
        const char *dot = rest.len > 0 ? memchr(rest.data, '.', rest.len) : NULL;
        if (!dot)
            return rest.len > 0 ? rest : SLICE_NONE;
        rest = (struct slice){dot + 1, rest.len - (size_t)(dot + 1 - rest.data)};
    }
    return rest;
}

void command_free(struct command *command)
{
    arena_done(&command->arena);
    free(command);
}

/* A command whose row the batch has yet to claim is gone unless the claim finds the row. */
static enum command_finding first_finding(const struct command *command)
{
    bool is_deferred = command->row != DEFER_NONE && command->row != DEFER_UNPUBLISHED;
    return is_deferred ? FINDING_GONE : FINDING_RUN;
}

void command_reset(struct command *command)
{
    command->is_revoked = false;
    command->status = ERR_OK;
    command->http_status = 0;
    command->refusal = SLICE("");
    command->effects = NULL;
    command->finding = first_finding(command);
}

void command_find(struct command *command, enum command_finding finding)
{
    enum { GONE = 1 << FINDING_GONE };
    static const unsigned may_become[] = {
        [FINDING_RUN] = 1 << FINDING_REPLACE | 1 << FINDING_REPLAY | 1 << FINDING_UNRECORDED |
                        1 << FINDING_IN_TURN | 1 << FINDING_WAITING | GONE,
        [FINDING_REPLACE] = GONE,
        [FINDING_REPLAY] = 0,
        [FINDING_UNRECORDED] = 0,
        [FINDING_IN_TURN] = GONE,
        [FINDING_WAITING] = GONE,
        [FINDING_GONE] = 1 << FINDING_RUN,
    };
    (void)may_become; /* with NDEBUG nothing else names it */
    assert(may_become[command->finding] >> finding & 1);
    command->finding = finding;
}

struct effect *command_add_effect(struct command *command, struct slice type, struct slice data)
{
    struct effect **last = &command->effects;
    size_t count = 0;
    for (; *last; count++)
        last = &(*last)->next;
    assert(count < EFFECTS_MAX);
    *last = arena_calloc(&command->arena, 1, sizeof(**last));
    (*last)->type = arena_copy(&command->arena, type);
    (*last)->data = arena_copy(&command->arena, data);
    return *last;
}
