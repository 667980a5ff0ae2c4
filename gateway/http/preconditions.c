#include "gateway/http/preconditions.h"

#include "common/msg/format.h"
#include "gateway/http/etag.h"
#include "gateway/http/field.h"

/* ---- Idempotency-Key ---- */

static bool is_quoted(struct slice s)
{
    return s.len >= 2 && s.data[0] == '"' && s.data[s.len - 1] == '"';
}

/* Writes the inside of a structured string without its backslashes; false when it is malformed or does not
 * fit. */
static bool unquote(struct slice inside, char *out, size_t size, size_t *ret_len)
{
    size_t len = 0;
    for (size_t i = 0; i < inside.len; i++) {
        char c = inside.data[i];
        if (c == '"')
            return false;
        if (c == '\\') {
            if (++i == inside.len || (inside.data[i] != '"' && inside.data[i] != '\\'))
                return false;
            c = inside.data[i];
        }
        if (len == size)
            return false;
        out[len++] = c;
    }
    *ret_len = len;
    return true;
}

static bool is_printable(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x20 || s.data[i] > 0x7e)
            return false;
    return true;
}

enum err idempotency_key_parse(struct slice field, char scratch[IDEMPOTENCY_KEY_MAX], struct slice *ret_key)
{
    if (!field.data) {
        *ret_key = SLICE_NONE;
        return ERR_OK;
    }
    field = field_trim(field);
    size_t len = 0;
    if (!is_printable(field))
        return ERR_BAD_REQUEST;
    if (is_quoted(field)) {
        if (!unquote((struct slice){field.data + 1, field.len - 2}, scratch, IDEMPOTENCY_KEY_MAX, &len))
            return ERR_BAD_REQUEST;
    } else {
        len = field.len;
        if (len > IDEMPOTENCY_KEY_MAX || memchr(field.data, '"', len))
            return ERR_BAD_REQUEST;
        memcpy(scratch, field.data, len);
    }
    if (len == 0)
        return ERR_BAD_REQUEST;
    *ret_key = (struct slice){scratch, len};
    return ERR_OK;
}

/* ---- If-Match, If-None-Match ---- */

/* etagc (RFC 9110 8.8.3) */
static bool is_opaque(struct slice inside)
{
    for (size_t i = 0; i < inside.len; i++) {
        unsigned char c = (unsigned char)inside.data[i];
        if (c <= 0x20 || c == '"' || c == 0x7f)
            return false;
    }
    return true;
}

/* How many tags of the list could be versions, and the last of them; weak ones count where they may match. False
 * when the list is malformed. */
static bool survey(struct slice list, bool weak_counts, size_t *ret_count, int64_t *ret_version)
{
    size_t tags = 0;
    bool is_weak;
    *ret_count = 0;
    for (struct slice tag; (tag = etag_next(&list, &is_weak)).data; tags++) {
        struct slice inside = {tag.data + 1, tag.len - 2};
        if (!is_opaque(inside))
            return false;
        if ((weak_counts || !is_weak) && etag_read_version(inside, ret_version))
            ++*ret_count;
    }
    return tags > 0 && list.len == 0;
}

static bool take_if_match(struct conditions *c)
{
    size_t count;
    if (!c->if_match.data || slice_is(c->if_match, "*"))
        return true;
    if (!survey(c->if_match, false, &count, &c->version))
        return false;
    if (count == 0)
        c->version = CONDITIONS_NEVER;
    c->needs_look = count > 1;
    return true;
}

static bool take_if_none_match(struct conditions *c)
{
    size_t count;
    int64_t any;
    char text[ETAG_SIZE];
    if (!c->if_none_match.data)
        return true;
    if (slice_is(c->if_none_match, "*")) {
        c->version = CONDITIONS_NEVER;
        c->needs_look = false;
        return true;
    }
    if (!survey(c->if_none_match, true, &count, &any))
        return false;
    if (count == 0 || c->version == CONDITIONS_NEVER)
        return true;
    if (c->version == 0)
        c->needs_look = true;
    else if (!c->needs_look && etag_is_named(c->if_none_match, etag_format(c->version, text)))
        c->version = CONDITIONS_NEVER;
    return true;
}

