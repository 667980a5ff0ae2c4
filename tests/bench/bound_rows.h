#pragma once
/* The rows of a batch of creates, in one transaction of two round trips:
 *
 *   IDLE ──rows_count──▶ COUNTING ──ROWS_COUNTED──▶ rows_insert: INSERTING ──ROWS_COMMITTED──▶ IDLE
 *
 * An error of the database ends the process. */

#include <libpq-fe.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "tests/bench/bound.h"

/* The columns that differ from row to row, as the text of PostgreSQL's arrays. */
enum rows_array { ROWS_IDS, ROWS_NUMBERS, ROWS_NAMES, ROWS_SEQS, ROWS_ENTITIES, ROWS_ARRAYS };

enum rows_phase { ROWS_IDLE, ROWS_COUNTING, ROWS_INSERTING };

struct rows {
    PGconn *db;
    enum rows_phase phase;
    int answers; /* of this phase */
    struct buf arrays[ROWS_ARRAYS];
    int64_t seq, number; /* before the batch: the first row has the next ones */
    char at[CLOCK_TEXT_SIZE];
};

struct rows_project {
    char id[UUID_TEXT_LEN + 1], name[BOUND_NAME_LEN + 1];
};

void rows_open(struct rows *rows, const struct bound_options *options);

/* Takes `count` sequence numbers and project numbers, and the locks on their rows. */
void rows_count(struct rows *rows, size_t count);

/* Begins with the first project: rows_add for each of the batch, then rows_insert commits. */
void rows_begin(struct rows *rows);
void rows_add(struct rows *rows, const struct rows_project *project, size_t index);
void rows_insert(struct rows *rows);

/* Sends what waits to be sent and reads what has come. */
enum rows_news { ROWS_NO_NEWS, ROWS_COUNTED, ROWS_COMMITTED };
enum rows_news rows_read(struct rows *rows);
bool rows_flush(struct rows *rows); /* true: call rows_read when the socket can be written to */

/* The entity as clients see it; index: within the batch. Returns its length. */
int rows_entity(const struct rows *rows, const struct rows_project *project, size_t index, char *text,
                size_t size);
