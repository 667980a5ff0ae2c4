#include "gateway/bus/peers.h"

#include "common/broker/topology.h"
#include "gateway/bus/commands.h"
#include "gateway/bus/pending.h"

#define PEER_KEY "reply." /* gateway->peer_key is this and the id of the process */

struct peers {
    struct gateway *gateway;
    struct pending_table pending;
};

static void finish(struct pending *pending, enum err err, const char *detail)
{
    struct peers *peers = pending->call->gateway->peers;
    peers_on_answer *on_answer = pending->on_peer_answer;
    struct call *call = pending_let_go(&peers->pending, pending);
    pending_release(pending);
    call->on_gone = NULL;
    call->waiter = NULL;
    on_answer(call, err, detail);
}

static void on_due(struct deadline *deadline)
{
    finish(CONTAINER_OF(deadline, struct pending, deadline), ERR_TIMEOUT,
           "the process that was asked has not answered in time");
}

struct peers *peers_new(struct gateway *gateway)
{
    struct peers *peers = xcalloc(1, sizeof(*peers));
    peers->gateway = gateway;
    pending_table_init(&peers->pending, gateway->loop, (size_t)gateway->config->pending_max, on_due);
    return peers;
}

void peers_free(struct peers *peers)
{
    if (!peers)
        return;
    pending_table_done(&peers->pending);
    free(peers);
}

bool peers_is_self(const struct gateway *gateway, const struct uuid *process)
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(process, id);
    return strcmp(gateway->peer_key + sizeof(PEER_KEY) - 1, id) == 0;
}

static void on_gone(struct call *call)
{
    struct pending *pending = call->waiter;
    pending_let_go(&call->gateway->peers->pending, pending);
    pending_release(pending);
}

static void on_confirm(void *arg, enum err err)
{
    struct pending *pending = arg;
    pending->in_flight--;
    if (!pending->call)
        pending_release(pending);
    else if (err)
        finish(pending, err == ERR_UNROUTABLE ? ERR_NOT_FOUND : err, NULL);
}

static enum err publish(struct peers *peers, struct pending *pending, const struct uuid *process,
                        struct slice type, struct slice body)
{
    struct broker *publisher = commands_publisher(peers->gateway->commands);
    char key[sizeof(PEER_KEY) + UUID_TEXT_LEN] = PEER_KEY, correlation[PENDING_CORRELATION_SIZE];
    uuid_format(process, key + sizeof(PEER_KEY) - 1);
    pending_correlation(&peers->pending, pending, correlation);
    const struct broker_message message = {.exchange = SLICE(EXCHANGE_EVENTS),
                                           .routing_key = slice_of(key),
                                           .content_type = SLICE("application/octet-stream"),
                                           .correlation_id = slice_of(correlation),
                                           .reply_to = slice_of(peers->gateway->peer_key),
                                           .type = type,
                                           .mandatory = true,
                                           .body = body};
    if (!broker_is_up(publisher))
        return ERR_BROKER_UNAVAILABLE; /* nobody would wait for an answer any more */
    enum err err = broker_publish(publisher, &message, on_confirm, pending);
    pending->in_flight += err == ERR_OK;
    return err;
}

void peers_ask(struct call *call, const struct uuid *process, struct slice type, struct slice body,
               peers_on_answer *on_answer)
{
    struct peers *peers = call->gateway->peers;
    if (peers->pending.count >= (size_t)call->gateway->config->pending_max) {
        on_answer(call, ERR_BROKER_BUSY, NULL);
        return;
    }
    struct pending *pending = pending_add(&peers->pending, call);
    pending->on_peer_answer = on_answer;
    call->waiter = pending;
    call->on_gone = on_gone;
    deadline_set(&peers->pending.deadlines, &pending->deadline, PEERS_WAIT_MS);
    enum err err = publish(peers, pending, process, type, body);
    if (err)
        finish(pending, err, NULL);
}

void peers_reply(struct gateway *gateway, const struct broker_delivery *question, enum err err)
{
    const struct broker_header headers[] = {
        {.name = SLICE("status"), .text = slice_of(err_info(err)->slug)},
    };
    const struct broker_message reply = {.exchange = SLICE(EXCHANGE_EVENTS),
                                         .routing_key = topology_peer_key(question->reply_to),
                                         .content_type = SLICE("application/octet-stream"),
                                         .correlation_id = question->correlation_id,
                                         .headers = headers,
                                         .header_count = ARRAY_LEN(headers)};
    enum err failed = reply.routing_key.len > 0
                          ? broker_publish(commands_publisher(gateway->commands), &reply, NULL, NULL)
                          : ERR_BAD_REQUEST;
    if (failed) /* who asked finds out by the time */
        log_debug("peers.unanswered", LOG_S("error", err_info(failed)->name));
}

bool peers_on_reply(struct peers *peers, const struct broker_delivery *delivery)
{
    struct pending *pending = pending_find(&peers->pending, delivery->correlation_id);
    const struct broker_header *status = broker_delivery_header(delivery, "status");
    if (!pending)
        return pending_is_of(&peers->pending, delivery->correlation_id);
    finish(pending, status ? err_from_slug(status->text.data, status->text.len) : ERR_INTERNAL, NULL);
    return true;
}
