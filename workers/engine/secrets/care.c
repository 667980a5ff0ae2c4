#include "workers/engine/secrets/care.h"

#include "common/base/base64url.h"
#include "common/base/log.h"

enum { STEP_ROWS = 50, SQL_MAX = 1024, COLUMNS_MAX = 16 };

static const double AGAIN_S = 5, LOOK_S = 600;

/* One column of a table in which secrets rest. */
struct column {
    const struct msg_resource *resource;
    const struct msg_field *field;
    char *names[2], *texts[2];
    struct db_statement find, replace;
};

struct secret_care {
    struct ev_loop *loop;
    struct db *db;
    const char *pool;
    const struct secrets *secrets;
    ev_timer look;
    bool is_open, is_draining, has_failed;
    struct column columns[COLUMNS_MAX];
    size_t count, at;        /* the column that is looked through */
    struct uuid company, id; /* behind which it is looked through */
    bool is_more;
    int64_t sealed, unopened; /* of the column */
};

static const struct db_statement announce = {
    "secret_care.announce",
    "INSERT INTO pool_key AS k (pool, key_id, public_key) VALUES ($1, $2, $3)"
    " ON CONFLICT (pool) DO UPDATE SET key_id = excluded.key_id, public_key = excluded.public_key,"
    " announced_at = now() WHERE k.public_key <> excluded.public_key",
};

static void step(struct secret_care *care);

static void look_in(struct secret_care *care, double seconds)
{
    ev_timer_stop(care->loop, &care->look);
    if (care->is_draining)
        return;
    ev_timer_set(&care->look, seconds, 0);
    ev_timer_start(care->loop, &care->look);
}

static void on_result(void *arg, struct db_result *result)
{
    struct secret_care *care = arg;
    enum err err = db_result_error(result);
    care->has_failed |= err != ERR_OK;
    if (err && err != ERR_SHUTTING_DOWN && !db_result_skipped(result))
        log_at(err_info(err)->level, "secrets.care_failed", LOG_S("error", err_info(err)->name),
               LOG_S("message", db_result_message(result)));
}

/* ---- sealing anew ---- */

static void begin_column(struct secret_care *care)
{
    care->company = care->id = (struct uuid){{0}};
    care->sealed = care->unopened = 0;
}

static void end_column(struct secret_care *care)
{
    const struct column *column = &care->columns[care->at];
    if (care->sealed > 0)
        log_info("secrets.sealed_anew", LOG_S("table", column->resource->table), LOG_I("rows", care->sealed));
    if (care->unopened > 0)
        log_error("secrets.unopened", LOG_S("table", column->resource->table), LOG_I("rows", care->unopened));
    care->at++;
    begin_column(care);
}

/* The row keeps what it has when another one was faster. */
static void seal_anew(struct secret_care *care, const struct column *column, struct slice company,
                      struct slice id, struct slice kept)
{
    enum { VALUE_MAX = 64 << 10, KEPT_MAX = 128 << 10 };
    struct buf value;
    CLEANUP(buf_done) struct buf anew;
    const struct secret_place place =
        secrets_place(column->resource, column->field, &care->company, &care->id);
    buf_init(&value, VALUE_MAX);
    buf_init(&anew, KEPT_MAX);
    bool is_done = secrets_open(care->secrets, column->field, &place, kept, &value) &&
                   secret_keep(secrets_keys(care->secrets, column->field), &place, buf_slice(&value), &anew);
    if (value.data)
        seal_wipe(value.data, value.capacity);
    buf_done(&value);
    *(is_done ? &care->sealed : &care->unopened) += 1;
    const struct slice params[] = {company, id, kept, buf_slice(&anew)};
    if (is_done)
        db_send(care->db, &column->replace, params, ARRAY_LEN(params), on_result, care);
}

static void on_stored(void *arg, enum err err)
{
    struct secret_care *care = arg;
    care->is_open = false;
    if (err || care->has_failed)
        look_in(care, AGAIN_S);
    else
        step(care);
}

static void on_found(void *arg, struct db_result *result)
{
    struct secret_care *care = arg;
    on_result(arg, result);
    if (care->has_failed)
        return;
    int rows = db_rows(result);
    care->is_more = rows == STEP_ROWS;
    for (int i = 0; i < rows; i++)
        if (uuid_parse(db_text(result, i, 0), &care->company) && uuid_parse(db_text(result, i, 1), &care->id))
            seal_anew(care, &care->columns[care->at], db_text(result, i, 0), db_text(result, i, 1),
                      db_text(result, i, 2));
}

/* What has been found is replaced in a transaction of its own. */
static void on_looked(void *arg, enum err err)
{
    struct secret_care *care = arg;
    if (!err && !care->has_failed && !care->is_more)
        end_column(care);
    if (err)
        care->has_failed = true;
    db_sync(care->db, on_stored, care);
}

