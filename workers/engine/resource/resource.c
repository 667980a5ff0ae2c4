#include "workers/engine/resource/resource.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/db/pg_array.h"
#include "workers/engine/command/refusal.h"
#include "workers/engine/resource/resource_text.h"
#include "workers/engine/resource/rights.h"

enum { SCRATCH_BLOCK = 16 << 10, COLUMN_MAX = 64 << 20, MAY_SIZE = 8192 };

/* ---- writing ---- */

/* The texts of one command's parameters. */
struct texts {
    char company[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1], actor[UUID_TEXT_LEN + 1],
        bound[UUID_TEXT_LEN + 1], parent[UUID_TEXT_LEN + 1];
    char if_match[DB_NUMBER_SIZE], has[DB_NUMBER_SIZE], rights[DB_NUMBER_SIZE], may[MAY_SIZE],
        reads[MAY_SIZE];
};

struct resource_writer {
    const struct secrets *secrets;
    size_t count; /* commands of the run */
    struct slice params[DB_PARAMS_MAX];
    struct pg_array columns[DB_PARAMS_MAX]; /* in place of params: one element for each command */
    struct texts texts;
    struct arena scratch; /* decoded values of the last command */
};

struct resource_writer *resource_writer_new(const struct secrets *secrets)
{
    struct resource_writer *w = xcalloc(1, sizeof(*w));
    w->secrets = secrets;
    for (size_t i = 0; i < DB_PARAMS_MAX; i++)
        pg_array_init(&w->columns[i], COLUMN_MAX);
    arena_init(&w->scratch, SCRATCH_BLOCK, 0);
    return w;
}

void resource_writer_free(struct resource_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < DB_PARAMS_MAX; i++)
        pg_array_done(&w->columns[i]);
    arena_done(&w->scratch);
    free(w);
}

static uint64_t mentioned(const struct msg_object *object, const struct msg_value *values)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < object->field_count; i++)
        if (values[i].state != MSG_ABSENT)
            bits |= 1ULL << i;
    return bits;
}

/* Returns the array or the object as JSON, in memory of the arena. */
static struct slice json_param(const struct msg_field *field, const struct msg_value *value,
                               struct arena *arena)
{
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, COLUMN_MAX);
    if (value->text.data)
        return value->text; /* the plan has made it */
    msg_value_to_json(&field->shape, value, &text);
    assert(!text.truncated); /* a body is smaller */
    return arena_copy(arena, buf_slice(&text));
}

/* Returns the octets in the text form of bytea. */
static struct slice octets_param(const struct msg_value *value, struct arena *arena)
{
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(arena, 2 + 2 * value->text.len + 1);
    assert(text); /* the arena has no limit */
    char *at = text;
    *at++ = '\\';
    *at++ = 'x';
    for (size_t i = 0; i < value->text.len; i++) {
        *at++ = digits[(uint8_t)value->text.data[i] >> 4];
        *at++ = digits[value->text.data[i] & 15];
    }
    return (struct slice){text, (size_t)(at - text)};
}

static struct slice field_param(const struct msg_field *field, const struct msg_value *value,
                                struct arena *arena)
{
    bool is_json = field->shape.type == MSG_ARRAY || field->shape.type == MSG_OBJECT;
    switch (value->state) {
    case MSG_PRESENT:
        return is_json                                    ? json_param(field, value, arena)
               : field->shape.format == MSG_FORMAT_OCTETS ? octets_param(value, arena)
                                                          : value->text;
    case MSG_IS_NULL:
        return SLICE_NONE;
    default:
        return slice_of(field->fallback); /* the schema's default; an update does not look at it */
    }
}

static struct slice uuid_param(bool is_there, const struct uuid *uuid, char text[UUID_TEXT_LEN + 1])
{
    if (!is_there)
        return SLICE_NONE;
    uuid_format(uuid, text);
    return (struct slice){text, UUID_TEXT_LEN};
}

