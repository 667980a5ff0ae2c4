#pragma once
/* Reads msgpack in place, one item at a time, and never allocates. msgpack-c's own unpacker builds a tree in
 * 8 KiB zones and believes the counts that it reads, where five octets can ask for gigabytes; here a count is
 * refused as soon as the values that are still owed, of all open containers together, cannot fit the octets
 * that remain. */

#include "common/slice.h"

#include <stdint.h>

enum msg_kind {
    KIND_MALFORMED, /* cut short, impossible count, or the octet that msgpack never uses */
    KIND_NIL,
    KIND_BOOLEAN,
    KIND_INTEGER,
    KIND_HUGE, /* an unsigned integer above INT64_MAX */
    KIND_REAL,
    KIND_TEXT,
    KIND_BINARY,
    KIND_EXTENSION,
    KIND_ARRAY,
    KIND_MAP,
};

struct msg_item {
    enum msg_kind kind;
    int64_t integer; /* 0 or 1 of a boolean */
    double real;     /* of an integer too */
    struct slice text;
    uint32_t count; /* elements of an array, pairs of a map: they follow */
};

struct msg_reader {
    const uint8_t *at, *end;
    uint64_t owed; /* values that must still come, at one octet each at least */
};

/* For exactly one value. */
void msg_reader_init(struct msg_reader *reader, struct slice bytes);

/* The next item; its kind says whether it could be read. */
struct msg_item msg_read(struct msg_reader *reader);

/* Passes over one whole value, which may nest `depth` levels; false when it is malformed or deeper. */
bool msg_skip(struct msg_reader *reader, int depth);

/* Everything has been read and nothing is left over. */
bool msg_reader_is_done(const struct msg_reader *reader);
