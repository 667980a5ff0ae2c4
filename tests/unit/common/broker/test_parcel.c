#include "common/broker/parcel.h"
#include "tests/unit/common/broker/envelope_fixture.h"

static struct envelope bare(void)
{
    return (struct envelope){.id = D,
                             .type = SLICE("task.delete"),
                             .company = B,
                             .actor = C,
                             .role = SLICE("admin"),
                             .body = SLICE("")};
}

/* A body of `count` commands, a full one and a bare one in turn. */
static void write_body(struct buf *body, size_t count)
{
    char head[PARCEL_HEAD_SIZE];
    buf_init(body, 1 << 20);
    parcel_write_head(head, count);
    buf_append(body, head, sizeof(head));
    for (size_t i = 0; i < count; i++) {
        struct envelope envelope = i % 2 ? bare() : full_envelope();
        assert_int_equal(parcel_add(body, &envelope), ERR_OK);
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
        struct envelope expected = i % 2 ? bare() : full_envelope(), envelope;
        assert_int_equal(parcel_read_entry(parcel_take(&parcel), &envelope), ERR_OK);
        assert_same_envelope(&expected, &envelope);
        assert_true(envelope.body.data != NULL);
    }
    assert_int_equal(parcel.count, 0);
    assert_int_equal(parcel.rest.len, 0);
}

static void test_parcel_when_it_is_cut_anywhere_or_longer_is_none(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf body;
    struct parcel parcel;
    write_body(&body, 3);
    assert_cut_anywhere_is_no_parcel(buf_slice(&body));
    buf_append_char(&body, '\0');
    assert_int_equal(parcel_open(buf_slice(&body), &parcel), ERR_POISON);
}

static void test_parcel_when_its_count_lies_is_none(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf body;
    struct parcel parcel;
    write_body(&body, 3);
    for (size_t count = 0; count <= UINT16_MAX; count++) {
        parcel_write_head(body.data + body.begin, count);
        assert_int_equal(parcel_open(buf_slice(&body), &parcel), count == 3 ? ERR_OK : ERR_POISON);
    }
    buf_clear(&body);
    buf_done(&body);
    write_body(&body, PARCEL_ENTRIES_MAX + 1); /* an honest count that is too large */
    assert_int_equal(parcel_open(buf_slice(&body), &parcel), ERR_POISON);
}

/* Every octet of one entry gets every value: the neighbours are read all the same, or the frame is refused. */
static void test_parcel_when_an_entry_is_broken_the_others_are_read(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf body;
    struct parcel parcel;
    struct envelope envelope;
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
                assert_int_equal(parcel_read_entry(parcel_take(&parcel), &envelope), ERR_OK);
                struct slice broken = parcel_take(&parcel);
                struct envelope address;
                bool has_address = parcel_read_address(broken, &address);
                assert_true(parcel_read_entry(broken, &envelope) == ERR_POISON || has_address);
                assert_int_equal(parcel_read_entry(parcel_take(&parcel), &envelope), ERR_OK);
            }
            second[i] = kept;
        }
}

static void test_entry_when_it_is_cut_anywhere_is_poison_and_may_have_an_address(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf body;
    struct parcel parcel;
    struct envelope envelope;
    enum { ADDRESS = 3 + 2 * 18 };
    write_body(&body, 1);
    assert_int_equal(parcel_open(buf_slice(&body), &parcel), ERR_OK);
    struct slice entry = parcel_take(&parcel);
    for (size_t len = 0; len < entry.len; len++) {
        CLEANUP_FREE char *cut = xmalloc(len + 1);
        memcpy(cut + 1, entry.data, len);
        struct slice part = {cut + 1, len};
        assert_int_equal(parcel_read_entry(part, &envelope), ERR_POISON);
        assert_int_equal(parcel_read_address(part, &envelope), len >= ADDRESS);
        assert_true(len < ADDRESS || (uuid_equal(&envelope.id, &A) && uuid_equal(&envelope.company, &B)));
    }
}

