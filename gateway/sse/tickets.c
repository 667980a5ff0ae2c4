#include "gateway/sse/tickets.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/broker/topology.h"
#include "common/msg/problem.h"
#include "gateway/bus/commands.h"
#include "gateway/http/schema_input.h"
#include "gateway/hub/hub.h"

enum {
    TICKETS_MAX = 8192, /* of a process: some 5 MB */
    USER_MAX = 64,
    SECRET_OCTETS = 16,
    SECRET_SIZE = 2 * SECRET_OCTETS + 1,
    ANSWER_MS = 2000, /* that another process has to answer */
    DEPTH_MAX = 4,
};

static const char REPLY_KEY[] = "reply."; /* gateway->peer_key begins with it; the rest is in the ticket */

/* A ticket: "<secret in hexadecimal>.<uuid of the process>". */
struct ticket {
    TAILQ_ENTRY(ticket) by_age;
    char secret[SECRET_SIZE];
    struct identity identity;
    double until; /* of clock_monotonic_s */
    char *channels;
};

/* A call that waits for another process's answer. */
struct taking {
    TAILQ_ENTRY(taking) in_list;
    struct tickets *tickets;
    struct call *call;
    tickets_on_taken *on_taken;
    int64_t number;
    ev_timer timer;
};

struct tickets {
    struct gateway *gateway;
    TAILQ_HEAD(, ticket) by_age;
    size_t count;
    TAILQ_HEAD(, taking) takings;
    int64_t last_number;
};

struct tickets *tickets_new(struct gateway *gateway)
{
    struct tickets *tickets = xcalloc(1, sizeof(*tickets));
    tickets->gateway = gateway;
    TAILQ_INIT(&tickets->by_age);
    TAILQ_INIT(&tickets->takings);
    return tickets;
}

static void ticket_free(struct tickets *tickets, struct ticket *ticket)
{
    TAILQ_REMOVE(&tickets->by_age, ticket, by_age);
    tickets->count--;
    free(ticket->channels);
    free(ticket);
}

static void forget_taking(struct taking *taking)
{
    TAILQ_REMOVE(&taking->tickets->takings, taking, in_list);
    ev_timer_stop(taking->tickets->gateway->loop, &taking->timer);
    free(taking);
}

void tickets_free(struct tickets *tickets)
{
    struct ticket *ticket;
    struct taking *taking;
    if (!tickets)
        return;
    while ((ticket = TAILQ_FIRST(&tickets->by_age)))
        ticket_free(tickets, ticket);
    while ((taking = TAILQ_FIRST(&tickets->takings)))
        forget_taking(taking);
    free(tickets);
}

static void drop_old(struct tickets *tickets)
{
    struct ticket *ticket;
    double now = clock_monotonic_s();
    while ((ticket = TAILQ_FIRST(&tickets->by_age)) && ticket->until <= now)
        ticket_free(tickets, ticket);
}

/* ---- POST /v1/tickets ---- */

static size_t count_of(const struct tickets *tickets, const struct uuid *user)
{
    const struct ticket *ticket;
    size_t count = 0;
    TAILQ_FOREACH(ticket, &tickets->by_age, by_age)
    {
        count += uuid_equal(&ticket->identity.user, user);
    }
    return count;
}

/* The names, separated by commas, as the query of GET /v1/events has them; NULL: one of them is none. */
static char *join_channels(struct call *call, const json_t *names)
{
    size_t i, max = (size_t)call->gateway->config->ws_max_channels;
    const json_t *name;
    CLEANUP(buf_done) struct buf list;
    struct hub_request request = {.company = call->identity.company, .id = call->identity.company};
    struct uuid *projects = arena_alloc(&call->arena, max * sizeof(*projects));
    buf_init(&list, 64 * 1024);
    json_array_foreach(names, i, name)
    {
        if (i > 0)
            buf_append_char(&list, ',');
        buf_append_text(&list, json_string_value(name));
    }
    if (!projects || (names && channel_parse_list(buf_slice(&list), projects, max, &request)))
        return NULL;
    char *copy = xmalloc(buf_len(&list) + 1);
    memcpy(copy, buf_slice(&list).data, buf_len(&list));
    copy[buf_len(&list)] = '\0';
    return copy;
}

static bool make_secret(char secret[SECRET_SIZE])
{
    uint8_t octets[SECRET_OCTETS];
    if (getrandom(octets, sizeof(octets), 0) != (ssize_t)sizeof(octets))
        return false;
    for (size_t i = 0; i < sizeof(octets); i++)
        snprintf(secret + 2 * i, 3, "%02x", octets[i]);
    return true;
}

