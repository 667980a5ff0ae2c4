#include "common/broker/parcel.h"

#include "common/broker/parcel_form.h"
#include "common/broker/topology.h"

enum { FIELDS = 15 };

#define CONTENT_TYPE "application/vnd.cortex.parcel"

/* ---- writing ---- */

static void put_fields(struct buf *out, const struct envelope *e)
{
    form_put_array(out, FIELDS);
    form_put_uuid(out, &e->id, true);
    form_put_uuid(out, &e->company, true);
    form_put_text(out, e->type);
    form_put_text(out, e->correlation_id);
    form_put_text(out, e->reply_to);
    form_put_binary(out, e->body);
    form_put_uuid(out, &e->actor, true);
    form_put_text(out, e->role);
    form_put_uuid(out, &e->subject, e->has_subject);
    form_put_uuid(out, &e->parent, e->has_parent);
    form_put_integer(out, e->if_match);
    form_put_integer(out, (int64_t)e->fingerprint);
    form_put_integer(out, e->timestamp);
    form_put_integer(out, e->not_before);
    form_put_text(out, e->traceparent);
}

/* As of a single command, whose key has the type in it. */
static bool is_writable(const struct envelope *e)
{
    return e->type.len > 0 && e->type.len < ENVELOPE_KEY_MAX && e->role.len > 0 &&
           e->role.len <= ENVELOPE_ROLE_MAX && e->correlation_id.len <= FORM_SHORT_MAX &&
           e->reply_to.len <= FORM_SHORT_MAX && e->traceparent.len <= FORM_SHORT_MAX &&
           e->body.len <= BROKER_BODY_MAX;
}

enum err parcel_add(struct buf *entries, const struct envelope *envelope)
{
    size_t before = buf_len(entries);
    if (!is_writable(envelope))
        return ERR_BAD_REQUEST;
    form_put_length(entries, 0);
    put_fields(entries, envelope);
    return form_end_entry(entries, before);
}

void parcel_write_head(char head[PARCEL_HEAD_SIZE], size_t count)
{
    form_write_array(head, count);
}

enum err parcel_write(struct slice body, const char *pool, unsigned partition,
                      struct envelope_scratch *scratch, struct broker_message *ret_message)
{
    struct uuid id = uuid_v7();
    char *key = scratch->text[0], *id_text = scratch->text[1];
    size_t key_len = topology_command_key(pool, partition, SLICE("parcel"), key, ENVELOPE_KEY_MAX);
    if (key_len == 0)
        return ERR_BAD_REQUEST;
    uuid_format(&id, id_text);
    *ret_message = (struct broker_message){
        .exchange = SLICE(EXCHANGE_COMMANDS),
        .routing_key = {key, key_len},
        .content_type = SLICE(CONTENT_TYPE),
        .message_id = {id_text, UUID_TEXT_LEN},
        .type = SLICE("parcel"),
        .persistent = true,
        .mandatory = true,
        .body = body,
    };
    return ERR_OK;
}

/* ---- reading ---- */

bool parcel_is(const struct broker_delivery *delivery)
{
    return slice_is(delivery->content_type, CONTENT_TYPE);
}

enum err parcel_open(struct slice body, struct parcel *ret_parcel)
{
    struct form_reader r = {.rest = body};
    size_t count = form_take_array(&r);
    struct parcel parcel = {.rest = r.rest, .count = count};
    form_require(&r, count > 0 && count <= PARCEL_ENTRIES_MAX);
    for (size_t i = 0; i < count && !r.poison; i++)
        form_take_binary(&r);
    if (r.poison || r.rest.len > 0)
        return ERR_POISON;
    *ret_parcel = parcel;
    return ERR_OK;
}

struct slice parcel_take(struct parcel *parcel)
{
    struct form_reader r = {.rest = parcel->rest};
    struct slice entry = form_take_binary(&r);
    parcel->rest = r.rest;
    parcel->count--;
    return entry;
}

/* Returns how many fields the entry has. */
static size_t take_address(struct form_reader *r, struct envelope *e)
{
    size_t fields = form_take_array(r);
    form_require(r, form_take_uuid(r, &e->id));
    form_require(r, form_take_uuid(r, &e->company));
    return fields;
}

static void take_replying(struct form_reader *r, struct envelope *e)
{
    e->type = form_take_text(r);
    e->correlation_id = form_take_text(r);
    e->reply_to = topology_reply_key(form_take_text(r));
    e->body = form_take_binary(r);
}

enum err parcel_read_entry(struct slice entry, struct envelope *ret_envelope)
{
    struct form_reader r = {.rest = entry};
    struct envelope e = {0};
    size_t fields = take_address(&r, &e);
    take_replying(&r, &e);
    form_require(&r, form_take_uuid(&r, &e.actor));
    e.role = form_take_text(&r);
    e.has_subject = form_take_uuid(&r, &e.subject);
    e.has_parent = form_take_uuid(&r, &e.parent);
    e.if_match = form_take_natural(&r);
    e.fingerprint = (uint64_t)form_take_integer(&r);
    e.timestamp = form_take_integer(&r);
    e.not_before = form_take_natural(&r);
    e.traceparent = form_take_text(&r);
    form_require(&r, fields >= FIELDS);
    form_skip_fields(&r, fields - FIELDS);
    form_require(&r, r.rest.len == 0 && is_writable(&e));
    if (r.poison)
        return ERR_POISON;
    *ret_envelope = e;
    return ERR_OK;
}

bool parcel_read_address(struct slice entry, struct envelope *ret_envelope)
{
    struct form_reader r = {.rest = entry};
    struct envelope e = {0};
    take_address(&r, &e);
    bool has_address = !r.poison;
    take_replying(&r, &e);
    if (r.poison)
        e.type = e.correlation_id = e.reply_to = e.body = SLICE_NONE;
    *ret_envelope = e;
    if (!e.body.data)
        ret_envelope->body = entry; /* an operator sees what came */
    return has_address;
}
