/* Requests to other people's servers: a server of our own on loopback that says, octet for octet, what each test
 * wants. Over TLS: processes that show certificates of a CA of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/wait.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/net/http_client.h"

enum { WAIT_LIMIT_S = 60, PEERS_MAX = 64, GOT_MAX = 65536, BODY_MAX = 16, ANSWER_MAX = 4096 };

struct peer {
    ev_io io;
    struct buf got;
    bool is_closed;
};

/* What the server does with a request as soon as its header and body are whole. */
struct server {
    int fd;
    ev_io io;
    int port;
    int opened;
    struct peer peers[PEERS_MAX];
    const char *says_before; /* to whatever comes first, NULL: nothing */
    const char *says;        /* NULL: nothing */
    size_t says_len;         /* 0: strlen */
    bool hangs_up;           /* afterwards */
    const char *more;        /* what it then says again and again */
    ev_timer again;
};

struct told {
    int count;
    struct http_answer answer;
    char header[ANSWER_MAX], body[64], why[256];
};

static struct ev_loop *loop;
static struct server server;
static struct address_guard *guard;
static struct http_client *client;
static struct http_client_options options;
static struct told told;

/* ---- the server ---- */

static bool is_whole(const struct peer *peer)
{
    const char *data = buf_data(&peer->got), *end = memmem(data, buf_len(&peer->got), "\r\n\r\n", 4);
    const char *length = memmem(data, buf_len(&peer->got), "Content-Length: ", 16);
    return end &&
           buf_len(&peer->got) >= (size_t)(end - data) + 4 + (length ? strtoul(length + 16, NULL, 10) : 0);
}

static void say(struct peer *peer, const char *text, size_t len)
{
    if (text)
        (void)!send(peer->io.fd, text, len ? len : strlen(text), MSG_NOSIGNAL);
    if (server.hangs_up && !peer->is_closed)
        shutdown(peer->io.fd, SHUT_RDWR);
}

static void on_again(struct ev_loop *l, ev_timer *w, int events)
{
    (void)l, (void)w, (void)events;
    for (int i = 0; server.more && i < server.opened; i++)
        if (!server.peers[i].is_closed && is_whole(&server.peers[i]))
            say(&server.peers[i], server.more, 0);
}

static void on_octets(struct ev_loop *l, ev_io *io, int events)
{
    (void)events;
    struct peer *peer = CONTAINER_OF(io, struct peer, io);
    char *at = buf_reserve(&peer->got, 4096);
    assert_non_null(at);
    ssize_t n = recv(io->fd, at, 4096, 0);
    if (n <= 0) {
        ev_io_stop(l, io);
        close(io->fd);
        peer->is_closed = true;
        return;
    }
    buf_commit(&peer->got, (size_t)n);
    if (server.says_before)
        say(peer, server.says_before, 0);
    if (is_whole(peer))
        say(peer, server.says, server.says_len);
}

static void on_connection(struct ev_loop *l, ev_io *io, int events)
{
    (void)events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0 && server.opened < PEERS_MAX);
    struct peer *peer = &server.peers[server.opened++];
    buf_init(&peer->got, GOT_MAX);
    ev_io_init(&peer->io, on_octets, fd, EV_READ);
    ev_io_start(l, &peer->io);
}

static int free_port(int *ret_fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(*ret_fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin_port);
}

