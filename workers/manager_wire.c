#include "workers/manager_wire.h"

#include <inttypes.h>

#include "common/clock.h"
#include "common/json.h"

enum { DEPTH_MAX = 8 };

static const char *const state_names[] = {
    [WORKER_WAITING] = "waiting", [WORKER_STARTING] = "starting", [WORKER_READY] = "ready",
    [WORKER_UNREADY] = "unready", [WORKER_LEAVING] = "leaving",
};

static void write_time(struct buf *out, int64_t wall_ms)
{
    char text[CLOCK_TEXT_SIZE];
    clock_format(wall_ms * 1000, text);
    buf_printf(out, "\"%s\"", text);
}

static void write_worker(struct buf *out, const struct pool_worker *worker)
{
    buf_printf(out, "{\"pid\":%d,\"state\":\"%s\"", (int)worker->pid, state_names[worker->state]);
    if (worker->pid) {
        buf_append_text(out, ",\"since\":");
        write_time(out, worker->since_ms);
    }
    buf_append_char(out, '}');
}

void manager_write_announcement(struct buf *out, const struct manager_view *view,
                                const struct manager_self *self, const struct pool_report *report, bool asks)
{
    char id[UUID_TEXT_LEN + 1], set_by[UUID_TEXT_LEN + 1];
    struct uuid setter;
    memcpy(setter.octet, view->size.set_by, sizeof(setter.octet));
    uuid_format(&view->self, id);
    uuid_format(&setter, set_by);
    buf_printf(out, "{\"id\":\"%s\",\"host\":", id);
    buf_append_json_string(out, slice_of(self->host));
    buf_printf(out, ",\"pid\":%d,\"since\":", (int)self->pid);
    write_time(out, self->since_ms);
    buf_printf(out, ",\"wanted\":%d,\"version\":%" PRIu64 ",\"set_by\":\"%s\",\"share\":%d",
               (int)view->size.wanted, view->size.version, set_by, manager_view_share(view));
    buf_append_text(out, asks ? ",\"asks\":true" : "");
    buf_append_text(out, view->is_leaving ? ",\"leaves\":true" : "");
    buf_append_text(out, ",\"workers\":[");
    for (int i = 0; i < report->worker_count; i++) {
        buf_append_text(out, i > 0 ? "," : "");
        write_worker(out, &report->workers[i]);
    }
    buf_append_text(out, "]}");
}

static bool read_uuid(const json_t *object, const char *name, struct uuid *ret_uuid)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && uuid_parse(slice_of(text), ret_uuid);
}

/* What a newer program may add is let through; what is missing or of another kind is not. */
static bool read_parts(const json_t *said, struct manager_announcement *a)
{
    struct uuid set_by;
    json_int_t wanted = json_integer_value(json_object_get(said, "wanted"));
    json_int_t version = json_integer_value(json_object_get(said, "version"));
    if (!read_uuid(said, "id", &a->id) || !read_uuid(said, "set_by", &set_by) || version < 0 || wanted < 0 ||
        wanted > POOL_WORKERS_MAX || !json_is_array(json_object_get(said, "workers")))
        return false;
    a->size.wanted = (int32_t)wanted;
    a->size.version = (uint64_t)version;
    memcpy(a->size.set_by, set_by.octet, sizeof(set_by.octet));
    a->asks = json_is_true(json_object_get(said, "asks"));
    a->leaves = json_is_true(json_object_get(said, "leaves"));
    return true;
}

static enum err parse(struct slice body, json_t **ret_json)
{
    char why[160];
    return body.len > MANAGER_MESSAGE_MAX ? ERR_BODY_TOO_LARGE : json_parse(body, DEPTH_MAX, ret_json, why);
}

enum err manager_read_announcement(struct slice body, struct manager_announcement *ret_announcement,
                                   json_t **ret_said)
{
    json_t *said = NULL;
    struct manager_announcement announcement = {0};
    enum err err = parse(body, &said);
    if (err)
        return err;
    if (!read_parts(said, &announcement)) {
        json_decref(said);
        return ERR_BAD_REQUEST;
    }
    *ret_announcement = announcement;
    *ret_said = said;
    return ERR_OK;
}

void manager_write_death(struct buf *out, const struct manager_self *self, pid_t pid)
{
    buf_append_text(out, "{\"host\":");
    buf_append_json_string(out, slice_of(self->host));
    buf_printf(out, ",\"pid\":%d,\"gone\":true}", (int)pid);
}

enum err manager_read_request(struct slice body, int64_t *ret_wanted)
{
    json_t *request = NULL;
    enum err err = parse(body, &request);
    if (err)
        return err;
    const json_t *wanted = json_object_get(request, "wanted");
    int64_t value = json_integer_value(wanted);
    if (!json_is_object(request) ||
        (wanted && (!json_is_integer(wanted) || value < 1 || value > POOL_WORKERS_MAX)))
        err = ERR_BAD_REQUEST;
    else
        *ret_wanted = wanted ? value : 0;
    json_decref(request);
    return err;
}
