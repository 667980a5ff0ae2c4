#include "common/base/amqp_url.h"

#include "common/base/macros.h"
#include "common/base/url.h"

enum { DEFAULT_PORT = 5672, HEARTBEAT_MAX = 65535, TIMEOUT_MAX = 600000 };

struct reading {
    struct url_reading at;
    char *out; /* where the next decoded text goes, in url->text */
    struct amqp_url *url;
};

static bool fail(const struct reading *r, const char *at, const char *reason)
{
    return url_fail(&r->at, at, reason);
}

/* *ret_text has a NUL behind it. */
static bool decode(struct reading *r, struct slice text, const char **ret_text)
{
    *ret_text = r->out;
    r->out = url_decode(&r->at, text, r->out);
    return r->out;
}

/* ---- the query ---- */

static bool take_heartbeat(struct reading *r, struct slice value)
{
    return url_number(value, HEARTBEAT_MAX, &r->url->heartbeat_s) ||
           fail(r, value.data, "heartbeat must be a number of seconds from 0 to 65535");
}

static bool take_timeout(struct reading *r, struct slice value)
{
    return (url_number(value, TIMEOUT_MAX, &r->url->timeout_ms) && r->url->timeout_ms > 0) ||
           fail(r, value.data, "connection_timeout must be a number of milliseconds from 1 to 600000");
}

static bool take_mechanism(struct reading *r, struct slice value)
{
    return slice_equal_nocase(value, SLICE("plain")) ||
           fail(r, value.data, "the only auth_mechanism is plain");
}

/* They size or repeat what this client sizes and repeats by itself. */
static bool ignore(struct reading *r, struct slice value)
{
    (void)r, (void)value;
    return true;
}

static bool refuse_tls(struct reading *r, struct slice value)
{
    return fail(r, value.data, "TLS to RabbitMQ is not supported, so its parameters have no meaning");
}

/* What the clients of Erlang, Python (pika, aio-pika), Node (amqplib), Ruby (bunny), Java and .NET know. */
static const struct {
    const char *name;
    bool (*take)(struct reading *r, struct slice value);
} parameters[] = {
    {"heartbeat", take_heartbeat},
    {"connection_timeout", take_timeout},
    {"auth_mechanism", take_mechanism},
    {"channel_max", ignore},
    {"channelMax", ignore},
    {"frame_max", ignore},
    {"frameMax", ignore},
    {"locale", ignore},
    {"connection_attempts", ignore},
    {"retry_delay", ignore},
    {"socket_timeout", ignore},
    {"stack_timeout", ignore},
    {"blocked_connection_timeout", ignore},
    {"tcp_options", ignore},
    {"client_properties", ignore},
    {"name", ignore},
    {"timeout", ignore},
    {"reconnect_interval", ignore},
    {"fail_fast", ignore},
    {"cacertfile", refuse_tls},
    {"certfile", refuse_tls},
    {"keyfile", refuse_tls},
    {"verify", refuse_tls},
    {"fail_if_no_peer_cert", refuse_tls},
    {"server_name_indication", refuse_tls},
    {"depth", refuse_tls},
    {"password", refuse_tls},
    {"ssl_options", refuse_tls},
};

static bool take_parameter(void *arg, struct slice name, struct slice value)
{
    struct reading *r = arg;
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        if (slice_is(name, parameters[i].name))
            return parameters[i].take(r, value);
    return fail(r, name.data,
                "there is no such parameter; heartbeat (seconds) and connection_timeout (milliseconds) have "
                "a meaning");
}

/* ---- the rest ---- */

static bool read_user(struct reading *r, struct slice info)
{
    const char *colon = memchr(info.data, ':', info.len);
    size_t len = colon ? (size_t)(colon - info.data) : info.len;
    return decode(r, (struct slice){info.data, len}, &r->url->user) &&
           (!colon || decode(r, (struct slice){colon + 1, info.len - len - 1}, &r->url->password));
}

static bool read_host(struct reading *r, struct slice authority)
{
    struct slice host;
    int port;
    if (!url_host(&r->at, authority, &host, &port))
        return false;
    if (port > 0)
        r->url->port = port;
    if (host.len == 0)
        return true; /* the default */
    if (host.data[0] == '[')
        host = (struct slice){host.data + 1, host.len - 2};
    return decode(r, host, &r->url->host);
}

/* Everybody who writes "amqp://host/" means the virtual host "/". */
static bool read_vhost(struct reading *r, struct slice path)
{
    if (path.len <= 1)
        return true;
    const char *slash = memchr(path.data + 1, '/', path.len - 1);
    if (slash)
        return fail(r, slash, "a / in the virtual host must be written as %2F");
    return decode(r, (struct slice){path.data + 1, path.len - 1}, &r->url->vhost);
}

static bool read_one(struct reading *r, struct slice text)
{
    static const struct slice scheme = {"amqp://", 7}, secure = {"amqps://", 8};
    if (text.len >= secure.len && strncasecmp(text.data, secure.data, secure.len) == 0)
        return fail(r, text.data, "amqps:// (TLS) is not supported");
    if (text.len < scheme.len || strncasecmp(text.data, scheme.data, scheme.len) != 0)
        return fail(r, text.data, "a URL must begin with amqp://");
    if (!url_is_printable(&r->at, text))
        return false;
    text = url_from(text, scheme.len);
    size_t hash = url_until(text, "#");
    if (hash < text.len)
        return fail(r, text.data + hash, "# must be written as %23");
    struct slice authority = {text.data, url_until(text, "/?")};
    struct slice path = url_from(text, authority.len);
    struct slice query = url_from(path, url_until(path, "?"));
    path.len -= query.len;
    const char *at = memrchr(authority.data, '@', authority.len);
    if (at && !read_user(r, (struct slice){authority.data, (size_t)(at - authority.data)}))
        return false;
    if (at)
        authority = url_from(authority, (size_t)(at - authority.data) + 1);
    return read_host(r, authority) && read_vhost(r, path) &&
           url_query(&r->at, query.len > 0 ? url_from(query, 1) : query, take_parameter, r);
}

bool amqp_urls_parse(const char *text, struct amqp_url **ret_urls, size_t *ret_count, char why[256])
{
    struct amqp_url *urls = NULL;
    size_t count = 0;
    for (const char *at = text;; at++) {
        struct slice one = {at, strcspn(at, ",")};
        const char *end = at + one.len;
        while (one.len > 0 && one.data[0] == ' ')
            one = url_from(one, 1);
        while (one.len > 0 && one.data[one.len - 1] == ' ')
            one.len--;
        urls = xrealloc(urls, (count + 1) * sizeof(*urls));
        struct amqp_url *url = &urls[count++];
        *url = (struct amqp_url){.text = xmalloc(one.len + 8),
                                 .host = "127.0.0.1",
                                 .user = "guest",
                                 .password = "guest",
                                 .vhost = "/",
                                 .port = DEFAULT_PORT,
                                 .heartbeat_s = -1,
                                 .timeout_ms = -1};
        if (!read_one(&(struct reading){.at = {text, why}, .out = url->text, .url = url}, one)) {
            amqp_urls_free(urls, count);
            return false;
        }
        if (!*end)
            break;
        at = end;
    }
    *ret_urls = urls;
    *ret_count = count;
    return true;
}

void amqp_urls_free(struct amqp_url *urls, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(urls[i].text);
    free(urls);
}