static int set_up_allowing(const char *allow)
{
    loop = ev_loop_new(0);
    server = (struct server){.says = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Kind: \t good \r\n\r\nok"};
    server.port = free_port(&server.fd);
    assert_int_equal(listen(server.fd, PEERS_MAX), 0);
    ev_io_init(&server.io, on_connection, server.fd, EV_READ);
    ev_io_start(loop, &server.io);
    ev_timer_init(&server.again, on_again, 0.01, 0.01);
    ev_timer_start(loop, &server.again);
    guard = address_guard_new(allow);
    options = (struct http_client_options){.guard = guard, .user_agent = "Test", .idle_connections_max = 8};
    client = http_client_new(loop, &options);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_allowing("127.0.0.0/8");
}

static int set_up_public(void **state)
{
    (void)state;
    return set_up_allowing("");
}

static int tear_down(void **state)
{
    (void)state;
    http_client_free(client);
    address_guard_free(guard);
    for (int i = 0; i < server.opened; i++) {
        if (!server.peers[i].is_closed)
            close(server.peers[i].io.fd);
        buf_done(&server.peers[i].got);
    }
    close(server.fd);
    ev_loop_destroy(loop);
    return 0;
}

/* ---- asking ---- */

static void on_done(void *arg, const struct http_answer *answer)
{
    struct told *t = arg;
    t->count++;
    t->answer = *answer;
    snprintf(t->header, sizeof(t->header), "%.*s", (int)answer->header.len, answer->header.data);
    assert_true(answer->body.len < sizeof(t->body));
    memcpy(t->body, answer->body.data, answer->body.len);
    t->body[answer->body.len] = '\0';
    snprintf(t->why, sizeof(t->why), "%s", answer->why ? answer->why : "");
    assert_true((answer->outcome == HTTP_ANSWERED) == !answer->why);
}

static struct http_exchange *send_by(const char *method, const char *url, double limit_s)
{
    static const char *const headers[] = {"Content-Type: application/json", "X-One: 1", NULL};
    const struct http_request request = {.method = method,
                                         .url = url,
                                         .headers = headers,
                                         .body = method[0] == 'P' ? SLICE("{\"a\":1}") : SLICE_NONE,
                                         .limit_s = limit_s,
                                         .body_max = BODY_MAX,
                                         .answer_max = ANSWER_MAX};
    memset(&told, 0, sizeof(told));
    struct http_exchange *exchange = http_client_send(client, &request, on_done, &told);
    assert_int_equal(told.count, 0);
    return exchange;
}

static void wait_until_told(void)
{
    int64_t limit = clock_monotonic_us() + WAIT_LIMIT_S * 1000000LL;
    while (told.count == 0) {
        assert_true(clock_monotonic_us() < limit);
        ev_run(loop, EVRUN_ONCE);
    }
}

static void ask_within(const char *url, double limit_s)
{
    (void)send_by("POST", url, limit_s);
    wait_until_told();
}

static const char *own_url(void)
{
    static char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/in?x=1", server.port);
    return url;
}

static void ask_own(void)
{
    ask_within(own_url(), 30);
}

/* ---- what goes out and comes back ---- */

static void test_send_when_it_is_answered_then_the_request_is_what_was_asked_for(void **state)
{
    (void)state;
    ask_own();
    assert_int_equal(told.answer.outcome, HTTP_ANSWERED);
    assert_int_equal(told.answer.status, 200);
    assert_string_equal(told.body, "ok");
    assert_string_equal(told.header, "Content-Length: 2\r\nX-Kind: \t good \r\n");
    assert_false(told.answer.is_cut);
    assert_true(told.answer.may_have_arrived);

    struct slice got = buf_slice(&server.peers[0].got);
    assert_int_equal(strncmp(got.data, "POST /in?x=1 HTTP/1.1\r\n", 23), 0);
    assert_non_null(memmem(got.data, got.len, "\r\nX-One: 1\r\n", 12));
    assert_non_null(memmem(got.data, got.len, "\r\nUser-Agent: Test\r\n", 20));
    assert_non_null(memmem(got.data, got.len, "\r\nContent-Type: application/json\r\n", 34));
    assert_null(memmem(got.data, got.len, "Expect", 6));
    assert_int_equal(memcmp(got.data + got.len - 11, "\r\n\r\n{\"a\":1}", 11), 0);
}

static void test_header_when_an_answer_has_lines_then_found_without_case_and_space(void **state)
{
    (void)state;
    const struct http_answer answer = {
        .header = SLICE("A: 1\r\nRetry-After:\t120 \r\nEmpty:\r\nRetry-After: 5\r\nNo colon\r\n")};
    assert_true(slice_is(http_answer_header(&answer, "retry-after"), "120"));
    assert_true(slice_is(http_answer_header(&answer, "a"), "1"));
    assert_true(slice_is(http_answer_header(&answer, "EMPTY"), ""));
    assert_null(http_answer_header(&answer, "retry").data);
    assert_null(http_answer_header(&answer, "no colon").data);
}

static void test_send_when_one_follows_another_then_the_connection_is_used_again(void **state)
{
    (void)state;
    ask_own();
    ask_own();
    assert_int_equal(told.answer.status, 200);
    assert_int_equal(server.opened, 1);
}

static void test_send_when_it_is_redirected_then_the_redirect_is_the_answer(void **state)
{
    (void)state;
    server.says = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    ask_own();
    assert_int_equal(told.answer.outcome, HTTP_ANSWERED);
    assert_int_equal(told.answer.status, 302);
    assert_int_equal(server.opened, 1);
}

static void test_send_when_interim_answers_come_first_then_the_last_one_counts(void **state)
{
    (void)state;
    server.says = "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
                  "HTTP/1.1 204 No Content\r\nX-Last: yes\r\n\r\n";
    ask_own();
    assert_int_equal(told.answer.outcome, HTTP_ANSWERED);
    assert_int_equal(told.answer.status, 204);
    assert_string_equal(told.header, "X-Last: yes\r\n");
}

static void test_send_when_the_answer_has_any_octets_then_they_are_kept(void **state)
{
    (void)state;
    static const char says[] = "HTTP/1.1 500 Bad\r\nContent-Length: 5\r\n\r\na\0b\xff\n";
    server.says = says;
    server.says_len = sizeof(says) - 1;
    ask_own();
    assert_int_equal(told.answer.status, 500);
    assert_int_equal(told.answer.body.len, 5);
    assert_memory_equal(told.body, "a\0b\xff\n", 5);
}

/* ---- broken and hostile servers ---- */

static void test_send_when_the_body_is_longer_than_is_kept_then_cut_and_answered(void **state)
{
    (void)state;
    server.says = "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n012345678901234567890123456789";
    ask_own();
    assert_int_equal(told.answer.outcome, HTTP_ANSWERED);
    assert_string_equal(told.body, "0123456789012345");
    assert_true(told.answer.is_cut);
}

static void test_send_when_the_body_never_ends_then_its_status_counts(void **state)
{
    (void)state;
    static char more[2048];
    snprintf(more, sizeof(more), "%01900d", 0);
    server.says = "HTTP/1.1 201 Created\r\n\r\n";
    server.more = more;
    ask_own();
    assert_int_equal(told.answer.outcome, HTTP_ANSWERED);
    assert_int_equal(told.answer.status, 201);
    assert_true(told.answer.is_cut);
}

static void test_send_when_the_header_or_interim_answers_never_end_then_broken(void **state)
{
    (void)state;
    static char line[512];
    snprintf(line, sizeof(line), "X-Long: %0480d\r\n", 0);
    const char *const endless[] = {line, "HTTP/1.1 100 Continue\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(endless); i++) {
        server.says = i == 0 ? "HTTP/1.1 200 OK\r\n" : endless[1];
        server.more = endless[i];
        ask_own();
        assert_int_equal(told.answer.outcome, HTTP_BROKEN);
        assert_non_null(strstr(told.why, "larger than"));
    }
}

static void test_send_when_the_server_says_nothing_or_too_slowly_then_timed_out(void **state)
{
    (void)state;
    static const char *const says[] = {NULL, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"};
    for (size_t i = 0; i < ARRAY_LEN(says); i++) {
        server.says = says[i];
        ask_within(own_url(), 0.3);
        assert_int_equal(told.answer.outcome, HTTP_TIMED_OUT);
        assert_true(told.answer.may_have_arrived);
    }
}

static void test_send_when_the_connection_ends_or_no_http_comes_then_broken(void **state)
{
    (void)state;
    static const char nul[] = "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n";
    static const char *const says[] = {NULL, "HTTP/1.1 200 OK\r\nContent-Le", "SSH-2.0-OpenSSH_9.2\r\n",
                                       "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1", nul};
    server.hangs_up = true;
    for (size_t i = 0; i < ARRAY_LEN(says); i++) {
        server.says = says[i];
        server.says_len = says[i] == nul ? sizeof(nul) - 1 : 0;
        ask_own();
        assert_int_equal(told.answer.outcome, HTTP_BROKEN);
        assert_string_not_equal(told.why, "");
    }
}

static void test_send_when_nobody_listens_then_unreached_and_nothing_arrived(void **state)
{
    (void)state;
    char url[64];
    int fd, port = free_port(&fd);
    close(fd);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
    ask_within(url, 30);
    assert_int_equal(told.answer.outcome, HTTP_UNREACHED);
    assert_false(told.answer.may_have_arrived);
}

static void test_send_when_the_host_has_no_address_then_not_found(void **state)
{
    (void)state;
    options.dns_servers = "127.0.0.1:9";
    ask_within("http://no-such-host.invalid/", 30);
    assert_int_equal(told.answer.outcome, HTTP_NOT_FOUND);
}

/* ---- walls ---- */

static void test_send_when_an_address_is_not_public_then_refused_in_every_spelling(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "0x7f.0.0.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:7f00:1]",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "127.0.0.1.",
    };
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        char url[128];
        snprintf(url, sizeof(url), "https://%s:%d/", hosts[i], server.port);
        ask_within(url, 30);
        if (told.answer.outcome != HTTP_REFUSED && told.answer.outcome != HTTP_NOT_FOUND)
            fail_msg("%s: outcome %d, %s", hosts[i], (int)told.answer.outcome, told.why);
        assert_false(told.answer.may_have_arrived);
    }
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(server.opened, 0);
}

