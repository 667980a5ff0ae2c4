#include "workers/fleet/members/view.h"

#include <string.h>

#include "common/base/log.h"

static struct member *find(struct members_view *view, const struct uuid *id)
{
    for (size_t i = 0; i < view->count; i++)
        if (uuid_equal(&view->others[i].said.id, id))
            return &view->others[i];
    return NULL;
}

static void drop(struct members_view *view, struct member *member, const char *why)
{
    log_info("member.gone", LOG_S("host", member->said.host), LOG_I("pid", member->said.pid),
             LOG_S("why", why));
    *member = view->others[--view->count];
}

bool members_view_hear(struct members_view *view, const struct member_announcement *said, int64_t now_ms)
{
    struct member *member = find(view, &said->id);
    bool is_new = !member;
    if (is_new && view->count == MEMBERS_MAX)
        return false;
    if (is_new)
        member = &view->others[view->count++];
    *member = (struct member){.said = *said, .heard_ms = now_ms};
    if (said->report.has_parcels)
        members_view_note_parcels(view, now_ms);
    return is_new;
}

void members_view_remove(struct members_view *view, const struct member_death *death)
{
    for (size_t i = view->count; i-- > 0;) {
        struct member *member = &view->others[i];
        if (member->said.pid == death->pid && strcmp(member->said.host, death->host) == 0)
            drop(view, member, "its manager says so");
    }
}

void members_view_expire(struct members_view *view, int64_t silent_ms, int64_t now_ms)
{
    for (size_t i = view->count; i-- > 0;)
        if (now_ms - view->others[i].heard_ms > silent_ms)
            drop(view, &view->others[i], "silent");
}

void members_view_thaw(struct members_view *view, int64_t now_ms)
{
    for (size_t i = 0; i < view->count; i++)
        view->others[i].heard_ms = now_ms;
}

void members_view_note_parcels(struct members_view *view, int64_t now_ms)
{
    view->parcels_until_ms = now_ms + MEMBERS_PARCELS_MS;
}

static bool may_work(const struct members_view *view, const struct member_announcement *said, int64_t now_ms)
{
    return said->report.is_able && (said->reads_parcels || now_ms >= view->parcels_until_ms);
}

uint64_t members_view_ours(const struct members_view *view, unsigned partitions, int64_t now_ms)
{
    struct uuid workers[ASSIGNMENT_WORKERS_MAX] = {view->self};
    size_t count = 1;
    for (size_t i = 0; i < view->count; i++)
        if (may_work(view, &view->others[i].said, now_ms))
            workers[count++] = view->others[i].said.id;
    return assignment_of(workers, count, 0, partitions);
}

uint64_t members_view_held(const struct members_view *view)
{
    uint64_t held = 0;
    for (size_t i = 0; i < view->count; i++)
        held |= view->others[i].said.report.holding;
    return held;
}
