#include "gateway/auth/revocations.h"

#include <stdio.h>
#include <time.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/uuid_map.h"
#include "common/db/db.h"

enum {
    JSON_DEPTH_MAX = 4,
    AGAIN_S = 1,
    PERIOD_S = 60,
    MARGIN_S = 3600, /* for clocks that differ, and for transactions that take long */
};

/* The revocation of one user of one company. Of several, the latest moment counts. */
struct revoked {
    struct uuid_node node; /* key: the user */
    struct revoked *next;  /* the same user id in another company */
    struct uuid company;
    int64_t before; /* seconds */
};

struct revocations {
    struct gateway *gateway;
    void (*on_news)(struct gateway *gateway);
    struct uuid_map users;
    ev_timer timer;     /* the next reading */
    int64_t asked_at_s; /* the present reading; seconds */
    int64_t since_s;    /* the next reading asks for those that were made since then; 0: for all */
    bool is_reading, are_known;
};

/* A company that does not exist: for it the policy of the table shows the revocations of all companies. */
#define NO_COMPANY "00000000-0000-0000-0000-000000000000"

/* $1: those that were made since then. The index revocation_age finds them. */
static const struct db_statement all_statement = {
    "revocations",
    "SELECT company_id, user_id, floor(extract(epoch FROM max(before)))::bigint"
    " FROM revocation"
    " WHERE greatest(created_at, before) >= to_timestamp($1::bigint)"
    " GROUP BY company_id, user_id",
};

static struct revoked *first_of(const struct revocations *r, const struct uuid *user)
{
    struct uuid_node *node = uuid_map_find(&r->users, user);
    return node ? CONTAINER_OF(node, struct revoked, node) : NULL;
}

static struct revoked *find(const struct revocations *r, const struct uuid *company, const struct uuid *user)
{
    struct revoked *revoked = first_of(r, user);
    while (revoked && !uuid_equal(&revoked->company, company))
        revoked = revoked->next;
    return revoked;
}

static struct revoked *obtain(struct revocations *r, const struct uuid *company, const struct uuid *user)
{
    struct revoked *revoked = find(r, company, user);
    struct revoked *first = revoked ? NULL : first_of(r, user);
    if (revoked)
        return revoked;
    revoked = xcalloc(1, sizeof(*revoked));
    revoked->node.key = *user;
    revoked->company = *company;
    if (first) {
        revoked->next = first->next;
        first->next = revoked;
    } else {
        uuid_map_insert(&r->users, &revoked->node);
    }
    return revoked;
}

/* True when it revokes tokens that were not revoked before. */
static bool add(struct revocations *r, const struct uuid *company, const struct uuid *user, int64_t before)
{
    struct revoked *revoked = obtain(r, company, user);
    bool is_new = before > revoked->before;
    revoked->before = is_new ? before : revoked->before;
    return is_new;
}

/* A token that does not say when it was made may be older than any revocation. */
bool revocations_have(const struct revocations *r, const struct identity *identity)
{
    if (!r || r->users.count == 0)
        return false;
    const struct revoked *revoked = find(r, &identity->company, &identity->user);
    return revoked && identity->issued_at <= revoked->before;
}

/* ---- reading ---- */

static void read_again_in(struct revocations *r, ev_tstamp seconds)
{
    ev_timer_stop(r->gateway->loop, &r->timer);
    ev_timer_set(&r->timer, seconds, 0.);
    ev_timer_start(r->gateway->loop, &r->timer);
}

static bool add_row(struct revocations *r, const struct db_result *result, int row)
{
    struct uuid company, user;
    return uuid_parse(db_text(result, row, 0), &company) && uuid_parse(db_text(result, row, 1), &user) &&
           add(r, &company, &user, db_int(result, row, 2));
}

static void on_rows(void *arg, struct db_result *result)
{
    struct revocations *r = arg;
    enum err err = db_result_error(result);
    bool news = false;
    if (err == ERR_SHUTTING_DOWN)
        return;
    r->is_reading = false;
    read_again_in(r, err ? AGAIN_S : PERIOD_S);
    if (err) {
        log_debug("revocations.unread", LOG_S("error", err_info(err)->name));
        return;
    }
    r->are_known = true;
    r->since_s = r->asked_at_s > MARGIN_S ? r->asked_at_s - MARGIN_S : 0;
    for (int row = 0; row < db_rows(result); row++)
        news |= add_row(r, result, row);
    if (news)
        r->on_news(r->gateway);
}