static void answer_created(struct call *call, const struct ticket *ticket)
{
    char at[CLOCK_TEXT_SIZE], body[256];
    clock_format(clock_wall_us() + (int64_t)((ticket->until - clock_monotonic_s()) * 1e6), at);
    int len = snprintf(body, sizeof(body), "{\"ticket\":\"%s.%s\",\"expires_at\":\"%s\"}", ticket->secret,
                       call->gateway->peer_key + sizeof(REPLY_KEY) - 1, at);
    call->cache = "private, no-store";
    call_respond(call, 201, "application/json", (struct slice){body, (size_t)len});
}

static void refuse_channels(struct call *call)
{
    struct msg_problems problems = {.arena = &call->arena};
    msg_problem_add(&problems, &(struct msg_place){.name = "channels"},
                    "must be company:<id> of one company or project:<id>, and not too many");
    call_fail_fields(call, ERR_VALIDATION, NULL, &problems);
}

void ticket_create(struct call *call)
{
    struct tickets *tickets = call->gateway->tickets;
    CLEANUP(json_cleanup) json_t *json = NULL;
    if (!schema_input_read(call, "ticket", &json))
        return;
    drop_old(tickets);
    if (tickets->count == TICKETS_MAX || count_of(tickets, &call->identity.user) >= USER_MAX) {
        call_fail(call, ERR_TOO_MANY_REQUESTS, "Too many tickets have not been used yet.");
        return;
    }
    char *channels = join_channels(call, json_object_get(json, "channels"));
    if (!channels) {
        refuse_channels(call);
        return;
    }
    double left = (double)call->identity.expires_at - ev_now(call->gateway->loop);
    struct ticket *ticket = xcalloc(1, sizeof(*ticket));
    ticket->identity = call->identity;
    ticket->channels = channels;
    ticket->until = clock_monotonic_s() + (left < TICKET_LIFE_S && left > 1 ? left : TICKET_LIFE_S);
    TAILQ_INSERT_TAIL(&tickets->by_age, ticket, by_age);
    tickets->count++;
    if (make_secret(ticket->secret)) {
        answer_created(call, ticket);
    } else {
        ticket_free(tickets, ticket);
        call_fail(call, ERR_INTERNAL, NULL);
    }
}

/* ---- taking ---- */

static bool is_secret_of(const struct ticket *ticket, struct slice secret)
{
    return secret.len == SECRET_SIZE - 1 && CRYPTO_memcmp(ticket->secret, secret.data, secret.len) == 0;
}

/* A ticket is found by all of its secret, which nobody can try out in its 60 seconds. */
static struct ticket *find(struct tickets *tickets, struct slice secret)
{
    struct ticket *ticket;
    drop_old(tickets);
    TAILQ_FOREACH(ticket, &tickets->by_age, by_age)
    {
        if (is_secret_of(ticket, secret) && ticket->until > clock_monotonic_s())
            return ticket;
    }
    return NULL;
}

static void take_here(struct call *call, struct slice secret, tickets_on_taken *on_taken)
{
    struct tickets *tickets = call->gateway->tickets;
    struct ticket *ticket = find(tickets, secret);
    if (!ticket) {
        on_taken(call, NULL, SLICE(""));
        return;
    }
    struct identity identity = ticket->identity;
    struct slice channels = arena_copy(&call->arena, slice_of(ticket->channels));
    ticket_free(tickets, ticket);
    on_taken(call, &identity, channels);
}

static void finish(struct taking *taking, const struct identity *identity, struct slice channels)
{
    struct call *call = taking->call;
    tickets_on_taken *on_taken = taking->on_taken;
    forget_taking(taking);
    call->on_gone = NULL;
    call->waiter = NULL;
    on_taken(call, identity, channels);
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    finish(CONTAINER_OF(timer, struct taking, timer), NULL, SLICE(""));
}

static void on_gone(struct call *call)
{
    forget_taking(call->waiter);
}

static void take_there(struct call *call, const char *key, struct slice secret, tickets_on_taken *on_taken)
{
    struct tickets *tickets = call->gateway->tickets;
    char body[256];
    int64_t number = ++tickets->last_number;
    int len = snprintf(body, sizeof(body), "{\"secret\":\"%.*s\",\"number\":%lld,\"reply_to\":\"%s\"}",
                       (int)secret.len, secret.data, (long long)number, call->gateway->peer_key);
    enum err err = commands_announce(call->gateway->commands, slice_of(key), SLICE_NONE, SLICE(TICKET_TAKE),
                                     (struct slice){body, (size_t)len});
    if (err) {
        call_fail(call, err, NULL);
        return;
    }
    struct taking *taking = xcalloc(1, sizeof(*taking));
    *taking = (struct taking){.tickets = tickets, .call = call, .on_taken = on_taken, .number = number};
    TAILQ_INSERT_TAIL(&tickets->takings, taking, in_list);
    ev_timer_init(&taking->timer, on_time, ANSWER_MS / 1000., 0.);
    ev_timer_start(call->gateway->loop, &taking->timer);
    call->waiter = taking;
    call->on_gone = on_gone;
}

