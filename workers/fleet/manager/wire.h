#pragma once
/* The messages among the managers of a pool, and the requests to them: JSON, on the exchange `control`.
 *
 *   pool.<pool>      an announcement, from every manager to all: each second, at once when something changes, and when
 *                    another manager asks for it
 *                    {"id", "host", "pid", "since", "wanted", "min", "max", "version", "set_by", "why", "resized",
 *                     "share", "asks"?, "leaves"?, "workers": [{"pid", "state", "since"}]}
 *   manager.<pool>   a request, to all of them: {} shows the pool, {"wanted": 6} sets its size, {"min": 2, "max": 8}
 *                    lets the size follow what waits, {"max": 0} ends that
 *   member.<pool>    the announcements of workers. Of a worker that died, its manager says {"host", "pid", "gone": true} */

#include "common/base/buf.h"
#include "common/process/host.h"
#include "workers/fleet/manager/view.h"

enum { MANAGER_MESSAGE_MAX = 128 << 10 };

struct manager_self {
    char host[HOST_SIZE];
    pid_t pid; /* of the parent, which takes the signals */
    int64_t since_ms;
};

/* ---- announcements ---- */

struct manager_announcement {
    struct uuid id;
    struct pool_size size; /* wanted 0: the manager does not know yet */
    bool asks, leaves;
};

void manager_write_announcement(struct buf *out, const struct manager_view *view,
                                const struct manager_self *self, const struct pool_report *report, bool asks);
/* *ret_said is the whole announcement, as a new reference. */
enum err manager_read_announcement(struct slice body, struct manager_announcement *ret_announcement,
                                   json_t **ret_said) MUST_CHECK;

/* ---- workers ---- */

void manager_write_death(struct buf *out, const struct manager_self *self, pid_t pid);

/* ---- requests ---- */

/* An empty wish asks to show the pool. */
enum err manager_read_request(struct slice body, struct pool_wish *ret_wish) MUST_CHECK;

/* The reason as people and messages say it: "depth". */
const char *manager_why_text(int32_t why);
