#include "tests/bench/audience.h"

#include <err.h>
#include <time.h>

#include "common/base/clock.h"

enum { TEXT_MAX = 8192, TOKEN_MAX = 1024, TOKEN_TTL_S = 3600, PATIENCE_S = 60 };

static const struct uuid *company_of(const struct audience *a, const struct listener *l)
{
    return &a->options->companies[l->channel];
}

/* ---- what a listener says ---- */

/* Of a user of its own, so that no server can remember what another has shown. */
static void append_token(struct audience *a, const struct listener *l)
{
    struct identity identity = {.user = uuid_v7(),
                                .company = *company_of(a, l),
                                .role = "company_admin",
                                .expires_at = time(NULL) + TOKEN_TTL_S};
    char token[TOKEN_MAX];
    if (token_sign(a->keys, &identity, token, sizeof(token)))
        errx(1, "cannot sign tokens");
    buf_append_text(&a->text, token);
}

static void append_company(struct audience *a, const struct listener *l)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(company_of(a, l), id);
    buf_append_text(&a->text, id);
}

static const struct {
    const char *name;
    void (*append)(struct audience *a, const struct listener *l);
} places[] = {{"{company}", append_company}, {"{token}", append_token}};

static void append_filled_in(struct audience *a, const struct listener *l, const char *text)
{
    while (*text) {
        size_t plain = strcspn(text, "{");
        buf_append(&a->text, text, plain);
        text += plain;
        for (size_t i = 0; *text && i < ARRAY_LEN(places); i++)
            if (strncmp(text, places[i].name, strlen(places[i].name)) == 0) {
                places[i].append(a, l);
                text += strlen(places[i].name);
                break;
            }
    }
}

static struct slice request(void *ctx, struct listener *l)
{
    struct audience *a = ctx;
    buf_clear(&a->text);
    buf_append_text(&a->text, "GET ");
    append_filled_in(a, l, a->options->path);
    buf_printf(&a->text,
               " HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
               a->options->host);
    return buf_slice(&a->text);
}

static struct slice join(void *ctx, struct listener *l)
{
    struct audience *a = ctx;
    if (!a->options->centrifuge)
        return SLICE_NONE;
    buf_clear(&a->text);
    buf_append_text(&a->text, "{\"id\":1,\"connect\":{\"token\":\"");
    append_token(a, l);
    buf_append_text(&a->text, "\"}}\n{\"id\":2,\"subscribe\":{\"channel\":\"company:");
    append_company(a, l);
    buf_append_text(&a->text, "\"}}");
    return buf_slice(&a->text);
}

/* ---- what it hears ---- */

static void start_next(struct audience *a)
{
    struct listener *l = &a->listeners[a->started];
    l->loop = a->loop;
    l->channel = (uint32_t)(a->started % a->options->company_count);
    listener_start(l, a->address, a->address_len, (unsigned)a->started);
    a->started++;
}

static void on_listening(void *ctx, struct listener *l)
{
    struct audience *a = ctx;
    histogram_record(&a->handshakes, clock_monotonic_us() - l->started_us);
    a->listening++;
    if (a->started < (uint64_t)a->options->listeners)
        start_next(a);
    else if (a->listening == (uint64_t)a->options->listeners)
        ev_break(a->loop, EVBREAK_ALL);
}

static bool is_stalled(const struct audience *a, const struct listener *l)
{
    return l - a->listeners < a->options->stalled;
}

static void on_event(void *ctx, struct listener *l, uint64_t seq, int64_t due_us)
{
    struct audience *a = ctx;
    bool seen = seq <= l->seen, skipped = seq > l->seen + 1;
    l->seen = seen ? l->seen : seq;
    if (seen && !a->options->unordered) {
        a->repeated++;
        return;
    }
    if (is_stalled(a, l)) {
        a->stalled_events++;
        return;
    }
    a->gaps += skipped && !a->options->unordered;
    a->delivered++;
    int64_t now = clock_monotonic_us();
    if (due_us >= a->begin_us && due_us < a->end_us)
        histogram_record(&a->ages, now - due_us);
    a->in_time += now >= a->begin_us && now < a->end_us;
}

static void on_gone(void *ctx, struct listener *l, int code)
{
    struct audience *a = ctx;
    if (a->listening < (uint64_t)a->options->listeners)
        errx(1, "a listener was turned away, or its connection broke, after %llu had connected (code %d)",
             (unsigned long long)a->listening, code);
    (void)l;
    a->gone++;
    a->codes[code >= 0 && code < AUDIENCE_CODES ? code : 0]++;
}

/* ---- all of them ---- */

static void give_up(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)timer, (void)revents;
    errx(1, "not every listener could connect in %d seconds", PATIENCE_S);
}

void audience_connect(struct audience *a)
{
    static const struct listener_callbacks callbacks = {request, join, on_listening, on_event, on_gone};
    a->listeners = xcalloc((size_t)a->options->listeners, sizeof(*a->listeners));
    for (int64_t i = 0; i < a->options->listeners; i++) {
        a->listeners[i].callbacks = &callbacks;
        a->listeners[i].ctx = a;
    }
    buf_init(&a->text, TEXT_MAX);
    ev_timer patience;
    ev_timer_init(&patience, give_up, PATIENCE_S, 0);
    ev_timer_start(a->loop, &patience);
    int64_t begin_us = clock_monotonic_us();
    while (a->started < (uint64_t)a->options->listeners && a->started < (uint64_t)a->options->at_once)
        start_next(a);
    ev_run(a->loop, 0);
    a->connect_us = clock_monotonic_us() - begin_us;
    ev_timer_stop(a->loop, &patience);
}

void audience_stall(struct audience *a, bool stalled)
{
    for (int64_t i = 0; i < a->options->stalled; i++)
        listener_stall(&a->listeners[i], stalled);
}

void audience_done(struct audience *a)
{
    for (int64_t i = 0; i < a->options->listeners; i++)
        listener_done(&a->listeners[i]);
    free(a->listeners);
    buf_done(&a->text);
}
