#include "tests/unit/common/broker/envelope_fixture.h"

/* The delivery that a broker would make of a message. */
static struct broker_delivery delivered(const struct broker_message *m)
{
    return (struct broker_delivery){
        .exchange = m->exchange,
        .routing_key = m->routing_key,
        .content_type = m->content_type,
        .message_id = m->message_id,
        .correlation_id = m->correlation_id,
        .reply_to = m->reply_to,
        .type = m->type,
        .timestamp = m->timestamp,
        .headers = m->headers,
        .header_count = m->header_count,
        .body = m->body,
    };
}

static void assert_round_trip_of_command(const struct envelope *envelope)
{
    struct envelope_scratch scratch;
    struct broker_message message;
    struct envelope got;
    assert_int_equal(envelope_write_command(envelope, "projects", 8, &scratch, &message), ERR_OK);
    const struct broker_delivery delivery = delivered(&message);
    assert_int_equal(envelope_read_command(&delivery, &got), ERR_OK);
    assert_same_envelope(envelope, &got);
}

static void test_command_when_written_and_read_then_the_same(void **state)
{
    (void)state;
    struct envelope envelope = full_envelope();
    assert_round_trip_of_command(&envelope);
    envelope.has_subject = envelope.has_parent = false;
    envelope.if_match = envelope.not_before = 0;
    envelope.correlation_id = envelope.reply_to = envelope.traceparent = SLICE_NONE;
    envelope.body = SLICE("");
    assert_round_trip_of_command(&envelope);
}

static void test_command_when_written_then_goes_to_its_partition_persistent_and_mandatory(void **state)
{
    (void)state;
    const struct envelope envelope = full_envelope();
    struct envelope_scratch scratch;
    struct broker_message message;
    assert_int_equal(envelope_write_command(&envelope, "projects", 7, &scratch, &message), ERR_OK);
    assert_true(slice_is(message.exchange, "commands"));
    assert_true(slice_is(message.routing_key, "projects.01.task.update"));
    assert_true(slice_is(message.content_type, "application/msgpack"));
    assert_true(message.persistent);
    assert_true(message.mandatory);
    assert_int_equal(message.cc_count, 0);
}

static void test_command_when_a_text_is_missing_or_too_long_then_not_written(void **state)
{
    (void)state;
    struct envelope_scratch scratch;
    struct broker_message message;
    char text[ENVELOPE_KEY_MAX + 1];
    memset(text, 'x', sizeof(text));
    struct envelope envelope = full_envelope();
    envelope.type = SLICE("");
    assert_int_equal(envelope_write_command(&envelope, "projects", 8, &scratch, &message), ERR_BAD_REQUEST);
    envelope.type = (struct slice){text, ENVELOPE_KEY_MAX - 12};
    assert_int_equal(envelope_write_command(&envelope, "projects", 8, &scratch, &message), ERR_BAD_REQUEST);
    envelope.type = (struct slice){text, ENVELOPE_KEY_MAX - 13};
    assert_int_equal(envelope_write_command(&envelope, "projects", 8, &scratch, &message), ERR_OK);
    envelope = full_envelope();
    envelope.role = (struct slice){text, ENVELOPE_ROLE_MAX + 1};
    assert_int_equal(envelope_write_command(&envelope, "projects", 8, &scratch, &message), ERR_BAD_REQUEST);
    envelope.role = SLICE_NONE;
    assert_int_equal(envelope_write_command(&envelope, "projects", 8, &scratch, &message), ERR_BAD_REQUEST);
}

/* ---- what the queue may bring ---- */

struct damage {
    struct envelope_scratch scratch;
    struct broker_message message;
    struct broker_delivery delivery;
    struct broker_header headers[BROKER_HEADERS_MAX];
};

static void undo(struct damage *d)
{
    d->delivery = delivered(&d->message);
    memcpy(d->headers, d->message.headers, d->message.header_count * sizeof(d->headers[0]));
    d->delivery.headers = d->headers;
}

