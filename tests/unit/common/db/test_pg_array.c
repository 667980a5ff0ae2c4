#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/db/pg_array.h"

static void assert_text(struct pg_array *array, const char *expected)
{
    struct slice text = pg_array_end(array);
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.data, expected, text.len);
    pg_array_clear(array);
}

static void test_pg_array_when_empty_has_braces_only(void **state)
{
    (void)state;
    struct pg_array array;
    pg_array_init(&array, 1024);
    assert_text(&array, "{}");
    assert_text(&array, "{}"); /* and again after its use */
    pg_array_done(&array);
}

static void test_pg_array_when_elements_are_special_quotes_them(void **state)
{
    (void)state;
    struct pg_array array;
    struct uuid uuid;
    assert_true(uuid_parse(SLICE("01900000-0000-7000-8000-0000000000ff"), &uuid));
    pg_array_init(&array, 1024);
    pg_array_add_text(&array, SLICE("a"));
    pg_array_add_text(&array, SLICE(""));
    pg_array_add_text(&array, SLICE("NULL"));
    pg_array_add_text(&array, SLICE("{\"b\":\"c,\\n\"}"));
    pg_array_add_text(&array, SLICE_NONE);
    pg_array_add_null(&array);
    pg_array_add_i64(&array, INT64_MIN);
    pg_array_add_uuid(&array, &uuid);
    assert_text(&array, "{\"a\",\"\",\"NULL\",\"{\\\"b\\\":\\\"c,\\\\n\\\"}\",NULL,NULL,-9223372036854775808,"
                        "01900000-0000-7000-8000-0000000000ff}");
    pg_array_done(&array);
}

/* test_db.c has the server read the other types. */
static void test_pg_array_when_binary_has_head_and_elements_behind_their_lengths(void **state)
{
    (void)state;
    static const char expected[] = "\0\0\0\1\0\0\0\1\0\0\0\27\0\0\0\3\0\0\0\1"
                                   "\0\0\0\4\0\0\1\2\377\377\377\377\0\0\0\4\377\377\377\376";
    struct pg_array array;
    pg_array_init(&array, 1024);
    for (int i = 0; i < 2; i++) {
        pg_array_begin(&array, PG_INTEGER);
        pg_array_add_i64(&array, 258);
        pg_array_add_null(&array);
        pg_array_add_i64(&array, -2);
        struct slice binary = pg_array_end(&array);
        assert_int_equal(binary.len, sizeof(expected) - 1);
        assert_memory_equal(binary.data, expected, binary.len);
    }
    pg_array_begin(&array, PG_UUID);
    assert_int_equal(pg_array_end(&array).len, 12);
    pg_array_done(&array);
}

static void test_pg_array_when_full_says_so(void **state)
{
    (void)state;
    struct pg_array array;
    pg_array_init(&array, 8);
    pg_array_add_text(&array, SLICE("0123456789"));
    assert_true(array.content.truncated);
    pg_array_done(&array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pg_array_when_empty_has_braces_only),
        cmocka_unit_test(test_pg_array_when_elements_are_special_quotes_them),
        cmocka_unit_test(test_pg_array_when_binary_has_head_and_elements_behind_their_lengths),
        cmocka_unit_test(test_pg_array_when_full_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
