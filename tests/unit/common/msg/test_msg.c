/* JSON against field tables: every complaint with its pointer, and the bytes that come out. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/json.h"
#include "common/msg/msg.h"
#include "schemas/schemac/compile.h"

static const char schema_text[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"name\",\"lines\"],\"properties\":{"
    "\"name\":{\"x-id\":1,\"type\":\"string\",\"minLength\":2,\"maxLength\":5},"
    "\"state\":{\"x-id\":2,\"type\":\"string\",\"enum\":[\"on\",\"off\"]},"
    "\"budget\":{\"x-id\":3,\"type\":[\"number\",\"null\"],\"minimum\":0,\"maximum\":1000000,\"multipleOf\":"
    "0.01},"
    "\"count\":{\"x-id\":4,\"type\":\"integer\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":10},"
    "\"open\":{\"x-id\":5,\"type\":\"boolean\"},"
    "\"owner\":{\"x-id\":6,\"type\":\"string\",\"format\":\"uuid\"},"
    "\"version\":{\"x-id\":7,\"type\":\"integer\",\"minimum\":1,\"maximum\":9,\"readOnly\":true},"
    "\"kind\":{\"x-id\":8,\"type\":\"string\",\"maxLength\":9,\"x-create-only\":true},"
    "\"key\":{\"x-id\":9,\"type\":[\"string\",\"null\"],\"minLength\":2,\"maxLength\":5,\"writeOnly\":true,"
    "\"x-secret\":true},"
    "\"lines\":{\"x-id\":200,\"type\":\"array\",\"minItems\":1,\"maxItems\":3,\"items\":{"
    "\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"quantity\"],\"properties\":{"
    "\"quantity\":{\"x-id\":1,\"type\":\"integer\",\"minimum\":1,\"maximum\":99},"
    "\"tags\":{\"x-id\":2,\"type\":\"array\",\"maxItems\":2,\"items\":{\"type\":\"string\",\"maxLength\":3}}}"
    "}}}}";

struct fixture {
    struct arena arena;
    struct msg_shape shape;
    struct buf out;
    struct msg_problems problems;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    char why[SCHEMA_WHY_MAX] = "";
    json_t *schema = json_loads(schema_text, 0, NULL);
    arena_init(&f->arena, 4096, 0);
    buf_init(&f->out, 4096);
    f->problems.arena = &f->arena;
    if (schema_compile(schema, SCHEMA_MESSAGES, &f->arena, &f->shape, why))
        fail_msg("%s", why);
    json_decref(schema);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buf_done(&f->out);
    arena_done(&f->arena);
    free(f);
    return 0;
}

static enum err encode(struct fixture *f, enum msg_mode mode, const char *text)
{
    json_t *json = NULL;
    char why[160];
    assert_int_equal(json_parse(slice_of(text), 32, &json, why), ERR_OK);
    enum err err = msg_from_json(f->shape.object, mode, json, &f->out, &f->problems);
    json_decref(json);
    return err;
}

/* All complaints in order, as "pointer detail" lines. */
static void assert_complaints(struct fixture *f, enum msg_mode mode, const char *text, const char *expected)
{
    CLEANUP(buf_done) struct buf lines;
    buf_init(&lines, 65536);
    buf_clear(&f->out);
    f->problems = (struct msg_problems){.arena = &f->arena};
    assert_int_equal(encode(f, mode, text), ERR_VALIDATION);
    assert_int_equal(buf_len(&f->out), 0);
    for (const struct msg_problem *p = f->problems.first; p; p = p->next)
        buf_printf(&lines, "%.*s %.*s\n", (int)p->pointer.len, p->pointer.data, (int)p->detail.len,
                   p->detail.data);
    buf_append_char(&lines, '\0');
    assert_string_equal(buf_data(&lines), expected);
}

static void assert_bytes(struct fixture *f, enum msg_mode mode, const char *text, struct slice expected)
{
    buf_clear(&f->out);
    assert_int_equal(encode(f, mode, text), ERR_OK);
    assert_int_equal(buf_len(&f->out), expected.len);
    assert_memory_equal(buf_data(&f->out), expected.data, expected.len);
}

static void test_encode_when_valid_then_a_map_by_id_in_order(void **state)
{
    assert_bytes(*state, MSG_CREATE, "{\"lines\":[{\"quantity\":7}],\"open\":true,\"name\":\"abc\"}",
                 SLICE("\x83\x01\xa3"
                       "abc\x05\xc3\xcc\xc8\x91\x81\x01\x07"));
}

