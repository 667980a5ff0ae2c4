#pragma once
/* Messages by their generated field tables. The gateway validates JSON and turns it into msgpack; the worker
 * turns msgpack into values. schemac makes the tables from schemas/messages/.
 *
 * The msgpack form: an object is a map from the integer x-id of each field to its value, in the order of the
 * x-ids. A field that is absent is left out. Strings of every format and enums are str, integers are int,
 * numbers are float 64 or int. A reader skips ids that it does not know; a known id must fit its field. */

#include <jansson.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/msg/rights.h"

enum msg_type { MSG_OBJECT, MSG_ARRAY, MSG_STRING, MSG_INTEGER, MSG_NUMBER, MSG_BOOLEAN, MSG_NULL, MSG_ANY };

enum msg_format {
    MSG_FORMAT_NONE,
    MSG_FORMAT_UUID,
    MSG_FORMAT_DATE,
    MSG_FORMAT_DATE_TIME,
    MSG_FORMAT_EMAIL,
    MSG_FORMAT_URI,
    MSG_FORMAT_OCTETS, /* any octets: base64 in JSON (contentEncoding), bin in msgpack, bytea in a table */
};

struct msg_object;

/* What a value may be, and its bounds. */
struct msg_shape {
    enum msg_type type;
    bool nullable;
    enum msg_format format;
    int64_t min_length, max_length; /* code points of a string; max -1: no bound (an enum needs none) */
    bool has_minimum, has_maximum, minimum_exclusive, maximum_exclusive;
    double minimum, maximum;
    double multiple_of;           /* 0: none */
    const char *const *allowed;   /* enum of strings, NULL-terminated; NULL: any */
    int64_t min_items, max_items; /* of an array; max -1: none */
    const struct msg_shape *items;
    const struct msg_object *object;
};

/* A value of a status may become each of `to`, and stay. From "": what a create may begin with. */
struct msg_transition {
    const char *from;
    const char *const *to; /* NULL-terminated */
};

enum { MSG_TRANSITIONS_MAX = 16 }; /* most rows of a field with transitions; schemac refuses more */

/* Among which entities a value comes once (x-unique). */
enum msg_unique { MSG_UNIQUE_NONE, MSG_UNIQUE_COMPANY, MSG_UNIQUE_PARENT };

/* A secret (x-secret): it is in no entity, event or file. The gateway seals it to the pool, and it rests sealed; so its
 * value in a message is octets that only the pool opens (common/crypto/seal.h). */
struct msg_secret {
    const char
        *prefix; /* a create without it gets a random one: this and `octets` octets in base64; NULL: none */
    unsigned octets;
    /* The one before stays valid for as many hours after an update: columns <column>_before and <column>_before_until. Such a
     * secret can be read and rotated (MSG_VERB_SECRET, MSG_VERB_ROTATE). 0: it goes at once. */
    unsigned keep_hours;
    /* It rests under the keys that gateways have, too (CORTEX_HOOK_KEYS), since they check signatures with it. */
    bool is_for_gateways;
};

struct msg_field {
    const char *name;
    uint32_t id;      /* x-id: stable for ever */
    bool required;    /* on create */
    bool read_only;   /* the server sets it; refused from clients */
    bool create_only; /* refused in an update */
    bool filter;      /* a list can be filtered by it */
    bool indexed; /* that list has an index: (company_id, id of the parent, this column, created_at, id) */
    bool search;  /* `?text=` searches in it */
    const char *column;   /* in the table of the resource; the name, unless x-column gives another */
    const char *fallback; /* default, as text for PostgreSQL; NULL: none */
    /* x-transitions: a row for each value, ends with an empty row. An update that changes the value otherwise
     * is an ILLEGAL_TRANSITION. NULL: it may become any other. */
    const struct msg_transition *transitions;
    const char *reference; /* table of the entity whose id it is (x-reference); NULL: it is no such id */
    struct msg_shape shape;
    uint8_t classes; /* x-class: 1 << MSG_CLASS_BIT_…; 0: whoever sees the entity sees it */
    enum msg_unique unique;
    bool holds; /* of a reference: the other entity is not deleted as long as this one refers to it */
    bool
        sort; /* lists can be sorted by it: there is an index (company_id, id of the parent, this column, id) */
    /* x-tie: the enum msg_condition of which it names the user, or MSG_TIE_UNTIL; 0: none */
    uint8_t tie;
    bool money;                      /* x-money: an amount in the currency of the company */
    const struct msg_secret *secret; /* NULL: it is none */
    bool outbound;                   /* x-outbound: a URL to which we will send requests */
    bool event_types; /* x-event-types: an array of types of events, or of patterns (event_type.h) */
    bool write_only;  /* it is stored, and in no entity, event or file */
};

/* Whether entities show it. */
static inline bool msg_is_shown(const struct msg_field *field)
{
    return !field->secret && !field->write_only;
}

