#include "gateway/centrifuge/protobuf.h"

#include <centrifuge.pb-c.h>
#include <stdio.h>

#include "common/base/json.h"
#include "common/base/json_scan.h"
#include "gateway/hub/hub.h"

enum {
    VARINT_MAX = 10,
    LENGTH_OCTETS_MAX = 5,
    NAME_SIZE = 32,     /* of a field, and its NUL */
    ENVELOPE_DEPTH = 2, /* levels of JSON around `data`: of the command, and of its parameters */
    WIRE_LENGTH = 2,    /* the wire type of what has a length */
};

/* An entry of a map (centrifuge.proto). */
enum { KEY = 0, VALUE = 1 };

static bool is_map(const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    return field->label == PROTOBUF_C_LABEL_REPEATED && entry->n_fields == 2 &&
           strcmp(entry->fields[KEY].name, "key") == 0;
}

/* ---- commands ---- */

bool protobuf_next(struct slice *bytes, struct slice *ret_message)
{
    uint64_t len = 0;
    for (size_t i = 0; i < bytes->len && i < LENGTH_OCTETS_MAX; i++) {
        uint8_t octet = (uint8_t)bytes->data[i];
        len |= (uint64_t)(octet & 0x7f) << (7 * i);
        if (octet & 0x80)
            continue;
        if (len > bytes->len - i - 1)
            return false;
        *ret_message = (struct slice){bytes->data + i + 1, (size_t)len};
        *bytes = (struct slice){ret_message->data + len, bytes->len - i - 1 - (size_t)len};
        return true;
    }
    return false;
}

/* A string of protobuf-c ends at its first NUL, and one that a client sends may go on behind it: "company:…\0x" would be
 * the channel "company:…". So each allocation knows its size, which is that of the string and of a NUL. */
struct sized {
    size_t size;
    _Alignas(max_align_t) char octets[];
};

static void *allocate_sized(void *arg, size_t size)
{
    (void)arg;
    struct sized *sized = xmalloc(sizeof(*sized) + size);
    sized->size = size;
    return sized->octets;
}

static void free_sized(void *arg, void *octets)
{
    (void)arg;
    if (octets)
        free(CONTAINER_OF(octets, struct sized, octets));
}

static ProtobufCAllocator sizing = {.alloc = allocate_sized, .free = free_sized};

static json_t *read_text(const char *text)
{
    return json_stringn(text, CONTAINER_OF(text, struct sized, octets)->size - 1);
}

struct reading {
    int64_t max_depth;
    bool is_whole; /* each JSON text in it was read */
};

static json_t *read_message(struct reading *reading, const ProtobufCMessage *message);

static json_t *read_data(struct reading *reading, const ProtobufCBinaryData *data)
{
    char why[160];
    json_t *json = NULL;
    struct slice text = {(const char *)data->data, data->len};
    if (json_parse(text, reading->max_depth - ENVELOPE_DEPTH, &json, why) == ERR_OK)
        return json;
    reading->is_whole = false;
    return json_null();
}

/* NULL: text that is not UTF-8. */
static json_t *read_value(struct reading *reading, const ProtobufCFieldDescriptor *field, const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return read_text(*(char *const *)at);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)at);
    case PROTOBUF_C_TYPE_INT32:
        return json_integer(*(const int32_t *)at);
    case PROTOBUF_C_TYPE_UINT32:
        return json_integer(*(const uint32_t *)at);
    case PROTOBUF_C_TYPE_UINT64:
        return json_integer((json_int_t) * (const uint64_t *)at);
    case PROTOBUF_C_TYPE_BYTES:
        return read_data(reading, at);
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_message(reading, *(ProtobufCMessage *const *)at);
    default:
        abort(); /* centrifuge.proto has no other types */
    }
}

static bool is_there(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const char *base = (const char *)message;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)(base + field->quantifier_offset) > 0;
    if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(const void *const *)(base + field->offset) != NULL;
    return *(const protobuf_c_boolean *)(base + field->quantifier_offset);
}

