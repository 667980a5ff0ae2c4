#include "workers/engine/records/sequences.h"

/* A row that another transaction holds is passed over, and named as held. A company without a row is not
 * named. Unless a row is missing, nothing is looked for again. */
#define LOCK(scheduled)                                                                                   \
    "WITH locked AS MATERIALIZED ("                                                                       \
    "SELECT company_id, seq FROM company_sequence"                                                        \
    " WHERE company_id = ANY ($1::uuid[])"                                                                \
    " ORDER BY company_id"                                                                                \
    " FOR UPDATE SKIP LOCKED)"                                                                            \
    " SELECT s.company_id, s.seq, c.count, c.bytes, false FROM locked AS s, LATERAL (" scheduled ") AS c" \
    " UNION ALL"                                                                                          \
    " SELECT company_id, 0, 0, 0, true FROM company_sequence"                                             \
    " WHERE (SELECT count(*) FROM locked) < cardinality($1::uuid[])"                                      \
    " AND company_id = ANY ($1::uuid[]) AND company_id NOT IN (SELECT company_id FROM locked)"

static const struct db_statement lock_rows = {"sequences.lock", LOCK("SELECT 0 AS count, 0 AS bytes")};

static const struct db_statement lock_and_count = {
    "sequences.lock_and_count",
    LOCK("SELECT count(*) AS count, coalesce(sum(d.octets), 0)::bigint AS bytes"
         " FROM deferred_head AS d WHERE d.company_id = s.company_id AND d.reason = 'schedule'"),
};

static const struct db_statement advance_rows = {
    "sequences.advance",
    "UPDATE company_sequence AS s SET seq = n.seq"
    " FROM unnest($1::uuid[], $2::bigint[]) AS n (company_id, seq)"
    " WHERE s.company_id = n.company_id",
};

enum { SEEN_MAX = 4096 }; /* a power of two */

/* A table without chains: a company pushes out the one that was in its place. */
struct sequence_seen {
    struct uuid company;
    bool is_set;
    int64_t seq;
};

void sequences_done(struct sequences *sequences)
{
    free(sequences->seen);
    free(sequences->rows);
    free(sequences->sorted);
}

/* ---- gather ---- */

/* Neighbours are often of one company, so the search begins at the last row. */
static size_t index_of(struct sequences *sequences, const struct uuid *company)
{
    for (size_t i = sequences->count; i > 0; i--)
        if (uuid_equal(&sequences->rows[i - 1].company, company))
            return i - 1;
    if (sequences->count == sequences->capacity) {
        sequences->capacity = sequences->capacity ? 2 * sequences->capacity : 16;
        sequences->rows = xrealloc(sequences->rows, sequences->capacity * sizeof(*sequences->rows));
    }
    sequences->rows[sequences->count] = (struct sequence){.company = *company};
    return sequences->count++;
}

/* The sort is stable: a company's commands stay in the order of their delivery. */
static void sort_by_company(struct sequences *sequences, struct command **commands, size_t count)
{
    if (sequences->count < 2)
        return;
    if (count > sequences->sorted_capacity) {
        sequences->sorted_capacity = count;
        sequences->sorted = xrealloc(sequences->sorted, count * sizeof(struct command *));
    }
    size_t begin = 0;
    for (size_t i = 0; i < sequences->count; i++) {
        size_t of_company = sequences->rows[i].commands;
        sequences->rows[i].commands = begin; /* from here on: where the next one goes */
        begin += of_company;
    }
    for (size_t i = 0; i < count; i++)
        sequences->sorted[sequence_of(sequences, commands[i])->commands++] = commands[i];
    memcpy(commands, sequences->sorted, count * sizeof(struct command *));
}

void sequences_gather(struct sequences *sequences, struct command **commands, size_t count)
{
    sequences->count = 0;
    for (size_t i = 0; i < count; i++) {
        commands[i]->company_at = index_of(sequences, &commands[i]->envelope.company);
        sequence_of(sequences, commands[i])->commands++;
    }
    sort_by_company(sequences, commands, count);
}

/* ---- what was seen ---- */

static struct sequence_seen *place_of(const struct sequences *sequences, const struct uuid *company)
{
    uint32_t random; /* the last octets of an id are random */
    memcpy(&random, company->octet + sizeof(company->octet) - sizeof(random), sizeof(random));
    return &sequences->seen[random & (SEEN_MAX - 1)];
}

bool sequences_recall(struct sequences *sequences)
{
    for (size_t i = 0; i < sequences->count; i++) {
        struct sequence *row = &sequences->rows[i];
        const struct sequence_seen *seen = sequences->seen ? place_of(sequences, &row->company) : NULL;
        if (!seen || !seen->is_set || !uuid_equal(&seen->company, &row->company))
            return false;
        row->seq = seen->seq;
    }
    return true;
}

void sequences_keep(struct sequences *sequences)
{
    if (!sequences->seen)
        sequences->seen = xcalloc(SEEN_MAX, sizeof(*sequences->seen));
    for (size_t i = 0; i < sequences->count; i++) {
        const struct sequence *row = &sequences->rows[i];
        if (row->has_moved || (row->is_known && !row->is_held))
            *place_of(sequences, &row->company) =
                (struct sequence_seen){.company = row->company, .is_set = true, .seq = row->seq};
    }
}

/* ---- lock ---- */

void sequences_lock(struct sequences *sequences, struct records *records, struct command *const *commands,
                    size_t count, db_on_result *on_locked, void *arg)
{
    bool is_scheduling = false;
    for (size_t i = 0; i < count; i++)
        is_scheduling = is_scheduling || commands[i]->envelope.not_before > 0;
    static const enum pg_element columns[] = {PG_UUID};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < sequences->count; i++)
        pg_array_add_uuid(pg_rows_add(&records->rows), &sequences->rows[i].company);
    pg_rows_send(&records->rows, records->db, is_scheduling ? &lock_and_count : &lock_rows, NULL, on_locked,
                 arg);
}

void sequences_read_locked(struct sequences *sequences, const struct db_result *result)
{
    for (int row = 0; row < db_rows(result); row++) {
        struct uuid company;
        if (!uuid_parse(db_text(result, row, 0), &company))
            continue;
        struct sequence *sequence = &sequences->rows[index_of(sequences, &company)];
        sequence->is_known = true;
        sequence->seq = db_int(result, row, 1);
        sequence->scheduled = db_int(result, row, 2);
        sequence->scheduled_bytes = db_int(result, row, 3);
        sequence->is_held = slice_is(db_text(result, row, 4), "t");
    }
}

/* ---- number, advance ---- */

void sequences_number(struct sequences *sequences, struct command *const *commands, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!command_has_result(commands[i]))
            continue;
        struct sequence *sequence = sequence_of(sequences, commands[i]);
        for (struct effect *effect = commands[i]->effects; effect; effect = effect->next) {
            if (effect->is_private)
                continue;
            effect->seq = ++sequence->seq;
            sequence->has_moved = true;
        }
    }
}

void sequences_advance(const struct sequences *sequences, struct records *records, db_on_result *on_done,
                       void *arg)
{
    static const enum pg_element columns[] = {PG_UUID, PG_BIGINT};
    pg_rows_begin_binary(&records->rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < sequences->count; i++) {
        if (!sequences->rows[i].has_moved)
            continue;
        struct pg_array *column = pg_rows_add(&records->rows);
        pg_array_add_uuid(column++, &sequences->rows[i].company);
        pg_array_add_i64(column++, sequences->rows[i].seq);
    }
    pg_rows_send(&records->rows, records->db, &advance_rows, NULL, on_done, arg);
}
