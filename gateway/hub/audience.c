#include "gateway/hub/audience.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/msg/members.h"
#include "gateway/hub/event_text.h"

/* How much of an event a role sees. */
enum share { SHARE_WHOLE, SHARE_WITHOUT_HIDDEN, SHARE_NUMBER };

const struct msg_resource *audience_channels_resource(void)
{
    for (const struct msg_resource *const *at = msg_resources; *at; at++)
        if ((*at)->channel == MSG_CHANNEL_OWN)
            return *at;
    return NULL;
}

unsigned audience_conditions(enum msg_role role)
{
    const struct msg_resource *resource = audience_channels_resource();
    return resource ? resource->rights[role][MSG_RIGHT_READ] : 0;
}

bool audience_reads(enum msg_role role)
{
    for (const struct msg_resource *const *at = msg_resources; *at; at++)
        if ((*at)->rights[role][MSG_RIGHT_READ])
            return true;
    return false;
}

bool audience_needs_ties(enum msg_role role)
{
    for (const struct msg_resource *const *at = msg_resources; *at; at++) {
        unsigned rights = (*at)->rights[role][MSG_RIGHT_READ];
        if (!(rights & MSG_MAY_ANY) && rights & (MSG_MAY_MEMBER | MSG_MAY_MANAGER))
            return true;
    }
    return false;
}

const char *const *audience_users(struct slice text)
{
    const struct msg_resource *resource = event_text_resource(text);
    return resource && resource->audiences ? msg_users_of_event(resource, event_text_type(text)) : NULL;
}

static bool is_user(struct slice value, const struct uuid *user)
{
    struct uuid id;
    return value.len > 2 && uuid_parse((struct slice){value.data + 1, value.len - 2}, &id) &&
           uuid_equal(&id, user);
}

bool audience_names(const char *const *users, struct slice text, const struct uuid *user)
{
    struct slice data = members_value(text, "data");
    for (; user && *users; users++) {
        bool is_sender = strcmp(*users, MSG_AUDIENCE_SENDER) == 0;
        if (is_user(is_sender ? members_value(text, "actor") : members_value(data, *users), user))
            return true;
    }
    return false;
}

/* What is for some users, these see if their role reads such entities at all: which ones, the names say. Else: on the
 * channel of the company the user sees what belongs to projects to which it has the ties that the right asks for;
 * on that of a project what belongs to it, as far as each condition that may have let the user in is one of the other
 * resource's right, too. */
static bool is_seen(const struct msg_resource *resource, const struct viewer *viewer, unsigned ties,
                    struct slice text)
{
    const char *const *users = audience_users(text);
    unsigned rights = resource->rights[viewer->role][MSG_RIGHT_READ];
    unsigned let_in = audience_conditions(viewer->role);
    if (users)
        return rights && audience_names(users, text, viewer->user);
    if (rights & MSG_MAY_ANY)
        return true;
    return viewer->of == AUDIENCE_OF_COMPANY ? rights & ties : let_in && !(let_in & ~rights);
}

/* `ties`: of the user to the event's project. */
static enum share share_of(const struct msg_resource *resource, const struct viewer *viewer, unsigned ties,
                           struct slice text)
{
    if (!resource || !is_seen(resource, viewer, ties, text))
        return SHARE_NUMBER;
    return members_have_hidden(resource, msg_role_hidden(viewer->role)) ? SHARE_WITHOUT_HIDDEN : SHARE_WHOLE;
}

unsigned audience_ties_to(const struct viewer *viewer, const struct publication *publication)
{
    return viewer->ties && publication->has_project ? ties_to(viewer->ties, &publication->project) : 0;
}

/* Whether some of its events are for some users only. */
static bool is_for_users(const struct msg_resource *resource)
{
    for (const struct msg_audience *at = resource->audiences; at && at->command; at++)
        if (at->users)
            return true;
    return false;
}

bool audience_is_whole(enum msg_role role)
{
    const struct viewer viewer = {.role = role, .of = AUDIENCE_OF_COMPANY};
    for (const struct msg_resource *const *at = msg_resources; *at; at++)
        if (is_for_users(*at) || share_of(*at, &viewer, 0, SLICE_NONE) != SHARE_WHOLE)
            return false;
    return true;
}

static bool sees_the_same(enum msg_role a, enum msg_role b)
{
    if (audience_conditions(a) != audience_conditions(b))
        return false;
    for (const struct msg_resource *const *at = msg_resources; *at; at++)
        if ((*at)->rights[a][MSG_RIGHT_READ] != (*at)->rights[b][MSG_RIGHT_READ] ||
            ((msg_role_hidden(a) ^ msg_role_hidden(b)) & (*at)->classes))
            return false;
    return true;
}

enum msg_role audience_like(enum msg_role role)
{
    for (unsigned other = 0; other < role; other++)
        if (sees_the_same((enum msg_role)other, role))
            return (enum msg_role)other;
    return role;
}

