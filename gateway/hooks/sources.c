#include "gateway/hooks/sources.h"

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/uuid_map.h"
#include "common/crypto/secret.h"
#include "common/db/db.h"

enum { PAGE_ROWS = 500, DEPTH_MAX = 16, SECRET_MAX = 1024 };

static const double AGAIN_S = 1, PERIOD_S = 60;

/* A source, and what is not for others. */
struct known {
    struct uuid_node node; /* key: its id */
    struct hook_source source;
    int64_t version;
    uint64_t seen; /* the round of readings that has found it */
    struct buf secrets[HOOK_SECRETS_MAX];
};

struct hook_sources {
    struct gateway *gateway;
    struct seal_keys *keys; /* NULL: no file is named */
    struct uuid_map known;
    ev_timer timer; /* the next round */
    uint64_t round;
    struct uuid company, id; /* behind which the round goes on */
    bool is_reading, are_known, is_full;
};

/* A company that does not exist: for it the policy of the table shows the sources of all companies. */
#define NO_COMPANY "00000000-0000-0000-0000-000000000000"
#define COLUMNS                                                                                         \
    "SELECT company_id, id, version, secret, secret_before,"                                            \
    " extract(epoch FROM secret_before_until)::bigint,"                                                 \
    " row_to_json((SELECT r FROM (SELECT type, mapping, is_active, user_id, role, algorithm, encoding," \
    " signature_header, signature_prefix, timestamp_header, id_header, id_pointer, event_header,"       \
    " event_pointer) AS r))::text FROM hook_source"

enum { COMPANY, ID, VERSION, SECRET, SECRET_BEFORE, BEFORE_UNTIL, MEMBERS };

static const struct db_statement page_statement = {
    "hook_sources.page", COLUMNS " WHERE (company_id, id) > ($1::uuid, $2::uuid) ORDER BY company_id, id"
                                 " LIMIT " TEXT_OF(500)};
static const struct db_statement one_statement = {"hook_sources.one",
                                                  COLUMNS " WHERE company_id = $1::uuid AND id = $2::uuid"};

/* ---- what is known ---- */

static struct known *find(const struct hook_sources *s, const struct uuid *id)
{
    struct uuid_node *node = uuid_map_find(&s->known, id);
    return node ? CONTAINER_OF(node, struct known, node) : NULL;
}

struct hook_source *hook_sources_find(const struct hook_sources *s, const struct uuid *id)
{
    struct known *known = find(s, id);
    return known ? &known->source : NULL;
}

bool hook_sources_are_known(const struct hook_sources *s)
{
    return s->are_known;
}

static void wipe(struct known *known)
{
    for (size_t i = 0; i < HOOK_SECRETS_MAX; i++) {
        if (known->secrets[i].data)
            seal_wipe(known->secrets[i].data, known->secrets[i].capacity);
        buf_done(&known->secrets[i]);
        known->source.signing.secrets[i] = SLICE_NONE;
    }
    json_decref(known->source.json);
    known->source.json = NULL;
}

static void forget(struct hook_sources *s, struct known *known)
{
    uuid_map_remove(&s->known, &known->node);
    wipe(known);
    free(known);
}

static const char *text(const struct known *known, const char *name)
{
    return json_string_value(json_object_get(known->source.json, name));
}

static bool read_signing(struct known *known)
{
    struct hook_signing *signing = &known->source.signing;
    const char *algorithm = text(known, "algorithm"), *encoding = text(known, "encoding");
    signing->hash = algorithm && strcmp(algorithm, "sha1") == 0     ? MAC_SHA1
                    : algorithm && strcmp(algorithm, "sha512") == 0 ? MAC_SHA512
                                                                    : MAC_SHA256;
    signing->is_base64 = encoding && strcmp(encoding, "base64") == 0;
    signing->signature_header = text(known, "signature_header");
    signing->prefix = text(known, "signature_prefix");
    signing->timestamp_header = text(known, "timestamp_header");
    return hook_type_of(text(known, "type"), &signing->type);
}

