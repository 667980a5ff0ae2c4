#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "workers/fleet/manager/show.h"
#include "workers/fleet/pool/crash_loop.h"

static struct uuid id_of(uint8_t rank)
{
    return (struct uuid){.octet = {rank}};
}

static struct pool_size size_of(int wanted, uint64_t version, uint8_t set_by)
{
    return (struct pool_size){.wanted = wanted, .version = version, .set_by = {set_by}};
}

static void set_wanted(struct manager_view *view, int32_t wanted)
{
    manager_view_set(view, &(struct pool_wish){wanted, POOL_UNSAID, POOL_UNSAID}, WHY_REQUEST, 5000);
}

/* Managers 0 … count-1 of a pool as number `self` sees it. */
static void view_of(struct manager_view *view, uint8_t self, uint8_t count)
{
    struct uuid id = id_of(self);
    manager_view_init(view, &id);
    for (uint8_t rank = count; rank-- > 0;) {
        json_t *said = json_object();
        id = id_of(rank);
        manager_view_hear(view, &id, false, said, 0);
        json_decref(said);
    }
}

static void test_share_when_there_are_several_managers_then_the_sum_is_what_is_wanted(void **state)
{
    (void)state;
    for (uint8_t managers = 1; managers <= 7; managers++)
        for (int wanted = 1; wanted <= 40; wanted++) {
            int sum = 0, least = POOL_WORKERS_MAX, most = 0;
            for (uint8_t self = 0; self < managers; self++) {
                struct manager_view view;
                view_of(&view, self, managers);
                set_wanted(&view, wanted);
                int share = manager_view_share(&view);
                sum += share;
                least = share < least ? share : least;
                most = share > most ? share : most;
                manager_view_done(&view);
            }
            assert_int_equal(sum, wanted);
            assert_true(most - least <= 1);
        }
}

static void test_size_when_words_arrive_in_any_order_then_all_hold_the_latest(void **state)
{
    (void)state;
    const struct pool_size words[] = {size_of(2, 1, 9), size_of(5, 3, 1), size_of(7, 3, 2), size_of(4, 2, 9)};
    static const int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}};
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        struct manager_view view;
        view_of(&view, 0, 1);
        for (size_t j = 0; j < ARRAY_LEN(words); j++)
            manager_view_adopt(&view, &words[orders[i][j]]);
        assert_int_equal(view.size.wanted, 7);
        set_wanted(&view, 3);
        for (size_t j = 0; j < ARRAY_LEN(words); j++)
            assert_false(manager_view_adopt(&view, &words[j]));
        assert_int_equal(view.size.wanted, 3);
        manager_view_done(&view);
    }
}

static void test_size_when_it_is_out_of_bounds_then_it_is_not_taken(void **state)
{
    (void)state;
    static const int wrong[] = {-1, 0, POOL_WORKERS_MAX + 1};
    struct manager_view view;
    view_of(&view, 0, 1);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        const struct pool_size size = size_of(wrong[i], 5, 1);
        assert_false(manager_view_adopt(&view, &size));
    }
    set_wanted(&view, 100000);
    assert_int_equal(view.size.wanted, POOL_WORKERS_MAX);
    set_wanted(&view, 0);
    assert_int_equal(view.size.wanted, 1);
    manager_view_done(&view);
}

static void test_peer_when_it_falls_silent_or_leaves_then_its_share_is_taken_over(void **state)
{
    (void)state;
    struct manager_view view;
    struct uuid first = id_of(0), third = id_of(2);
    view_of(&view, 1, 3);
    set_wanted(&view, 6);
    assert_int_equal(manager_view_share(&view), 2);
    json_t *said = json_object();
    assert_false(manager_view_hear(&view, &third, false, said, 3000)); /* nobody new */
    assert_false(manager_view_expire(&view, MANAGER_SILENT_MS - 1));
    assert_true(manager_view_expire(&view, MANAGER_SILENT_MS));
    assert_int_equal(manager_view_share(&view), 3);
    assert_true(manager_view_hear(&view, &third, true, said, 4000));
    assert_int_equal(manager_view_share(&view), 6);
    assert_true(manager_view_hear(&view, &first, false, said, 4000));
    assert_int_equal(manager_view_share(&view), 3);
    manager_view_thaw(&view, 60000);
    assert_false(manager_view_expire(&view, 60000 + MANAGER_SILENT_MS - 1));
    view.is_leaving = true;
    assert_int_equal(manager_view_share(&view), 0);
    json_decref(said);
    manager_view_done(&view);
}

