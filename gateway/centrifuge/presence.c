#include "gateway/hub/presence/presence.h"
#include "common/base/uuid_map.h"
#include "gateway/centrifuge/private.h"

/* presence        {"presence":{"<client>":{"client":"…","user":"…"},…}}
 * presence_stats  {"num_clients":3,"num_users":2} */

struct presence_work {
    struct session_work work;
    struct presence_request request;
    bool stats;
};

static void drop(struct session_work *work)
{
    CLEANUP_FREE struct presence_work *waiting = CONTAINER_OF(work, struct presence_work, work);
    presence_request_forget(&waiting->request);
}

/* ---- the answers ---- */

static void append_client(void *arg, const struct member *member)
{
    struct buf *reply = arg;
    char client[UUID_TEXT_LEN + 1];
    uuid_format(&member->client, client);
    buf_printf(reply, "%s\"%s\":{", buf_data(reply)[buf_len(reply) - 1] == '{' ? "" : ",", client);
    push_append_member(reply, member);
    buf_append_char(reply, '}');
}

struct counting {
    size_t clients;
    struct uuid_map users;
};

static void count(void *arg, const struct member *member)
{
    struct counting *counting = arg;
    counting->clients++;
    if (uuid_map_find(&counting->users, &member->user))
        return;
    struct uuid_node *node = xcalloc(1, sizeof(*node));
    node->key = member->user;
    uuid_map_insert(&counting->users, node);
}

static void forget_user(struct uuid_node *node, void *arg)
{
    uuid_map_remove(arg, node);
    free(node);
}

static struct counting count_all(const struct presence_request *request)
{
    struct counting counting = {0};
    uuid_map_init(&counting.users);
    presence_request_each(request, count, &counting);
    return counting;
}

static void counting_done(struct counting *counting)
{
    uuid_map_each(&counting->users, forget_user, &counting->users);
    uuid_map_done(&counting->users);
}

static void reply_stats(struct session *session, uint32_t id, const struct presence_request *request)
{
    struct buf reply;
    struct counting counting = count_all(request);
    reply_begin(&reply, session, id, "presence_stats");
    buf_printf(&reply, "\"num_clients\":%zu,\"num_users\":%zu", counting.clients, counting.users.count);
    reply_end(&reply, session);
    counting_done(&counting);
}

/* A list longer than half of what may wait for a socket is refused; presence_stats still tells how many
 * there are. */
static void reply_list(struct session *session, uint32_t id, const struct presence_request *request)
{
    struct buf list;
    struct buf reply;
    buf_init(&list, (size_t)session_gateway(session)->config->max_output_bytes / 2);
    buf_append_char(&list, '{');
    presence_request_each(request, append_client, &list);
    buf_append_char(&list, '}');
    if (list.truncated) {
        reply_error(session, id, CENTRIFUGE_ERROR_LIMIT_EXCEEDED);
    } else {
        reply_begin(&reply, session, id, "presence");
        buf_append_text(&reply, "\"presence\":");
        buf_append_slice(&reply, buf_slice(&list));
        reply_end(&reply, session);
    }
    buf_done(&list);
}

static void on_answer(struct presence_request *request)
{
    CLEANUP_FREE struct presence_work *waiting = CONTAINER_OF(request, struct presence_work, request);
    struct session *session = waiting->work.session;
    session_work_end(&waiting->work);
    if (waiting->stats)
        reply_stats(session, waiting->work.command, request);
    else
        reply_list(session, waiting->work.command, request);
}

/* ---- the commands ---- */

static void start(struct session *session, uint32_t id, const json_t *params, bool stats)
{
    struct subscription *subscription = session_subscribed(session, id, params);
    if (!subscription || !session_may_work(session, id))
        return;
    if (!hub_knows_presence(&subscription->subscriber)) {
        reply_error(session, id, CENTRIFUGE_ERROR_PERMISSION_DENIED);
        return;
    }
    struct presence_work *waiting = xcalloc(1, sizeof(*waiting));
    waiting->stats = stats;
    waiting->request.on_answer = on_answer;
    session_work_begin(session, id, &waiting->work, drop);
    presence_request_start(&subscription->subscriber, &waiting->request);
}

void session_presence(struct session *session, uint32_t id, const json_t *params)
{
    start(session, id, params, false);
}

void session_presence_stats(struct session *session, uint32_t id, const json_t *params)
{
    start(session, id, params, true);
}
