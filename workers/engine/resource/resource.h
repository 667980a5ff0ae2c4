#pragma once
/* Create, update and delete of a resource, made from its schema. A file of a pool adds SQL and rules, and
 * nothing else; a plain resource has none. Its entities are deleted before that which they belong to: work that
 * people have written down does not vanish with one request.
 *
 * Each command is one row of a prepared statement, whose text is built once, when the process starts:
 *
 *   WITH new AS (the row as it would be, judged by the rules: a bit for each that is broken),
 *        number AS (the next numbers from the counter, for the rows that break no rule),
 *        made AS (INSERT, UPDATE or DELETE of the rows that break no rule, RETURNING the entity as JSON),
 *        sum_1 AS (UPDATE of another entity, by the difference that this change makes to its sums), …
 *   SELECT broken, the entity, the other entities
 *
 * An update may give a number, too (x-number with `when`); it counts before `made`.
 *
 * So a refusal is a result and not an SQL error, and costs no other command of the batch anything. Creates
 * that do not depend on one another travel together, many rows to a statement, because what PostgreSQL does
 * for each statement (start the executor, read the table's constraints and policies) was measured as half the
 * cost of a create.
 *
 * A plan that takes many has a second statement, `recorded`, which also writes the events, the inbox rows and the
 * sequences of its commands: instead of the statements of records/, which would wait for its answer first. It
 * takes all of its commands or none: when one of them is refused, it does nothing and answers with no rows.
 * `at_once` also makes sure of what a batch finds out beforehand: that the sequences are locked and are where the
 * caller thinks they are, and that no command ran before or waits.
 *
 * Names that the SQL of a plan may use:
 *   :company :id :actor :at     the tenant, the entity, the user, the time of the batch
 *   :bound                      the user, if its role may update entities of the resource only under a condition, such
 *                               as being their manager; else NULL
 *   :parent                     the entity above (the project of a task)
 *   :year                       of the batch, in UTC, as text
 *   :pool                       of the resource, as text
 *   :may                        the types of the commands that the role of the sender may send without a condition
 *                               (x-rights), text[]
 *   :reads                      the resources of which that role reads every entity and every field, text[]
 *   :rights                     the conditions of the sender's rights, as bits (rights.h); of commands that run alone
 *   new.<column>                the entity as it would be
 *   old.<column>                the entity as it is (update, delete; in rules)
 *   t.<column>                  the same, in `computed` of an update
 *   parent.<column>             the entity above (create; in rules)
 */

#include "common/db/db.h"
#include "common/msg/msg.h"
#include "workers/engine/command/command.h"
#include "workers/engine/secrets/secrets.h"

enum resource_verb { RESOURCE_CREATE, RESOURCE_UPDATE, RESOURCE_DELETE };

/* The first broken rule decides the error. Broken rules with the same error are answered together. */
struct resource_rule {
    enum err err;
    const char *pointer; /* into the request's body; NULL: the request as a whole */
    const char *detail;
    const char *broken_when; /* SQL condition */
};

/* A column whose value is computed, not taken from the client. */
struct resource_column {
    const char *column;
    const char *sql;
};

/* A number that is given in sequence, without gaps, for each company and scope. The batch holds the company's
 * sequence, so nobody else counts, and what is rolled back was not counted. */
struct resource_number {
    const char *column;
    const char *scope;  /* SQL text: "'project/' || :year" */
    const char *prefix; /* SQL text, before the four or more digits: "'PRJ-' || :year || '-'" */
    /* Of an update: it gives the number when this column first gets this value; NULL: a create gives it. */
    const char *when_column, *when_value;
};

/* Arrays end with an empty element. */
struct resource_plan {
    enum resource_verb verb;
    const struct resource_rule *rules;
    const struct resource_rule *(*make_rules)(
        void); /* in place of `rules`, where they follow from the schemas */
    const struct resource_column *computed;
    const struct resource_number *number; /* create, or update with when_column */
    bool
        many; /* of a create: its rules read nothing that its own kind changes, and nothing follows from it */
    bool begins_long_job; /* or makes one due */
    int http_status;      /* of a success; 0: what the verb says */
    /* Puts values into the place of those that came, before they are written: what follows from them by more than SQL. An
     * array or an object is given as the text of its JSON. ERR_POISON with a sentence. */
    enum err (*prepare)(const struct command *command, struct msg_value *values, struct arena *arena,
                        char why[160]);
};

enum { RESOURCE_RULES_MAX = 60, RESOURCE_STATEMENT_MAX = 32 << 10 };

/* A plan made ready: the text of its statement, the parameters, and the rule of each bit. */
struct resource_statement {
    const struct msg_resource *resource;
    const struct resource_plan *plan; /* the whole one (plan.h) */
    struct db_statement statement;
    struct db_statement recorded;  /* of many; it has the same parameters */
    struct db_statement at_once;   /* of many; it has two parameters more */
    uint8_t params[DB_PARAMS_MAX]; /* PARAM_… of resource_text.h */
    size_t param_count;
    const struct resource_rule *rules[RESOURCE_RULES_MAX];
    size_t rule_count;
    struct resource_rule *made_rules; /* those of the rules that follow from the schemas; heap */
    size_t made_count;
    bool is_for_nobody; /* what it does is told to the sender alone (x-audience) */
    bool has_follow;    /* sums of other entities follow from it (follow.c) */
};

/* `name` is the command's type and becomes the statement's name; it must outlive the statement. `event` is the
 * type of its event. `written` is what is written in C; what the schema says comes before it. A plan that does not
 * make sense ends the process, because it is a bug that every test meets. */
void resource_statement_init(struct resource_statement *statement, const char *name, const char *event,
                             const struct msg_resource *resource, const struct resource_plan *written);
void resource_statement_done(struct resource_statement *statement);

/* The time of a batch. */
struct resource_moment {
    const char *at;   /* RFC 3339 */
    const char *year; /* "2026" */
};

/* Puts commands into the parameters of a statement. A process has one writer, which keeps its memory. */
struct resource_writer;

struct resource_writer *resource_writer_new(const struct secrets *secrets); /* which outlives it */
void resource_writer_free(struct resource_writer *writer);

/* Adds the command to the run that is being written. The run must be of the same statement, and empty unless the
 * plan takes many; then it may be of several companies, and commands of one company are neighbours. Secrets are sealed for
 * their rows. `seq` is the
 * number that the command's event gets when the statement records it. When the body or the metadata do not fit, it adds nothing, writes a
 * sentence into `why`, and returns ERR_POISON; ERR_FORBIDDEN where the sender names a field that its role does not see. */
enum err resource_write(struct resource_writer *writer, const struct resource_statement *statement,
                        const struct command *command, int64_t seq, const struct resource_moment *moment,
                        char why[160]) MUST_CHECK;
/* Forgets the run that is being written. */
void resource_drop(struct resource_writer *writer);
enum resource_way { RESOURCE_PLAIN, RESOURCE_RECORDED, RESOURCE_AT_ONCE };

/* Sends the run (at least one command) by one of the statements, and begins the next one. `held`: of AT_ONCE, the
 * companies and their numbers as arrays. */
void resource_send(struct resource_writer *writer, const struct resource_statement *statement,
                   enum resource_way way, const struct slice held[2], struct db *db, db_on_result *on_result,
                   void *arg);

/* Turns the statement's answer, which must not be an error, into effects or refusals of the commands.
 * `commands` are those of the run, in the order in which they were written. */
void resource_read(const struct resource_statement *statement, struct command *const *commands, size_t count,
                   const struct resource_moment *moment, const char *event, const struct db_result *result);
