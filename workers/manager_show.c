#include "workers/manager_show.h"

#include "common/err.h"

/* What an announcement says that is of use to people. */
static json_t *show_manager(const json_t *said)
{
    static const char *const members[] = {"id", "host", "pid", "since", "share", "workers"};
    json_t *shown = json_object();
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        json_object_set(shown, members[i], json_object_get(said, members[i]));
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

static void add(json_t *managers, json_t *said)
{
    if (said)
        json_array_append_new(managers, show_manager(said));
}

static json_t *show_managers(const struct manager_view *view, json_t *own)
{
    json_t *managers = json_array();
    bool is_told = view->is_leaving;
    for (size_t i = 0; i < view->peer_count; i++) {
        if (!is_told && memcmp(&view->self, &view->peers[i].id, sizeof(view->self)) < 0) {
            add(managers, own);
            is_told = true;
        }
        add(managers, view->peers[i].said);
    }
    if (!is_told)
        add(managers, own);
    return managers;
}

void manager_show(struct buf *out, const char *pool, const struct manager_view *view,
                  const struct manager_self *self, const struct pool_report *report)
{
    json_t *own = own_announcement(out, view, self, report);
    json_t *shown = json_pack("{s:s, s:i, s:o}", "name", pool, "wanted", (int)view->size.wanted, "managers",
                              show_managers(view, own));
    char *text = json_dumps(shown, JSON_COMPACT);
    buf_clear(out);
    buf_append_text(out, text ? text : "{}");
    free(text);
    json_decref(shown);
    json_decref(own);
}