enum { MSG_COLUMNS_MAX = 62 }; /* most fields of a resource; schemac refuses more */
enum { MSG_FILTERS_MAX = 10 }; /* most of them with x-filter */
enum { MSG_SORTS_MAX = 5 };    /* most of them with x-sort */
enum { MSG_VALUES_MAX = 50 };  /* most values of one filter in a query */
enum { MSG_FIELDS_MAX = 128 }; /* most fields of one object; schemac refuses more */

struct msg_object {
    const struct msg_field *fields; /* ascending by id */
    size_t field_count;
    bool closed; /* additionalProperties: false */
};

/* What is done to the entities of a resource. */
enum msg_verb {
    MSG_VERB_CREATE,
    MSG_VERB_GET,
    MSG_VERB_LIST,
    MSG_VERB_UPDATE,
    MSG_VERB_DELETE,
    MSG_VERB_SECRET, /* those of a resource that has a secret with keep_hours; no schema names them */
    MSG_VERB_ROTATE,
};
enum { MSG_VERBS = MSG_VERB_DELETE + 1 }; /* that schemas name */

/* One endpoint of a resource. */
struct msg_endpoint {
    enum msg_verb verb;
    const char *pattern; /* "/v1/projects/{project}/tasks/{id}" */
    const char *summary; /* a sentence for /openapi.json */
};

/* The channel `<resource>:<id>` that hears of an entity, beside the company's. */
enum msg_channel {
    MSG_CHANNEL_NONE,
    MSG_CHANNEL_OWN,    /* the entity's own */
    MSG_CHANNEL_PARENT, /* that of the entity above */
    MSG_CHANNEL_COLUMN, /* that of an entity whose id the column `channel_column` keeps, if any: one further
                           above, or one that the entity names */
};

/* Of the rows below, `verbs` are bits: 1 << MSG_VERB_…. Their SQL may use the names of workers/engine/resource. */

/* What refuses a command (x-rules, x-reference). */
struct msg_rule {
    unsigned verbs;
    enum err err;
    const char *pointer; /* into the request's body; NULL: the request as a whole */
    const char *detail;
    const char *broken_when; /* SQL condition; NULL ends the list */
};

/* A column whose value is computed, not taken from the client (x-compute). */
struct msg_compute {
    unsigned verbs;
    const char *column; /* NULL ends the list */
    const char *sql;
};

/* A number that is given in sequence, without gaps, for each company and scope (x-number). */
struct msg_number {
    const char *column;
    const char *scope;  /* SQL text */
    const char *prefix; /* SQL text, before the digits */
    /* The update by which this column first gets this value gives the number; NULL: the create gives it. */
    const char *when_column, *when_value;
};

/* Who hears of a command besides its sender (x-audience). Of a command without a row here, the company does, by its rights. */
struct msg_audience {
    const char *command; /* "create"; NULL ends the list */
    /* "created", the end of the event's type; NULL: the command is none of the usual ones. */
    const char *past;
    /* Fields that name users, or MSG_AUDIENCE_SENDER; ends with NULL. NULL: nobody, and there is no event. */
    const char *const *users;
};
#define MSG_AUDIENCE_SENDER "sender"

/* A column that follows from others (x-sum, common/msg/sum_sql.h). */
struct msg_sum {
    const char *column; /* NULL ends the list */
    const char *of;     /* resource over whose entities it is a sum; NULL: it follows from the row itself */
    const char *by;     /* their column that has the id of the row */
    const char *when;   /* SQL condition of `child`: which of them count; NULL: all */
    const char *sql;    /* SQL value: what a `child` adds, or what follows from `new` */
};

/* A resource: one schema file, from which create, update, delete, get and list follow. */
struct msg_resource {
    const char *name;       /* "project": command types are "project.create", … */
    const char *collection; /* "projects": the path segment */
    const char *table;
    const char
        *parent; /* "project" for a resource that belongs to one, else NULL; its column is "<parent>_id" */
    const char *pool;                     /* whose workers run its commands (common/broker/pools.def) */
    enum msg_channel channel;             /* who hears of it */
    const char *channel_column;           /* "project_id"; NULL unless MSG_CHANNEL_COLUMN */
    const struct msg_endpoint *endpoints; /* one for each of its verbs, at most */
    size_t endpoint_count;
    const struct msg_rule *rules;       /* in the order in which they decide */
    const struct msg_compute *computed; /* of columns, some of which are no fields */
    const struct msg_number *number;    /* NULL: none */
    bool is_alone;                      /* its creates do not share a statement */
    const struct msg_object *object;
    const char *json; /* the text of the schema, for /openapi.json */
    /* x-rights: bits of enum msg_condition, by the role and the right; 0: never. The row of MSG_ROLE_UNKNOWN is empty. */
    uint8_t rights[MSG_ROLES][MSG_RIGHTS];
    uint8_t classes;                      /* of all its fields */
    const struct msg_sum *sums;           /* in the order in which they follow; NULL: none */
    const struct msg_audience *audiences; /* NULL: none */
    bool is_single;                       /* a company has one, which has its id; paths name none */
    bool is_not_exported;                 /* its list is not to be had as a file */
    bool goes_with_parent; /* its entities do not keep the one above from being deleted, and go with it */
};