static void test_encode_when_whole_reals_then_the_bytes_of_the_integer(void **state)
{
    struct slice expected = SLICE("\x82\x03\xcd\x13\x88\x04\x03");
    assert_bytes(*state, MSG_UPDATE, "{\"budget\":5000,\"count\":3}", expected);
    assert_bytes(*state, MSG_UPDATE, "{\"budget\":5000.0,\"count\":3.0}", expected);
    assert_bytes(*state, MSG_UPDATE, "{\"count\":30e-1,\"budget\":5e3}", expected);
}

static void test_encode_when_null_clears_a_nullable_field_then_nil(void **state)
{
    assert_bytes(*state, MSG_UPDATE, "{\"budget\":null}", SLICE("\x81\x03\xc0"));
}

static void test_encode_when_update_is_empty_then_an_empty_map(void **state)
{
    assert_bytes(*state, MSG_UPDATE, "{}", SLICE("\x80"));
}

static void test_encode_when_out_is_full_then_nothing_is_appended(void **state)
{
    struct fixture *f = *state;
    buf_done(&f->out);
    buf_init(&f->out, 6);
    assert_true(buf_append_text(&f->out, "head"));
    assert_int_equal(encode(f, MSG_UPDATE, "{\"name\":\"abc\"}"), ERR_BODY_TOO_LARGE);
    assert_int_equal(buf_len(&f->out), 4);
    assert_false(f->out.truncated);
}

static void test_validate_when_much_is_wrong_then_every_complaint_has_its_pointer(void **state)
{
    assert_complaints(
        *state, MSG_CREATE,
        "{\"state\":\"up\",\"budget\":-0.005,\"count\":10,\"open\":1,\"owner\":\"me\",\"a/b~c\":1,"
        "\"lines\":[{\"quantity\":1},{\"tags\":[\"abcd\",2,null],\"x\":1},5,{}]}",
        "/a~1b~0c is not a known field\n"
        "/name is required\n"
        "/state must be one of: on, off\n"
        "/budget must be at least 0\n"
        "/budget must be a multiple of 0.01\n"
        "/count must be less than 10\n"
        "/open must be true or false\n"
        "/owner must be a UUID\n"
        "/lines must have at most 3 items\n");
    assert_complaints(*state, MSG_CREATE,
                      "{\"name\":\"abc\",\"lines\":[{\"quantity\":1},{\"tags\":[\"abcd\",2],\"x\":1},5]}",
                      "/lines/1/x is not a known field\n"
                      "/lines/1/quantity is required\n"
                      "/lines/1/tags/0 must have at most 3 characters\n"
                      "/lines/1/tags/1 must be a string\n"
                      "/lines/2 must be an object\n");
}

static void test_validate_when_the_body_is_no_object_then_the_pointer_is_empty(void **state)
{
    assert_complaints(*state, MSG_CREATE, "[]", " must be an object\n");
    assert_complaints(*state, MSG_CREATE, "null", " must not be null\n");
}

static void test_validate_when_create_then_server_fields_are_refused(void **state)
{
    assert_complaints(*state, MSG_CREATE, "{\"name\":\"abc\",\"version\":\"x\",\"lines\":[{\"quantity\":1}]}",
                      "/version is set by the server\n");
}

static void test_validate_when_update_then_create_only_fields_and_nulls_are_refused(void **state)
{
    assert_complaints(*state, MSG_UPDATE, "{\"kind\":\"a\",\"name\":null}",
                      "/name cannot be cleared\n"
                      "/kind can only be given on creation\n");
}

static void test_validate_when_update_replaces_an_array_then_its_elements_must_be_complete(void **state)
{
    assert_complaints(*state, MSG_UPDATE, "{\"lines\":[{}]}", "/lines/0/quantity is required\n");
}

static void test_validate_when_exact_then_read_only_has_no_meaning(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(encode(f, MSG_EXACT, "{\"name\":\"abc\",\"version\":1,\"lines\":[{\"quantity\":1}]}"),
                     ERR_OK);
    assert_complaints(f, MSG_EXACT, "{\"version\":10}",
                      "/name is required\n"
                      "/version must be at most 9\n"
                      "/lines is required\n");
}

