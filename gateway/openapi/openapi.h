#pragma once
/* The OpenAPI 3.1 document: paths from the route table, bodies from the resources' schemas, refusals from
 * err.def. Nothing is written down twice. */

#include <jansson.h>

#include "gateway/http/router.h"

void openapi_document(struct call *call); /* openapi.c: GET /openapi.json */

/* document.c: the whole document; the caller owns it (json_decref). */
json_t *openapi_build(const struct route_table *routes);

/* schema.c: the variants of one resource, added to `schemas` under its title: Project (as answered),
 * ProjectCreate, ProjectUpdate, ProjectList. */
void openapi_add_schemas(json_t *schemas, const struct msg_resource *resource);
/* "Project" */
const char *openapi_title(const struct msg_resource *resource, char title[64]);
/* The schema of one field as a query parameter. */
json_t *openapi_filter_schema(const struct msg_resource *resource, const struct msg_field *field);

/* operator.c: what operators are answered (Pool, DeadLetter, …). */
void openapi_add_operator_schemas(json_t *schemas);

/* The schema of a request, without what we say to ourselves; the caller owns it. */
json_t *openapi_request_schema(const struct msg_request *request);

/* operation.c: one row of the route table. */
json_t *openapi_operation(const struct route *route);
