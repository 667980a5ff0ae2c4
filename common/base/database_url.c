#include "common/base/database_url.h"

#include "common/base/macros.h"
#include "common/base/url.h"

/* What libpq knows (its "Parameter Key Words"), up to version 18. */
static const char *const parameters[] = {
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "options",
    "passfile",
    "password",
    "port",
    "replication",
    "require_auth",
    "requirepeer",
    "service",
    "ssl",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslkeylogfile",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
};

/* Whether it decodes; libpq does it again. */
static bool is_encoded(const struct url_reading *r, struct slice text)
{
    CLEANUP_FREE char *scratch = xmalloc(text.len + 1);
    return url_decode(r, text, scratch);
}

static bool take_parameter(void *arg, struct slice name, struct slice value)
{
    const struct url_reading *r = arg;
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        if (slice_is(name, parameters[i]))
            return is_encoded(r, value);
    return url_fail(r, name.data, "PostgreSQL's client has no such parameter");
}

static bool read_hosts(const struct url_reading *r, struct slice hosts)
{
    for (;;) {
        struct slice one = {hosts.data, url_until(hosts, ",")}, host;
        int port;
        bool is_path = one.len > 3 && strncasecmp(one.data, "%2f", 3) == 0; /* a socket's folder */
        if (is_path ? !is_encoded(r, one) : !url_host(r, one, &host, &port))
            return false;
        if (one.len == hosts.len)
            return true;
        hosts = url_from(hosts, one.len + 1);
    }
}

static bool read_url(struct url_reading *r, struct slice text)
{
    if (!url_is_printable(r, text))
        return false;
    text = url_from(text, (size_t)(strstr(text.data, "://") - text.data) + 3);
    /* As libpq does: credentials end with the first @, unless there is a / before. */
    const char *at = memchr(text.data, '@', url_until(text, "/"));
    struct slice info = {text.data, at ? (size_t)(at - text.data) : 0};
    if (at)
        text = url_from(text, info.len + 1);
    struct slice hosts = {text.data, url_until(text, "/?")};
    struct slice path = url_from(text, hosts.len);
    struct slice query = url_from(path, url_until(path, "?"));
    path.len -= query.len;
    if (memchr(hosts.data, '@', hosts.len))
        return url_fail(r, at, "an @ in the user or the password must be written as %40");
    if (!is_encoded(r, info))
        return false;
    if (!read_hosts(r, hosts))
        return !at && memchr(path.data, '@', path.len)
                   ? url_fail(r, path.data, "a / in the user or the password must be written as %2F")
                   : false;
    return is_encoded(r, path) && url_query(r, query.len > 0 ? url_from(query, 1) : query, take_parameter, r);
}

bool database_url_check(const char *text, char why[256])
{
    struct url_reading r = {text, why};
    if (strncmp(text, "postgresql://", 13) == 0 || strncmp(text, "postgres://", 11) == 0)
        return read_url(&r, slice_of(text));
    return (strchr(text, '=') && !strstr(text, "://")) ||
           url_fail(&r, text, "a URL must begin with postgresql://");
}
