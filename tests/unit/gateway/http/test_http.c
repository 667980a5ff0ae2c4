/* HTTP/1 as clients send it, and as they should not. */

#include "tests/unit/gateway/http/http_fixture.h"

#include <netinet/in.h>
#include <sys/resource.h>

#include "gateway/http/http.h"
#include "gateway/net/conn_private.h"
#include "gateway/net/listen.h"

static int setup(void **state)
{
    *state = rig_new();
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static const char simple[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
#define SIMPLE ((struct slice){simple, sizeof(simple) - 1})

/* ---- what is accepted ---- */

static void assert_answered_in_portions(struct rig *rig, struct slice request, size_t portion, int status)
{
    struct client client = client_open(rig);
    size_t at = 0;
    client_send(rig, &client, request, portion);
    struct reply reply = await_reply(rig, &client, &at);
    if (reply.status != status)
        fail_msg("%d instead of %d in portions of %zu for:\n%.*s", reply.status, status, portion,
                 (int)request.len, request.data);
    assert_int_equal(at, buf_len(&client.read));
    client_close(&client);
}

static const struct {
    const char *request;
    int status;
} accepted[] = {
    {"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200},
    {"\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200},
    {"GET http://a:80/healthz?x=%20y HTTP/1.1\r\nHost: b\r\n\r\n", 200},
    {"GET /healthz HTTP/1.1\r\nHost:\ta\t\r\nX:\t\r\nConnection:\tkeep-alive\t\r\n\r\n", 200},
    {"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length:\t3\t\r\n\r\nabc", 405},
    {"POST /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked\t\r\n\r\n0\r\n\r\n", 405},
    {"GET /healthz HTTP/1.1\r\nHost: a_b.c-d%41:65535\r\n\r\n", 200},
    {"GET /healthz HTTP/1.1\r\nHost: a:\r\n\r\n", 200},
    {"GET /healthz HTTP/1.1\r\nhOsT:a\r\nX: \xc3\xa9 \t\r\nEmpty:\r\n\r\n", 200},
    {"GET /healthz HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 200},
    {"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", 200},
    {"GET /healthz HTTP/1.0\r\n\r\n", 200},
    {"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200},
    {"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200},
    {"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n00\r\nT: "
     "r\r\n\r\n",
     200},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 204},
    {"OPTIONS /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 204},
    {"OPTIONS /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404},
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 404},
    {"GET /healthz/ HTTP/1.1\r\nHost: a\r\n\r\n", 404},
    {"GET /v1/projects/7 HTTP/1.1\r\nHost: a\r\n\r\n", 404},
    {"PUT /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 405},
    {"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 405},
    {"PROPFIND /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 501},
    {"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501},
    {"GET /v1/projects HTTP/1.1\r\nHost: a\r\n\r\n", 401},
    {"GET /v1/projects HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\n\r\n", 401},
    {"GET /v1/projects HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a.b.c\r\n\r\n", 401},
    /* Targets that parse as bytes and are refused as targets keep the framing, so the connection stays. */
    {"GET /health%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /health%7A HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET http://a:b/healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET http://user@a/healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /healthz%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /v1%2Fprojects HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /healthz?x=%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /healthz#x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET ftp://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
};

static void test_request_when_fed_in_any_portions_is_answered_once(void **state)
{
    static const size_t portions[] = {65536, 1, 2, 7};
    for (size_t i = 0; i < ARRAY_LEN(accepted); i++)
        for (size_t j = 0; j < ARRAY_LEN(portions); j++)
            assert_answered_in_portions(*state, slice_of(accepted[i].request), portions[j],
                                        accepted[i].status);
}

static void test_request_when_cut_anywhere_and_ended_is_not_answered(void **state)
{
    struct rig *rig = *state;
    static const char request[] =
        "POST /v1/projects HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for (size_t len = 0; len < sizeof(request) - 1; len++) {
        struct client client = client_open(rig);
        client_send(rig, &client, (struct slice){request, len}, 65536);
        shutdown(client.fd, SHUT_WR);
        await_end(rig, &client);
        assert_int_equal(buf_len(&client.read), 0);
        client_close(&client);
    }
    eventually(rig, conn_set_count(server_conns(rig->gateway.server)) == 0);
}

static void test_answer_when_ok_has_the_headers_it_must_have(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    size_t at = 0;
    client_send(rig, &client, SLICE("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-Id: my-id.7\r\n\r\n"),
                65536);
    struct reply reply = await_reply(rig, &client, &at);
    assert_has(reply.head, "\r\nDate: ");
    assert_has(reply.head, " GMT\r\n");
    assert_has(reply.head, "\r\nX-Request-Id: my-id.7\r\n");
    assert_has(reply.head, "\r\nContent-Length: 3\r\n");
    assert_has_not(reply.head, "Connection:");
    assert_true(slice_is(reply.body, "ok\n"));
    client_close(&client);
}

static void test_correlation_id_when_not_sane_is_replaced(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    size_t at = 0;
    client_send(rig, &client, SLICE("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\"b\r\n\r\n"), 65536);
    struct reply reply = await_reply(rig, &client, &at);
    assert_has(reply.head, "\r\nX-Request-Id: ");
    assert_has_not(reply.head, "a\"b");
    client_close(&client);
}

static void test_head_when_answered_has_the_length_and_no_body(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    struct reply reply;
    size_t at = 0;
    client_send(rig, &client, SLICE("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n"), 65536);
    client_send(rig, &client, SIMPLE, 65536);
    await_reply(rig, &client, &at); /* reads on until the second has come */
    client_read(&client);
    at = 0;
    assert_true(next_reply(&client, &at, true, &reply));
    assert_int_equal(reply.status, 200);
    assert_has(reply.head, "\r\nContent-Length: 3\r\n");
    assert_int_equal(await_reply(rig, &client, &at).status, 200);
    assert_int_equal(at, buf_len(&client.read));
    client_close(&client);
}

static void test_http_1_0_when_asked_to_keep_alive_does_and_otherwise_closes(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    size_t at = 0;
    client_send(rig, &client, SLICE("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), 65536);
    assert_has(await_reply(rig, &client, &at).head, "\r\nConnection: keep-alive\r\n");
    client_send(rig, &client, SLICE("GET /healthz HTTP/1.0\r\n\r\n"), 65536);
    assert_has(await_reply(rig, &client, &at).head, "\r\nConnection: close\r\n");
    await_end(rig, &client);
    client_close(&client);
}

static void test_connection_close_when_asked_ignores_what_follows(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    size_t at = 0;
    client_send(rig, &client,
                SLICE("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /healthz "
                      "HTTP/1.1\r\nHost: a\r\n\r\n"),
                65536);
    assert_has(await_reply(rig, &client, &at).head, "\r\nConnection: close\r\n");
    await_end(rig, &client);
    assert_int_equal(at, buf_len(&client.read));
    client_close(&client);
}

/* The parser takes a CONNECT for complete before its body: what follows must not become a request. */
static void test_connect_when_it_has_a_body_then_nothing_behind_it_is_answered(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    size_t at = 0;
    client_send(rig, &client,
                SLICE("CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 36\r\n\r\n"
                      "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"),
                65536);
    struct reply reply = await_reply(rig, &client, &at);
    assert_int_equal(reply.status, 501);
    assert_has(reply.head, "\r\nConnection: close\r\n");
    await_end(rig, &client);
    assert_int_equal(at, buf_len(&client.read));
    client_close(&client);
}

static void test_method_when_not_allowed_is_told_what_is(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    size_t at = 0;
    client_send(rig, &client, SLICE("PUT /v1/projects HTTP/1.1\r\nHost: a\r\n\r\n"), 65536);
    struct reply reply = await_reply(rig, &client, &at);
    assert_int_equal(reply.status, 405);
    assert_has(reply.head, "\r\nAllow: GET, HEAD, POST, OPTIONS\r\n");
    assert_has(reply.head, "\r\nContent-Type: application/problem+json\r\n");
    assert_has(reply.body, "\"type\":\"/problems/method-not-allowed\"");
    assert_has(reply.body, "\"status\":405");
    client_close(&client);
}

static void test_token_when_wrong_is_challenged_with_the_reason(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    size_t at = 0;
    client_send(rig, &client,
                SLICE("GET /v1/projects HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a.b.c\r\n\r\n"), 65536);
    assert_has(await_reply(rig, &client, &at).head,
               "\r\nWWW-Authenticate: Bearer realm=\"cortexbuild\", error=\"invalid_token\"");
    client_send(rig, &client, SLICE("GET /v1/projects HTTP/1.1\r\nHost: a\r\n\r\n"), 65536);
    assert_has(await_reply(rig, &client, &at).head, "\r\nWWW-Authenticate: Bearer realm=\"cortexbuild\"\r\n");
    client_close(&client);
}

static void test_cors_when_the_origin_is_listed_allows_it_and_no_other(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    size_t at = 0;
    client_send(rig, &client,
                SLICE("OPTIONS /v1/projects HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\n"
                      "Access-Control-Request-Method: POST\r\n\r\n"),
                65536);
    struct reply reply = await_reply(rig, &client, &at);
    assert_int_equal(reply.status, 204);
    assert_has(reply.head, "\r\nAccess-Control-Allow-Origin: https://app.example\r\n");
    assert_has(reply.head, "\r\nAccess-Control-Allow-Methods: ");
    static const char *const tracing[] = {"Traceparent", "Tracestate", "Baggage", "Sentry-Trace", "Range"};
    for (size_t i = 0; i < ARRAY_LEN(tracing); i++)
        assert_has(reply.head, tracing[i]);
    assert_has(reply.head, "Content-Disposition");
    assert_has(reply.head, "\r\nVary: Origin\r\n");
    assert_has_not(reply.head, "Content-Length");
    client_send(rig, &client,
                SLICE("GET /healthz HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example.evil\r\n\r\n"), 65536);
    assert_has_not(await_reply(rig, &client, &at).head, "Access-Control");
    client_close(&client);
}

/* A refusal of the preflight would keep from the page why its request is refused. */
static void test_cors_when_the_request_will_be_refused_then_its_preflight_is_not(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    size_t at = 0;
    static const char *const targets[] = {"/nothing", "/v1/%61dmin", "/%"};
    for (size_t i = 0; i < ARRAY_LEN(targets); i++)
        for (size_t allowed = 0; allowed < 2; allowed++) {
            char text[256];
            snprintf(text, sizeof(text),
                     "OPTIONS %s HTTP/1.1\r\nHost: a\r\nOrigin: https://%s.example\r\n"
                     "Access-Control-Request-Method: GET\r\n\r\n",
                     targets[i], allowed ? "app" : "evil");
            client_send(rig, &client, slice_of(text), 65536);
            struct reply reply = await_reply(rig, &client, &at);
            assert_int_equal(reply.status, allowed ? 204 : (i < 1 ? 404 : 400));
            if (allowed)
                assert_has(reply.head, "\r\nAccess-Control-Allow-Headers: ");
            else
                assert_has_not(reply.head, "\r\nAccess-Control-Allow-");
        }
    client_close(&client);
}

/* A page must be able to read why it was refused. */
static void test_cors_when_refused_early_then_the_page_may_read_it(void **state)
{
    static const struct {
        const char *request, *allowed;
    } early[] = {
        {"POST /v1/projects HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\nContent-Length: "
         "999999999\r\n\r\n",
         "https://app.example"},
        {"GET /%zz HTTP/1.1\r\nHost: a\r\nOrigin: HTTPS://App.Example:443/\r\n\r\n",
         "HTTPS://App.Example:443/"},
        {"PROPFIND / HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\n\r\n", "https://app.example"},
        {"GET / HTTP/1.1\r\nHost: a b\r\nOrigin: https://app.example\r\n\r\n", "https://app.example"},
        {"GET / HTTP/1.1\r\nOrigin: https://app.example\r\nX: y\r\nbad header\r\n\r\n",
         "https://app.example"},
        {"GET / HTTP/1.1\r\nbad header\r\nOrigin: https://app.example\r\n\r\n", "*"},
        {"GET / HTTP/1.1\r\nHost: a b\r\nOrigin: https://evil.example\r\n\r\n", NULL},
        {"GET /v1/projects HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\n\r\n",
         "https://app.example"},
        {"GET /v1/nothing HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\n\r\n", "https://app.example"},
    };
    for (size_t i = 0; i < ARRAY_LEN(early); i++) {
        struct client client = client_open(*state);
        size_t at = 0;
        char wanted[128];
        snprintf(wanted, sizeof(wanted), "\r\nAccess-Control-Allow-Origin: %s\r\n",
                 early[i].allowed ? early[i].allowed : "");
        client_send(*state, &client, slice_of(early[i].request), 65536);
        struct reply reply = await_reply(*state, &client, &at);
        assert_true(reply.status >= 400);
        if (early[i].allowed)
            assert_has(reply.head, wanted);
        else
            assert_has_not(reply.head, "Access-Control");
        client_close(&client);
    }
}

/* A preflight has the target of its request, and a browser shows its page no refusal of a preflight. */
static void test_cors_when_the_head_is_too_long_then_its_preflight_is_answered_all_the_same(void **state)
{
    enum { HEAD = 70000 };
    static const struct {
        const char *method, *before;
        int status;
    } heads[] = {
        {"OPTIONS", "/?text=", 204},
        {"OPTIONS", "/ HTTP/1.1\r\nOrigin: https://app.example\r\nAccess-Control-Request-Headers: ", 204},
        {"OPTIONS", "/ HTTP/1.1\r\nAccess-Control-Request-Headers: ", 204},
        {"OPTIONS", "/ HTTP/1.1\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Headers: ", 431},
        {"GET", "/?text=", 414},
    };
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        CLEANUP_FREE char *request = xmalloc(HEAD);
        int len = snprintf(request, HEAD, "%s %s", heads[i].method, heads[i].before);
        memset(request + len, 'x', (size_t)(HEAD - len));
        struct client client = client_open(*state);
        size_t at = 0;
        client_send(*state, &client, (struct slice){request, HEAD}, 65536);
        struct reply reply = await_reply(*state, &client, &at);
        assert_int_equal(reply.status, heads[i].status);
        if (heads[i].status == 204)
            assert_has(reply.head, "\r\nAccess-Control-Allow-Headers: ");
        else
            assert_has_not(reply.head, "\r\nAccess-Control-Allow-Headers: ");
        client_close(&client);
    }
}

/* A client would take the body for the beginning of another answer. */
static void test_head_when_refused_early_has_no_body(void **state)
{
    enum { HEAD = 70000 };
    static const char *const begins[] = {
        "HEAD /?text=", "HEAD / HTTP/1.1\r\nCookie: ", "HEAD / HTTP/1.1\r\nHost: a b\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
        CLEANUP_FREE char *request = xmalloc(HEAD);
        size_t len = strlen(begins[i]);
        memset(request, 'x', HEAD);
        memcpy(request, begins[i], len);
        struct client client = client_open(*state);
        client_send(*state, &client, (struct slice){request, i < 2 ? HEAD : len}, 65536);
        await_end(*state, &client);
        struct slice read = buf_slice(&client.read);
        assert_true(read.len > 4 && memcmp(read.data + read.len - 4, "\r\n\r\n", 4) == 0);
        client_close(&client);
    }
}

static void test_cors_when_the_head_is_too_large_then_the_page_may_read_it(void **state)
{
    enum { HEAD = 70000 };
    CLEANUP_FREE char *request = xmalloc(HEAD);
    int len = snprintf(request, HEAD, "GET / HTTP/1.1\r\nHost: a\r\nCookie: ");
    memset(request + len, 'x', (size_t)(HEAD - len));
    struct client client = client_open(*state);
    size_t at = 0;
    client_send(*state, &client, (struct slice){request, HEAD}, 65536);
    struct reply reply = await_reply(*state, &client, &at);
    assert_int_equal(reply.status, 431);
    assert_has(reply.head, "\r\nAccess-Control-Allow-Origin: *\r\n");
    client_close(&client);
}

/* ---- what is refused: answered once, then closed, and nothing behind it is looked at ---- */

static const struct {
    const char *request;
    int status;
} refused[] = {
    /* two lengths (RFC 9112 6.3) */
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3 3\r\n\r\nabc", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nabc", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \v3\r\n\r\nabc", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
    /* transfer codings */
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n",
     400},
    {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n", 400},
    /* chunks */
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a\nabc\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 4\r\n\r\n", 400},
    /* line ends and white space */
    {"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\rHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400},
    {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
    {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    /* names and values */
    {"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nfoo\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nfo(o: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nfo\xc3\xa9: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01z\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fz\r\n\r\n", 400},
    /* methods, targets, versions */
    {"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /\r\n", 505},
    {"GET /\n", 505},
    {"GET / HTTP/0.9\r\n\r\n", 505},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
    {"OPTIONS * RTSP/1.0\r\nHost: a\r\n\r\n", 400},
    {"SOURCE / ICE/1.0\r\nHost: a\r\n\r\n", 400},
    {"\x16\x03\x01\x02\x00\x01", 400},
    /* Host (RFC 9112 3.2) */
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: [::1]80\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: user:x@a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a%4\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a,b c\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nExpect: the-moon\r\n\r\n", 417},
};

static void assert_refused_in_portions(struct rig *rig, struct slice request, size_t portion, int status)
{
    struct client client = client_open(rig);
    size_t at = 0;
    client_send(rig, &client, request, portion);
    struct reply reply = await_reply(rig, &client, &at);
    if (reply.status != status)
        fail_msg("%d instead of %d in portions of %zu for:\n%.*s", reply.status, status, portion,
                 (int)request.len, request.data);
    assert_has(reply.head, "\r\nConnection: close\r\n");
    assert_has(reply.head, "\r\nContent-Type: application/problem+json\r\n");
    assert_has(reply.body, "\"type\":\"/problems/");
    client_send(rig, &client, SIMPLE, 65536);
    await_end(rig, &client);
    assert_int_equal(at, buf_len(&client.read));
    client_close(&client);
}

static void test_request_when_malformed_is_refused_and_the_connection_closed(void **state)
{
    static const size_t portions[] = {65536, 1, 5};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        for (size_t j = 0; j < ARRAY_LEN(portions); j++)
            assert_refused_in_portions(*state, slice_of(refused[i].request), portions[j], refused[i].status);
}

static void test_request_when_malformed_behind_a_good_one_is_refused_alone(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    size_t at = 0;
    client_send(
        rig, &client,
        SLICE("GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /healthz "
              "HTTP/1.1\r\nHost: a\r\n"
              "Content-Length: 1\r\nContent-Length: 2\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"),
        65536);
    assert_int_equal(await_reply(rig, &client, &at).status, 200);
    assert_int_equal(await_reply(rig, &client, &at).status, 400);
    await_end(rig, &client);
    assert_int_equal(at, buf_len(&client.read));
    client_close(&client);
}

/* ---- bounds ---- */

static void append_filler(struct buf *request, size_t until)
{
    while (buf_len(request) < until)
        buf_append_char(request, 'a');
}

static void assert_bounded(struct rig *rig, struct buf *request, int status)
{
    static const size_t portions[] = {65536, 97};
    for (size_t i = 0; i < ARRAY_LEN(portions); i++)
        if (status == 200 || status == 404)
            assert_answered_in_portions(rig, buf_slice(request), portions[i], status);
        else
            assert_refused_in_portions(rig, buf_slice(request), portions[i], status);
    buf_clear(request);
}

static void test_head_when_larger_than_the_bound_is_refused_and_up_to_it_is_not(void **state)
{
    struct rig *rig = *state;
    rig->config.max_head_bytes = 600;
    CLEANUP(buf_done) struct buf request;
    buf_init(&request, 65536);
    for (size_t over = 0; over < 2; over++) {
        buf_append_text(&request, "GET /healthz HTTP/1.1\r\nHost: a\r\nX: ");
        append_filler(&request, 600 - 4 + over);
        buf_append_text(&request, "\r\n\r\n");
        assert_bounded(rig, &request, over ? 431 : 200);
    }
    buf_append_text(&request, "GET /");
    append_filler(&request, 700);
    assert_bounded(rig, &request, 414);
    for (size_t i = 0; i < 301; i++)
        buf_append_text(&request, "\r\n");
    assert_bounded(rig, &request, 414);
}

static void test_fields_when_more_than_the_bound_are_refused_and_up_to_it_are_not(void **state)
{
    struct rig *rig = *state;
    CLEANUP(buf_done) struct buf request;
    buf_init(&request, 65536);
    for (int over = 0; over < 2; over++) {
        buf_append_text(&request, "GET /healthz HTTP/1.1\r\nHost: a\r\n");
        for (int64_t i = 1; i < rig->config.max_headers + over; i++)
            buf_append_text(&request, "X: y\r\n");
        buf_append_text(&request, "\r\n");
        assert_bounded(rig, &request, over ? 431 : 200);
    }
}

static void append_body(struct buf *request, bool chunked, size_t len)
{
    buf_append_text(request, "GET /healthz HTTP/1.1\r\nHost: a\r\n");
    buf_printf(request, chunked ? "Transfer-Encoding: chunked\r\n\r\n%zx\r\n" : "Content-Length: %zu\r\n\r\n",
               len);
    append_filler(request, buf_len(request) + len);
    if (chunked)
        buf_append_text(request, "\r\n0\r\n\r\n");
}

static void test_body_when_larger_than_the_bound_is_refused_and_up_to_it_is_not(void **state)
{
    struct rig *rig = *state;
    rig->config.max_body_bytes = 1000;
    CLEANUP(buf_done) struct buf request;
    buf_init(&request, 65536);
    for (int chunked = 0; chunked < 2; chunked++)
        for (size_t over = 0; over < 2; over++) {
            append_body(&request, chunked, 1000 + over);
            assert_bounded(rig, &request, over ? 413 : 200);
        }
}

static void test_chunks_when_many_and_small_sum_up_to_the_bound(void **state)
{
    struct rig *rig = *state;
    rig->config.max_body_bytes = 100;
    CLEANUP(buf_done) struct buf request;
    buf_init(&request, 65536);
    for (int over = 0; over < 2; over++) {
        buf_append_text(&request, "GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < 100 + over; i++)
            buf_append_text(&request, "1\r\na\r\n");
        buf_append_text(&request, "0\r\n\r\n");
        assert_bounded(rig, &request, over ? 413 : 200);
    }
}

static void test_chunk_framing_when_endless_is_refused(void **state)
{
    struct rig *rig = *state;
    rig->config.max_body_bytes = 1000;
    CLEANUP(buf_done) struct buf request;
    buf_init(&request, 65536);
    buf_append_text(&request, "GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    append_filler(&request, 40000);
    assert_bounded(rig, &request, 413);
    buf_append_text(&request, "GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (buf_len(&request) < 40000)
        buf_append_char(&request, '0');
    assert_bounded(rig, &request, 413);
}

/* ---- time ---- */

static void assert_timed_out(struct rig *rig, struct slice part, const char *head, int status)
{
    struct client client = client_open(rig);
    size_t at = 0;
    client_send(rig, &client, part, 65536);
    if (status) {
        struct reply reply = await_reply(rig, &client, &at);
        assert_int_equal(reply.status, status);
        assert_has(reply.head, head);
    }
    await_end(rig, &client);
    assert_int_equal(at, buf_len(&client.read));
    client_close(&client);
}

static void test_head_when_slow_is_timed_out(void **state)
{
    struct rig *rig = *state;
    rig->config.head_timeout_ms = 30;
    assert_timed_out(rig, SLICE("GET /healthz HTTP/1.1\r\nHost"), "\r\nConnection: close\r\n", 408);
}

static void test_body_when_slow_is_timed_out(void **state)
{
    struct rig *rig = *state;
    rig->config.body_timeout_ms = 30;
    assert_timed_out(rig, SLICE("GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na"),
                     "\r\nConnection: close\r\n", 408);
}

static void test_connection_when_idle_is_closed_without_a_word(void **state)
{
    struct rig *rig = *state;
    rig->config.idle_timeout_ms = rig->config.head_timeout_ms = 30;
    assert_timed_out(rig, SLICE(""), "", 0);
    assert_timed_out(rig, SLICE("\r\n"), "", 0);
}

static void test_connection_when_idle_after_an_answer_is_closed(void **state)
{
    struct rig *rig = *state;
    rig->config.idle_timeout_ms = 30;
    assert_timed_out(rig, SIMPLE, "200 OK", 200);
}

static void test_peer_when_it_does_not_read_is_cut_off(void **state)
{
    struct rig *rig = *state;
    rig->config.write_timeout_ms = 50;
    struct client client = client_open(rig);
    CLEANUP(buf_done) struct buf many;
    buf_init(&many, 1 << 20);
    for (int i = 0; i < 5000; i++)
        buf_append_slice(&many, SIMPLE);
    size_t at = 0;
    while (at < buf_len(&many) && conn_set_count(server_conns(rig->gateway.server)) > 0) {
        ssize_t n = send(client.fd, buf_data(&many) + at, buf_len(&many) - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        at += n > 0 ? (size_t)n : 0;
        turn(rig);
    }
    eventually(rig, conn_set_count(server_conns(rig->gateway.server)) == 0);
    client_close(&client);
}

/* ---- order and pressure ---- */

static void test_requests_when_pipelined_are_answered_in_order(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    CLEANUP(buf_done) struct buf many;
    buf_init(&many, 1 << 20);
    for (int i = 0; i < 500; i++)
        buf_printf(&many, "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-Id: n%d\r\n\r\n", i);
    client_send(rig, &client, buf_slice(&many), 1000);
    size_t at = 0;
    for (int i = 0; i < 500; i++) {
        char line[64];
        snprintf(line, sizeof(line), "\r\nX-Request-Id: n%d\r\n", i);
        assert_has(await_reply(rig, &client, &at).head, line);
    }
    assert_int_equal(at, buf_len(&client.read));
    client_close(&client);
}

static void test_requests_when_the_peer_reads_late_are_all_answered(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    enum { MANY = 20000 };
    size_t sent = 0, at = 0;
    struct slice one = SIMPLE;
    for (int idle = 0; sent < MANY * one.len && idle < 50; turn(rig)) {
        ssize_t n =
            send(client.fd, one.data + sent % one.len, one.len - sent % one.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        idle = n > 0 ? 0 : idle + 1;
        sent += n > 0 ? (size_t)n : 0;
    }
    assert_true(sent < MANY * one.len); /* somebody stopped reading */
    for (struct reply reply; at < REPLY_MAX && sent >= one.len; sent -= one.len)
        reply = await_reply(rig, &client, &at), assert_int_equal(reply.status, 200);
    assert_int_equal(at, buf_len(&client.read));
    client_close(&client);
}

static struct slice write_request(struct rig *rig, struct buf *request, const char *more, const char *body)
{
    buf_clear(request);
    buf_printf(request,
               "POST /v1/projects HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n%s"
               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
               rig->token, more, strlen(body), body);
    return buf_slice(request);
}

static void test_request_when_behind_one_that_waits_is_answered_after_it(void **state)
{
    struct rig *rig = *state;
    rig->config.wait_ms = 60;
    struct client client = client_open(rig);
    CLEANUP(buf_done) struct buf request;
    buf_init(&request, 8192);
    write_request(rig, &request, "", "{\"name\":\"x\"}");
    buf_append_slice(&request, SIMPLE);
    buf_append_slice(&request, SIMPLE);
    size_t at = 0;
    client_send(rig, &client, buf_slice(&request), 65536);
    assert_int_equal(commands_waiting(rig->gateway.commands), 1);
    struct reply reply = await_reply(rig, &client, &at);
    assert_int_equal(reply.status, 503);
    assert_has(reply.head, "\r\nRetry-After: ");
    assert_int_equal(await_reply(rig, &client, &at).status, 200);
    assert_int_equal(await_reply(rig, &client, &at).status, 200);
    assert_int_equal(commands_waiting(rig->gateway.commands), 0);
    client_close(&client);
}

static void test_input_when_a_request_waits_is_bounded(void **state)
{
    struct rig *rig = *state;
    rig->config.wait_ms = 20000;
    struct client client = client_open(rig);
    CLEANUP(buf_done) struct buf request;
    buf_init(&request, 8192);
    client_send(rig, &client, write_request(rig, &request, "", "{\"name\":\"x\"}"), 65536);
    char filler[4096];
    memset(filler, 'x', sizeof(filler));
    size_t sent = 0;
    for (int idle = 0; idle < 50 && sent < 64 << 20; turn(rig)) {
        ssize_t n = send(client.fd, filler, sizeof(filler), MSG_DONTWAIT | MSG_NOSIGNAL);
        idle = n > 0 ? 0 : idle + 1;
        sent += n > 0 ? (size_t)n : 0;
    }
    assert_true(sent < 4 << 20); /* the kernel's buffers and ours */
    client_close(&client);
}

static void test_peer_when_it_has_sent_its_last_byte_still_gets_its_answer(void **state)
{
    struct rig *rig = *state;
    rig->config.wait_ms = 60;
    struct client client = client_open(rig);
    CLEANUP(buf_done) struct buf request;
    buf_init(&request, 8192);
    write_request(rig, &request, "", "{\"name\":\"x\"}");
    buf_append_slice(&request, SIMPLE);
    size_t at = 0;
    client_send(rig, &client, buf_slice(&request), 65536);
    shutdown(client.fd, SHUT_WR);
    assert_int_equal(await_reply(rig, &client, &at).status, 503);
    assert_int_equal(await_reply(rig, &client, &at).status, 200);
    await_end(rig, &client);
    client_close(&client);
}

/* ---- Expect ---- */

static const char expecting[] =
    "POST /v1/projects HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nExpect: 100-continue\r\n"
    "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n";

static void test_expect_when_the_body_is_wanted_is_told_to_go_on(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    char text[2048];
    size_t at = 0;
    int len = snprintf(text, sizeof(text), expecting, rig->token);
    client_send(rig, &client, (struct slice){text, (size_t)len}, 65536);
    assert_int_equal(await_reply(rig, &client, &at).status, 100);
    client_send(rig, &client, SLICE("{\"name\":1}"), 65536);
    assert_int_equal(await_reply(rig, &client, &at).status, 422);
    client_close(&client);
}

static void test_expect_when_refused_by_the_head_gets_the_refusal_at_once(void **state)
{
    struct rig *rig = *state;
    struct client client = client_open(rig);
    char text[2048];
    size_t at = 0;
    int len = snprintf(text, sizeof(text), expecting, "not.a.token");
    client_send(rig, &client, (struct slice){text, (size_t)len}, 65536);
    struct reply reply = await_reply(rig, &client, &at);
    assert_int_equal(reply.status, 401);
    assert_has(reply.head, "\r\nConnection: close\r\n");
    await_end(rig, &client);
    client_close(&client);
}

/* ---- writes, as far as they are refused without a broker ---- */

static const struct {
    const char *more, *body;
    int status;
    const char *says;
} writes[] = {
    {"", "{", 400, "line 1"},
    {"", "", 400, "\"detail\""},
    {"", "{\"name\":\"a\",\"name\":\"b\"}", 400, "\"detail\""},
    {"", "{\"name\":1,\"nonsense\":2}", 422, "\"errors\":[{\"pointer\":\"/"},
    {"", "[]", 422, "\"errors\":[{\"pointer\":\"\""},
    {"Idempotency-Key: \"\"\r\n", "{\"name\":\"a\"}", 400, "Idempotency-Key"},
    {"Idempotency-Key: \"a\r\n", "{\"name\":\"a\"}", 400, "Idempotency-Key"},
    {"Prefer: wait=0, respond-async\r\n", "{\"name\":\"a\"}", 503, "broker"},
};

static void test_write_when_it_cannot_be_accepted_says_why(void **state)
{
    struct rig *rig = *state;
    CLEANUP(buf_done) struct buf request;
    rig->config.wait_ms = 30;
    buf_init(&request, 8192);
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        struct client client = client_open(rig);
        size_t at = 0;
        client_send(rig, &client, write_request(rig, &request, writes[i].more, writes[i].body), 65536);
        struct reply reply = await_reply(rig, &client, &at);
        assert_int_equal(reply.status, writes[i].status);
        assert_has(reply.body, writes[i].says);
        client_close(&client);
    }
}

static void test_write_when_the_media_type_is_wrong_is_refused(void **state)
{
    struct rig *rig = *state;
    char text[2048];
    int len = snprintf(
        text, sizeof(text),
        "POST /v1/projects HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Type: text/plain\r\n"
        "Content-Length: 2\r\n\r\n{}",
        rig->token);
    assert_answered_in_portions(rig, (struct slice){text, (size_t)len}, 65536, 415);
}

static void test_write_when_the_role_may_not_is_forbidden(void **state)
{
    struct rig *rig = *state;
    const struct identity identity = test_identity("operative");
    CLEANUP(buf_done) struct buf request;
    buf_init(&request, 8192);
    assert_int_equal(token_sign(rig->gateway.keys, &identity, rig->token, sizeof(rig->token)), ERR_OK);
    assert_answered_in_portions(rig, write_request(rig, &request, "", "{\"name\":\"a\"}"), 65536, 403);
}

static void test_write_when_too_many_wait_is_refused_at_once(void **state)
{
    struct rig *rig = *state;
    CLEANUP(buf_done) struct buf request;
    buf_init(&request, 8192);
    rig->config.wait_ms = 20000;
    rig->config.pending_max = 1;
    struct client first = client_open(rig);
    client_send(rig, &first, write_request(rig, &request, "", "{\"name\":\"a\"}"), 65536);
    assert_answered_in_portions(rig, buf_slice(&request), 65536, 503);
    assert_int_equal(commands_waiting(rig->gateway.commands), 1);
    client_close(&first);
}

/* ---- leaving ---- */

static void on_drained(void *arg)
{
    *(bool *)arg = true;
}

static void test_drain_when_a_request_waits_answers_it_and_closes(void **state)
{
    struct rig *rig = *state;
    bool drained = false;
    rig->config.wait_ms = 60;
    struct client idle = client_open(rig), waiting = client_open(rig);
    CLEANUP(buf_done) struct buf request;
    buf_init(&request, 8192);
    size_t at = 0;
    client_send(rig, &waiting, write_request(rig, &request, "", "{\"name\":\"a\"}"), 65536);
    server_drain(rig->gateway.server, on_drained, &drained);
    await_end(rig, &idle);
    assert_int_equal(buf_len(&idle.read), 0);
    client_close(&idle);
    struct reply reply = await_reply(rig, &waiting, &at);
    assert_int_equal(reply.status, 503);
    assert_has(reply.head, "\r\nConnection: close\r\n");
    await_end(rig, &waiting);
    client_close(&waiting);
    eventually(rig, drained);
}

static void test_drain_when_a_request_has_arrived_unread_answers_it(void **state)
{
    struct rig *rig = *state;
    bool drained = false;
    struct client client = client_open(rig);
    size_t at = 0;
    turn(rig);
    assert_int_equal(send(client.fd, simple, sizeof(simple) - 1, 0), (ssize_t)sizeof(simple) - 1);
    server_drain(rig->gateway.server, on_drained, &drained);
    assert_has(await_reply(rig, &client, &at).head, "\r\nConnection: close\r\n");
    client_close(&client);
    eventually(rig, drained);
}

static void test_drain_when_somebody_does_not_leave_ends_by_itself(void **state)
{
    struct rig *rig = *state;
    bool drained = false;
    rig->config.wait_ms = 20000;
    rig->config.drain_ms = 50;
    struct client client = client_open(rig);
    CLEANUP(buf_done) struct buf request;
    buf_init(&request, 8192);
    client_send(rig, &client, write_request(rig, &request, "", "{\"name\":\"a\"}"), 65536);
    server_drain(rig->gateway.server, on_drained, &drained);
    eventually(rig, drained);
    assert_int_equal(commands_waiting(rig->gateway.commands), 0);
    client_close(&client);
}

/* ---- listening ---- */

static uint16_t listen_for(struct rig *rig)
{
    char why[256] = "";
    int fd = -1;
    struct sockaddr_in address = {0};
    socklen_t size = sizeof(address);
    assert_int_equal(listen_open("127.0.0.1:0", &fd, why), ERR_OK);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    server_free(rig->gateway.server);
    assert_int_equal(server_new(&rig->gateway, fd, &http_protocol, &rig->gateway.server), ERR_OK);
    return ntohs(address.sin_port);
}

/* From 127.0.0.`last`. */
static struct client connect_from(uint8_t last, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~UINT32_C(255)) | last)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&own, sizeof(own)), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return client_of(fd);
}

static struct client connect_to(uint16_t port)
{
    return connect_from(1, port);
}

static void test_listen_when_the_address_is_wrong_says_so(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "", "8080", "localhost:8080", "127.0.0.1:", "127.0.0.1:99999999", "[::1:80"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char why[256] = "";
        int fd = -1;
        if (listen_open(wrong[i], &fd, why) == ERR_OK)
            fail_msg("listens on \"%s\"", wrong[i]);
        assert_true(why[0] != '\0');
    }
}

/* A reset; the end of what the client sends alone would not say that it does not listen. */
static void test_call_when_its_client_goes_away_is_forgotten(void **state)
{
    struct rig *rig = *state;
    rig->config.wait_ms = 20000;
    struct client client = connect_to(listen_for(rig));
    CLEANUP(buf_done) struct buf request;
    buf_init(&request, 8192);
    client_send(rig, &client, write_request(rig, &request, "", "{\"name\":\"x\"}"), 65536);
    eventually(rig, commands_waiting(rig->gateway.commands) == 1);
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    int64_t before = clock_monotonic_us();
    client_close(&client);
    eventually(rig, commands_waiting(rig->gateway.commands) == 0);
    assert_true(clock_monotonic_us() - before < 15000000);
    eventually(rig, conn_set_count(server_conns(rig->gateway.server)) == 0);
}

/* Shows a valid token, in a request that is refused for its type. */
static void show_token(struct rig *rig, struct client *client)
{
    char text[1024];
    size_t at = 0;
    int len = snprintf(text, sizeof(text),
                       "POST /v1/projects HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"
                       "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx",
                       rig->token);
    client_send(rig, client, (struct slice){text, (size_t)len}, 65536);
    assert_int_equal(await_reply(rig, client, &at).status, 415);
}

static void test_connections_when_as_many_as_allowed_have_a_token_turn_others_away(void **state)
{
    struct rig *rig = *state;
    rig->config.max_connections = 2;
    rig->config.address_share = 100;
    uint16_t port = listen_for(rig);
    struct client first = connect_to(port), second = connect_to(port);
    show_token(rig, &first);
    show_token(rig, &second);
    struct client third = connect_to(port);
    size_t at = 0;
    struct reply reply = await_reply(rig, &third, &at);
    assert_int_equal(reply.status, 503);
    assert_has(reply.head, "\r\nRetry-After: ");
    await_end(rig, &third);
    assert_int_equal(at, buf_len(&third.read)); /* one answer, and nothing after it */
    client_close(&first);
    eventually(rig, conn_set_count(server_conns(rig->gateway.server)) == 1);
    struct client fourth = connect_to(port);
    at = 0;
    client_send(rig, &fourth, SIMPLE, 65536);
    assert_int_equal(await_reply(rig, &fourth, &at).status, 200);
    client_close(&second);
    client_close(&third);
    client_close(&fourth);
}

/* Those who are turned away together must not come back together. */
static void test_connections_when_many_are_turned_away_then_they_come_back_at_different_times(void **state)
{
    struct rig *rig = *state;
    unsigned seen = 0;
    rig->config.max_connections = 1;
    rig->config.address_share = 100;
    uint16_t port = listen_for(rig);
    struct client first = connect_to(port);
    show_token(rig, &first);
    for (size_t i = 0; i < 60; i++) {
        struct client client = connect_to(port);
        size_t at = 0;
        struct reply reply = await_reply(rig, &client, &at);
        const char *seconds = memmem(reply.head.data, reply.head.len, "Retry-After: ", 13);
        assert_non_null(seconds);
        assert_in_range(seconds[13], '1', '3');
        seen |= 1u << (seconds[13] - '1');
        client_close(&client);
    }
    assert_int_equal(seen, 7);
    client_close(&first);
}

static struct client known_from(struct rig *rig, uint8_t last, uint16_t port)
{
    struct client client = connect_from(last, port);
    show_token(rig, &client);
    return client;
}

static void test_connections_when_one_address_fills_the_table_with_tokens_then_it_gives_way_to_others(
    void **state)
{
    enum { TABLE = 6, MANY = 5 };
    struct rig *rig = *state;
    rig->config.max_connections = TABLE;
    rig->config.address_share = 99; /* of six: five */
    uint16_t port = listen_for(rig);
    struct client many[MANY], other = known_from(rig, 2, port);
    for (size_t i = 0; i < MANY; i++)
        many[i] = known_from(rig, 3, port);
    struct client second = known_from(rig, 2, port);
    await_end(rig, &many[0]); /* it waits longest for a request */
    struct client third = known_from(rig, 2, port);
    await_end(rig, &many[1]);
    size_t at = 0;
    struct client more = connect_from(2, port); /* each has three now */
    assert_int_equal(await_reply(rig, &more, &at).status, 503);
    assert_int_equal(conn_set_members(server_conns(rig->gateway.server)), TABLE);
    struct client fourth = known_from(rig, 4, port);
    await_end(rig, &many[2]); /* of the addresses that have three, the one that came to have so many first */
    struct client *const all[] = {&other,   &many[0], &many[1], &many[2], &many[3],
                                  &many[4], &second,  &third,   &more,    &fourth};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        client_close(all[i]);
}

static void test_connections_when_an_address_has_its_share_with_tokens_then_an_idle_one_of_it_ends(
    void **state)
{
    struct rig *rig = *state;
    rig->config.max_connections = 4;
    rig->config.address_share = 50;
    uint16_t port = listen_for(rig);
    struct client first = known_from(rig, 1, port), second = known_from(rig, 1, port);
    struct client third = known_from(rig, 1, port);
    await_end(rig, &first);
    CLEANUP(buf_done) struct buf request; /* a write that waits is in work */
    buf_init(&request, 8192);
    client_send(rig, &second, write_request(rig, &request, "", "{\"name\":\"x\"}"), 65536);
    eventually(rig, commands_waiting(rig->gateway.commands) == 1);
    struct client fourth = known_from(rig, 1, port);
    await_end(rig, &third);
    client_send(rig, &fourth, buf_slice(&request), 65536);
    eventually(rig, commands_waiting(rig->gateway.commands) == 2);
    size_t at = 0;
    struct client fifth = connect_to(port);
    assert_int_equal(await_reply(rig, &fifth, &at).status, 503);
    client_close(&first);
    client_close(&second);
    client_close(&third);
    client_close(&fourth);
    client_close(&fifth);
    eventually(rig, commands_waiting(rig->gateway.commands) == 0);
}

static void test_connections_when_as_many_as_allowed_then_the_oldest_stranger_makes_room(void **state)
{
    struct rig *rig = *state;
    rig->config.max_connections = 3;
    rig->config.address_share = 100;
    rig->config.head_timeout_ms = 60000;
    uint16_t port = listen_for(rig);
    struct client known = connect_to(port);
    show_token(rig, &known);
    struct client first = connect_to(port), second = connect_to(port);
    client_send(rig, &first, SLICE("GET /"), 65536);
    eventually(rig, conn_set_count(server_conns(rig->gateway.server)) == 3);
    struct client third = connect_to(port);
    size_t at = 0, of_first = 0, of_second = 0;
    client_send(rig, &third, SIMPLE, 65536);
    assert_int_equal(await_reply(rig, &third, &at).status, 200);
    assert_int_equal(await_reply(rig, &first, &of_first).status, 503); /* it had begun a request */
    await_end(rig, &first);
    struct client fourth = connect_to(port);
    at = 0;
    client_send(rig, &fourth, SIMPLE, 65536);
    assert_int_equal(await_reply(rig, &fourth, &at).status, 200);
    await_end(rig, &second);
    assert_int_equal(of_second, buf_len(&second.read)); /* it had not */
    assert_int_equal(conn_set_members(server_conns(rig->gateway.server)), 3);
    client_close(&known);
    client_close(&first);
    client_close(&second);
    client_close(&third);
    client_close(&fourth);
}

/* How much the kernel takes for one who reads nothing. */
static size_t taken_unread(struct rig *rig, int64_t socket_unsent_bytes)
{
    enum { PLENTY = 8 << 20 };
    static char plenty[PLENTY];
    rig->config.socket_unsent_bytes = socket_unsent_bytes;
    struct client client = connect_to(listen_for(rig));
    eventually(rig, conn_set_count(server_conns(rig->gateway.server)) == 1);
    struct conn *conn = server_conns(rig->gateway.server)->all;
    conn_set_known(conn);
    conn_write(conn, (struct slice){plenty, PLENTY});
    size_t before;
    do { /* it takes more as the other end acknowledges what its buffer holds */
        before = conn_output(conn);
        for (int i = 0; i < 20; i++)
            turn(rig);
    } while (conn_output(conn) < before);
    size_t taken = PLENTY - before;
    client_close(&client);
    eventually(rig, conn_set_count(server_conns(rig->gateway.server)) == 0);
    return taken;
}

static void test_socket_when_nobody_reads_then_what_the_kernel_holds_is_bounded(void **state)
{
    enum { SMALL = 16 * 1024, LARGE = 64 << 20, SEGMENT = 64 * 1024 };
    struct rig *rig = *state;
    rig->config.max_output_bytes = 64 << 20;
    size_t unbounded = taken_unread(rig, LARGE), bounded = taken_unread(rig, SMALL);
    /* Without a bound: the send buffer as well as what the other end takes. */
    assert_true(unbounded > bounded + 4 * SEGMENT);
    assert_true(bounded > SMALL);
}

/* Takes every descriptor that is left; the next one is more than the limit allows. */
static size_t exhaust_descriptors(int *held, size_t count, struct rlimit *ret_before)
{
    size_t used = 0;
    getrlimit(RLIMIT_NOFILE, ret_before);
    const struct rlimit low = {.rlim_cur = 256, .rlim_max = ret_before->rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (int fd; used < count && (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;)
        held[used++] = fd;
    assert_int_equal(errno, EMFILE);
    return used;
}

static void test_descriptors_when_exhausted_turn_clients_away_until_there_are_some(void **state)
{
    struct rig *rig = *state;
    uint16_t port = listen_for(rig);
    struct client away = connect_to(port);
    struct rlimit before;
    int held[256];
    log_init("test", LOG_ERROR + 1);
    size_t used = exhaust_descriptors(held, ARRAY_LEN(held), &before);
    size_t at = 0;
    assert_int_equal(await_reply(rig, &away, &at).status, 503);
    while (used > 0)
        close(held[--used]);
    setrlimit(RLIMIT_NOFILE, &before);
    struct client welcome = connect_to(port);
    at = 0;
    client_send(rig, &welcome, SIMPLE, 65536);
    assert_int_equal(await_reply(rig, &welcome, &at).status, 200);
    client_close(&away);
    client_close(&welcome);
}

static void test_drain_when_clients_wait_in_the_queue_serves_them(void **state)
{
    struct rig *rig = *state;
    bool drained = false;
    rig->config.drain_ms = 2000;
    uint16_t port = listen_for(rig);
    struct client clients[8];
    size_t at;
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        clients[i] = connect_to(port);
        assert_int_equal(send(clients[i].fd, simple, sizeof(simple) - 1, 0), (ssize_t)sizeof(simple) - 1);
    }
    server_drain(rig->gateway.server, on_drained, &drained);
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        at = 0;
        assert_has(await_reply(rig, &clients[i], &at).head, "\r\nConnection: close\r\n");
        client_close(&clients[i]);
    }
    eventually(rig, drained);
}

/* Refused, its client would not know that it may come back at once. */
static void test_drain_when_an_upgrade_is_under_way_then_it_is_made_and_sent_away_with_the_code(void **state)
{
    static const char handshake[] =
        "GET /connection/websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct rig *rig = *state;
    bool drained = false;
    rig->config.drain_ms = 1000;
    struct client client = client_open(rig);
    size_t at = 0;
    turn(rig);
    server_drain(rig->gateway.server, on_drained, &drained);
    client_send(rig, &client, SLICE(handshake), 65536);
    assert_int_equal(await_reply(rig, &client, &at).status, 101);
    eventually(rig, (client_read(&client), buf_len(&client.read) >= at + 4));
    const unsigned char *frame = (const unsigned char *)buf_data(&client.read) + at;
    assert_int_equal(frame[0], 0x88);
    assert_int_equal(frame[2] << 8 | frame[3], 3001);
    client_close(&client);
    eventually(rig, drained);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request_when_fed_in_any_portions_is_answered_once),
        TEST(test_request_when_cut_anywhere_and_ended_is_not_answered),
        TEST(test_answer_when_ok_has_the_headers_it_must_have),
        TEST(test_correlation_id_when_not_sane_is_replaced),
        TEST(test_head_when_answered_has_the_length_and_no_body),
        TEST(test_http_1_0_when_asked_to_keep_alive_does_and_otherwise_closes),
        TEST(test_connection_close_when_asked_ignores_what_follows),
        TEST(test_connect_when_it_has_a_body_then_nothing_behind_it_is_answered),
        TEST(test_method_when_not_allowed_is_told_what_is),
        TEST(test_token_when_wrong_is_challenged_with_the_reason),
        TEST(test_cors_when_the_origin_is_listed_allows_it_and_no_other),
        TEST(test_cors_when_the_request_will_be_refused_then_its_preflight_is_not),
        TEST(test_cors_when_the_head_is_too_long_then_its_preflight_is_answered_all_the_same),
        TEST(test_head_when_refused_early_has_no_body),
        TEST(test_cors_when_refused_early_then_the_page_may_read_it),
        TEST(test_cors_when_the_head_is_too_large_then_the_page_may_read_it),
        TEST(test_request_when_malformed_is_refused_and_the_connection_closed),
        TEST(test_request_when_malformed_behind_a_good_one_is_refused_alone),
        TEST(test_head_when_larger_than_the_bound_is_refused_and_up_to_it_is_not),
        TEST(test_fields_when_more_than_the_bound_are_refused_and_up_to_it_are_not),
        TEST(test_body_when_larger_than_the_bound_is_refused_and_up_to_it_is_not),
        TEST(test_chunks_when_many_and_small_sum_up_to_the_bound),
        TEST(test_chunk_framing_when_endless_is_refused),
        TEST(test_head_when_slow_is_timed_out),
        TEST(test_body_when_slow_is_timed_out),
        TEST(test_connection_when_idle_is_closed_without_a_word),
        TEST(test_connection_when_idle_after_an_answer_is_closed),
        TEST(test_peer_when_it_does_not_read_is_cut_off),
        TEST(test_requests_when_pipelined_are_answered_in_order),
        TEST(test_requests_when_the_peer_reads_late_are_all_answered),
        TEST(test_request_when_behind_one_that_waits_is_answered_after_it),
        TEST(test_input_when_a_request_waits_is_bounded),
        TEST(test_peer_when_it_has_sent_its_last_byte_still_gets_its_answer),
        TEST(test_call_when_its_client_goes_away_is_forgotten),
        TEST(test_expect_when_the_body_is_wanted_is_told_to_go_on),
        TEST(test_expect_when_refused_by_the_head_gets_the_refusal_at_once),
        TEST(test_write_when_it_cannot_be_accepted_says_why),
        TEST(test_write_when_the_media_type_is_wrong_is_refused),
        TEST(test_write_when_the_role_may_not_is_forbidden),
        TEST(test_write_when_too_many_wait_is_refused_at_once),
        TEST(test_drain_when_a_request_waits_answers_it_and_closes),
        TEST(test_drain_when_a_request_has_arrived_unread_answers_it),
        TEST(test_drain_when_somebody_does_not_leave_ends_by_itself),
        TEST(test_listen_when_the_address_is_wrong_says_so),
        TEST(test_connections_when_as_many_as_allowed_have_a_token_turn_others_away),
        TEST(test_connections_when_many_are_turned_away_then_they_come_back_at_different_times),
        TEST(test_connections_when_one_address_fills_the_table_with_tokens_then_it_gives_way_to_others),
        TEST(test_connections_when_an_address_has_its_share_with_tokens_then_an_idle_one_of_it_ends),
        TEST(test_connections_when_as_many_as_allowed_then_the_oldest_stranger_makes_room),
        TEST(test_descriptors_when_exhausted_turn_clients_away_until_there_are_some),
        TEST(test_socket_when_nobody_reads_then_what_the_kernel_holds_is_bounded),
        TEST(test_drain_when_clients_wait_in_the_queue_serves_them),
        TEST(test_drain_when_an_upgrade_is_under_way_then_it_is_made_and_sent_away_with_the_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
