/* The request headers of writes, field by field, and the request target. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/http/preconditions.h"
#include "gateway/http/target.h"

static const struct {
    const char *field, *key; /* key NULL: refused */
} keys[] = {
    {"abc", "abc"},
    {"\"abc\"", "abc"},
    {" \t\"a b\" ", "a b"},
    {"\"a\\\"b\\\\c\"", "a\"b\\c"},
    {"8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"},
    {"", NULL},
    {"\"\"", NULL},
    {"\"", NULL},
    {"\"abc", NULL},
    {"abc\"", NULL},
    {"a\"b", NULL},
    {"\"a\"b\"", NULL},
    {"\"a\\b\"", NULL},
    {"\"a\\\"", NULL},
    {"\"a\";p=1", NULL},
    {"a\tb", NULL},
    {"\xc3\xa9", NULL},
};

static void test_idempotency_key_when_well_formed_is_read_and_otherwise_refused(void **state)
{
    (void)state;
    char scratch[IDEMPOTENCY_KEY_MAX];
    struct slice key;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        enum err err = idempotency_key_parse(slice_of(keys[i].field), scratch, &key);
        if (err != (keys[i].key ? ERR_OK : ERR_BAD_REQUEST) || (!err && !slice_is(key, keys[i].key)))
            fail_msg("wrong for: %s", keys[i].field);
    }
    assert_int_equal(idempotency_key_parse(SLICE_NONE, scratch, &key), ERR_OK);
    assert_null(key.data);
}

static void test_idempotency_key_when_longer_than_the_bound_is_refused(void **state)
{
    (void)state;
    char text[IDEMPOTENCY_KEY_MAX + 3], scratch[IDEMPOTENCY_KEY_MAX];
    struct slice key;
    memset(text, 'x', sizeof(text));
    assert_int_equal(idempotency_key_parse((struct slice){text, IDEMPOTENCY_KEY_MAX}, scratch, &key), ERR_OK);
    assert_int_equal(key.len, IDEMPOTENCY_KEY_MAX);
    assert_int_equal(idempotency_key_parse((struct slice){text, IDEMPOTENCY_KEY_MAX + 1}, scratch, &key),
                     ERR_BAD_REQUEST);
    text[0] = text[IDEMPOTENCY_KEY_MAX + 1] = '"';
    assert_int_equal(idempotency_key_parse((struct slice){text, IDEMPOTENCY_KEY_MAX + 2}, scratch, &key),
                     ERR_OK);
    text[IDEMPOTENCY_KEY_MAX + 1] = 'x';
    text[IDEMPOTENCY_KEY_MAX + 2] = '"';
    assert_int_equal(idempotency_key_parse((struct slice){text, IDEMPOTENCY_KEY_MAX + 3}, scratch, &key),
                     ERR_BAD_REQUEST);
}

static const struct {
    const char *field;
    int64_t ms; /* -1: refused */
} times[] = {
    {NULL, 0},
    {"2026-01-01T00:00:00Z", 1767225600000},
    {" 2026-01-01t00:00:00z\t", 1767225600000},
    {"2026-01-01T02:30:00.5+02:30", 1767225600500},
    {"2025-12-31T22:00:00.1239-02:00", 1767225600123},
    {"2024-02-29T12:00:00Z", 1709208000000},
    {"2016-12-31T23:59:60Z", 1483228800000},
    {"1970-01-01T00:00:00Z", 1},
    {"1900-03-01T00:00:00Z", 1},
    {"2026-01-02T00:00:00Z", 1767312000000},
    {"2026-01-02T00:00:00.001Z", -1},
    {"2026-01-01 00:00:00Z", -1},
    {"2026-01-01T00:00:00", -1},
    {"2025-02-29T00:00:00Z", -1},
    {"1767225600", -1},
    {"", -1},
};

static void test_run_at_when_a_time_within_the_bound_is_read_and_otherwise_refused(void **state)
{
    (void)state;
    const int64_t now_ms = 1767225600000, ahead_ms = 86400000;
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        int64_t ms = -1;
        const char *why = NULL;
        enum err err = run_at_parse(slice_of(times[i].field), now_ms, ahead_ms, &ms, &why);
        if (ms != times[i].ms || err != (times[i].ms < 0 ? ERR_BAD_REQUEST : ERR_OK) || !why != !err)
            fail_msg("wrong for: %s", times[i].field);
    }
}

enum { NEVER = -1, LOOK = -2, BAD = -3 };

