#include "common/broker/event_parcel.h"
#include "tests/unit/common/broker/envelope_fixture.h"

static struct event a_refusal(void)
{
    return (struct event){.command_id = D,
                          .company = B,
                          .type = SLICE("task.delete"),
                          .status = ERR_VERSION_CONFLICT,
                          .http_status = 412,
                          .reply_to = SLICE("reply.here"),
                          .correlation_id = SLICE("another request"),
                          .body = SLICE("{}")};
}

static struct event event_at(size_t i)
{
    return i % 2 ? a_refusal() : full_event();
}

static void write_body(struct buf *body, size_t count)
{
    char head[PARCEL_HEAD_SIZE];
    buf_init(body, 1 << 20);
    parcel_write_head(head, count);
    buf_append(body, head, sizeof(head));
    for (size_t i = 0; i < count; i++) {
        struct event event = event_at(i);
        assert_true(event_parcel_takes(&event));
        assert_int_equal(event_parcel_add(body, &event), ERR_OK);
    }
}

static void test_parcel_when_it_is_read_gives_what_was_written_in_order(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf body;
    struct parcel parcel;
    write_body(&body, PARCEL_ENTRIES_MAX);
    assert_int_equal(parcel_open(buf_slice(&body), &parcel), ERR_OK);
    assert_int_equal(parcel.count, PARCEL_ENTRIES_MAX);
    for (size_t i = 0; i < PARCEL_ENTRIES_MAX; i++) {
        struct event expected = event_at(i), event;
        assert_int_equal(event_parcel_read_entry(parcel_take(&parcel), &event), ERR_OK);
        assert_same_event(&expected, &event);
    }
    assert_int_equal(parcel.rest.len, 0);
}

/* The frame is that of parcels of commands (test_parcel.c), whose lies about counts are tried there. */
static void test_parcel_when_it_is_cut_anywhere_is_none(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf body;
    write_body(&body, 3);
    assert_cut_anywhere_is_no_parcel(buf_slice(&body));
}

static void test_entry_when_it_is_cut_anywhere_is_poison(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf body;
    struct parcel parcel;
    struct event event = {.seq = 99};
    write_body(&body, 1);
    assert_int_equal(parcel_open(buf_slice(&body), &parcel), ERR_OK);
    struct slice entry = parcel_take(&parcel);
    for (size_t len = 0; len < entry.len; len++) {
        CLEANUP_FREE char *cut = xmalloc(len + 1);
        memcpy(cut + 1, entry.data, len);
        assert_int_equal(event_parcel_read_entry((struct slice){cut + 1, len}, &event), ERR_POISON);
        assert_int_equal(event.seq, 99); /* written only on success */
    }
}

/* Every octet of one entry gets every value: the neighbours are read all the same, or the frame is refused. */
static void test_parcel_when_an_entry_is_broken_the_others_are_read(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf body;
    struct parcel parcel;
    struct event event, first = event_at(0), last = event_at(2);
    write_body(&body, 3);
    assert_int_equal(parcel_open(buf_slice(&body), &parcel), ERR_OK);
    parcel_take(&parcel);
    char *second = (char *)(uintptr_t)parcel.rest.data;
    size_t len = parcel_take(&parcel).len + 5;
    for (size_t i = 0; i < len; i++)
        for (int value = 0; value < 256; value++) {
            char kept = second[i];
            second[i] = (char)value;
            if (parcel_open(buf_slice(&body), &parcel) == ERR_OK) {
                assert_int_equal(event_parcel_read_entry(parcel_take(&parcel), &event), ERR_OK);
                assert_same_event(&first, &event);
                if (event_parcel_read_entry(parcel_take(&parcel), &event) == ERR_OK)
                    assert_true(event.http_status >= 100 && event.http_status <= 599 && event.seq >= 0 &&
                                (size_t)event.entity_at <= event.body.len);
                assert_int_equal(event_parcel_read_entry(parcel_take(&parcel), &event), ERR_OK);
                assert_same_event(&last, &event);
            }
            second[i] = kept;
        }
}

/* A later version adds fields behind those that this one knows. */
static void test_entry_when_it_has_more_fields_is_read_without_them(void **state)
{
    (void)state;
    static const char more[] = "\xc0\xd9\x02hi\xd3\0\0\0\0\0\0\0\x07";
    enum { MORE = 3, FIELDS = 13 };
    CLEANUP(buf_done) struct buf body;
    struct parcel parcel;
    struct event expected = full_event(), event;
    write_body(&body, 1);
    assert_int_equal(parcel_open(buf_slice(&body), &parcel), ERR_OK);
    struct slice entry = parcel_take(&parcel);
    CLEANUP_FREE char *longer = xmalloc(entry.len + sizeof(more));
    memcpy(longer, entry.data, entry.len);
    memcpy(longer + entry.len, more, sizeof(more));
    struct slice whole = {longer, entry.len + sizeof(more) - 1};
    parcel_write_head(longer, FIELDS + MORE);
    assert_int_equal(event_parcel_read_entry(whole, &event), ERR_OK);
    assert_same_event(&expected, &event);
    parcel_write_head(longer, FIELDS + MORE + 1);
    assert_int_equal(event_parcel_read_entry(whole, &event), ERR_POISON);
    parcel_write_head(longer, FIELDS - 1);
    assert_int_equal(event_parcel_read_entry(whole, &event), ERR_POISON);
}

