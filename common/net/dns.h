#pragma once
/* Asks name servers for the addresses of a host, on the event loop (c-ares). /etc/hosts counts, too, as far as
 * /etc/nsswitch.conf and /etc/resolv.conf say so; they are read at each question.
 *
 * A question lives from dns_ask until its on_answer has returned or dns_cancel was called. It ends by itself after
 * 15 s at most, whatever the servers do. */

#include <ev.h>
#include <sys/socket.h>

#include <stdbool.h>
#include <stddef.h>

#include "common/base/macros.h"

struct dns_question;

struct dns_address {
    struct sockaddr_storage socket; /* IPv4 or IPv6; its port is 0 */
    socklen_t size;
};

/* All addresses of the host in the order of RFC 6724, valid during the call. When there is none, count is 0 and
 * `why` says why; it is NULL otherwise. Never called from inside dns_ask. */
typedef void dns_on_answer(void *arg, const struct dns_address *addresses, size_t count, const char *why);

struct dns_options {
    const char *servers; /* "address[:port]" of name servers, separated by commas; NULL or "": the system's */
    bool is_absolute; /* the host is looked up as it is, and never below the search domains of the system */
};

/* Asks for both families. A host that is an address needs no server, and is its own answer. */
struct dns_question *dns_ask(struct ev_loop *loop, const struct dns_options *options, const char *host,
                             dns_on_answer *on_answer, void *arg) MUST_CHECK;
void dns_cancel(struct dns_question *question); /* NULL is allowed; not from inside on_answer */
