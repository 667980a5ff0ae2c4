#pragma once
/* Requests to other people's HTTP servers, which may be slow, broken or hostile. libcurl on libev.
 *
 *   http_client_send ──▶ LOOKING_UP ── addresses, each judged ──▶ EXCHANGING ──▶ on_done
 *                            └──────────── none, or one refused ───────────────────▲
 *
 * The host is looked up, each address of the answer is judged by the guard, and the connection is made to one
 * that was judged and to nothing else; it is judged once more as its socket opens. So a name that answers
 * otherwise the second time leads nowhere. No redirect is followed, no proxy is used, no cookie and no
 * credential is kept.
 *
 * What must hold: each accepted request ends in exactly one on_done, within its limit_s, unless it is cancelled. What
 * comes in is bounded: `answer_max` octets of header and body in sum, `body_max` of which are kept. */

#include <ev.h>

#include <stdbool.h>
#include <stdint.h>

#include "common/base/macros.h"
#include "common/base/slice.h"
#include "common/net/address_guard.h"

struct http_client;
struct http_exchange;

struct http_client_options {
    const struct address_guard *guard; /* borrowed */
    const char *dns_servers;           /* as in dns_options */
    const char *ca_file;               /* certificates that are trusted; NULL or "": the system's */
    const char *user_agent;
    long idle_connections_max; /* kept open for the next request; those of single hosts are not counted */
};

struct http_request {
    const char *method; /* such as "POST" */
    const char *url; /* https; http only to addresses that the guard allows expressly. No user, no password */
    const char *const *headers; /* lines "Name: value", NULL at the end; copied */
    struct slice body;          /* must live until on_done */
    double limit_s;             /* for everything, from the look-up to the last octet */
    size_t body_max, answer_max;
};

enum http_outcome {
    HTTP_ANSWERED,  /* a status and a whole header; the body may be cut */
    HTTP_REFUSED,   /* the URL or an address is not allowed; nothing was sent */
    HTTP_NOT_FOUND, /* the name has no address */
    HTTP_UNREACHED, /* no connection, or no TLS that can be trusted */
    HTTP_BROKEN,    /* the connection ended, or what came is not HTTP, or is too much */
    HTTP_TIMED_OUT,
};

struct http_answer {
    enum http_outcome outcome;
    int status;            /* when HTTP_ANSWERED */
    struct slice header;   /* the lines of the last answer as they came, CR LF at the end of each */
    struct slice body;     /* as it came, at most body_max octets; any octets */
    bool is_cut;           /* there was more */
    bool may_have_arrived; /* some octet of the request was sent, so the other side may have acted */
    const char *why;       /* for people, when not HTTP_ANSWERED */
    double took_s;
};

/* The answer is valid during the call. Never called from inside http_client_send. */
typedef void http_on_done(void *arg, const struct http_answer *answer);

struct http_client *http_client_new(struct ev_loop *loop, const struct http_client_options *options);
/* Cancels what is under way. */
void http_client_free(struct http_client *client);

struct http_exchange *http_client_send(struct http_client *client, const struct http_request *request,
                                       http_on_done *on_done, void *arg) MUST_CHECK;
void http_exchange_cancel(struct http_exchange *exchange); /* NULL is allowed; not from inside on_done */

/* The value of a header line of an answer, without the white space around it; absent when there is none. The
 * first one of several. */
struct slice http_answer_header(const struct http_answer *answer, const char *name);

struct http_url {
    char host
        [256]; /* a name of DNS, or an address in its usual form without brackets; it may end with a dot */
    bool is_plain; /* http */
};

/* NULL, or why the URL cannot be asked at all, whatever its addresses are; then *ret_url is as it was. */
const char *http_url_read(const char *url, struct http_url *ret_url);
const char *http_url_refuses(const char *url);