static struct broker_header *header_of(struct damage *d, const char *name)
{
    for (size_t i = 0; i < d->delivery.header_count; i++)
        if (slice_is(d->headers[i].name, name))
            return &d->headers[i];
    fail_msg("no header %s", name);
    return NULL;
}

enum trick { DROP, EMPTY, CHANGE_KIND, MALFORM, NEGATIVE };

static void apply(struct damage *d, const char *name, enum trick trick)
{
    struct broker_header *header = header_of(d, name);
    switch (trick) {
    case DROP:
        header->name = SLICE("another");
        break;
    case EMPTY:
        header->text = SLICE("");
        break;
    case CHANGE_KIND:
        header->is_integer = !header->is_integer;
        header->text = SLICE("1");
        break;
    case MALFORM:
        header->text = SLICE("00000000-0000-7000-8000-00000000000g");
        break;
    case NEGATIVE:
        header->integer = -1;
        break;
    }
}

static const struct {
    const char *header;
    enum trick trick;
    bool poison;
} command_damages[] = {
    {"company", DROP, true},
    {"company", EMPTY, true},
    {"company", CHANGE_KIND, true},
    {"company", MALFORM, true},
    {"actor", DROP, true},
    {"actor", MALFORM, true},
    {"role", DROP, true},
    {"role", EMPTY, true},
    {"role", CHANGE_KIND, true},
    {"role", MALFORM, true}, /* too long */
    {"subject", DROP, false},
    {"subject", EMPTY, true},
    {"subject", MALFORM, true},
    {"subject", CHANGE_KIND, true},
    {"parent", DROP, false},
    {"parent", MALFORM, true},
    {"if-match", DROP, false},
    {"if-match", NEGATIVE, true},
    {"if-match", CHANGE_KIND, true},
    {"not-before", DROP, false},
    {"not-before", NEGATIVE, true},
    {"not-before", CHANGE_KIND, true},
    {"fingerprint", DROP, true},
    {"fingerprint", NEGATIVE, false}, /* 64 bits, all of them used */
    {"fingerprint", CHANGE_KIND, true},
    {"traceparent", DROP, false},
    {"traceparent", CHANGE_KIND, true},
};

static void test_command_when_a_header_is_missing_or_malformed_then_poison(void **state)
{
    (void)state;
    static struct damage d;
    const struct envelope envelope = full_envelope();
    assert_int_equal(envelope_write_command(&envelope, "projects", 8, &d.scratch, &d.message), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(command_damages); i++) {
        struct envelope got;
        undo(&d);
        apply(&d, command_damages[i].header, command_damages[i].trick);
        enum err err = envelope_read_command(&d.delivery, &got);
        if (err != (command_damages[i].poison ? ERR_POISON : ERR_OK))
            fail_msg("%s, trick %d: %s", command_damages[i].header, command_damages[i].trick,
                     err_info(err)->name);
    }
}

static void test_command_when_a_property_is_missing_or_malformed_then_poison(void **state)
{
    (void)state;
    static struct damage d;
    const struct envelope envelope = full_envelope();
    struct envelope got = {.if_match = 99};
    char text[ENVELOPE_KEY_MAX];
    memset(text, 'x', sizeof(text));
    assert_int_equal(envelope_write_command(&envelope, "projects", 8, &d.scratch, &d.message), ERR_OK);
    const struct {
        struct slice *property;
        struct slice value;
    } damages[] = {
        {&d.delivery.message_id, SLICE_NONE},
        {&d.delivery.message_id, SLICE("")},
        {&d.delivery.message_id, SLICE("not a uuid")},
        {&d.delivery.type, SLICE_NONE},
        {&d.delivery.type, SLICE("")},
        {&d.delivery.type, {text, sizeof(text)}},
        {&d.delivery.content_type, SLICE_NONE},
        {&d.delivery.content_type, SLICE("application/json")},
    };
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        undo(&d);
        *damages[i].property = damages[i].value;
        assert_int_equal(envelope_read_command(&d.delivery, &got), ERR_POISON);
        assert_int_equal(got.if_match, 99); /* written only on success */
    }
    const struct broker_delivery nothing = {0};
    assert_int_equal(envelope_read_command(&nothing, &got), ERR_POISON);
}

