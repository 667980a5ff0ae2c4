#include "common/db/private.h"

#include "common/base/clock.h"

#include <arpa/inet.h>
#include <stdio.h>

static const double CONNECT_S = 5; /* for one step with one address, when the URL has no connect_timeout */
static const double BACKOFF_MIN_S = 0.1;
static const double BACKOFF_MAX_S = 5;
static const double LASTED_S = 10; /* a connection that lived this long resets the back-off */
static const double AT_ONCE_S = 1e-6;

enum { PARAMETERS_MAX = 96 };

static const char *parameter(const struct db_target *target, const char *keyword)
{
    for (const PQconninfoOption *o = target->parameters; o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0)
            return o->val && *o->val ? o->val : NULL;
    return NULL;
}

/* Returns item n of a list with commas; NULL for an empty one, such as the second of "a,,c". With `repeats`,
 * the item of a list of one serves every n. */
static char *list_item(const char *list, size_t n, bool repeats)
{
    if (!list)
        return NULL;
    if (repeats && !strchr(list, ','))
        n = 0;
    for (; n > 0; n--) {
        list = strchr(list, ',');
        if (!list)
            return NULL;
        list++;
    }
    size_t len = strcspn(list, ",");
    return len > 0 ? strndup(list, len) : NULL;
}

static size_t list_length(const char *list)
{
    size_t length = 1;
    for (; list && *list; list++)
        length += *list == ',';
    return length;
}

enum err db_target_init(struct db *db, const char *url)
{
    struct db_target *t = &db->target;
    t->parameters = *url ? PQconninfoParse(url, NULL) : NULL;
    if (!t->parameters)
        return ERR_BAD_REQUEST;
    const char *host = parameter(t, "host"), *hostaddr = parameter(t, "hostaddr");
    const char *port = parameter(t, "port"), *attrs = parameter(t, "target_session_attrs");
    t->session_attrs = xstrdup(attrs ? attrs : db->read_only ? "any" : "read-write");
    t->host_count = list_length(host ? host : hostaddr);
    t->hosts = xcalloc(t->host_count, sizeof(*t->hosts));
    for (size_t i = 0; i < t->host_count; i++)
        t->hosts[i] = (struct db_host){.host = list_item(host, i, false),
                                       .hostaddr = list_item(hostaddr, i, false),
                                       .port = list_item(port, i, true)};
    return ERR_OK;
}

static void forget_addresses(struct db_target *t)
{
    free(t->addresses);
    t->addresses = NULL;
    t->address_count = t->address_at = 0;
}

void db_target_done(struct db *db)
{
    struct db_target *t = &db->target;
    for (size_t i = 0; i < t->host_count; i++) {
        free(t->hosts[i].host);
        free(t->hosts[i].hostaddr);
        free(t->hosts[i].port);
    }
    free(t->hosts);
    forget_addresses(t);
    free(t->session_attrs);
    PQconninfoFree(t->parameters);
}

static double step_limit(const struct db_target *t)
{
    const char *seconds = parameter(t, "connect_timeout");
    double limit = seconds ? strtod(seconds, NULL) : 0;
    return limit > 0 ? limit : CONNECT_S;
}

/* prefer-standby means: first a round over all hosts that takes only a standby, then one that takes any
 * server. */
static const char *session_attrs(const struct db_target *t)
{
    if (strcmp(t->session_attrs, "prefer-standby") != 0)
        return t->session_attrs;
    return t->second_choice ? "any" : "standby";
}

struct parameters {
    const char *keywords[PARAMETERS_MAX + 1], *values[PARAMETERS_MAX + 1];
    size_t count;
};

static void set(struct parameters *p, const char *keyword, const char *value)
{
    if (!value || p->count == PARAMETERS_MAX)
        return;
    p->keywords[p->count] = keyword;
    p->values[p->count++] = value;
}

