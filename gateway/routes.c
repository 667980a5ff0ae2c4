#include "gateway/routes.h"

#include "gateway/centrifuge/emulation.h"
#include "gateway/centrifuge/http_stream.h"
#include "gateway/centrifuge/socket.h"
#include "gateway/health.h"
#include "gateway/hooks/kept.h"
#include "gateway/hooks/receive.h"
#include "gateway/http/route_tree.h"
#include "gateway/openapi/openapi.h"
#include "gateway/openapi/problems.h"
#include "gateway/operator/acts.h"
#include "gateway/operator/dead_letters.h"
#include "gateway/operator/pools.h"
#include "gateway/operator/schedules.h"
#include "gateway/resources/attempts.h"
#include "gateway/resources/entity.h"
#include "gateway/resources/export_content.h"
#include "gateway/resources/list.h"
#include "gateway/resources/operation.h"
#include "gateway/resources/secret.h"
#include "gateway/resources/write.h"
#include "gateway/sse/events.h"
#include "gateway/sse/tickets.h"

/* The endpoints that are written by hand. */
static const struct route rows[] = {
    {METHOD_GET, ACCESS_HEALTH, "/healthz", NULL, healthz, "getHealth", "Say that the process answers."},
    {METHOD_GET, ACCESS_HEALTH, "/readyz", NULL, readyz, "getReadiness",
     "Say whether the process can do its work: the broker and the database are connected, and it is not "
     "leaving."},
    {METHOD_GET, ACCESS_PUBLIC, "/openapi.json", NULL, openapi_document, "getOpenApi", "Get this document."},
    {METHOD_GET, ACCESS_PUBLIC, "/connection/websocket", NULL, socket_upgrade, "connectWebSocket",
     "Open a WebSocket for events in real time (Centrifuge client protocol)."},
    {METHOD_POST, ACCESS_PUBLIC, "/connection/http_stream", NULL, http_stream_open, "connectHttpStream",
     "Open an answer without an end for events in real time, where WebSockets do not get through (Centrifuge "
     "client protocol)."},
    {METHOD_GET, ACCESS_PUBLIC, "/connection/sse", NULL, http_stream_open_sse, "connectSse",
     "The same as Server-Sent Events."},
    {METHOD_POST, ACCESS_PUBLIC, "/emulation", NULL, emulation_post, "connectEmulation",
     "Send commands to the session of such an answer."},
    {METHOD_GET, ACCESS_PUBLIC, "/problems", NULL, problems_show, "listProblemTypes",
     "List the types of problems."},
    {METHOD_GET, ACCESS_PUBLIC, "/problems/{name}", NULL, problem_show, "getProblemType",
     "Say what a type of problem means."},
    {METHOD_POST, ACCESS_HOOK, "/v1/hooks/{source}", NULL, hook_receive, "receiveHook",
     "Take a webhook of another system, signed as its hook source says."},
    {METHOD_GET, ACCESS_TOKEN, "/v1/hook-events/{id}/body", "hook_event", hook_body, "downloadHookEvent",
     "Get the body of a webhook, octet for octet."},
    {METHOD_POST, ACCESS_TOKEN, "/v1/hook-events/{id}/replay", "hook_event", hook_replay, "replay",
     "Map a webhook again, by the mapping that its source has now. What was made of it already is not made "
     "again."},
    {METHOD_POST, ACCESS_TOKEN, "/v1/hook-sources/{id}/preview", "hook_source", hook_preview, "preview",
     "Show what would become of a webhook. Nothing is stored."},
    {METHOD_GET, ACCESS_TOKEN, "/v1/exports/{id}/content", NULL, read_export_content, "downloadExport",
     "Download the file of a completed export."},
    {METHOD_GET, ACCESS_TICKET, "/v1/events", NULL, read_events, "listEvents",
     "Read events: as a stream of Server-Sent Events, or page by page."},
    {METHOD_GET, ACCESS_TOKEN, "/v1/event-types", NULL, event_types_show, "listEventTypes",
     "List the types of events, with examples."},
    {METHOD_POST, ACCESS_TOKEN, "/v1/tickets", NULL, ticket_create, "createTicket",
     "Get a ticket, with which a page's EventSource, which cannot send a token, opens one stream of events."},
    {METHOD_GET, ACCESS_TOKEN, "/v1/operations", NULL, read_operations, "listOperations",
     "List the commands that wait: the caller's own, or for admins those of the company."},
    {METHOD_GET, ACCESS_TOKEN, "/v1/operations/{id}", NULL, read_operation, "getOperation",
     "Say what became of a command."},
    {METHOD_DELETE, ACCESS_TOKEN, "/v1/operations/{id}", "job", write_cancel, "cancel",
     "Cancel a command that waits for its time, so that it never runs, or a long job, which ends at its next "
     "step."},
    {METHOD_POST, ACCESS_TOKEN, "/v1/webhook-endpoints/{id}/test", "webhook_endpoint", write_test, "test",
     "Send a test event to a webhook endpoint, whatever its status is. It is sent once."},
    {METHOD_POST, ACCESS_TOKEN, "/v1/webhook-deliveries/{id}/resend", "webhook_delivery", write_resend,
     "resend", "Send a delivery again, now. It uses up none of its attempts."},
    {METHOD_GET, ACCESS_TOKEN, "/v1/webhook-deliveries/{id}/attempts", "webhook_delivery", read_attempts,
     "listAttempts", "List the attempts of a delivery, oldest first, with what the receiver has answered."},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/pools", NULL, pools_show, "listPools", "List the worker pools."},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/pools/{pool}", NULL, pool_show, "getPool",
     "Get a worker pool: how many workers it should have, which hosts they run on, and what each of them "
     "does."},
    {METHOD_PUT, ACCESS_OPERATOR, "/v1/admin/pools/{pool}", NULL, pool_resize, "resizePool",
     "Set how many workers a pool has, over all hosts."},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/acts", NULL, read_acts, "listActs",
     "List what operators have done, oldest first: who, when, what, and in whose name."},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/schedules", NULL, read_schedules, "listSchedules",
     "List schedules, oldest first: when each runs next, and what became of its last run."},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/schedules/{name}", NULL, read_schedule, "getSchedule",
     "Get a schedule, with the body of its command."},
    {METHOD_PUT, ACCESS_OPERATOR, "/v1/admin/schedules/{name}", NULL, schedule_put, "putSchedule",
     "Create a schedule, or replace the one of this name."},
    {METHOD_DELETE, ACCESS_OPERATOR, "/v1/admin/schedules/{name}", NULL, schedule_delete, "deleteSchedule",
     "Delete a schedule; commands that it has sent still run."},
    {METHOD_POST, ACCESS_OPERATOR, "/v1/admin/schedules/{name}/run", NULL, schedule_run, "runSchedule",
     "Run a schedule once, now; its other times stay as they are."},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/dead-letters", NULL, read_dead_letters, "listDeadLetters",
     "List dead letters, oldest first: commands that failed for good."},
    {METHOD_DELETE, ACCESS_OPERATOR, "/v1/admin/dead-letters", NULL, dead_letters_drop, "dropDeadLetters",
     "Delete the dead letters that match, and say how many there were."},
    {METHOD_POST, ACCESS_OPERATOR, "/v1/admin/dead-letters/replay", NULL, dead_letters_replay,
     "replayDeadLetters", "Run again the dead letters that match, and say how many there are."},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/dead-letters/{id}", NULL, read_dead_letter, "getDeadLetter",
     "Get a dead letter, with its body and its history."},
    {METHOD_DELETE, ACCESS_OPERATOR, "/v1/admin/dead-letters/{id}", NULL, dead_letter_drop, "dropDeadLetter",
     "Delete a dead letter."},
    {METHOD_POST, ACCESS_OPERATOR, "/v1/admin/dead-letters/{id}/replay", NULL, dead_letter_replay,
     "replayDeadLetter", "Run a dead letter again."},
};