void revocations_read(struct revocations *r)
{
    char since[DB_NUMBER_SIZE];
    const struct slice params[] = {db_number(r->since_s, since)};
    if (r->is_reading)
        return;
    r->asked_at_s = (int64_t)ev_now(r->gateway->loop);
    r->is_reading = db_pool_query(r->gateway->reads,
                                  &(struct db_query){.kind = DB_QUERY_EXPENSIVE,
                                                     .is_fresh = true,
                                                     .company = SLICE(NO_COMPANY),
                                                     .statement = &all_statement,
                                                     .params = params,
                                                     .param_count = 1,
                                                     .on_result = on_rows,
                                                     .arg = r},
                                  NULL) == ERR_OK;
    if (!r->is_reading)
        read_again_in(r, AGAIN_S);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    revocations_read(CONTAINER_OF(timer, struct revocations, timer));
}

bool revocations_are_known(const struct revocations *r)
{
    return r->are_known;
}

void revocations_assume_none(struct revocations *r)
{
    r->are_known = true;
}

/* ---- events ---- */

/* RFC 3339, as PostgreSQL writes it: "2026-11-24T15:20:00.123456+00:00". Seconds, rounded down. */
static bool read_time(const json_t *value, int64_t *ret_seconds)
{
    struct tm tm = {0};
    int hours = 0, minutes = 0;
    char sign = '+';
    const char *rest =
        json_is_string(value) ? strptime(json_string_value(value), "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (!rest)
        return false;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (*rest != 'Z' && sscanf(rest, "%c%2d:%2d", &sign, &hours, &minutes) != 3)
        return false;
    int64_t offset = (int64_t)hours * 3600 + minutes * 60;
    *ret_seconds = (int64_t)timegm(&tm) - (sign == '-' ? -offset : offset);
    return true;
}

static bool read_entity_of(const struct event *event, struct uuid *user, int64_t *before)
{
    char why[160];
    json_t *json = NULL;
    struct slice text = {event->body.data + event->entity_at, event->body.len - (size_t)event->entity_at - 1};
    if (json_parse(text, JSON_DEPTH_MAX, &json, why) != ERR_OK)
        return false;
    const json_t *user_id = json_object_get(json, "user_id");
    bool is_whole = json_is_string(user_id) && uuid_parse(slice_of(json_string_value(user_id)), user) &&
                    read_time(json_object_get(json, "before"), before);
    json_decref(json);
    return is_whole;
}

void revocations_on_event(struct revocations *r, const struct event *event)
{
    struct uuid user;
    int64_t before = 0;
    if (!r || event->status != ERR_OK || event->entity_at <= 0 || !slice_is(event->type, REVOCATION_EVENT))
        return;
    if (!read_entity_of(event, &user, &before)) {
        log_warn("revocations.malformed");
        revocations_read(r);
        return;
    }
    if (add(r, &event->company, &user, before))
        r->on_news(r->gateway);
}

/* ---- beginning and end ---- */

struct revocations *revocations_new(struct gateway *gateway, void (*on_news)(struct gateway *gateway))
{
    struct revocations *r = xcalloc(1, sizeof(*r));
    r->gateway = gateway;
    r->on_news = on_news;
    uuid_map_init(&r->users);
    ev_timer_init(&r->timer, on_timer, 0., 0.);
    revocations_read(r);
    return r;
}

static void free_user(struct uuid_node *node, void *arg)
{
    uuid_map_remove(arg, node);
    struct revoked *revoked = CONTAINER_OF(node, struct revoked, node);
    while (revoked) {
        struct revoked *next = revoked->next;
        free(revoked);
        revoked = next;
    }
}

/* The pool of reads has been freed before, so no query is under way. */
void revocations_free(struct revocations *r)
{
    if (!r)
        return;
    ev_timer_stop(r->gateway->loop, &r->timer);
    uuid_map_each(&r->users, free_user, &r->users);
    uuid_map_done(&r->users);
    free(r);
}
