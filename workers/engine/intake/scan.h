#pragma once
/* Finds the companies that have parked commands: page by page along the key of the company, one page between
 * two batches. Only whether a company has rows is asked, since counting takes as long as it has rows.
 *
 *   a partition is gained ──▶ its companies are closed: their deliveries wait, because their rows are older
 *   a page has come ────────▶ companies up to its last key are open; what was found is loaded and runs
 *   the last page ──────────▶ all are open; then the rows are counted, page by page, for the bound and the reports
 *
 * Now and then it looks again, for rows that another process has left. */

#include <ev.h>

#include "common/db/db.h"
#include "workers/engine/intake/intake.h"

struct scan;

/* `pool`, `partitions` and `intake` must outlive it. */
struct scan *scan_new(struct ev_loop *loop, struct db *db, const char *pool,
                      const struct partition_set *partitions, struct intake *intake, double every_s);
void scan_free(struct scan *scan); /* after its db */

/* Begins at the first company, and closes those of the partitions. */
void scan_restart(struct scan *scan, uint64_t partitions);
/* Sends the next page, if there is one. Returns true when a look has just begun that comes now and then. */
bool scan_run(struct scan *scan);