static void test_validate_when_counting_characters_then_code_points_count(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(encode(f, MSG_UPDATE, "{\"name\":\"\\ud83c\\udfd7\\ud83c\\udfd7aaa\"}"), ERR_OK);
    assert_complaints(f, MSG_UPDATE, "{\"name\":\"\\ud83c\\udfd7\"}",
                      "/name must have at least 2 characters\n");
    assert_complaints(f, MSG_UPDATE, "{\"name\":\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}",
                      "/name must have at most 5 characters\n");
}

static void test_validate_when_nul_in_text_then_refused(void **state)
{
    assert_complaints(*state, MSG_UPDATE, "{\"name\":\"a\\u0000b\"}",
                      "/name must not contain the character U+0000\n");
}

static void test_validate_when_money_has_two_decimals_then_it_fits(void **state)
{
    struct fixture *f = *state;
    static const char *const fitting[] = {"0.01",  "0.07",    "0.29",      "1.15",
                                          "19.99", "1000000", "999999.99", "123456.78"};
    static const char *const others[] = {"0.001", "19.995", "0.0100001", "999999.991"};
    char text[64];
    for (size_t i = 0; i < ARRAY_LEN(fitting); i++) {
        snprintf(text, sizeof(text), "{\"budget\":%s}", fitting[i]);
        assert_int_equal(encode(f, MSG_UPDATE, text), ERR_OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        snprintf(text, sizeof(text), "{\"budget\":%s}", others[i]);
        assert_complaints(f, MSG_UPDATE, text, "/budget must be a multiple of 0.01\n");
    }
}

static void test_validate_when_complaints_are_many_then_they_are_counted_and_not_kept(void **state)
{
    struct fixture *f = *state;
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, 1 << 20);
    buf_append_char(&text, '{');
    for (int i = 0; i < 5000; i++)
        buf_printf(&text, "%s\"unknown%d\":1", i ? "," : "", i);
    buf_append(&text, "}", 2);
    assert_int_equal(encode(f, MSG_UPDATE, buf_data(&text)), ERR_VALIDATION);
    assert_int_equal(f->problems.count, 5000);
    size_t kept = 0;
    for (const struct msg_problem *p = f->problems.first; p; p = p->next)
        kept++;
    assert_int_equal(kept, MSG_PROBLEMS_MAX);
}

static void test_validate_when_the_arena_is_full_then_it_still_refuses(void **state)
{
    struct fixture *f = *state;
    struct arena small;
    arena_init(&small, 64, 64);
    f->problems.arena = &small;
    assert_int_equal(encode(f, MSG_CREATE, "{\"a\":1,\"b\":2,\"c\":3}"), ERR_VALIDATION);
    assert_int_equal(f->problems.count, 5);
    arena_done(&small);
}

static void test_fingerprint_when_parts_differ_in_any_way_then_it_differs(void **state)
{
    (void)state;
    const struct slice a[] = {SLICE("project.create"), SLICE("12345678abc")};
    const struct slice same[] = {SLICE("project.create"), SLICE("12345678abc")};
    const struct slice moved[] = {SLICE("project.create1"), SLICE("2345678abc")};
    const struct slice zero[] = {SLICE("project.create"), SLICE("12345678abc\0")};
    const struct slice more[] = {SLICE("project.create"), SLICE("12345678abc"), SLICE("")};
    assert_int_equal(msg_fingerprint(a, 2), msg_fingerprint(same, 2));
    assert_int_not_equal(msg_fingerprint(a, 2), msg_fingerprint(moved, 2));
    assert_int_not_equal(msg_fingerprint(a, 2), msg_fingerprint(zero, 2));
    assert_int_not_equal(msg_fingerprint(a, 2), msg_fingerprint(more, 3));
}

static void test_fingerprint_when_computed_anywhere_then_it_is_what_the_inbox_remembers(void **state)
{
    (void)state;
    const struct slice parts[] = {SLICE("task.update"), SLICE("\x81\x0b\x32")};
    assert_int_equal(msg_fingerprint(parts, 2), UINT64_C(0x60f2fa6cd7af9863));
}

/* ---- secrets ---- */

static bool reverse(void *arg, const struct msg_field *field, struct slice value, struct buf *out)
{
    assert_string_equal(field->name, "key");
    for (size_t i = value.len; *(bool *)arg && i > 0; i--)
        buf_append_char(out, value.data[i - 1]);
    return *(bool *)arg;
}

static enum err encode_sealing(struct fixture *f, const char *text, bool works)
{
    const struct msg_sealer sealer = {reverse, &works};
    json_t *json = json_loads(text, 0, NULL);
    enum err err = msg_from_json_sealing(f->shape.object, MSG_UPDATE, json, &sealer, &f->out, &f->problems);
    json_decref(json);
    return err;
}

