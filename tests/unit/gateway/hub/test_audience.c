/* What of a channel's events a role sees. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/msg/members.h"
#include "gateway/hub/audience.h"

enum { MOST = 8 };

#define DATA_OF_PROJECT "{\"id\":\"x\",\"budget\":1.50,\"name\":\"a \\\"budget\\\": {[,\",\"actual_cost\":0}"

/* Events in this order: 'p' of a project, 'r' a revocation, '?' of what nobody knows. The first has the seq 1. */
static size_t make(const char *kinds, struct publication made[MOST], const struct publication *list[MOST])
{
    size_t count = strlen(kinds);
    for (size_t i = 0; i < count; i++) {
        char text[256];
        int len = snprintf(text, sizeof(text), "{\"type\":\"%s\",\"seq\":%d,\"data\":%s}",
                           kinds[i] == 'p'   ? "project.created"
                           : kinds[i] == 'r' ? "revocation.created"
                                             : "king.crowned",
                           (int)i + 1, kinds[i] == 'p' ? DATA_OF_PROJECT : "{\"user_id\":\"x\"}");
        made[i] = (struct publication){.seq = (int64_t)i + 1,
                                       .body = bytes_copy((struct slice){text, (size_t)len})};
        list[i] = &made[i];
    }
    return count;
}

/* Compares the bodies that the role sees, a line each. */
static void assert_seen(enum msg_role role, enum audience_of of, const char *kinds, const char *expected)
{
    struct publication made[MOST];
    const struct publication *list[MOST];
    struct audience seen;
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, 4096);
    size_t count = make(kinds, made, list);
    audience_init(&seen, role, of, list, count);
    for (size_t i = 0; i < seen.count; i++)
        buf_printf(&text, "%.*s\n", (int)seen.publications[i]->body->slice.len,
                   seen.publications[i]->body->slice.data);
    buf_append_char(&text, '\0');
    audience_done(&seen);
    for (size_t i = 0; i < count; i++)
        bytes_unref(made[i].body);
    assert_string_equal(buf_data(&text), expected);
}

#define WHOLE(seq)                                                                                     \
    "{\"type\":\"project.created\",\"seq\":" seq ",\"data\":{\"id\":\"x\",\"budget\":1.50,\"name\":\"" \
    "a \\\"budget\\\": {[,\",\"actual_cost\":0}}\n"
#define WITHOUT_MONEY(seq)                                                             \
    "{\"type\":\"project.created\",\"seq\":" seq ",\"data\":{\"id\":\"x\",\"name\":\"" \
    "a \\\"budget\\\": {[,\"}}\n"

static void test_events_when_the_role_sees_all_are_the_same_bytes(void **state)
{
    (void)state;
    struct publication made[MOST];
    const struct publication *list[MOST];
    struct audience seen;
    size_t count = make("prp?", made, list);
    audience_init(&seen, MSG_ROLE_COMPANY_ADMIN, AUDIENCE_OF_COMPANY, list, count);
    assert_ptr_equal(seen.publications, list);
    assert_int_equal(seen.count, count);
    audience_done(&seen);
    for (size_t i = 0; i < count; i++)
        bytes_unref(made[i].body);
}

static void test_events_when_the_role_may_not_read_them_have_their_number_alone(void **state)
{
    (void)state;
    assert_seen(MSG_ROLE_PROJECT_MANAGER, AUDIENCE_OF_COMPANY, "prp", WHOLE("1") "{\"seq\":2}\n" WHOLE("3"));
    assert_seen(MSG_ROLE_DEVELOPER, AUDIENCE_OF_COMPANY, "rr?prr",
                "{\"seq\":3,\"from\":1}\n" WHOLE("4") "{\"seq\":6,\"from\":5}\n");
}

static void test_events_of_a_project_when_the_role_sees_no_money_are_without_it(void **state)
{
    (void)state;
    assert_seen(MSG_ROLE_SUPERVISOR, AUDIENCE_OF_PROJECTS, "prp", WITHOUT_MONEY("1") WITHOUT_MONEY("3"));
    assert_seen(MSG_ROLE_UNKNOWN, AUDIENCE_OF_PROJECTS, "pr", "");
}

static void test_page_when_events_are_hidden_goes_on_with_numbers(void **state)
{
    (void)state;
    const struct slice events = SLICE(
        "{\"type\":\"revocation.created\",\"seq\":7,\"data\":{}},{\"type\":\"revocation.created\",\"seq\":8,"
        "\"data\":{\"a\":[1,{}]}},{\"type\":\"task.created\",\"seq\":9,\"data\":{\"a\":\"}],\"}}");
    CLEANUP(buf_done) struct buf page;
    buf_init(&page, 4096);
    audience_append_page(MSG_ROLE_PROJECT_MANAGER, true, events, &page);
    buf_append_char(&page, '\0');
    assert_string_equal(buf_data(&page),
                        "{\"seq\":8,\"from\":7},{\"type\":\"task.created\",\"seq\":9,\"data\":{\"a\":"
                        "\"}],\"}}");
    buf_clear(&page);
    audience_append_page(MSG_ROLE_SUPERVISOR, false, events, &page);
    buf_append_char(&page, '\0');
    assert_string_equal(buf_data(&page), "{\"type\":\"task.created\",\"seq\":9,\"data\":{\"a\":\"}],\"}}");
}

static void test_roles_when_they_see_the_same_share_what_is_encoded(void **state)
{
    (void)state;
    assert_int_equal(audience_like(MSG_ROLE_COMPANY_ADMIN), MSG_ROLE_SUPER_ADMIN);
    assert_int_equal(audience_like(MSG_ROLE_SUPERVISOR), MSG_ROLE_SUPERVISOR);
    assert_int_equal(audience_like(MSG_ROLE_OPERATIVE), MSG_ROLE_SUPERVISOR);
    assert_false(audience_conditions(MSG_ROLE_SUPERVISOR) & MSG_MAY_ANY);
    assert_true(audience_conditions(MSG_ROLE_DEVELOPER) & MSG_MAY_ANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_when_the_role_sees_all_are_the_same_bytes),
        cmocka_unit_test(test_events_when_the_role_may_not_read_them_have_their_number_alone),
        cmocka_unit_test(test_events_of_a_project_when_the_role_sees_no_money_are_without_it),
        cmocka_unit_test(test_page_when_events_are_hidden_goes_on_with_numbers),
        cmocka_unit_test(test_roles_when_they_see_the_same_share_what_is_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
