#include "workers/fleet/manager/show.h"

#include "common/base/clock.h"
#include "common/base/err.h"
#include "workers/fleet/manager/problems.h"

/* Adds what the worker itself says to what its manager says of it. */
static void add_report(json_t *worker, const struct member_report *report)
{
    json_t *partitions = json_array();
    for (unsigned i = 0; i < TOPOLOGY_PARTITIONS_MAX; i++)
        if (report->holding >> i & 1)
            json_array_append_new(partitions, json_integer(i));
    json_object_set_new(worker, "partitions", partitions);
    json_object_set_new(worker, "open", json_integer((json_int_t)report->open));
    json_object_set_new(worker, "parked", json_integer((json_int_t)report->parked));
    json_object_set_new(worker, "oldest_ms", json_integer(report->oldest_ms));
}

static json_t *show_workers(const json_t *said, const struct manager_load *load)
{
    const char *host = json_string_value(json_object_get(said, "host"));
    json_t *shown = json_array(), *worker;
    size_t i;
    json_array_foreach(json_object_get(said, "workers"), i, worker)
    {
        json_int_t pid = json_integer_value(json_object_get(worker, "pid"));
        const struct member_report *report = host ? manager_load_of(load, host, (pid_t)pid) : NULL;
        json_t *copy = json_copy(worker);
        if (report)
            add_report(copy, report);
        json_array_append_new(shown, copy);
    }
    return shown;
}

/* The members of an announcement that are of use to people. */
static json_t *show_manager(const json_t *said, const struct manager_load *load)
{
    static const char *const members[] = {"id", "host", "pid", "since", "share"};
    json_t *shown = json_object();
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        json_object_set(shown, members[i], json_object_get(said, members[i]));
    json_object_set_new(shown, "workers", show_workers(said, load));
    return shown;
}

static json_t *own_announcement(struct buf *scratch, const struct manager_view *view,
                                const struct manager_self *self, const struct pool_report *report)
{
    struct manager_announcement announcement;
    json_t *said = NULL;
    buf_clear(scratch);
    manager_write_announcement(scratch, view, self, report, false);
    return manager_read_announcement(buf_slice(scratch), &announcement, &said) ? NULL : said;
}

static void add(json_t *managers, json_t *said, const struct manager_load *load)
{
    if (said)
        json_array_append_new(managers, show_manager(said, load));
}

static json_t *show_managers(const struct manager_view *view, json_t *own, const struct manager_load *load)
{
    json_t *managers = json_array();
    bool is_told = view->is_leaving;
    for (size_t i = 0; i < view->peer_count; i++) {
        if (!is_told && memcmp(&view->self, &view->peers[i].id, sizeof(view->self)) < 0) {
            add(managers, own, load);
            is_told = true;
        }
        add(managers, view->peers[i].said, load);
    }
    if (!is_told)
        add(managers, own, load);
    return managers;
}

static json_t *show_load(const struct manager_load *load)
{
    const struct manager_load_sum sum = manager_load_sum(load);
    return json_pack("{s:I, s:I, s:I, s:I}", "ready", (json_int_t)sum.ready, "open", (json_int_t)sum.open,
                     "parked", (json_int_t)sum.parked, "oldest_ms", (json_int_t)sum.oldest_ms);
}

static json_t *show_bounds(const struct pool_size *size)
{
    return size->max > 0 ? json_pack("{s:i, s:i}", "min", (int)size->min, "max", (int)size->max)
                         : json_null();
}

static void write_json(struct buf *out, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    buf_clear(out);
    buf_append_text(out, text ? text : "{}");
    free(text);
    json_decref(json);
}

void manager_show(struct buf *out, const char *pool, const struct manager_view *view,
                  const struct manager_self *self, const struct pool_report *report,
                  const struct manager_load *load, const struct strays *strays)
{
    char resized_at[CLOCK_TEXT_SIZE], changed_at[CLOCK_TEXT_SIZE];
    json_t *own = own_announcement(out, view, self, report);
    clock_format(view->size.resized_ms * 1000, resized_at);
    clock_format(view->size.changed_ms * 1000, changed_at);
    write_json(out, json_pack("{s:s, s:i, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "name", pool, "wanted",
                              (int)view->size.wanted, "why", manager_why_text(view->size.why), "resized_at",
                              resized_at, "changed_at", changed_at, "autoscale", show_bounds(&view->size),
                              "waiting", show_load(load), "problems",
                              problems_list(load, strays, clock_monotonic_ms()), "managers",
                              show_managers(view, own, load)));
    json_decref(own);
}

void manager_show_objection(struct buf *out, const char *field, const char *objection)
{
    write_json(out, json_pack("{s:[{s:s+, s:s}]}", "errors", "pointer", "/", field, "detail", objection));
}
