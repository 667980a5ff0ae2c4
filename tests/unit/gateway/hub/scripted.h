#pragma once
/* What the hub stands on, scripted: a database whose answers come when the test says so, in the order that it says, and
 * a broker that only counts bindings. Real servers cannot be made to answer between two given events. */

#include "common/db/db.h"
#include "gateway/bus/commands.h"
#include "gateway/bus/events.h"
#include "gateway/gateway.h"

enum { SCRIPT_ROWS_MAX = 256, SCRIPT_COLUMNS = 3, SCRIPT_TEXT = 160 };

struct db_result {
    enum err err;
    int rows;
    char text[SCRIPT_ROWS_MAX][SCRIPT_COLUMNS][SCRIPT_TEXT];
};

struct asked {
    char statement[32];
    char company[UUID_TEXT_LEN + 1];
    char params[5][128];
    db_on_result *on_result;
    void *arg;
    struct asked *next;
};

static struct asked *asked_first;
static enum err asked_refusal; /* of the next queries; ERR_OK: they are taken */
static int watched, unwatched;

enum err db_pool_query(struct db_pool *pool, const struct db_query *query, struct pool_query **ret_query)
{
    (void)pool;
    assert_true(query->is_fresh); /* events are read from the primary */
    if (asked_refusal)
        return asked_refusal;
    struct asked *asked = xcalloc(1, sizeof(*asked));
    snprintf(asked->statement, sizeof(asked->statement), "%s", query->statement->name);
    snprintf(asked->company, sizeof(asked->company), "%.*s", (int)query->company.len, query->company.data);
    for (size_t i = 0; i < query->param_count; i++)
        snprintf(asked->params[i], sizeof(asked->params[i]), "%.*s", (int)query->params[i].len,
                 query->params[i].data);
    asked->on_result = query->on_result;
    asked->arg = query->arg;
    struct asked **at = &asked_first;
    while (*at)
        at = &(*at)->next;
    *at = asked;
    *ret_query = (struct pool_query *)asked;
    return ERR_OK;
}

void db_pool_drop(struct pool_query *query)
{
    struct asked *dropped = (struct asked *)query;
    struct asked **at = &asked_first;
    while (*at != dropped)
        at = &(*at)->next;
    *at = dropped->next;
    free(dropped);
}

enum err db_result_error(const struct db_result *result)
{
    return result->err;
}

int db_rows(const struct db_result *result)
{
    return result->rows;
}

struct slice db_text(const struct db_result *result, int row, int col)
{
    const char *text = result->text[row][col];
    return text[0] ? slice_of(text) : SLICE_NONE;
}

int64_t db_int(const struct db_result *result, int row, int col)
{
    return strtoll(result->text[row][col], NULL, 10);
}

struct bytes *db_share(struct db_result *result, int row, int col)
{
    return bytes_copy(slice_of(result->text[row][col]));
}

void events_watch(struct events *events, const struct uuid *company)
{
    (void)events;
    (void)company;
    watched++;
}

void events_unwatch(struct events *events, const struct uuid *company)
{
    (void)events;
    (void)company;
    unwatched++;
}

/* What is said to other processes is dropped, unless a test listens. */
static void (*announced)(struct slice key, struct slice body);

static size_t heard_old;

void events_hear_gateway(struct events *events, bool slots, bool parcels)
{
    (void)events, (void)parcels;
    heard_old += !slots;
}

enum err commands_announce(struct commands *commands, struct slice key, struct slice cc, struct slice type,
                           struct slice body)
{
    (void)commands;
    (void)cc;
    (void)type;
    if (announced)
        announced(key, body);
    return ERR_OK;
}

/* The oldest question of that statement that has not been answered; NULL when there is none. */
static inline struct asked *script_find(const char *statement)
{
    struct asked *asked = asked_first;
    while (asked && strcmp(asked->statement, statement) != 0)
        asked = asked->next;
    return asked;
}

static inline void script_answer(struct asked *asked, struct db_result *result)
{
    struct asked **at = &asked_first;
    while (*at != asked)
        at = &(*at)->next;
    *at = asked->next;
    asked->on_result(asked->arg, result);
    free(asked);
}

static inline struct asked *script_expect(const char *statement)
{
    struct asked *asked = script_find(statement);
    assert_non_null(asked);
    return asked;
}

static inline void script_fail(const char *statement, enum err err)
{
    struct db_result *result = xcalloc(1, sizeof(*result));
    result->err = err;
    script_answer(script_expect(statement), result);
    free(result);
}

