#include "gateway/bus/neighbours.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/db/db.h"
#include "gateway/bus/commands.h"

static const double TELL_S = 1;

struct neighbours {
    struct gateway *gateway;
    double told_at;
};

struct neighbours *neighbours_new(struct gateway *gateway)
{
    struct neighbours *neighbours = xcalloc(1, sizeof(*neighbours));
    neighbours->gateway = gateway;
    return neighbours;
}

void neighbours_free(struct neighbours *neighbours)
{
    free(neighbours);
}

void neighbours_tell(struct neighbours *neighbours)
{
    const struct gateway *gateway = neighbours->gateway;
    double now = clock_monotonic_s();
    if (now - neighbours->told_at < TELL_S)
        return;
    struct uuid companies[2];
    size_t count = db_pool_readers(gateway->reads, companies);
    if (count == 0)
        return;
    CLEANUP(buf_done) struct buf body;
    buf_init(&body, 256);
    buf_append_text(&body, "{\"companies\":[");
    for (size_t i = 0; i < count; i++) {
        char text[UUID_TEXT_LEN + 1];
        uuid_format(&companies[i], text);
        buf_printf(&body, i > 0 ? ",\"%s\"" : "\"%s\"", text);
    }
    buf_append_text(&body, "]}");
    neighbours->told_at = now;
    enum err err = commands_announce(gateway->commands, SLICE(NEIGHBOURS_KEY), SLICE_NONE,
                                     SLICE(NEIGHBOURS_TYPE), buf_slice(&body));
    if (err)
        log_debug("neighbours.untold", LOG_S("error", err_info(err)->name));
}

void neighbours_on_message(struct neighbours *neighbours, struct slice body)
{
    json_t *message = json_loadb(body.data, body.len, 0, NULL), *company;
    size_t i;
    json_array_foreach(json_object_get(message, "companies"), i, company)
    {
        struct uuid id;
        const char *text = json_string_value(company);
        if (!text || !uuid_parse(slice_of(text), &id))
            continue;
        db_pool_hear(neighbours->gateway->reads, &id);
        if (neighbours->gateway->primary)
            db_pool_hear(neighbours->gateway->primary, &id);
    }
    json_decref(message);
}
