/* What has an x-id keeps it: the lock forbids every change that processes of two versions could misread. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "schemas/schemac/lock.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 65536, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static enum err read_text(const char *text, struct lock *ret_lock, char why[SCHEMA_WHY_MAX])
{
    char path[] = "/tmp/test_lock_XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    fputs(text, file);
    fclose(file);
    enum err err = lock_read(ret_lock, path, &arena, why);
    unlink(path);
    return err;
}

static struct lock lock_of(const char *text)
{
    struct lock lock;
    char why[SCHEMA_WHY_MAX] = "";
    if (read_text(text, &lock, why))
        fail_msg("%s", why);
    return lock;
}

static void assert_compatible(const char *before, const char *now)
{
    struct lock old = lock_of(before), new = lock_of(now);
    char why[SCHEMA_WHY_MAX] = "";
    if (lock_check_compatible(&old, &new, why))
        fail_msg("%s", why);
}

static void assert_conflict(const char *before, const char *now, const char *expected)
{
    struct lock old = lock_of(before), new = lock_of(now);
    char why[SCHEMA_WHY_MAX] = "compatible";
    assert_int_equal(lock_check_compatible(&old, &new, why), ERR_CONFLICT);
    assert_string_equal(why, expected);
}

static const char base[] = "task title 3 string required\n"
                           "task status 5 string optional\n"
                           "task gone 6 string retired\n"
                           "task lines 7 array-of-object optional\n"
                           "task lines[].quantity 1 integer required\n";

static void test_compatible_when_nothing_changed_or_optional_fields_came_then_fine(void **state)
{
    (void)state;
    assert_compatible(base, base);
    assert_compatible("task title 3 string required\n",
                      "task title 3 string required\ntask new 8 string optional\n");
    assert_compatible("task title 3 string required\n", "task title 3 string optional\n");
    assert_compatible("task title 3 string required\n", "task title 3 string retired\n");
    assert_compatible("task title 3 string required\n",
                      "task title 3 string required\nnote text 1 string required\n");
    assert_compatible("task a 1 string retired\n", "task a 1 string retired\ntask a 2 integer optional\n");
}

static void test_compatible_when_an_id_is_given_again_then_a_conflict(void **state)
{
    (void)state;
    assert_conflict("task a 1 string optional\n", "task b 1 string optional\n",
                    "task.b (x-id 1): this x-id is that of `a`");
    assert_conflict("task a 1 string retired\n", "task b 1 string optional\n",
                    "task.b (x-id 1): this x-id was that of `a`, which is retired");
    assert_conflict("task a 1 string retired\n", "task a 1 string optional\n",
                    "task.a (x-id 1): this x-id was that of `a`, which is retired");
    assert_conflict("task a 1 string optional\n", "task a 1 integer optional\n",
                    "task.a (x-id 1): its type was string and cannot become integer");
    assert_conflict("task a 1 string optional\n", "task a 1 string:uuid optional\n",
                    "task.a (x-id 1): its type was string and cannot become string:uuid");
    assert_conflict("task a[].b 1 string optional\n", "task a[].c 1 string optional\n",
                    "task.a[].c (x-id 1): this x-id is that of `a[].b`");
}

static void test_compatible_when_an_id_moves_or_vanishes_then_a_conflict(void **state)
{
    (void)state;
    assert_conflict("task a 1 string optional\n", "task b 2 string optional\n",
                    "task.a (x-id 1): its x-id has vanished; it must stay in the lock as retired");
    assert_conflict("task a 1 string retired\n", "task b 2 string optional\n",
                    "task.a (x-id 1): its x-id has vanished; it must stay in the lock as retired");
    assert_conflict("task a 1 string optional\n", "task a 2 string optional\ntask a 1 string retired\n",
                    "task.a (x-id 2): the field had x-id 1");
}

static void test_compatible_when_a_field_becomes_required_then_a_conflict(void **state)
{
    (void)state;
    assert_conflict(
        "task a 1 string optional\n", "task a 1 string required\n",
        "task.a (x-id 1): an optional field cannot become required: messages without it are on their way");
    assert_conflict("task a 1 string optional\n", "task a 1 string optional\ntask b 2 string required\n",
                    "task.b (x-id 2): a new field cannot be required: messages without it are on their way");
}

static void test_current_when_the_lock_lags_behind_then_a_conflict(void **state)
{
    (void)state;
    struct lock listed = lock_of("task a 1 string optional\ntask old 9 string retired\n");
    struct lock same = lock_of("task a 1 string optional\n"), more, reused, fewer = lock_of("");
    char why[SCHEMA_WHY_MAX] = "";
    more = lock_of("task a 1 string optional\ntask b 2 string optional\n");
    reused = lock_of("task a 1 string optional\ntask b 9 string optional\n");
    assert_int_equal(lock_check_current(&listed, &same, why), ERR_OK);
    assert_int_equal(lock_check_current(&listed, &more, why), ERR_CONFLICT);
    assert_string_equal(why, "task.b (x-id 2): the lock does not say so: ./cortex schemas writes it");
    assert_int_equal(lock_check_current(&listed, &reused, why), ERR_CONFLICT);
    assert_string_equal(why, "task.b (x-id 9): this x-id was that of `old`, which is retired");
    assert_int_equal(lock_check_current(&listed, &fewer, why), ERR_CONFLICT);
    assert_string_equal(why, "task.a (x-id 1): is in the lock only: ./cortex schemas writes it");
}

static void test_retire_when_fields_went_then_their_ids_are_kept(void **state)
{
    (void)state;
    struct lock before =
        lock_of("task a 1 string required\ntask b 2 string retired\ntask c 3 string optional\n");
    struct lock now = lock_of("task c 3 string optional\n");
    char why[SCHEMA_WHY_MAX] = "";
    lock_retire_missing(&now, &before);
    assert_int_equal(now.count, 3);
    assert_string_equal(now.fields[0].path, "a");
    assert_int_equal(now.fields[0].state, LOCK_RETIRED);
    assert_int_equal(now.fields[2].state, LOCK_OPTIONAL);
    assert_int_equal(lock_check_compatible(&before, &now, why), ERR_OK);
}

static void test_lock_when_written_then_it_reads_back_the_same(void **state)
{
    (void)state;
    char path[] = "/tmp/test_lock_XXXXXX", why[SCHEMA_WHY_MAX] = "";
    struct lock before = lock_of(base), after;
    close(mkstemp(path));
    assert_int_equal(lock_write(&before, path, why), ERR_OK);
    assert_int_equal(lock_read(&after, path, &arena, why), ERR_OK);
    unlink(path);
    assert_int_equal(after.count, 5);
    assert_int_equal(lock_check_compatible(&before, &after, why), ERR_OK);
    assert_int_equal(lock_check_compatible(&after, &before, why), ERR_OK);
}

static void test_lock_when_a_line_is_malformed_then_refused_with_its_number(void **state)
{
    (void)state;
    static const char *const lines[] = {"task a 1 string", "task a one string optional",
                                        "task a 1 string maybe", "task a 1 string optional more"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct lock lock;
        char text[128], why[SCHEMA_WHY_MAX] = "";
        snprintf(text, sizeof(text), "# comment\n%s\n", lines[i]);
        assert_int_equal(read_text(text, &lock, why), ERR_VALIDATION);
        assert_non_null(strstr(why, ":2: not a line of a lock"));
    }
    struct lock lock;
    char why[SCHEMA_WHY_MAX];
    assert_int_equal(lock_read(&lock, "/nowhere/fields.lock", &arena, why), ERR_NOT_FOUND);
}

/* The committed lock is that of the committed schemas: the build checks it too, this says so by name. */
static void test_committed_lock_when_compared_with_the_schemas_then_current(void **state)
{
    (void)state;
    struct schema_set set;
    struct lock now, listed;
    char why[SCHEMA_WHY_MAX] = "";
    if (schema_set_load(&set, "schemas/messages", why) ||
        lock_read(&listed, "schemas/messages/fields.lock", &arena, why))
        fail_msg("%s", why);
    lock_from_schemas(&now, &set, &arena);
    schema_set_done(&set);
    if (lock_check_current(&listed, &now, why))
        fail_msg("%s", why);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_compatible_when_nothing_changed_or_optional_fields_came_then_fine),
        TEST(test_compatible_when_an_id_is_given_again_then_a_conflict),
        TEST(test_compatible_when_an_id_moves_or_vanishes_then_a_conflict),
        TEST(test_compatible_when_a_field_becomes_required_then_a_conflict),
        TEST(test_current_when_the_lock_lags_behind_then_a_conflict),
        TEST(test_retire_when_fields_went_then_their_ids_are_kept),
        TEST(test_lock_when_written_then_it_reads_back_the_same),
        TEST(test_lock_when_a_line_is_malformed_then_refused_with_its_number),
        TEST(test_committed_lock_when_compared_with_the_schemas_then_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
