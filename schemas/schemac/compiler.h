#pragma once
/* What the files of the compiler share: documents, places in them, and the functions that read them. A
 * function that returns false has refused something; the first refusal is kept and ends the run. */

#include "schemas/schemac/compile.h"

struct document {
    const char *name; /* file name, "project.json" */
    json_t *json;
    struct document *next;
};

struct compiler {
    enum schema_rules rules;
    const char *folder; /* NULL: one schema without other files */
    struct document *documents;
    struct arena *arena;
    char *why;
};

/* A place in a document. */
struct spot {
    const struct document *document;
    const char *pointer;
    const json_t *json;
    int depth; /* shapes around it, references included */
};

enum { SHAPE_DEPTH_MAX = 16 };

/* What a schema describes. It decides which keywords the schema may have. */
enum role { ROLE_ROOT = 1, ROLE_FIELD = 2, ROLE_VALUE = 4 };

bool refuse(struct compiler *c, const struct spot *spot, const char *format, ...) PRINTF_LIKE(3, 4);
char *compiler_format(struct compiler *c, const char *format, ...) PRINTF_LIKE(2, 3);
void *compiler_alloc(struct compiler *c, size_t count, size_t size);
static inline bool is_message(const struct compiler *c)
{
    return c->rules == SCHEMA_MESSAGES;
}

/* document.c */
bool document_load(struct compiler *c, const char *name, const struct document **ret_document);
/* A document that was loaded. */
struct document *document_named(struct compiler *c, const char *name);
void documents_free(struct compiler *c);
struct spot spot_below(struct compiler *c, const struct spot *spot, const char *name, const json_t *json);
struct spot spot_at(struct compiler *c, const struct spot *spot, size_t index, const json_t *json);
/* Finds what the $ref of `spot` points to. */
bool resolve(struct compiler *c, const struct spot *spot, struct spot *ret_target);
/* Returns the schema with every reference replaced by its target. The schema must have been compiled. */
json_t *expand(struct compiler *c, const struct spot *spot);

/* shape.c */
bool compile_shape(struct compiler *c, const struct spot *spot, enum role role, struct msg_shape *ret_shape);

/* object.c: reads `properties`, `required` and `additionalProperties` of spot->json. The object is NULL when
 * it is open and has no fields. */
bool compile_object(struct compiler *c, const struct spot *spot, const struct msg_object **ret_object);

/* field.c: reads what a property says besides its shape. */
bool compile_field(struct compiler *c, const struct spot *spot, const char *name,
                   struct msg_field *ret_field);

/* money.c: whether x-money is true for the property. */
bool is_money(struct compiler *c, const struct spot *property);

/* sort.c: x-sort of one field, and the indexes of a resource as a whole. */
bool check_sort(struct compiler *c, const struct spot *spot, const struct msg_field *field);
bool check_indexes(struct compiler *c, const struct spot *root, const struct msg_resource *resource);

/* secret.c: x-secret. */
bool compile_secret(struct compiler *c, const struct spot *spot, struct msg_field *field);

/* resource.c */
bool compile_resource(struct compiler *c, const struct spot *root, struct schema_message *ret_message);
bool compile_request(struct compiler *c, const struct spot *root, struct msg_resource *ret_resource);
bool check_resources(struct compiler *c, const struct schema_set *set);
/* Refuses an object with members that are not among these, which end with NULL. */
bool check_members(struct compiler *c, const struct spot *spot, const char *const *known);
/* NULL: none has the name. */
const struct msg_field *field_named(const struct msg_object *object, const char *name);

/* endpoint.c: reads what x-resource says beside the names, and makes the endpoints when all resources are
 * known. */
bool read_wishes(struct compiler *c, const struct spot *spot, struct msg_resource *resource,
                 struct schema_wishes *wishes);
bool make_all_endpoints(struct compiler *c, struct schema_set *set);

/* Returns "punch item" of "punch_item". */
char *words_of(struct compiler *c, const char *name);

/* rules.c: reads x-rules, x-compute, x-reference and x-number, when all resources are known. */
bool read_all_rules(struct compiler *c, struct schema_set *set);

/* tie.c: reads x-tie of every field, when all resources are known. */
bool read_all_ties(struct compiler *c, struct schema_set *set);
/* Whether a field of the resource, or for `member` and `manager` of any, names the users of the condition. */
bool has_tie(const struct schema_set *set, const struct msg_resource *resource, enum msg_condition condition);

/* rights.c: reads x-rights and x-class, when all resources and their ties are known. */
bool read_all_rights(struct compiler *c, struct schema_set *set);

/* Returns a text of SQL, which is a text, or an array of texts that are its lines. NULL: it is neither. */
const char *sql_text(struct compiler *c, const json_t *json);
/* How many octets the word has that begins there: letters, digits and underscores. 0: none begins. */
size_t sql_word_length(const char *at);

/* sum.c: reads x-sum, after the rules. */
bool read_all_sums(struct compiler *c, struct schema_set *set);

/* audience.c: reads x-audience, after the sums. */
bool read_all_audiences(struct compiler *c, struct schema_set *set);

/* rules.c, transitions.c, number.c, unique.c: what reads the words of one resource that become rules and computed
 * columns. */
struct rule_reader {
    struct compiler *c;
    const struct schema_set *set;
    struct schema_message *message;
    const struct msg_resource *parent; /* NULL: none */
    struct msg_rule *rules;
    struct msg_compute *computed;
    size_t rule_count, computed_count;
};

bool reader_add_rule(struct rule_reader *r, const struct spot *at, const struct msg_rule *rule);
/* The column must not have been computed for that verb before. */
bool reader_add_computed(struct rule_reader *r, const struct spot *at, const struct msg_compute *computed);
bool reader_has_verb(const struct rule_reader *r, enum msg_verb verb);

bool read_transition_rules(struct rule_reader *r, const struct spot *property, const struct msg_field *field);
bool read_number(struct rule_reader *r, const struct spot *property, const struct msg_field *field);
bool read_unique(struct rule_reader *r, const struct spot *property, struct msg_field *field);
bool read_money(struct rule_reader *r, const struct spot *property, struct msg_field *field);
bool read_kept_secret(struct rule_reader *r, const struct spot *property, const struct msg_field *field);

/* line.c: the line of the JSON pointer in the file, from 1. */
size_t line_of(const char *path, const char *pointer);

/* Whether the text has at most 63 lower-case letters, digits and underscores, as PostgreSQL's names, and
 * begins with a letter. */
bool is_identifier(const char *text);
