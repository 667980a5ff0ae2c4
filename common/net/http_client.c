#include "common/net/http_client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <openssl/ssl.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/net/dns.h"

enum {
    ADDRESSES_MAX = 8,
    WHY_SIZE = 256,
    HANDLES_KEPT = 64,
    RECEIVE_BUFFER = 4096,
    CONNECTION_AGE_S = 300,
};

struct http_client {
    struct ev_loop *loop;
    const struct http_client_options *options;
    CURLM *multi;
    ev_timer timer; /* curl wants to be called again */
    struct http_exchange *first;
    CURL *handles[HANDLES_KEPT]; /* at rest, for the next requests */
    size_t handle_count;
};

/* A socket that curl has asked us to watch. */
struct watch {
    ev_io io;
    struct http_client *client;
};

enum exchange_state { EXCHANGE_LOOKING_UP, EXCHANGE_EXCHANGING, EXCHANGE_DONE };

struct http_exchange {
    struct http_client *client;
    struct http_exchange *next, **at; /* of the client */
    enum exchange_state state;
    struct http_request request;
    http_on_done *on_done;
    void *arg;
    double begun_s; /* monotonic */
    ev_timer timer; /* LOOKING_UP: its limit; DONE: at once, since it is told from the loop */
    struct dns_question *question;
    char *url;
    struct http_url target;
    struct dns_address addresses[ADDRESSES_MAX];
    size_t address_count, address_at;
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    struct buf header, body;
    size_t received;
    bool has_header, is_in_answer;
    struct http_answer answer;
    char why[WHY_SIZE], curl_why[CURL_ERROR_SIZE];
};

static double left_s(const struct http_exchange *x)
{
    return x->begun_s + x->request.limit_s - clock_monotonic_s();
}

/* ---- the end ---- */

static void give_back(struct http_client *client, CURL *easy)
{
    curl_easy_reset(easy);
    if (client->handle_count < HANDLES_KEPT)
        client->handles[client->handle_count++] = easy;
    else
        curl_easy_cleanup(easy);
}

static void stop(struct http_exchange *x)
{
    dns_cancel(TAKE(x->question));
    ev_timer_stop(x->client->loop, &x->timer);
    if (x->easy) {
        curl_multi_remove_handle(x->client->multi, x->easy);
        give_back(x->client, TAKE(x->easy));
    }
}

static void release(struct http_exchange *x)
{
    stop(x);
    *x->at = x->next;
    if (x->next)
        x->next->at = x->at;
    curl_slist_free_all(x->headers);
    curl_slist_free_all(x->connect_to);
    buf_done(&x->header);
    buf_done(&x->body);
    free(x->url);
    free(x);
}

static void tell(struct http_exchange *x)
{
    x->answer.header = buf_slice(&x->header);
    x->answer.body = buf_slice(&x->body);
    x->answer.why = x->answer.outcome == HTTP_ANSWERED ? NULL : x->why;
    x->answer.took_s = clock_monotonic_s() - x->begun_s;
    x->on_done(x->arg, &x->answer);
    release(x);
}

/* The end, told in the next turn of the loop. */
static void end(struct http_exchange *x, enum http_outcome outcome, const char *before, const char *what)
{
    stop(x);
    x->state = EXCHANGE_DONE;
    x->answer.outcome = outcome;
    snprintf(x->why, sizeof(x->why), "%s%s", before, what);
    ev_timer_set(&x->timer, 0, 0);
    ev_timer_start(x->client->loop, &x->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct http_exchange *x = CONTAINER_OF(timer, struct http_exchange, timer);
    if (x->state == EXCHANGE_DONE)
        tell(x);
    else
        end(x, HTTP_TIMED_OUT, "", "looking up the host took too long");
}

/* ---- what comes in ---- */

static bool is_within(struct http_exchange *x, size_t len)
{
    x->received += len;
    return x->received <= x->request.answer_max;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct http_exchange *x = arg;
    size_t len = size * count;
    if (!is_within(x, len))
        return 0;
    if (x->has_header) /* trailers */
        return len;
    if (!x->is_in_answer || (len > 5 && memcmp(data, "HTTP/", 5) == 0)) {
        buf_clear(&x->header); /* what came before was an interim answer (1xx) */
        x->is_in_answer = true;
        return len;
    }
    if (len <= 2) {
        long status = 0;
        curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
        x->has_header = status >= 200;
        x->is_in_answer = x->has_header;
        return len;
    }
    return buf_append(&x->header, data, len) ? len : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct http_exchange *x = arg;
    size_t len = size * count, room = x->request.body_max - buf_len(&x->body);
    if (len > room)
        x->answer.is_cut = true;
    if (!buf_append(&x->body, data, len < room ? len : room) || !is_within(x, len))
        return 0;
    return len;
}

/* ---- the exchange ---- */

/* The address that curl is about to connect to, judged once more. */
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    (void)purpose;
    struct http_exchange *x = arg;
    struct ip_address address;
    const char *what = "no address of the Internet";
    if (ip_address_from_socket(&to->addr, &address))
        what = address_guard_refuses(x->client->options->guard, &address);
    if (!what)
        return socket(to->family, to->socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, to->protocol);
    x->answer.outcome = HTTP_REFUSED;
    snprintf(x->why, sizeof(x->why), "the host is %s", what);
    return CURL_SOCKET_BAD;
}

