#pragma once
/* The table of routes: method, path pattern, who may call, handler. A new endpoint is a row here. */

#include "gateway/http/call.h"

enum route_access { ACCESS_PUBLIC, ACCESS_TOKEN, ACCESS_OPERATOR };

#define OPERATOR_ROLE "super_admin"

struct route {
    enum http_method method;
    enum route_access access;
    const char
        *pattern; /* "/v1/projects/{id}"; what stands for a {…} is a UUID, or a word (routes_is_word) */
    const char *resource; /* name of the msg_resource; NULL: none */
    void (*handler)(struct call *call);
    const char *summary; /* for /openapi.json */
};

/* The row for method and path, its params filled in; ERR_NOT_FOUND, or ERR_METHOD_NOT_ALLOWED with an Allow header added. */
enum err routes_find(struct call *call) MUST_CHECK;

/* The role of the call's identity may use its route; else FORBIDDEN, and why. */
enum err routes_admit(const struct call *call, const char **ret_why) MUST_CHECK;

/* "POST" → METHOD_POST; METHOD_OTHER for what no route has. */
enum http_method routes_method(struct slice name);

/* Adds Allow for the call's path (RFC 9110 10.2.1); ERR_NOT_FOUND when nothing is there. */
enum err routes_allow(struct call *call) MUST_CHECK;

/* All rows, in the order of the table, for /openapi.json. */
const struct route *routes_all(size_t *ret_count);

/* {name} and {pool} stand for 1 to 64 lower-case letters, digits and "._-". */
bool routes_is_word(struct slice parameter);

/* Handlers, by file. */
void healthz(struct call *call); /* health.c: the process answers */
void readyz(struct call *call);  /* health.c: broker and database are connected and we are not draining */
void openapi_document(struct call *call);    /* openapi.c */
void read_entity(struct call *call);         /* read/entity.c: GET one; ETag, If-None-Match */
void read_list(struct call *call);           /* read/list.c: GET many; filters, cursor */
void read_operation(struct call *call);      /* read/operation.c: GET /v1/operations/{id} */
void read_export_content(struct call *call); /* read/export_content.c: the file */
void write_create(struct call *call);        /* write.c: POST, PATCH, DELETE become commands */
void write_update(struct call *call);
void write_delete(struct call *call);
void read_dead_letters(struct call *call); /* read/dead_letter.c: what has died */
void read_dead_letter(struct call *call);
void pools_show(struct call *call); /* pools.c: the worker pools */
void pool_show(struct call *call);
void pool_resize(struct call *call);
void dead_letter_replay(struct call *call); /* dead_letter_list.c: back to work, or gone */
void dead_letter_drop(struct call *call);
void dead_letters_replay(struct call *call);
void dead_letters_drop(struct call *call);
void write_cancel(struct call *call);
void read_schedules(struct call *call); /* read/schedule.c: what is done again and again */
void read_schedule(struct call *call);
void schedule_put(struct call *call); /* schedules.c */
void schedule_delete(struct call *call);
void schedule_run(struct call *call);
void read_events(struct call *call); /* feed.c: GET /v1/events, a stream or a page */
void ws_upgrade(struct call *call);  /* socket.c: GET /connection/websocket */
