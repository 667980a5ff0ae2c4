#include "common/db/private.h"

#include "common/base/clock.h"

#include <arpa/inet.h>
#include <netdb.h>
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
    /* libpq would also refuse a primary whose database or login is read-only by default, which the session
     * does not keep: whether a primary takes writes, settings_sql says. */
    if (!attrs ? db->primary : strcmp(attrs, "read-write") == 0)
        attrs = "primary";
    t->session_attrs = xstrdup(attrs ? attrs : "any");
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
    char options[1024];
};

static void set(struct parameters *p, const char *keyword, const char *value)
{
    if (!value || p->count == PARAMETERS_MAX)
        return;
    p->keywords[p->count] = keyword;
    p->values[p->count++] = value;
}

/* Limits that an owner has set so short that they end a session before it could set its own (session.def).
 * They travel with the request for a connection, after one that failed like that. Not always: a pooler may
 * refuse a request with options (PgBouncer does, unless its ignore_startup_parameters names them). */
static void set_options(const struct db_target *t, struct parameters *p)
{
    const char *given = parameter(t, "options");
    if (!t->is_cut_short)
        return;
    snprintf(p->options, sizeof(p->options),
             "%s -c statement_timeout=0 -c idle_session_timeout=0 -c exit_on_error=off%s", given ? given : "",
             t->server_version >= 170000 ? " -c transaction_timeout=0" : "");
    set(p, "options", p->options);
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
    set_options(t, p);
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

static void on_addresses(void *arg, const struct dns_address *addresses, size_t count, const char *why)
{
    struct db *db = arg;
    struct db_target *t = &db->target;
    t->question = NULL;
    forget_addresses(t);
    t->addresses = xcalloc(count + 1, sizeof(*t->addresses));
    for (size_t i = 0; i < count; i++)
        if (getnameinfo((const struct sockaddr *)&addresses[i].socket, addresses[i].size,
                        t->addresses[t->address_count], sizeof(*t->addresses), NULL, 0, NI_NUMERICHOST) == 0)
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
    t->question = dns_ask(db->loop, &(struct dns_options){.servers = NULL}, t->hosts[t->host_at].host,
                          on_addresses, db);
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

/* The settings of the session: those of this connection, those of session.def, and those of the planner.
 *
 * Prepared statements keep one generic plan, because planning each time costs several times what a look-up by
 * key does. Such a plan may be made when a table is empty and used when it has millions of rows, so it must
 * not depend on statistics. All our statements go by a key or by the index of a company, and the settings
 * leave the planner no other choice where there is an index.
 *
 * The first column says why the session must not be used. That a server takes no writes is its operator's
 * will when it comes from the server's configuration; when it comes from the database or from the login, the
 * session of a writer does not keep it. Names are qualified, because search_path is not ours yet. */
#define DB_SESSION(name, value) ",('" name "', '" value "')"
static const char settings_sql[] =
    "WITH verdict AS MATERIALIZED (SELECT CASE"
    " WHEN pg_catalog.current_setting('session_replication_role') OPERATOR(pg_catalog.=) 'replica'"
    " THEN 'session_replication_role is replica: triggers would not run'"
    " WHEN $3 OPERATOR(pg_catalog.=) 'off'"
    " AND pg_catalog.current_setting('default_transaction_read_only') OPERATOR(pg_catalog.=) 'on'"
    " AND (SELECT source FROM pg_catalog.pg_settings"
    " WHERE name OPERATOR(pg_catalog.=) 'default_transaction_read_only')"
    " NOT IN ('global', 'database', 'user', 'database user')"
    " THEN 'the server takes no writes (default_transaction_read_only)' END AS why)"
    " SELECT verdict.why, pg_catalog.set_config(setting.name, setting.value, false)"
    " FROM verdict CROSS JOIN (VALUES"
    " ('role', $1::pg_catalog.text),"
    " ('statement_timeout', $2),"
    " ('default_transaction_read_only', $3),"
    " ('plan_cache_mode', 'force_generic_plan'), ('jit', 'off'),"
    " ('enable_seqscan', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'),"
    " ('enable_nestloop', 'on'), ('enable_indexscan', 'on'), ('enable_indexonlyscan', 'on'),"
    " ('enable_bitmapscan', 'on'),"
    /* A commit that has been answered must outlast a crash of the server. */
    " ('synchronous_commit', CASE"
    " WHEN pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off' THEN 'on' END),"
    /* A client that has vanished must not keep its locks for two hours. */
    " ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '3'),"
    " ('tcp_user_timeout', '20000'),"
    /* Nor may one that stopped between two statements (PostgreSQL 17 and later have this setting). */
    " ('transaction_timeout', '60s')"
#include "common/db/session.def"
    ") AS setting (name, value)"
    " WHERE setting.value IS NOT NULL AND pg_catalog.current_setting(setting.name, true) IS NOT NULL";
#undef DB_SESSION

static bool set_up_start(struct db *db)
{
    char timeout[24];
    snprintf(timeout, sizeof(timeout), "%lld", (long long)db->statement_timeout_ms);
    const char *values[] = {*db->role ? db->role : "none", db->statement_timeout_ms > 0 ? timeout : NULL,
                            db->read_only ? "on" : "off"};
    db_set_state(db, DB_SETTING_UP, step_limit(&db->target));
    return PQsetnonblocking(db->conn, 1) == 0 &&
           PQsendQueryParams(db->conn, settings_sql, ARRAY_LEN(values), NULL, values, NULL, NULL, 0) &&
           PQflush(db->conn) >= 0;
}

static void set_up_failed(struct db *db, const char *why)
{
    db->target.is_cut_short = true;
    db_down(db, why);
}

/* Returns why the session must not be used; NULL: it may. */
static const char *verdict(const PGresult *result)
{
    bool has_one = result && PQntuples(result) > 0 && !PQgetisnull(result, 0, 0);
    return has_one ? PQgetvalue(result, 0, 0) : NULL;
}

static void set_up_event(struct db *db)
{
    if (PQflush(db->conn) < 0 || !PQconsumeInput(db->conn)) {
        set_up_failed(db, PQerrorMessage(db->conn));
        return;
    }
    while (!PQisBusy(db->conn)) {
        PGresult *result = PQgetResult(db->conn);
        bool is_end = result == NULL, is_good = PQresultStatus(result) == PGRES_TUPLES_OK;
        const char *why = is_good ? verdict(result) : NULL;
        if (why)
            db_down(db, why);
        else if (is_end && PQenterPipelineMode(db->conn))
            db_up(db);
        else if (!is_good)
            set_up_failed(db, PQerrorMessage(db->conn));
        PQclear(result);
        if (db->state != DB_SETTING_UP)
            return;
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
        db->target.server_version = PQserverVersion(db->conn);
        if (set_up_start(db))
            db_watch(db, EV_READ);
        else
            set_up_failed(db, PQerrorMessage(db->conn));
        break;
    default:
        db->target.is_cut_short = false;
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
