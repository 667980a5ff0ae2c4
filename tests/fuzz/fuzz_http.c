/* Fuzzes what an HTTP client sends. The first octet says in what portions the rest arrives.
 *
 * The parser alone must come to the same steps, bodies and refusals, whatever the portions. On a whole connection
 * nothing may crash, leak or stay behind, and every answer must have the form of one.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/msg/msg.h"
#include "gateway/bus/commands.h"
#include "gateway/http/request.h"
#include "gateway/net/conn.h"
#include "gateway/net/server.h"
#include "gateway/wiring.h"
#include "tests/fuzz/must.h"

enum { TRACE_MAX = 1 << 20, TURNS_MAX = 100000 };

static struct config config;
static struct gateway gateway = {.config = &config};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the parser ---- */

static void trace_step(struct buf *trace, const struct request *request, enum request_step step)
{
    if (step == REQUEST_HEAD)
        buf_printf(trace, "head %d %zu %zu %d\n", request->parser.method, request_target(request).len,
                   request->field_count, request->keep_alive);
    else if (step == REQUEST_DONE)
        buf_printf(trace, "done %zu %llx\n", request->body_bytes,
                   (unsigned long long)msg_fingerprint((struct slice[]){buf_slice(&request->body)}, 1));
    else if (step == REQUEST_REFUSED)
        buf_printf(trace, "refused %d %s\n", (int)request->refusal, request->why ? request->why : "");
}

/* What the parser makes of a stream of requests that comes in portions. */
static void parse(struct slice bytes, size_t portion, struct buf *trace)
{
    struct request request;
    request_init(&request, &config);
    size_t at = 0, given = 0;
    enum request_step step = REQUEST_MORE;
    while (step != REQUEST_REFUSED && (at < bytes.len || step == REQUEST_HEAD)) {
        if (step != REQUEST_HEAD && at == given)
            given += bytes.len - given < portion ? bytes.len - given : portion;
        size_t used = 0;
        step = request_feed(&request, (struct slice){bytes.data + at, given - at}, &used);
        must(used <= given - at, "no more is used than was given");
        must(step != REQUEST_MORE || used == given - at, "it wants more only when it has taken all");
        at += used;
        trace_step(trace, &request, step);
        if (step == REQUEST_DONE)
            request_reset(&request);
    }
    request_done(&request);
}

static void compare_portions(struct slice bytes, size_t portion)
{
    struct buf whole, portions;
    buf_init(&whole, TRACE_MAX);
    buf_init(&portions, TRACE_MAX);
    parse(bytes, bytes.len + 1, &whole);
    parse(bytes, portion, &portions);
    bool same = slice_equal(buf_slice(&whole), buf_slice(&portions));
    if (!same)
        fprintf(stderr, "whole:\n%.*sin portions of %zu:\n%.*s", (int)buf_len(&whole), buf_slice(&whole).data,
                portion, (int)buf_len(&portions), buf_slice(&portions).data);
    must(same, "portions make no difference");
    buf_done(&whole);
    buf_done(&portions);
}

/* ---- a connection ---- */

static void read_answers(int fd, size_t *total)
{
    char text[65536];
    for (ssize_t n; (n = recv(fd, text, sizeof(text), MSG_DONTWAIT)) > 0; *total += (size_t)n)
        must(*total > 0 || (n >= 9 && memcmp(text, "HTTP/1.1 ", 9) == 0), "an answer begins like one");
}

static void converse(struct slice bytes, size_t portion)
{
    int pair[2];
    size_t total = 0, at = 0;
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0, "there is a socket");
    server_adopt(gateway.server, pair[0]);
    for (int turns = 0; at < bytes.len && turns < TURNS_MAX; turns++) {
        size_t size = bytes.len - at < portion ? bytes.len - at : portion;
        ssize_t n = send(pair[1], bytes.data + at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            break;
        at += n > 0 ? (size_t)n : 0;
        ev_run(gateway.loop, EVRUN_NOWAIT);
        read_answers(pair[1], &total);
    }
    close(pair[1]);
    conn_set_abort(server_conns(gateway.server)); /* a call may still wait for the broker */
    ev_run(gateway.loop, EVRUN_NOWAIT);
    must(conn_set_count(server_conns(gateway.server)) == 0, "no connection stays behind");
    must(commands_waiting(gateway.commands) == 0, "no call stays behind");
}

/* ---- beginning ---- */

static void write_secret(void)
{
    static const char secret[] = "the secret of the seeds in corpus/fuzz_http";
    char path[] = "/tmp/cortex-fuzz-secret-XXXXXX";
    int fd = mkstemp(path);
    must(fd >= 0 && write(fd, secret, sizeof(secret) - 1) == (ssize_t)sizeof(secret) - 1,
         "there is a secret");
    close(fd);
    setenv("CORTEX_AUTH_HS256_FILE", path, 1);
}

static void load_settings(void)
{
    char why[256] = "";
    write_secret();
    setenv("CORTEX_AMQP_URL", "amqp://guest:guest@127.0.0.1:1/", 1); /* nobody listens there */
    setenv("CORTEX_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nobody", 1);
    setenv("CORTEX_MAX_HEAD", "2k", 1);
    setenv("CORTEX_MAX_BODY", "4k", 1);
    setenv("CORTEX_MAX_HEADERS", "16", 1);
    setenv("CORTEX_CORS_ORIGINS", "https://app.example", 1);
    must(config_load(&config, why) == ERR_OK && token_keys_load(&config, &gateway.keys, why) == ERR_OK, why);
    unlink(config.auth_hs256_file);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_init("fuzz", LOG_ERROR + 1);
    load_settings();
    gateway.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    must(gateway_open(&gateway, -1) == ERR_OK, "there is a gateway");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct slice bytes = {(const char *)data + 1, size - 1};
    size_t portion = (size_t)data[0] + 1;
    compare_portions(bytes, portion);
    converse(bytes, portion);
    return 0;
}