/* A connection that hangs holds no buffers. */
static CURLcode on_tls_context(CURL *easy, void *context, void *arg)
{
    (void)easy, (void)arg;
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return CURLE_OK;
}

/* "::ADDRESS:" connects to the address, whatever host and port the URL has; the port stays that of the URL. */
static void pin(struct http_exchange *x)
{
    char numeric[INET6_ADDRSTRLEN] = "", entry[INET6_ADDRSTRLEN + 8];
    const struct sockaddr_storage *socket = &x->addresses[x->address_at].socket;
    if (socket->ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)socket)->sin_addr, numeric, sizeof(numeric));
    else
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)socket)->sin6_addr, numeric, sizeof(numeric));
    snprintf(entry, sizeof(entry), socket->ss_family == AF_INET ? "::%s:" : "::[%s]:", numeric);
    curl_slist_free_all(x->connect_to);
    x->connect_to = curl_slist_append(NULL, entry);
    curl_easy_setopt(x->easy, CURLOPT_CONNECT_TO, x->connect_to);
}

static void set_request(struct http_exchange *x)
{
    CURL *easy = x->easy;
    curl_easy_setopt(easy, CURLOPT_URL, x->url);
    if (x->request.body.data) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->request.body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, x->request.body.data);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, x->request.method);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, x->headers);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, x->client->options->user_agent);
}

static void set_walls(struct http_exchange *x)
{
    CURL *easy = x->easy;
    const char *ca_file = x->client->options->ca_file;
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, x->target.is_plain ? "http" : "https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, x);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 1 + (long)(left_s(x) * 1000));
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, (long)CONNECTION_AGE_S);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
    if (ca_file && ca_file[0])
        curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    /* With a folder of certificates as well, each connection reads and holds all of them by itself. */
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    /* Over HTTP/2, 7.88 takes an answer that comes before the whole request was sent for an error. */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

static void exchange(struct http_exchange *x)
{
    struct http_client *client = x->client;
    x->easy = client->handle_count > 0 ? client->handles[--client->handle_count] : curl_easy_init();
    x->state = EXCHANGE_EXCHANGING;
    set_request(x);
    set_walls(x);
    pin(x);
    curl_easy_setopt(x->easy, CURLOPT_PRIVATE, x);
    curl_easy_setopt(x->easy, CURLOPT_ERRORBUFFER, x->curl_why);
    curl_easy_setopt(x->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(x->easy, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
    x->curl_why[0] = '\0';
    x->answer.outcome = HTTP_UNREACHED;
    curl_multi_add_handle(client->multi, x->easy);
}

static enum http_outcome outcome_of(const struct http_exchange *x, CURLcode code)
{
    if (x->answer.outcome == HTTP_REFUSED)
        return HTTP_REFUSED;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return HTTP_TIMED_OUT;
    if (x->has_header && (code == CURLE_OK || code == CURLE_WRITE_ERROR))
        return HTTP_ANSWERED;
    return x->answer.may_have_arrived ? HTTP_BROKEN : HTTP_UNREACHED;
}

static void explain(struct http_exchange *x, CURLcode code)
{
    if (x->answer.outcome == HTTP_REFUSED)
        return;
    if (x->received > x->request.answer_max)
        snprintf(x->why, sizeof(x->why), "the answer is larger than %zu octets", x->request.answer_max);
    else
        snprintf(x->why, sizeof(x->why), "%s", x->curl_why[0] ? x->curl_why : curl_easy_strerror(code));
}

static void on_exchanged(struct http_exchange *x, CURLcode code)
{
    long status = 0, sent = 0;
    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(x->easy, CURLINFO_REQUEST_SIZE, &sent);
    stop(x);
    if (code == CURLE_COULDNT_CONNECT && x->answer.outcome != HTTP_REFUSED &&
        x->address_at + 1 < x->address_count && left_s(x) > 0) {
        x->address_at++;
        exchange(x);
        return;
    }
    x->answer.status = x->has_header ? (int)status : 0;
    x->answer.may_have_arrived = sent > 0;
    x->answer.outcome = outcome_of(x, code);
    x->answer.is_cut |= code == CURLE_WRITE_ERROR;
    explain(x, code);
    x->state = EXCHANGE_DONE;
    tell(x);
}

/* ---- libcurl on libev ---- */

static void look_for_ends(struct http_client *client)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(client->multi, &left));) {
        struct http_exchange *x = NULL;
        CURLcode code = message->data.result; /* the message is gone with the handle */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&x);
        on_exchanged(x, code);
    }
}

