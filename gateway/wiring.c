#include "gateway/wiring.h"

#include <stdio.h>

#include "common/broker/topology.h"
#include "common/db/db.h"
#include "common/net/address_guard.h"
#include "gateway/auth/auth.h"
#include "gateway/auth/revocations.h"
#include "gateway/bus/commands.h"
#include "gateway/bus/control.h"
#include "gateway/bus/events.h"
#include "gateway/bus/full_companies.h"
#include "gateway/bus/neighbours.h"
#include "gateway/bus/peers.h"
#include "gateway/bus/writers.h"
#include "gateway/centrifuge/emulation.h"
#include "gateway/centrifuge/http_stream.h"
#include "gateway/hooks/sources.h"
#include "gateway/http/http.h"
#include "gateway/hub/hub.h"
#include "gateway/hub/presence/presence.h"
#include "gateway/limit/addresses.h"
#include "gateway/limit/user_counts.h"
#include "gateway/net/conn.h"
#include "gateway/net/server.h"
#include "gateway/resources/columns.h"
#include "gateway/resources/plan.h"
#include "gateway/routes.h"
#include "gateway/sse/tickets.h"
#include "gateway/ws/deflate.h"

static void name_reply_key(struct gateway *gateway)
{
    struct uuid id = uuid_v7();
    char text[UUID_TEXT_LEN + 1];
    uuid_format(&id, text);
    snprintf(gateway->reply_key, sizeof(gateway->reply_key), TOPOLOGY_PARCELS_REPLY "%s", text);
    snprintf(gateway->peer_key, sizeof(gateway->peer_key), TOPOLOGY_PEER_KEY "%s", text);
}

static enum err open_reads(struct gateway *gateway)
{
    const struct config *config = gateway->config;
    const char *replica = config->read_database_url;
    struct db_pool_options options = {
        .db = {.url = config->database_url,
               .role = config->database_role,
               .application_name = "cortex-gateway",
               .statement_timeout_ms = config->statement_timeout_ms,
               .read_only = true},
        .connections = config->read_connections,
        .expensive_connections = config->read_expensive_connections,
        .expensive_timeout_ms = config->read_expensive_ms,
        .expensive_share = config->read_expensive_share,
        .company_max = config->read_company_max,
        .queue_max = config->read_queue_max,
        .deadline_ms = config->statement_timeout_ms,
    };
    if (!replica[0] || strcmp(replica, config->database_url) == 0)
        return db_pool_new(gateway->loop, &options, &gateway->reads);
    options.db.primary = true;
    enum err err = db_pool_new(gateway->loop, &options, &gateway->primary);
    options.db.primary = false;
    options.db.url = replica;
    options.primary = gateway->primary;
    gateway->writers = writers_new(gateway);
    return err ? err : db_pool_new(gateway->loop, &options, &gateway->reads);
}

/* ---- listeners ---- */

static void close_revoked(struct gateway *gateway)
{
    if (gateway->server)
        conn_set_revoked(server_conns(gateway->server));
}

static void on_presence(struct gateway *gateway, struct slice body)
{
    presence_on_message(gateway->presence, body);
}

static void on_ticket_take(struct gateway *gateway, struct slice body)
{
    tickets_on_take(gateway->tickets, body);
}

static void on_ticket_taken(struct gateway *gateway, struct slice body)
{
    tickets_on_answer(gateway->tickets, body);
}

static void on_writers(struct gateway *gateway, struct slice body)
{
    writers_on_message(gateway->writers, body);
}

static void on_neighbours(struct gateway *gateway, struct slice body)
{
    neighbours_on_message(gateway->neighbours, body);
}

static void on_event(struct gateway *gateway, const struct event *event)
{
    revocations_on_event(gateway->revocations, event);
    hook_sources_on_event(gateway->hooks, event);
    hub_on_event(gateway->hub, event);
}

static void on_watched(struct gateway *gateway, const struct uuid *company)
{
    hub_on_watched(gateway->hub, company);
}

static void on_bound(struct gateway *gateway, bool is_again)
{
    revocations_read(gateway->revocations); /* those of the time without a binding */
    hook_sources_read(gateway->hooks);
    if (is_again)
        hub_on_reconnect(gateway->hub);
    control_resend(gateway->control);
    presence_on_bound(gateway->presence);
}