enum err conditions_parse(struct slice if_match, struct slice if_none_match,
                          struct conditions *ret_conditions)
{
    struct conditions c = {.if_match = field_trim(if_match), .if_none_match = field_trim(if_none_match)};
    if (!take_if_match(&c) || !take_if_none_match(&c))
        return ERR_BAD_REQUEST;
    *ret_conditions = c;
    return ERR_OK;
}

bool conditions_allow(const struct conditions *c, struct slice present_etag)
{
    return (!c->if_match.data || etag_is_matched(c->if_match, present_etag)) &&
           (!c->if_none_match.data || !etag_is_named(c->if_none_match, present_etag));
}

int64_t conditions_after_look(const struct conditions *c, int64_t present_version)
{
    char text[ETAG_SIZE];
    return conditions_allow(c, etag_format(present_version, text)) ? present_version : CONDITIONS_NEVER;
}

/* ---- Cortex-Run-At ---- */

enum err run_at_parse(struct slice field, int64_t now_ms, int64_t ahead_ms, int64_t *ret_ms,
                      const char **ret_why)
{
    int64_t ms = 0;
    if (!field.data) {
        *ret_ms = 0;
        return ERR_OK;
    }
    bool is_time = msg_format_read_time(field_trim(field), &ms);
    if (is_time && ms <= now_ms + ahead_ms) {
        *ret_ms = ms > 0 ? ms : 1; /* a time before 1970 is long past, but 0 would mean that it is absent */
        return ERR_OK;
    }
    *ret_why =
        is_time ? "is further ahead than commands may be sent for" : msg_format_demand(MSG_FORMAT_DATE_TIME);
    return ERR_BAD_REQUEST;
}

/* ---- Prefer ---- */

static bool parse_seconds(struct slice text, int64_t *ret_seconds)
{
    int64_t seconds = 0;
    if (text.len == 0 || text.len > 9)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        seconds = seconds * 10 + (text.data[i] - '0');
    }
    *ret_seconds = seconds;
    return true;
}

static void take_preference(struct prefer *prefer, struct slice name, struct slice value)
{
    if (slice_equal_nocase(name, SLICE("respond-async")))
        prefer->respond_async = true;
    else if (slice_equal_nocase(name, SLICE("wait")) && !prefer->has_wait)
        prefer->has_wait = parse_seconds(value, &prefer->wait_s);
    else if (slice_equal_nocase(name, SLICE("count")))
        prefer->count_exact = slice_is(value, "exact");
}

void prefer_parse(struct slice field, struct prefer *prefer)
{
    while (field.len > 0) {
        struct slice preference = field_next(&field, ',');
        struct slice first =
            field_next(&preference, ';'); /* the preferences that we know have no parameters */
        struct slice name = field_next(&first, '=');
        struct slice value = field_trim(first);
        if (is_quoted(value))
            value = (struct slice){value.data + 1, value.len - 2};
        take_preference(prefer, name, value);
    }
}

/* ---- Content-Type, traceparent ---- */

bool media_type_is(struct slice content_type, const char *type)
{
    return content_type.data && slice_equal_nocase(field_next(&content_type, ';'), slice_of(type));
}

static bool is_hex(struct slice s, size_t at, size_t len)
{
    bool zero = true;
    for (size_t i = at; i < at + len; i++) {
        char c = s.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        zero = zero && c == '0';
    }
    return !zero || len == 2; /* an id of zeros is invalid; version and flags may be zero */
}

bool traceparent_is_valid(struct slice field)
{
    return field.len == 55 && field.data[2] == '-' && field.data[35] == '-' && field.data[52] == '-' &&
           is_hex(field, 0, 2) && is_hex(field, 3, 32) && is_hex(field, 36, 16) && is_hex(field, 53, 2) &&
           memcmp(field.data, "ff", 2) != 0;
}
