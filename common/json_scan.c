#include "common/json_scan.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>

#include "common/macros.h"
#include "common/utf8.h"

bool json_scan_fail(struct json_scan *scan, const char *at, const char *what)
{
    if (!scan->fault) {
        scan->fault = what;
        scan->fault_at = at;
    }
    return false;
}

void json_text_done(struct json_text *text)
{
    free(text->owned);
}

bool json_scan_word(struct json_scan *scan, struct slice word)
{
    if ((size_t)(scan->end - scan->at) < word.len || memcmp(scan->at, word.data, word.len) != 0)
        return json_scan_fail(scan, scan->at, "expected a value");
    scan->at += word.len;
    return true;
}

/* --- strings --- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits after \u; -1 when they are not there. */
static int32_t read_unit(const char *at, const char *end)
{
    int32_t unit = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static char *write_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

/* \uXXXX at `at`, or two that are a surrogate pair (RFC 8259 section 7); returns what follows, NULL when malformed. */
static const char *unescape_unicode(const char *at, const char *end, char **out)
{
    int32_t first = read_unit(at + 2, end);
    if (first < 0 || (first >= 0xdc00 && first <= 0xdfff))
        return NULL;
    at += 6;
    if (first < 0xd800 || first > 0xdbff) {
        *out = write_utf8(*out, (uint32_t)first);
        return at;
    }
    int32_t second = end - at >= 2 && at[0] == '\\' && at[1] == 'u' ? read_unit(at + 2, end) : -1;
    if (second < 0xdc00 || second > 0xdfff)
        return NULL;
    *out = write_utf8(*out, 0x10000 + ((uint32_t)(first - 0xd800) << 10) + (uint32_t)(second - 0xdc00));
    return at + 6;
}

/* What the letter after a backslash stands for. */
static const char escapes[256] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                  ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};

static const char *unescape_one(const char *at, const char *end, char **out)
{
    char plain = escapes[(uint8_t)at[1]];
    if (at[1] == 'u')
        return unescape_unicode(at, end, out);
    if (plain)
        *(*out)++ = plain;
    return plain ? at + 2 : NULL;
}

/* No escape is longer written out than written: the span's own length is room enough. */
static bool unescape(struct json_scan *scan, const char *from, const char *to, struct json_text *ret_text)
{
    CLEANUP_FREE char *space = xmalloc((size_t)(to - from));
    char *out = space;
    for (const char *at = from; at < to;) {
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        const char *next = unescape_one(at, to, &out);
        if (!next)
            return json_scan_fail(scan, at, "malformed escape");
        at = next;
    }
    ret_text->value = (struct slice){space, (size_t)(out - space)};
    ret_text->owned = TAKE(space);
    return true;
}

bool json_scan_string(struct json_scan *scan, struct json_text *ret_text)
{
    const char *from = scan->at + 1, *at = from;
    bool has_escapes = false;
    while (at < scan->end && *at != '"') {
        if ((uint8_t)*at < 0x20)
            return json_scan_fail(scan, at, "control character in a string");
        if (*at == '\\') {
            has_escapes = true;
            at++;
        }
        at++;
    }
    if (at >= scan->end)
        return json_scan_fail(scan, scan->at, "the string does not end");
    struct slice span = {from, (size_t)(at - from)};
    if (!utf8_valid(span))
        return json_scan_fail(scan, scan->at, "the string is not UTF-8");
    scan->at = at + 1;
    *ret_text = (struct json_text){.value = span};
    return !has_escapes || unescape(scan, from, at, ret_text);
}

/* --- numbers --- */

enum { EXACT_DIGITS = 15, EXACT_POWER = 22, NUMBER_ON_STACK = 128 };

/* The parts of a number, as RFC 8259 section 6 has them. */
struct number {
    const char *from, *to;
    uint64_t digits; /* of the integer and the fraction together, while they fit */
    int digit_count; /* without leading zeros */
    int fraction;    /* digits after the point */
    bool negative, whole, has_exponent;
};

static const char *take_digits(struct number *n, const char *at, const char *end)
{
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        n->digit_count += n->digit_count > 0 || *at != '0';
        if (n->digit_count <= 19) /* below 10^19: it cannot overflow */
            n->digits = n->digits * 10 + (uint64_t)(*at - '0');
    }
    return at;
}

static bool take_number(struct json_scan *scan, struct number *ret_number)
{
    struct number n = {.from = scan->at, .whole = true};
    const char *at = scan->at, *end = scan->end;
    n.negative = *at == '-';
    at += n.negative;
    const char *integer = at;
    at = take_digits(&n, at, end);
    if (at == integer || (*integer == '0' && at - integer > 1))
        return json_scan_fail(scan, integer, "malformed number");
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        at = take_digits(&n, at, end);
        if (at == fraction)
            return json_scan_fail(scan, at, "malformed number");
        n.whole = false;
        n.fraction = at - fraction < INT16_MAX ? (int)(at - fraction) : INT16_MAX;
    }
    if (at < end && (*at | 0x20) == 'e') {
        struct number ignored = {0};
        at++;
        at += at < end && (*at == '+' || *at == '-');
        const char *exponent = at;
        at = take_digits(&ignored, at, end);
        if (at == exponent)
            return json_scan_fail(scan, at, "malformed number");
        n.has_exponent = true;
        n.whole = false;
    }
    n.to = scan->at = at;
    *ret_number = n;
    return true;
}

static json_t *whole_number(struct json_scan *scan, const struct number *n)
{
    uint64_t limit = (uint64_t)INT64_MAX + n->negative;
    if (n->digit_count > 19 || n->digits > limit) {
        json_scan_fail(scan, n->from, "an integer beyond 64 bits");
        return NULL;
    }
    return json_integer(n->negative ? (int64_t)(0 - n->digits) : (int64_t)n->digits);
}

/* strtod wants a NUL behind the number. */
static double slow_real(const struct number *n)
{
    char stack[NUMBER_ON_STACK];
    size_t len = (size_t)(n->to - n->from);
    CLEANUP_FREE char *heap = len < sizeof(stack) ? NULL : xmalloc(len + 1);
    char *copy = heap ? heap : stack;
    memcpy(copy, n->from, len);
    copy[len] = '\0';
    return strtod(copy, NULL);
}

/* A whole number below 2^53 divided by an exact power of ten is rounded once: that is the double nearest to the text. */
static double real_value(const struct number *n)
{
    static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (n->has_exponent || n->digit_count > EXACT_DIGITS || n->fraction > EXACT_POWER)
        return slow_real(n);
    double value = (double)n->digits / powers[n->fraction];
    return n->negative ? -value : value;
}

json_t *json_scan_number(struct json_scan *scan)
{
    struct number n;
    if (!take_number(scan, &n))
        return NULL;
    if (n.whole)
        return whole_number(scan, &n);
    double value = real_value(&n);
    if (!isfinite(value)) {
        json_scan_fail(scan, n.from, "a number beyond the range of a double");
        return NULL;
    }
    return json_real(value);
}
