/* GET /openapi.json: the document is made once and answered with its tag. The document itself: tests/contract/openapi.test.mjs. */

#include "tests/unit/gateway/http/http_fixture.h"

#include <jansson.h>

static int setup(void **state)
{
    *state = rig_new();
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static struct reply ask(struct rig *rig, struct client *client, size_t *at, const char *extra)
{
    char request[512];
    snprintf(request, sizeof(request), "GET /openapi.json HTTP/1.1\r\nHost: a\r\n%s\r\n", extra);
    client_send(rig, client, slice_of(request), 65536);
    return await_reply(rig, client, at);
}

static void copy_etag(struct slice head, char etag[64])
{
    const char *from = memmem(head.data, head.len, "\r\nETag: ", 8);
    assert_non_null(from);
    const char *to = strstr(from + 8, "\r\n");
    assert_in_range(to - from - 8, 3, 63);
    memcpy(etag, from + 8, (size_t)(to - from - 8));
    etag[to - from - 8] = '\0';
}

static void test_document_when_asked_for_then_json_without_a_token(void **state)
{
    struct client client = client_open(*state);
    size_t at = 0;
    struct reply reply = ask(*state, &client, &at, "");
    assert_int_equal(reply.status, 200);
    json_t *document = json_loadb(reply.body.data, reply.body.len, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(document, "openapi")), "3.1.0");
    assert_non_null(json_object_get(json_object_get(document, "paths"), "/v1/projects/{id}"));
    json_decref(document);
    client_close(&client);
}

static void test_document_when_the_tag_is_known_then_304(void **state)
{
    struct client client = client_open(*state);
    char etag[64], condition[128];
    size_t at = 0;
    copy_etag(ask(*state, &client, &at, "").head, etag);
    snprintf(condition, sizeof(condition), "If-None-Match: %s\r\n", etag);
    struct reply reply = ask(*state, &client, &at, condition);
    assert_int_equal(reply.status, 304);
    assert_int_equal(reply.body.len, 0);
    assert_int_equal(ask(*state, &client, &at, "If-None-Match: \"other\"\r\n").status, 200);
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_document_when_asked_for_then_json_without_a_token, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_document_when_the_tag_is_known_then_304, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
