#include "common/broker/envelope.h"

#include <stdio.h>

#include "common/broker/topology.h"

/* ---- writing ---- */

/* Hands out the texts and the headers of a scratch, one after the other. */
struct writer {
    struct envelope_scratch *scratch;
    size_t texts;
    size_t headers;
};

static char *next_text(struct writer *w)
{
    return w->scratch->text[w->texts++];
}

static struct slice uuid_text(struct writer *w, const struct uuid *uuid)
{
    char *text = next_text(w);
    uuid_format(uuid, text);
    return (struct slice){text, UUID_TEXT_LEN};
}

static void add_text(struct writer *w, struct slice name, struct slice text)
{
    if (text.len > 0)
        w->scratch->headers[w->headers++] = (struct broker_header){.name = name, .text = text};
}

static void add_uuid(struct writer *w, struct slice name, const struct uuid *uuid)
{
    add_text(w, name, uuid_text(w, uuid));
}

static void add_integer(struct writer *w, struct slice name, int64_t integer)
{
    w->scratch->headers[w->headers++] =
        (struct broker_header){.name = name, .is_integer = true, .integer = integer};
}

static struct slice none_if_empty(struct slice s)
{
    return s.len > 0 ? s : SLICE_NONE;
}

static enum err join_key(struct writer *w, struct slice first, struct slice second, struct slice *ret_key)
{
    char *text = next_text(w);
    if (first.len + 1 + second.len >= ENVELOPE_KEY_MAX)
        return ERR_BAD_REQUEST;
    memcpy(text, first.data, first.len);
    text[first.len] = '.';
    memcpy(text + first.len + 1, second.data, second.len);
    *ret_key = (struct slice){text, first.len + 1 + second.len};
    return ERR_OK;
}

enum err envelope_write_command(const struct envelope *envelope, const char *pool, int64_t partitions,
                                struct envelope_scratch *scratch, struct broker_message *ret_message)
{
    struct writer w = {.scratch = scratch};
    if (envelope->type.len == 0 || envelope->role.len == 0 || envelope->role.len > ENVELOPE_ROLE_MAX)
        return ERR_BAD_REQUEST;
    unsigned partition = topology_partition(&envelope->company, partitions);
    struct slice key = {.data = next_text(&w)};
    key.len = topology_command_key(pool, partition, envelope->type, w.scratch->text[0], ENVELOPE_KEY_MAX);
    if (key.len == 0)
        return ERR_BAD_REQUEST;
    add_uuid(&w, SLICE("company"), &envelope->company);
    add_uuid(&w, SLICE("actor"), &envelope->actor);
    add_text(&w, SLICE("role"), envelope->role);
    if (envelope->has_subject)
        add_uuid(&w, SLICE("subject"), &envelope->subject);
    if (envelope->has_parent)
        add_uuid(&w, SLICE("parent"), &envelope->parent);
    if (envelope->if_match)
        add_integer(&w, SLICE("if-match"), envelope->if_match);
    add_integer(&w, SLICE("fingerprint"), (int64_t)envelope->fingerprint);
    if (envelope->not_before)
        add_integer(&w, SLICE("not-before"), envelope->not_before);
    add_text(&w, SLICE("traceparent"), envelope->traceparent);
    *ret_message = (struct broker_message){
        .exchange = SLICE(EXCHANGE_COMMANDS),
        .routing_key = key,
        .content_type = SLICE("application/msgpack"),
        .message_id = uuid_text(&w, &envelope->id),
        .correlation_id = none_if_empty(envelope->correlation_id),
        .reply_to = none_if_empty(envelope->reply_to),
        .type = envelope->type,
        .timestamp = envelope->timestamp,
        .persistent = true,
        .mandatory = true,
        .headers = scratch->headers,
        .header_count = w.headers,
        .body = envelope->body,
    };
    return ERR_OK;
}

