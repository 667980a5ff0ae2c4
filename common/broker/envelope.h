#pragma once
/* The metadata of commands and of events, as AMQP properties and headers. Bodies are not looked at here.
 *
 * A command:  message_id = command id · type = "project.create" · correlation_id = the request that waits ·
 *   reply_to = routing key on `events` · timestamp · content_type = application/msgpack · headers company, actor, role,
 *   subject, parent, if-match, fingerprint, not-before, traceparent. Routing key "<pool>.<partition>.<type>", exchange `commands`,
 *   persistent and mandatory.
 * An event or a reply:  message_id = command id · correlation_id and type as above ("project.created" for events) ·
 *   content_type = application/json · headers status, http-status, company, seq, subject, project, version, entity-at.
 *   An event's routing key is "<company>.<type>" with the reply key in CC; a refusal goes to the reply key only.
 */

#include "common/base/uuid.h"
#include "common/broker/broker.h"

#define ENVELOPE_KEY_MAX  128
#define ENVELOPE_ROLE_MAX 32

struct envelope {
    struct uuid id;    /* also the id of the entity that it creates */
    struct slice type; /* "project.create": the row of the worker's command table */
    struct uuid company;
    struct uuid actor; /* the user */
    struct slice role;
    bool has_subject, has_parent;
    struct uuid subject;  /* the entity that is changed or deleted */
    struct uuid parent;   /* the project of a task */
    int64_t if_match;     /* version asked for by If-Match; 0: none */
    uint64_t fingerprint; /* of type, subject, parent and body: tells a replay from another request under the
                             same key */
    int64_t timestamp;    /* seconds */
    int64_t not_before;   /* milliseconds since 1970: it is to run then; 0: at once */
    struct slice correlation_id; /* opaque to workers, echoed */
    struct slice reply_to;       /* empty: nobody waits */
    struct slice traceparent;
    struct slice body; /* msgpack by the schema of `type` */
};

/* Fills message from the envelope of a command; `scratch` keeps the texts that the message points to. The exchange, key and
 * flags too: it goes to its company's partition of `partitions`. */
struct envelope_scratch {
    char text[12][ENVELOPE_KEY_MAX];
    struct broker_header headers[BROKER_HEADERS_MAX];
};
enum err envelope_write_command(const struct envelope *envelope, const char *pool, int64_t partitions,
                                struct envelope_scratch *scratch,
                                struct broker_message *ret_message) MUST_CHECK;
/* ERR_POISON when a part is missing or malformed. Slices point into the delivery. */
enum err envelope_read_command(const struct broker_delivery *delivery,
                               struct envelope *ret_envelope) MUST_CHECK;

struct event {
    struct uuid command_id;
    struct uuid company;
    struct slice type; /* "project.created"; for a refusal the command's type */
    enum err status;   /* OK: an event; otherwise a reply with the refusal's JSON as body */
    int http_status;   /* 201, 200, 204 */
    int64_t seq;       /* 0 for a refusal, and for a word of a long job */
    bool has_subject, has_project;
    struct uuid subject;
    struct uuid project; /* whose channel `project:<id>` sees it too */
    int64_t version;     /* of the entity: its ETag */
    struct slice correlation_id;
    struct slice reply_to; /* empty: nobody waits */
    struct slice body;     /* the event as JSON text; its last member is "data": the entity */
    int64_t entity_at;     /* offset of the entity in the body; it ends one octet before the body does */
};

/* An event goes to "<company>.<type>" with reply_to in CC; a refusal to reply_to alone (which must not be
 * empty). */
enum err envelope_write_event(const struct event *event, struct envelope_scratch *scratch,
                              struct broker_message *ret_message) MUST_CHECK;
enum err envelope_read_event(const struct broker_delivery *delivery, struct event *ret_event) MUST_CHECK;
