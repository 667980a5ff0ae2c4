#pragma once
/* The rules that one value must satisfy besides its type. They are the same for JSON and for msgpack. */

#include "common/msg/msg.h"

/* Takes the complaints about a value. It is embedded in a struct that knows where the value stands. */
struct msg_sink {
    void (*complain)(struct msg_sink *sink, const char *detail);
};

void msg_complain(struct msg_sink *sink, const char *format, ...) PRINTF_LIKE(2, 3);

/* Each complains about every rule that the value breaks. The text is valid UTF-8. */
void msg_check_text(const struct msg_shape *shape, struct slice text, struct msg_sink *sink);
void msg_check_number(const struct msg_shape *shape, double value, struct msg_sink *sink);
void msg_check_count(const struct msg_shape *shape, size_t count, struct msg_sink *sink);

/* Returns "must be a string": what a value of another type is told. */
const char *msg_type_demand(enum msg_type type);

/* Writes the shortest decimal text that reads back as `value`, which is finite. PostgreSQL takes it for each
 * of its numeric types. */
enum { MSG_NUMBER_TEXT_SIZE = 32 };
size_t msg_number_text(double value, char text[MSG_NUMBER_TEXT_SIZE]);
size_t msg_integer_text(int64_t value, char text[MSG_NUMBER_TEXT_SIZE]);
