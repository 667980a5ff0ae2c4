/* Prints the OpenAPI document without a running gateway, for generators of clients and for the document's
 * test. */

#include <stdio.h>

#include "gateway/openapi/openapi.h"
#include "gateway/routes.h"

int main(void)
{
    json_t *document = openapi_build(&routes);
    if (!document || json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) != 0) {
        fputs("cortex-openapi: the document could not be made\n", stderr);
        return 1;
    }
    json_decref(document);
    putchar('\n');
    return 0;
}
