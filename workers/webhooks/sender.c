/* Sends deliveries: one request each, signed when it is sent. */

#include <sys/queue.h>

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/msg/msg.h"
#include "common/net/http_client.h"
#include "workers/engine/outgoing/kind.h"
#include "workers/webhooks/answer.h"
#include "workers/webhooks/signature.h"
#include "workers/webhooks/sql.h"

enum {
    RESPONSE_MAX = 16 << 10,
    ANSWER_MAX = 64 << 10,
    SECRET_MAX = 4 << 10,
    SIGNATURES_MAX = 512,
    HEADERS_MAX = 32 << 10,
    LINES_MAX = 32, /* own ones are at most 20 */
    DETAIL_MAX = 160 << 10,
    DEPTH_MAX = 4,
    IDLE_CONNECTIONS = 256,
    REQUEST_LIMIT_S = 15, /* of the whole exchange */
};

struct sending {
    TAILQ_ENTRY(sending) link;
    struct outgoing_sender *sender;
    struct outgoing_act *act;
    struct http_exchange *exchange;
    char public_key[WEBHOOK_PUBLIC_KEY_SIZE]; /* when it is new */
};
TAILQ_HEAD(sendings, sending);

struct outgoing_sender {
    const struct secrets *secrets;
    const struct msg_resource *endpoint;
    const struct msg_field *secret;
    struct address_guard *guard;
    struct http_client_options options;
    struct http_client *client;
    struct sendings under_way;
};

/* ---- the outcome ---- */

static int64_t number(struct slice text)
{
    return text.data ? strtoll(text.data, NULL, 10) : 0;
}

static void append_member(struct buf *out, const char *name, const char *text)
{
    if (!text || !*text)
        return;
    buf_printf(out, ",\"%s\":", name);
    buf_append_json_string(out, slice_of(text));
}

static void write_detail(const struct sending *s, const struct webhook_attempted *attempt,
                         const struct http_answer *answer, const struct webhook_verdict *verdict,
                         struct buf *out)
{
    buf_printf(out, "{\"n\":%" PRId64 ",\"end\":\"%s\",\"took\":%d", attempt->attempts + 1, verdict->end,
               (int)(answer->took_s * 1000));
    if (verdict->again_s >= 0)
        buf_printf(out, ",\"after\":%.3f", verdict->again_s);
    if (answer->outcome == HTTP_ANSWERED)
        buf_printf(out, ",\"code\":%d", answer->status);
    append_member(out, "error", verdict->error);
    append_member(out, "reason", verdict->reason);
    append_member(out, "key", s->public_key);
    if (answer->body.len > 0) {
        buf_append_text(out, ",\"response\":");
        webhook_append_text(out, answer->body, RESPONSE_MAX);
    }
    buf_append_char(out, '}');
}

static void end(struct sending *s, const struct http_answer *answer)
{
    struct outgoing_act *act = s->act;
    CLEANUP(buf_done) struct buf detail;
    struct webhook_verdict verdict;
    const struct webhook_attempted attempt = {
        .attempts = number(act->columns[WEBHOOK_ATTEMPTS]),
        .failed_tries = number(act->columns[WEBHOOK_FAILED_TRIES]),
        .is_asked = slice_is(act->columns[WEBHOOK_IS_ASKED], "t"),
        .chance = (double)arc4random_uniform(1001) / 1000,
        .now_s = clock_wall_ms() / 1000,
    };
    buf_init(&detail, DETAIL_MAX);
    webhook_judge(&attempt, answer, &verdict);
    write_detail(s, &attempt, answer, &verdict, &detail);
    const struct outgoing_outcome outcome = {
        .is_success = verdict.is_success,
        .is_slow = verdict.is_slow,
        .is_stop = verdict.reason != NULL,
        .again_s = verdict.again_s,
        .detail = buf_slice(&detail),
    };
    TAILQ_REMOVE(&s->sender->under_way, s, link);
    free(s);
    outgoing_done(act, &outcome);
}

static void on_done(void *arg, const struct http_answer *answer)
{
    end(arg, answer);
}

/* It was not sent; the next attempt may be. */
static void fail(struct sending *s, const char *why)
{
    end(s, &(struct http_answer){.outcome = HTTP_UNREACHED, .why = why});
}

/* ---- the request ---- */

struct request {
    struct buf text; /* lines of the header, each with a NUL behind it */
    size_t offsets[LINES_MAX];
    size_t count;
    const char *lines[LINES_MAX + 1];
};

static void begin_line(struct request *r)
{
    if (r->count < LINES_MAX)
        r->offsets[r->count++] = buf_len(&r->text);
    else
        r->text.truncated = true;
}

static void add_line(struct request *r, const char *name, struct slice value)
{
    begin_line(r);
    buf_printf(&r->text, "%s: %.*s", name, (int)value.len, value.data);
    buf_append_char(&r->text, '\0');
}

/* What the schema has let in is names and values of one line (webhook_headers_are_right). */
static void add_own_lines(struct request *r, struct slice headers)
{
    CLEANUP(json_cleanup) json_t *json = NULL;
    char why[160];
    size_t i;
    json_t *one;
    if (json_parse(headers, DEPTH_MAX, &json, why))
        return;
    json_array_foreach(json, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        const char *value = json_string_value(json_object_get(one, "value"));
        if (!name || !value)
            continue;
        begin_line(r);
        buf_printf(&r->text, *value ? "%s: %s" : "%s;", name,
                   value); /* libcurl's way to write an empty one */
        buf_append_char(&r->text, '\0');
    }
}

static void end_lines(struct request *r)
{
    for (size_t i = 0; i < r->count; i++)
        r->lines[i] = buf_data(&r->text) + r->offsets[i];
    r->lines[r->count] = NULL;
}

