#include "common/json.h"

#include <stdio.h>

#include "common/json_scan.h"

struct reader {
    struct json_scan scan;
    int64_t max_depth, depth_left;
};

static const char too_deep[] = "nested too deeply";

static json_t *read_value(struct reader *r);

static void drop(json_t **json)
{
    json_decref(*json);
}

static json_t *fail(struct reader *r, const char *what)
{
    json_scan_fail(&r->scan, r->scan.at, what);
    return NULL;
}

/* Past the bracket and one level down; whoever enters leaves by adding to depth_left again. */
static bool enter(struct reader *r)
{
    if (r->depth_left == 0)
        return json_scan_fail(&r->scan, r->scan.at, too_deep);
    r->depth_left--;
    r->scan.at++;
    return true;
}

static json_t *read_array(struct reader *r)
{
    if (!enter(r))
        return NULL;
    CLEANUP(drop) json_t *array = json_array();
    if (!json_scan_take(&r->scan, ']')) {
        do {
            json_t *element = read_value(r);
            if (!element || json_array_append_new(array, element) != 0)
                return NULL;
        } while (json_scan_take(&r->scan, ','));
        if (!json_scan_take(&r->scan, ']'))
            return fail(r, "expected ',' or ']'");
    }
    r->depth_left++;
    return TAKE(array);
}

/* A name that was there already shows in that the object does not grow. */
static bool add_member(struct reader *r, json_t *object, struct slice name, const char *at, json_t *value)
{
    size_t size = json_object_size(object);
    if (!value)
        return false;
    if (json_object_setn_new_nocheck(object, name.data, name.len, value) != 0)
        return json_scan_fail(&r->scan, at, "out of memory");
    return json_object_size(object) > size || json_scan_fail(&r->scan, at, "a duplicate of an earlier name");
}

static bool read_member(struct reader *r, json_t *object)
{
    CLEANUP(json_text_done) struct json_text name = {0};
    if (json_scan_peek(&r->scan) != '"')
        return json_scan_fail(&r->scan, r->scan.at, "expected a name in quotes");
    const char *at = r->scan.at;
    if (!json_scan_string(&r->scan, &name))
        return false;
    if (name.value.len && memchr(name.value.data, '\0', name.value.len))
        return json_scan_fail(&r->scan, at, "U+0000 in a name");
    if (!json_scan_take(&r->scan, ':'))
        return json_scan_fail(&r->scan, r->scan.at, "expected ':'");
    return add_member(r, object, name.value, at, read_value(r));
}

static json_t *read_object(struct reader *r)
{
    if (!enter(r))
        return NULL;
    CLEANUP(drop) json_t *object = json_object();
    if (!json_scan_take(&r->scan, '}')) {
        do {
            if (!read_member(r, object))
                return NULL;
        } while (json_scan_take(&r->scan, ','));
        if (!json_scan_take(&r->scan, '}'))
            return fail(r, "expected ',' or '}'");
    }
    r->depth_left++;
    return TAKE(object);
}

static json_t *read_string(struct reader *r)
{
    CLEANUP(json_text_done) struct json_text text = {0};
    return json_scan_string(&r->scan, &text) ? json_stringn_nocheck(text.value.data, text.value.len) : NULL;
}

static json_t *read_value(struct reader *r)
{
    char c = json_scan_peek(&r->scan);
    if (c == '{')
        return read_object(r);
    if (c == '[')
        return read_array(r);
    if (c == '"')
        return read_string(r);
    if (c == '-' || (c >= '0' && c <= '9'))
        return json_scan_number(&r->scan);
    if (c == 't')
        return json_scan_word(&r->scan, SLICE("true")) ? json_true() : NULL;
    if (c == 'f')
        return json_scan_word(&r->scan, SLICE("false")) ? json_false() : NULL;
    if (c == 'n')
        return json_scan_word(&r->scan, SLICE("null")) ? json_null() : NULL;
    return fail(r, r->scan.at == r->scan.end ? "the text ends where a value should be" : "expected a value");
}

/* Columns count octets. */
static void explain(const struct reader *r, char why[160])
{
    size_t line = 1, column = 1;
    for (const char *at = r->scan.begin; at < r->scan.fault_at; at++) {
        column = *at == '\n' ? 1 : column + 1;
        line += *at == '\n';
    }
    const char *fault = r->scan.fault ? r->scan.fault : "out of memory";
    int len = snprintf(why, 160, "line %zu, column %zu: %s", line, column, fault);
    if (fault == too_deep)
        snprintf(why + len, 160 - (size_t)len, " (more than %lld levels)", (long long)r->max_depth);
}

enum err json_parse(struct slice text, int64_t max_depth, json_t **ret_json, char why[160])
{
    const char *begin = text.len ? text.data : "";
    struct reader r = {
        .scan = {.begin = begin, .at = begin, .end = begin + text.len, .fault_at = begin},
        .max_depth = max_depth,
        .depth_left = max_depth,
    };
    CLEANUP(drop) json_t *json = read_value(&r);
    json_scan_space(&r.scan);
    if (json && r.scan.at < r.scan.end)
        json_scan_fail(&r.scan, r.scan.at, "something follows the value");
    if (!json || r.scan.fault) {
        explain(&r, why);
        return ERR_BAD_REQUEST;
    }
    *ret_json = TAKE(json);
    return ERR_OK;
}
