/* GET /openapi.json. The document is made on the first request and kept as long as the process lives. */

#include "gateway/openapi/openapi.h"

#include "gateway/http/etag.h"

static struct bytes *document;
static char etag[ETAG_SIZE];

static void on_release(void *text)
{
    free(text);
}

static void make_document(const struct gateway *gateway)
{
    json_t *json = openapi_build(gateway->routes, gateway->config);
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(json);
    if (!text)
        return;
    document = bytes_wrap(slice_of(text), on_release, text);
    etag_of_content(document->slice, etag);
}

void openapi_document(struct call *call)
{
    if (!document)
        make_document(call->gateway);
    if (!document) {
        call_fail(call, ERR_INTERNAL, NULL);
        return;
    }
    call_set_etag(call, slice_of(etag));
    call_respond_shared(call, 200, "application/json", document, document->slice);
}