static void test_secret_when_it_is_sealed_then_its_octets_and_nothing_else_are_in_the_message(void **state)
{
    struct fixture *f = *state;
    struct msg_value *values = NULL;
    char why[160] = "";
    CLEANUP(buf_done) struct buf json;
    buf_init(&json, 256);
    assert_int_equal(encode_sealing(f, "{\"name\":\"ab\",\"key\":\"xyz\"}", true), ERR_OK);
    assert_true(slice_equal(buf_slice(&f->out), SLICE("\x82\x01\xa2"
                                                      "ab"
                                                      "\x09\xc4\x03"
                                                      "zyx")));
    assert_int_equal(msg_decode(f->shape.object, buf_slice(&f->out), &f->arena, &values, why), ERR_OK);
    assert_true(slice_is(values[8].text, "zyx"));
    assert_int_equal(msg_to_json(f->shape.object, buf_slice(&f->out), &json), ERR_OK);
    assert_true(slice_is(buf_slice(&json), "{\"name\":\"ab\"}"));
    buf_clear(&f->out);
    assert_int_equal(encode_sealing(f, "{\"key\":null}", true), ERR_OK);
    assert_true(slice_equal(buf_slice(&f->out), SLICE("\x81\x09\xc0")));
}

static void test_secret_when_nobody_seals_it_or_it_does_not_fit_then_refused(void **state)
{
    struct fixture *f = *state;
    assert_complaints(f, MSG_UPDATE, "{\"key\":\"xyz\"}",
                      "/key is a secret, which can only be given in a request of its own\n");
    assert_int_equal(encode_sealing(f, "{\"key\":\"xyz\"}", false), ERR_VALIDATION);
    assert_int_equal(encode_sealing(f, "{\"key\":\"x\"}", true), ERR_VALIDATION);
    assert_int_equal(buf_len(&f->out), 0);
}

static void test_secret_when_it_comes_in_clear_then_poison(void **state)
{
    struct fixture *f = *state;
    struct msg_value *values = NULL;
    char why[160] = "";
    assert_int_equal(msg_decode(f->shape.object, SLICE("\x81\x09\xa3xyz"), &f->arena, &values, why),
                     ERR_POISON);
    assert_string_equal(why, "key: is a secret that is not sealed");
}

static void test_resources_when_looked_up_then_found_by_name(void **state)
{
    (void)state;
    const struct msg_resource *task = msg_resource_by_name(SLICE("task"));
    assert_non_null(task);
    assert_string_equal(task->parent, "project");
    assert_null(msg_resource_by_name(SLICE("tas")));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_encode_when_valid_then_a_map_by_id_in_order),
        TEST(test_encode_when_whole_reals_then_the_bytes_of_the_integer),
        TEST(test_encode_when_null_clears_a_nullable_field_then_nil),
        TEST(test_encode_when_update_is_empty_then_an_empty_map),
        TEST(test_encode_when_out_is_full_then_nothing_is_appended),
        TEST(test_validate_when_much_is_wrong_then_every_complaint_has_its_pointer),
        TEST(test_validate_when_the_body_is_no_object_then_the_pointer_is_empty),
        TEST(test_validate_when_create_then_server_fields_are_refused),
        TEST(test_validate_when_update_then_create_only_fields_and_nulls_are_refused),
        TEST(test_validate_when_update_replaces_an_array_then_its_elements_must_be_complete),
        TEST(test_validate_when_exact_then_read_only_has_no_meaning),
        TEST(test_validate_when_counting_characters_then_code_points_count),
        TEST(test_validate_when_nul_in_text_then_refused),
        TEST(test_validate_when_money_has_two_decimals_then_it_fits),
        TEST(test_validate_when_complaints_are_many_then_they_are_counted_and_not_kept),
        TEST(test_validate_when_the_arena_is_full_then_it_still_refuses),
        TEST(test_fingerprint_when_parts_differ_in_any_way_then_it_differs),
        TEST(test_fingerprint_when_computed_anywhere_then_it_is_what_the_inbox_remembers),
        TEST(test_secret_when_it_is_sealed_then_its_octets_and_nothing_else_are_in_the_message),
        TEST(test_secret_when_nobody_seals_it_or_it_does_not_fit_then_refused),
        TEST(test_secret_when_it_comes_in_clear_then_poison),
        TEST(test_resources_when_looked_up_then_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