/* The one before was sealed for the column in which it was. */
static bool open_secret(const struct hook_sources *s, struct known *known, size_t at, struct slice kept)
{
    const struct secret_place place = {"hook_source", "secret", known->source.company, known->source.id};
    buf_init(&known->secrets[at], SECRET_MAX);
    if (!kept.data)
        return true;
    if (!s->keys || !secret_open(s->keys, &place, kept, &known->secrets[at]))
        return false;
    known->source.signing.secrets[at] = buf_slice(&known->secrets[at]);
    return true;
}

static bool fill(const struct hook_sources *s, struct known *known, const struct db_result *result, int row)
{
    char why[160];
    struct hook_source *source = &known->source;
    source->before_until_s = db_int(result, row, BEFORE_UNTIL);
    if (json_parse(db_text(result, row, MEMBERS), DEPTH_MAX, &source->json, why))
        return false;
    source->is_active = json_is_true(json_object_get(source->json, "is_active"));
    const char *user = text(known, "user_id");
    return read_signing(known) && user && uuid_parse(slice_of(user), &source->user) &&
           open_secret(s, known, 0, db_text(result, row, SECRET)) &&
           open_secret(s, known, 1, db_text(result, row, SECRET_BEFORE));
}

static struct known *obtain(struct hook_sources *s, const struct uuid *company, const struct uuid *id)
{
    struct known *known = find(s, id);
    if (known)
        return known;
    if (s->known.count >= (size_t)s->gateway->config->hook_sources_max) {
        if (!s->is_full)
            log_error("hook_sources.full", LOG_I("known", (int64_t)s->known.count));
        s->is_full = true;
        return NULL;
    }
    known = xcalloc(1, sizeof(*known));
    known->node.key = known->source.id = *id;
    known->source.company = *company;
    uuid_map_insert(&s->known, &known->node);
    return known;
}

static void take_row(struct hook_sources *s, const struct db_result *result, int row)
{
    struct uuid company, id;
    if (!uuid_parse(db_text(result, row, COMPANY), &company) || !uuid_parse(db_text(result, row, ID), &id))
        return;
    struct known *known = obtain(s, &company, &id);
    if (!known)
        return;
    known->seen = s->round;
    int64_t version = db_int(result, row, VERSION);
    if (known->source.json && version <= known->version)
        return; /* nothing has changed, or the reading is older than an event */
    wipe(known);
    known->version = version;
    if (fill(s, known, result, row))
        return;
    log_error("hook_sources.unopened", LOG_S("source", db_text(result, row, ID).data));
    forget(s, known);
}

/* ---- readings of all ---- */

static void read_page(struct hook_sources *s);

static void read_again_in(struct hook_sources *s, ev_tstamp seconds)
{
    ev_timer_stop(s->gateway->loop, &s->timer);
    ev_timer_set(&s->timer, seconds, 0.);
    ev_timer_start(s->gateway->loop, &s->timer);
}

static void forget_unseen(struct uuid_node *node, void *arg)
{
    struct hook_sources *s = arg;
    struct known *known = CONTAINER_OF(node, struct known, node);
    if (known->seen < s->round)
        forget(s, known);
}

static void end_round(struct hook_sources *s)
{
    s->is_reading = s->is_full = false;
    s->are_known = true;
    uuid_map_each(&s->known, forget_unseen, s);
    read_again_in(s, PERIOD_S);
}

static void on_page(void *arg, struct db_result *result)
{
    struct hook_sources *s = arg;
    enum err err = db_result_error(result);
    if (err == ERR_SHUTTING_DOWN)
        return;
    if (err) {
        log_debug("hook_sources.unread", LOG_S("error", err_info(err)->name));
        s->is_reading = false;
        read_again_in(s, AGAIN_S);
        return;
    }
    int rows = db_rows(result);
    for (int row = 0; row < rows; row++)
        take_row(s, result, row);
    if (rows == PAGE_ROWS && uuid_parse(db_text(result, rows - 1, COMPANY), &s->company) &&
        uuid_parse(db_text(result, rows - 1, ID), &s->id))
        read_page(s);
    else
        end_round(s);
}

