#pragma once
/* The table of endpoints: method, path pattern, who may call, handler. A new endpoint is a row in routes.c;
 * its handler is declared in the header of its own file. */

#include "gateway/http/router.h"

extern const struct route_table routes; /* rows in the order in which /openapi.json lists them */
