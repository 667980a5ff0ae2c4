#include "workers/engine/command/command.h"

#include <assert.h>

#include "common/base/utf8.h"

enum { ARENA_BLOCK = 1024 };

/* One of the texts of a command that a job keeps. */
static struct slice keep(struct job *job, struct slice s)
{
    return s.data ? arena_copy(&job->arena, s) : SLICE_NONE;
}

static void keep_envelope(struct job *job, const struct envelope *envelope)
{
    job->envelope = *envelope;
    job->envelope.type = keep(job, envelope->type);
    job->envelope.role = keep(job, envelope->role);
    job->envelope.correlation_id = keep(job, envelope->correlation_id);
    job->envelope.reply_to = keep(job, envelope->reply_to);
    job->envelope.traceparent = keep(job, envelope->traceparent);
    job->envelope.body = keep(job, envelope->body);
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

/* What can be said of a message that is no command: enough for an inbox row and a reply, if it is there. */
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

static bool read_envelope(const struct broker_delivery *delivery, struct envelope *ret_envelope)
{
    return envelope_read_command(delivery, ret_envelope) == ERR_OK && is_text(ret_envelope->type) &&
           is_text(ret_envelope->role) && is_text(ret_envelope->correlation_id) &&
           is_text(ret_envelope->reply_to) && is_text(ret_envelope->traceparent);
}

static struct job *new_job(void)
{
    struct job *job = xcalloc(1, sizeof(*job));
    arena_init(&job->arena, ARENA_BLOCK, 0);
    return job;
}

struct job *job_new(const struct broker_delivery *delivery)
{
    struct job *job = new_job();
    struct envelope envelope;
    job->tag = delivery->tag;
    job->epoch = delivery->epoch;
    job->delivery_count = delivery->delivery_count;
    job->is_redelivered = delivery->redelivered || delivery->delivery_count > 0;
    job->is_readable = job->is_addressed = read_envelope(delivery, &envelope);
    if (!job->is_readable) {
        job->verdict = ERR_POISON;
        job->is_addressed = read_address(delivery, &envelope);
    }
    keep_envelope(job, &envelope);
    return job;
}

struct job *job_new_of_row(const struct envelope *envelope, enum deferral row)
{
    struct job *job = new_job();
    job->row = row;
    job->is_readable = job->is_addressed = true;
    keep_envelope(job, envelope);
    return job;
}

void job_free(struct job *job)
{
    arena_done(&job->arena);
    free(job);
}

void job_reset(struct job *job)
{
    job->status = ERR_OK;
    job->http_status = 0;
    job->refusal = SLICE("");
    job->effects = NULL;
    job->is_replay = job->is_unrecorded = job->replaces = false;
    job->is_waiting = job->waits_in_turn = job->is_gone = false;
}

struct effect *job_add_effect(struct job *job, struct slice type, struct slice data)
{
    struct effect **last = &job->effects;
    size_t count = 0;
    for (; *last; count++)
        last = &(*last)->next;
    assert(count < EFFECTS_MAX);
    *last = arena_calloc(&job->arena, 1, sizeof(**last));
    (*last)->type = arena_copy(&job->arena, type);
    (*last)->data = arena_copy(&job->arena, data);
    return *last;
}