static bool ask(struct hook_sources *s, const struct db_statement *statement, const struct uuid *company,
                const struct uuid *id, db_on_result *on_result)
{
    char company_text[UUID_TEXT_LEN + 1], id_text[UUID_TEXT_LEN + 1];
    uuid_format(company, company_text);
    uuid_format(id, id_text);
    const struct slice params[] = {slice_of(company_text), slice_of(id_text)};
    return db_pool_query(s->gateway->reads,
                         &(struct db_query){.kind = DB_QUERY_EXPENSIVE,
                                            .is_fresh = true,
                                            .company = SLICE(NO_COMPANY),
                                            .statement = statement,
                                            .params = params,
                                            .param_count = ARRAY_LEN(params),
                                            .on_result = on_result,
                                            .arg = s},
                         NULL) == ERR_OK;
}

static void read_page(struct hook_sources *s)
{
    s->is_reading = ask(s, &page_statement, &s->company, &s->id, on_page);
    if (!s->is_reading)
        read_again_in(s, AGAIN_S);
}

void hook_sources_read(struct hook_sources *s)
{
    if (s->is_reading || !s->keys)
        return;
    s->round++;
    s->company = s->id = (struct uuid){{0}};
    read_page(s);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    hook_sources_read(CONTAINER_OF(timer, struct hook_sources, timer));
}

/* ---- events ---- */

static void on_one(void *arg, struct db_result *result)
{
    struct hook_sources *s = arg;
    enum err err = db_result_error(result);
    if (err == ERR_SHUTTING_DOWN)
        return;
    if (err)
        read_again_in(s, AGAIN_S);
    for (int row = 0; !err && row < db_rows(result); row++)
        take_row(s, result, row);
}

void hook_sources_on_event(struct hook_sources *s, const struct event *event)
{
    static const struct slice prefix = {"hook_source.", 12};
    if (!s || !s->keys || event->status != ERR_OK || !event->has_subject || event->type.len < prefix.len ||
        memcmp(event->type.data, prefix.data, prefix.len) != 0)
        return;
    struct known *known = find(s, &event->subject);
    if (slice_is(event->type, "hook_source.deleted")) {
        if (known)
            forget(s, known);
    } else if ((!known || known->version < event->version) &&
               !ask(s, &one_statement, &event->company, &event->subject, on_one)) {
        read_again_in(s, AGAIN_S);
    }
}

/* ---- beginning and end ---- */

enum err hook_sources_new(struct gateway *gateway, struct hook_sources **ret_sources)
{
    char why[256];
    struct hook_sources *s = xcalloc(1, sizeof(*s));
    s->gateway = gateway;
    uuid_map_init(&s->known);
    ev_timer_init(&s->timer, on_timer, 0., 0.);
    *ret_sources = s;
    if (!gateway->config->hook_keys[0]) {
        s->are_known = true;
        return ERR_OK;
    }
    if (seal_keys_load(gateway->config->hook_keys, why, &s->keys)) {
        log_error("hook_sources.no_keys", LOG_S("setting", "CORTEX_HOOK_KEYS"), LOG_S("why", why));
        return ERR_BAD_REQUEST;
    }
    hook_sources_read(s);
    return ERR_OK;
}

static void free_known(struct uuid_node *node, void *arg)
{
    forget(arg, CONTAINER_OF(node, struct known, node));
}

/* The pool of reads has been freed before, so no query is under way. */
void hook_sources_free(struct hook_sources *s)
{
    if (!s)
        return;
    ev_timer_stop(s->gateway->loop, &s->timer);
    uuid_map_each(&s->known, free_known, s);
    uuid_map_done(&s->known);
    seal_keys_free(s->keys);
    free(s);
}
