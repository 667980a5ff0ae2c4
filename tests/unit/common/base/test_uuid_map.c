#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/uuid_map.h"

enum { COUNT = 1000 };

struct thing {
    struct uuid_node node;
    int visits;
};

static void test_map_when_things_come_and_go_then_those_inside_are_found(void **state)
{
    (void)state;
    struct uuid_map map;
    struct thing *things = xcalloc(COUNT, sizeof(*things));
    uuid_map_init(&map);
    for (int i = 0; i < COUNT; i++) {
        things[i].node.key = uuid_v7();
        assert_null(uuid_map_find(&map, &things[i].node.key));
        uuid_map_insert(&map, &things[i].node);
    }
    for (int i = 0; i < COUNT; i += 2)
        uuid_map_remove(&map, &things[i].node);
    assert_int_equal(map.count, COUNT / 2);
    for (int i = 0; i < COUNT; i++)
        assert_ptr_equal(uuid_map_find(&map, &things[i].node.key), i % 2 ? &things[i].node : NULL);
    uuid_map_done(&map);
    free(things);
}

static void visit_and_remove(struct uuid_node *node, void *map)
{
    CONTAINER_OF(node, struct thing, node)->visits++;
    uuid_map_remove(map, node);
}

static void test_each_when_it_removes_what_it_is_given_then_each_is_visited_once(void **state)
{
    (void)state;
    struct uuid_map map;
    struct thing *things = xcalloc(COUNT, sizeof(*things));
    uuid_map_init(&map);
    for (int i = 0; i < COUNT; i++) {
        things[i].node.key = uuid_v7();
        uuid_map_insert(&map, &things[i].node);
    }
    uuid_map_each(&map, visit_and_remove, &map);
    assert_int_equal(map.count, 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(things[i].visits, 1);
    uuid_map_done(&map);
    free(things);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_when_things_come_and_go_then_those_inside_are_found),
        cmocka_unit_test(test_each_when_it_removes_what_it_is_given_then_each_is_visited_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