static const char revocation_key[] = REVOCATION_KEY, hook_source_key[] = HOOK_SOURCE_KEY;
static const char *const event_keys[] = {revocation_key, hook_source_key, PRESENCE_ALL_KEY,
                                         WRITERS_KEY,    NEIGHBOURS_KEY,  NULL};
static const char *const slot_keys[] = {"*." REVOCATION_KEY, revocation_key, "*." HOOK_SOURCE_KEY,
                                        hook_source_key, NULL};
static const struct events_announcement announcements[] = {
    {{PRESENCE_TYPE, sizeof(PRESENCE_TYPE) - 1}, .on_announcement = on_presence},
    {{EMULATION_TYPE, sizeof(EMULATION_TYPE) - 1}, .on_question = emulation_on_question},
    {{WRITERS_TYPE, sizeof(WRITERS_TYPE) - 1}, .on_announcement = on_writers},
    {{NEIGHBOURS_TYPE, sizeof(NEIGHBOURS_TYPE) - 1}, .on_announcement = on_neighbours},
    {{TICKET_TAKE, sizeof(TICKET_TAKE) - 1}, .on_announcement = on_ticket_take},
    {{TICKET_TAKEN, sizeof(TICKET_TAKEN) - 1}, .on_announcement = on_ticket_taken},
    {.type = SLICE_NONE},
};
static const struct events_listeners listeners = {
    .keys = event_keys,
    .slot_keys = slot_keys,
    .announcements = announcements,
    .on_event = on_event,
    .on_watched = on_watched,
    .on_bound = on_bound,
};

/* ---- beginning and end ---- */

/* Each part needs those before it. */
enum err gateway_open(struct gateway *gateway, int listen_fd)
{
    name_reply_key(gateway);
    gateway->routes = routes_new();
    gateway->http = http_new(gateway);
    gateway->plans = plans_new();
    gateway->outbound = address_guard_new(gateway->config->webhook_allow);
    gateway->deflate = ws_deflate_new(gateway->config);
    enum err err = auth_new(gateway, &gateway->auth);
    if (!err)
        err = open_reads(gateway);
    gateway->neighbours = neighbours_new(gateway);
    gateway->control = control_new(gateway);
    gateway->peers = peers_new(gateway);
    if (!err)
        gateway->revocations = revocations_new(gateway, close_revoked);
    if (!err)
        err = hook_sources_new(gateway, &gateway->hooks);
    if (!err)
        gateway->full_companies = full_companies_new(gateway);
    if (!err)
        gateway->columns = columns_new(gateway);
    if (!err)
        err = commands_new(gateway, &gateway->commands);
    if (!err)
        err = events_new(gateway, &listeners, &gateway->events);
    if (!err)
        gateway->hub = hub_new(gateway);
    if (!err)
        gateway->presence = presence_new(gateway);
    gateway->tickets = tickets_new(gateway);
    gateway->streams = http_streams_new();
    gateway->addresses = addresses_new(gateway->config);
    gateway->user_counts = user_counts_new(gateway->config->ws_user_connections);
    if (!err)
        err = server_new(gateway, listen_fd, &http_protocol, &gateway->server);
    return err;
}

/* Connections are freed first, and queries before the parts that wait for their rows, since what is freed
 * still calls what is left. */
void gateway_close(struct gateway *gateway)
{
    server_free(gateway->server);
    hub_free(gateway->hub);
    presence_free(gateway->presence);
    tickets_free(gateway->tickets);
    http_streams_free(gateway->streams);
    db_pool_free(gateway->reads);
    db_pool_free(gateway->primary);
    writers_free(gateway->writers);
    neighbours_free(gateway->neighbours);
    events_free(gateway->events);
    commands_free(gateway->commands);
    full_companies_free(gateway->full_companies);
    control_free(gateway->control);
    peers_free(gateway->peers);
    revocations_free(gateway->revocations);
    hook_sources_free(gateway->hooks);
    columns_free(gateway->columns);
    plans_free(gateway->plans);
    ws_deflate_free(gateway->deflate);
    address_guard_free(gateway->outbound);
    http_free(gateway->http);
    routes_free(gateway->routes);
    auth_free(gateway->auth);
    user_counts_free(gateway->user_counts);
    addresses_free(gateway->addresses);
}