static void step(struct secret_care *care)
{
    const struct seal_keys *keys = NULL;
    for (; care->at < care->count && !keys; care->at += !keys)
        keys = secrets_keys(care->secrets, care->columns[care->at].field);
    if (!keys || care->is_draining || !db_is_up(care->db)) {
        care->at = 0;
        begin_column(care);
        look_in(care, db_is_up(care->db) ? LOOK_S : AGAIN_S);
        return;
    }
    char company[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1];
    const struct column *column = &care->columns[care->at];
    uuid_format(&care->company, company);
    uuid_format(&care->id, id);
    const struct slice params[] = {slice_of(seal_keys_id(keys, 0)), slice_of(company), slice_of(id)};
    care->is_open = true;
    care->has_failed = false;
    db_send(care->db, &column->find, params, ARRAY_LEN(params), on_found, care);
    db_sync(care->db, on_looked, care);
}

/* ---- the public key ---- */

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct secret_care *care = CONTAINER_OF(timer, struct secret_care, look);
    const char *key_id = "";
    const struct seal_box *box = secrets_box(care->secrets, &key_id);
    if (!box || !db_is_up(care->db)) {
        step(care);
        return;
    }
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, 128);
    base64url_append(&text, (struct slice){(const char *)box->public_key, sizeof(box->public_key)});
    const struct slice params[] = {slice_of(care->pool), slice_of(key_id), buf_slice(&text)};
    care->is_open = true;
    care->has_failed = false;
    db_send(care->db, &announce, params, ARRAY_LEN(params), on_result, care);
    db_sync(care->db, on_stored, care);
}

/* ---- the outside ---- */

static char *sql_of(const char *format, const char *table, const char *column)
{
    CLEANUP(buf_done) struct buf sql;
    buf_init(&sql, SQL_MAX);
    for (const char *c = format; *c; c++)
        if (*c == '%')
            buf_append_text(&sql, *++c == 't' ? table : column);
        else
            buf_append_char(&sql, *c);
    buf_append_char(&sql, '\0');
    return xstrdup(buf_data(&sql));
}

static void add_column(struct secret_care *care, const struct msg_resource *resource,
                       const struct msg_field *field, const char *suffix)
{
    static const char find[] =
        "SELECT company_id, id, \"%c\" FROM \"%t\""
        " WHERE split_part(\"%c\", ':', 1) <> $1 AND (company_id, id) > ($2::uuid, $3::uuid)"
        " ORDER BY company_id, id LIMIT 50";
    static const char replace[] = "UPDATE \"%t\" SET \"%c\" = $4"
                                  " WHERE company_id = $1::uuid AND id = $2::uuid AND \"%c\" = $3";
    if (care->count == COLUMNS_MAX)
        return;
    struct column *column = &care->columns[care->count++];
    CLEANUP_FREE char *name = sql_of("%t%c", field->column, suffix);
    *column = (struct column){.resource = resource, .field = field};
    column->names[0] = sql_of("secret_care.find.%t.%c", resource->table, name);
    column->names[1] = sql_of("secret_care.replace.%t.%c", resource->table, name);
    column->texts[0] = sql_of(find, resource->table, name);
    column->texts[1] = sql_of(replace, resource->table, name);
    column->find = (struct db_statement){column->names[0], column->texts[0]};
    column->replace = (struct db_statement){column->names[1], column->texts[1]};
}

struct secret_care *secret_care_new(struct ev_loop *loop, struct db *db, const char *pool,
                                    const struct secrets *secrets)
{
    struct secret_care *care = xcalloc(1, sizeof(*care));
    care->loop = loop;
    care->db = db;
    care->pool = pool;
    care->secrets = secrets;
    ev_init(&care->look, on_look);
    for (const struct msg_resource *const *at = msg_resources; *at; at++)
        for (size_t i = 0; i < (*at)->object->field_count && strcmp((*at)->pool, pool) == 0; i++) {
            const struct msg_field *field = &(*at)->object->fields[i];
            if (field->secret)
                add_column(care, *at, field, "");
            if (field->secret && field->secret->keep_hours)
                add_column(care, *at, field, "_before");
        }
    return care;
}

void secret_care_free(struct secret_care *care)
{
    if (!care)
        return;
    ev_timer_stop(care->loop, &care->look);
    for (size_t i = 0; i < care->count; i++)
        for (size_t k = 0; k < 2; k++) {
            free(care->columns[i].names[k]);
            free(care->columns[i].texts[k]);
        }
    free(care);
}

void secret_care_begin(struct secret_care *care)
{
    if (!care->is_open)
        look_in(care, 0);
}

void secret_care_drain(struct secret_care *care)
{
    care->is_draining = true;
    ev_timer_stop(care->loop, &care->look);
}

bool secret_care_is_idle(const struct secret_care *care)
{
    return !care->is_open;
}
