/* The membership of one worker, with scripted others, over a real RabbitMQ. */
#include "common/broker/topology.h"
#include "tests/unit/common/broker/amqp_fixture.h"
#include "workers/fleet/members/members.h"
#include "workers/fleet/members/view.h"

enum { PARTITIONS = 8, SILENT_MS = 2000, HANDOVER_MS = 600 };
static const uint64_t ALL = (1 << PARTITIONS) - 1;

struct post {
    struct client *client; /* also the voice of the others */
    struct members *members;
    struct member_report report;
    char pool[64];
    uint64_t ours, held;
    int given_up;
};
static struct post *post;

static void describe(void *ctx, struct member_report *ret_report)
{
    *ret_report = ((struct post *)ctx)->report;
}

static void on_assigned(void *ctx, uint64_t ours, uint64_t held)
{
    struct post *p = ctx;
    p->ours = ours;
    p->held = held;
}

static void on_give_up(void *ctx, const char *why)
{
    struct post *p = ctx;
    assert_non_null(why);
    p->given_up++;
    p->report.holding = 0;
    members_changed(p->members);
}

static void on_up(struct client *client)
{
    topology_declare_exchanges(client->broker, &(const struct config){0});
    members_up(post->members);
}

static void on_delivery(struct client *client, const struct broker_delivery *delivery)
{
    (void)client;
    members_delivery(post->members, delivery);
}

static void turns_until_ours(int count)
{
    eventually((members_turn(post->members), __builtin_popcountll(post->ours) == count));
}

static int setup(void **state)
{
    static const struct members_callbacks callbacks = {
        .describe = describe, .on_assigned = on_assigned, .on_give_up = on_give_up};
    struct uuid id = uuid_v7();
    char text[UUID_TEXT_LEN + 1];
    loop_setup(state);
    post = xcalloc(1, sizeof(*post));
    uuid_format(&id, text);
    snprintf(post->pool, sizeof(post->pool), "test-%s", text);
    post->report.is_able = true;
    post->client = client_new(server_url(), on_up);
    post->client->on_delivery = on_delivery;
    const struct members_options options = {
        .pool = post->pool, .partitions = PARTITIONS, .silent_ms = SILENT_MS, .handover_ms = HANDOVER_MS};
    post->members = members_new(loop, post->client->broker, &options, &callbacks, post);
    turns_until_ours(PARTITIONS);
    return 0;
}

static int teardown(void **state)
{
    client_free(post->client);
    members_free(post->members);
    free(post);
    return loop_teardown(state);
}

static void say(struct slice body)
{
    char key[96];
    snprintf(key, sizeof(key), "member.%s", post->pool);
    const struct broker_message message = {
        .exchange = SLICE(EXCHANGE_CONTROL), .routing_key = slice_of(key), .body = body};
    assert_int_equal(broker_publish(post->client->broker, &message, NULL, NULL), ERR_OK);
}

static struct member_announcement stranger(uint64_t holding)
{
    return (struct member_announcement){.id = uuid_v7(),
                                        .host = "elsewhere",
                                        .pid = 7,
                                        .reads_parcels = true,
                                        .report = {.is_able = true, .holding = holding}};
}

static void announce(const struct member_announcement *announcement)
{
    struct buf text;
    buf_init(&text, MEMBER_MESSAGE_MAX);
    member_write(&text, announcement);
    say(buf_slice(&text));
    buf_done(&text);
}

static void test_members_when_another_comes_and_its_manager_buries_it_then_half_is_its_own_until_then(
    void **state)
{
    (void)state;
    struct member_announcement other = stranger(0x3);
    announce(&other);
    turns_until_ours(PARTITIONS / 2);
    assert_true(post->held == 0x3);
    say(SLICE("{\"host\":\"elsewhere\",\"pid\":8,\"gone\":true}")); /* somebody else */
    say(SLICE("what?"));
    say(SLICE("{\"host\":\"elsewhere\",\"pid\":7,\"gone\":true}"));
    turns_until_ours(PARTITIONS);
    assert_true(post->ours == ALL && post->held == 0);
}

