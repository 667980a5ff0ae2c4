#pragma once
/* The forms of msgpack that entries of parcels are made of (parcel.h). One form for each kind of field, so that what is
 * read is what was written, octet by octet. */

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/uuid.h"

enum {
    FORM_SHORT_MAX = 255, /* octets of a text */
    FORM_ARRAY_SIZE = 3,  /* of an array's head */
    FORM_LENGTH_SIZE = 5, /* of a binary's head */
};

/* ---- writing; what does not fit sets buf.truncated, which form_end_entry looks at ---- */

void form_put_text(struct buf *out, struct slice text); /* at most FORM_SHORT_MAX; nil when it is empty */
void form_put_uuid(struct buf *out, const struct uuid *uuid, bool is_there);
void form_put_integer(struct buf *out, int64_t integer);
void form_put_length(struct buf *out, size_t len); /* of a binary, which follows */
void form_put_binary(struct buf *out, struct slice binary);
void form_put_array(struct buf *out, size_t count);
void form_write_array(char head[FORM_ARRAY_SIZE], size_t count);
/* Writes the length of the entry whose form_put_length is at `entry_at` of the buffer. BODY_TOO_LARGE: the buffer is
 * full, and as it was before the entry. */
enum err form_end_entry(struct buf *out, size_t entry_at) MUST_CHECK;

/* ---- reading; the queue is not trusted ---- */

/* Remembers that something was wrong; from then on nothing is taken. */
struct form_reader {
    struct slice rest;
    bool poison;
};

struct slice form_take_binary(struct form_reader *reader);
struct slice form_take_text(struct form_reader *reader); /* SLICE_NONE when it is nil */
bool form_take_uuid(struct form_reader *reader, struct uuid *ret_uuid);
int64_t form_take_integer(struct form_reader *reader);
int64_t form_take_natural(struct form_reader *reader);
size_t form_take_array(struct form_reader *reader); /* how many fields follow */
void form_require(struct form_reader *reader, bool is_there);
void form_skip_fields(struct form_reader *reader, size_t count);