/* One row, of up to two columns. */
static inline void script_row(const char *statement, const char *first, const char *second)
{
    struct db_result *result = xcalloc(1, sizeof(*result));
    result->rows = 1;
    snprintf(result->text[0][0], SCRIPT_TEXT, "%s", first);
    snprintf(result->text[0][1], SCRIPT_TEXT, "%s", second);
    script_answer(script_expect(statement), result);
    free(result);
}

static inline void script_nothing(const char *statement)
{
    struct db_result *result = xcalloc(1, sizeof(*result));
    script_answer(script_expect(statement), result);
    free(result);
}

static inline void script_body(int64_t seq, char body[SCRIPT_TEXT])
{
    snprintf(body, SCRIPT_TEXT, "{\"seq\":%lld}", (long long)seq);
}

/* Answers the oldest hub.events as a table with the events first..last would (all of that project, or of none). */
static inline void script_events(int64_t first, int64_t last, const char *project)
{
    struct asked *asked = script_expect("hub.events");
    struct db_result *result = xcalloc(1, sizeof(*result));
    int64_t after = strtoll(asked->params[1], NULL, 10), up_to = strtoll(asked->params[2], NULL, 10);
    int64_t limit = strtoll(asked->params[3], NULL, 10);
    for (int64_t seq = first; seq <= last && result->rows < limit; seq++) {
        if (seq <= after || seq > up_to)
            continue;
        snprintf(result->text[result->rows][0], SCRIPT_TEXT, "%lld", (long long)seq);
        snprintf(result->text[result->rows][1], SCRIPT_TEXT, "%s", project);
        script_body(seq, result->text[result->rows][2]);
        result->rows++;
    }
    script_answer(asked, result);
    free(result);
}

/* Answers the oldest hub.events_of_projects as a table would in which the events first..last are, every `step`th of one of
 * the projects. `seen`: how far that database has come. */
static inline void script_events_of_projects(int64_t first, int64_t last, int64_t seen, int64_t step,
                                             const char *project)
{
    struct asked *asked = script_expect("hub.events_of_projects");
    struct db_result *result = xcalloc(1, sizeof(*result));
    int64_t after = strtoll(asked->params[1], NULL, 10), up_to = strtoll(asked->params[2], NULL, 10);
    int64_t limit = strtoll(asked->params[3], NULL, 10);
    up_to = up_to < seen ? up_to : seen;
    if (after + 1 >= first && after + 1 <= last) {
        snprintf(result->text[0][0], SCRIPT_TEXT, "%lld", (long long)after + 1);
        snprintf(result->text[0][2], SCRIPT_TEXT, "%lld", (long long)up_to);
        result->rows = 1;
    }
    for (int64_t seq = after + 1; seq <= up_to && seq <= last && result->rows <= limit; seq++) {
        if (seq < first || seq % step != 0)
            continue;
        snprintf(result->text[result->rows][0], SCRIPT_TEXT, "%lld", (long long)seq);
        snprintf(result->text[result->rows][1], SCRIPT_TEXT, "%s", project);
        script_body(seq, result->text[result->rows][2]);
        result->rows++;
    }
    script_answer(asked, result);
    free(result);
}

/* Answers the oldest of that statement with the events first..last, whatever it asked for. */
static inline void script_rows(const char *statement, int64_t first, int64_t last)
{
    struct db_result *result = xcalloc(1, sizeof(*result));
    for (int64_t seq = first; seq <= last; seq++, result->rows++) {
        snprintf(result->text[result->rows][0], SCRIPT_TEXT, "%lld", (long long)seq);
        script_body(seq, result->text[result->rows][2]);
    }
    script_answer(script_expect(statement), result);
    free(result);
}

/* Forgets what nobody has answered, as a pool that is freed does. */
static inline void script_shut_down(void)
{
    struct db_result *result = xcalloc(1, sizeof(*result));
    result->err = ERR_SHUTTING_DOWN;
    while (asked_first)
        script_answer(asked_first, result);
    free(result);
}

/* One turn of the loop. */
static inline void script_turn(struct gateway *gateway)
{
    ev_run(gateway->loop, EVRUN_NOWAIT);
}

/* Turns until `done` or two seconds have passed. */
static inline void script_wait(struct gateway *gateway, bool (*done)(void))
{
    ev_tstamp end = ev_time() + 2.;
    while (!done() && ev_time() < end) {
        ev_sleep(0.001);
        ev_run(gateway->loop, EVRUN_NOWAIT);
    }
    assert_true(done());
}
