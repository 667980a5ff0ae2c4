#include "gateway/routes.h"

#include "gateway/centrifuge/socket.h"
#include "gateway/health.h"
#include "gateway/openapi/openapi.h"
#include "gateway/operator/dead_letters.h"
#include "gateway/operator/pools.h"
#include "gateway/operator/schedules.h"
#include "gateway/resources/entity.h"
#include "gateway/resources/export_content.h"
#include "gateway/resources/list.h"
#include "gateway/resources/operation.h"
#include "gateway/resources/write.h"
#include "gateway/sse/events.h"

static const struct route rows[] = {
    {METHOD_GET, ACCESS_PUBLIC, "/healthz", NULL, healthz, "healthz", "The process answers"},
    {METHOD_GET, ACCESS_PUBLIC, "/readyz", NULL, readyz, "readyz",
     "Broker and database are connected and the process stays"},
    {METHOD_GET, ACCESS_PUBLIC, "/openapi.json", NULL, openapi_document, "openapi", "This document"},
    {METHOD_GET, ACCESS_PUBLIC, "/connection/websocket", NULL, ws_upgrade, "realtime",
     "Events in real time (Centrifuge client protocol over WebSocket)"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/projects/{id}", "project", read_entity, "get", "One project"},
    {METHOD_POST, ACCESS_TOKEN, "/v1/projects", "project", write_create, "create", "Creates a project"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/projects", "project", read_list, "list", "The company's projects"},
    {METHOD_PATCH, ACCESS_TOKEN, "/v1/projects/{id}", "project", write_update, "update",
     "Changes a project (JSON Merge Patch)"},
    {METHOD_DELETE, ACCESS_TOKEN, "/v1/projects/{id}", "project", write_delete, "delete",
     "Deletes a project"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/projects/{project}/tasks/{id}", "task", read_entity, "get", "One task"},
    {METHOD_POST, ACCESS_TOKEN, "/v1/projects/{project}/tasks", "task", write_create, "create",
     "Creates a task"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/projects/{project}/tasks", "task", read_list, "list",
     "The project's tasks"},
    {METHOD_PATCH, ACCESS_TOKEN, "/v1/projects/{project}/tasks/{id}", "task", write_update, "update",
     "Changes a task (JSON Merge Patch)"},
    {METHOD_DELETE, ACCESS_TOKEN, "/v1/projects/{project}/tasks/{id}", "task", write_delete, "delete",
     "Deletes a task"},
    {METHOD_POST, ACCESS_TOKEN, "/v1/exports", "export", write_create, "create", "Begins an export"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/exports", "export", read_list, "list", "The company's exports"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/exports/{id}", "export", read_entity, "get", "One export"},
    {METHOD_DELETE, ACCESS_TOKEN, "/v1/exports/{id}", "export", write_delete, "delete",
     "Deletes an export that has ended, with its content"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/exports/{id}/content", NULL, read_export_content, "downloadExport",
     "The file of a completed export"},
    {METHOD_POST, ACCESS_TOKEN, "/v1/admin/revocations", "revocation", write_create, "create",
     "Revokes the tokens of a user of the company"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/admin/revocations", "revocation", read_list, "list",
     "The company's revocations"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/admin/revocations/{id}", "revocation", read_entity, "get",
     "One revocation"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/events", NULL, read_events, "events",
     "What has happened: a stream of Server-Sent Events, or a page of them"},
    {METHOD_GET, ACCESS_TOKEN, "/v1/operations/{id}", NULL, read_operation, "getOperation",
     "What became of a command"},
    {METHOD_DELETE, ACCESS_TOKEN, "/v1/operations/{id}", "job", write_cancel, "cancel",
     "Cancels a command that waits for its time, which then never runs, or a long job, which ends at its "
     "next step"},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/pools", NULL, pools_show, "listPools",
     "The worker pools, as operators see them"},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/pools/{pool}", NULL, pool_show, "getPool",
     "A worker pool: how many workers are wanted, who manages them on which host, what each is at"},
    {METHOD_PUT, ACCESS_OPERATOR, "/v1/admin/pools/{pool}", NULL, pool_resize, "resizePool",
     "Sets how many workers a pool has, over all hosts"},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/schedules", NULL, read_schedules, "listSchedules",
     "What is done again and again: when it comes next, and what became of the last run"},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/schedules/{name}", NULL, read_schedule, "getSchedule",
     "One schedule"},
    {METHOD_PUT, ACCESS_OPERATOR, "/v1/admin/schedules/{name}", NULL, schedule_put, "putSchedule",
     "Makes a schedule, or replaces the one of this name"},
    {METHOD_DELETE, ACCESS_OPERATOR, "/v1/admin/schedules/{name}", NULL, schedule_delete, "deleteSchedule",
     "Takes a schedule away; commands that it has sent stay"},
    {METHOD_POST, ACCESS_OPERATOR, "/v1/admin/schedules/{name}/run", NULL, schedule_run, "runSchedule",
     "Runs it now, once, beside its times"},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/dead-letters", NULL, read_dead_letters, "listDeadLetters",
     "Commands that nobody runs any more, the longest dead first"},
    {METHOD_DELETE, ACCESS_OPERATOR, "/v1/admin/dead-letters", NULL, dead_letters_drop, "dropDeadLetters",
     "Forgets the dead letters that fit; says how many"},
    {METHOD_POST, ACCESS_OPERATOR, "/v1/admin/dead-letters/replay", NULL, dead_letters_replay,
     "replayDeadLetters", "Puts the dead letters that fit back to work; says how many"},
    {METHOD_GET, ACCESS_OPERATOR, "/v1/admin/dead-letters/{id}", NULL, read_dead_letter, "getDeadLetter",
     "One dead letter, with its body and its history"},
    {METHOD_DELETE, ACCESS_OPERATOR, "/v1/admin/dead-letters/{id}", NULL, dead_letter_drop, "dropDeadLetter",
     "Forgets a dead letter"},
    {METHOD_POST, ACCESS_OPERATOR, "/v1/admin/dead-letters/{id}/replay", NULL, dead_letter_replay,
     "replayDeadLetter", "Puts a dead letter back to work"},
};

const struct route_table routes = {rows, ARRAY_LEN(rows)};
