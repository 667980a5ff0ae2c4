#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/json_scan.h"
#include "common/base/macros.h"

/* name=value; for each member, then "." at a good end. */
static void assert_members(const char *text, const char *expected)
{
    char found[256] = "";
    size_t len = 0;
    CLEANUP_FREE char *exact = xmalloc(strlen(text) + 1);
    memcpy(exact, text, strlen(text));
    struct slice inside, name, value;
    if (!json_scan_begin((struct slice){exact, strlen(text)}, &inside)) {
        assert_string_equal("no object", expected);
        return;
    }
    while (json_scan_next(&inside, &name, &value))
        len += (size_t)snprintf(found + len, sizeof(found) - len, "%.*s=%.*s;", (int)name.len, name.data,
                                (int)value.len, value.data);
    snprintf(found + len, sizeof(found) - len, "%s", inside.len > 0 ? "?" : ".");
    assert_string_equal(found, expected);
}

static void test_scan_when_an_object_then_its_members_and_else_what_it_is_not(void **state)
{
    (void)state;
    assert_members("{}", ".");
    assert_members(" { \"a\" : 1 , \"b\":\"x\" }\r\n", "a=1;b=\"x\";.");
    assert_members("{\"a\":[1,{\"b\":\"]}\"}],\"c\":\"\\\"}\"}", "a=[1,{\"b\":\"]}\"}];c=\"\\\"}\";.");
    assert_members("{\"a\":\"\\ud800\",\"b\":12345678901234567890}",
                   "a=\"\\ud800\";b=12345678901234567890;.");
    assert_members("{\"a\\\"b\":1}", "a\\\"b=1;.");
    assert_members("{\"a\":1 2}", "?");
    assert_members("{\"a\"}", "?");
    assert_members("{\"a\":}", "?");
    assert_members("{a:1}", "?");
    assert_members("{\"a\":1", "no object");
    assert_members("{\"a\":\"1}", "no object");
    assert_members("{\"a\":1}}", "no object");
    assert_members("{}{}", "no object");
    assert_members("[1]", "no object");
    assert_members("\"{}\"", "no object");
    assert_members("", "no object");
    assert_members("{", "no object");
    assert_members("{\"\\", "no object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_when_an_object_then_its_members_and_else_what_it_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
