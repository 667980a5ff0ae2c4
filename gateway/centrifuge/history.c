#include "gateway/centrifuge/private.h"

/* {"publications":[{"data":…,"offset":7},…],"epoch":"…","offset":42} */

struct history_work {
    struct session_work work;
    struct hub_history history;
};

static void drop(struct session_work *work)
{
    CLEANUP_FREE struct history_work *waiting = CONTAINER_OF(work, struct history_work, work);
    hub_history_forget(&waiting->history);
}

static void reply(struct session *session, uint32_t id, const struct hub_history *history)
{
    struct buf out;
    reply_begin(&out, session, id, "history");
    buf_append_text(&out, "\"publications\":[");
    for (size_t i = 0; i < history->count; i++) {
        if (i > 0)
            buf_append_char(&out, ',');
        push_append_publication(&out, history->publications[i]);
    }
    buf_append_text(&out, "],\"epoch\":");
    buf_append_json_string(&out, slice_of(history->epoch));
    buf_append_text(&out, ",\"offset\":");
    buf_append_i64(&out, history->last);
    reply_end(&out, session);
}

static void on_answer(struct hub_history *history, enum err err)
{
    CLEANUP_FREE struct history_work *waiting = CONTAINER_OF(history, struct history_work, history);
    struct session *session = waiting->work.session;
    session_work_end(&waiting->work);
    if (err == ERR_OK)
        reply(session, waiting->work.command, history);
    else
        reply_error(session, waiting->work.command,
                    err == ERR_CONFLICT ? CENTRIFUGE_ERROR_UNRECOVERABLE_POSITION
                                        : CENTRIFUGE_ERROR_INTERNAL);
}

static bool read_request(const json_t *params, struct hub_history_request *request)
{
    const json_t *since = json_object_get(params, "since");
    if (json_is_null(since))
        since = NULL;
    request->has_since = since != NULL;
    request->epoch = json_member(since, "epoch");
    return json_read_integer(params, "limit", INT32_MIN, INT32_MAX, &request->limit) &&
           json_read_flag(params, "reverse", &request->reverse) && (!since || json_is_object(since)) &&
           (!since || json_read_integer(since, "offset", 0, INT64_MAX, &request->offset));
}

void session_history(struct session *session, uint32_t id, const json_t *params)
{
    struct hub_history_request request = {0};
    struct subscription *subscription = session_subscribed(session, id, params);
    if (!subscription || !session_may_work(session, id))
        return;
    if (!read_request(params, &request)) {
        reply_error(session, id, CENTRIFUGE_ERROR_BAD_REQUEST);
        return;
    }
    struct history_work *waiting = xcalloc(1, sizeof(*waiting));
    waiting->history.on_answer = on_answer;
    session_work_begin(session, id, &waiting->work, drop);
    hub_history(&subscription->subscriber, &request, &waiting->history);
}
