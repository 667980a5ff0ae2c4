#include "common/msg/format.h"

enum {
    LOCAL_MAX = 64,
    DOMAIN_MAX = 255,
    LABEL_MAX = 63
}; /* RFC 5321 section 4.5.3.1, RFC 1035 section 2.3.4 */

static bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* atext (RFC 5322 section 3.2.3) */
static bool is_atom_char(char c)
{
    return is_letter_or_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_dot_atom(struct slice text)
{
    char before = '.';
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '.' ? before == '.' : !is_atom_char(c))
            return false;
        before = c;
    }
    return before != '.';
}

/* A quoted string: printable ASCII, in which a backslash stands before each quote and each backslash. */
static bool is_quoted(struct slice text)
{
    if (text.len < 2 || text.data[0] != '"' || text.data[text.len - 1] != '"')
        return false;
    for (size_t i = 1; i < text.len - 1; i++) {
        if (text.data[i] == '"')
            return false;
        if (text.data[i] == '\\' && ++i == text.len - 1)
            return false;
        if (text.data[i] < 0x20 || text.data[i] > 0x7e)
            return false;
    }
    return true;
}

/* Labels of letters, digits and inner hyphens. */
static bool is_domain(struct slice text)
{
    size_t label = 0;
    if (text.len == 0 || text.len > DOMAIN_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool label_ends = i + 1 == text.len || text.data[i + 1] == '.';
        if (c == '.' ? label == 0 || i + 1 == text.len
                     : !is_letter_or_digit(c) && (c != '-' || label == 0 || label_ends))
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return false;
    }
    return true;
}

/* "[127.0.0.1]", "[IPv6:::1]" */
static bool is_address_literal(struct slice text)
{
    static const struct slice tag = {"IPv6:", 5};
    if (text.len < 2 || text.data[0] != '[' || text.data[text.len - 1] != ']')
        return false;
    struct slice inner = {text.data + 1, text.len - 2};
    if (inner.len > tag.len && strncasecmp(inner.data, tag.data, tag.len) == 0)
        return msg_format_is_ipv6((struct slice){inner.data + tag.len, inner.len - tag.len});
    return msg_format_is_ipv4(inner);
}

bool msg_format_is_email(struct slice text)
{
    size_t at = text.len;
    while (at > 0 && text.data[at - 1] != '@')
        at--;
    if (at < 2 || at - 1 > LOCAL_MAX)
        return false;
    struct slice local = {text.data, at - 1}, domain = {text.data + at, text.len - at};
    return (is_dot_atom(local) || is_quoted(local)) && (is_domain(domain) || is_address_literal(domain));
}
