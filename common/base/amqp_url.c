#include "common/base/amqp_url.h"

#include <stdio.h>

#include "common/base/authority.h"
#include "common/base/hex.h"
#include "common/base/macros.h"

enum { DEFAULT_PORT = 5672, PORT_MAX = 65535, HEARTBEAT_MAX = 65535, TIMEOUT_MAX = 600000 };

struct reading {
    const char *all; /* what the places count from */
    char *out;       /* where the next decoded text goes, in url->text */
    struct amqp_url *url;
    char *why;
};

static bool fail(struct reading *r, const char *at, const char *reason)
{
    snprintf(r->why, 256, "character %zu: %s", (size_t)(at - r->all) + 1, reason);
    return false;
}

/* Decodes "%2f" and the like; *ret_text has a NUL behind it. */
static bool decode(struct reading *r, struct slice text, const char **ret_text)
{
    *ret_text = r->out;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_value(text.data[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_value(text.data[i + 2]) : -1;
            if (high < 0 || low < 0 || (high | low) == 0)
                return fail(r, text.data + i,
                            "% must be followed by two hexadecimal digits, and %00 is not allowed");
            c = (char)(high << 4 | low);
            i += 2;
        }
        *r->out++ = c;
    }
    *r->out++ = '\0';
    return true;
}

static bool read_number(struct slice text, long most, int *ret_number)
{
    long number = 0;
    for (size_t i = 0; i < text.len && number <= most; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (text.data[i] - '0');
    }
    *ret_number = (int)number;
    return text.len > 0 && number <= most;
}

/* ---- the query ---- */

static bool take_heartbeat(struct reading *r, struct slice value)
{
    return read_number(value, HEARTBEAT_MAX, &r->url->heartbeat_s) ||
           fail(r, value.data, "heartbeat must be a number of seconds from 0 to 65535");
}

static bool take_timeout(struct reading *r, struct slice value)
{
    return (read_number(value, TIMEOUT_MAX, &r->url->timeout_ms) && r->url->timeout_ms > 0) ||
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

/* What the clients of Erlang, Python (pika), Node (amqplib), Ruby (bunny), Java and .NET know. */
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
    {"cacertfile", refuse_tls},
    {"certfile", refuse_tls},
    {"keyfile", refuse_tls},
    {"verify", refuse_tls},
    {"fail_if_no_peer_cert", refuse_tls},
    {"server_name_indication", refuse_tls},
    {"ssl_options", refuse_tls},
};

static bool take_parameter(struct reading *r, struct slice pair)
{
    const char *equals = memchr(pair.data, '=', pair.len);
    size_t len = equals ? (size_t)(equals - pair.data) : pair.len;
    if (!equals)
        return fail(r, pair.data, "a parameter must have a value: name=value");
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        if (slice_is((struct slice){pair.data, len}, parameters[i].name))
            return parameters[i].take(r, (struct slice){equals + 1, pair.len - len - 1});
    return fail(r, pair.data,
                "there is no such parameter; heartbeat (seconds) and connection_timeout (milliseconds) have "
                "a meaning");
}

static bool read_query(struct reading *r, struct slice query)
{
    while (query.len > 0) {
        const char *end = memchr(query.data, '&', query.len);
        struct slice pair = {query.data, end ? (size_t)(end - query.data) : query.len};
        if (pair.len > 0 && !take_parameter(r, pair))
            return false;
        size_t used = pair.len + (end ? 1 : 0);
        query = (struct slice){query.data + used, query.len - used};
    }
    return true;
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
    bool is_literal = authority.len > 0 && authority.data[0] == '[';
    const char *colon = memrchr(authority.data, ':', authority.len);
    const char *close = is_literal ? memchr(authority.data, ']', authority.len) : NULL;
    if (is_literal && !close)
        return fail(r, authority.data, "[ is not closed by ]");
    if (close && colon < close)
        colon = NULL;
    size_t len = colon ? (size_t)(colon - authority.data) : authority.len;
    struct slice port = {colon ? colon + 1 : "", colon ? authority.len - len - 1 : 0};
    if (colon && (!read_number(port, PORT_MAX, &r->url->port) || r->url->port == 0))
        return fail(r, port.data, "the port must be a number from 1 to 65535");
    if (len == 0)
        return true; /* the default */
    if (!authority_is_valid((struct slice){authority.data, len}))
        return fail(r, authority.data, "the host is neither a name nor an address");
    struct slice host =
        is_literal ? (struct slice){authority.data + 1, len - 2} : (struct slice){authority.data, len};
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

static size_t until(struct slice text, const char *any)
{
    size_t len = 0;
    while (len < text.len && !strchr(any, text.data[len]))
        len++;
    return len;
}

static struct slice from(struct slice text, size_t at)
{
    return (struct slice){text.data + at, text.len - at};
}

static bool read_one(struct reading *r, struct slice text)
{
    static const struct slice scheme = {"amqp://", 7}, secure = {"amqps://", 8};
    if (text.len >= secure.len && strncasecmp(text.data, secure.data, secure.len) == 0)
        return fail(r, text.data, "amqps:// (TLS) is not supported");
    if (text.len < scheme.len || strncasecmp(text.data, scheme.data, scheme.len) != 0)
        return fail(r, text.data, "a URL must begin with amqp://");
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] <= ' ' || text.data[i] == '\x7f')
            return fail(r, text.data + i, "there is a blank or a control character");
    text = from(text, scheme.len);
    size_t hash = until(text, "#");
    if (hash < text.len)
        return fail(r, text.data + hash, "# must be written as %23");
    struct slice authority = {text.data, until(text, "/?")};
    struct slice path = from(text, authority.len);
    struct slice query = from(path, until(path, "?"));
    path.len -= query.len;
    const char *at = memrchr(authority.data, '@', authority.len);
    if (at && !read_user(r, (struct slice){authority.data, (size_t)(at - authority.data)}))
        return false;
    if (at)
        authority = from(authority, (size_t)(at - authority.data) + 1);
    return read_host(r, authority) && read_vhost(r, path) &&
           read_query(r, query.len > 0 ? from(query, 1) : query);
}

bool amqp_urls_parse(const char *text, struct amqp_url **ret_urls, size_t *ret_count, char why[256])
{
    struct amqp_url *urls = NULL;
    size_t count = 0;
    for (const char *at = text;; at++) {
        struct slice one = {at, strcspn(at, ",")};
        const char *end = at + one.len;
        while (one.len > 0 && one.data[0] == ' ')
            one = from(one, 1);
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
        if (!read_one(&(struct reading){.all = text, .out = url->text, .url = url, .why = why}, one)) {
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