/* Few commands ask for it, so it is made anew each time. */
static struct slice may_param(enum msg_role role, char text[MAY_SIZE])
{
    static const enum msg_right rights[] = {MSG_RIGHT_CREATE, MSG_RIGHT_UPDATE, MSG_RIGHT_DELETE};
    size_t len = 1;
    text[0] = '{';
    for (const struct msg_resource *const *at = msg_resources; *at; at++)
        for (size_t i = 0; i < ARRAY_LEN(rights); i++)
            if ((*at)->rights[role][rights[i]] & MSG_MAY_ANY && len < MAY_SIZE)
                len += (size_t)snprintf(text + len, MAY_SIZE - len, "%s%s.%s", len > 1 ? "," : "",
                                        (*at)->name, msg_right_name(rights[i]));
    assert(len + 1 < MAY_SIZE);
    text[len] = '}';
    return (struct slice){text, len + 1};
}

/* The same. */
static struct slice reads_param(enum msg_role role, char text[MAY_SIZE])
{
    size_t len = 1;
    text[0] = '{';
    for (const struct msg_resource *const *at = msg_resources; *at; at++)
        if ((*at)->rights[role][MSG_RIGHT_READ] & MSG_MAY_ANY && !((*at)->classes & msg_role_hidden(role)) &&
            len < MAY_SIZE)
            len += (size_t)snprintf(text + len, MAY_SIZE - len, "%s%s", len > 1 ? "," : "", (*at)->name);
    assert(len + 1 < MAY_SIZE);
    text[len] = '}';
    return (struct slice){text, len + 1};
}

static struct slice make_param(const struct resource_statement *s, const struct command *command,
                               const struct resource_moment *moment, const struct msg_value *values,
                               uint8_t param, struct texts *texts, struct arena *arena)
{
    const struct envelope *envelope = &command->envelope;
    const struct msg_object *object = s->resource->object;
    switch (param) {
    case PARAM_COMPANY:
        return uuid_param(true, &envelope->company, texts->company);
    case PARAM_ID:
        return uuid_param(true, s->plan->verb == RESOURCE_CREATE ? &envelope->id : &envelope->subject,
                          texts->id);
    case PARAM_AT:
        return slice_of(moment->at);
    case PARAM_ACTOR:
        return uuid_param(true, &envelope->actor, texts->actor);
    case PARAM_BOUND:
        return uuid_param(rights_bind(s->resource, envelope->role), &envelope->actor, texts->bound);
    case PARAM_PARENT:
        return uuid_param(envelope->has_parent, &envelope->parent, texts->parent);
    case PARAM_YEAR:
        return slice_of(moment->year);
    case PARAM_IF_MATCH:
        return db_number(envelope->if_match, texts->if_match);
    case PARAM_READS:
        return reads_param(msg_role_by_name(envelope->role), texts->reads);
    case PARAM_MAY:
        return may_param(msg_role_by_name(envelope->role), texts->may);
    case PARAM_RIGHTS:
        return db_number(rights_of(s, envelope->role), texts->rights);
    case PARAM_HAS:
        return db_number((int64_t)mentioned(object, values), texts->has);
    default:
        return field_param(&object->fields[param - PARAM_FIELD], &values[param - PARAM_FIELD], arena);
    }
}

/* The gateway has checked this already; a message of another origin may be broken. */
static enum err check_metadata(const struct resource_statement *s, const struct envelope *envelope,
                               char why[160])
{
    bool lacks_subject = s->plan->verb != RESOURCE_CREATE && !envelope->has_subject;
    bool lacks_parent = s->resource->parent && !envelope->has_parent;
    if (!lacks_subject && !lacks_parent)
        return ERR_OK;
    snprintf(why, 160, "The header \"%s\" is missing.", lacks_subject ? "subject" : "parent");
    return ERR_POISON;
}

static enum err read_body(const struct resource_statement *s, const struct command *command,
                          struct arena *scratch, struct msg_value **ret_values, char why[160])
{
    if (s->plan->verb == RESOURCE_DELETE)
        return ERR_OK;
    enum err err = msg_decode(s->resource->object, command->envelope.body, scratch, ret_values, why);
    if (err || s->plan->verb != RESOURCE_CREATE)
        return err;
    const struct msg_field *missing = msg_missing(s->resource->object, *ret_values);
    if (missing)
        snprintf(why, 160, "The field \"%s\" is missing.", missing->name);
    return missing ? ERR_POISON : ERR_OK;
}