static void on_socket_ready(struct ev_loop *loop, ev_io *io, int events)
{
    (void)loop;
    int running;
    struct http_client *client = CONTAINER_OF(io, struct watch, io)->client;
    curl_multi_socket_action(
        client->multi, io->fd,
        (events & EV_READ ? CURL_CSELECT_IN : 0) | (events & EV_WRITE ? CURL_CSELECT_OUT : 0), &running);
    look_for_ends(client);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)easy;
    struct http_client *client = arg;
    struct watch *watch = socket_arg;
    if (watch)
        ev_io_stop(client->loop, &watch->io);
    if (what == CURL_POLL_REMOVE) {
        free(watch);
        return 0;
    }
    if (!watch) {
        watch = xcalloc(1, sizeof(*watch));
        watch->client = client;
        ev_init(&watch->io, on_socket_ready);
        curl_multi_assign(client->multi, fd, watch);
    }
    ev_io_set(&watch->io, fd, (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
    ev_io_start(client->loop, &watch->io);
    return 0;
}

static void on_curl_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    int running;
    struct http_client *client = CONTAINER_OF(timer, struct http_client, timer);
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    look_for_ends(client);
}

static int on_timer_wanted(CURLM *multi, long ms, void *arg)
{
    (void)multi;
    struct http_client *client = arg;
    ev_timer_stop(client->loop, &client->timer);
    if (ms < 0)
        return 0;
    ev_timer_set(&client->timer, (double)ms / 1000, 0);
    ev_timer_start(client->loop, &client->timer);
    return 0;
}

/* ---- the beginning ---- */

/* Reads scheme and host. Numbers that old resolvers take for addresses of IPv4 (0x7f.1, 2130706433) come out of
 * curl's parser as such addresses. */
const char *http_url_read(const char *url, struct http_url *ret_url)
{
    const char *why = NULL;
    char *scheme = NULL, *name = NULL, *other = NULL;
    CURLU *parts = curl_url();
    size_t len = strlen(url);
    if (curl_url_set(parts, CURLUPART_URL, url, CURLU_DISALLOW_USER) != CURLUE_OK)
        why = "the URL cannot be read, or names a user";
    else if (curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
             curl_url_get(parts, CURLUPART_HOST, &name, 0) != CURLUE_OK)
        why = "the URL has no host";
    else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        why = "the URL is neither https nor http";
    else if (curl_url_get(parts, CURLUPART_ZONEID, &other, 0) == CURLUE_OK)
        why = "the URL names a zone of this machine";
    else if (strlen(name) >= sizeof(ret_url->host))
        why = "the host's name is too long";
    for (size_t i = 0; !why && i < len; i++)
        if ((unsigned char)url[i] <= ' ' || (unsigned char)url[i] >= 0x7f)
            why = "the URL has characters other than the printable ones of ASCII";
    if (!why) {
        size_t brackets = name[0] == '[' ? 1 : 0, name_len = strlen(name) - 2 * brackets;
        memcpy(ret_url->host, name + brackets, name_len);
        ret_url->host[name_len] = '\0';
        ret_url->is_plain = strcmp(scheme, "http") == 0;
    }
    curl_free(scheme);
    curl_free(name);
    curl_free(other);
    curl_url_cleanup(parts);
    return why;
}

const char *http_url_refuses(const char *url)
{
    struct http_url parts;
    return http_url_read(url, &parts);
}

