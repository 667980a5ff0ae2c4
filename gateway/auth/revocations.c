#include "gateway/auth/revocations.h"

#include <stdio.h>
#include <time.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/uuid_map.h"
#include "common/db/db.h"

enum { JSON_DEPTH_MAX = 4, AGAIN_S = 1, PERIOD_S = 60 };

/* The revocation of one user of one company. Of several, the latest moment counts. */
struct revoked {
    struct uuid_node node; /* key: the user */
    struct revoked *next;  /* the same user id in another company */
    struct uuid company;
    int64_t before, ends_at; /* seconds */
};

struct revocations {
    struct gateway *gateway;
    void (*on_news)(struct gateway *gateway);
    struct uuid_map users;
    ev_timer timer; /* the next reading */
    bool is_reading, are_known;
};

/* A company that does not exist: for it the policy of the table shows the revocations of all companies. */
#define NO_COMPANY "00000000-0000-0000-0000-000000000000"

/* $1: for how many seconds a token that was made before it may still be valid (hold_s). */
static const struct db_statement all_statement = {
    "revocations",
    "SELECT company_id, user_id, floor(extract(epoch FROM max(before)))::bigint,"
    " ceil(extract(epoch FROM max(ends_at)))::bigint"
    " FROM (SELECT company_id, user_id, before,"
    " greatest(expires_at, before + $1::bigint * interval '1 s', created_at + $1::bigint * interval '1 s')"
    " AS ends_at FROM revocation) AS r"
    " WHERE ends_at > now()"
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
static bool add(struct revocations *r, const struct uuid *company, const struct uuid *user, int64_t before,
                int64_t ends_at)
{
    struct revoked *revoked = obtain(r, company, user);
    bool is_new = before > revoked->before;
    revoked->before = is_new ? before : revoked->before;
    revoked->ends_at = ends_at > revoked->ends_at ? ends_at : revoked->ends_at;
    return is_new;
}

/* How long a token may be accepted after it was made. Whatever a revocation says of its own end, it holds that
 * long, or a token would come back to life. */
static int64_t hold_s(const struct revocations *r)
{
    const struct config *config = r->gateway->config;
    return (config->auth_max_life_ms + 2 * config->auth_leeway_ms) / 1000 + 1;
}

static int64_t now_s(const struct revocations *r)
{
    return (int64_t)ev_now(r->gateway->loop);
}

bool revocations_have(const struct revocations *r, const struct identity *identity)
{
    if (!r || r->users.count == 0)
        return false;
    const struct revoked *revoked = find(r, &identity->company, &identity->user);
    return revoked && identity->issued_at <= revoked->before && now_s(r) < revoked->ends_at;
}

/* ---- forgetting ---- */

static void drop_expired(struct uuid_node *node, void *arg)
{
    struct revocations *r = arg;
    struct revoked *first = CONTAINER_OF(node, struct revoked, node);
    for (struct revoked **at = &first->next; *at;) {
        struct revoked *revoked = *at;
        if (now_s(r) < revoked->ends_at) {
            at = &revoked->next;
            continue;
        }
        *at = revoked->next;
        free(revoked);
    }
    if (now_s(r) < first->ends_at || first->next)
        return;
    uuid_map_remove(&r->users, node);
    free(first);
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
           add(r, &company, &user, db_int(result, row, 2), db_int(result, row, 3));
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
    for (int row = 0; row < db_rows(result); row++)
        news |= add_row(r, result, row);
    uuid_map_each(&r->users, drop_expired, r);
    if (news)
        r->on_news(r->gateway);
}

void revocations_read(struct revocations *r)
{
    char hold[DB_NUMBER_SIZE];
    const struct slice params[] = {db_number(hold_s(r), hold)};
    if (r->is_reading)
        return;
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

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool read_entity_of(const struct revocations *r, const struct event *event, struct uuid *user,
                           int64_t *before, int64_t *ends_at)
{
    int64_t created_at = 0, expires_at = 0;
    char why[160];
    json_t *json = NULL;
    struct slice text = {event->body.data + event->entity_at, event->body.len - (size_t)event->entity_at - 1};
    if (json_parse(text, JSON_DEPTH_MAX, &json, why) != ERR_OK)
        return false;
    const json_t *user_id = json_object_get(json, "user_id");
    bool is_whole = json_is_string(user_id) && uuid_parse(slice_of(json_string_value(user_id)), user) &&
                    read_time(json_object_get(json, "before"), before) &&
                    read_time(json_object_get(json, "expires_at"), &expires_at) &&
                    read_time(json_object_get(json, "created_at"), &created_at);
    *ends_at = later(expires_at, later(*before, created_at) + hold_s(r));
    json_decref(json);
    return is_whole;
}

void revocations_on_event(struct revocations *r, const struct event *event)
{
    struct uuid user;
    int64_t before = 0, ends_at = 0;
    if (!r || event->status != ERR_OK || event->entity_at <= 0 || !slice_is(event->type, REVOCATION_EVENT))
        return;
    if (!read_entity_of(r, event, &user, &before, &ends_at)) {
        log_warn("revocations.malformed");
        revocations_read(r);
        return;
    }
    if (add(r, &event->company, &user, before, ends_at))
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
