#pragma once
/* A gateway without a network: a loop, a client at the other end of a socketpair, and answers taken apart. Broker and
 * database are addresses where nobody listens, unless a test sets them before rig_new. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "gateway/auth/revocations.h"
#include "gateway/bus/commands.h"
#include "gateway/bus/events.h"
#include "gateway/net/server.h"
#include "gateway/wiring.h"

#define NOBODY_AMQP     "amqp://guest:guest@127.0.0.1:1/"
#define NOBODY_DATABASE "postgresql://nobody@127.0.0.1:1/nobody"

enum { PATIENCE_S = 30, REPLY_MAX = 16 << 20 };

struct rig {
    struct config config;
    struct gateway gateway;
    ev_timer ticker; /* so that a turn of the loop never sleeps long */
    char token[1024];
};

/* The client's end, and all that it has read. */
struct client {
    int fd;
    struct buf read;
    bool ended;
};

struct reply {
    int status;
    struct slice head; /* with its empty line */
    struct slice body;
};

static inline void on_ticker(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
}

static inline void write_secret(void)
{
    static const char secret[] = "a secret that is used in tests only, long enough";
    char path[] = "/tmp/cortex-test-secret-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, secret, sizeof(secret) - 1), (ssize_t)sizeof(secret) - 1);
    close(fd);
    setenv("CORTEX_AUTH_HS256_FILE", path, 1);
}

static inline struct identity test_identity(const char *role)
{
    struct identity identity = {.expires_at = clock_wall_ms() / 1000 + 3600};
    assert_true(uuid_parse(SLICE("00000000-0000-7000-8000-00000000000a"), &identity.user));
    assert_true(uuid_parse(SLICE("00000000-0000-7000-8000-00000000000c"), &identity.company));
    snprintf(identity.role, sizeof(identity.role), "%s", role);
    return identity;
}

static inline void load_settings(struct rig *rig)
{
    char why[256] = "";
    write_secret();
    setenv("CORTEX_AUTH_EDDSA_FILE", "", 1);
    setenv("CORTEX_CORS_ORIGINS", "https://app.example https://other.example", 1);
    assert_int_equal(config_load(&rig->config, why), ERR_OK);
    rig->gateway.config = &rig->config;
    assert_int_equal(token_keys_load(&rig->config, &rig->gateway.keys, why), ERR_OK);
    unlink(rig->config.auth_hs256_file);
}

static inline struct rig *rig_new_with(const char *amqp_url, const char *database_url)
{
    struct rig *rig = xcalloc(1, sizeof(*rig));
    log_init("test", LOG_ERROR);
    setenv("CORTEX_AMQP_URL", amqp_url, 1);
    setenv("CORTEX_DATABASE_URL", database_url, 1);
    setenv("CORTEX_READ_DATABASE_URL", "", 1);
    load_settings(rig);
    rig->gateway.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    const struct identity identity = test_identity("company_admin");
    assert_int_equal(token_sign(rig->gateway.keys, &identity, rig->token, sizeof(rig->token)), ERR_OK);
    assert_int_equal(gateway_open(&rig->gateway, -1), ERR_OK);
    ev_timer_init(&rig->ticker, on_ticker, 0.002, 0.002);
    ev_timer_start(rig->gateway.loop, &rig->ticker);
    return rig;
}

static inline struct rig *rig_new(void)
{
    struct rig *rig = rig_new_with(NOBODY_AMQP, NOBODY_DATABASE);
    revocations_assume_none(rig->gateway.revocations);
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    struct gateway *gateway = &rig->gateway;
    ev_timer_stop(gateway->loop, &rig->ticker);
    gateway_close(gateway);
    token_keys_free(gateway->keys);
    ev_loop_destroy(gateway->loop);
    config_done(&rig->config);
    free(rig);
}

static inline void turn(struct rig *rig)
{
    ev_run(rig->gateway.loop, EVRUN_ONCE);
}

