#include "common/broker/private.h"

#include "common/base/clock.h"

/*   us: protocol header ─▶        ◀─ connection.start
 *       start-ok (PLAIN) ─▶       ◀─ connection.tune
 *       tune-ok, open ─▶          ◀─ connection.open-ok
 *       channel.open,
 *       confirm.select ─▶         ◀─ channel.open-ok, confirm.select-ok: UP */

void broker_handshake_begin(struct broker *b)
{
    static const uint8_t protocol_header[8] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
    b->handshake_step = 0;
    broker_output_raw(b, protocol_header, sizeof(protocol_header));
}

static amqp_field_value_t text_value(const char *text)
{
    return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)};
}

static bool list_has(amqp_bytes_t list, const char *word)
{
    struct slice s = slice_of_amqp(list);
    size_t len = strlen(word);
    for (const char *at = s.data, *end = s.data + s.len; at < end;) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        const char *stop = space ? space : end;
        if ((size_t)(stop - at) == len && memcmp(at, word, len) == 0)
            return true;
        at = stop + 1;
    }
    return false;
}

static void send_start_ok(struct broker *b)
{
    static const char *const capability_names[] = {"consumer_cancel_notify", "connection.blocked",
                                                   "publisher_confirms", "basic.nack",
                                                   "authentication_failure_close"};
    amqp_table_entry_t capabilities[ARRAY_LEN(capability_names)];
    for (size_t i = 0; i < ARRAY_LEN(capabilities); i++)
        capabilities[i] = (amqp_table_entry_t){
            .key = amqp_cstring_bytes(capability_names[i]),
            .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1},
        };
    amqp_table_entry_t properties[] = {
        {amqp_cstring_bytes("product"), text_value("CortexBuild")},
        {amqp_cstring_bytes("version"), text_value(CORTEX_VERSION)},
        {amqp_cstring_bytes("platform"), text_value("C")},
        {amqp_cstring_bytes("connection_name"), text_value(b->name)},
        {amqp_cstring_bytes("capabilities"),
         {.kind = AMQP_FIELD_KIND_TABLE, .value.table = {(int)ARRAY_LEN(capabilities), capabilities}}},
    };
    const struct amqp_url *url = &b->urls[b->url_at];
    size_t user = strlen(url->user), password = strlen(url->password);
    CLEANUP_FREE char *response = xcalloc(1, user + password + 2);
    memcpy(response + 1, url->user, user);
    memcpy(response + 2 + user, url->password, password);
    amqp_connection_start_ok_t start_ok = {
        .client_properties = {(int)ARRAY_LEN(properties), properties},
        .mechanism = amqp_cstring_bytes("PLAIN"), /* RFC 4616 */
        .response = {user + password + 2, response},
        .locale = amqp_cstring_bytes("en_US"),
    };
    broker_output_method(b, 0, AMQP_CONNECTION_START_OK_METHOD, &start_ok);
    explicit_bzero(response, user + password + 2);
}

static void on_start(struct broker *b, const void *method)
{
    const amqp_connection_start_t *start = method;
    if (start->version_major != 0 || start->version_minor != 9)
        broker_fail(b, "the server speaks AMQP %d-%d, not 0-9-1", start->version_major, start->version_minor);
    else if (!list_has(start->mechanisms, "PLAIN"))
        broker_fail(b, "the server does not offer PLAIN authentication");
    else
        send_start_ok(b);
}

/* The smaller of two limits where 0 means none. */
static uint32_t lesser(uint32_t a, uint32_t b)
{
    if (a == 0 || b == 0)
        return a | b;
    return a < b ? a : b;
}

static void on_tune(struct broker *b, const void *method)
{
    const amqp_connection_tune_t *tune = method;
    uint32_t frame_max = lesser(tune->frame_max, FRAME_MAX);
    if (frame_max < FRAME_MIN) {
        broker_fail(b, "the server offers frames of %u octets; AMQP demands at least %d", frame_max,
                    FRAME_MIN);
        return;
    }
    b->frame_max = frame_max;
    int url_s = b->urls[b->url_at].heartbeat_s;
    b->heartbeat_s = (int)lesser(tune->heartbeat, (uint32_t)(url_s >= 0 ? url_s : b->heartbeat_wanted_s));
    amqp_connection_tune_ok_t tune_ok = {
        .channel_max = CHANNEL,
        .frame_max = frame_max,
        .heartbeat = (uint16_t)b->heartbeat_s,
    };
    broker_output_method(b, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &tune_ok);
    amqp_connection_open_t open = {.virtual_host = amqp_cstring_bytes(b->urls[b->url_at].vhost)};
    broker_output_method(b, 0, AMQP_CONNECTION_OPEN_METHOD, &open);
}

static void on_open_ok(struct broker *b, const void *method)
{
    (void)method;
    broker_output_method(b, CHANNEL, AMQP_CHANNEL_OPEN_METHOD, &(amqp_channel_open_t){0});
    broker_output_method(b, CHANNEL, AMQP_CONFIRM_SELECT_METHOD, &(amqp_confirm_select_t){0});
}

static void on_channel_open_ok(struct broker *b, const void *method)
{
    (void)b, (void)method; /* confirm.select was sent already */
}

static void on_select_ok(struct broker *b, const void *method)
{
    (void)method;
    broker_confirms_restart(b);
    b->acks = (struct broker_acks){0};
    b->silent_ticks = 0;
    b->up_since = clock_monotonic_s();
    b->epoch++;
    broker_set_state(b, BROKER_UP, b->heartbeat_s / 2.0);
    if (b->callbacks.on_up)
        b->callbacks.on_up(b->ctx, b);
}

static const struct {
    amqp_method_number_t method;
    void (*handle)(struct broker *b, const void *method);
} steps[] = {
    {AMQP_CONNECTION_START_METHOD, on_start},      {AMQP_CONNECTION_TUNE_METHOD, on_tune},
    {AMQP_CONNECTION_OPEN_OK_METHOD, on_open_ok},  {AMQP_CHANNEL_OPEN_OK_METHOD, on_channel_open_ok},
    {AMQP_CONFIRM_SELECT_OK_METHOD, on_select_ok},
};

void broker_handshake_method(struct broker *b, amqp_method_number_t id, const void *method)
{
    if (b->state != BROKER_HANDSHAKE || b->handshake_step >= ARRAY_LEN(steps) ||
        steps[b->handshake_step].method != id) {
        broker_fail(b, "the server sent %s out of turn", amqp_method_name(id));
        return;
    }
    steps[b->handshake_step++].handle(b, method);
}
