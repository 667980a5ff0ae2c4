#pragma once
/* The whole pool as one of its managers sees it, for those who ask (GET /v1/admin/pools/{pool}):
 *
 *   {"name": "projects", "wanted": 3,
 *    "managers": [{"id", "host", "pid", "since", "share", "workers": [{"pid", "state", "since"}]}]} */

#include "workers/manager_wire.h"

void manager_show(struct buf *out, const char *pool, const struct manager_view *view,
                  const struct manager_self *self, const struct pool_report *report);
