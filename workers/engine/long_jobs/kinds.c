#include "workers/engine/long_jobs/kind.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/msg/resource_sql.h"

enum { SQL_MAX = 16 << 10 };

static size_t (*const sources[])(struct long_job_kind *kinds) = {export_kinds, webhook_recovery_kinds};

struct long_job_kinds {
    size_t count;
    struct long_job_kind rows[];
};

/* A change of status of the job, of its entity, and the event that says so, under the lock of the company's
 * sequence.
 *
 * $1 company, $2 id, $3 lease, $4 status, $5 error, $6 seconds of the lease, $7 total (when the job begins),
 * $8 "export", $9 hours for which a result is kept → the status, the number of the event. The status is
 * `cancelled` when a client asked for that first. */
#define TURN_JOB                                                                               \
    "WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS at, $9::integer AS kept_hours)," \
    " j AS ("                                                                                  \
    " UPDATE long_job AS j SET"                                                                \
    " status = CASE WHEN j.cancel_asked THEN 'cancelled' ELSE $4::text END,"                   \
    " error = CASE WHEN NOT j.cancel_asked THEN $5::text END,"                                 \
    " total = CASE WHEN $4::text = 'running' THEN $7::bigint ELSE j.total END,"                \
    " started_at = CASE WHEN $4::text = 'running' AND NOT j.cancel_asked"                      \
    " THEN m.at ELSE j.started_at END,"                                                        \
    " ended_at = CASE WHEN $4::text <> 'running' OR j.cancel_asked THEN m.at END,"             \
    " event_seq = s.seq + 1,"                                                                  \
    " event_at = m.at,"                                                                        \
    " version = j.version + 1,"                                                                \
    " updated_at = m.at,"                                                                      \
    " due_at = m.at + make_interval(secs => $6::double precision)"                             \
    " FROM moment AS m, company_sequence AS s"                                                 \
    " WHERE s.company_id = $1::uuid"                                                           \
    " AND j.company_id = $1::uuid AND j.id = $2::uuid"                                         \
    " AND j.lease = $3::bigint"                                                                \
    " AND j.status IN ('pending', 'running')"                                                  \
    " RETURNING j.*),"

/* The table, and what else the kind sets. */
#define TURN_ENTITY                                      \
    " entity AS ("                                       \
    " UPDATE \"%s\" AS t SET"                            \
    " status = j.status,"                                \
    " error = j.error,"                                  \
    " started_at = j.started_at,"                        \
    " ended_at = j.ended_at,"                            \
    " version = t.version + 1,"                          \
    " updated_at = j.updated_at,"                        \
    " %s"                                                \
    " FROM j"                                            \
    " WHERE t.company_id = $1::uuid AND t.id = $2::uuid" \
    " RETURNING t.version, "

#define WRITE_EVENT                                                                      \
    " AS data),"                                                                         \
    " moved AS ("                                                                        \
    " UPDATE company_sequence AS s SET seq = j.event_seq"                                \
    " FROM j, entity"                                                                    \
    " WHERE s.company_id = $1::uuid),"                                                   \
    " written AS ("                                                                      \
    " INSERT INTO events"                                                                \
    " (company_id, seq, at, command_id, type, subject, actor, version, data)"            \
    " SELECT $1::uuid, j.event_seq, j.event_at, $2::uuid,"                               \
    " $8::text || '.' || CASE j.status WHEN 'running' THEN 'started' ELSE j.status END," \
    " $2::uuid, j.actor, entity.version, entity.data::json"                              \
    " FROM j, entity)"                                                                   \
    " SELECT j.status, j.event_seq FROM j"

static char *turn_sql(const struct long_job_kind *kind)
{
    const struct msg_resource *resource = msg_resource_by_name(slice_of(kind->resource));
    assert(resource);
    CLEANUP(buf_done) struct buf sql;
    buf_init(&sql, SQL_MAX);
    buf_append_text(&sql, TURN_JOB);
    buf_printf(&sql, TURN_ENTITY, resource->table, kind->outcome);
    resource_sql_json(resource, "t", &sql);
    buf_append_text(&sql, WRITE_EVENT);
    buf_append_char(&sql, '\0');
    assert(!sql.truncated);
    return xstrdup(buf_data(&sql));
}

static struct db_statement statement(struct long_job_kind *kind, size_t i, const char *what, const char *sql)
{
    snprintf(kind->names[i], sizeof(kind->names[i]), "%s.%s", what, kind->name);
    return (struct db_statement){kind->names[i], sql};
}

static struct long_job_kinds *gather(void)
{
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        count += sources[i](NULL);
    struct long_job_kinds *kinds = xcalloc(1, sizeof(*kinds) + count * sizeof(kinds->rows[0]));
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        kinds->count += sources[i](kinds->rows + kinds->count);
    return kinds;
}

static bool is_of(const struct long_job_kind *kind, const char *pool)
{
    return strcmp(msg_resource_by_name(slice_of(kind->resource))->pool, pool) == 0;
}

const char *long_job_kinds_sweep(const struct long_job_kinds *kinds, const char *pool)
{
    for (size_t i = 0; i < kinds->count; i++)
        if (kinds->rows[i].sweep_sql && is_of(&kinds->rows[i], pool))
            return kinds->rows[i].sweep_sql;
    return NULL;
}

bool long_job_kinds_are_of(const char *pool)
{
    bool are_of = false;
    struct long_job_kinds *kinds = gather();
    for (size_t i = 0; i < kinds->count; i++)
        are_of |= is_of(&kinds->rows[i], pool);
    long_job_kinds_free(kinds);
    return are_of;
}

struct long_job_kinds *long_job_kinds_new(void)
{
    struct long_job_kinds *kinds = gather();
    for (size_t i = 0; i < kinds->count; i++) {
        struct long_job_kind *kind = &kinds->rows[i];
        kind->turn_sql = turn_sql(kind);
        kind->count = statement(kind, 0, "count", kind->count_sql);
        kind->step = statement(kind, 1, "step", kind->step_sql);
        kind->turn = statement(kind, 2, "turn", kind->turn_sql);
    }
    return kinds;
}

void long_job_kinds_free(struct long_job_kinds *kinds)
{
    if (!kinds)
        return;
    for (size_t i = 0; i < kinds->count; i++) {
        free(kinds->rows[i].count_sql);
        free(kinds->rows[i].step_sql);
        free(kinds->rows[i].turn_sql);
    }
    free(kinds);
}

const struct long_job_kind *long_job_kinds_find(const struct long_job_kinds *kinds, struct slice name)
{
    for (size_t i = 0; i < kinds->count; i++)
        if (slice_is(name, kinds->rows[i].name))
            return &kinds->rows[i];
    return NULL;
}