/* A later parameter wins over an earlier one. */
static void connection_parameters(const struct db *db, struct parameters *p)
{
    static const char *const defaults[][2] = {
        {"gssencmode", "disable"}, /* it may use the network, and so wait, while it connects */
        {"keepalives_idle", "15"}, {"keepalives_interval", "5"},
        {"keepalives_count", "3"}, {"tcp_user_timeout", "20000"},
    };
    const struct db_target *t = &db->target;
    const struct db_host *host = &t->hosts[t->host_at];
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
        set(p, defaults[i][0], defaults[i][1]);
    set(p, "application_name", db->application_name);
    static const char *const ours[] = {"host", "hostaddr", "port", "connect_timeout", "target_session_attrs"};
    for (const PQconninfoOption *o = t->parameters; o->keyword; o++) {
        bool is_ours = false;
        for (size_t i = 0; i < ARRAY_LEN(ours); i++)
            is_ours |= strcmp(o->keyword, ours[i]) == 0;
        if (!is_ours)
            set(p, o->keyword, o->val);
    }
    set(p, "host", host->host);
    set(p, "hostaddr", t->addresses ? t->addresses[t->address_at] : host->hostaddr);
    set(p, "port", host->port);
    set(p, "target_session_attrs", session_attrs(t));
    set(p, "client_encoding", "UTF8");
}

static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

static void connect_start(struct db *db)
{
    struct parameters p = {.count = 0};
    connection_parameters(db, &p);
    db_set_state(db, DB_CONNECTING, step_limit(&db->target));
    db->conn = PQconnectStartParams(p.keywords, p.values, 0);
    if (!db->conn || PQstatus(db->conn) == CONNECTION_BAD) {
        db_down(db, db->conn ? PQerrorMessage(db->conn) : "out of memory");
        return;
    }
    PQsetNoticeReceiver(db->conn, ignore_notice, NULL);
    db_watch(db, EV_WRITE);
}

static void on_resolved(void *arg, const struct addrinfo *addresses, const char *why)
{
    struct db *db = arg;
    struct db_target *t = &db->target;
    t->resolve = NULL;
    size_t count = 0;
    for (const struct addrinfo *a = addresses; a; a = a->ai_next)
        count++;
    forget_addresses(t);
    t->addresses = xcalloc(count + 1, sizeof(*t->addresses));
    for (const struct addrinfo *a = addresses; a; a = a->ai_next)
        if (getnameinfo(a->ai_addr, a->ai_addrlen, t->addresses[t->address_count], sizeof(*t->addresses),
                        NULL, 0, NI_NUMERICHOST) == 0)
            t->address_count++;
    if (t->address_count > 0)
        connect_start(db);
    else
        db_down(db, why ? why : "the host name has no address");
}

static bool must_be_resolved(const struct db_host *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return host->host && !host->hostaddr && host->host[0] != '/' && host->host[0] != '@' &&
           inet_pton(AF_INET, host->host, address) != 1 && inet_pton(AF_INET6, host->host, address) != 1;
}

void db_connect_now(struct db *db)
{
    struct db_target *t = &db->target;
    if (t->addresses || !must_be_resolved(&t->hosts[t->host_at])) {
        connect_start(db);
        return;
    }
    db_set_state(db, DB_RESOLVING, step_limit(t));
    t->resolve = resolve_start(db->loop, t->hosts[t->host_at].host, on_resolved, db);
    if (!t->resolve)
        db_down(db, "no thread could be started to resolve the host name");
}

static double backoff(unsigned rounds)
{
    double base = BACKOFF_MIN_S;
    for (; rounds > 0 && base < BACKOFF_MAX_S; rounds--)
        base *= 2;
    if (base > BACKOFF_MAX_S)
        base = BACKOFF_MAX_S;
    return base * (0.5 + (double)arc4random_uniform(1000) / 2000);
}

