#include "gateway/operator/pool_request.h"

#include <stdio.h>

#include "common/base/json.h"
#include "common/broker/topology.h"
#include "common/msg/problem.h"
#include "gateway/bus/control.h"
#include "gateway/http/etag.h"
#include "gateway/http/field.h"
#include "gateway/http/preconditions.h"
#include "gateway/http/schema_input.h"

enum { KEY_SIZE = 96, DETAIL_MAX = 512 };

/* The last parameter of the path. */
static struct slice subject_of(const struct call *call)
{
    struct slice subject = SLICE_NONE;
    for (size_t i = 0; i < CALL_PARAMS_MAX && call->params[i].data; i++)
        subject = call->params[i];
    return subject;
}

/* A request that names no pool can be carried out by any: it is sent to the first, and on to the next when no process
 * of that one runs. In the call's arena. */
struct attempt {
    const char *pool; /* that the request names; NULL: any */
    size_t at;        /* in the table of pools, where it names none */
    struct slice action, text;
    control_on_answer *on_answer;
};

static const char *pool_of(const struct attempt *attempt)
{
    return attempt->pool ? attempt->pool : topology_pool_at(attempt->at);
}

/* The versions of a list of tags as an array, or "*"; false: it is malformed. What stands behind the dot of a tag
 * tells representations of one version apart (operator/schedules.c), and does not matter to a change. */
static bool read_tags(struct slice list, bool weak_counts, json_t **ret_tags)
{
    CLEANUP(json_cleanup) json_t *versions = json_array();
    bool is_weak;
    list = field_trim(list);
    if (slice_is(list, "*")) {
        *ret_tags = json_string("*");
        return true;
    }
    size_t count = 0;
    for (struct slice tag; (tag = etag_next(&list, &is_weak)).data; count++) {
        const char *dot = memchr(tag.data, '.', tag.len);
        struct slice version = {tag.data + 1, (dot ? (size_t)(dot - tag.data) : tag.len - 1) - 1};
        int64_t number;
        if (etag_read_version(version, &number) && (weak_counts || !is_weak))
            json_array_append_new(versions, json_integer(number));
    }
    *ret_tags = TAKE(versions);
    return count > 0 && list.len == 0;
}

bool pool_request_read_conditions(struct call *call, json_t **ret_conditions)
{
    static const struct {
        const char *header, *member;
        bool weak_counts;
    } fields[] = {{"if-match", "match", false}, {"if-none-match", "none_match", true}};
    CLEANUP(json_cleanup) json_t *conditions = json_object();
    *ret_conditions = NULL;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct slice list = call_header_list(call, fields[i].header);
        json_t *tags = NULL;
        if (!list.data)
            continue;
        bool is_good = read_tags(list, fields[i].weak_counts, &tags);
        json_object_set_new(conditions, fields[i].member, tags ? tags : json_array());
        if (!is_good) {
            call_fail(call, ERR_BAD_REQUEST, CONDITIONS_DEMAND);
            return false;
        }
    }
    if (json_object_size(conditions) > 0)
        *ret_conditions = TAKE(conditions);
    return true;
}

void pool_request_send(struct call *call, json_t *body, const char *action)
{
    pool_request_send_to(call, body, action, control_answer_call);
}

static void ask(struct call *call, struct attempt *attempt);

static void on_attempt(struct call *call, const struct control_answer *answer, void *context)
{
    struct attempt *attempt = context;
    bool is_absent = answer->err == ERR_UNROUTABLE && !answer->body.data;
    if (is_absent && !attempt->pool && topology_pool_at(attempt->at + 1)) {
        attempt->at++;
        ask(call, attempt);
    } else {
        attempt->on_answer(call, answer, NULL);
    }
}

static void ask(struct call *call, struct attempt *attempt)
{
    char key[KEY_SIZE];
    snprintf(key, sizeof(key), "admin.%s", pool_of(attempt));
    control_request(call, key, attempt->action, attempt->text, on_attempt, attempt);
}

/* `pool` points into the body, which ends before the answer comes. */
static struct attempt *attempt_new(struct call *call, const json_t *body, const char *action,
                                   const char *text, control_on_answer *on_answer)
{
    struct attempt *attempt = arena_calloc(&call->arena, 1, sizeof(*attempt));
    const char *pool = json_string_value(json_object_get(body, "pool"));
    struct slice name = pool ? arena_copy(&call->arena, (struct slice){pool, strlen(pool) + 1}) : SLICE_NONE;
    if (!attempt || (pool && !name.data))
        return NULL;
    *attempt = (struct attempt){.pool = name.data,
                                .action = slice_of(action),
                                .text = arena_copy(&call->arena, slice_of(text)),
                                .on_answer = on_answer};
    return attempt->text.data ? attempt : NULL;
}

void pool_request_send_to(struct call *call, json_t *body, const char *action, control_on_answer *on_answer)
{
    CLEANUP(json_cleanup) json_t *conditions = NULL;
    if (!pool_request_read_conditions(call, &conditions))
        return;
    struct slice subject = subject_of(call);
    json_t *request = json_pack("{s:O}", "body", body);
    if (subject.data)
        json_object_set_new(request, "subject", json_stringn(subject.data, subject.len));
    if (conditions)
        json_object_set(request, "if", conditions);
    CLEANUP_FREE char *text = json_dumps(request, JSON_COMPACT);
    struct attempt *attempt = attempt_new(call, body, action, text, on_answer);
    if (attempt)
        ask(call, attempt);
    else
        call_fail(call, ERR_BODY_TOO_LARGE, NULL);
    json_decref(request);
}

/* Says which pools there are, where the request names one that is none of them. */
static bool check_pool(struct call *call, const json_t *body)
{
    const char *pool = json_string_value(json_object_get(body, "pool"));
    struct msg_problems problems = {.arena = &call->arena};
    bool is_query = call->method == METHOD_DELETE;
    const struct msg_place place = {.name = "pool"};
    CLEANUP(buf_done) struct buf text;
    buf_init(&text, DETAIL_MAX);
    buf_append_text(&text, "must be one of");
    for (size_t i = 0; topology_pool_at(i); i++) {
        if (!pool || strcmp(pool, topology_pool_at(i)) == 0)
            return true;
        buf_printf(&text, "%s %s", i > 0 ? "," : "", topology_pool_at(i));
    }
    buf_append_char(&text, '\0');
    msg_problem_add(&problems, &place, buf_data(&text));
    if (is_query && problems.first)
        problems.first->pointer = SLICE("?pool");
    call_fail_fields(call, is_query ? ERR_BAD_REQUEST : ERR_VALIDATION, NULL, &problems);
    return false;
}

void pool_request_submit(struct call *call, const char *schema, const char *action)
{
    CLEANUP(json_cleanup) json_t *body = NULL;
    if (schema_input_read(call, schema, &body) && check_pool(call, body))
        pool_request_send(call, body, action);
}