/* A later version adds fields behind those that this one knows. */
static void test_entry_when_it_has_more_fields_is_read_without_them(void **state)
{
    (void)state;
    static const char more[] = "\xc0\xd9\x02hi\xc4\x01x\xc6\0\0\0\x01y\xd3\0\0\0\0\0\0\0\x07";
    enum { MORE = 5, FIELDS = 15 };
    CLEANUP(buf_done) struct buf body;
    struct parcel parcel;
    struct envelope expected = full_envelope(), envelope;
    write_body(&body, 1);
    assert_int_equal(parcel_open(buf_slice(&body), &parcel), ERR_OK);
    struct slice entry = parcel_take(&parcel);
    CLEANUP_FREE char *longer = xmalloc(entry.len + sizeof(more));
    memcpy(longer, entry.data, entry.len);
    memcpy(longer + entry.len, more, sizeof(more));
    parcel_write_head(longer, FIELDS + MORE);
    assert_int_equal(parcel_read_entry((struct slice){longer, entry.len + sizeof(more) - 1}, &envelope),
                     ERR_OK);
    assert_same_envelope(&expected, &envelope);
    parcel_write_head(longer, FIELDS + MORE + 1);
    assert_int_equal(parcel_read_entry((struct slice){longer, entry.len + sizeof(more) - 1}, &envelope),
                     ERR_POISON);
}

static void test_add_when_a_command_cannot_travel_refuses_it_and_leaves_the_others(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf body;
    struct parcel parcel;
    char many[300];
    memset(many, 'x', sizeof(many));
    const struct slice long_text = {many, 256};
    struct envelope bad[] = {full_envelope(), full_envelope(), full_envelope(),
                             full_envelope(), full_envelope(), full_envelope()};
    bad[0].type = SLICE_NONE;
    bad[1].type = (struct slice){many, ENVELOPE_KEY_MAX};
    bad[2].role = SLICE_NONE;
    bad[3].role = (struct slice){many, ENVELOPE_ROLE_MAX + 1};
    bad[4].correlation_id = long_text;
    bad[5].traceparent = long_text;
    write_body(&body, 2);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(parcel_add(&body, &bad[i]), ERR_BAD_REQUEST);
    body.max = buf_len(&body) + 40;
    struct envelope good = full_envelope();
    assert_int_equal(parcel_add(&body, &good), ERR_BODY_TOO_LARGE);
    assert_int_equal(parcel_open(buf_slice(&body), &parcel), ERR_OK);
}

static void test_message_of_a_parcel_goes_where_its_commands_would(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf body;
    struct envelope_scratch scratch;
    struct broker_message message;
    write_body(&body, 2);
    assert_int_equal(parcel_write(buf_slice(&body), "projects", 7, &scratch, &message), ERR_OK);
    assert_true(slice_is(message.exchange, "commands"));
    assert_true(slice_is(message.routing_key, "projects.07.parcel"));
    assert_true(message.persistent && message.mandatory);
    struct broker_delivery delivery = {.content_type = message.content_type};
    assert_true(parcel_is(&delivery));
    delivery.content_type = SLICE("application/msgpack");
    assert_false(parcel_is(&delivery));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parcel_when_it_is_read_gives_what_was_written_in_order),
        cmocka_unit_test(test_parcel_when_it_is_cut_anywhere_or_longer_is_none),
        cmocka_unit_test(test_parcel_when_its_count_lies_is_none),
        cmocka_unit_test(test_parcel_when_an_entry_is_broken_the_others_are_read),
        cmocka_unit_test(test_entry_when_it_is_cut_anywhere_is_poison_and_may_have_an_address),
        cmocka_unit_test(test_entry_when_it_has_more_fields_is_read_without_them),
        cmocka_unit_test(test_add_when_a_command_cannot_travel_refuses_it_and_leaves_the_others),
        cmocka_unit_test(test_message_of_a_parcel_goes_where_its_commands_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