/* Plans the next attempt. why NULL: a connection broke that had been up. */
void db_connect_failed(struct db *db, const char *why)
{
    struct db_target *t = &db->target;
    if (why && ++t->address_at < t->address_count) {
        db_set_state(db, DB_DOWN, AT_ONCE_S);
        return;
    }
    forget_addresses(t);
    if (why && ++t->host_at < t->host_count) {
        db_set_state(db, DB_DOWN, AT_ONCE_S);
        return;
    }
    t->host_at = 0;
    t->second_choice = why && !t->second_choice;
    if (!why && clock_monotonic_s() - db->up_since > LASTED_S)
        t->rounds_failed = 0;
    db_set_state(db, DB_DOWN, backoff(t->rounds_failed));
    t->rounds_failed++;
    if (why && db->callbacks.on_down)
        db->callbacks.on_down(db->ctx, db, why);
}

/* Settings of the session; NULL leaves those of the server.
 *
 * Prepared statements keep one generic plan, because planning each time costs several times what a look-up by
 * key does. Such a plan may be made when a table is empty and used when it has millions of rows, so it must
 * not depend on statistics. All our statements go by a key or by the index of a company, and the settings
 * leave the planner no other choice where there is an index. */
static const char settings_sql[] =
    "SELECT set_config('role', $1, false), set_config('TimeZone', 'UTC', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false), set_config('jit', 'off', false),"
    " set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),"
    " set_config('enable_mergejoin', 'off', false),"
    /* A client that has vanished must not keep its locks for two hours. */
    " set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),"
    " set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '20000', false),"
    /* Nor may one that stopped between two statements (PostgreSQL 17 and later have this setting). */
    " CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL"
    "      THEN set_config('transaction_timeout', '60s', false) END,"
    " set_config('statement_timeout', coalesce($2, current_setting('statement_timeout')), false),"
    " set_config('default_transaction_read_only',"
    "            coalesce($3, current_setting('default_transaction_read_only')), false)";

static bool set_up_start(struct db *db)
{
    char timeout[24];
    snprintf(timeout, sizeof(timeout), "%lld", (long long)db->statement_timeout_ms);
    const char *values[] = {*db->role ? db->role : "none", db->statement_timeout_ms > 0 ? timeout : NULL,
                            db->read_only ? "on" : NULL};
    db_set_state(db, DB_SETTING_UP, step_limit(&db->target));
    return PQsetnonblocking(db->conn, 1) == 0 &&
           PQsendQueryParams(db->conn, settings_sql, ARRAY_LEN(values), NULL, values, NULL, NULL, 0) &&
           PQflush(db->conn) >= 0;
}

static void set_up_event(struct db *db)
{
    if (PQflush(db->conn) < 0 || !PQconsumeInput(db->conn)) {
        db_down(db, PQerrorMessage(db->conn));
        return;
    }
    while (!PQisBusy(db->conn)) {
        PGresult *result = PQgetResult(db->conn);
        bool is_end = result == NULL, is_good = PQresultStatus(result) == PGRES_TUPLES_OK;
        PQclear(result);
        if (is_end && PQenterPipelineMode(db->conn)) {
            db_up(db);
            return;
        }
        if (!is_good) {
            db_down(db, PQerrorMessage(db->conn));
            return;
        }
    }
}

static void connecting_event(struct db *db)
{
    /* PQconnectPoll may close the socket and open another one with the same number; libev must not miss
     * that. */
    ev_io_stop(db->loop, &db->io);
    switch (PQconnectPoll(db->conn)) {
    case PGRES_POLLING_READING:
        db_watch(db, EV_READ);
        break;
    case PGRES_POLLING_WRITING:
        db_watch(db, EV_WRITE);
        break;
    case PGRES_POLLING_OK:
        if (set_up_start(db))
            db_watch(db, EV_READ);
        else
            db_down(db, PQerrorMessage(db->conn));
        break;
    default:
        db_down(db, PQerrorMessage(db->conn));
        break;
    }
}

void db_connect_event(struct db *db)
{
    if (db->state == DB_CONNECTING)
        connecting_event(db);
    else
        set_up_event(db);
}