static void test_members_when_another_cannot_work_then_it_keeps_what_it_holds_and_nothing_is_meant_for_it(
    void **state)
{
    (void)state;
    struct member_announcement other = stranger(0x10);
    other.report.is_able = false;
    announce(&other);
    eventually(post->held == 0x10);
    assert_true(post->ours == ALL);
    assert_int_equal(post->given_up, 0);
}

static void test_members_when_another_falls_silent_then_gone_but_not_while_the_broker_is_blocked(void **state)
{
    (void)state;
    struct member_announcement other = stranger(0);
    announce(&other);
    turns_until_ours(PARTITIONS / 2);
    members_blocked(post->members, true);
    let_pass_ms(SILENT_MS + 1200);
    assert_int_equal(__builtin_popcountll(post->ours), PARTITIONS / 2);
    members_blocked(post->members, false);
    let_pass_ms(SILENT_MS / 2);
    assert_int_equal(__builtin_popcountll(post->ours), PARTITIONS / 2);
    turns_until_ours(PARTITIONS);
    assert_int_equal(post->given_up, 0);
}

static void test_members_when_it_is_not_heard_itself_then_it_gives_up_before_the_others_take_over(
    void **state)
{
    (void)state;
    int64_t begin = clock_monotonic_us();
    post->report.holding = ALL;
    members_down(post->members);
    eventually(post->given_up == 1);
    assert_true(clock_monotonic_us() - begin < SILENT_MS * 1000LL);
    assert_true(post->ours == 0);
    broker_reconnect(post->client->broker, "to be heard again");
    turns_until_ours(PARTITIONS);
}

static void test_members_when_another_never_lets_go_then_taken_without_it(void **state)
{
    (void)state;
    struct member_announcement other = stranger(ALL);
    announce(&other);
    eventually((members_turn(post->members), post->held == ALL));
    eventually(post->held == (ALL & ~post->ours) || (announce(&other), let_pass_ms(200), false));
    assert_int_equal(__builtin_popcountll(post->ours), PARTITIONS / 2);
}

static void test_members_when_it_does_not_let_go_itself_then_it_gives_up(void **state)
{
    (void)state;
    post->report.holding = ALL;
    members_changed(post->members);
    struct member_announcement other = stranger(0);
    announce(&other);
    eventually(post->given_up == 1);
    assert_int_equal(__builtin_popcountll(post->ours), PARTITIONS / 2);
}

/* A worker of the version before parcels, as it announces itself. */
static void say_as_the_version_before(const char *id)
{
    char text[256];
    snprintf(
        text, sizeof(text),
        "{\"id\":\"%s\",\"host\":\"old\",\"pid\":9,\"slots\":true,\"sent\":1,\"able\":true,\"holding\":[],"
        "\"open\":0,\"oldest_ms\":0,\"parked\":0}",
        id);
    say(slice_of(text));
}

/* Nobody has had parcels: an upgrade is under way. Once somebody has had some, a late one gets nothing. */
static void test_members_when_parcels_may_wait_then_nothing_is_meant_for_a_worker_that_cannot_read_them(
    void **state)
{
    (void)state;
    static const char old[] = "0199aaaa-0000-7000-8000-000000000009";
    struct member_announcement other = stranger(0);
    announce(&other);
    turns_until_ours(PARTITIONS / 2);
    say_as_the_version_before(old);
    eventually(
        (members_turn(post->members), __builtin_popcountll(post->ours) < PARTITIONS / 2)); /* a third */
    other.report.has_parcels = true;
    announce(&other);
    turns_until_ours(PARTITIONS / 2);
    say(SLICE("{\"host\":\"elsewhere\",\"pid\":7,\"gone\":true}"));
    turns_until_ours(PARTITIONS); /* more of them may wait */
    say_as_the_version_before(old);
    let_pass_ms(100);
    members_turn(post->members);
    assert_true(post->ours == ALL);
}

