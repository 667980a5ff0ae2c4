#include "common/broker/private.h"

enum { HEARTBEAT_S = 10, RECONNECT_MIN_MS = 100, RECONNECT_MAX_MS = 5000, POOL_PAGE = 4096 };

static void forget_connection(struct broker *b)
{
    broker_connect_close(b);
    broker_input_reset(b);
    broker_declarations_clear(b);
    broker_confirms_rewind(&b->confirms);
    buf_clear(&b->control);
    b->acks = (struct broker_acks){0};
    b->has_failed = false;
}

/* Every watcher ends with this call, so a connection ends here and nowhere else: never below its own
 * callbacks. */
static void end_if_failed(struct broker *b)
{
    if (!b->has_failed)
        return;
    forget_connection(b);
    broker_connect_plan(b);
    if (b->callbacks.on_down)
        b->callbacks.on_down(b->ctx, b, b->why);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop, (void)events;
    struct broker *b = w->data;
    if (b->state == BROKER_DOWN)
        broker_connect_begin(b);
    else if (broker_has_channel(b))
        broker_heartbeat_tick(b);
    else
        broker_connect_timed_out(b);
    end_if_failed(b);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    (void)loop, (void)events;
    struct broker *b = w->data;
    broker_input_readable(b);
    end_if_failed(b);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    (void)loop, (void)events;
    struct broker *b = w->data;
    if (b->state == BROKER_CONNECTING)
        broker_connect_writable(b);
    else
        broker_output_flush(b);
    end_if_failed(b);
}

/* Runs once per turn, before the loop sleeps: everything that has gathered goes out. */
static void on_prepare(struct ev_loop *loop, ev_prepare *w, int events)
{
    (void)loop, (void)events;
    struct broker *b = w->data;
    if (!b->has_failed)
        broker_declarations_run_markers(b);
    if (!b->has_failed && !ev_is_active(&b->io_write))
        broker_output_flush(b);
    end_if_failed(b);
}

static void start_watchers(struct broker *b)
{
    ev_init(&b->io_read, on_readable);
    ev_init(&b->io_write, on_writable);
    ev_init(&b->timer, on_timer);
    ev_prepare_init(&b->prepare, on_prepare);
    ev_set_priority(&b->prepare, EV_MINPRI); /* after the other watchers, which may publish */
    b->io_read.data = b->io_write.data = b->timer.data = b->prepare.data = b;
    ev_prepare_start(b->loop, &b->prepare);
}

enum err broker_new(struct ev_loop *loop, const struct broker_options *options,
                    const struct broker_callbacks *callbacks, void *ctx, struct broker **ret_broker)
{
    struct amqp_url *urls = NULL;
    char why[256];
    size_t url_count = 0;
    if (!amqp_urls_parse(options->url ? options->url : "", &urls, &url_count, why))
        return ERR_BAD_REQUEST; /* config_load has said why */
    int64_t min_ms = options->reconnect_min_ms ? options->reconnect_min_ms : RECONNECT_MIN_MS;
    int64_t max_ms = options->reconnect_max_ms ? options->reconnect_max_ms : RECONNECT_MAX_MS;
    struct broker *b = xcalloc(1, sizeof(*b));
    *b = (struct broker){
        .loop = loop,
        .callbacks = *callbacks,
        .ctx = ctx,
        .name = xstrdup(options->name ? options->name : "cortex"),
        .keeps_shapes = options->keeps_shapes,
        .heartbeat_wanted_s = options->heartbeat_s ? options->heartbeat_s : HEARTBEAT_S,
        .reconnect_min_s = (double)min_ms / 1000,
        .reconnect_max_s = (double)max_ms / 1000,
        .urls = urls,
        .url_count = url_count,
        .url_at = arc4random_uniform((uint32_t)url_count),
        .fd = -1,
        .frame_max = FRAME_MAX,
        .input = xmalloc(INPUT_SIZE),
    };
    broker_confirms_init(&b->confirms, (size_t)options->unconfirmed_max, (size_t)options->unconfirmed_bytes);
    buf_init(&b->control, CONTROL_MAX);
    broker_content_init(&b->content);
    init_amqp_pool(&b->pool, POOL_PAGE);
    start_watchers(b);
    broker_set_state(b, BROKER_DOWN, 0);
    *ret_broker = b;
    return ERR_OK;
}

/* Tells the server that we close on purpose. Only what the socket takes at once is sent. */
static void send_close(struct broker *b)
{
    if (!broker_has_channel(b) || b->confirms.written > 0)
        return;
    amqp_connection_close_t close = {.reply_code = AMQP_REPLY_SUCCESS,
                                     .reply_text = amqp_cstring_bytes("bye")};
    broker_output_acks(b);
    broker_output_method(b, 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
    (void)!send(b->fd, buf_data(&b->control), buf_len(&b->control), MSG_NOSIGNAL | MSG_DONTWAIT);
}

size_t broker_url_count(const struct broker *b)
{
    return b->url_count;
}

void broker_free(struct broker *b)
{
    if (!b)
        return;
    send_close(b);
    forget_connection(b);
    broker_set_state(b, BROKER_CLOSED, 0);
    ev_prepare_stop(b->loop, &b->prepare);
    broker_confirms_done(b);
    broker_kept_done(b);
    amqp_urls_free(b->urls, b->url_count);
    buf_done(&b->control);
    broker_content_done(&b->content);
    empty_amqp_pool(&b->pool);
    free(b->input);
    free(b->name);
    free(b);
}

bool broker_is_up(const struct broker *b)
{
    return broker_has_channel(b);
}

bool broker_is_blocked(const struct broker *b)
{
    return b->state == BROKER_BLOCKED;
}

void broker_reconnect(struct broker *b, const char *why)
{
    if (broker_has_channel(b))
        broker_fail(b, "%s", why);
}

uint32_t broker_epoch(const struct broker *b)
{
    return b->epoch;
}

size_t broker_unconfirmed(const struct broker *b)
{
    return b->confirms.count;
}

size_t broker_unsent_bytes(const struct broker *b)
{
    return b->confirms.unsent_bytes + buf_len(&b->control);
}

bool broker_has_room(const struct broker *b, size_t messages, size_t bytes)
{
    return broker_confirms_has_room(&b->confirms, messages, bytes);
}

enum err broker_publish(struct broker *b, const struct broker_message *message, broker_on_confirm *on_confirm,
                        void *arg)
{
    if (b->state == BROKER_CLOSED)
        return ERR_SHUTTING_DOWN;
    if (!broker_confirms_has_room(&b->confirms, 1, message->body.len))
        return ERR_BROKER_BUSY;
    struct broker_frames *frames = NULL;
    enum err err = broker_frames_new(message, b->frame_max, &frames);
    if (err)
        return err;
    if (!broker_confirms_has_room(&b->confirms, 1, frames->size)) {
        free(frames);
        return ERR_BROKER_BUSY;
    }
    frames->on_confirm = on_confirm;
    frames->arg = arg;
    broker_confirms_add(&b->confirms, frames);
    return ERR_OK;
}