/* ---- messages ---- */

static const struct manager_self self = {.host = "a\"host", .pid = 12, .since_ms = 1000};
static const struct pool_report report = {
    .worker_count = 2,
    .workers = {{.pid = 13, .state = WORKER_READY, .since_ms = 2000}, {.state = WORKER_WAITING}},
};

static void test_announcement_when_it_is_read_again_then_it_says_the_same(void **state)
{
    (void)state;
    struct manager_view view;
    struct buf text;
    struct manager_announcement said;
    json_t *whole = NULL;
    buf_init(&text, MANAGER_MESSAGE_MAX);
    view_of(&view, 1, 2);
    set_wanted(&view, 5);
    manager_write_announcement(&text, &view, &self, &report, true);
    assert_int_equal(manager_read_announcement(buf_slice(&text), &said, &whole), ERR_OK);
    assert_memory_equal(&said.id, &view.self, sizeof(said.id));
    assert_memory_equal(&said.size, &view.size, sizeof(said.size));
    assert_true(said.asks && !said.leaves);
    assert_string_equal(json_string_value(json_object_get(whole, "host")), "a\"host");
    json_decref(whole);
    for (size_t len = 0; len < buf_len(&text); len++) /* whatever is cut off, it is not taken */
        assert_int_not_equal(manager_read_announcement((struct slice){buf_data(&text), len}, &said, &whole),
                             ERR_OK);
    buf_done(&text);
    manager_view_done(&view);
}

static void test_announcement_when_parts_are_missing_or_wrong_then_it_is_refused(void **state)
{
    (void)state;
#define ID "\"01890000-0000-7000-8000-000000000001\""
    static const char *const wrong[] = {
        "[]",
        "7",
        "{}",
        "{\"id\":7,\"set_by\":" ID ",\"wanted\":1,\"version\":1,\"workers\":[]}",
        "{\"id\":" ID ",\"set_by\":" ID ",\"wanted\":257,\"version\":1,\"workers\":[]}",
        "{\"id\":" ID ",\"set_by\":" ID ",\"wanted\":-1,\"version\":1,\"workers\":[]}",
        "{\"id\":" ID ",\"set_by\":" ID ",\"wanted\":1,\"version\":-1,\"workers\":[]}",
        "{\"id\":" ID ",\"set_by\":" ID ",\"wanted\":1,\"version\":1,\"workers\":{}}",
    };
    struct manager_announcement said;
    json_t *whole = NULL;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_not_equal(manager_read_announcement(slice_of(wrong[i]), &said, &whole), ERR_OK);
}

static void test_request_when_it_names_a_size_then_within_bounds_only(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err err;
        struct pool_wish wish;
    } table[] = {
        {"{}", ERR_OK, {-1, -1, -1}},
        {"{\"wanted\":1}", ERR_OK, {1, -1, -1}},
        {"{\"wanted\":256}", ERR_OK, {256, -1, -1}},
        {"{\"min\":2,\"max\":8}", ERR_OK, {-1, 2, 8}},
        {"{\"max\":0}", ERR_OK, {-1, -1, 0}},
        {"{\"wanted\":0}", ERR_BAD_REQUEST, {0}},
        {"{\"wanted\":257}", ERR_BAD_REQUEST, {0}},
        {"{\"wanted\":\"6\"}", ERR_BAD_REQUEST, {0}},
        {"{\"wanted\":6.5}", ERR_BAD_REQUEST, {0}},
        {"{\"min\":0}", ERR_BAD_REQUEST, {0}},
        {"{\"max\":257}", ERR_BAD_REQUEST, {0}},
        {"{\"max\":null}", ERR_BAD_REQUEST, {0}},
        {"[]", ERR_BAD_REQUEST, {0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct manager_request request;
        assert_int_equal(manager_read_request(slice_of(table[i].text), &request), table[i].err);
        if (!table[i].err)
            assert_memory_equal(&request.wish, &table[i].wish, sizeof(request.wish));
    }
}

static void test_request_with_conditions_when_the_size_was_changed_then_it_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *conditions; /* "if" */
        bool holds;             /* for a size of time 7 */
    } table[] = {
        {"{}", true},
        {"{\"match\":\"*\"}", true},
        {"{\"match\":[5,7]}", true},
        {"{\"match\":[5]}", false},
        {"{\"match\":[]}", false},
        {"{\"match\":7}", false},
        {"{\"none_match\":[5]}", true},
        {"{\"none_match\":[7]}", false},
        {"{\"none_match\":\"*\"}", false},
        {"{\"match\":[7],\"none_match\":[7]}", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char text[128];
        struct manager_request request;
        snprintf(text, sizeof(text), "{\"wanted\":2,\"at\":9,\"if\":%s}", table[i].conditions);
        assert_int_equal(manager_read_request(slice_of(text), &request), ERR_OK);
        assert_int_equal(request.at_ms, 9);
        assert_int_equal(manager_conditions_hold(request.conditions, 7), table[i].holds);
        json_decref(request.conditions);
    }
    assert_true(manager_conditions_hold(NULL, 7));
}