/* What the two fields demand: a version, or one of the above; and what is demanded when the version is 7. */
static const struct {
    const char *if_match, *if_none_match;
    int64_t version, of_seven;
} conditions[] = {
    {NULL, NULL, 0, 0},
    {"\"7\"", NULL, 7, 0},
    {" \"123456789012345678\" ", NULL, 123456789012345678, 0},
    {"*", NULL, 0, 0},
    {"\"07\"", NULL, NEVER, 0},
    {"\"0\"", NULL, NEVER, 0},
    {"\"-1\"", NULL, NEVER, 0},
    {"\"\"", NULL, NEVER, 0},
    {"\"abc\"", NULL, NEVER, 0},
    {"\"99999999999999999999\"", NULL, NEVER, 0},
    {"W/\"7\"", NULL, NEVER, 0},
    {"W/\"7\", \"8\"", NULL, 8, 0},
    {"\"abc\",\t\"8\" ,", NULL, 8, 0},
    {"\"7\", \"8\"", NULL, LOOK, 7},
    {"\"6\", \"8\"", NULL, LOOK, NEVER},
    {"\"6\", W/\"7\", \"8\"", NULL, LOOK, NEVER},
    {NULL, "*", NEVER, 0},
    {"*", "*", NEVER, 0},
    {"\"7\"", "*", NEVER, 0},
    {NULL, "\"abc\"", 0, 0},
    {NULL, "\"7\"", LOOK, NEVER},
    {NULL, "\"6\", W/\"7\"", LOOK, NEVER},
    {NULL, "\"6\"", LOOK, 7},
    {"\"7\"", "\"6\"", 7, 0},
    {"\"7\"", "W/\"7\"", NEVER, 0},
    {"\"7\", \"8\"", "\"7\"", LOOK, NEVER},
    {"\"7\", \"8\"", "\"8\"", LOOK, 7},
    {"7", NULL, BAD, 0},
    {"\"7", NULL, BAD, 0},
    {"\"", NULL, BAD, 0},
    {"", NULL, BAD, 0},
    {"\"7 8\"", NULL, BAD, 0},
    {"\"7\", *", NULL, BAD, 0},
    {"\"7\", 8", NULL, BAD, 0},
    {NULL, "7", BAD, 0},
    {NULL, "", BAD, 0},
};

static int64_t shown(int64_t version)
{
    return version == CONDITIONS_NEVER ? NEVER : version;
}

static void test_conditions_of_a_write_then_the_version_that_they_demand_or_a_refusal(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
        struct conditions c;
        enum err err =
            conditions_parse(slice_of(conditions[i].if_match), slice_of(conditions[i].if_none_match), &c);
        int64_t found = err ? BAD : c.needs_look ? LOOK : shown(c.version);
        if (found != conditions[i].version ||
            (found == LOOK && shown(conditions_after_look(&c, 7)) != conditions[i].of_seven))
            fail_msg("wrong for: %s, %s", conditions[i].if_match, conditions[i].if_none_match);
    }
}

static const struct {
    const char *field;
    bool respond_async, has_wait;
    int64_t wait_s;
} preferences[] = {
    {"respond-async", true, false, 0},
    {"Respond-Async, wait=10", true, true, 10},
    {"wait = 10 ; x=y , respond-async;foo", true, true, 10},
    {"wait=\"10\"", false, true, 10},
    {"wait=10, wait=20", false, true, 10},
    {"wait=x, wait=20", false, true, 20},
    {"wait=-1", false, false, 0},
    {"wait", false, false, 0},
    {"wait=9999999999", false, false, 0},
    {"return=minimal; note=\"respond-async, wait=5\"", false, false, 0},
    {"handling=lenient,,respond-async,", true, false, 0},
    {"note=\"unclosed, respond-async", false, false, 0},
    {"\"\\", false, false, 0},
    {"", false, false, 0},
};

static void test_prefer_when_read_takes_what_it_knows_and_nothing_from_quotes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(preferences); i++) {
        struct prefer prefer = {0};
        prefer_parse(slice_of(preferences[i].field), &prefer);
        if (prefer.respond_async != preferences[i].respond_async ||
            prefer.has_wait != preferences[i].has_wait ||
            (prefer.has_wait && prefer.wait_s != preferences[i].wait_s))
            fail_msg("wrong for: %s", preferences[i].field);
    }
}

