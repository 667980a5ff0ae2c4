#pragma once
/* What a program needs of its database: the columns of the resources, the rights on them, and the newest migration
 * that there was when the program was built. The gateway and the workers ask the same statements, each on a
 * connection of its own. */

#include "common/base/buf.h"
#include "common/msg/msg.h"

/* Three arrays of equal length, in the text form of PostgreSQL. */
struct needs {
    struct buf tables, columns, rights;
};

enum { NEEDS_PARAMS = 3, NEEDS_SENTENCE_SIZE = 600 };

void needs_init(struct needs *needs);
void needs_done(struct needs *needs);

/* The column must be there, and this role must have `right`: "SELECT" on this column, "INSERT" and "UPDATE" on any
 * column of the table, "DELETE" on the table. */
void needs_add(struct needs *needs, const char *table, const char *column, const char *right);
/* Every column of the resources (NULL-terminated), to be read. */
void needs_add_resources(struct needs *needs, const struct msg_resource *const *resources);

/* Ends the arrays: nothing may be added any more. They point into `needs`. */
void needs_params(struct needs *needs, struct slice ret_params[NEEDS_PARAMS]);

/* With these parameters: one row, of what is not there and of what this role may not do; "": nothing. A view's rights
 * are not looked at, because the gateway never reads one. */
extern const char needs_sql[];
void needs_say_lacking(char sentence[NEEDS_SENTENCE_SIZE], struct slice missing, struct slice forbidden);

/* Without parameters: whether the newest migration has been applied. It fails with one of two states while the table
 * of migrations is not there, or must not be read yet. */
extern const char needs_migration_sql[];
bool needs_migration_is_unreadable(const char *sqlstate);
extern const char needs_migration_lacks[]; /* the sentence that says so */
