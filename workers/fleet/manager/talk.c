#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/broker/topology.h"
#include "workers/fleet/manager/private.h"
#include "workers/fleet/manager/show.h"

enum {
    SETTLE_MARGIN_MS = 20,
    LISTEN_MS = 250, /* for the others to answer the first announcement */
    UNCONFIRMED_MAX = 4096,
    UNCONFIRMED_BYTES = 16 << 20,
};

/* ---- announcing ---- */

bool manager_may_speak(const struct manager *m)
{
    return m->is_bound && !broker_is_blocked(m->broker);
}

static void publish(struct manager *m, const char *exchange, struct slice key, struct slice correlation_id,
                    enum err status)
{
    const struct broker_header headers[] = {
        {.name = SLICE("status"), .text = slice_of(err_info(status)->slug)}};
    const struct broker_message message = {
        .exchange = slice_of(exchange),
        .routing_key = key,
        .correlation_id = correlation_id,
        .content_type = SLICE("application/json"),
        .headers = headers,
        .header_count = status ? ARRAY_LEN(headers) : 0,
        .body = buf_slice(&m->text),
    };
    enum err err = m->text.truncated ? ERR_BODY_TOO_LARGE : broker_publish(m->broker, &message, NULL, NULL);
    if (err)
        log_warn("manager.not_said", LOG_B("key", key), LOG_S("error", err_info(err)->name));
}

static void say(struct manager *m, const char *topic)
{
    char key[MANAGER_NAME_SIZE];
    snprintf(key, sizeof(key), "%s.%s", topic, m->pool);
    publish(m, EXCHANGE_CONTROL, slice_of(key), SLICE_NONE, ERR_OK);
}

void manager_announce(struct manager *m, bool asks)
{
    if (!manager_may_speak(m))
        return;
    buf_clear(&m->text);
    manager_write_announcement(&m->text, &m->view, &m->self, &m->report, asks);
    say(m, "pool");
}

void manager_declare_dead(struct manager *m, pid_t pid)
{
    if (!manager_may_speak(m))
        return;
    buf_clear(&m->text);
    manager_write_death(&m->text, &m->self, pid);
    say(m, "member");
}

/* ---- hearing ---- */

static void hear_announcement(struct manager *m, struct slice body)
{
    struct manager_announcement said;
    json_t *whole = NULL;
    if (manager_read_announcement(body, &said, &whole)) {
        log_warn("manager.unreadable", LOG_S("key", "pool"));
        return;
    }
    bool is_new = manager_view_hear(&m->view, &said.id, said.leaves, whole, clock_monotonic_ms());
    bool is_resized = manager_size_hear(m, &said.size);
    json_decref(whole);
    if (uuid_equal(&said.id, &m->view.self))
        return;
    if (is_new)
        log_info("manager.peers", LOG_I("managers", m->view.peer_count + 1));
    if (is_new || is_resized)
        manager_order(m);
    if (is_new || said.asks)
        manager_announce(m, false);
}

static void reply(struct manager *m, const struct broker_delivery *request, enum err status)
{
    if (request->reply_to.len > 0)
        publish(m, EXCHANGE_EVENTS, request->reply_to, request->correlation_id, status);
}

static void show(struct manager *m, const struct broker_delivery *request, enum err status)
{
    buf_clear(&m->text);
    manager_show(&m->text, m->pool, &m->view, &m->self, &m->report, m->load, m->strays);
    reply(m, request, status);
}

/* One manager alone decides about conditions: two requests may reach two managers in different orders. The others hear
 * from it. A gateway sends a request again when the reply may have been lost, and it has been carried out then. */
static void decide(struct manager *m, const struct broker_delivery *delivery,
                   const struct manager_request *request)
{
    struct slice last = {m->decided, strlen(m->decided)}, id = delivery->correlation_id;
    const char *field, *objection = manager_view_objection(&m->view, &request->wish, &field);
    if (request->conditions && !manager_view_is_first(&m->view))
        return;
    if (request->conditions && !slice_equal(last, id) &&
        !manager_conditions_hold(request->conditions, m->view.size.changed_ms)) {
        show(m, delivery, ERR_VERSION_CONFLICT);
        return;
    }
    if (objection) {
        buf_clear(&m->text);
        manager_show_objection(&m->text, field, objection);
        reply(m, delivery, ERR_VALIDATION);
        return;
    }
    if (!slice_equal(last, id))
        manager_size_wish(m, &request->wish, WHY_REQUEST,
                          request->at_ms > 0 ? request->at_ms : clock_wall_ms());
    if (request->conditions)
        snprintf(m->decided, sizeof(m->decided), "%.*s", (int)id.len, id.data);
    show(m, delivery, ERR_OK);
}

