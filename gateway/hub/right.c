#include "gateway/hub/private.h"

#include <stdio.h>

#include "common/msg/rights_sql.h"
#include "gateway/hub/audience.h"

/* Whether a subscriber may have its channel. The company's every role may have that reads anything; what it sees of it
 * is another matter (view.c). Of a role that may have every project's channel nothing is asked; of another the database
 * is, for each subscriber, since members come and go:
 *
 *   UNKNOWN ──▶ ASKED ──▶ HELD ── an event of the project's members, or of the project; now and then ──▶ asked again
 *                  └── no ──▶ on_refused                                                     └── no ──▶ on_lost
 */

enum { USERS_BYTES = 1 << 20, RETRY_S = 1 };

/* $1 company, $2 users, $3 operations → those users who have not sent one of them. What others have sent is seen by those
 * who see the whole company. */
static const struct db_statement operation_statement = {
    "hub.operation_right",
    "SELECT u.id, 0 FROM unnest($2::uuid[]) AS u (id) WHERE EXISTS ("
    "SELECT FROM unnest($3::uuid[]) AS o (id) WHERE NOT EXISTS (SELECT FROM long_job AS j"
    " WHERE j.company_id = $1 AND j.id = o.id AND j.actor = u.id))"};

/* $1 company, $2 users, $3 projects, $4 the conditions of each user's right → those users who lack it for one of the
 * projects. */
static struct db_statement *make_statement(void)
{
    static const enum msg_condition conditions[] = {MSG_MAY_MEMBER, MSG_MAY_MANAGER};
    const struct rights_names names = {.company = "$1::uuid", .user = "u.id", .project = "p.id"};
    const struct msg_resource *resource = audience_channels_resource();
    struct buf sql;
    buf_init(&sql, 16384);
    buf_append_text(&sql, "SELECT u.id, u.may FROM unnest($2::uuid[], $4::integer[]) AS u (id, may)"
                          " WHERE EXISTS (SELECT FROM unnest($3::uuid[]) AS p (id) WHERE (false");
    for (size_t i = 0; resource && i < ARRAY_LEN(conditions); i++) {
        buf_printf(&sql, " OR (u.may & %u <> 0 AND ", (unsigned)conditions[i]);
        rights_sql_condition(resource, conditions[i], &names, &sql);
        buf_append_char(&sql, ')');
    }
    buf_printf(&sql, ") IS NOT TRUE)%c", '\0');
    struct db_statement *statement = xmalloc(sizeof(*statement));
    *statement = (struct db_statement){.name = "hub.right", .sql = xstrdup(buf_data(&sql))};
    buf_done(&sql);
    return statement;
}

const struct db_statement *hub_right_statement(void)
{
    static struct db_statement *statement; /* constant once built */
    if (!statement)
        statement = make_statement();
    return statement;
}

bool right_is_asked(const struct subscriber *subscriber)
{
    return !(audience_conditions(subscriber->role) & MSG_MAY_ANY);
}

static bool sees_others(const struct subscriber *subscriber)
{
    return subscriber->role == MSG_ROLE_SUPER_ADMIN || subscriber->role == MSG_ROLE_COMPANY_ADMIN;
}

bool right_is_possible(enum channel_kind kind, enum msg_role role)
{
    unsigned conditions = audience_conditions(role);
    return kind == CHANNEL_COMPANY     ? audience_reads(role)
           : kind == CHANNEL_OPERATION ? role != MSG_ROLE_UNKNOWN
                                       : conditions != 0;
}

/* ---- asking ---- */

struct people {
    struct buf users, conditions;
    size_t count;
};

static void people_init(struct people *people)
{
    *people = (struct people){0};
    buf_init(&people->users, USERS_BYTES);
    buf_init(&people->conditions, USERS_BYTES);
    buf_append_char(&people->users, '{');
    buf_append_char(&people->conditions, '{');
}

static void people_done(struct people *people)
{
    buf_done(&people->users);
    buf_done(&people->conditions);
}

static void add_person(struct people *people, const struct subscriber *subscriber)
{
    char id[UUID_TEXT_LEN + 1];
    const char *separator = people->count++ > 0 ? "," : "";
    uuid_format(&subscriber->user, id);
    buf_printf(&people->users, "%s%s", separator, id);
    buf_printf(&people->conditions, "%s%u", separator, audience_conditions(subscriber->role));
}

static enum err ask(struct channel *channel, struct people *people, hub_on_answer *answer, void *owner,
                    struct hub_query **ret_query)
{
    bool is_operation = channel->kind == CHANNEL_OPERATION;
    const struct uuid *ids = is_operation ? &channel->node.key : channel->projects;
    size_t count = is_operation ? 1 : channel->project_count;
    CLEANUP(buf_done) struct buf list;
    buf_init(&list, PROJECT_LIST_MAX(count));
    project_list_format(ids, count, &list);
    buf_append_char(&people->users, '}');
    buf_append_char(&people->conditions, '}');
    struct slice company = slice_of(channel->tenant->company);
    const struct slice params[] = {company, buf_slice(&people->users), buf_slice(&list),
                                   buf_slice(&people->conditions)};
    if (people->users.truncated || people->conditions.truncated)
        return ERR_DATABASE_BUSY;
    return hub_query_send(channel->tenant->hub, company,
                          is_operation ? &operation_statement : hub_right_statement(), params,
                          ARRAY_LEN(params) - is_operation, answer, owner, ret_query);
}

