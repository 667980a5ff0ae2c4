#include "gateway/sse/events.h"

#include "gateway/http/accept.h"
#include "gateway/http/authorize.h"
#include "gateway/hub/position.h"
#include "gateway/sse/page.h"
#include "gateway/sse/sse.h"
#include "gateway/sse/tickets.h"

/* The channels of these names, or without any the company's own. */
static enum err take_channels(struct call *call, struct slice names, struct hub_request *request,
                              const char **ret_why)
{
    size_t max = (size_t)call->gateway->config->ws_max_channels;
    request->company = request->id = call->identity.company;
    request->kind = CHANNEL_COMPANY;
    request->user = call->identity.user;
    request->role = call->identity.role_row;
    if (!names.data)
        return ERR_OK;
    struct uuid *projects = arena_alloc(&call->arena, max * sizeof(*projects));
    if (!projects)
        return ERR_HEADERS_TOO_LARGE;
    enum err err = channel_parse_list(names, projects, max, request);
    if (err == ERR_BAD_REQUEST)
        *ret_why = "`channels` must be a list of company:<id> or project:<id>, separated by commas, and not "
                   "too long";
    return err;
}

/* A malformed position becomes one that matches no stream: the client is answered as with one that is too
 * old. */
static void take_position(struct call *call, const char *parameter, struct hub_request *request)
{
    struct slice text = call_header(call, "last-event-id");
    struct position position;
    if (text.len == 0)
        text = call_query(call, parameter);
    if (text.len == 0)
        return;
    request->recover = true;
    if (position_parse(text, &position)) {
        request->epoch = position.epoch;
        request->offset = position.offset;
    } else {
        request->epoch = SLICE("?");
    }
}

static enum err take_after(struct slice after, struct hub_request *request, const char **ret_why)
{
    struct position position = {SLICE(""), 0};
    if (after.data && !position_parse(after, &position)) {
        *ret_why = "`after` must be the `next` of an earlier page, or the seq of an event";
        return ERR_BAD_REQUEST;
    }
    request->epoch = position.epoch;
    request->offset = position.offset;
    return ERR_OK;
}

/* A stream never ends, so only a client that names it gets it. One that accepts both equally and names both gets
 * a page when it sends `after`. */
static bool wants_stream(struct slice accept, bool has_after)
{
    static const char stream[] = "text/event-stream", page[] = "application/json";
    int welcome = accept_quality(accept, page), more = accept_quality(accept, stream) - welcome;
    return welcome == 0 || (accept_names(accept, stream) && (more > 0 || (more == 0 && !has_after)));
}

static void answer(struct call *call, struct slice channels)
{
    const char *why = NULL;
    struct slice accept = call_header_list(call, "accept"), after = call_query(call, "after");
    int stream = accept_quality(accept, "text/event-stream"),
        page = accept_quality(accept, "application/json");
    bool is_stream = wants_stream(accept, after.data != NULL);
    struct hub_request request = {0};
    call->vary |= VARY_ACCEPT;
    enum err err = stream + page == 0 ? ERR_NOT_ACCEPTABLE : take_channels(call, channels, &request, &why);
    if (!err && is_stream)
        take_position(call, after.data ? "after" : "last_event_id", &request);
    else if (!err)
        err = take_after(after, &request, &why);
    if (err)
        call_fail(call, err, why);
    else if (is_stream)
        sse_start(call, &request);
    else
        event_page(call, &request);
}

/* A ticket without channels is for the company's own, which may also be named. */
static bool is_own_channel(const struct call *call, struct slice name)
{
    char own[CHANNEL_NAME_SIZE];
    channel_format(CHANNEL_COMPANY, &call->identity.company, own);
    return slice_is(name, own);
}

/* The query need not repeat the channels of a ticket, and must name no others. */
static void on_ticket(struct call *call, const struct identity *identity, struct slice channels)
{
    const char *why = NULL;
    enum err err = authorize_known(call, identity, &why);
    struct slice named = call_query(call, "channels");
    bool is_same =
        !named.data || slice_equal(named, channels) || (channels.len == 0 && is_own_channel(call, named));
    if (!err && !is_same) {
        err = ERR_FORBIDDEN;
        why = "The ticket is for other channels.";
    }
    if (err)
        call_fail(call, err, why);
    else
        answer(call, channels.len > 0 ? channels : named);
}

void read_events(struct call *call)
{
    if (call->has_ticket)
        tickets_take(call, on_ticket);
    else
        answer(call, call_query(call, "channels"));
}
