/* GET /openapi.json. The document is made on the first request and kept as long as the process lives. */

#include "gateway/openapi/openapi.h"

#include <inttypes.h>
#include <stdio.h>

#include "gateway/http/etag.h"

static struct bytes *document;
static char etag[24];

static void on_release(void *text)
{
    free(text);
}

static void make_document(const struct route_table *routes)
{
    json_t *json = openapi_build(routes);
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(json);
    if (!text)
        return;
    document = bytes_wrap(slice_of(text), on_release, text);
    snprintf(etag, sizeof(etag), "\"%016" PRIx64 "\"", msg_fingerprint(&document->slice, 1));
}

void openapi_document(struct call *call)
{
    if (!document)
        make_document(call->gateway->routes);
    if (!document) {
        call_fail(call, ERR_INTERNAL, NULL);
        return;
    }
    call_add_header(call, "ETag", slice_of(etag));
    if (etag_is_named(call_header(call, "If-None-Match"), slice_of(etag)))
        call_respond(call, 304, NULL, SLICE_NONE);
    else
        call_respond_shared(call, 200, "application/json", document, document->slice);
}
