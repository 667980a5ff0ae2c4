/* The supported subset of JSON Schema means what JSON Schema says: every case of the official
 * JSON-Schema-Test-Suite whose schema the compiler accepts must be judged as the suite judges it. What the
 * compiler refuses is outside the subset.
 *
 * draft2020-12 comes with Debian's libtest-json-schema-acceptance-perl, draft4 (the newest on npm) with the
 * package json-schema-test-suite. Where both have a keyword they must agree with us both. */

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/json.h"
#include "schemas/schemac/compile.h"

#define DRAFT_2020 "/usr/share/perl5/auto/share/dist/Test-JSON-Schema-Acceptance/tests/draft2020-12"
#define DRAFT_4    "tests/node_modules/json-schema-test-suite/tests/draft4"

/* Where we differ on purpose. */
static const struct difference {
    const char *test; /* its description */
    const char *why;
} differences[] = {
    {"a valid protocol-relative URI", "draft 4 took relative references for URIs; 2020-12 does not"},
    {"a float is not an integer even without fractional part", "in draft 4; in 2020-12 it is one"},
    {"valid if optional overflow handling is implemented", "1e308 is no integer of 64 bits"},
    {"invalid email string is only an annotation by default", "formats are assertions here"},
    {"invalid date string is only an annotation by default", "formats are assertions here"},
    {"invalid date-time string is only an annotation by default", "formats are assertions here"},
    {"invalid uri string is only an annotation by default", "formats are assertions here"},
    {"invalid uuid string is only an annotation by default", "formats are assertions here"},
    {"an invalid base64 string (% is not a valid character); validates true",
     "encodings are assertions here"},
};

struct tally {
    int cases, covered, tests, wrong;
};

static bool is_deliberate(const char *test)
{
    for (size_t i = 0; i < ARRAY_LEN(differences); i++)
        if (strcmp(test, differences[i].test) == 0)
            return true;
    return false;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void judge(const char *keyword, const json_t *group, const json_t *test, const struct msg_shape *shape,
                  struct arena *arena, struct tally *tally)
{
    bool expected = json_is_true(json_object_get(test, "valid"));
    struct msg_problems problems = {.arena = arena};
    bool valid = msg_validate(shape, MSG_EXACT, json_object_get(test, "data"), &problems);
    tally->tests++;
    if (valid == expected || is_deliberate(text_of(test, "description")))
        return;
    tally->wrong++;
    print_error("%s: %s: %s: should be %s%s%s\n", keyword, text_of(group, "description"),
                text_of(test, "description"), expected ? "valid: " : "invalid",
                expected && problems.first ? problems.first->detail.data : "", "");
}

static void judge_group(const char *keyword, const json_t *group, struct tally *tally)
{
    CLEANUP(arena_done) struct arena arena;
    struct msg_shape shape;
    char why[SCHEMA_WHY_MAX];
    arena_init(&arena, 1 << 16, 0);
    tally->cases++;
    if (schema_compile(json_object_get(group, "schema"), SCHEMA_PLAIN, &arena, &shape, why))
        return;
    tally->covered++;
    size_t i;
    json_t *test;
    json_array_foreach(json_object_get(group, "tests"), i, test)
        judge(keyword, group, test, &shape, &arena, tally);
}

/* Integers beyond 64 bits are more than our parser takes: such a file is outside the subset as a whole. */
static json_t *load(const char *folder, const char *name)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    json_error_t error;
    json_t *groups = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!groups && !strstr(error.text, "too big"))
        fail_msg("%s: %s", path, error.text);
    return groups;
}

static int is_json(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

static void run_folder(const char *folder, struct tally *total)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_json, alphasort);
    if (count < 0)
        fail_msg("%s is missing: see the packages that `cortex test` installs", folder);
    for (int i = 0; i < count; i++) {
        struct tally tally = {0};
        json_t *groups = load(folder, entries[i]->d_name), *group;
        size_t at;
        json_array_foreach(groups, at, group) judge_group(entries[i]->d_name, group, &tally);
        json_decref(groups);
        if (tally.covered)
            print_message("  %-28s %3d of %3d schemas, %3d tests\n", entries[i]->d_name, tally.covered,
                          tally.cases, tally.tests);
        total->cases += tally.cases;
        total->covered += tally.covered;
        total->tests += tally.tests;
        total->wrong += tally.wrong;
        free(entries[i]);
    }
    free(entries);
}

/* The floor keeps the subset from shrinking unseen, down to a compiler that refuses all and is never wrong.
 */
static void run_suite(const char *const *folders, int floor)
{
    struct tally total = {0};
    for (; *folders; folders++)
        run_folder(*folders, &total);
    print_message("  %d of %d schemas are within the subset, with %d tests\n", total.covered, total.cases,
                  total.tests);
    assert_int_equal(total.wrong, 0);
    assert_in_range(total.tests, floor, 100000);
}

static void test_draft_2020_12_when_the_schema_is_supported_then_judged_alike(void **state)
{
    (void)state;
    run_suite((const char *const[]){DRAFT_2020, DRAFT_2020 "/optional", DRAFT_2020 "/optional/format", NULL},
              370);
}

static void test_draft_4_when_the_schema_is_supported_then_judged_alike(void **state)
{
    (void)state;
    run_suite((const char *const[]){DRAFT_4, DRAFT_4 "/optional", NULL}, 110);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draft_2020_12_when_the_schema_is_supported_then_judged_alike),
        cmocka_unit_test(test_draft_4_when_the_schema_is_supported_then_judged_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
