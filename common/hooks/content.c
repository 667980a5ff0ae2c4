#include "common/hooks/content.h"

#include <stdio.h>

#include "common/base/hex.h"
#include "common/base/json.h"

/* ---- pointers ---- */

bool hook_pointer_is_valid(struct slice pointer)
{
    if (pointer.len > 0 && pointer.data[0] != '/')
        return false;
    for (size_t i = 0; i < pointer.len; i++) {
        bool is_escape = i + 1 < pointer.len && (pointer.data[i + 1] == '0' || pointer.data[i + 1] == '1');
        if (!pointer.data[i] || (pointer.data[i] == '~' && !is_escape))
            return false;
    }
    return true;
}

enum { TOKEN_MAX = 256 };

/* Takes "/token" from the front. false: it is longer than any name that we look for. */
static bool take_token(struct slice *pointer, char token[TOKEN_MAX], size_t *ret_len)
{
    size_t len = 0, at = 1;
    for (; at < pointer->len && pointer->data[at] != '/'; at++) {
        char c = pointer->data[at];
        if (c == '~')
            c = ++at < pointer->len && pointer->data[at] == '1' ? '/' : '~';
        if (len + 1 == TOKEN_MAX)
            return false;
        token[len++] = c;
    }
    token[len] = '\0';
    *pointer = (struct slice){pointer->data + at, pointer->len - at};
    *ret_len = len;
    return true;
}

static const json_t *element_of(const json_t *array, const char *token, size_t len)
{
    size_t index = 0;
    if (len == 0 || len > 9 || strspn(token, "0123456789") != len || (len > 1 && token[0] == '0'))
        return NULL;
    for (size_t i = 0; i < len; i++)
        index = index * 10 + (size_t)(token[i] - '0');
    return json_array_get(array, index);
}

const json_t *hook_pointer_find(const json_t *json, struct slice pointer)
{
    char token[TOKEN_MAX];
    size_t len = 0;
    if (!hook_pointer_is_valid(pointer))
        return NULL;
    while (json && pointer.len > 0) {
        if (!take_token(&pointer, token, &len))
            return NULL;
        json = json_is_object(json)  ? json_object_getn(json, token, len)
               : json_is_array(json) ? element_of(json, token, len)
                                     : NULL;
    }
    return json;
}

/* ---- forms ---- */

/* Decodes in place of `out`, which has room for as many octets as the text. */
static bool decode(struct slice text, char *out, size_t *ret_len)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '%') {
            out[len++] = text.data[i] == '+' ? ' ' : text.data[i];
            continue;
        }
        if (i + 2 >= text.len || !hex_decode((struct slice){text.data + i + 1, 2}, &out[len++]))
            return false;
        i += 2;
    }
    *ret_len = len;
    return true;
}

static bool add_member(json_t *form, struct slice member)
{
    const char *equals = member.len > 0 ? memchr(member.data, '=', member.len) : NULL;
    size_t name_len = equals ? (size_t)(equals - member.data) : member.len, value_len = 0;
    CLEANUP_FREE char *name = xmalloc(member.len + 1);
    CLEANUP_FREE char *value = xmalloc(member.len + 1);
    struct slice rest = equals ? (struct slice){equals + 1, member.len - name_len - 1} : SLICE("");
    if (!decode((struct slice){member.data, name_len}, name, &name_len) || !decode(rest, value, &value_len))
        return false;
    json_t *text = json_stringn(value, value_len);
    if (memchr(name, '\0', name_len) || json_object_getn(form, name, name_len)) {
        json_decref(text);
        return text != NULL; /* of members with one name the first counts */
    }
    return text && json_object_setn_new(form, name, name_len, text) == 0;
}

static bool read_form(struct slice body, json_t *form)
{
    size_t count = 0;
    while (body.len > 0) {
        const char *end = memchr(body.data, '&', body.len);
        size_t len = end ? (size_t)(end - body.data) : body.len;
        if (len > 0 && (++count > HOOK_FORM_MEMBERS_MAX || !add_member(form, (struct slice){body.data, len})))
            return false;
        size_t used = end ? len + 1 : len;
        body = (struct slice){body.data + used, body.len - used};
    }
    return true;
}

static enum err form_content(struct slice body, json_t **ret_json, char why[static 160])
{
    CLEANUP(json_cleanup) json_t *form = json_object();
    if (!read_form(body, form)) {
        snprintf(why, 160, "The body is no form in UTF-8.");
        return ERR_BAD_REQUEST;
    }
    const json_t *payload = json_object_get(form, "payload");
    if (json_object_size(form) == 1 && payload)
        return json_parse((struct slice){json_string_value(payload), json_string_length(payload)},
                          HOOK_DEPTH_MAX, ret_json, why);
    *ret_json = TAKE(form);
    return ERR_OK;
}

/* ---- all ---- */

static bool is_form(struct slice content_type)
{
    static const char form[] = "application/x-www-form-urlencoded";
    return content_type.len >= sizeof(form) - 1 &&
           strncasecmp(content_type.data, form, sizeof(form) - 1) == 0;
}

enum err hook_content_read(struct slice content_type, struct slice body, json_t **ret_json,
                           char why[static 160])
{
    return is_form(content_type) ? form_content(body, ret_json, why)
                                 : json_parse(body, HOOK_DEPTH_MAX, ret_json, why);
}
