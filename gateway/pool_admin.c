/* What operators ask of a worker pool; one of its managers answers for all of them (workers/manager.h). */

#include <stdio.h>

#include "common/json.h"
#include "common/msg_problem.h"
#include "gateway/admin.h"
#include "gateway/control.h"
#include "gateway/routes.h"

enum { KEY_SIZE = 96 };

static void ask(struct call *call, const char *body)
{
    char key[KEY_SIZE];
    snprintf(key, sizeof(key), "manager.%.*s", (int)call->params[0].len, call->params[0].data);
    control_ask(call, key, SLICE_NONE, slice_of(body));
}

void pool_show(struct call *call)
{
    ask(call, "{}");
}

static void refuse_empty(struct call *call)
{
    struct msg_problems problems = {.arena = &call->arena};
    msg_problem_add(&problems, &(struct msg_place){.name = "wanted"}, "is missing, as are min and max");
    call_fail_fields(call, ERR_VALIDATION, NULL, &problems);
}

void pool_resize(struct call *call)
{
    CLEANUP(json_cleanup) json_t *size = NULL;
    if (!admin_read_request(call, "pool_size", &size))
        return;
    if (json_object_size(size) == 0) {
        refuse_empty(call);
        return;
    }
    CLEANUP_FREE char *body = json_dumps(size, JSON_COMPACT);
    ask(call, body);
}