/* Of itself, as of another. */
static void test_members_when_it_gets_parcels_itself_then_a_late_worker_of_the_version_before_gets_nothing(
    void **state)
{
    (void)state;
    post->report.has_parcels = true;
    say_as_the_version_before("0199aaaa-0000-7000-8000-000000000009");
    let_pass_ms(300);
    members_turn(post->members);
    assert_true(post->ours == ALL);
    struct member_announcement reader = stranger(0);
    announce(&reader);
    turns_until_ours(PARTITIONS / 2);
}

static void test_view_when_nobody_has_had_parcels_for_long_then_every_worker_has_its_share(void **state)
{
    (void)state;
    struct members_view *view = xcalloc(1, sizeof(*view));
    struct member_announcement old = stranger(0);
    old.reads_parcels = false;
    view->self = uuid_v7();
    members_view_hear(view, &old, 0);
    assert_int_equal(__builtin_popcountll(members_view_ours(view, PARTITIONS, 0)), PARTITIONS / 2);
    members_view_note_parcels(view, 1000);
    assert_true(members_view_ours(view, PARTITIONS, 1000 + MEMBERS_PARCELS_MS - 1) == ALL);
    assert_int_equal(__builtin_popcountll(members_view_ours(view, PARTITIONS, 1000 + MEMBERS_PARCELS_MS)),
                     PARTITIONS / 2);
    free(view);
}

static void test_members_when_it_leaves_then_nothing_is_its_own_and_stays_so(void **state)
{
    (void)state;
    members_leave(post->members);
    assert_true(post->ours == 0);
    struct member_announcement other = stranger(0);
    announce(&other);
    let_pass_ms(1200);
    assert_true(post->ours == 0);
}

static void test_message_when_written_and_read_then_the_same(void **state)
{
    (void)state;
    struct member_announcement said = stranger(UINT64_C(0x8000000000000001)), read;
    struct member_death death;
    struct buf text;
    said.report.open = 5;
    said.report.oldest_ms = 1234;
    said.report.has_parcels = true;
    said.report.percent_a_delivery = 640;
    buf_init(&text, MEMBER_MESSAGE_MAX);
    member_write(&text, &said);
    assert_int_equal(member_read(buf_slice(&text), &read, &death), MEMBER_ANNOUNCES);
    assert_true(uuid_equal(&said.id, &read.id));
    assert_string_equal(read.host, "elsewhere");
    assert_int_equal(read.pid, 7);
    assert_true(read.report.is_able && read.report.holding == said.report.holding);
    assert_true(read.reads_parcels && read.report.has_parcels);
    assert_int_equal(read.report.percent_a_delivery, 640);
    assert_int_equal(read.report.open, 5);
    assert_int_equal(read.report.oldest_ms, 1234);
    for (size_t len = 0; len < buf_len(&text); len++) /* cut anywhere, it is nothing */
        assert_int_equal(member_read((struct slice){buf_data(&text), len}, &read, &death), MEMBER_UNREADABLE);
    buf_done(&text);
}

int main(void)
{
#define POST_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        POST_TEST(test_members_when_another_comes_and_its_manager_buries_it_then_half_is_its_own_until_then),
        POST_TEST(
            test_members_when_another_cannot_work_then_it_keeps_what_it_holds_and_nothing_is_meant_for_it),
        POST_TEST(test_members_when_another_falls_silent_then_gone_but_not_while_the_broker_is_blocked),
        POST_TEST(test_members_when_it_is_not_heard_itself_then_it_gives_up_before_the_others_take_over),
        POST_TEST(test_members_when_another_never_lets_go_then_taken_without_it),
        POST_TEST(test_members_when_it_does_not_let_go_itself_then_it_gives_up),
        POST_TEST(
            test_members_when_parcels_may_wait_then_nothing_is_meant_for_a_worker_that_cannot_read_them),
        POST_TEST(
            test_members_when_it_gets_parcels_itself_then_a_late_worker_of_the_version_before_gets_nothing),
        cmocka_unit_test(test_view_when_nobody_has_had_parcels_for_long_then_every_worker_has_its_share),
        POST_TEST(test_members_when_it_leaves_then_nothing_is_its_own_and_stays_so),
        cmocka_unit_test(test_message_when_written_and_read_then_the_same),
    };
    return cmocka_run_group_tests_name("members", tests, NULL, NULL);
}
