#include "common/msg/precheck.h"

#include <stdint.h>

static const char cut_short[] = "is malformed or cut short";

/* The forms of msgpack, by first octet less 0xc0. A count of `width` octets follows, then `octets`, and then
 * for each counted item octets_each octets or values_each values. */
static const struct form {
    uint8_t width, octets, octets_each, values_each;
} forms[32] = {
    [0x00] = {0},                            /* nil */
    [0x02] = {0},                            /* false */
    [0x03] = {0},                            /* true */
    [0x04] = {.width = 1, .octets_each = 1}, /* bin */
    [0x05] = {.width = 2, .octets_each = 1},
    [0x06] = {.width = 4, .octets_each = 1},
    [0x07] = {.width = 1, .octets = 1, .octets_each = 1}, /* ext: its type first */
    [0x08] = {.width = 2, .octets = 1, .octets_each = 1},
    [0x09] = {.width = 4, .octets = 1, .octets_each = 1},
    [0x0a] = {.octets = 4}, /* float */
    [0x0b] = {.octets = 8},
    [0x0c] = {.octets = 1}, /* uint */
    [0x0d] = {.octets = 2},
    [0x0e] = {.octets = 4},
    [0x0f] = {.octets = 8},
    [0x10] = {.octets = 1}, /* int */
    [0x11] = {.octets = 2},
    [0x12] = {.octets = 4},
    [0x13] = {.octets = 8},
    [0x14] = {.octets = 2}, /* fixext */
    [0x15] = {.octets = 3},
    [0x16] = {.octets = 5},
    [0x17] = {.octets = 9},
    [0x18] = {.octets = 17},
    [0x19] = {.width = 1, .octets_each = 1}, /* str */
    [0x1a] = {.width = 2, .octets_each = 1},
    [0x1b] = {.width = 4, .octets_each = 1},
    [0x1c] = {.width = 2, .values_each = 1}, /* array */
    [0x1d] = {.width = 4, .values_each = 1},
    [0x1e] = {.width = 2, .values_each = 2}, /* map */
    [0x1f] = {.width = 4, .values_each = 2},
};

enum { NEVER_USED = 0xc1 };

struct walk {
    const uint8_t *at, *end;
};

static const char *pass_value(struct walk *w, int depth);

static const char *pass_octets(struct walk *w, uint64_t count)
{
    if (count > (uint64_t)(w->end - w->at))
        return cut_short;
    w->at += count;
    return NULL;
}

static const char *pass_values(struct walk *w, uint64_t count, int depth)
{
    const char *fault = depth == 0 ? "nests too deeply" : NULL;
    for (; !fault && count > 0; count--)
        fault = pass_value(w, depth - 1);
    return fault;
}

static const char *pass_form(struct walk *w, const struct form *form, int depth)
{
    uint64_t count = 0;
    if (form->width > w->end - w->at)
        return cut_short;
    for (uint8_t i = 0; i < form->width; i++)
        count = count << 8 | *w->at++;
    if (form->values_each)
        return pass_values(w, count * form->values_each, depth);
    return pass_octets(w, form->octets + count * form->octets_each);
}

/* Each value takes at least one octet, so whatever a count says, the walk ends where the bytes end. */
static const char *pass_value(struct walk *w, int depth)
{
    if (w->at == w->end || *w->at == NEVER_USED)
        return cut_short;
    uint8_t first = *w->at++;
    if (first < 0x80 || first >= 0xe0)
        return NULL; /* a small integer */
    if (first < 0x90)
        return pass_values(w, 2 * (uint64_t)(first & 0x0f), depth);
    if (first < 0xa0)
        return pass_values(w, first & 0x0f, depth);
    if (first < 0xc0)
        return pass_octets(w, first & 0x1f);
    return pass_form(w, &forms[first - 0xc0], depth);
}

const char *msg_precheck(struct slice bytes)
{
    const uint8_t *data = (const uint8_t *)bytes.data;
    if (bytes.len == 0)
        return cut_short;
    struct walk walk = {data, data + bytes.len};
    const char *fault = pass_value(&walk, MSG_DEPTH_MAX);
    return !fault && walk.at < walk.end ? "something follows the message" : fault;
}