/* ---- signatures ---- */

static void wipe(struct buf *secret)
{
    if (secret->data)
        seal_wipe(secret->data, secret->capacity);
    buf_done(secret);
}

/* Appends one signature. The first one of v1a also says what its public key is. */
static bool sign(struct sending *s, struct slice kept, const struct webhook_signed *content, struct buf *out)
{
    struct outgoing_act *act = s->act;
    bool is_v1a = slice_is(act->columns[WEBHOOK_SIGNATURE], "v1a");
    struct secret_place place =
        secrets_place(s->sender->endpoint, s->sender->secret, &act->company, &act->lane);
    struct buf secret;
    char key[WEBHOOK_PUBLIC_KEY_SIZE];
    buf_init(&secret, SECRET_MAX);
    bool is_first = buf_len(out) == 0;
    bool is_done = secrets_open(s->sender->secrets, s->sender->secret, &place, kept, &secret) &&
                   (is_first || buf_append_char(out, ' ')) &&
                   (is_v1a ? webhook_sign_v1a : webhook_sign_v1)(buf_slice(&secret), content, out);
    if (is_done && is_v1a && is_first && webhook_public_key(buf_slice(&secret), key) &&
        !slice_is(act->columns[WEBHOOK_PUBLIC_KEY], key))
        snprintf(s->public_key, sizeof(s->public_key), "%s", key);
    wipe(&secret);
    return is_done;
}

/* While a secret is being replaced, both sign. */
static bool sign_all(struct sending *s, const struct webhook_signed *content, struct buf *out)
{
    const struct slice *columns = s->act->columns;
    return sign(s, columns[WEBHOOK_SECRET], content, out) &&
           (!columns[WEBHOOK_SECRET_BEFORE].data || sign(s, columns[WEBHOOK_SECRET_BEFORE], content, out));
}

/* ---- sending ---- */

static bool write_header(struct sending *s, struct request *r)
{
    const struct slice *columns = s->act->columns;
    char id[UUID_TEXT_LEN + 1], timestamp[24];
    CLEANUP(buf_done) struct buf signatures;
    buf_init(&signatures, SIGNATURES_MAX);
    uuid_format(&s->act->id, id);
    snprintf(timestamp, sizeof(timestamp), "%" PRId64, clock_wall_ms() / 1000);
    const struct webhook_signed content = {slice_of(id), slice_of(timestamp), columns[WEBHOOK_BODY]};
    if (!sign_all(s, &content, &signatures))
        return false;
    add_line(r, "content-type", SLICE("application/json"));
    add_line(r, "webhook-id", content.id);
    add_line(r, "webhook-timestamp", content.timestamp);
    add_line(r, "webhook-signature", buf_slice(&signatures));
    add_own_lines(r, columns[WEBHOOK_HEADERS]);
    end_lines(r);
    return !r->text.truncated;
}

static void send_request(struct sending *s)
{
    const struct slice *columns = s->act->columns;
    struct request r = {.count = 0};
    buf_init(&r.text, HEADERS_MAX);
    if (write_header(s, &r)) {
        const struct http_request request = {
            .method = "POST",
            .url = columns[WEBHOOK_URL].data,
            .headers = r.lines,
            .body = columns[WEBHOOK_BODY],
            .limit_s = REQUEST_LIMIT_S,
            .body_max = RESPONSE_MAX,
            .answer_max = ANSWER_MAX,
        };
        s->exchange = http_client_send(s->sender->client, &request, on_done, s);
    } else {
        fail(s, "The secret cannot be opened with the keys that this process has.");
    }
    buf_done(&r.text);
}

static void begin(struct outgoing_sender *sender, struct outgoing_act *act)
{
    struct sending *s = xcalloc(1, sizeof(*s));
    s->sender = sender;
    s->act = act;
    TAILQ_INSERT_TAIL(&sender->under_way, s, link);
    if (act->columns[WEBHOOK_BODY].data)
        send_request(s);
    else
        fail(s, "The event is no longer kept.");
}

/* ---- the outside ---- */

static void close_sender(struct outgoing_sender *sender)
{
    struct sending *s;
    while ((s = TAILQ_FIRST(&sender->under_way))) {
        TAILQ_REMOVE(&sender->under_way, s, link);
        http_exchange_cancel(s->exchange);
        free(s);
    }
    http_client_free(sender->client);
    address_guard_free(sender->guard);
    free(sender);
}

static enum err open_sender(struct ev_loop *loop, const struct config *config, const struct secrets *secrets,
                            struct outgoing_sender **ret_sender)
{
    struct outgoing_sender *sender = xcalloc(1, sizeof(*sender));
    TAILQ_INIT(&sender->under_way);
    sender->secrets = secrets;
    sender->endpoint = msg_resource_by_name(SLICE("webhook_endpoint"));
    sender->secret = msg_rotating_secret(sender->endpoint);
    sender->guard = address_guard_new(config->webhook_allow);
    if (!sender->guard) { /* config_load has checked it */
        free(sender);
        return ERR_BAD_REQUEST;
    }
    sender->options = (struct http_client_options){
        .guard = sender->guard,
        .dns_servers = config->outgoing_dns,
        .ca_file = config->outgoing_ca,
        .user_agent = "CortexBuild-Webhooks",
        .idle_connections_max = IDLE_CONNECTIONS,
    };
    sender->client = http_client_new(loop, &sender->options);
    *ret_sender = sender;
    return ERR_OK;
}

const struct outgoing_kind webhooks_outgoing = {
    .pool = "webhooks",
    .act_max_s = REQUEST_LIMIT_S,
    .due = webhooks_due,
    .columns = WEBHOOK_COLUMNS,
    .record = webhooks_record,
    .open = open_sender,
    .close = close_sender,
    .begin = begin,
};
