#pragma once
/* The metadata of commands and of events, as AMQP properties and headers. Nothing here reads a body.
 *
 * A command, on the exchange `commands`, persistent and mandatory:
 *   routing key      "<pool>.<partition>.<type>"
 *   message_id       id of the command
 *   type             "project.create"
 *   correlation_id   the request that waits
 *   reply_to         routing key on the exchange `events`
 *   timestamp        when it was made
 *   content_type     application/msgpack
 *   headers          company, actor, role, subject, parent, if-match, fingerprint, not-before, traceparent
 *
 * An event or a reply:
 *   exchange, key    an event: `events.gateways`, "<slot>.<company>.<type>", with the reply key in CC; or, while a
 *                    gateway may not bind slots, `events`, "<company>.<type>", with the slot's key in CC, too;
 *                    one of a parcel (event_parcel.h), beside it: `events.slots`, "<slot>.<company>.<type>", mandatory;
 *                    a refusal: `events`, the reply key alone
 *   message_id       id of the command
 *   type             "project.created"; of a refusal the type of the command
 *   correlation_id   as in the command
 *   content_type     application/json
 *   headers          status, http-status, company, seq, subject, project, version, entity-at, replayed
 */

#include "common/base/uuid.h"
#include "common/broker/broker.h"

#define ENVELOPE_KEY_MAX  128
#define ENVELOPE_ROLE_MAX 32

struct envelope {
    struct uuid id;    /* also the id of the entity that it creates */
    struct slice type; /* "project.create": a row in the command table of the worker */
    struct uuid company;
    struct uuid actor; /* the user */
    struct slice role;
    bool has_subject, has_parent;
    struct uuid subject; /* the entity that is changed or deleted */
    struct uuid parent;  /* the project of a task */
    int64_t if_match;    /* version that If-Match demands; 0: none */
    /* Of type, subject, parent and body: tells a replay from another request under the same key. */
    uint64_t fingerprint;
    int64_t timestamp;           /* seconds since 1970 */
    int64_t not_before;          /* milliseconds since 1970, when it is to run; 0: at once */
    struct slice correlation_id; /* opaque to workers, which echo it */
    struct slice reply_to;       /* empty: nobody waits */
    struct slice traceparent;
    struct slice body; /* msgpack by the schema of `type` */
};

/* Keeps the texts that a message points to, as long as the message. */
struct envelope_scratch {
    char text[12][ENVELOPE_KEY_MAX];
    struct slice cc[2];
    struct broker_header headers[BROKER_HEADERS_MAX];
};
/* Fills the whole message for a command: exchange, routing key, flags, properties and headers. The command
 * goes to the partition of its company, out of `partitions`. */
enum err envelope_write_command(const struct envelope *envelope, const char *pool, int64_t partitions,
                                struct envelope_scratch *scratch,
                                struct broker_message *ret_message) MUST_CHECK;
/* ERR_POISON: a part is missing or malformed. Slices point into the delivery. */
enum err envelope_read_command(const struct broker_delivery *delivery,
                               struct envelope *ret_envelope) MUST_CHECK;

struct event {
    struct uuid command_id;
    struct uuid company;
    struct slice type; /* "project.created"; for a refusal the type of the command */
    enum err status;   /* OK: an event; otherwise a refusal, whose JSON is the body */
    int http_status;   /* 201, 200, 204 */
    int64_t seq;       /* 0 for a refusal, and for the progress of a long job */
    bool has_subject, has_project;
    struct uuid subject;
    struct uuid project; /* its channel `project:<id>` gets the event too */
    int64_t version;     /* of the entity; its ETag */
    bool is_replayed;    /* the command had run already, for a request before this one */
    bool is_private;     /* for who waits at reply_to alone; seq is 0 */
    struct slice correlation_id;
    struct slice reply_to; /* empty: nobody waits */
    struct slice body;     /* the event as JSON text; its last member, "data", is the entity */
    int64_t entity_at;     /* offset of the entity in the body; it ends one octet before the body does */
};

enum event_keys {
    EVENT_KEYS_BOTH,   /* some gateway may still bind companies on `events` */
    EVENT_KEYS_SLOT,   /* every gateway binds slots */
    EVENT_KEYS_OTHERS, /* for those who are no gateways: these have it by a parcel */
};

/* Whether it is for nobody but who waits for it. */
static inline bool event_is_reply_alone(const struct event *event)
{
    return event->status != ERR_OK || event->is_private;
}

/* Of a refusal, and of what is private, reply_to must not be empty. */
enum err envelope_write_event(const struct event *event, enum event_keys keys,
                              struct envelope_scratch *scratch,
                              struct broker_message *ret_message) MUST_CHECK;
/* Of "<company>.<word>" on `events`: the keys, the second of them with the slot in front. */
void envelope_company_keys(const struct uuid *company, const char *word, char key[ENVELOPE_KEY_MAX],
                           char slot_key[ENVELOPE_KEY_MAX]);
enum err envelope_read_event(const struct broker_delivery *delivery, struct event *ret_event) MUST_CHECK;
