#pragma once
/* The whole pool as one of its managers sees it, for operators (GET /v1/admin/pools/{pool}):
 *
 *   {"name": "projects", "wanted": 3, "why": "request", "resized_at", "changed_at", "autoscale": {"min", "max"} or null,
 *    "waiting": {"ready", "open", "parked", "oldest_ms"},
 *    "problems": [sentences (problems.h)],
 *    "managers": [{"id", "host", "pid", "since", "share",
 *                  "workers": [{"pid", "state", "since", "partitions": [], "open", "parked", "oldest_ms"}]}]}
 *
 * A worker that has said nothing yet is shown with its process and its state only. */

#include "workers/fleet/manager/load.h"
#include "workers/fleet/manager/strays.h"
#include "workers/fleet/manager/wire.h"

void manager_show(struct buf *out, const char *pool, const struct manager_view *view,
                  const struct manager_self *self, const struct pool_report *report,
                  const struct manager_load *load, const struct strays *strays);

/* In the form of every refusal: {"errors": [{"pointer", "detail"}]}. */
void manager_show_objection(struct buf *out, const char *field, const char *objection);