/* ---- events ---- */

static void assert_round_trip_of_event(const struct event *event)
{
    struct envelope_scratch scratch;
    struct broker_message message;
    struct event got;
    assert_int_equal(envelope_write_event(event, EVENT_KEYS_BOTH, &scratch, &message), ERR_OK);
    const struct broker_delivery delivery = delivered(&message);
    assert_int_equal(envelope_read_event(&delivery, &got), ERR_OK);
    assert_same_event(event, &got);
}

static struct event refusal(enum err err)
{
    struct event event = full_event();
    event.type = SLICE("task.create");
    event.status = err;
    event.http_status = err_info(err)->http_status;
    event.seq = event.version = event.entity_at = 0;
    event.has_subject = event.has_project = false;
    event.body = SLICE("{}");
    return event;
}

static void test_event_when_written_and_read_then_the_same(void **state)
{
    (void)state;
    struct event event = full_event();
    assert_round_trip_of_event(&event);
    event.has_project = false;
    event.correlation_id = event.reply_to = SLICE_NONE;
    assert_round_trip_of_event(&event);
    for (enum err err = ERR_OK + 1; err < ERR_COUNT; err++) {
        event = refusal(err);
        assert_round_trip_of_event(&event);
    }
}

static void test_event_when_written_then_goes_to_its_company_with_the_reply_key_in_cc(void **state)
{
    (void)state;
    struct envelope_scratch scratch;
    struct broker_message message;
    struct event event = full_event();
    assert_int_equal(envelope_write_event(&event, EVENT_KEYS_BOTH, &scratch, &message), ERR_OK);
    assert_true(slice_is(message.exchange, "events"));
    assert_true(slice_is(message.routing_key, "02000000-0000-0000-0000-000000000000.task.created"));
    assert_true(slice_is(message.cc[0], "reply.here"));
    assert_true(slice_is(message.cc[1], "fa7.02000000-0000-0000-0000-000000000000.task.created"));
    assert_false(message.mandatory); /* nobody may be listening */
    event.reply_to = SLICE("");
    assert_int_equal(envelope_write_event(&event, EVENT_KEYS_BOTH, &scratch, &message), ERR_OK);
    assert_null(message.cc[0].data);
}

static void test_event_when_written_by_slot_then_goes_to_the_slot_of_its_company_alone(void **state)
{
    (void)state;
    struct envelope_scratch scratch;
    struct broker_message message;
    struct event event = full_event();
    assert_int_equal(envelope_write_event(&event, EVENT_KEYS_SLOT, &scratch, &message), ERR_OK);
    assert_true(slice_is(message.exchange, "events.gateways"));
    assert_true(slice_is(message.routing_key, "fa7.02000000-0000-0000-0000-000000000000.task.created"));
    assert_true(slice_is(message.cc[0], "reply.here"));
    assert_null(message.cc[1].data);
    const struct broker_delivery delivery = delivered(&message);
    assert_int_equal(envelope_read_event(&delivery, &event), ERR_OK);
    assert_true(uuid_equal(&event.company, &B));
}

static void test_refusal_when_written_then_goes_to_the_reply_key_alone(void **state)
{
    (void)state;
    struct envelope_scratch scratch;
    struct broker_message message;
    struct event event = refusal(ERR_VERSION_CONFLICT);
    assert_int_equal(envelope_write_event(&event, EVENT_KEYS_BOTH, &scratch, &message), ERR_OK);
    assert_true(slice_is(message.routing_key, "reply.here"));
    assert_int_equal(message.cc_count, 0);
    event.reply_to = SLICE("");
    assert_int_equal(envelope_write_event(&event, EVENT_KEYS_BOTH, &scratch, &message), ERR_BAD_REQUEST);
}

