#include "workers/fleet/manager/wire.h"

#include <inttypes.h>

#include "common/base/clock.h"
#include "common/base/json.h"

enum { DEPTH_MAX = 8 };

static const char *const state_names[] = {
    [WORKER_WAITING] = "waiting", [WORKER_STARTING] = "starting", [WORKER_READY] = "ready",
    [WORKER_UNREADY] = "unready", [WORKER_LEAVING] = "leaving",
};

static const char *const whys[] = {
    [WHY_SETTINGS] = "settings", [WHY_SIGNAL] = "signal", [WHY_REQUEST] = "request", [WHY_BOUNDS] = "bounds",
    [WHY_DEPTH] = "depth",       [WHY_AGE] = "age",       [WHY_CALM] = "calm",
};

const char *manager_why_text(int32_t why)
{
    return why >= 0 && (size_t)why < ARRAY_LEN(whys) ? whys[why] : whys[WHY_SETTINGS];
}

static int32_t read_why(const json_t *said)
{
    const char *text = json_string_value(json_object_get(said, "why"));
    for (size_t i = 0; text && i < ARRAY_LEN(whys); i++)
        if (strcmp(text, whys[i]) == 0)
            return (int32_t)i;
    return WHY_SETTINGS; /* an older program says none, a newer one may have others */
}

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

static void write_size(struct buf *out, const struct pool_size *size)
{
    char set_by[UUID_TEXT_LEN + 1];
    struct uuid setter;
    memcpy(setter.octet, size->set_by, sizeof(setter.octet));
    uuid_format(&setter, set_by);
    buf_printf(out, ",\"wanted\":%d,\"min\":%d,\"max\":%d,\"version\":%" PRIu64, (int)size->wanted,
               (int)size->min, (int)size->max, size->version);
    buf_printf(out, ",\"set_by\":\"%s\",\"why\":\"%s\",\"resized\":%" PRId64 ",\"changed\":%" PRId64, set_by,
               manager_why_text(size->why), size->resized_ms, size->changed_ms);
}

void manager_write_announcement(struct buf *out, const struct manager_view *view,
                                const struct manager_self *self, const struct pool_report *report, bool asks)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(&view->self, id);
    buf_printf(out, "{\"id\":\"%s\",\"host\":", id);
    buf_append_json_string(out, slice_of(self->host));
    buf_printf(out, ",\"pid\":%d,\"since\":", (int)self->pid);
    write_time(out, self->since_ms);
    write_size(out, &view->size);
    buf_printf(out, ",\"share\":%d", manager_view_share(view));
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

/* A member that is missing counts as 0: an older program does not have it. */
static bool read_count(const json_t *object, const char *name, int32_t *ret_count)
{
    json_int_t count = json_integer_value(json_object_get(object, name));
    *ret_count = (int32_t)count;
    return count >= 0 && count <= POOL_WORKERS_MAX;
}

static bool read_size(const json_t *said, struct pool_size *size)
{
    struct uuid set_by;
    json_int_t version = json_integer_value(json_object_get(said, "version"));
    if (!read_uuid(said, "set_by", &set_by) || version < 0 || !read_count(said, "wanted", &size->wanted) ||
        !read_count(said, "min", &size->min) || !read_count(said, "max", &size->max))
        return false;
    size->version = (uint64_t)version;
    memcpy(size->set_by, set_by.octet, sizeof(set_by.octet));
    size->why = read_why(said);
    size->resized_ms = json_integer_value(json_object_get(said, "resized"));
    size->changed_ms = json_integer_value(json_object_get(said, "changed"));
    return true;
}

/* Members that a newer program adds are ignored. An announcement that lacks one, or has one of another type,
 * is refused. */
static bool read_parts(const json_t *said, struct manager_announcement *a)
{
    if (!read_uuid(said, "id", &a->id) || !read_size(said, &a->size) ||
        !json_is_array(json_object_get(said, "workers")))
        return false;
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

/* False when the member exists and is not a number from `least` to POOL_WORKERS_MAX. */
static bool read_wish(const json_t *request, const char *name, int32_t least, int32_t *ret_wish)
{
    const json_t *member = json_object_get(request, name);
    json_int_t value = json_integer_value(member);
    *ret_wish = member ? (int32_t)value : POOL_UNSAID;
    return !member || (json_is_integer(member) && value >= least && value <= POOL_WORKERS_MAX);
}

enum err manager_read_request(struct slice body, struct manager_request *ret_request)
{
    CLEANUP(json_cleanup) json_t *said = NULL;
    struct manager_request request = {0};
    enum err err = parse(body, &said);
    if (err)
        return err;
    struct pool_wish *wish = &request.wish;
    if (!json_is_object(said) || !read_wish(said, "wanted", 1, &wish->wanted) ||
        !read_wish(said, "min", 1, &wish->min) || !read_wish(said, "max", 0, &wish->max))
        return ERR_BAD_REQUEST;
    request.at_ms = json_integer_value(json_object_get(said, "at"));
    request.conditions = json_incref(json_object_get(said, "if"));
    *ret_request = request;
    return ERR_OK;
}

static bool names(const json_t *times, int64_t changed_ms)
{
    if (json_is_string(times))
        return true;
    for (size_t i = 0; i < json_array_size(times); i++)
        if (json_integer_value(json_array_get(times, i)) == changed_ms)
            return true;
    return false;
}

bool manager_conditions_hold(const json_t *conditions, int64_t changed_ms)
{
    const json_t *match = json_object_get(conditions, "match");
    return (!match || names(match, changed_ms)) &&
           !names(json_object_get(conditions, "none_match"), changed_ms);
}