static void test_objection_when_a_wish_does_not_fit_then_it_names_the_field(void **state)
{
    (void)state;
    static const struct {
        int32_t min, max; /* as it is, with four workers */
        struct pool_wish wish;
        const char *field; /* NULL: it fits */
    } table[] = {
        {1, 0, {200, -1, -1}, NULL},   {1, 8, {8, -1, -1}, NULL},  {1, 8, {9, -1, -1}, "wanted"},
        {2, 8, {1, -1, -1}, "wanted"}, {1, 8, {9, -1, 12}, NULL},  {1, 8, {9, -1, 0}, NULL},
        {1, 8, {-1, 9, -1}, "min"},    {3, 8, {-1, -1, 2}, "max"}, {1, 8, {-1, 6, 5}, "max"},
        {1, 8, {-1, 5, 6}, NULL},      {1, 8, {-1, -1, 2}, NULL},  {3, 0, {-1, -1, 2}, "max"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct manager_view view;
        const char *field = NULL;
        view_of(&view, 0, 1);
        manager_view_set(&view, &(struct pool_wish){4, table[i].min, table[i].max}, WHY_SETTINGS, 1);
        const char *objection = manager_view_objection(&view, &table[i].wish, &field);
        assert_int_equal(objection != NULL, table[i].field != NULL);
        if (objection)
            assert_string_equal(field, table[i].field);
        manager_view_done(&view);
    }
}

static void test_size_when_bounds_are_set_then_it_lies_within_them(void **state)
{
    (void)state;
    struct manager_view view;
    view_of(&view, 0, 1);
    manager_view_set(&view, &(struct pool_wish){6, 1, 4}, WHY_SETTINGS, 1000);
    assert_int_equal(view.size.wanted, 4);
    assert_int_equal(view.size.resized_ms, 1000);
    manager_view_set(&view, &(struct pool_wish){-1, 9, -1}, WHY_SETTINGS, 2000); /* never above max */
    assert_int_equal(view.size.min, 4);
    assert_int_equal(view.size.resized_ms, 1000);
    manager_view_set(&view, &(struct pool_wish){-1, 1, 0}, WHY_REQUEST, 3000);
    assert_int_equal(view.size.wanted, 4);
    set_wanted(&view, 20);
    assert_int_equal(view.size.wanted, 20);
    assert_int_equal(view.size.resized_ms, 5000);
    manager_view_done(&view);
}

static void test_first_when_there_are_several_managers_then_it_is_one_of_them(void **state)
{
    (void)state;
    for (uint8_t rank = 0; rank < 3; rank++) {
        struct manager_view view;
        view_of(&view, rank, 3);
        assert_int_equal(manager_view_is_first(&view), rank == 0);
        view.is_leaving = true;
        assert_false(manager_view_is_first(&view));
        manager_view_done(&view);
    }
}

static const char worker[] = "{\"id\":" ID ",\"host\":\"a\\\"host\",\"pid\":13,\"sent\":1,\"able\":true,"
                             "\"holding\":[2,5],\"open\":7,\"oldest_ms\":90,\"parked\":11}";

static void test_show_when_there_are_several_managers_then_each_is_there_in_order(void **state)
{
    (void)state;
    struct manager_view view;
    struct buf text;
    struct uuid id;
    buf_init(&text, MANAGER_MESSAGE_MAX);
    view_of(&view, 1, 3);
    set_wanted(&view, 5);
    for (uint8_t rank = 0; rank < 3; rank++) {
        id = id_of(rank);
        char name[UUID_TEXT_LEN + 1];
        uuid_format(&id, name);
        json_t *said = json_pack("{s:s}", "id", name);
        manager_view_hear(&view, &id, false, said, 1);
        json_decref(said);
    }
    const struct config config = {.partitions = 8, .member_silent_ms = 3500};
    struct manager_load *load = manager_load_new(&config, "projects");
    assert_true(manager_load_hear(load, slice_of(worker), 0));
    manager_show(&text, "projects", &view, &self, &report, load, NULL);
    manager_load_free(load);
    json_t *shown = json_loadb(buf_data(&text), buf_len(&text), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(shown, "wanted")), 5);
    json_t *managers = json_object_get(shown, "managers");
    assert_int_equal(json_array_size(managers), 3);
    for (uint8_t rank = 0; rank < 3; rank++) {
        struct uuid found;
        const char *name = json_string_value(json_object_get(json_array_get(managers, rank), "id"));
        assert_true(uuid_parse(slice_of(name), &found));
        assert_int_equal(found.octet[0], rank);
    }
    json_t *workers = json_object_get(json_array_get(managers, 1), "workers");
    assert_int_equal(json_array_size(workers), 2);
    json_t *heard = json_array_get(workers, 0);
    assert_int_equal(json_array_size(json_object_get(heard, "partitions")), 2);
    assert_int_equal(json_integer_value(json_object_get(heard, "open")), 7);
    assert_int_equal(json_integer_value(json_object_get(heard, "oldest_ms")), 90);
    assert_null(json_object_get(json_array_get(workers, 1), "open")); /* it waits to be started */
    assert_int_equal(json_integer_value(json_object_get(json_object_get(shown, "waiting"), "parked")), 11);
    assert_true(json_is_null(json_object_get(shown, "autoscale")));
    json_decref(shown);
    buf_done(&text);
    manager_view_done(&view);
}

