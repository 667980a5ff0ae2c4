/* How long the memory of an arena and of shared bytes lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/bytes.h"

static void test_arena_when_past_its_limit_then_null(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64, 256);
    assert_non_null(arena_alloc(&a, 200));
    assert_null(arena_alloc(&a, 100));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_calloc(&a, SIZE_MAX / 2, 4));
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 100));
    arena_done(&a);
}

static void test_arena_when_reset_then_one_block_is_used_again(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1024, 0);
    char *first = arena_alloc(&a, 100);
    assert_int_equal((uintptr_t)first % 16, 0);
    arena_reset(&a);
    assert_ptr_equal(arena_alloc(&a, 100), first);
    struct slice copy = arena_copy(&a, SLICE("abc"));
    assert_string_equal(copy.data, "abc");
    arena_done(&a);
}

static void count_release(void *owner)
{
    ++*(int *)owner;
}

static void test_bytes_when_the_last_reference_goes_then_the_owner_is_released_once(void **state)
{
    (void)state;
    int released = 0;
    struct bytes *b = bytes_wrap(SLICE("shared"), count_release, &released);
    bytes_ref(b);
    bytes_unref(b);
    assert_int_equal(released, 0);
    bytes_unref(b);
    assert_int_equal(released, 1);
    bytes_unref(NULL);
}

static void test_bytes_copy_when_the_source_changes_then_the_copy_stays(void **state)
{
    (void)state;
    char source[] = "before";
    struct bytes *b = bytes_copy(slice_of(source));
    memcpy(source, "after!", 6);
    assert_true(slice_is(b->slice, "before"));
    bytes_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_when_past_its_limit_then_null),
        cmocka_unit_test(test_arena_when_reset_then_one_block_is_used_again),
        cmocka_unit_test(test_bytes_when_the_last_reference_goes_then_the_owner_is_released_once),
        cmocka_unit_test(test_bytes_copy_when_the_source_changes_then_the_copy_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
