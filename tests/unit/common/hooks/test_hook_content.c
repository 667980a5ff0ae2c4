/* Bodies of webhooks: JSON, forms, and pointers into them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/json.h"
#include "common/hooks/content.h"

#define FORM SLICE("application/x-www-form-urlencoded; charset=utf-8")

static void assert_content(struct slice type, const char *body, const char *expected)
{
    char why[160] = "";
    CLEANUP(json_cleanup) json_t *json = NULL;
    CLEANUP(json_cleanup) json_t *wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
    if (hook_content_read(type, slice_of(body), &json, why))
        fail_msg("%s: %s", body, why);
    assert_true(json_equal(json, wanted));
}

static void assert_no_content(struct slice type, struct slice body)
{
    char why[160] = "";
    json_t *json = NULL;
    assert_int_equal(hook_content_read(type, body, &json, why), ERR_BAD_REQUEST);
    assert_true(why[0]);
}

static void test_content_when_it_is_json_then_that(void **state)
{
    (void)state;
    assert_content(SLICE("application/json"), "{\"a\":[1,\"é\"]}", "{\"a\":[1,\"é\"]}");
    assert_content(SLICE_NONE, "[1]", "[1]");
    assert_no_content(SLICE_NONE, SLICE("{\"a\":"));
    assert_no_content(SLICE_NONE, SLICE(""));
    assert_no_content(SLICE_NONE, SLICE("\xff"));
}

static void test_content_when_it_is_a_form_then_its_members(void **state)
{
    (void)state;
    assert_content(FORM, "a=1&b=x+y%20%C3%A9&&c&=d&a=2",
                   "{\"a\":\"1\",\"b\":\"x y é\",\"c\":\"\",\"\":\"d\"}");
    assert_content(FORM, "", "{}");
    assert_no_content(FORM, SLICE("a=%"));
    assert_no_content(FORM, SLICE("a=%4"));
    assert_no_content(FORM, SLICE("a=%zz"));
    assert_no_content(FORM, SLICE("a=%ff"));
}

static void test_content_when_a_form_is_one_payload_then_the_json_in_it(void **state)
{
    (void)state;
    assert_content(FORM, "payload=%7B%22a%22%3A1%7D", "{\"a\":1}");
    assert_content(FORM, "payload=%7B%7D&x=1", "{\"payload\":\"{}\",\"x\":\"1\"}");
    assert_no_content(FORM, SLICE("payload=%7B"));
}

static void test_content_when_a_form_has_too_many_members_then_refused(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf form;
    buf_init(&form, 1 << 20);
    for (int i = 0; i <= HOOK_FORM_MEMBERS_MAX; i++)
        buf_printf(&form, "%s%d=", i ? "&" : "", i);
    assert_no_content(FORM, buf_slice(&form));
}

static void test_pointer_when_followed_then_what_is_there(void **state)
{
    (void)state;
    static const struct {
        const char *pointer, *expected; /* NULL: nothing */
    } cases[] = {
        {"", "{\"a\":{\"b/c\":[10,{\"~\":true}]},\"\":7,\"0\":8}"},
        {"/a/b~1c/0", "10"},
        {"/a/b~1c/1/~0", "true"},
        {"/", "7"},
        {"/0", "8"},
        {"/a/b~1c/2", NULL},
        {"/a/b~1c/-", NULL},
        {"/a/b~1c/00", NULL},
        {"/a/b~1c/01", NULL},
        {"/a/b~1c/99999999999999999999", NULL},
        {"/a/b~1c/0/x", NULL},
        {"/x", NULL},
        {"a", NULL},
        {"/a~", NULL},
        {"/a~2", NULL},
    };
    CLEANUP(json_cleanup) json_t *json = json_loads(cases[0].expected, 0, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const json_t *found = hook_pointer_find(json, slice_of(cases[i].pointer));
        CLEANUP(json_cleanup)
        json_t *wanted = cases[i].expected ? json_loads(cases[i].expected, JSON_DECODE_ANY, NULL) : NULL;
        if (wanted ? !json_equal(found, wanted) : found != NULL)
            fail_msg("%s", cases[i].pointer);
    }
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_content_when_it_is_json_then_that),
        TEST(test_content_when_it_is_a_form_then_its_members),
        TEST(test_content_when_a_form_is_one_payload_then_the_json_in_it),
        TEST(test_content_when_a_form_has_too_many_members_then_refused),
        TEST(test_pointer_when_followed_then_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