static void test_send_when_the_url_is_none_then_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "",
        "nonsense://h/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://user@127.0.0.1/",
        "http://u:p@127.0.0.1/",
        "http:///",
        "http://[fe80::1%25lo]/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\n",
        "http://b\xc3\xbcro.example/",
        "gopher://127.0.0.1/",
        "http://[::1/",
        "http://127.0.0.1:99999/",
    };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        assert_non_null(http_url_refuses(urls[i]));
        ask_within(urls[i], 30);
        assert_int_equal(told.answer.outcome, HTTP_REFUSED);
    }
    assert_null(http_url_refuses("https://example.com/hooks?a=%20b#c"));
}

static void test_send_when_it_is_plain_and_the_address_is_public_then_refused(void **state)
{
    (void)state;
    ask_within("http://192.0.1.1/", 30);
    assert_int_equal(told.answer.outcome, HTTP_REFUSED);
    assert_non_null(strstr(told.why, "TLS"));
}

static void test_send_when_a_header_line_would_be_two_then_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {"X: 1\r\nY: 2", "X: 1\nY", "nothing"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        const char *const headers[] = {lines[i], NULL};
        const struct http_request request = {
            .method = "GET", .url = own_url(), .headers = headers, .limit_s = 30};
        memset(&told, 0, sizeof(told));
        assert_non_null(http_client_send(client, &request, on_done, &told));
        wait_until_told();
        assert_int_equal(told.answer.outcome, HTTP_REFUSED);
    }
    assert_int_equal(server.opened, 0);
}