/* The key of the slot has the other one behind its first dot. */
static enum err address_event(const struct event *event, enum event_keys keys, struct slice company,
                              struct writer *w, struct broker_message *message)
{
    char slot[TOPOLOGY_SLOT_SIZE];
    struct slice slot_key, company_key;
    enum err err = join_key(w, company, event->type, &company_key);
    topology_event_slot_format(topology_event_slot(&event->company), slot);
    if (!err)
        err = join_key(w, (struct slice){slot, sizeof(slot) - 1}, company_key, &slot_key);
    if (err)
        return err;
    static const struct slice exchanges[] = {
        [EVENT_KEYS_BOTH] = {EXCHANGE_EVENTS, sizeof(EXCHANGE_EVENTS) - 1},
        [EVENT_KEYS_SLOT] = {EXCHANGE_GATEWAYS, sizeof(EXCHANGE_GATEWAYS) - 1},
        [EVENT_KEYS_OTHERS] = {EXCHANGE_SLOTS, sizeof(EXCHANGE_SLOTS) - 1},
    };
    struct slice *cc = w->scratch->cc;
    bool is_both = keys == EVENT_KEYS_BOTH;
    cc[0] = keys == EVENT_KEYS_OTHERS ? SLICE_NONE : none_if_empty(event->reply_to);
    cc[1] = is_both ? slot_key : SLICE_NONE;
    message->exchange = exchanges[keys];
    message->routing_key = is_both ? company_key : slot_key;
    message->cc = cc;
    message->cc_count = ARRAY_LEN(w->scratch->cc);
    message->persistent = true;
    message->mandatory = keys == EVENT_KEYS_OTHERS;
    return ERR_OK;
}

static enum err address_reply(const struct event *event, struct broker_message *message)
{
    message->exchange = SLICE(EXCHANGE_EVENTS);
    message->routing_key = event->reply_to;
    return event->reply_to.len > 0 ? ERR_OK : ERR_BAD_REQUEST;
}

void envelope_company_keys(const struct uuid *company, const char *word, char key[ENVELOPE_KEY_MAX],
                           char slot_key[ENVELOPE_KEY_MAX])
{
    char text[UUID_TEXT_LEN + 1], slot[TOPOLOGY_SLOT_SIZE];
    uuid_format(company, text);
    topology_event_slot_format(topology_event_slot(company), slot);
    snprintf(key, ENVELOPE_KEY_MAX, "%s.%s", text, word);
    snprintf(slot_key, ENVELOPE_KEY_MAX, "%s.%s.%s", slot, text, word);
}

enum err envelope_write_event(const struct event *event, enum event_keys keys,
                              struct envelope_scratch *scratch, struct broker_message *ret_message)
{
    struct writer w = {.scratch = scratch};
    struct broker_message message = {
        .content_type = SLICE("application/json"),
        .message_id = uuid_text(&w, &event->command_id),
        .correlation_id = none_if_empty(event->correlation_id),
        .type = event->type,
        .headers = scratch->headers,
        .body = event->body,
    };
    struct slice company = uuid_text(&w, &event->company);
    enum err err = event->type.len == 0          ? ERR_BAD_REQUEST
                   : event_is_reply_alone(event) ? address_reply(event, &message)
                                                 : address_event(event, keys, company, &w, &message);
    if (err)
        return err;
    add_text(&w, SLICE("status"), slice_of(err_info(event->status)->slug));
    add_integer(&w, SLICE("http-status"), event->http_status);
    add_text(&w, SLICE("company"), company);
    if (event->seq || event->status == ERR_OK)
        add_integer(&w, SLICE("seq"), event->seq);
    if (event->has_subject)
        add_uuid(&w, SLICE("subject"), &event->subject);
    if (event->has_project)
        add_uuid(&w, SLICE("project"), &event->project);
    if (event->version)
        add_integer(&w, SLICE("version"), event->version);
    if (event->entity_at)
        add_integer(&w, SLICE("entity-at"), event->entity_at);
    if (event->is_replayed)
        add_integer(&w, SLICE("replayed"), 1);
    if (event->is_private)
        add_integer(&w, SLICE("private"), 1);
    message.header_count = w.headers;
    *ret_message = message;
    return ERR_OK;
}

/* ---- reading; the queue is not trusted ---- */

enum presence { REQUIRED, OPTIONAL };

/* Remembers that something was wrong, so that the functions below only list what they read. */
struct reader {
    const struct broker_delivery *delivery;
    bool poison;
};

static const struct broker_header *find(struct reader *r, const char *name, enum presence presence,
                                        bool is_integer)
{
    const struct broker_header *header = broker_delivery_header(r->delivery, name);
    if (header ? header->is_integer != is_integer : presence == REQUIRED)
        r->poison = true;
    return r->poison ? NULL : header;
}

static struct slice read_text(struct reader *r, const char *name, enum presence presence, size_t max)
{
    const struct broker_header *header = find(r, name, presence, false);
    if (!header)
        return SLICE_NONE;
    if (header->text.len == 0 || header->text.len > max)
        r->poison = true;
    return header->text;
}

static int64_t read_integer(struct reader *r, const char *name, enum presence presence)
{
    const struct broker_header *header = find(r, name, presence, true);
    return header ? header->integer : 0;
}