/* `data` is the last member of an event, and an entity. */
static void append_without_hidden(const struct msg_resource *resource, enum msg_role role, struct slice text,
                                  struct buf *out)
{
    struct slice data = members_value(text, "data");
    if (!data.data) {
        buf_append_slice(out, text);
        return;
    }
    buf_append(out, text.data, (size_t)(data.data - text.data));
    members_append_seen(resource, msg_role_hidden(role), data, out);
    buf_append(out, data.data + data.len, text.len - (size_t)(data.data - text.data) - data.len);
}

static void append_number(struct buf *out, int64_t first, int64_t last)
{
    if (first == last)
        buf_printf(out, "{\"seq\":%" PRId64 "}", last);
    else
        buf_printf(out, "{\"seq\":%" PRId64 ",\"from\":%" PRId64 "}", last, first);
}

/* ---- publications ---- */

static struct bytes *without_hidden(const struct msg_resource *resource, enum msg_role role,
                                    struct slice text)
{
    CLEANUP(buf_done) struct buf out;
    buf_init(&out, text.len + 1);
    append_without_hidden(resource, role, text, &out);
    return bytes_copy(buf_slice(&out));
}

static struct bytes *number(int64_t first, int64_t last)
{
    CLEANUP(buf_done) struct buf out;
    buf_init(&out, 128);
    append_number(&out, first, last);
    return bytes_copy(buf_slice(&out));
}

static void add_made(struct audience *a, const struct publication *like, struct bytes *body)
{
    struct publication *made = &a->made[a->made_count++];
    *made = *like;
    made->body = body;
    a->list[a->count++] = made;
}

/* The number of an event that is not seen; a run of them becomes one. */
static void add_number(struct audience *a, const struct publication *publication, int64_t *run_from)
{
    bool goes_on = *run_from > 0 && publication->seq == a->list[a->count - 1]->seq + 1;
    if (goes_on) {
        struct publication *last = &a->made[a->made_count - 1];
        bytes_unref(last->body);
        last->seq = publication->seq;
        last->body = number(*run_from, publication->seq);
        return;
    }
    *run_from = publication->seq;
    add_made(a, publication, number(publication->seq, publication->seq));
}

void audience_init(struct audience *a, const struct viewer *viewer,
                   const struct publication *const *publications, size_t count)
{
    *a = (struct audience){.publications = publications, .count = count};
    if (viewer->of == AUDIENCE_OF_ALL || count == 0 || audience_is_whole(viewer->role))
        return;
    int64_t run_from = 0; /* the run of numbers that `list` ends with; 0: it does not */
    a->list = xcalloc(count, sizeof(const struct publication *));
    a->made = xcalloc(count, sizeof(*a->made));
    a->publications = a->list;
    a->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct slice text = publications[i]->body->slice;
        const struct msg_resource *resource = event_text_resource(text);
        enum share share = share_of(resource, viewer, audience_ties_to(viewer, publications[i]), text);
        if (share == SHARE_NUMBER) {
            if (viewer->of == AUDIENCE_OF_COMPANY)
                add_number(a, publications[i], &run_from);
            continue;
        }
        run_from = 0;
        if (share == SHARE_WHOLE)
            a->list[a->count++] = publications[i];
        else
            add_made(a, publications[i], without_hidden(resource, viewer->role, text));
    }
}

void audience_done(struct audience *a)
{
    for (size_t i = 0; i < a->made_count; i++)
        bytes_unref(a->made[i].body);
    free(a->made);
    free(a->list);
}

/* ---- a page of texts ---- */

struct run {
    int64_t from, to; /* 0: none */
};

static void append_comma(struct buf *out, size_t begin)
{
    if (buf_len(out) > begin)
        buf_append_char(out, ',');
}

static void end_run(struct run *run, struct buf *out, size_t begin)
{
    if (run->to == 0)
        return;
    append_comma(out, begin);
    append_number(out, run->from, run->to);
    *run = (struct run){0};
}

static void go_on_with(struct run *run, struct slice text)
{
    struct slice seq = members_value(text, "seq");
    run->to = seq.data ? strtoll(seq.data, NULL, 10) : 0; /* what follows the number ends it */
    run->from = run->from ? run->from : run->to;
}

static unsigned ties_to_text(const struct viewer *viewer, struct slice text)
{
    struct slice project = viewer->ties ? members_value(text, "project") : SLICE_NONE;
    struct uuid id;
    return project.len > 2 && uuid_parse((struct slice){project.data + 1, project.len - 2}, &id)
               ? ties_to(viewer->ties, &id)
               : 0;
}

void audience_append_page(const struct viewer *viewer, struct slice events, struct buf *out)
{
    struct run run = {0};
    size_t begin = buf_len(out);
    for (struct slice text; members_next_element(&events, &text);) {
        const struct msg_resource *resource = event_text_resource(text);
        enum share share = share_of(resource, viewer, ties_to_text(viewer, text), text);
        if (share == SHARE_NUMBER) {
            if (viewer->of == AUDIENCE_OF_COMPANY)
                go_on_with(&run, text);
            continue;
        }
        end_run(&run, out, begin);
        append_comma(out, begin);
        if (share == SHARE_WHOLE)
            buf_append_slice(out, text);
        else
            append_without_hidden(resource, viewer->role, text, out);
    }
    end_run(&run, out, begin);
}
