/* Prints the OpenAPI document without a running gateway, for generators of clients and for the document's
 * test. */

#include <stdio.h>

#include "common/process/config.h"
#include "gateway/openapi/openapi.h"
#include "gateway/routes.h"

int main(void)
{
    struct config config;
    char why[256];
    if (config_load(&config, why)) {
        fprintf(stderr, "cortex-openapi: %s\n", why);
        return 1;
    }
    struct route_table *routes = routes_new();
    json_t *document = openapi_build(routes, &config);
    if (!document || json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) != 0) {
        fputs("cortex-openapi: the document could not be made\n", stderr);
        return 1;
    }
    json_decref(document);
    routes_free(routes);
    config_done(&config);
    putchar('\n');
    return 0;
}
