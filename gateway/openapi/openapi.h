#pragma once
/* The OpenAPI 3.1 document. Its paths come from the route table, its bodies from the resources' schemas,
 * and its errors from err.def, so that it cannot differ from what the gateway does. */

#include <jansson.h>

#include "gateway/http/router.h"

void openapi_document(struct call *call); /* openapi.c: GET /openapi.json */

/* document.c: the whole document. The caller owns it (json_decref). */
json_t *openapi_build(const struct route_table *routes, const struct config *config);

/* schema.c: adds the variants of one resource to `schemas`: Project (in answers), ProjectCreate,
 * ProjectUpdate and ProjectList. */
void openapi_add_schemas(json_t *schemas, const struct msg_resource *resource);
/* Writes the resource's title, "Project", and returns it. */
const char *openapi_title(const struct msg_resource *resource, char title[64]);
/* The schema of one field as a query parameter. */
json_t *openapi_filter_schema(const struct msg_resource *resource, const struct msg_field *field);

/* operator.c: adds the schemas of the answers to operators (Pool, DeadLetter, …). */
void openapi_add_operator_schemas(json_t *schemas);

/* The schema of a request, without the keywords that only our own code reads. The caller owns it. */
json_t *openapi_request_schema(const struct msg_request *request);

/* event.c: adds Event, and the schema of each type of event: ProjectCreated, … */
void openapi_add_events(json_t *schemas);

/* event_types.c: GET /v1/event-types. The list is made on the first request. */
void event_types_show(struct call *call);
/* Adds the schema of the list. */
void openapi_add_event_types(json_t *schemas);

#define EXAMPLE_ID   "01890a5d-ac96-774b-bcce-b302099a8057"
#define EXAMPLE_TIME "2026-06-01T08:30:00.000000Z"
/* example.c: an entity of the resource, as answers and events have it. The caller owns it. */
json_t *openapi_example(const struct msg_resource *resource);

/* operation.c: one row of the route table as an operation; NULL: OpenAPI cannot describe it (a WebSocket). The
 * caller owns it. */
json_t *openapi_operation(const struct route *route);

/* tag.c: the group of the route, and all groups with what they are. The caller owns the array. */
const char *openapi_tag(const struct route *route);
json_t *openapi_tags(const struct route_table *routes);