/* A create without a secret that is made by itself gets one. */
static enum err seal_secrets(const struct resource_writer *w, const struct resource_statement *s,
                             const struct envelope *envelope, struct msg_value *values, struct arena *arena,
                             char why[160])
{
    const struct msg_object *object = s->resource->object;
    bool is_create = s->plan->verb == RESOURCE_CREATE;
    for (size_t i = 0; values && i < object->field_count; i++) {
        const struct msg_field *field = &object->fields[i];
        bool is_made = field->secret && is_create && field->secret->prefix && values[i].state == MSG_ABSENT;
        if (!field->secret || (values[i].state != MSG_PRESENT && !is_made))
            continue;
        const struct secret_place place = secrets_place(s->resource, field, &envelope->company,
                                                        is_create ? &envelope->id : &envelope->subject);
        if (!secrets_take(w->secrets, field, &place, is_made ? SLICE_NONE : values[i].text, arena,
                          &values[i].text, why))
            return ERR_POISON;
        values[i].state = MSG_PRESENT;
    }
    return ERR_OK;
}

static bool is_array(const struct resource_statement *s, size_t i)
{
    return s->plan->many && resource_param_is_own(s->params[i]);
}

static enum pg_element element_of(uint8_t param)
{
    switch (param) {
    case PARAM_COMPANY:
    case PARAM_ID:
    case PARAM_ACTOR:
    case PARAM_BOUND:
    case PARAM_PARENT:
        return PG_UUID;
    case PARAM_SEQ:
    case PARAM_FINGERPRINT:
        return PG_BIGINT;
    default:
        assert(param >= PARAM_FIELD);
        return PG_TEXT;
    }
}

static void add_element(struct pg_array *column, const struct command *command, int64_t seq,
                        const struct msg_resource *resource, const struct msg_value *values, uint8_t param,
                        struct arena *arena)
{
    const struct envelope *envelope = &command->envelope;
    const struct msg_object *object = resource->object;
    switch (param) {
    case PARAM_COMPANY:
        pg_array_add_uuid(column, &envelope->company);
        break;
    case PARAM_ID:
        pg_array_add_uuid(column, &envelope->id);
        break;
    case PARAM_ACTOR:
        pg_array_add_uuid(column, &envelope->actor);
        break;
    case PARAM_BOUND:
        if (rights_bind(resource, envelope->role))
            pg_array_add_uuid(column, &envelope->actor);
        else
            pg_array_add_null(column);
        break;
    case PARAM_PARENT:
        pg_array_add_uuid(column, &envelope->parent);
        break;
    case PARAM_SEQ:
        pg_array_add_i64(column, seq);
        break;
    case PARAM_FINGERPRINT:
        pg_array_add_i64(column, (int64_t)envelope->fingerprint);
        break;
    default:
        pg_array_add_text(
            column, field_param(&object->fields[param - PARAM_FIELD], &values[param - PARAM_FIELD], arena));
    }
}

/* The gateway has asked this, too; the role may have lost the class since, and a message may be of another origin. */
static enum err check_classes(const struct resource_statement *s, const struct command *command,
                              const struct msg_value *values, char why[160])
{
    const struct msg_field *hidden = rights_hidden_field(s, command->envelope.role, values);
    if (hidden)
        rights_detail_of_field(s, hidden, why);
    return hidden ? ERR_FORBIDDEN : ERR_OK;
}

enum err resource_write(struct resource_writer *w, const struct resource_statement *s,
                        const struct command *command, int64_t seq, const struct resource_moment *moment,
                        char why[160])
{
    struct msg_value *values = NULL;
    arena_reset(&w->scratch);
    enum err err = check_metadata(s, &command->envelope, why);
    if (!err)
        err = read_body(s, command, &w->scratch, &values, why);
    if (!err)
        err = check_classes(s, command, values, why);
    if (!err && s->plan->prepare)
        err = s->plan->prepare(command, values, &w->scratch, why);
    if (!err)
        err = seal_secrets(w, s, &command->envelope, values, &w->scratch, why);
    if (err)
        return err;
    for (size_t i = 0; i < s->param_count; i++) {
        if (is_array(s, i)) {
            if (w->count == 0)
                pg_array_begin(&w->columns[i], element_of(s->params[i]));
            add_element(&w->columns[i], command, seq, s->resource, values, s->params[i], &w->scratch);
        } else if (w->count == 0) {
            w->params[i] = make_param(s, command, moment, values, s->params[i], &w->texts, &w->scratch);
        }
    }
    w->count++;
    return ERR_OK;
}