/* ---- deaths ---- */

static void test_crash_loop_when_deaths_are_many_and_close_then_it_is_one(void **state)
{
    (void)state;
    static struct crash_loop close, apart;
    for (int i = 0; i < 4; i++)
        assert_false(crash_loop_add(&close, i * 100, 5, 1000));
    assert_true(crash_loop_add(&close, 1000, 5, 1000));
    for (int i = 0; i < 20000; i++) /* one more than fits into the window comes never */
        assert_false(crash_loop_add(&apart, (int64_t)i * 251, 5, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_when_there_are_several_managers_then_the_sum_is_what_is_wanted),
        cmocka_unit_test(test_size_when_words_arrive_in_any_order_then_all_hold_the_latest),
        cmocka_unit_test(test_size_when_it_is_out_of_bounds_then_it_is_not_taken),
        cmocka_unit_test(test_peer_when_it_falls_silent_or_leaves_then_its_share_is_taken_over),
        cmocka_unit_test(test_announcement_when_it_is_read_again_then_it_says_the_same),
        cmocka_unit_test(test_announcement_when_parts_are_missing_or_wrong_then_it_is_refused),
        cmocka_unit_test(test_request_when_it_names_a_size_then_within_bounds_only),
        cmocka_unit_test(test_request_with_conditions_when_the_size_was_changed_then_it_is_refused),
        cmocka_unit_test(test_objection_when_a_wish_does_not_fit_then_it_names_the_field),
        cmocka_unit_test(test_size_when_bounds_are_set_then_it_lies_within_them),
        cmocka_unit_test(test_first_when_there_are_several_managers_then_it_is_one_of_them),
        cmocka_unit_test(test_show_when_there_are_several_managers_then_each_is_there_in_order),
        cmocka_unit_test(test_crash_loop_when_deaths_are_many_and_close_then_it_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
