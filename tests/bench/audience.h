#pragma once
/* Many listeners (listener.h). They connect with a given number of handshakes at a time, each with a token of its own, and then count what
 * comes: how old it is, what is missing and what came twice. */

#include "common/crypto/token.h"
#include "tests/bench/histogram.h"
#include "tests/bench/listener.h"

enum { AUDIENCE_CODES = 5000 };

struct audience_options {
    const struct uuid *companies; /* the n-th listener listens to company n modulo company_count */
    size_t company_count;
    const char *host, *path; /* path: {company} and {token} are filled in */
    bool unordered;          /* events come in any order, so nobody can say which is missing or repeated */
    bool centrifuge;         /* joins by that protocol; else the path says everything */
    int64_t listeners, stalled, at_once;
};

struct audience {
    const struct audience_options *options;
    struct ev_loop *loop;
    const struct token_keys *keys;
    const struct sockaddr_storage *address;
    socklen_t address_len;
    struct listener *listeners;
    uint64_t started, listening, gone;
    struct buf text;

    struct histogram handshakes; /* from connect to where it listens */
    int64_t connect_us;          /* all of them */

    int64_t begin_us, end_us;
    struct histogram ages;       /* of what was due between them */
    uint64_t delivered, in_time; /* in_time: that came between them */
    uint64_t repeated, gaps;
    uint64_t stalled_events;        /* to those that stall */
    uint64_t codes[AUDIENCE_CODES]; /* of close frames; 0: none came */
};

/* Connects all; the process ends when one cannot. */
void audience_connect(struct audience *audience);
void audience_stall(struct audience *audience, bool stalled);
void audience_done(struct audience *audience);
