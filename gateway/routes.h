#pragma once
/* The table of endpoints: method, path pattern, who may call, handler. Those of resources follow from their schemas
 * (x-resource). Another endpoint is a row in routes.c; its handler is declared in the header of its own file. */

#include "gateway/http/router.h"

/* Makes the table, with rows in the order in which /openapi.json lists them. Free it with routes_free. */
struct route_table *routes_new(void);
void routes_free(const struct route_table *table);
