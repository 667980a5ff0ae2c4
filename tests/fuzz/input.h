#pragma once
/* One input of the message fuzzers: an octet that chooses resource and mode, then the message. */

#include "common/msg/msg.h"

/* Today's resources are flat; this one nests: {list: [[integer]], lines: [{id, text, when, ratio, inner:
 * {flag}}]}. */
#define INPUT_SHAPE(type_, ...)                                        \
    {                                                                  \
        .type = (type_), .max_length = 16, .max_items = 8, __VA_ARGS__ \
    }
#define INPUT_BOUNDS .has_minimum = true, .minimum = -1000, .has_maximum = true, .maximum = 1000
static const struct msg_shape input_integer = INPUT_SHAPE(MSG_INTEGER, INPUT_BOUNDS);
static const struct msg_shape input_row = INPUT_SHAPE(MSG_ARRAY, .items = &input_integer);
static const struct msg_field input_inner_fields[] = {
    {.name = "flag", .id = 300, .shape = INPUT_SHAPE(MSG_BOOLEAN, .nullable = true)},
};
static const struct msg_object input_inner = {input_inner_fields, ARRAY_LEN(input_inner_fields), true};
static const struct msg_field input_line_fields[] = {
    {.name = "id", .id = 1, .shape = INPUT_SHAPE(MSG_STRING, .format = MSG_FORMAT_EMAIL)},
    {.name = "text", .id = 2, .shape = INPUT_SHAPE(MSG_STRING, .min_length = 2)},
    {.name = "when",
     .id = 3,
     .shape = {.type = MSG_STRING, .format = MSG_FORMAT_URI, .max_length = 40, .max_items = -1}},
    {.name = "ratio", .id = 4, .shape = INPUT_SHAPE(MSG_NUMBER, .nullable = true, INPUT_BOUNDS)},
    {.name = "inner", .id = 9, .shape = INPUT_SHAPE(MSG_OBJECT, .object = &input_inner)},
};
static const struct msg_object input_line = {input_line_fields, ARRAY_LEN(input_line_fields), true};
static const struct msg_shape input_line_shape = INPUT_SHAPE(MSG_OBJECT, .object = &input_line);
static const struct msg_field input_nested_fields[] = {
    {.name = "list", .id = 1, .shape = INPUT_SHAPE(MSG_ARRAY, .items = &input_row)},
    {.name = "lines", .id = 2, .shape = INPUT_SHAPE(MSG_ARRAY, .items = &input_line_shape)},
};
static const struct msg_object input_nested = {input_nested_fields, ARRAY_LEN(input_nested_fields), true};

static inline const struct msg_object *input_object(uint8_t choice)
{
    size_t count = 0, index = choice / 3;
    while (msg_resources[count])
        count++;
    index %= count + 1;
    return index < count ? msg_resources[index]->object : &input_nested;
}

static inline enum msg_mode input_mode(uint8_t choice)
{
    return (enum msg_mode)(choice % 3);
}

/* A copy of exactly its size, so that the sanitizer sees every read past the end. */
static inline char *input_copy(const uint8_t *data, size_t size)
{
    char *copy = xmalloc(size);
    memcpy(copy, data, size);
    return copy;
}

#define MUST(condition)                                                                   \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            abort();                                                                      \
        }                                                                                 \
    } while (0)