/* With another number of words it would leave the gateways' exchange. */
static void test_event_when_its_type_has_not_two_words_then_no_parcel_takes_it(void **state)
{
    (void)state;
    static const char *const types[] = {"", "task", "task.", "task.created.twice", "a.b.c.d"};
    char text[ENVELOPE_KEY_MAX] = "task.";
    memset(text + 5, 'x', sizeof(text) - 5);
    struct event event = full_event();
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        event.type = slice_of(types[i]);
        assert_false(event_parcel_takes(&event));
    }
    event.type = (struct slice){text, ENVELOPE_KEY_MAX - 4};
    assert_false(event_parcel_takes(&event));
    event.type.len--;
    assert_true(event_parcel_takes(&event));
    event = full_event();
    event.correlation_id = (struct slice){text, 256};
    assert_false(event_parcel_takes(&event));
}

static void test_keys_are_those_of_the_slots_and_of_the_reply_each_once(void **state)
{
    (void)state;
    static struct event_parcel_keys keys;
    struct event first = full_event(), other_type = full_event(), other_company = full_event();
    other_type.type = SLICE("task.updated");
    other_company.company = C;
    event_parcel_clear_keys(&keys);
    event_parcel_add_reply_key(&keys, SLICE(""));
    assert_int_equal(keys.count, 0);
    event_parcel_add_reply_key(&keys, SLICE("slots.p-here"));
    assert_int_equal(event_parcel_add_key(&keys, &first), 1);
    assert_int_equal(event_parcel_add_key(&keys, &first), 1);
    assert_int_equal(event_parcel_add_key(&keys, &other_type), 2);
    assert_int_equal(event_parcel_add_key(&keys, &other_company), 3);
    struct broker_message message = event_parcel_write(SLICE("x"), &keys);
    assert_true(slice_is(message.exchange, "events.gateways"));
    assert_true(slice_is(message.routing_key, "slots.p-here"));
    assert_int_equal(message.cc_count, 3);
    assert_true(slice_is(message.cc[0], "fa7.task.created"));
    assert_true(slice_is(message.cc[1], "fa7.task.updated"));
    assert_true(message.persistent && !message.mandatory);
    struct broker_delivery delivery = {.content_type = message.content_type};
    assert_true(event_parcel_is(&delivery) && !parcel_is(&delivery));
}

/* As many as fit into the smallest frame that a broker may ask for. */
static void test_keys_when_there_are_many_then_they_end_in_time(void **state)
{
    (void)state;
    static struct event_parcel_keys keys;
    char type[100] = "task.";
    memset(type + 5, 'x', sizeof(type) - 5);
    struct event event = full_event();
    event.type = (struct slice){type, sizeof(type)};
    event_parcel_clear_keys(&keys);
    for (event.company.octet[1] = 0; event_parcel_has_room(&keys, &event); event.company.octet[1]++)
        event_parcel_add_key(&keys, &event);
    assert_in_range(keys.octets, EVENT_PARCEL_KEYS_MAX - 110, EVENT_PARCEL_KEYS_MAX);
    event.type.len = 7;
    event_parcel_clear_keys(&keys);
    for (event.company.octet[1] = 0; event_parcel_has_room(&keys, &event); event.company.octet[1]++)
        event_parcel_add_key(&keys, &event);
    assert_int_equal(keys.count, PARCEL_ENTRIES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parcel_when_it_is_read_gives_what_was_written_in_order),
        cmocka_unit_test(test_parcel_when_it_is_cut_anywhere_is_none),
        cmocka_unit_test(test_entry_when_it_is_cut_anywhere_is_poison),
        cmocka_unit_test(test_parcel_when_an_entry_is_broken_the_others_are_read),
        cmocka_unit_test(test_entry_when_it_has_more_fields_is_read_without_them),
        cmocka_unit_test(test_event_when_its_type_has_not_two_words_then_no_parcel_takes_it),
        cmocka_unit_test(test_keys_are_those_of_the_slots_and_of_the_reply_each_once),
        cmocka_unit_test(test_keys_when_there_are_many_then_they_end_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