void resource_drop(struct resource_writer *w)
{
    w->count = 0;
}

void resource_send(struct resource_writer *w, const struct resource_statement *s, enum resource_way way,
                   const struct slice held[2], struct db *db, db_on_result *on_result, void *arg)
{
    const struct db_statement *const statements[] = {[RESOURCE_PLAIN] = &s->statement,
                                                     [RESOURCE_RECORDED] = &s->recorded,
                                                     [RESOURCE_AT_ONCE] = &s->at_once};
    uint64_t binary = 0;
    size_t count = s->param_count;
    for (size_t i = 0; i < s->param_count; i++) {
        if (!is_array(s, i))
            continue;
        binary |= UINT64_C(1) << i;
        w->params[i] = pg_array_end(&w->columns[i]);
    }
    for (size_t i = 0; way == RESOURCE_AT_ONCE && i < 2; i++) {
        binary |= UINT64_C(1) << count;
        w->params[count++] = held[i];
    }
    db_send_binary(db, statements[way], w->params, count, binary, on_result, arg);
    w->count = 0;
}

/* ---- reading the answer ---- */

static void refuse_missing(const struct resource_statement *s, struct command *command)
{
    char detail[160];
    if (s->plan->verb == RESOURCE_CREATE)
        snprintf(detail, sizeof(detail), "There is no such %s.", s->resource->parent);
    else if (s->resource->parent)
        snprintf(detail, sizeof(detail), "There is no such %s in this %s.", s->resource->name,
                 s->resource->parent);
    else
        snprintf(detail, sizeof(detail), "There is no such %s.", s->resource->name);
    command_refuse(command, ERR_NOT_FOUND, detail, NULL, 0);
}

static void refuse_broken(const struct resource_statement *s, struct command *command, int64_t broken,
                          int64_t version)
{
    struct refusal_point points[RESOURCE_RULES_MAX];
    size_t count = 0;
    const struct resource_rule *first = NULL;
    const char *detail = NULL;
    for (size_t i = 0; i < s->rule_count; i++) {
        const struct resource_rule *rule = s->rules[i];
        if (!(broken >> i & 1) || (first && rule->err != first->err))
            continue;
        first = first ? first : rule;
        if (rule->pointer)
            points[count++] = (struct refusal_point){rule->pointer, rule->detail};
        else
            detail = detail ? detail : rule->detail;
    }
    if (first && first->err == ERR_NOT_FOUND)
        refuse_missing(s, command);
    else if (first && first->err == ERR_VERSION_CONFLICT)
        command_refuse_version(command, version);
    else
        command_refuse(command, first ? first->err : ERR_INTERNAL, detail, points, count);
}

static struct slice deleted_data(const struct command *command, int64_t version, char text[96])
{
    char id[UUID_TEXT_LEN + 1];
    uuid_format(&command->envelope.subject, id);
    int len = snprintf(text, 96, "{\"id\":\"%s\",\"version\":%" PRId64 "}", id, version);
    return (struct slice){text, (size_t)len};
}

/* The place of the channel's id in the answer. */
static int channel_column_of(const struct resource_statement *s)
{
    return s->plan->many ? ANSWER_COMPANY + 1 : s->has_follow ? ANSWER_FOLLOW_CHANNEL + 1 : ANSWER_ENTITY + 1;
}

/* Notes the entity whose channel hears of the event, beside the company's (a project). */
static bool place(const struct resource_statement *s, const struct command *command,
                  const struct db_result *result, int row, struct effect *effect)
{
    effect->has_project = s->resource->channel != MSG_CHANNEL_NONE;
    switch (s->resource->channel) {
    case MSG_CHANNEL_OWN:
        effect->project = effect->subject;
        break;
    case MSG_CHANNEL_PARENT:
        effect->project = command->envelope.parent;
        break;
    case MSG_CHANNEL_COLUMN: {
        struct slice id = db_text(result, row, channel_column_of(s));
        effect->has_project = id.data != NULL;
        return !id.data || uuid_parse(id, &effect->project);
    }
    case MSG_CHANNEL_NONE:
        break;
    }
    return true;
}

