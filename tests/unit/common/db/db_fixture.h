#pragma once
/* What the tests of the database client share: the server they run against, a loop with a limit, and a
 * journal of callbacks. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/db/db.h"

/* Returns CORTEX_TEST_DATABASE_URL, or the URL of the database that `cortex test` made for its tests. */
static inline const char *test_url(void)
{
    const char *url = getenv("CORTEX_TEST_DATABASE_URL");
    if (!url || !*url)
        url = getenv("CORTEX_DATABASE_URL");
    if (!url || !*url) {
        fprintf(stderr, "CORTEX_TEST_DATABASE_URL must name an empty PostgreSQL database whose owner may "
                        "create roles.\n");
        exit(1);
    }
    return url;
}

static inline int apply_migrations(void)
{
    char command[4096];
    snprintf(command, sizeof(command), "CORTEX_DATABASE_URL='%s' deploy/local/migrate.sh", test_url());
    return system(command);
}

/* Callbacks write what happened as words: "a:OK b:DATABASE_ERROR sync:OK". */
struct journal {
    struct ev_loop *loop;
    ev_timer limit;
    char text[4096];
    size_t len;
    int count, awaited;
    bool too_late;
};

struct mark {
    struct journal *journal;
    const char *name;
};

static inline void on_limit(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)events;
    CONTAINER_OF(watcher, struct journal, limit)->too_late = true;
    ev_break(loop, EVBREAK_ALL);
}

static inline void journal_init(struct journal *j, struct ev_loop *loop)
{
    *j = (struct journal){.loop = loop};
    ev_timer_init(&j->limit, on_limit, 20, 0);
}

static inline void journal_word(struct journal *j, const char *name, const char *what)
{
    int written =
        snprintf(j->text + j->len, sizeof(j->text) - j->len, "%s%s:%s", j->len ? " " : "", name, what);
    assert_true(written > 0 && (size_t)written < sizeof(j->text) - j->len);
    j->len += (size_t)written;
    if (++j->count >= j->awaited)
        ev_break(j->loop, EVBREAK_ALL);
}

/* Runs the loop until `count` words have been written since journal_clear. */
static inline void journal_await(struct journal *j, int count)
{
    j->awaited = count;
    if (j->count >= count)
        return;
    ev_now_update(j->loop);
    ev_timer_set(&j->limit, 20, 0);
    ev_timer_start(j->loop, &j->limit);
    ev_run(j->loop, 0);
    ev_timer_stop(j->loop, &j->limit);
    if (j->too_late)
        fail_msg("after 20 s only: %s", j->text);
}

static inline void journal_clear(struct journal *j)
{
    j->text[0] = '\0';
    j->len = 0;
    j->count = 0;
}

static inline void note_result(void *arg, struct db_result *result)
{
    struct mark *mark = arg;
    const char *what = db_result_skipped(result) ? "skipped" : err_info(db_result_error(result))->name;
    journal_word(mark->journal, mark->name, what);
}

static inline void note_sync(void *arg, enum err err)
{
    struct mark *mark = arg;
    journal_word(mark->journal, mark->name, err_info(err)->name);
}

static inline void note_up(void *ctx, struct db *db)
{
    (void)db;
    journal_word(ctx, "up", "-");
}

static inline void note_down(void *ctx, struct db *db, const char *why)
{
    (void)db;
    (void)why;
    journal_word(ctx, "down", "-");
}

static const struct db_callbacks noting = {.on_up = note_up, .on_down = note_down};

/* A value kept from an answer. */
struct kept {
    struct journal *journal;
    struct db_result *result;
};

static inline void keep_result(void *arg, struct db_result *result)
{
    struct kept *kept = arg;
    db_result_release(kept->result);
    kept->result = db_result_hold(result);
    journal_word(kept->journal, "kept", err_info(db_result_error(result))->name);
}

/* Runs one statement in a transaction and on a connection of its own, as a person would with psql. */
static inline struct db_result *run_sql(const char *sql, const char *param)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct journal journal;
    journal_init(&journal, loop);
    struct kept kept = {.journal = &journal};
    struct db *db;
    assert_int_equal(db_new(loop, &(struct db_options){.url = test_url()}, &noting, &journal, &db), ERR_OK);
    journal_await(&journal, 1);
    const struct db_statement statement = {"run_sql", sql};
    const struct slice params[] = {slice_of(param)};
    db_send(db, &statement, params, param ? 1 : 0, keep_result, &kept);
    db_sync(db, NULL, NULL);
    journal_await(&journal, 2);
    db_free(db);
    ev_loop_destroy(loop);
    if (db_result_error(kept.result))
        fail_msg("%s: %s", sql, db_result_message(kept.result));
    return kept.result;
}

static inline void do_sql(const char *sql)
{
    db_result_release(run_sql(sql, NULL));
}