static void test_send_when_the_environment_names_a_proxy_then_it_is_not_used(void **state)
{
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    setenv("all_proxy", "http://127.0.0.1:9", 1);
    ask_own();
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    assert_int_equal(told.answer.status, 200);
}

/* ---- over TLS ---- */

struct certificate {
    const char *host;
    long from_s, until_s; /* from now */
};

static EVP_PKEY *ca_key;
static X509 *ca;

static void add_extension(X509 *certificate, int id, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, id, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* issuer: NULL for one that vouches for itself, and for others. */
static X509 *make_certificate(const struct certificate *about, EVP_PKEY *key, X509 *issuer,
                              EVP_PKEY *issuer_key)
{
    static long serial;
    char name[128];
    X509 *certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), about->from_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate), about->until_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)about->host, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer ? issuer : certificate));
    X509_set_pubkey(certificate, key);
    snprintf(name, sizeof(name), "DNS:%s", about->host);
    add_extension(certificate, issuer ? NID_subject_alt_name : NID_basic_constraints,
                  issuer ? name : "critical,CA:TRUE");
    assert_true(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
    return certificate;
}

static _Noreturn void serve_tls(int fd, X509 *certificate, EVP_PKEY *key)
{
    static const char says[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    char got[4096];
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(ctx, certificate);
    SSL_CTX_use_PrivateKey(ctx, key);
    signal(SIGPIPE, SIG_IGN);
    (void)fcntl(fd, F_SETFL, 0);
    for (;;) {
        int peer = accept(fd, NULL, NULL);
        SSL *ssl = SSL_new(ctx);
        SSL_set_fd(ssl, peer);
        if (SSL_accept(ssl) == 1 && SSL_read(ssl, got, sizeof(got)) > 0) {
            SSL_write(ssl, says, sizeof(says) - 1);
            SSL_shutdown(ssl);
        }
        SSL_free(ssl);
        close(peer);
    }
}

/* Asks for https://HOST/ at a server that shows the certificate. */
static void ask_tls(const char *host, const struct certificate *about, bool is_of_ca)
{
    char url[64];
    int fd, port = free_port(&fd);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = make_certificate(about, key, is_of_ca ? ca : NULL, is_of_ca ? ca_key : key);
    assert_int_equal(listen(fd, PEERS_MAX), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        serve_tls(fd, certificate, key);
    close(fd);
    snprintf(url, sizeof(url), "https://%s:%d/", host, port);
    (void)send_by("GET", url, 30);
    wait_until_told();
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void write_ca(const char *path)
{
    static const struct certificate about = {"ca.example", -86400, 86400};
    ca_key = EVP_EC_gen("P-256");
    ca = make_certificate(&about, ca_key, NULL, ca_key);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, ca), 1);
    assert_int_equal(fclose(file), 0);
}

static void test_send_over_tls_then_only_a_trusted_certificate_of_the_host_counts(void **state)
{
    (void)state;
    enum { DAY = 86400 };
    static const struct certificate good = {"localhost", -DAY, DAY};
    static const struct {
        const char *host;
        struct certificate certificate;
        bool is_of_ca;
        const char *why;
    } bad[] = {
        {"localhost", {"localhost", -DAY, DAY}, false, "self-signed"},
        {"localhost", {"localhost", -2 * DAY, -DAY}, true, "expired"},
        {"localhost", {"localhost", DAY, 2 * DAY}, true, "not yet valid"},
        {"localhost", {"other.example", -DAY, DAY}, true, "no alternative certificate subject name matches"},
        {"127.0.0.1", {"localhost", -DAY, DAY}, true, "no alternative certificate subject name matches"},
    };
    char ca_file[] = "/tmp/test_http_client.XXXXXX";
    close(mkstemp(ca_file));
    write_ca(ca_file);
    options.ca_file = ca_file;

    ask_tls("localhost", &good, true);
    if (told.answer.outcome != HTTP_ANSWERED)
        fail_msg("%s", told.why);
    assert_string_equal(told.body, "ok");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ask_tls(bad[i].host, &bad[i].certificate, bad[i].is_of_ca);
        if (told.answer.outcome != HTTP_UNREACHED || !strstr(told.why, bad[i].why))
            fail_msg("%s: outcome %d, %s", bad[i].why, (int)told.answer.outcome, told.why);
        assert_false(told.answer.may_have_arrived);
    }
    options.ca_file = NULL; /* one that is good is not, when the system's certificates count */
    ask_tls("localhost", &good, true);
    assert_int_equal(told.answer.outcome, HTTP_UNREACHED);

    (void)unlink(ca_file);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
}

