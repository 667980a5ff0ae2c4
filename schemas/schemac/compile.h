#pragma once
/* Compiles schema files (a strict subset of JSON Schema 2020-12) to the structures of common/msg/msg.h.
 *
 *   messages/project.json ─▶ documents ($ref resolved) ─▶ keywords, a row each ─▶ msg_shape, msg_field,
 *                                                                                 msg_object ─▶ emit.c, lock.c
 *
 * What is not supported is refused, never ignored; the refusal names the file, the line and the JSON
 * pointer of the place. */

#include "common/msg/msg.h"

enum schema_rules {
    SCHEMA_MESSAGES, /* bounds, ids and closed objects are required; defaults must fit */
    SCHEMA_PLAIN,    /* the same keywords with the meaning of JSON Schema, to run its official test suite */
};

/* What x-resource asks for. */
struct schema_wishes {
    unsigned verbs;                   /* bits: 1 << MSG_VERB_… */
    bool has_acts;                    /* commands of its own beside the verbs */
    unsigned commands;                /* verbs that have rights and no endpoint */
    const char *path;                 /* NULL: what follows from the collection and the parent */
    const char *summaries[MSG_VERBS]; /* NULL: the usual sentence */
};

struct schema_message {
    const char *file; /* "project.json" */
    bool is_request;  /* x-request; then `resource` has only name, object and json */
    struct msg_resource resource;
    struct schema_wishes wishes;
};

struct schema_set {
    struct arena arena;              /* all memory of the set */
    struct schema_message *messages; /* in order of file name */
    size_t message_count;
};

enum { SCHEMA_WHY_MAX = 512 };

/* Compiles every *.json of a folder. A file without x-resource or x-request is a library of $defs.
 * ERR_VALIDATION: `why` has "file:line#/pointer: what is wrong". */
enum err schema_set_load(struct schema_set *set, const char *folder, char why[SCHEMA_WHY_MAX]) MUST_CHECK;
void schema_set_done(struct schema_set *set);

/* Compiles one schema without other files. The shape lives in `arena`. */
enum err schema_compile(const json_t *schema, enum schema_rules rules, struct arena *arena,
                        struct msg_shape *ret_shape, char why[SCHEMA_WHY_MAX]) MUST_CHECK;