static void answer(struct manager *m, const struct broker_delivery *delivery)
{
    struct manager_request request;
    enum err err = manager_read_request(delivery->body, &request);
    if (err) {
        log_warn("manager.unreadable", LOG_S("key", "manager"),
                 LOG_B("correlation", delivery->correlation_id));
        buf_clear(&m->text);
        buf_append_text(&m->text, "{}");
        reply(m, delivery, err);
        return;
    }
    decide(m, delivery, &request);
    json_decref(request.conditions);
}

/* ---- the broker ---- */

static bool is_key(const struct manager *m, struct slice key, const char *topic)
{
    char wanted[MANAGER_NAME_SIZE];
    snprintf(wanted, sizeof(wanted), "%s.%s", topic, m->pool);
    return slice_is(key, wanted);
}

static void on_delivery(void *ctx, struct broker *broker, const struct broker_delivery *delivery)
{
    struct manager *m = ctx;
    (void)broker;
    if (is_key(m, delivery->routing_key, "pool"))
        hear_announcement(m, delivery->body);
    else if (is_key(m, delivery->routing_key, "manager"))
        answer(m, delivery);
    else if (!manager_load_hear(m->load, delivery->body, clock_monotonic_ms()))
        log_warn("manager.unreadable", LOG_B("key", delivery->routing_key));
}

static void hear(struct manager *m, const char *topic)
{
    char key[MANAGER_NAME_SIZE];
    snprintf(key, sizeof(key), "%s.%s", topic, m->pool);
    broker_bind(m->broker, m->queue, EXCHANGE_CONTROL, key);
}

static void on_hearing_requests(void *arg)
{
    struct manager *m = arg;
    pulse_set_ready(m->pulse, true);
}

/* Every manager carries out a request without conditions, and replies. That does no harm: a request names what is wanted
 * and not a change, all come to the same, and the asker takes the first reply. A queue that they share would have to
 * outlive the node it is on. */
void manager_hear_requests(struct manager *m)
{
    bool has_settled = m->is_bound && clock_monotonic_ms() - m->bound_ms >= LISTEN_MS;
    if (m->hears_requests || !has_settled || m->view.size.wanted == 0)
        return;
    m->hears_requests = true;
    hear(m, "manager");
    broker_after_declarations(m->broker, on_hearing_requests, m);
}

static void on_settled(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    manager_hear_requests(CONTAINER_OF(timer, struct manager, settle));
}

static void start_timer(struct manager *m, ev_timer *timer, int64_t after_ms)
{
    ev_timer_stop(m->loop, timer);
    ev_timer_set(timer, (double)after_ms / 1000, 0);
    ev_timer_start(m->loop, timer);
}

static void on_bound(void *arg)
{
    struct manager *m = arg;
    m->is_bound = true;
    m->bound_ms = clock_monotonic_ms();
    manager_announce(m, true);
    start_timer(m, &m->settle, LISTEN_MS + SETTLE_MARGIN_MS);
    if (m->view.size.wanted == 0)
        start_timer(m, &m->listen, LISTEN_MS);
}

static void on_up(void *ctx, struct broker *broker)
{
    struct manager *m = ctx;
    topology_exclusive_queue("manager", m->pool, m->queue, sizeof(m->queue));
    topology_declare(broker, m->config, m->pool);
    broker_declare_queue(broker,
                         &(struct broker_queue){.name = m->queue, .exclusive = true, .auto_delete = true});
    hear(m, "pool");
    hear(m, "member");
    broker_consume(broker, m->queue, "managers", 0, true, true);
    broker_after_declarations(broker, on_bound, m);
}

static void on_down(void *ctx, struct broker *broker, const char *why)
{
    struct manager *m = ctx;
    (void)broker;
    m->is_bound = m->hears_requests = false;
    m->is_frozen = true;
    ev_timer_stop(m->loop, &m->settle);
    manager_load_down(m->load);
    pulse_set_ready(m->pulse, false);
    log_warn("broker.down", LOG_S("connection", "manager"), LOG_S("why", why));
}

enum err manager_talk_connect(struct manager *m)
{
    static const struct broker_callbacks callbacks = {
        .on_up = on_up, .on_down = on_down, .on_delivery = on_delivery};
    char name[MANAGER_NAME_SIZE];
    ev_init(&m->settle, on_settled);
    snprintf(name, sizeof(name), "cortex-worker %s: manager", m->pool);
    const struct broker_options options = {.url = m->config->amqp_url,
                                           .name = name,
                                           .unconfirmed_max = UNCONFIRMED_MAX,
                                           .unconfirmed_bytes = UNCONFIRMED_BYTES};
    return broker_new(m->loop, &options, &callbacks, m, &m->broker);
}