/* What the address is, when it may not be reached in this way. */
static const char *refusal(const struct http_exchange *x, const struct dns_address *address)
{
    const struct address_guard *guard = x->client->options->guard;
    struct ip_address ip;
    if (!ip_address_from_socket((const struct sockaddr *)&address->socket, &ip))
        return "no address of the Internet";
    const char *what = address_guard_refuses(guard, &ip);
    return what || !x->target.is_plain || address_guard_allows_expressly(guard, &ip)
               ? what
               : "to be spoken to over TLS";
}

static void on_addresses(void *arg, const struct dns_address *addresses, size_t count, const char *why)
{
    struct http_exchange *x = arg;
    x->question = NULL;
    ev_timer_stop(x->client->loop, &x->timer);
    if (count == 0) {
        end(x, HTTP_NOT_FOUND, "looking up the host: ", why);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *what = refusal(x, &addresses[i]);
        if (what) {
            end(x, HTTP_REFUSED, "the host is ", what);
            return;
        }
    }
    x->address_count = count < ADDRESSES_MAX ? count : ADDRESSES_MAX;
    memcpy(x->addresses, addresses, x->address_count * sizeof(*addresses));
    exchange(x);
}

/* Copies the lines; a line that would become two is none. */
static bool take_headers(struct http_exchange *x, const char *const *lines)
{
    x->headers = curl_slist_append(NULL, "Expect:");
    for (; lines && *lines; lines++) {
        if (strpbrk(*lines, "\r\n") || !strchr(*lines, ':'))
            return false;
        x->headers = curl_slist_append(x->headers, *lines);
    }
    return true;
}

struct http_exchange *http_client_send(struct http_client *client, const struct http_request *request,
                                       http_on_done *on_done, void *arg)
{
    struct http_exchange *x = xcalloc(1, sizeof(*x));
    x->client = client;
    x->request = *request;
    x->on_done = on_done;
    x->arg = arg;
    x->begun_s = clock_monotonic_s();
    x->url = xstrdup(request->url);
    buf_init(&x->header, request->answer_max);
    buf_init(&x->body, request->body_max);
    ev_timer_init(&x->timer, on_timer, request->limit_s, 0);
    x->at = &client->first;
    x->next = client->first;
    if (x->next)
        x->next->at = &x->next;
    client->first = x;

    const char *why = http_url_read(x->url, &x->target);
    if (!why && !take_headers(x, request->headers))
        why = "a header line cannot be sent";
    if (why) {
        end(x, HTTP_REFUSED, "", why);
        return x;
    }
    const struct dns_options options = {.servers = client->options->dns_servers, .is_absolute = true};
    ev_timer_start(client->loop, &x->timer);
    x->question = dns_ask(client->loop, &options, x->target.host, on_addresses, x);
    return x;
}

void http_exchange_cancel(struct http_exchange *x)
{
    if (x)
        release(x);
}

struct http_client *http_client_new(struct ev_loop *loop, const struct http_client_options *options)
{
    struct http_client *client = xcalloc(1, sizeof(*client));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    client->loop = loop;
    client->options = options;
    client->multi = curl_multi_init();
    ev_init(&client->timer, on_curl_timer);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, options->idle_connections_max);
    return client;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    while (client->first)
        release(client->first);
    while (client->handle_count > 0)
        curl_easy_cleanup(client->handles[--client->handle_count]);
    curl_multi_cleanup(client->multi);
    ev_timer_stop(client->loop, &client->timer);
    free(client);
    curl_global_cleanup();
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

struct slice http_answer_header(const struct http_answer *answer, const char *name)
{
    struct slice left = answer->header;
    size_t name_len = strlen(name);
    while (left.len > 0) {
        const char *newline = memchr(left.data, '\n', left.len);
        size_t len = newline ? (size_t)(newline - left.data) : left.len;
        struct slice line = {left.data, len};
        left.data += len + (newline ? 1 : 0);
        left.len -= len + (newline ? 1 : 0);
        if (line.len <= name_len || line.data[name_len] != ':' || strncasecmp(line.data, name, name_len) != 0)
            continue;
        line = (struct slice){line.data + name_len + 1, line.len - name_len - 1};
        while (line.len > 0 && is_space(line.data[0]))
            line.data++, line.len--;
        while (line.len > 0 && is_space(line.data[line.len - 1]))
            line.len--;
        return line;
    }
    return SLICE_NONE;
}
