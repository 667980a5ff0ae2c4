/* Base64: RFC 4648 section 10, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/base64.h"

static const struct {
    const char *octets, *text;
} vectors[] = {{"", ""},
               {"f", "Zg=="},
               {"fo", "Zm8="},
               {"foo", "Zm9v"},
               {"foob", "Zm9vYg=="},
               {"fooba", "Zm9vYmE="},
               {"foobar", "Zm9vYmFy"},
               {"\xff\xfe\xfd", "//79"}};

static void test_base64_when_it_is_a_vector_then_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        CLEANUP(buf_done) struct buf text;
        char octets[16];
        size_t len = 99;
        buf_init(&text, 64);
        assert_true(base64_append(&text, slice_of(vectors[i].octets)));
        assert_true(slice_is(buf_slice(&text), vectors[i].text));
        assert_true(base64_decode(slice_of(vectors[i].text), octets, &len));
        assert_true(slice_is((struct slice){octets, len}, vectors[i].octets));
    }
}

static void test_base64_when_a_text_is_none_then_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"Z",    "Zg",   "Zg=",  "Zg===", "Zm9v=", "Z===",     "====",
                                        "=Zg=", "Zh==", "Zm9=", "Zm 9",  "Zm-_",  "Zg==Zg==", "Zm9\n"};
    char octets[16];
    size_t len;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (base64_decode(slice_of(wrong[i]), octets, &len))
            fail_msg("%s is taken", wrong[i]);
}

static void test_append_when_there_is_no_room_then_nothing(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, 7);
    assert_false(base64_append(&text, SLICE("foob")));
    assert_int_equal(buf_len(&text), 0);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_base64_when_it_is_a_vector_then_both_ways),
        TEST(test_base64_when_a_text_is_none_then_refused),
        TEST(test_append_when_there_is_no_room_then_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