/* The endpoints of resources: what their verbs are over HTTP. */
static const struct {
    enum http_method method;
    void (*handler)(struct call *call);
} by_verb[] = {
    [MSG_VERB_CREATE] = {METHOD_POST, write_create},   [MSG_VERB_GET] = {METHOD_GET, read_entity},
    [MSG_VERB_LIST] = {METHOD_GET, read_list},         [MSG_VERB_UPDATE] = {METHOD_PATCH, write_update},
    [MSG_VERB_DELETE] = {METHOD_DELETE, write_delete}, [MSG_VERB_SECRET] = {METHOD_GET, read_secret},
    [MSG_VERB_ROTATE] = {METHOD_POST, write_rotate},
};

static struct route route_of(const struct msg_resource *resource, const struct msg_endpoint *endpoint)
{
    return (struct route){
        .method = by_verb[endpoint->verb].method,
        .access = ACCESS_TOKEN,
        .pattern = endpoint->pattern,
        .resource = resource->name,
        .handler = by_verb[endpoint->verb].handler,
        .verb = msg_verb_name(endpoint->verb),
        .summary = endpoint->summary,
    };
}

struct route_table *routes_new(void)
{
    size_t count = ARRAY_LEN(rows);
    for (const struct msg_resource *const *at = msg_resources; *at; at++)
        count += (*at)->endpoint_count;
    struct route_table *table = xmalloc(sizeof(*table) + count * sizeof(struct route));
    struct route *all = (struct route *)(table + 1);
    *table = (struct route_table){.rows = all};
    for (const struct msg_resource *const *at = msg_resources; *at; at++)
        for (size_t i = 0; i < (*at)->endpoint_count; i++)
            all[table->count++] = route_of(*at, &(*at)->endpoints[i]);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        all[table->count++] = rows[i];
    table->tree = route_tree_new(all, table->count);
    return table;
}

void routes_free(const struct route_table *table)
{
    if (table)
        route_tree_free(table->tree);
    free((struct route_table *)(uintptr_t)table);
}
