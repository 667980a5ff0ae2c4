#include "common/broker/event_parcel.h"

#include <stdio.h>

#include "common/broker/parcel_form.h"
#include "common/broker/topology.h"

enum { FIELDS = 13, KEY_FIXED = 5 /* around a key in CC */ };

#define CONTENT_TYPE "application/vnd.cortex.events"

/* ---- writing ---- */

/* A key of four words would leave the exchange of the gateways (topology.h). */
static bool has_two_words(struct slice type)
{
    const char *dot = memchr(type.data, '.', type.len);
    size_t left = dot ? (size_t)(type.data + type.len - dot - 1) : 0;
    return dot && left > 0 && !memchr(dot + 1, '.', left);
}

static bool is_writable(const struct event *e)
{
    return e->type.len > 0 && e->type.len < ENVELOPE_KEY_MAX - TOPOLOGY_SLOT_SIZE &&
           e->correlation_id.len <= FORM_SHORT_MAX && e->body.len <= BROKER_BODY_MAX;
}

bool event_parcel_takes(const struct event *event)
{
    return is_writable(event) && !event->is_private &&
           (event->status != ERR_OK || has_two_words(event->type));
}

enum err event_parcel_add(struct buf *entries, const struct event *event)
{
    size_t before = buf_len(entries);
    form_put_length(entries, 0);
    form_put_array(entries, FIELDS);
    form_put_uuid(entries, &event->command_id, true);
    form_put_uuid(entries, &event->company, true);
    form_put_text(entries, event->type);
    form_put_text(entries, slice_of(err_info(event->status)->slug));
    form_put_integer(entries, event->http_status);
    form_put_integer(entries, event->seq);
    form_put_uuid(entries, &event->subject, event->has_subject);
    form_put_uuid(entries, &event->project, event->has_project);
    form_put_integer(entries, event->version);
    form_put_integer(entries, event->entity_at);
    form_put_integer(entries, event->is_replayed);
    form_put_text(entries, event->correlation_id);
    form_put_binary(entries, event->body);
    return form_end_entry(entries, before);
}

void event_parcel_clear_keys(struct event_parcel_keys *keys)
{
    keys->count = keys->texts = keys->octets = 0;
}

bool event_parcel_has_room(const struct event_parcel_keys *keys, const struct event *event)
{
    return keys->texts < PARCEL_ENTRIES_MAX &&
           keys->octets + TOPOLOGY_SLOT_SIZE + event->type.len + KEY_FIXED <= EVENT_PARCEL_KEYS_MAX;
}

static void add(struct event_parcel_keys *keys, struct slice key)
{
    keys->key[keys->count++] = key;
    keys->octets += key.len + KEY_FIXED;
}

size_t event_parcel_add_key(struct event_parcel_keys *keys, const struct event *event)
{
    char slot[TOPOLOGY_SLOT_SIZE];
    char *text = keys->text[keys->texts];
    size_t at = 0;
    topology_event_slot_format(topology_event_slot(&event->company), slot);
    int len = snprintf(text, ENVELOPE_KEY_MAX, "%s.%.*s", slot, (int)event->type.len, event->type.data);
    struct slice key = {text, (size_t)len};
    while (at < keys->count && !slice_equal(keys->key[at], key))
        at++;
    if (at < keys->count)
        return at;
    add(keys, key);
    keys->texts++;
    return at;
}

void event_parcel_add_reply_key(struct event_parcel_keys *keys, struct slice reply_key)
{
    if (reply_key.len > 0)
        add(keys, reply_key);
}

struct broker_message event_parcel_write(struct slice body, const struct event_parcel_keys *keys)
{
    return (struct broker_message){
        .exchange = SLICE(EXCHANGE_GATEWAYS),
        .routing_key = keys->key[0],
        .cc = keys->key + 1,
        .cc_count = keys->count - 1,
        .content_type = SLICE(CONTENT_TYPE),
        .type = SLICE("parcel"),
        .persistent = true,
        .body = body,
    };
}

/* ---- reading ---- */

bool event_parcel_is(const struct broker_delivery *delivery)
{
    return slice_is(delivery->content_type, CONTENT_TYPE);
}

/* err_from_slug returns ERR_INTERNAL for a status that only a newer worker knows, so that it stays a failure. */
static enum err take_status(struct form_reader *r)
{
    struct slice slug = form_take_text(r);
    form_require(r, slug.len > 0);
    return slug.len > 0 ? err_from_slug(slug.data, slug.len) : ERR_INTERNAL;
}

static int take_http_status(struct form_reader *r)
{
    int64_t status = form_take_natural(r);
    form_require(r, status >= 100 && status <= 599);
    return r->poison ? 0 : (int)status;
}

enum err event_parcel_read_entry(struct slice entry, struct event *ret_event)
{
    struct form_reader r = {.rest = entry};
    struct event e = {0};
    size_t fields = form_take_array(&r);
    form_require(&r, fields >= FIELDS);
    form_require(&r, form_take_uuid(&r, &e.command_id));
    form_require(&r, form_take_uuid(&r, &e.company));
    e.type = form_take_text(&r);
    e.status = take_status(&r);
    e.http_status = take_http_status(&r);
    e.seq = form_take_natural(&r);
    e.has_subject = form_take_uuid(&r, &e.subject);
    e.has_project = form_take_uuid(&r, &e.project);
    e.version = form_take_natural(&r);
    e.entity_at = form_take_natural(&r);
    e.is_replayed = form_take_natural(&r) != 0;
    e.correlation_id = form_take_text(&r);
    e.body = form_take_binary(&r);
    form_skip_fields(&r, fields - FIELDS);
    form_require(&r, r.rest.len == 0 && is_writable(&e));
    form_require(&r, e.entity_at == 0 || (size_t)e.entity_at < e.body.len);
    if (r.poison)
        return ERR_POISON;
    *ret_event = e;
    return ERR_OK;
}
