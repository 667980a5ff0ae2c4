#include "gateway/bus/writers.h"

#include <sys/queue.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/uuid_map.h"
#include "gateway/bus/commands.h"

enum { MESSAGE_USERS_MAX = 256 };

struct writer {
    struct uuid_node node; /* key: the user */
    TAILQ_ENTRY(writer) by_age;
    double heard_at;     /* of its last write */
    double announced_at; /* when this process last announced it; 0: never */
};
TAILQ_HEAD(writer_list, writer);

struct writers {
    struct gateway *gateway;
    ev_prepare prepare;
    struct uuid_map map;
    struct writer_list by_age; /* the one heard of longest ago comes first */
    struct uuid unannounced[MESSAGE_USERS_MAX];
    size_t unannounced_count;
    double everybody_until; /* there were too many to remember */
};

static void forget(struct writers *writers, struct writer *writer)
{
    TAILQ_REMOVE(&writers->by_age, writer, by_age);
    uuid_map_remove(&writers->map, &writer->node);
    free(writer);
}

static struct writer *find(const struct writers *writers, const struct uuid *user)
{
    struct uuid_node *node = uuid_map_find(&writers->map, user);
    return node ? CONTAINER_OF(node, struct writer, node) : NULL;
}

static void forget_old(struct writers *writers, double now)
{
    struct writer *oldest;
    while ((oldest = TAILQ_FIRST(&writers->by_age)) && oldest->heard_at + WRITERS_KEPT_S < now)
        forget(writers, oldest);
}

/* NULL: there are too many. */
static struct writer *hear(struct writers *writers, const struct uuid *user)
{
    double now = clock_monotonic_s();
    forget_old(writers, now);
    struct writer *writer = find(writers, user);
    if (writer) {
        TAILQ_REMOVE(&writers->by_age, writer, by_age);
    } else if (writers->map.count >= WRITERS_MAX) {
        writers->everybody_until = now + WRITERS_KEPT_S;
        return NULL;
    } else {
        writer = xcalloc(1, sizeof(*writer));
        writer->node.key = *user;
        uuid_map_insert(&writers->map, &writer->node);
    }
    writer->heard_at = now;
    TAILQ_INSERT_TAIL(&writers->by_age, writer, by_age);
    return writer;
}

static void announce(struct writers *writers)
{
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, 64 + writers->unannounced_count * (UUID_TEXT_LEN + 3));
    buf_append_text(&body, "{\"users\":[");
    for (size_t i = 0; i < writers->unannounced_count; i++) {
        char text[UUID_TEXT_LEN + 1];
        uuid_format(&writers->unannounced[i], text);
        buf_printf(&body, i > 0 ? ",\"%s\"" : "\"%s\"", text);
    }
    buf_append_text(&body, "]}");
    writers->unannounced_count = 0;
    enum err err = commands_announce(writers->gateway->commands, SLICE(WRITERS_KEY), SLICE_NONE,
                                     SLICE(WRITERS_TYPE), buf_slice(&body));
    if (err) /* no command gets through either */
        log_debug("writers.unannounced", LOG_S("error", err_info(err)->name));
}

static void on_prepare(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop, (void)events;
    struct writers *writers = CONTAINER_OF(watcher, struct writers, prepare);
    if (writers->unannounced_count > 0)
        announce(writers);
}

struct writers *writers_new(struct gateway *gateway)
{
    struct writers *writers = xcalloc(1, sizeof(*writers));
    writers->gateway = gateway;
    uuid_map_init(&writers->map);
    TAILQ_INIT(&writers->by_age);
    ev_prepare_init(&writers->prepare, on_prepare);
    ev_set_priority(&writers->prepare, EV_MINPRI + 1); /* before the broker's connection writes */
    ev_prepare_start(gateway->loop, &writers->prepare);
    ev_unref(gateway->loop);
    return writers;
}

void writers_free(struct writers *writers)
{
    if (!writers)
        return;
    ev_ref(writers->gateway->loop);
    ev_prepare_stop(writers->gateway->loop, &writers->prepare);
    struct writer *writer;
    while ((writer = TAILQ_FIRST(&writers->by_age)))
        forget(writers, writer);
    uuid_map_done(&writers->map);
    free(writers);
}

void writers_note(struct writers *writers, const struct uuid *user)
{
    if (!writers)
        return;
    struct writer *writer = hear(writers, user);
    if (writer && writer->announced_at > 0 && writer->announced_at + WRITERS_AGAIN_S > writer->heard_at)
        return;
    if (writer)
        writer->announced_at = writer->heard_at;
    writers->unannounced[writers->unannounced_count++] = *user;
    if (writers->unannounced_count == MESSAGE_USERS_MAX)
        announce(writers);
}

bool writers_know(const struct writers *writers, const struct uuid *user)
{
    if (!writers)
        return false;
    double now = clock_monotonic_s();
    const struct writer *writer = find(writers, user);
    return now < writers->everybody_until || (writer && now <= writer->heard_at + WRITERS_KEPT_S);
}

void writers_on_message(struct writers *writers, struct slice body)
{
    if (!writers)
        return;
    json_t *message = json_loadb(body.data, body.len, 0, NULL), *user;
    size_t i;
    json_array_foreach(json_object_get(message, "users"), i, user)
    {
        struct uuid id;
        const char *text = json_string_value(user);
        if (text && uuid_parse(slice_of(text), &id))
            hear(writers, &id);
    }
    json_decref(message);
}
