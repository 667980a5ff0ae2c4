#include "gateway/health.h"

#include "common/db/db.h"
#include "gateway/auth/revocations.h"
#include "gateway/bus/commands.h"
#include "gateway/bus/events.h"
#include "gateway/resources/columns.h"

void healthz(struct call *call)
{
    call_respond(call, 200, "text/plain", SLICE("ok\n"));
}

static bool broker_is_ready(const struct gateway *gateway)
{
    return gateway->commands && commands_ready(gateway->commands) && gateway->events &&
           events_ready(gateway->events);
}

static bool queues_take_commands(const struct gateway *gateway)
{
    return !commands_are_refused(gateway->commands);
}

static bool database_is_ready(const struct gateway *gateway)
{
    return gateway->reads && db_pool_is_up(gateway->reads);
}

static bool revocations_are_read(const struct gateway *gateway)
{
    return gateway->revocations && revocations_are_known(gateway->revocations);
}

static bool is_staying(const struct gateway *gateway)
{
    return !gateway->unready;
}

static bool columns_are_there(const struct gateway *gateway)
{
    return gateway->columns && !columns_problem(gateway->columns);
}

static const struct {
    enum err err;
    bool (*is_ready)(const struct gateway *gateway);
    const char *detail; /* NULL: columns_problem */
} parts[] = {
    {ERR_SHUTTING_DOWN, is_staying, "draining"},
    {ERR_BROKER_UNAVAILABLE, broker_is_ready, "the broker is not connected, or blocks publishers"},
    {ERR_BROKER_UNAVAILABLE, queues_take_commands,
     "the queues of commands refuse what is sent, although they are not full"},
    {ERR_DATABASE_UNAVAILABLE, database_is_ready, "the database is not connected"},
    {ERR_DATABASE_UNAVAILABLE, columns_are_there, NULL},
    {ERR_DATABASE_UNAVAILABLE, revocations_are_read, "the revoked tokens have not been read yet"},
};

bool health_is_ready(const struct gateway *gateway)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!parts[i].is_ready(gateway))
            return false;
    return true;
}

void readyz(struct call *call)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!parts[i].is_ready(call->gateway)) {
            call_fail(call, parts[i].err,
                      parts[i].detail ? parts[i].detail : columns_problem(call->gateway->columns));
            return;
        }
    call_respond(call, 200, "text/plain", SLICE("ready\n"));
}