/* ---- before a subscriber starts ---- */

static void refuse(struct subscriber *subscriber, enum err err)
{
    subscriber_leave(subscriber);
    subscriber->protocol->on_refused(subscriber, err);
}

static void on_right(void *owner, struct db_result *result)
{
    struct subscriber *subscriber = owner;
    struct channel *channel = subscriber->channel;
    enum err err = db_result_error(result);
    if (err == ERR_OK && db_rows(result) > 0)
        err = ERR_FORBIDDEN;
    if (err) {
        refuse(subscriber, err);
        return;
    }
    start_set_right(subscriber->start, RIGHT_HELD);
    channel_proceed(channel);
}

/* Everybody may have the company's channel; whether it is known what the subscriber sees of it. */
static bool sees(struct subscriber *subscriber)
{
    if (!audience_needs_ties(subscriber->role))
        return true;
    if (!subscriber->view)
        subscriber->view = view_obtain(subscriber->channel->tenant, &subscriber->user);
    subscriber->join_leave = false; /* hub_knows_presence */
    if (view_is_ready(subscriber->view))
        return true;
    enum err err = view_ask(subscriber->view);
    if (err)
        refuse(subscriber, err);
    return false;
}

bool right_holds(struct subscriber *subscriber)
{
    struct start *start = subscriber->start;
    if (subscriber->channel->kind == CHANNEL_COMPANY)
        return sees(subscriber);
    bool is_free = subscriber->channel->kind == CHANNEL_OPERATION ? sees_others(subscriber)
                                                                  : !right_is_asked(subscriber);
    if (is_free || start_right(start) == RIGHT_HELD)
        return true;
    if (start_right(start) == RIGHT_ASKED)
        return false;
    struct people people;
    people_init(&people);
    add_person(&people, subscriber);
    enum err err =
        ask(subscriber->channel, &people, on_right, subscriber, start_right_query(subscriber->start));
    people_done(&people);
    if (err)
        refuse(subscriber, err);
    else
        start_set_right(start, RIGHT_ASKED);
    return false;
}

/* ---- while it has the channel ---- */

static bool is_asked_again(const struct subscriber *subscriber)
{
    return right_is_asked(subscriber) &&
           (subscriber->state == SUBSCRIBER_LIVE || start_right(subscriber->start) == RIGHT_HELD);
}

static void lose_those_of(struct subscriber *list, const struct uuid *user, unsigned conditions)
{
    for (struct subscriber *subscriber = list, *next; subscriber; subscriber = next) {
        next = subscriber->next;
        if (!is_asked_again(subscriber) || !uuid_equal(&subscriber->user, user) ||
            audience_conditions(subscriber->role) != conditions)
            continue;
        subscriber_leave(subscriber);
        subscriber->protocol->on_lost(subscriber);
    }
}

static void on_asked_again(void *owner, struct db_result *result)
{
    struct channel *channel = owner;
    struct tenant *tenant = channel->tenant;
    bool again = channel->right_again;
    channel->right_again = false;
    if (db_result_error(result))
        tenant_schedule_check(tenant, RETRY_S);
    for (int row = 0; !db_result_error(result) && row < db_rows(result); row++) {
        struct uuid user;
        if (!uuid_parse(db_text(result, row, 0), &user))
            continue;
        lose_those_of(channel->live, &user, (unsigned)db_int(result, row, 1));
        lose_those_of(channel->waiting, &user, (unsigned)db_int(result, row, 1));
    }
    if (again)
        right_ask_again(channel);
}

void right_ask_again(struct channel *channel)
{
    struct people people;
    if (channel->project_count == 0)
        return;
    if (channel->right) {
        channel->right_again = true;
        return;
    }
    people_init(&people);
    for (const struct subscriber *s = channel->live; s; s = s->next)
        if (is_asked_again(s))
            add_person(&people, s);
    for (const struct subscriber *s = channel->waiting; s; s = s->next)
        if (is_asked_again(s))
            add_person(&people, s);
    if (people.count > 0 && ask(channel, &people, on_asked_again, channel, &channel->right))
        tenant_schedule_check(channel->tenant, RETRY_S);
    people_done(&people);
}

static void ask_set_again(struct uuid_node *node, void *publication)
{
    struct channel *channel = CONTAINER_OF(node, struct channel, node);
    if (channel_has(channel, publication))
        right_ask_again(channel);
}

void right_look_at(struct tenant *tenant, const struct publication *publication)
{
    if (!publication->has_project || !ties_may_end(publication->body->slice))
        return;
    struct uuid_node *node = uuid_map_find(&tenant->projects, &publication->project);
    if (node)
        right_ask_again(CONTAINER_OF(node, struct channel, node));
    uuid_map_each(&tenant->sets, ask_set_again, (void *)(uintptr_t)publication);
}
