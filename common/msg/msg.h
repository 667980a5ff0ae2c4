#pragma once
/* Messages by their generated field tables: JSON is validated and becomes msgpack at the gateway, msgpack
 * becomes values at the worker. The tables come from schemas/messages/ through schemac; this is the one
 * walker over them.
 *
 * msgpack form: an object is a map from each field's integer x-id to its value, in order of x-id; absent
 * fields are absent; strings (all formats) are str, integers int, numbers float 64 or int, enums str. Unknown
 * ids are skipped; known ids must fit their field. */

#include <jansson.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"

enum msg_type { MSG_OBJECT, MSG_ARRAY, MSG_STRING, MSG_INTEGER, MSG_NUMBER, MSG_BOOLEAN, MSG_NULL, MSG_ANY };

enum msg_format {
    MSG_FORMAT_NONE,
    MSG_FORMAT_UUID,
    MSG_FORMAT_DATE,
    MSG_FORMAT_DATE_TIME,
    MSG_FORMAT_EMAIL,
    MSG_FORMAT_URI
};

struct msg_object;

/* What a value may be. */
struct msg_shape {
    enum msg_type type;
    bool nullable;
    enum msg_format format;
    int64_t min_length, max_length; /* code points of a string; max -1: none (an enum bounds itself) */
    bool has_minimum, has_maximum, minimum_exclusive, maximum_exclusive;
    double minimum, maximum;
    double multiple_of;           /* 0: none */
    const char *const *allowed;   /* enum of strings, NULL-terminated; NULL: any */
    int64_t min_items, max_items; /* of an array; max -1: none */
    const struct msg_shape *items;
    const struct msg_object *object;
};

struct msg_field {
    const char *name;
    uint32_t id;          /* x-id: stable for ever */
    bool required;        /* on create */
    bool read_only;       /* set by the server: refused from clients */
    bool create_only;     /* refused in an update */
    bool filter;          /* lists can be filtered by it */
    bool search;          /* `?text=` looks into it */
    const char *column;   /* of the resource's table; the name unless x-column says otherwise */
    const char *fallback; /* default, as text for PostgreSQL; NULL: none */
    struct msg_shape shape;
};

enum { MSG_FIELDS_MAX = 128 }; /* of one object; schemac refuses more */

struct msg_object {
    const struct msg_field *fields; /* in order of id */
    size_t field_count;
    bool closed; /* additionalProperties: false */
};

/* A resource: one schema file, from which create, update, delete, get and list follow. */
struct msg_resource {
    const char *name;       /* "project": command types are "project.create", … */
    const char *collection; /* "projects": the path segment */
    const char *table;
    const char *parent; /* "project" for what lives below one, else NULL; its column is "<parent>_id" */
    const struct msg_object *object;
    const char *const *create_roles; /* who may, by role of the token; NULL-terminated (x-roles) */
    const char *const *update_roles;
    const char *const *delete_roles;
    const char *json; /* the schema's own text, for /openapi.json */
};

/* All resources, generated; NULL-terminated. */
extern const struct msg_resource *const msg_resources[];
const struct msg_resource *msg_resource_by_name(struct slice name);
const struct msg_resource *msg_resource_by_collection(struct slice collection);

/* The body or the query of a request that is no command: one schema file with x-request. */
struct msg_request {
    const char *name; /* "dead_selection" */
    const struct msg_object *object;
    const char *json; /* the schema's own text, for /openapi.json */
};

/* All requests, generated; NULL-terminated. */
extern const struct msg_request *const msg_requests[];
const struct msg_request *msg_request_by_name(struct slice name);

/* One complaint: where (JSON pointer, RFC 6901) and what, for the `errors` of a problem. */
struct msg_problem {
    struct slice pointer; /* "/budget"; "" for the whole body */
    struct slice detail;
    struct msg_problem *next;
};
struct msg_problems {
    struct msg_problem *first, *last;
    size_t count; /* beyond MSG_PROBLEMS_MAX they are counted and not kept */
    struct arena *arena;
};
enum { MSG_PROBLEMS_MAX = 100 };

enum msg_mode {
    MSG_CREATE, /* required fields must be there */
    MSG_UPDATE, /* JSON Merge Patch (RFC 7396): nothing is required, null clears, create-only is refused */
    MSG_EXACT,  /* the schema as written; read-only has no meaning */
};

/* Validates `json` and appends its msgpack. ERR_VALIDATION with every complaint in `problems`;
 * ERR_BODY_TOO_LARGE when it does not fit `out`. On an error nothing is appended. */
enum err msg_from_json(const struct msg_object *object, enum msg_mode mode, const json_t *json,
                       struct buf *out, struct msg_problems *problems) MUST_CHECK;

/* Validates any value against any shape, without encoding. */
bool msg_validate(const struct msg_shape *shape, enum msg_mode mode, const json_t *json,
                  struct msg_problems *problems);

/* A decoded value; text points into the msgpack bytes or the arena. */
struct msg_value {
    enum { MSG_ABSENT, MSG_PRESENT, MSG_IS_NULL } state;
    struct slice text; /* strings; and numbers, integers, booleans in the text form of PostgreSQL */
    int64_t integer;
    double number;
    bool boolean;
    const struct msg_value *elements; /* of an array, or the fields of an object in the order of its table */
    size_t element_count;
};

/* Decodes one message: values[i] belongs to object->fields[i]; the whole of `bytes` must be consumed. Bounds
 * and types are checked again (the queue is not trusted): ERR_POISON with a sentence in `why`. Counts are
 * checked against the bytes that remain. */
enum err msg_decode(const struct msg_object *object, struct slice bytes, struct arena *arena,
                    struct msg_value **ret_values, char why[160]) MUST_CHECK;

/* The first field that a create must have and `values` (of msg_decode) has not; NULL when none is missing. */
const struct msg_field *msg_missing(const struct msg_object *object, const struct msg_value *values);

/* msgpack back to JSON text (for operators and tests). */
enum err msg_to_json(const struct msg_object *object, struct slice bytes, struct buf *out) MUST_CHECK;

/* 64 bits over the parts and where they begin: the fingerprint of a command. The same on every machine and
 * for ever: the inbox keeps it. */
uint64_t msg_fingerprint(const struct slice *parts, size_t count);
