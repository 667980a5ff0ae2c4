/* The tree of paths: which row a path finds, and which methods it has. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/http/route_tree.h"

static const struct route rows[] = {
    {.method = METHOD_GET, .pattern = "/"},
    {.method = METHOD_GET, .pattern = "/v1/projects"},
    {.method = METHOD_POST, .pattern = "/v1/projects"},
    {.method = METHOD_GET, .pattern = "/v1/projects/{id}"},
    {.method = METHOD_PATCH, .pattern = "/v1/projects/{id}"},
    {.method = METHOD_GET, .pattern = "/v1/projects/{project}/tasks"},
    {.method = METHOD_GET, .pattern = "/v1/pools/{pool}"},
    {.method = METHOD_PUT, .pattern = "/v1/pools/{pool}/size"},
    {.method = METHOD_GET, .pattern = "/v1/pools/all"},
};

#define ID "0192f0c1-5f3b-7d2e-8a41-1234567890ab"

static int set_up(void **state)
{
    *state = route_tree_new(rows, ARRAY_LEN(rows));
    return 0;
}

static int tear_down(void **state)
{
    route_tree_free(*state);
    return 0;
}

/* The number of the row, or -1. */
static int find(void **state, enum http_method method, const char *path, struct slice params[CALL_PARAMS_MAX])
{
    unsigned methods;
    const struct route *row = route_tree_find(*state, method, slice_of(path), params, &methods);
    return row ? (int)(row - rows) : -1;
}

static unsigned methods_of(void **state, const char *path)
{
    struct slice params[CALL_PARAMS_MAX];
    unsigned methods;
    assert_null(route_tree_find(*state, METHOD_OTHER, slice_of(path), params, &methods));
    return methods;
}

static void test_find_when_a_path_is_known_finds_its_row_and_what_it_names(void **state)
{
    struct slice params[CALL_PARAMS_MAX];
    assert_int_equal(find(state, METHOD_GET, "/", params), 0);
    assert_int_equal(find(state, METHOD_POST, "/v1/projects", params), 2);
    assert_int_equal(find(state, METHOD_PATCH, "/v1/projects/" ID, params), 4);
    assert_true(slice_is(params[0], ID));
    assert_int_equal(find(state, METHOD_GET, "/v1/projects/" ID "/tasks", params), 5);
    assert_true(slice_is(params[0], ID));
    assert_int_equal(find(state, METHOD_PUT, "/v1/pools/some.pool/size", params), 7);
    assert_true(slice_is(params[0], "some.pool"));
}

static void test_find_when_a_segment_is_literal_prefers_it_and_goes_back_for_others(void **state)
{
    struct slice params[CALL_PARAMS_MAX];
    assert_int_equal(find(state, METHOD_GET, "/v1/pools/all", params), 8);
    assert_int_equal(find(state, METHOD_PUT, "/v1/pools/all/size", params), 7);
    assert_true(slice_is(params[0], "all"));
}

static void test_find_when_a_path_is_another_finds_nothing(void **state)
{
    static const char *const others[] = {
        "",
        "//",
        "/v1",
        "/v1/",
        "/v1/projects/",
        "/v1/projects//",
        "v1/projects",
        "/v1/project",
        "/v1/projectss",
        "/v1/projects/1",
        "/v1/projects/" ID "/",
        "/v1/projects/" ID "/tasks/",
        "/v1/projects//tasks",
        "/v1/pools/",
        "/v1/pools/ALL",
        "/v1/pools/a%62",
        "*",
        "/v1/pools/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    struct slice params[CALL_PARAMS_MAX];
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_equal(find(state, METHOD_GET, others[i], params), -1);
        assert_int_equal(methods_of(state, others[i]), 0);
    }
    assert_int_equal(find(state, METHOD_GET, NULL, params), -1);
    unsigned methods;
    assert_null(route_tree_find(*state, METHOD_GET, SLICE("/v1/pools/a\0b"), params, &methods));
}

static void test_methods_when_several_patterns_fit_are_those_of_all(void **state)
{
    assert_int_equal(methods_of(state, "/v1/projects"), 1U << METHOD_GET | 1U << METHOD_POST);
    assert_int_equal(methods_of(state, "/v1/projects/" ID), 1U << METHOD_GET | 1U << METHOD_PATCH);
    assert_int_equal(methods_of(state, "/v1/pools/all"), 1U << METHOD_GET);
    assert_int_equal(methods_of(state, "/v1/pools/all/size"), 1U << METHOD_PUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_find_when_a_path_is_known_finds_its_row_and_what_it_names,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_find_when_a_segment_is_literal_prefers_it_and_goes_back_for_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_find_when_a_path_is_another_finds_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_methods_when_several_patterns_fit_are_those_of_all, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
