#include "common/msg_reader.h"

/* The octets 0xc0 to 0xdf: what follows each. `width` octets of number come first: the value itself, or how
 * much there is of text, elements or pairs; an extension has one more octet for its type. */
static const struct form {
    uint8_t kind, width;
    bool is_signed;
    uint8_t fixed; /* width 0: the value, or the length of an extension */
} forms[32] = {
    [0x00] = {.kind = KIND_NIL},
    [0x02] = {.kind = KIND_BOOLEAN, .fixed = 0},
    [0x03] = {.kind = KIND_BOOLEAN, .fixed = 1},
    [0x04] = {.kind = KIND_BINARY, .width = 1},
    [0x05] = {.kind = KIND_BINARY, .width = 2},
    [0x06] = {.kind = KIND_BINARY, .width = 4},
    [0x07] = {.kind = KIND_EXTENSION, .width = 1},
    [0x08] = {.kind = KIND_EXTENSION, .width = 2},
    [0x09] = {.kind = KIND_EXTENSION, .width = 4},
    [0x0a] = {.kind = KIND_REAL, .width = 4},
    [0x0b] = {.kind = KIND_REAL, .width = 8},
    [0x0c] = {.kind = KIND_INTEGER, .width = 1},
    [0x0d] = {.kind = KIND_INTEGER, .width = 2},
    [0x0e] = {.kind = KIND_INTEGER, .width = 4},
    [0x0f] = {.kind = KIND_INTEGER, .width = 8},
    [0x10] = {.kind = KIND_INTEGER, .width = 1, .is_signed = true},
    [0x11] = {.kind = KIND_INTEGER, .width = 2, .is_signed = true},
    [0x12] = {.kind = KIND_INTEGER, .width = 4, .is_signed = true},
    [0x13] = {.kind = KIND_INTEGER, .width = 8, .is_signed = true},
    [0x14] = {.kind = KIND_EXTENSION, .fixed = 1},
    [0x15] = {.kind = KIND_EXTENSION, .fixed = 2},
    [0x16] = {.kind = KIND_EXTENSION, .fixed = 4},
    [0x17] = {.kind = KIND_EXTENSION, .fixed = 8},
    [0x18] = {.kind = KIND_EXTENSION, .fixed = 16},
    [0x19] = {.kind = KIND_TEXT, .width = 1},
    [0x1a] = {.kind = KIND_TEXT, .width = 2},
    [0x1b] = {.kind = KIND_TEXT, .width = 4},
    [0x1c] = {.kind = KIND_ARRAY, .width = 2},
    [0x1d] = {.kind = KIND_ARRAY, .width = 4},
    [0x1e] = {.kind = KIND_MAP, .width = 2},
    [0x1f] = {.kind = KIND_MAP, .width = 4},
};

static const struct msg_item malformed = {.kind = KIND_MALFORMED};

void msg_reader_init(struct msg_reader *reader, struct slice bytes)
{
    const uint8_t *data = (const uint8_t *)bytes.data;
    *reader = (struct msg_reader){.at = data, .end = data + bytes.len, .owed = 1};
}

bool msg_reader_is_done(const struct msg_reader *reader)
{
    return reader->owed == 0 && reader->at == reader->end;
}

static uint64_t remaining(const struct msg_reader *reader)
{
    return (uint64_t)(reader->end - reader->at);
}

static struct msg_item integer(int64_t value)
{
    return (struct msg_item){.kind = KIND_INTEGER, .integer = value, .real = (double)value};
}

static struct msg_item read_octets(struct msg_reader *reader, enum msg_kind kind, uint64_t length)
{
    if (length > remaining(reader))
        return malformed;
    const char *data = (const char *)reader->at;
    reader->at += length;
    return (struct msg_item){.kind = kind, .text = {data, length}};
}

static struct msg_item open_container(struct msg_reader *reader, enum msg_kind kind, uint64_t count)
{
    reader->owed += kind == KIND_MAP ? 2 * count : count;
    if (reader->owed > remaining(reader))
        return malformed;
    return (struct msg_item){.kind = kind, .count = (uint32_t)count};
}

static struct msg_item number(const struct form *form, uint64_t bits)
{
    if (form->is_signed) {
        unsigned unused = 64 - 8u * form->width;
        return integer((int64_t)(bits << unused) >> unused);
    }
    if (bits > INT64_MAX)
        return (struct msg_item){.kind = KIND_HUGE, .real = (double)bits};
    return integer((int64_t)bits);
}

static struct msg_item real(const struct form *form, uint64_t bits)
{
    struct msg_item item = {.kind = KIND_REAL};
    if (form->width == 8) {
        memcpy(&item.real, &bits, sizeof(bits));
    } else {
        uint32_t narrow = (uint32_t)bits;
        float value;
        memcpy(&value, &narrow, sizeof(value));
        item.real = (double)value;
    }
    return item;
}

static struct msg_item read_form(struct msg_reader *reader, const struct form *form)
{
    if (form->width > remaining(reader))
        return malformed;
    uint64_t value = form->fixed;
    for (uint8_t i = 0; i < form->width; i++)
        value = value << 8 | *reader->at++;
    switch ((enum msg_kind)form->kind) {
    case KIND_NIL:
        return (struct msg_item){.kind = KIND_NIL};
    case KIND_BOOLEAN:
        return (struct msg_item){.kind = KIND_BOOLEAN, .integer = (int64_t)value};
    case KIND_INTEGER:
        return number(form, value);
    case KIND_REAL:
        return real(form, value);
    case KIND_TEXT:
    case KIND_BINARY:
        return read_octets(reader, form->kind, value);
    case KIND_EXTENSION:
        return read_octets(reader, form->kind, value + 1);
    case KIND_ARRAY:
    case KIND_MAP:
        return open_container(reader, form->kind, value);
    default:
        return malformed;
    }
}

struct msg_item msg_read(struct msg_reader *reader)
{
    if (reader->at == reader->end || reader->owed == 0)
        return malformed;
    uint8_t first = *reader->at++;
    reader->owed--;
    if (first < 0x80)
        return integer(first);
    if (first < 0x90)
        return open_container(reader, KIND_MAP, first & 0x0f);
    if (first < 0xa0)
        return open_container(reader, KIND_ARRAY, first & 0x0f);
    if (first < 0xc0)
        return read_octets(reader, KIND_TEXT, first & 0x1f);
    if (first < 0xe0)
        return read_form(reader, &forms[first & 0x1f]);
    return integer((int8_t)first);
}

bool msg_skip(struct msg_reader *reader, int depth)
{
    struct msg_item item = msg_read(reader);
    if (item.kind == KIND_MALFORMED || depth == 0)
        return false;
    uint64_t values = item.kind == KIND_MAP ? 2 * (uint64_t)item.count : item.count;
    while (values > 0 && msg_skip(reader, depth - 1))
        values--;
    return values == 0;
}