/* All resources; generated, NULL-terminated. */
extern const struct msg_resource *const msg_resources[];
const struct msg_resource *msg_resource_by_name(struct slice name);
/* Whether the resource has the verb: clients find it in its endpoints, and schedules may send its command. */
bool msg_resource_has(const struct msg_resource *resource, enum msg_verb verb);
/* Whether nobody but its sender hears of the command: "create", or the whole type. */
bool msg_is_for_nobody(const struct msg_resource *resource, const char *command);
/* Who hears of an event of this type of the resource: fields that name users, NULL at the end. NULL: the company. */
const char *const *msg_users_of_event(const struct msg_resource *resource, struct slice type);
/* Whether the field's values have an order that clients may ask about: dates, times and numbers. */
bool msg_is_ordered(const struct msg_field *field);
/* Whether exports can be made of it. */
bool msg_resource_is_exported(const struct msg_resource *resource);
/* Whether commands of the resource read rows of `other`: its entities belong to one or refer to one, or rights ask for
 * it. */
bool msg_resource_reads(const struct msg_resource *resource, const struct msg_resource *other);
/* "create" */
const char *msg_verb_name(enum msg_verb verb);

/* The body or the query of a request that is no command: one schema file with x-request. */
struct msg_request {
    const char *name; /* "dead_selection" */
    const struct msg_object *object;
    const char *json; /* the text of the schema, for /openapi.json */
};

/* All requests; generated, NULL-terminated. */
extern const struct msg_request *const msg_requests[];
const struct msg_request *msg_request_by_name(struct slice name);

/* One complaint, for the `errors` of a problem: where (a JSON pointer, RFC 6901) and what. */
struct msg_problem {
    struct slice pointer; /* "/budget"; "" for the whole body */
    struct slice detail;
    struct msg_problem *next;
};
struct msg_problems {
    struct msg_problem *first, *last;
    size_t count; /* of all; only MSG_PROBLEMS_MAX of them are kept */
    struct arena *arena;
};
enum { MSG_PROBLEMS_MAX = 100 };

enum msg_mode {
    MSG_CREATE, /* a create: required fields must be there */
    MSG_UPDATE, /* a JSON Merge Patch (RFC 7396): nothing is required, null clears, create-only is refused */
    MSG_EXACT,  /* the schema as it is written; read-only has no meaning */
};

/* Validates `json` and appends its msgpack to `out`. ERR_VALIDATION: `problems` has every complaint.
 * ERR_BODY_TOO_LARGE: it does not fit `out`. On an error nothing is appended. */
enum err msg_from_json(const struct msg_object *object, enum msg_mode mode, const json_t *json,
                       struct buf *out, struct msg_problems *problems) MUST_CHECK;

/* The same of an object that may have secrets. `seal` appends what stands in the message for the value of one. Without a
 * sealer a secret is refused. */
struct msg_sealer {
    bool (*seal)(void *arg, const struct msg_field *field, struct slice value, struct buf *out);
    void *arg;
};
enum err msg_from_json_sealing(const struct msg_object *object, enum msg_mode mode, const json_t *json,
                               const struct msg_sealer *sealer, struct buf *out,
                               struct msg_problems *problems) MUST_CHECK;
/* The secret that can be read and rotated; NULL: the resource has none. */
const struct msg_field *msg_rotating_secret(const struct msg_resource *resource);

/* Validates a value against a shape, without packing it. */
bool msg_validate(const struct msg_shape *shape, enum msg_mode mode, const json_t *json,
                  struct msg_problems *problems);

/* A decoded value. Its text points into the msgpack bytes or the arena. */
struct msg_value {
    enum { MSG_ABSENT, MSG_PRESENT, MSG_IS_NULL } state;
    struct slice text; /* a string; or a number, integer or boolean in the text form of PostgreSQL */
    int64_t integer;
    double number;
    bool boolean;
    const struct msg_value *elements; /* of an array, or the fields of an object in the order of its table */
    size_t element_count;
};

/* Decodes one message, which must fill all of `bytes`; values[i] belongs to object->fields[i]. The queue is
 * not trusted: bounds and types are checked again, and counts are checked against the bytes that remain.
 * ERR_POISON: `why` has a sentence. */
enum err msg_decode(const struct msg_object *object, struct slice bytes, struct arena *arena,
                    struct msg_value **ret_values, char why[160]) MUST_CHECK;

/* Returns the first field that a create must have and that `values` (of msg_decode) lacks; NULL: none. */
const struct msg_field *msg_missing(const struct msg_object *object, const struct msg_value *values);

/* Appends a decoded value as JSON text. */
void msg_value_to_json(const struct msg_shape *shape, const struct msg_value *value, struct buf *out);

/* Turns msgpack into JSON text, for operators and tests. */
enum err msg_to_json(const struct msg_object *object, struct slice bytes, struct buf *out) MUST_CHECK;

/* The fingerprint of a command: 64 bits over the parts and over where each begins. The inbox keeps it, so it
 * is the same on every machine and never changes. */
uint64_t msg_fingerprint(const struct slice *parts, size_t count);
