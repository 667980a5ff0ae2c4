#include "tests/bench/bound_rows.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>

enum { ENTITY_MAX = 2048, ARRAY_MAX = 1 << 20, NUMBER_MAX = 32 };

#define DESCRIPTION "A building that exists only to be created as fast as it goes"

enum statement { COUNT_EVENTS, COUNT_PROJECTS, INSERT_PROJECTS, INSERT_EVENTS, INSERT_INBOX };

/* A statement a table, an array a column: a third cheaper for PostgreSQL than a statement a row. */
static const char *const statements[] = {
    [COUNT_EVENTS] = "UPDATE company_sequence SET seq = seq + $2 WHERE company_id = $1 RETURNING seq - $2",
    [COUNT_PROJECTS] = "INSERT INTO counter VALUES ($1, 'project/bound', $2) ON CONFLICT (company_id, scope)"
                       " DO UPDATE SET value = counter.value + excluded.value RETURNING value - $2",
    [INSERT_PROJECTS] =
        "INSERT INTO project (company_id, id, number, name, description, status, priority, start_date,"
        " end_date, budget, address, created_at, updated_at) SELECT $1, new.id, new.number, new.name,"
        " '" DESCRIPTION "', 'active', 'high', '2026-03-01', '2027-09-30', 1125632.5,"
        " '12 Quay Street, Auckland', $5, $5 FROM unnest($2::uuid[], $3::text[], $4::text[]) AS new (id, "
        "number, name)",
    [INSERT_EVENTS] =
        "INSERT INTO events (company_id, seq, at, command_id, type, subject, project, actor, version, data)"
        " SELECT $1, new.seq, $4, new.id, 'project.created', new.id, new.id, $1, 1, new.data"
        " FROM unnest($2::bigint[], $3::uuid[], $5::json[]) AS new (seq, id, data)",
    [INSERT_INBOX] = "INSERT INTO inbox (company_id, command_id, fingerprint, status, http_status, seq, at)"
                     " SELECT $1, new.id, 1311768467294899695, 'ok', 201, new.seq, $4"
                     " FROM unnest($2::uuid[], $3::bigint[]) AS new (id, seq)",
};

static void fail(struct rows *rows)
{
    errx(1, "%s", PQerrorMessage(rows->db));
}

static void run(struct rows *rows, const char *sql)
{
    PGresult *result = PQexec(rows->db, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail(rows);
    PQclear(result);
}

static const char *name_of(enum statement statement)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    return names[statement];
}

void rows_open(struct rows *rows, const struct bound_options *options)
{
    for (size_t i = 0; i < ARRAY_LEN(rows->arrays); i++)
        buf_init(&rows->arrays[i], ARRAY_MAX);
    rows->db = PQconnectdb(options->database_url);
    if (PQstatus(rows->db) != CONNECTION_OK)
        fail(rows);
    run(rows, "INSERT INTO company (id, name) VALUES ('" BOUND_COMPANY "', 'Bound') ON CONFLICT DO NOTHING");
    char set_role[128];
    snprintf(set_role, sizeof(set_role), "SET ROLE %s",
             options->database_role ? options->database_role : "NONE");
    run(rows, set_role);
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        PGresult *result = PQprepare(rows->db, name_of((enum statement)i), statements[i], 0, NULL);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            fail(rows);
        PQclear(result);
    }
    if (!PQenterPipelineMode(rows->db) || PQsetnonblocking(rows->db, 1))
        fail(rows);
}

static void ask(struct rows *rows, enum statement statement, const char *const *params, int count)
{
    if (!PQsendQueryPrepared(rows->db, name_of(statement), count, params, NULL, NULL, 0))
        fail(rows);
}

bool rows_flush(struct rows *rows)
{
    int left = PQflush(rows->db);
    if (left < 0)
        fail(rows);
    return left > 0;
}

void rows_count(struct rows *rows, size_t count)
{
    char text[NUMBER_MAX];
    snprintf(text, sizeof(text), "%zu", count);
    const char *const params[] = {BOUND_COMPANY, text};
    ask(rows, COUNT_EVENTS, params, ARRAY_LEN(params));
    ask(rows, COUNT_PROJECTS, params, ARRAY_LEN(params));
    if (!PQsendFlushRequest(rows->db))
        fail(rows);
    rows_flush(rows);
    rows->phase = ROWS_COUNTING;
    rows->answers = 0;
}

static int64_t number_of(const struct rows *rows, size_t index)
{
    return rows->number + (int64_t)index + 1;
}