static int64_t read_natural(struct reader *r, const char *name, enum presence presence)
{
    int64_t integer = read_integer(r, name, presence);
    if (integer < 0)
        r->poison = true;
    return integer;
}

static void parse_uuid(struct reader *r, struct slice text, struct uuid *ret_uuid)
{
    if (!uuid_parse(text, ret_uuid))
        r->poison = true;
}

/* Returns true when the header is there. */
static bool read_uuid(struct reader *r, const char *name, enum presence presence, struct uuid *ret_uuid)
{
    const struct broker_header *header = find(r, name, presence, false);
    if (header)
        parse_uuid(r, header->text, ret_uuid);
    return header != NULL;
}

static void expect_content_type(struct reader *r, const char *content_type)
{
    if (!slice_is(r->delivery->content_type, content_type))
        r->poison = true;
}

static void read_type(struct reader *r, struct slice *ret_type)
{
    *ret_type = r->delivery->type;
    if (ret_type->len == 0 || ret_type->len >= ENVELOPE_KEY_MAX)
        r->poison = true;
}

enum err envelope_read_command(const struct broker_delivery *delivery, struct envelope *ret_envelope)
{
    struct reader r = {.delivery = delivery};
    struct envelope envelope = {
        .timestamp = delivery->timestamp,
        .correlation_id = delivery->correlation_id,
        .reply_to = topology_reply_key(delivery->reply_to),
        .body = delivery->body,
    };
    expect_content_type(&r, "application/msgpack");
    read_type(&r, &envelope.type);
    parse_uuid(&r, delivery->message_id, &envelope.id);
    read_uuid(&r, "company", REQUIRED, &envelope.company);
    read_uuid(&r, "actor", REQUIRED, &envelope.actor);
    envelope.role = read_text(&r, "role", REQUIRED, ENVELOPE_ROLE_MAX);
    envelope.has_subject = read_uuid(&r, "subject", OPTIONAL, &envelope.subject);
    envelope.has_parent = read_uuid(&r, "parent", OPTIONAL, &envelope.parent);
    envelope.if_match = read_natural(&r, "if-match", OPTIONAL);
    envelope.fingerprint = (uint64_t)read_integer(&r, "fingerprint", REQUIRED);
    envelope.not_before = read_natural(&r, "not-before", OPTIONAL);
    envelope.traceparent = read_text(&r, "traceparent", OPTIONAL, SIZE_MAX);
    if (r.poison)
        return ERR_POISON;
    *ret_envelope = envelope;
    return ERR_OK;
}

/* err_from_slug returns ERR_INTERNAL for a status that only a newer worker knows, so that it stays a
 * failure. */
static enum err read_status(struct reader *r)
{
    struct slice slug = read_text(r, "status", REQUIRED, SIZE_MAX);
    return slug.data ? err_from_slug(slug.data, slug.len) : ERR_INTERNAL;
}

static int64_t read_entity_at(struct reader *r)
{
    int64_t entity_at = read_natural(r, "entity-at", OPTIONAL);
    if (entity_at > 0 && (size_t)entity_at >= r->delivery->body.len)
        r->poison = true;
    return entity_at;
}

enum err envelope_read_event(const struct broker_delivery *delivery, struct event *ret_event)
{
    struct reader r = {.delivery = delivery};
    struct event event = {
        .correlation_id = delivery->correlation_id,
        .reply_to = SLICE_NONE, /* the delivery has arrived; nobody answers it */
        .body = delivery->body,
    };
    expect_content_type(&r, "application/json");
    read_type(&r, &event.type);
    parse_uuid(&r, delivery->message_id, &event.command_id);
    event.status = read_status(&r);
    int64_t http_status = read_integer(&r, "http-status", REQUIRED);
    if (http_status < 100 || http_status > 599)
        r.poison = true;
    event.http_status = (int)http_status;
    read_uuid(&r, "company", REQUIRED, &event.company);
    event.seq = read_natural(&r, "seq", event.status == ERR_OK ? REQUIRED : OPTIONAL);
    event.has_subject = read_uuid(&r, "subject", OPTIONAL, &event.subject);
    event.has_project = read_uuid(&r, "project", OPTIONAL, &event.project);
    event.version = read_natural(&r, "version", OPTIONAL);
    event.entity_at = read_entity_at(&r);
    event.is_replayed = read_natural(&r, "replayed", OPTIONAL) != 0;
    event.is_private = read_natural(&r, "private", OPTIONAL) != 0;
    if (r.poison)
        return ERR_POISON;
    *ret_event = event;
    return ERR_OK;
}