#define eventually(rig, condition)                                             \
    do {                                                                       \
        int64_t limit_ = clock_monotonic_us() + PATIENCE_S * INT64_C(1000000); \
        while (!(condition)) {                                                 \
            if (clock_monotonic_us() > limit_)                                 \
                fail_msg("never became true: %s", #condition);                 \
            turn(rig);                                                         \
        }                                                                      \
    } while (0)

/* ---- the client ---- */

static inline struct client client_of(int fd)
{
    struct client client = {.fd = fd};
    buf_init(&client.read, REPLY_MAX);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return client;
}

static inline struct client client_open(struct rig *rig)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    server_adopt(rig->gateway.server, pair[0]);
    return client_of(pair[1]);
}

static inline void client_close(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    buf_done(&client->read);
}

static inline void client_read(struct client *client)
{
    for (;;) {
        char *at = buf_reserve(&client->read, 65536);
        assert_non_null(at);
        ssize_t n = recv(client->fd, at, 65536, MSG_DONTWAIT);
        if (n > 0) {
            buf_commit(&client->read, (size_t)n);
            continue;
        }
        client->ended = client->ended || n == 0 || (errno != EAGAIN && errno != EINTR);
        return;
    }
}

/* All of it, in portions of `portion` octets with a turn of the loop after each; stops when the gateway has closed. */
static inline void client_send(struct rig *rig, struct client *client, struct slice text, size_t portion)
{
    size_t at = 0;
    while (at < text.len) {
        size_t size = text.len - at < portion ? text.len - at : portion;
        ssize_t n = send(client->fd, text.data + at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return;
        at += n > 0 ? (size_t)n : 0;
        turn(rig);
    }
}

static inline bool header_is_length(struct slice line)
{
    return line.len > 16 && strncasecmp(line.data, "content-length: ", 16) == 0;
}

/* The answer that begins at *at, when all of it has been read. `head_only`: to a HEAD request. */
static inline bool next_reply(const struct client *client, size_t *at, bool head_only, struct reply *reply)
{
    struct slice rest = {buf_slice(&client->read).data + *at, buf_len(&client->read) - *at};
    const char *end = rest.len ? memmem(rest.data, rest.len, "\r\n\r\n", 4) : NULL;
    if (!end)
        return false;
    reply->head = (struct slice){rest.data, (size_t)(end - rest.data) + 4};
    assert_true(reply->head.len > 12 && memcmp(rest.data, "HTTP/1.1 ", 9) == 0);
    reply->status = atoi(rest.data + 9);
    size_t length = 0;
    for (const char *line = rest.data; line < end; line = (const char *)memmem(line, rest.len, "\r\n", 2) + 2)
        if (header_is_length((struct slice){line, (size_t)(end + 2 - line)}))
            length = (size_t)atol(line + 16);
    if (head_only || reply->status < 200)
        length = 0;
    reply->body = (struct slice){rest.data + reply->head.len, length};
    if (rest.len - reply->head.len < length)
        return false;
    *at += reply->head.len + length;
    return true;
}

static inline bool client_has_reply(struct client *client, size_t at, struct reply *reply)
{
    client_read(client);
    return next_reply(client, &at, false, reply);
}

static inline bool client_has_ended(struct client *client)
{
    client_read(client);
    return client->ended;
}

/* Waits for the answer that begins at *at. */
static inline struct reply await_reply(struct rig *rig, struct client *client, size_t *at)
{
    struct reply reply = {0};
    eventually(rig, client_has_reply(client, *at, &reply));
    assert_true(next_reply(client, at, false, &reply));
    return reply;
}

static inline void await_end(struct rig *rig, struct client *client)
{
    eventually(rig, client_has_ended(client));
}

static inline bool slice_has(struct slice text, const char *word)
{
    return memmem(text.data, text.len, word, strlen(word)) != NULL;
}

#define assert_has(text, word)                                                         \
    do {                                                                               \
        if (!slice_has((text), (word)))                                                \
            fail_msg("\"%s\" is not in:\n%.*s", (word), (int)(text).len, (text).data); \
    } while (0)
#define assert_has_not(text, word) assert_false(slice_has((text), (word)))