static void test_private_event_when_written_then_goes_to_the_reply_key_alone(void **state)
{
    (void)state;
    struct envelope_scratch scratch;
    struct broker_message message;
    struct event event = full_event();
    event.is_private = true;
    event.seq = 0;
    assert_round_trip_of_event(&event);
    assert_int_equal(envelope_write_event(&event, EVENT_KEYS_SLOT, &scratch, &message), ERR_OK);
    assert_true(slice_is(message.exchange, "events"));
    assert_true(slice_is(message.routing_key, "reply.here"));
    assert_int_equal(message.cc_count, 0);
    event.reply_to = SLICE("");
    assert_int_equal(envelope_write_event(&event, EVENT_KEYS_SLOT, &scratch, &message), ERR_BAD_REQUEST);
}

static const struct {
    const char *header;
    enum trick trick;
    bool poison;
} event_damages[] = {
    {"status", DROP, true},        {"status", CHANGE_KIND, true},
    {"http-status", DROP, true},   {"http-status", NEGATIVE, true},
    {"company", DROP, true},       {"company", MALFORM, true},
    {"seq", DROP, true},           {"seq", NEGATIVE, true},
    {"seq", CHANGE_KIND, true},    {"subject", DROP, false},
    {"subject", MALFORM, true},    {"project", DROP, false},
    {"project", MALFORM, true},    {"version", DROP, false},
    {"version", NEGATIVE, true},   {"entity-at", DROP, false},
    {"entity-at", NEGATIVE, true}, {"entity-at", CHANGE_KIND, true},
    {"replayed", DROP, false},     {"replayed", NEGATIVE, true},
};

static void test_event_when_a_part_is_missing_or_malformed_then_poison(void **state)
{
    (void)state;
    static struct damage d;
    const struct event event = full_event();
    struct event got;
    assert_int_equal(envelope_write_event(&event, EVENT_KEYS_BOTH, &d.scratch, &d.message), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(event_damages); i++) {
        undo(&d);
        apply(&d, event_damages[i].header, event_damages[i].trick);
        enum err err = envelope_read_event(&d.delivery, &got);
        if (err != (event_damages[i].poison ? ERR_POISON : ERR_OK))
            fail_msg("%s, trick %d: %s", event_damages[i].header, event_damages[i].trick,
                     err_info(err)->name);
    }
    undo(&d);
    d.delivery.content_type = SLICE("application/msgpack");
    assert_int_equal(envelope_read_event(&d.delivery, &got), ERR_POISON);
    undo(&d);
    d.delivery.message_id = SLICE("no uuid");
    assert_int_equal(envelope_read_event(&d.delivery, &got), ERR_POISON);
    undo(&d);
    d.delivery.body = SLICE("{}"); /* the entity would begin behind its end */
    assert_int_equal(envelope_read_event(&d.delivery, &got), ERR_POISON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_when_written_and_read_then_the_same),
        cmocka_unit_test(test_command_when_written_then_goes_to_its_partition_persistent_and_mandatory),
        cmocka_unit_test(test_command_when_a_text_is_missing_or_too_long_then_not_written),
        cmocka_unit_test(test_command_when_a_header_is_missing_or_malformed_then_poison),
        cmocka_unit_test(test_command_when_a_property_is_missing_or_malformed_then_poison),
        cmocka_unit_test(test_event_when_written_and_read_then_the_same),
        cmocka_unit_test(test_event_when_written_then_goes_to_its_company_with_the_reply_key_in_cc),
        cmocka_unit_test(test_event_when_written_by_slot_then_goes_to_the_slot_of_its_company_alone),
        cmocka_unit_test(test_refusal_when_written_then_goes_to_the_reply_key_alone),
        cmocka_unit_test(test_private_event_when_written_then_goes_to_the_reply_key_alone),
        cmocka_unit_test(test_event_when_a_part_is_missing_or_malformed_then_poison),
    };
    return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