static void test_media_type_when_it_has_parameters_is_the_same(void **state)
{
    (void)state;
    assert_true(media_type_is(SLICE("application/json"), "application/json"));
    assert_true(media_type_is(SLICE("Application/JSON ; charset=\"utf-8\""), "application/json"));
    assert_false(media_type_is(SLICE("application/jsonp"), "application/json"));
    assert_false(media_type_is(SLICE("text/plain; application/json"), "application/json"));
    assert_false(media_type_is(SLICE(""), "application/json"));
    assert_false(media_type_is(SLICE_NONE, "application/json"));
}

static void test_traceparent_when_not_of_its_form_is_not_valid(void **state)
{
    (void)state;
    assert_true(traceparent_is_valid(SLICE("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")));
    assert_false(traceparent_is_valid(SLICE("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")));
    assert_false(traceparent_is_valid(SLICE("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")));
    assert_false(traceparent_is_valid(SLICE("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01")));
    assert_false(traceparent_is_valid(SLICE("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0")));
    assert_false(traceparent_is_valid(SLICE_NONE));
}

static const struct {
    const char *target, *path, *query; /* path NULL: refused */
} targets[] = {
    {"/", "/", NULL},
    {"/a?b", "/a", "b"},
    {"/a?", "/a", ""},
    {"/a%20b?c%20d", "/a b", "c%20d"},
    {"*", "*", NULL},
    {"http://a", "/", NULL},
    {"HTTPS://a:1?q", "/", "q"},
    {"http://a/b/c?d", "/b/c", "d"},
    {"http:///b", NULL, NULL},
    {"ftp://a/b", NULL, NULL},
    {"a", NULL, NULL},
    {"", NULL, NULL},
    {"/#", NULL, NULL},
    {"/%", NULL, NULL},
    {"/%4", NULL, NULL},
    {"/%4g", NULL, NULL},
    {"/%00", NULL, NULL},
    {"/a%2fb", NULL, NULL},
    {"/a%5Cb", NULL, NULL},
    {"/v1/%61dmin", NULL, NULL},
    {"/v1/%41dmin", NULL, NULL},
    {"/v1/%2e%2E/admin", NULL, NULL},
    {"/v1/a%2Db", NULL, NULL},
    {"/v1/%31", NULL, NULL},
    {"/a?%61=%31", "/a", "%61=%31"},
    {"/a?%00", NULL, NULL},
};

static void test_target_when_parsed_is_path_and_query_or_refused(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 256, 0);
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct slice path, query;
        enum err err = target_parse(&arena, slice_of(targets[i].target), &path, &query);
        if (err != (targets[i].path ? ERR_OK : ERR_BAD_REQUEST) ||
            (!err && !slice_is(path, targets[i].path)) ||
            (!err && (query.data != NULL) != (targets[i].query != NULL)) ||
            (!err && query.data && !slice_is(query, targets[i].query)))
            fail_msg("wrong for: %s", targets[i].target);
    }
    arena_done(&arena);
}

static void test_parameter_when_asked_for_is_decoded_and_the_first(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 256, 0);
    const struct slice query = SLICE("a=1&b=x+y%26z&a=2&c&=&d=%c3%a9&e%3d=f");
    assert_true(slice_is(target_parameter(&arena, query, "a"), "1"));
    assert_true(slice_is(target_parameter(&arena, query, "b"), "x y&z"));
    assert_true(slice_is(target_parameter(&arena, query, "c"), ""));
    assert_true(slice_is(target_parameter(&arena, query, "d"), "\xc3\xa9"));
    assert_true(slice_is(target_parameter(&arena, query, "e="), "f"));
    assert_null(target_parameter(&arena, query, "f").data);
    assert_null(target_parameter(&arena, SLICE_NONE, "a").data);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idempotency_key_when_well_formed_is_read_and_otherwise_refused),
        cmocka_unit_test(test_run_at_when_a_time_within_the_bound_is_read_and_otherwise_refused),
        cmocka_unit_test(test_idempotency_key_when_longer_than_the_bound_is_refused),
        cmocka_unit_test(test_conditions_of_a_write_then_the_version_that_they_demand_or_a_refusal),
        cmocka_unit_test(test_prefer_when_read_takes_what_it_knows_and_nothing_from_quotes),
        cmocka_unit_test(test_media_type_when_it_has_parameters_is_the_same),
        cmocka_unit_test(test_traceparent_when_not_of_its_form_is_not_valid),
        cmocka_unit_test(test_target_when_parsed_is_path_and_query_or_refused),
        cmocka_unit_test(test_parameter_when_asked_for_is_decoded_and_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