static void test_send_over_tls_when_the_handshake_stalls_or_is_none_then_it_ends(void **state)
{
    (void)state;
    char url[64];
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/", server.port);
    ask_within(url, 0.3); /* the server waits for the end of a header */
    assert_int_equal(told.answer.outcome, HTTP_TIMED_OUT);
    assert_false(told.answer.may_have_arrived);

    server.says_before = "HTTP/1.1 400 Bad Request\r\n\r\n";
    ask_within(url, 30);
    assert_int_equal(told.answer.outcome, HTTP_UNREACHED);
    assert_false(told.answer.may_have_arrived);
}

/* ---- ending early ---- */

static void test_cancel_when_it_is_anywhere_on_its_way_then_nothing_is_told(void **state)
{
    (void)state;
    server.says = NULL;
    for (int turns = 0; turns < 8; turns++) {
        struct http_exchange *exchange = send_by("POST", own_url(), 30);
        for (int i = 0; i < turns; i++)
            ev_run(loop, EVRUN_ONCE);
        http_exchange_cancel(exchange);
        assert_int_equal(told.count, 0);
    }
    http_exchange_cancel(NULL);
    server.says = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    ask_own();
    assert_int_equal(told.answer.status, 200);
    (void)send_by("POST", own_url(), 30); /* under way as the client ends */
    ev_run(loop, EVRUN_ONCE);
}

