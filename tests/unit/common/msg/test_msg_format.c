/* The cases of formats that are easily got wrong; the official suite (tests/contract) has the others. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/utf8.h"
#include "common/msg/format.h"

static void assert_format(enum msg_format format, const char *const *texts, size_t count, bool accepted)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP_FREE char *exact = xmalloc(strlen(texts[i]));
        memcpy(exact, texts[i], strlen(texts[i]));
        if (msg_format_accepts(format, (struct slice){exact, strlen(texts[i])}) != accepted)
            fail_msg("%s `%s`", accepted ? "refused" : "accepted", texts[i]);
    }
}
#define ASSERT_ACCEPTS(format, ...)                           \
    assert_format(format, (const char *const[]){__VA_ARGS__}, \
                  ARRAY_LEN(((const char *const[]){__VA_ARGS__})), true)
#define ASSERT_REFUSES(format, ...)                           \
    assert_format(format, (const char *const[]){__VA_ARGS__}, \
                  ARRAY_LEN(((const char *const[]){__VA_ARGS__})), false)

static void test_date_when_the_calendar_has_it_then_accepted(void **state)
{
    (void)state;
    ASSERT_ACCEPTS(MSG_FORMAT_DATE, "2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31");
    ASSERT_REFUSES(MSG_FORMAT_DATE, "", "2023-02-29", "1900-02-29", "2024-04-31", "2024-00-10", "2024-13-01",
                   "2024-01-00", "0000-01-01", "2024-1-01", "24-01-01", "2024/01/01", "2024-01-01 ",
                   "2024-01-01T", "2024\r01\r01", "+024-01-01");
}

static void test_time_when_rfc3339_and_storable_then_accepted(void **state)
{
    (void)state;
    ASSERT_ACCEPTS(MSG_FORMAT_DATE_TIME, "2024-02-29T12:00:00Z", "2024-02-29t12:00:00z",
                   "2024-02-29T12:00:00.5+15:59", "2024-02-29T23:59:59.123456789-08:00",
                   "2016-12-31T23:59:60Z", "2016-12-31T15:59:60-08:00", "2017-01-01T00:59:60+01:00");
    ASSERT_REFUSES(MSG_FORMAT_DATE_TIME, "2024-02-29", "2024-02-29T12:00:00", "2024-02-29 12:00:00Z",
                   "2024-02-29T24:00:00Z", "2024-02-29T12:60:00Z", "2024-02-29T12:00:61Z",
                   "2024-02-29T12:00:60Z", "2024-02-29T12:00:00.Z", "2024-02-29T12:00:00+1:00",
                   "2024-02-29T12:00:00+16:00", "2024-02-29T12:00:00+01:60", "2024-02-29T12:00:00Z ",
                   "2024-02-30T12:00:00Z", "2024-02-29T12:00Z");
}

static void test_uuid_when_canonical_then_accepted(void **state)
{
    (void)state;
    ASSERT_ACCEPTS(MSG_FORMAT_UUID, "00000000-0000-7000-8000-000000000001",
                   "2EB8AA08-AA98-11EA-B4AA-73B441D16380");
    ASSERT_REFUSES(MSG_FORMAT_UUID, "", "2eb8aa08-aa98-11ea-b4aa-73b441d1638",
                   "2eb8aa08aa9811eab4aa73b441d16380", "{2eb8aa08-aa98-11ea-b4aa-73b441d16380}",
                   "2eb8aa08-aa98-11ea-b4aa-73b441d1638g");
}

static void test_email_when_a_mailbox_then_accepted(void **state)
{
    (void)state;
    ASSERT_ACCEPTS(MSG_FORMAT_EMAIL, "a@b", "joe.bloggs+site@example.co.uk", "\"joe bloggs\"@example.com",
                   "\"a\\\"b\"@example.com", "x@[127.0.0.1]", "x@[IPv6:::1]", "x@a-b.example");
    ASSERT_REFUSES(MSG_FORMAT_EMAIL, "", "@", "a@", "@b", "a b@c", "a..b@c", ".a@c", "a.@c", "a@b@c", "a@-b",
                   "a@b-", "a@b..c", "a@b.", "a@b_c", "\"a@b", "\"a\\\"@b", "a@[256.0.0.1]", "a@[IPv6:zz]",
                   "a@b\n", "\xc3\xa9@b");
}

static void test_uri_when_absolute_then_accepted(void **state)
{
    (void)state;
    ASSERT_ACCEPTS(MSG_FORMAT_URI, "https://example.com", "http://u:p@h.example:8080/a/b;c?d=e&f=%20#g",
                   "urn:isbn:1", "mailto:a@b", "file:///etc/x", "http://[::1]:80/", "http://[v1.a:b]/",
                   "tel:+1-2", "a:", "http://");
    ASSERT_REFUSES(MSG_FORMAT_URI, "", "/a", "//a/b", "a b:c", "1a:b", ":a", "http://a b/", "http://a/%2",
                   "http://a/%zz", "http://[::1", "http://[zz]/", "http://h:8x/", "http://a/<b>",
                   "http://a/\\b", "http://a#b#c", "http://\xc3\xa9.example", "http://a/\"", "http://u@v@h/");
}

static void test_formats_when_named_then_found_again(void **state)
{
    (void)state;
    enum msg_format format;
    for (enum msg_format f = MSG_FORMAT_UUID; f <= MSG_FORMAT_URI; f++) {
        assert_true(msg_format_from_name(msg_format_name(f), &format));
        assert_int_equal(format, f);
    }
    assert_false(msg_format_from_name("hostname", &format));
    assert_false(msg_format_from_name("", &format));
}

static void test_utf8_when_malformed_then_invalid(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "ascii only, and long enough for words",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       ("12345678\xe2\x82\xac"
                                        "90123456")};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xe2\x82",
                                      "\xe2\x28\xa1",
                                      "1234567\xe2\x82",
                                      "\xf0\x90\x80"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(utf8_valid(slice_of(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(utf8_valid(slice_of(bad[i])));
    assert_int_equal(utf8_length(SLICE("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x8f\x97")), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_date_when_the_calendar_has_it_then_accepted),
        cmocka_unit_test(test_time_when_rfc3339_and_storable_then_accepted),
        cmocka_unit_test(test_uuid_when_canonical_then_accepted),
        cmocka_unit_test(test_email_when_a_mailbox_then_accepted),
        cmocka_unit_test(test_uri_when_absolute_then_accepted),
        cmocka_unit_test(test_formats_when_named_then_found_again),
        cmocka_unit_test(test_utf8_when_malformed_then_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