static json_t *read_map(struct reading *reading, const ProtobufCMessage *message,
                        const ProtobufCFieldDescriptor *field)
{
    const char *base = (const char *)message;
    size_t count = *(const size_t *)(base + field->quantifier_offset);
    ProtobufCMessage *const *entries = *(ProtobufCMessage *const *const *)(base + field->offset);
    json_t *map = json_object();
    for (size_t i = 0; i < count; i++) {
        const ProtobufCFieldDescriptor *fields = entries[i]->descriptor->fields;
        const char *entry = (const char *)entries[i];
        const char *key = *(char *const *)(entry + fields[KEY].offset);
        json_t *value = is_there(entries[i], &fields[VALUE])
                            ? read_value(reading, &fields[VALUE], entry + fields[VALUE].offset)
                            : json_object();
        if (json_object_set_new(map, key ? key : "", value) != 0) {
            json_decref(map);
            return NULL;
        }
    }
    return map;
}

static json_t *read_message(struct reading *reading, const ProtobufCMessage *message)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (!is_there(message, field))
            continue;
        json_t *value = is_map(field) ? read_map(reading, message, field)
                                      : read_value(reading, field, (const char *)message + field->offset);
        if (json_object_set_new(object, field->name, value) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

enum err protobuf_read_command(struct slice message, int64_t max_depth, json_t **ret_command,
                               bool *ret_is_whole)
{
    struct reading reading = {.max_depth = max_depth, .is_whole = true};
    ProtobufCMessage *command = protobuf_c_message_unpack(&centrifuge__command__descriptor, &sizing,
                                                          message.len, (const uint8_t *)message.data);
    json_t *json = command ? read_message(&reading, command) : NULL;
    protobuf_c_message_free_unpacked(command, &sizing);
    if (!json)
        return ERR_BAD_REQUEST;
    *ret_command = json;
    *ret_is_whole = reading.is_whole;
    return ERR_OK;
}

/* Text that the client may leave out. */
static struct slice text_of(const char *text)
{
    return text ? slice_of(text) : SLICE("");
}

bool protobuf_read_emulation(struct slice message, struct uuid *ret_node, struct uuid *ret_session,
                             struct slice *ret_commands)
{
    Centrifuge__Emulation *read =
        centrifuge__emulation__unpack(NULL, message.len, (const uint8_t *)message.data);
    bool is_good = read && read->data.len > 0 && uuid_parse(text_of(read->node), ret_node) &&
                   uuid_parse(text_of(read->session), ret_session);
    /* The library has copied them; where they stand in the message is found by their text. */
    const char *at = is_good ? memmem(message.data, message.len, read->data.data, read->data.len) : NULL;
    if (at)
        *ret_commands = (struct slice){at, read->data.len};
    if (read)
        centrifuge__emulation__free_unpacked(read, NULL);
    return at != NULL;
}

/* ---- replies ---- */

static size_t put_varint(uint64_t value, char octets[VARINT_MAX])
{
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        octets[len++] = (char)(value | 0x80);
    octets[len++] = (char)value;
    return len;
}

static void append_varint(struct buf *out, uint64_t value)
{
    char octets[VARINT_MAX];
    buf_append(out, octets, put_varint(value, octets));
}

static void append_tag(struct buf *out, const ProtobufCFieldDescriptor *field, unsigned wire_type)
{
    append_varint(out, (uint64_t)field->id << 3 | wire_type);
}

/* Puts the length of what stands from `start` on in front of it. */
static void insert_length(struct buf *out, size_t start)
{
    char octets[VARINT_MAX];
    size_t len = buf_len(out) - start, octet_count = put_varint(len, octets);
    if (out->truncated || !buf_reserve(out, octet_count))
        return;
    char *at = out->data + out->begin + start;
    memmove(at + octet_count, at, len);
    memcpy(at, octets, octet_count);
    buf_commit(out, octet_count);
}

static void append_text(struct buf *out, const ProtobufCFieldDescriptor *field, struct slice text)
{
    append_tag(out, field, WIRE_LENGTH);
    append_varint(out, text.len);
    buf_append_slice(out, text);
}

/* `text` is a JSON string with its quotes. */
static void append_string(struct buf *out, const ProtobufCFieldDescriptor *field, struct slice text)
{
    if (!memchr(text.data, '\\', text.len)) {
        append_text(out, field, (struct slice){text.data + 1, text.len - 2});
        return;
    }
    CLEANUP(json_cleanup)
    json_t *string = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    append_text(out, field, (struct slice){json_string_value(string), json_string_length(string)});
}

/* Zero and false are what an absent field says. */
static void append_number(struct buf *out, const ProtobufCFieldDescriptor *field, struct slice text)
{
    uint64_t value = slice_is(text, "true");
    for (size_t i = 0; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++)
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    if (value == 0)
        return;
    append_tag(out, field, 0);
    append_varint(out, value);
}

static void append_members(struct buf *out, const ProtobufCMessageDescriptor *message, struct slice object);

static void append_message(struct buf *out, const ProtobufCFieldDescriptor *field, struct slice object)
{
    append_tag(out, field, WIRE_LENGTH);
    size_t start = buf_len(out);
    append_members(out, field->descriptor, object);
    insert_length(out, start);
}

static void append_map(struct buf *out, const ProtobufCFieldDescriptor *field, struct slice object)
{
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    struct slice inside, key, value;
    if (!json_scan_begin(object, &inside))
        return;
    while (json_scan_next(&inside, &key, &value)) {
        append_tag(out, field, WIRE_LENGTH);
        size_t start = buf_len(out);
        append_text(out, &entry->fields[KEY], key);
        append_message(out, &entry->fields[VALUE], value);
        insert_length(out, start);
    }
}

static void append_list(struct buf *out, const ProtobufCFieldDescriptor *field, struct slice array)
{
    struct slice inside, item;
    if (!json_scan_begin_array(array, &inside))
        return;
    while (json_scan_next_item(&inside, &item))
        append_message(out, field, item);
}

static void append_field(struct buf *out, const ProtobufCFieldDescriptor *field, struct slice value)
{
    if (is_map(field))
        append_map(out, field, value);
    else if (field->label == PROTOBUF_C_LABEL_REPEATED)
        append_list(out, field, value);
    else if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        append_message(out, field, value);
    else if (field->type == PROTOBUF_C_TYPE_BYTES)
        append_text(out, field, value);
    else if (field->type == PROTOBUF_C_TYPE_STRING)
        append_string(out, field, value);
    else
        append_number(out, field, value);
}

static void append_members(struct buf *out, const ProtobufCMessageDescriptor *message, struct slice object)
{
    struct slice inside, name, value;
    if (!json_scan_begin(object, &inside))
        return;
    while (json_scan_next(&inside, &name, &value)) {
        char text[NAME_SIZE];
        snprintf(text, sizeof(text), "%.*s", (int)name.len, name.data);
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(message, text);
        if (field)
            append_field(out, field, value);
    }
}

void protobuf_append_reply(struct buf *out, struct slice json)
{
    size_t start = buf_len(out);
    append_members(out, &centrifuge__reply__descriptor, json);
    insert_length(out, start);
}

/* ---- publications ---- */

struct publication_push {
    Centrifuge__Publication pub;
    Centrifuge__Push push;
    Centrifuge__Reply reply;
};

static void fill(struct publication_push *made, const char *channel, const struct publication *publication)
{
    struct slice data = publication->body->slice;
    centrifuge__publication__init(&made->pub);
    centrifuge__push__init(&made->push);
    centrifuge__reply__init(&made->reply);
    made->pub.has_data = true;
    made->pub.data = (ProtobufCBinaryData){data.len, (uint8_t *)(uintptr_t)data.data};
    made->pub.has_offset = publication->seq > 0;
    made->pub.offset = (uint64_t)publication->seq;
    made->push.channel = (char *)(uintptr_t)channel;
    made->push.pub = &made->pub;
    made->reply.push = &made->push;
}

size_t protobuf_publication_size(const char *channel, const struct publication *publication)
{
    char octets[VARINT_MAX];
    struct publication_push made;
    fill(&made, channel, publication);
    size_t len = centrifuge__reply__get_packed_size(&made.reply);
    return put_varint(len, octets) + len;
}

size_t protobuf_put_publication(const char *channel, const struct publication *publication, char *at)
{
    struct publication_push made;
    fill(&made, channel, publication);
    size_t head = put_varint(centrifuge__reply__get_packed_size(&made.reply), at);
    return head + centrifuge__reply__pack(&made.reply, (uint8_t *)at + head);
}
