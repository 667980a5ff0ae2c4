/* What operators ask of a worker pool; one of its managers answers for all of them (workers/manager.h). */

#include <stdio.h>

#include "gateway/admin.h"
#include "gateway/control.h"
#include "gateway/routes.h"

enum { KEY_SIZE = 96, BODY_SIZE = 64 };

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

void pool_resize(struct call *call)
{
    char body[BODY_SIZE];
    json_t *size = NULL;
    if (!admin_read_request(call, "pool_size", &size))
        return;
    snprintf(body, sizeof(body), "{\"wanted\":%d}", (int)json_integer_value(json_object_get(size, "wanted")));
    json_decref(size);
    ask(call, body);
}