/* Each row of the answer has one of the other entities that have changed, or none. */
static void add_follow(const struct resource_statement *s, struct command *command,
                       const struct resource_moment *moment, const struct db_result *result, int row)
{
    if (!s->has_follow || !db_text(result, row, ANSWER_FOLLOW).data)
        return;
    struct slice channel = db_text(result, row, ANSWER_FOLLOW_CHANNEL);
    struct effect *effect = command_add_effect(command, db_text(result, row, ANSWER_FOLLOW_EVENT),
                                               db_text(result, row, ANSWER_FOLLOW));
    effect->has_project = channel.data != NULL;
    if (!uuid_parse(db_text(result, row, ANSWER_FOLLOW_ID), &effect->subject) ||
        (effect->has_project && !uuid_parse(channel, &effect->project)))
        command_refuse(command, ERR_INTERNAL, NULL, NULL, 0);
    effect->version = db_int(result, row, ANSWER_FOLLOW_VERSION);
    effect->actor = command->envelope.actor;
    effect->at = arena_copy(&command->arena, slice_of(moment->at));
}

/* Reads the row of the answer that is for this command. */
static void read_row(const struct resource_statement *s, struct command *command,
                     const struct resource_moment *moment, const char *event, const struct db_result *result,
                     int row)
{
    static const int http_status[] = {
        [RESOURCE_CREATE] = 201, [RESOURCE_UPDATE] = 200, [RESOURCE_DELETE] = 204};
    int64_t broken = db_int(result, row, ANSWER_BROKEN), version = db_int(result, row, ANSWER_VERSION);
    if (broken || version == 0) {
        refuse_broken(s, command, broken, version);
        return;
    }
    char text[96];
    bool is_delete = s->plan->verb == RESOURCE_DELETE;
    struct slice data =
        is_delete ? deleted_data(command, version, text) : db_text(result, row, ANSWER_ENTITY);
    struct effect *effect = command_add_effect(command, slice_of(event), data);
    effect->subject = s->plan->verb == RESOURCE_CREATE ? command->envelope.id : command->envelope.subject;
    effect->version = version;
    effect->actor = command->envelope.actor;
    effect->at = arena_copy(&command->arena, slice_of(moment->at));
    effect->is_private = s->is_for_nobody;
    if (!place(s, command, result, row, effect))
        command_refuse(command, ERR_INTERNAL, NULL, NULL, 0);
    command->http_status = s->plan->http_status ? s->plan->http_status : http_status[s->plan->verb];
    add_follow(s, command, moment, result, row);
}

/* Rows come in the order of the commands, except that those of refused commands come last. Two companies may use
 * the same id. */
static struct command *command_of_row(struct command *const *commands, size_t count, size_t *at,
                                      const struct db_result *result, int row)
{
    struct uuid id, company;
    if (!uuid_parse(db_text(result, row, ANSWER_ID), &id) ||
        !uuid_parse(db_text(result, row, ANSWER_COMPANY), &company))
        return NULL;
    for (size_t i = 0; i < count; i++, *at = (*at + 1) % count)
        if (uuid_equal(&commands[*at]->envelope.id, &id) &&
            uuid_equal(&commands[*at]->envelope.company, &company))
            return commands[*at];
    return NULL;
}

void resource_read(const struct resource_statement *s, struct command *const *commands, size_t count,
                   const struct resource_moment *moment, const char *event, const struct db_result *result)
{
    size_t at = 0;
    for (int row = 0; row < db_rows(result); row++) {
        struct command *command =
            s->plan->many ? command_of_row(commands, count, &at, result, row) : commands[0];
        if (!s->plan->many && row > 0)
            add_follow(s, command, moment, result, row);
        else if (command)
            read_row(s, command, moment, event, result, row);
    }
    for (size_t i = 0; i < count; i++)
        if (!commands[i]->effects && commands[i]->status == ERR_OK)
            refuse_missing(s, commands[i]);
}