static bool is_hex(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!((text.data[i] >= '0' && text.data[i] <= '9') || (text.data[i] >= 'a' && text.data[i] <= 'f')))
            return false;
    return true;
}

void tickets_take(struct call *call, tickets_on_taken *on_taken)
{
    struct slice text = call_query(call, "ticket");
    struct uuid owner;
    char id[UUID_TEXT_LEN + 1], key[sizeof(REPLY_KEY) + UUID_TEXT_LEN];
    struct slice secret = {text.data, SECRET_SIZE - 1};
    bool is_one = text.len == SECRET_SIZE + UUID_TEXT_LEN && text.data[SECRET_SIZE - 1] == '.' &&
                  is_hex(secret) &&
                  uuid_parse((struct slice){text.data + SECRET_SIZE, UUID_TEXT_LEN}, &owner);
    if (!is_one) {
        on_taken(call, NULL, SLICE(""));
        return;
    }
    uuid_format(&owner, id);
    snprintf(key, sizeof(key), "%s%s", REPLY_KEY, id);
    if (strcmp(key, call->gateway->peer_key) == 0)
        take_here(call, secret, on_taken);
    else
        take_there(call, key, secret, on_taken);
}

/* ---- between processes ---- */

static json_t *identity_as_json(const struct identity *identity, const char *channels)
{
    char user[UUID_TEXT_LEN + 1], company[UUID_TEXT_LEN + 1];
    uuid_format(&identity->user, user);
    uuid_format(&identity->company, company);
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "user", user, "company", company, "role",
                     identity->role, "expires_at", (json_int_t)identity->expires_at, "issued_at",
                     (json_int_t)identity->issued_at, "channels", channels);
}

void tickets_on_take(struct tickets *tickets, struct slice body)
{
    CLEANUP(json_cleanup) json_t *asked = NULL;
    char why[160];
    if (json_parse_no_nul(body, DEPTH_MAX, &asked, why))
        return;
    struct slice reply_to =
        topology_peer_key(slice_of(json_string_value(json_object_get(asked, "reply_to"))));
    struct ticket *ticket = find(tickets, slice_of(json_string_value(json_object_get(asked, "secret"))));
    if (reply_to.len == 0)
        return;
    CLEANUP(json_cleanup)
    json_t *answer = ticket ? identity_as_json(&ticket->identity, ticket->channels) : json_object();
    json_object_set(answer, "number", json_object_get(asked, "number"));
    if (ticket)
        ticket_free(tickets, ticket);
    CLEANUP_FREE char *text = json_dumps(answer, JSON_COMPACT);
    enum err err = commands_announce(tickets->gateway->commands, reply_to, SLICE_NONE, SLICE(TICKET_TAKEN),
                                     slice_of(text));
    if (err) /* the page gets 401 and asks for another ticket */
        log_debug("ticket.unanswered", LOG_S("error", err_info(err)->name));
}

static bool read_identity(const json_t *json, struct identity *ret_identity)
{
    struct identity identity = {
        .expires_at = json_integer_value(json_object_get(json, "expires_at")),
        .issued_at = json_integer_value(json_object_get(json, "issued_at")),
    };
    const char *role = json_string_value(json_object_get(json, "role"));
    if (!role || !uuid_parse(slice_of(json_string_value(json_object_get(json, "user"))), &identity.user) ||
        !uuid_parse(slice_of(json_string_value(json_object_get(json, "company"))), &identity.company))
        return false;
    snprintf(identity.role, sizeof(identity.role), "%s", role);
    identity.role_row = (uint8_t)msg_role_by_name(slice_of(identity.role));
    *ret_identity = identity;
    return true;
}

void tickets_on_answer(struct tickets *tickets, struct slice body)
{
    CLEANUP(json_cleanup) json_t *answer = NULL;
    char why[160];
    struct taking *taking;
    if (json_parse_no_nul(body, DEPTH_MAX, &answer, why))
        return;
    int64_t number = json_integer_value(json_object_get(answer, "number"));
    TAILQ_FOREACH(taking, &tickets->takings, in_list)
    {
        if (taking->number == number)
            break;
    }
    if (!taking)
        return;
    struct identity identity;
    bool is_good = read_identity(answer, &identity);
    struct slice channels = slice_of(json_string_value(json_object_get(answer, "channels")));
    channels = arena_copy(&taking->call->arena, channels.data ? channels : SLICE(""));
    finish(taking, is_good ? &identity : NULL, channels);
}
