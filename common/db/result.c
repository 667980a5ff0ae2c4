#include "common/db/private.h"

#include <stdio.h>

/* Which error an SQLSTATE means: the longest prefix that fits decides (PostgreSQL manual, appendix A). */
static const struct {
    const char *prefix;
    enum err err;
} meanings[] = {
    {"40001", ERR_DATABASE_CONFLICT},  /* serialization_failure; a query in the way of a replica's recovery */
    {"40P01", ERR_DATABASE_CONFLICT},  /* deadlock_detected */
    {"55P03", ERR_DATABASE_LOCKED},    /* lock_not_available: lock_timeout is over */
    {"26000", ERR_DATABASE_CONFLICT},  /* the prepared statement is gone; the next use prepares it again */
    {"0A000", ERR_DATABASE_CONFLICT},  /* a migration changed its result type; likewise */
    {"57014", ERR_TIMEOUT},            /* query_canceled */
    {"57P", ERR_DATABASE_UNAVAILABLE}, /* shutdown, crash, cannot connect now */
    {"08P01", ERR_DATABASE_ERROR},     /* protocol_violation: a binary parameter that cannot be read */
    {"08", ERR_DATABASE_UNAVAILABLE},  /* connection exceptions */
    {"53", ERR_DATABASE_UNAVAILABLE},  /* out of disk, memory, connections */
    {"58", ERR_DATABASE_UNAVAILABLE},  /* system errors */
    {"25006", ERR_DATABASE_UNAVAILABLE}, /* the primary has become a standby */
};

static enum err err_of_sqlstate(const char *sqlstate)
{
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
        if (strncmp(sqlstate, meanings[i].prefix, strlen(meanings[i].prefix)) == 0)
            return meanings[i].err;
    return ERR_DATABASE_ERROR;
}

static const char *error_field(const struct db_result *result, int field)
{
    const char *text = result->pg ? PQresultErrorField(result->pg, field) : NULL;
    return text ? text : "";
}

struct db_result *db_result_wrap(PGresult *pg)
{
    struct db_result *result = xcalloc(1, sizeof(*result) + 1);
    result->references = 1;
    result->pg = pg;
    switch (PQresultStatus(pg)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        result->err = ERR_OK;
        break;
    case PGRES_PIPELINE_ABORTED:
        result->err = ERR_DATABASE_CONFLICT;
        result->skipped = true;
        break;
    default: {
        /* An error without an SQLSTATE comes from libpq itself: the connection is breaking. */
        const char *sqlstate = error_field(result, PG_DIAG_SQLSTATE);
        result->err = *sqlstate ? err_of_sqlstate(sqlstate) : ERR_DATABASE_UNAVAILABLE;
    }
    }
    return result;
}

struct db_result *db_result_make(enum err err, const char *message)
{
    size_t len = strlen(message);
    struct db_result *result = xcalloc(1, sizeof(*result) + len + 1);
    result->references = 1;
    result->err = err;
    memcpy(result->message, message, len);
    return result;
}

struct db_result *db_result_new_error(enum err err)
{
    return db_result_make(err, "");
}

struct db_result *db_result_hold(struct db_result *result)
{
    result->references++;
    return result;
}

void db_result_release(struct db_result *result)
{
    if (!result || --result->references > 0)
        return;
    PQclear(result->pg);
    free(result);
}

enum err db_result_error(const struct db_result *result)
{
    return result->err;
}

void db_result_set_took(struct db_result *result, double seconds)
{
    result->took = seconds;
}

double db_result_took(const struct db_result *result)
{
    return result->took;
}

bool db_result_skipped(const struct db_result *result)
{
    return result->skipped;
}

const char *db_result_sqlstate(const struct db_result *result)
{
    return error_field(result, PG_DIAG_SQLSTATE);
}

const char *db_result_constraint(const struct db_result *result)
{
    return error_field(result, PG_DIAG_CONSTRAINT_NAME);
}

const char *db_result_table(const struct db_result *result)
{
    return error_field(result, PG_DIAG_TABLE_NAME);
}

const char *db_result_message(const struct db_result *result)
{
    if (!result->pg)
        return result->message;
    const char *primary = error_field(result, PG_DIAG_MESSAGE_PRIMARY);
    return *primary ? primary : PQresultErrorMessage(result->pg);
}

int db_rows(const struct db_result *result)
{
    return result->pg ? PQntuples(result->pg) : 0;
}

struct slice db_text(const struct db_result *result, int row, int col)
{
    if (PQgetisnull(result->pg, row, col))
        return SLICE_NONE;
    return (struct slice){PQgetvalue(result->pg, row, col), (size_t)PQgetlength(result->pg, row, col)};
}

int64_t db_int(const struct db_result *result, int row, int col)
{
    struct slice text = db_text(result, row, col);
    return text.data ? strtoll(text.data, NULL, 10) : 0;
}

static void release_owner(void *owner)
{
    db_result_release(owner);
}

struct bytes *db_share(struct db_result *result, int row, int col)
{
    return bytes_wrap(db_text(result, row, col), release_owner, db_result_hold(result));
}