int rows_entity(const struct rows *rows, const struct rows_project *project, size_t index, char *text,
                size_t size)
{
    return snprintf(
        text, size,
        "{\"id\":\"%s\",\"number\":\"PRJ-BOUND-%04" PRId64 "\",\"name\":\"%s\","
        "\"description\":\"" DESCRIPTION "\",\"status\":\"active\",\"priority\":\"high\","
        "\"start_date\":\"2026-03-01\",\"end_date\":\"2027-09-30\",\"budget\":1125632.50,\"actual_cost\":0,"
        "\"address\":\"12 Quay Street, Auckland\",\"manager_id\":null,\"progress\":0,\"archived\":false,"
        "\"version\":1,\"created_at\":\"%s\",\"updated_at\":\"%s\"}",
        project->id, number_of(rows, index), project->name, rows->at, rows->at);
}

void rows_begin(struct rows *rows)
{
    clock_format(clock_wall_us(), rows->at);
    for (size_t i = 0; i < ARRAY_LEN(rows->arrays); i++)
        buf_clear(&rows->arrays[i]);
}

static void add(struct buf *array, const char *text)
{
    buf_append_char(array, buf_len(array) ? ',' : '{');
    buf_append_text(array, text);
}

/* An element that must be quoted: JSON. */
static void add_quoted(struct buf *array, const char *text)
{
    add(array, "\"");
    for (const char *quote; (quote = strchr(text, '"')); text = quote + 1) {
        buf_append(array, text, (size_t)(quote - text));
        buf_append_text(array, "\\\"");
    }
    buf_append_text(array, text);
    buf_append_char(array, '"');
}

void rows_add(struct rows *rows, const struct rows_project *project, size_t index)
{
    char number[NUMBER_MAX], seq[NUMBER_MAX], entity[ENTITY_MAX];
    snprintf(number, sizeof(number), "PRJ-BOUND-%04" PRId64, number_of(rows, index));
    snprintf(seq, sizeof(seq), "%" PRId64, rows->seq + (int64_t)index + 1);
    rows_entity(rows, project, index, entity, sizeof(entity));
    add(&rows->arrays[ROWS_IDS], project->id);
    add(&rows->arrays[ROWS_NUMBERS], number);
    add(&rows->arrays[ROWS_NAMES], project->name);
    add(&rows->arrays[ROWS_SEQS], seq);
    add_quoted(&rows->arrays[ROWS_ENTITIES], entity);
}

static const char *end_array(struct rows *rows, enum rows_array array)
{
    struct buf *text = &rows->arrays[array];
    if (!buf_append(text, "}", 2)) /* with its NUL */
        errx(1, "too large a batch");
    return buf_data(text);
}

void rows_insert(struct rows *rows)
{
    const char *ids = end_array(rows, ROWS_IDS), *numbers = end_array(rows, ROWS_NUMBERS);
    const char *names = end_array(rows, ROWS_NAMES), *seqs = end_array(rows, ROWS_SEQS);
    const char *entities = end_array(rows, ROWS_ENTITIES);
    ask(rows, INSERT_PROJECTS, (const char *const[]){BOUND_COMPANY, ids, numbers, names, rows->at}, 5);
    ask(rows, INSERT_EVENTS, (const char *const[]){BOUND_COMPANY, seqs, ids, rows->at, entities}, 5);
    ask(rows, INSERT_INBOX, (const char *const[]){BOUND_COMPANY, ids, seqs, rows->at}, 4);
    if (!PQpipelineSync(rows->db))
        fail(rows);
    rows_flush(rows);
    rows->phase = ROWS_INSERTING;
}

static enum rows_news on_result(struct rows *rows, const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK: /* the sequence's answer, then the counter's */
        *(rows->answers++ ? &rows->number : &rows->seq) = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
        return rows->answers == 2 ? ROWS_COUNTED : ROWS_NO_NEWS;
    case PGRES_COMMAND_OK:
        return ROWS_NO_NEWS;
    case PGRES_PIPELINE_SYNC:
        rows->phase = ROWS_IDLE;
        return ROWS_COMMITTED;
    default:
        errx(1, "%s", PQresultErrorMessage(result));
    }
}

enum rows_news rows_read(struct rows *rows)
{
    if (!PQconsumeInput(rows->db))
        fail(rows);
    rows_flush(rows);
    enum rows_news news = ROWS_NO_NEWS;
    while (news == ROWS_NO_NEWS && rows->phase != ROWS_IDLE && !PQisBusy(rows->db)) {
        PGresult *result = PQgetResult(rows->db);
        if (result) /* else: between two statements */
            news = on_result(rows, result);
        PQclear(result);
    }
    return news;
}