static void test_send_when_many_hang_then_each_ends_by_its_own_limit(void **state)
{
    (void)state;
    enum { MANY = 50 };
    static const struct http_request hanging = {
        .method = "GET", .limit_s = 0.5, .body_max = 1, .answer_max = 64};
    struct http_request request = hanging;
    server.says = NULL;
    request.url = own_url();
    memset(&told, 0, sizeof(told));
    for (int i = 0; i < MANY; i++)
        assert_non_null(http_client_send(client, &request, on_done, &told));
    int64_t limit = clock_monotonic_us() + WAIT_LIMIT_S * 1000000LL;
    while (told.count < MANY) {
        assert_true(clock_monotonic_us() < limit);
        ev_run(loop, EVRUN_ONCE);
        assert_true(told.count == 0 || told.answer.outcome == HTTP_TIMED_OUT);
    }
}

#define WITH_SERVER(name)     cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define WITHOUT_ALLOWED(name) cmocka_unit_test_setup_teardown(name, set_up_public, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_send_when_it_is_answered_then_the_request_is_what_was_asked_for),
        cmocka_unit_test(test_header_when_an_answer_has_lines_then_found_without_case_and_space),
        WITH_SERVER(test_send_when_one_follows_another_then_the_connection_is_used_again),
        WITH_SERVER(test_send_when_it_is_redirected_then_the_redirect_is_the_answer),
        WITH_SERVER(test_send_when_interim_answers_come_first_then_the_last_one_counts),
        WITH_SERVER(test_send_when_the_answer_has_any_octets_then_they_are_kept),
        WITH_SERVER(test_send_when_the_body_is_longer_than_is_kept_then_cut_and_answered),
        WITH_SERVER(test_send_when_the_body_never_ends_then_its_status_counts),
        WITH_SERVER(test_send_when_the_header_or_interim_answers_never_end_then_broken),
        WITH_SERVER(test_send_when_the_server_says_nothing_or_too_slowly_then_timed_out),
        WITH_SERVER(test_send_when_the_connection_ends_or_no_http_comes_then_broken),
        WITH_SERVER(test_send_when_nobody_listens_then_unreached_and_nothing_arrived),
        WITH_SERVER(test_send_when_the_host_has_no_address_then_not_found),
        WITHOUT_ALLOWED(test_send_when_an_address_is_not_public_then_refused_in_every_spelling),
        WITH_SERVER(test_send_when_the_url_is_none_then_refused),
        WITHOUT_ALLOWED(test_send_when_it_is_plain_and_the_address_is_public_then_refused),
        WITH_SERVER(test_send_when_a_header_line_would_be_two_then_refused),
        WITH_SERVER(test_send_when_the_environment_names_a_proxy_then_it_is_not_used),
        WITH_SERVER(test_send_over_tls_then_only_a_trusted_certificate_of_the_host_counts),
        WITH_SERVER(test_send_over_tls_when_the_handshake_stalls_or_is_none_then_it_ends),
        WITH_SERVER(test_cancel_when_it_is_anywhere_on_its_way_then_nothing_is_told),
        WITH_SERVER(test_send_when_many_hang_then_each_ends_by_its_own_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
