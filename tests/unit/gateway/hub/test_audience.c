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
    const struct viewer viewer = {.role = role, .of = of};
    audience_init(&seen, &viewer, list, count);
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
    const struct viewer viewer = {.role = MSG_ROLE_COMPANY_ADMIN, .of = AUDIENCE_OF_COMPANY};
    audience_init(&seen, &viewer, list, count);
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
    const struct viewer of_company = {.role = MSG_ROLE_PROJECT_MANAGER, .of = AUDIENCE_OF_COMPANY};
    const struct viewer of_project = {.role = MSG_ROLE_SUPERVISOR, .of = AUDIENCE_OF_PROJECTS};
    audience_append_page(&of_company, events, &page);
    buf_append_char(&page, '\0');
    assert_string_equal(buf_data(&page),
                        "{\"seq\":8,\"from\":7},{\"type\":\"task.created\",\"seq\":9,\"data\":{\"a\":"
                        "\"}],\"}}");
    buf_clear(&page);
    audience_append_page(&of_project, events, &page);
    buf_append_char(&page, '\0');
    assert_string_equal(buf_data(&page), "{\"type\":\"task.created\",\"seq\":9,\"data\":{\"a\":\"}],\"}}");
}

static void test_event_when_it_is_for_some_users_names_them_by_fields_or_as_its_sender(void **state)
{
    (void)state;
    static const char *const of_fields[] = {"user_id", "other_id", NULL};
    static const char *const of_sender[] = {MSG_AUDIENCE_SENDER, NULL};
    static const char one[] = "{\"type\":\"a.created\",\"seq\":1,"
                              "\"actor\":\"01000000-0000-0000-0000-000000000000\",\"data\":{"
                              "\"actor\":\"04000000-0000-0000-0000-000000000000\","
                              "\"user_id\":\"02000000-0000-0000-0000-000000000000\",\"other_id\":null}}";
    const struct uuid actor = {{1}}, user = {{2}}, other = {{3}}, fourth = {{4}};
    assert_true(audience_names(of_sender, slice_of(one), &actor));
    assert_true(audience_names(of_fields, slice_of(one), &user));
    assert_false(audience_names(of_sender, slice_of(one), &user));
    assert_false(audience_names(of_sender, slice_of(one), &fourth));
    assert_false(audience_names(of_fields, slice_of(one), &actor));
    assert_false(audience_names(of_fields, slice_of(one), &other));
    assert_false(audience_names(of_fields, slice_of(one), NULL));
    assert_false(audience_names(of_fields, SLICE("{\"type\":\"a.created\"}"), &user));
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

/* ---- ties ---- */

#define P1  "00000000-0000-4000-8000-000000000001"
#define P2  "00000000-0000-4000-8000-000000000002"
#define ANN "00000000-0000-4000-8000-00000000000a"
#define BOB "00000000-0000-4000-8000-00000000000b"
#define TASK(project)                                                          \
    "{\"type\":\"task.created\",\"seq\":1,\"id\":\"x\",\"project\":\"" project \
    "\",\"data\":{\"title\":\"a\"}}"

static struct uuid id_of(const char *text)
{
    struct uuid id = {0};
    assert_true(uuid_parse(slice_of(text), &id));
    return id;
}

/* Ann is a member of the first project, and manages the second. */
static struct ties ties_of_ann(struct tie items[2])
{
    items[0] = (struct tie){id_of(P1), MSG_MAY_MEMBER};
    items[1] = (struct tie){id_of(P2), MSG_MAY_MEMBER | MSG_MAY_MANAGER};
    return (struct ties){items, 2};
}

static void test_company_page_when_the_user_is_tied_to_some_projects_has_their_events_and_else_numbers(
    void **state)
{
    (void)state;
    struct tie items[2];
    const struct ties ties = ties_of_ann(items);
    const struct viewer ann = {.role = MSG_ROLE_OPERATIVE, .of = AUDIENCE_OF_COMPANY, .ties = &ties};
    const struct viewer nobody = {.role = MSG_ROLE_OPERATIVE, .of = AUDIENCE_OF_COMPANY};
    const struct slice events = SLICE(TASK("00000000-0000-4000-8000-000000000009") "," TASK(P1));
    CLEANUP(buf_done) struct buf page;
    buf_init(&page, 4096);
    audience_append_page(&ann, events, &page);
    buf_append_char(&page, '\0');
    assert_string_equal(buf_data(&page), "{\"seq\":1}," TASK(P1));
    buf_clear(&page);
    audience_append_page(&nobody, events, &page);
    buf_append_char(&page, '\0');
    assert_string_equal(buf_data(&page), "{\"seq\":1}");
}

static void assert_changes(const char *type, const char *project, const char *data, bool ann, bool bob,
                           bool unknown)
{
    struct tie items[2];
    const struct ties of_ann = ties_of_ann(items), none = {0};
    const struct uuid a = id_of(ANN), b = id_of(BOB), id = id_of(project);
    char text[512];
    snprintf(text, sizeof(text), "{\"type\":\"%s\",\"seq\":1,\"data\":%s}", type, data);
    assert_int_equal(ties_change(&of_ann, &a, slice_of(text), &id), ann);
    assert_int_equal(ties_change(&none, &b, slice_of(text), &id), bob);
    assert_int_equal(ties_change(NULL, &b, slice_of(text), &id), unknown);
    assert_false(ties_change(&of_ann, &a, slice_of(text), NULL));
    assert_true(!(ann || bob || unknown) || ties_may_change(slice_of(text)));
}

static void test_ties_when_an_event_names_the_user_or_takes_a_membership_may_have_changed(void **state)
{
    (void)state;
    assert_changes("project_member.created", P1, "{\"user_id\":\"" BOB "\"}", false, true, true);
    assert_changes("project_member.updated", P1, "{\"user_id\":\"" ANN "\"}", true, false, false);
    assert_changes("project_member.deleted", P1, "{\"version\":2}", true, false, true);
    assert_changes("project.updated", P1, "{\"manager_id\":null}", false, false, true);
    assert_changes("project.updated", P2, "{\"manager_id\":\"" ANN "\"}", false, false, true);
    assert_changes("project.updated", P2, "{\"manager_id\":\"" BOB "\"}", true, true, true);
    assert_changes("task.updated", P1, "{\"assignee_id\":\"" ANN "\"}", false, false, false);
    assert_changes("task.updated", P1, "{\"assignee_id\":\"" BOB "\"}", false, true, true);
    assert_changes("client.updated", P1, "{\"user_id\":\"" BOB "\"}", false, false, false);
    assert_false(ties_may_end(SLICE("{\"type\":\"task.updated\",\"data\":{}}")));
    assert_true(ties_may_end(SLICE("{\"type\":\"project_member.deleted\",\"data\":{}}")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_when_the_role_sees_all_are_the_same_bytes),
        cmocka_unit_test(test_events_when_the_role_may_not_read_them_have_their_number_alone),
        cmocka_unit_test(test_events_of_a_project_when_the_role_sees_no_money_are_without_it),
        cmocka_unit_test(test_page_when_events_are_hidden_goes_on_with_numbers),
        cmocka_unit_test(test_event_when_it_is_for_some_users_names_them_by_fields_or_as_its_sender),
        cmocka_unit_test(test_roles_when_they_see_the_same_share_what_is_encoded),
        cmocka_unit_test(
            test_company_page_when_the_user_is_tied_to_some_projects_has_their_events_and_else_numbers),
        cmocka_unit_test(test_ties_when_an_event_names_the_user_or_takes_a_membership_may_have_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
