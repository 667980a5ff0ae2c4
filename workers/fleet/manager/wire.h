#pragma once
/* The messages among the managers of a pool, and the requests to them: JSON, on the exchange `control`.
 *
 *   pool.<pool>      an announcement, from every manager to all: each second, at once when something changes, and when
 *                    another manager asks for it
 *                    {"id", "host", "pid", "since", "wanted", "min", "max", "version", "set_by", "why", "resized",
 *                     "changed", "share", "asks"?, "leaves"?, "workers": [{"pid", "state", "since"}]}
 *   manager.<pool>   a request, to all of them: {} shows the pool, {"wanted": 6} sets its size, {"min": 2, "max": 8}
 *                    lets the size follow what waits, {"max": 0} ends that. "at" is when it was sent (milliseconds
 *                    since 1970), which becomes the time of the change at every manager. "if": {"match", "none_match"}
 *                    are conditions on the time of the last change, each "*" or a list of times
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

struct manager_request {
    struct pool_wish wish; /* an empty one asks to show the pool */
    int64_t at_ms;         /* 0: an older gateway sent it, and does not say */
    json_t *conditions;    /* a new reference; NULL: none */
};

enum err manager_read_request(struct slice body, struct manager_request *ret_request) MUST_CHECK;
/* Whether the conditions allow a change of a size that was last changed then. */
bool manager_conditions_hold(const json_t *conditions, int64_t changed_ms);

/* The reason as people and messages say it: "depth". */
const char *manager_why_text(int32_t why);
