#pragma once
/* Many connections that ask one server, and what became of their requests.
 *
 * Closed loop: each connection asks again when it has its answer; what is answered between begin and end
 * counts. At a rate: requests go out at fixed times (pace.h), the next one on any connection that is free;
 * what was due between begin and end counts, from the time at which it was due. SIGTERM is the end, too. */

#include "tests/bench/client.h"
#include "tests/bench/histogram.h"
#include "tests/bench/pace.h"
#include "tests/bench/request.h"

enum { CROWD_STATUS_MAX = 600 };

struct crowd_options {
    int64_t connections;
    int64_t rate; /* per second; 0: closed loop */
    int64_t duration_s, warmup_s;
    int64_t requests; /* no more of them; 0: as many as there is time for */
};

struct crowd {
    const struct crowd_options *options;
    struct ev_loop *loop;
    struct client *clients;
    struct client **idle; /* a stack, used with a rate */
    size_t idle_count;
    struct request *requests; /* taken in turn */
    size_t request_count;
    struct pace pace;
    ev_timer over;
    ev_signal terminated;
    uint64_t issued, waiting; /* requests */
    int64_t begin_us, end_us;
    void (*on_sent)(void *ctx, uint64_t n,
                    int64_t started_us); /* may be NULL: the n-th request is on its way */
    void *ctx;

    uint64_t statuses[CROWD_STATUS_MAX];
    uint64_t broken;            /* the connection ended before the answer did */
    struct histogram latencies; /* of 2xx and 3xx */
};

/* Runs the loop until the time is over and everything is answered, or has not been for ten seconds. The
 * caller has set options, loop, requests and on_sent, and the rest to 0. */
void crowd_run(struct crowd *crowd, const struct sockaddr_storage *address, socklen_t address_len);
void crowd_done(struct crowd *crowd); /* the requests too */

double crowd_per_second(const struct crowd *crowd); /* of 2xx and 3xx */
/* `"ok":…,"per_second":…,"statuses":{…},"broken":…,"refused":…,"unanswered":…,` and the percentiles. */
void crowd_print_json(const struct crowd *crowd, FILE *out);
