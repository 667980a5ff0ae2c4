#include "workers/engine/records/records.h"

enum { COLUMNS_MAX = 28, COLUMN_BYTES_MAX = 64 << 20 };

void records_init(struct records *records, struct db *db, const char *pool)
{
    *records = (struct records){.db = db, .pool = pool};
    pg_rows_init(&records->rows, COLUMNS_MAX, COLUMN_BYTES_MAX);
}

void records_done(struct records *records)
{
    pg_rows_done(&records->rows);
}
