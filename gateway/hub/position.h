#pragma once
/* A position in a company's stream, as text that clients keep and send back: "<epoch>:<offset>". */

#include "gateway/hub/hub.h"

enum { POSITION_SIZE = EPOCH_SIZE + 21 };

struct position {
    struct slice epoch; /* "": the client gave an offset alone */
    int64_t offset;
};

/* Writes the text and a NUL. */
struct slice position_format(const char *epoch, int64_t offset, char text[POSITION_SIZE]);
/* Reads "<epoch>:<offset>", or an offset alone; false for anything else. The epoch is a part of `text`. */
bool position_parse(struct slice text, struct position *ret_position) MUST_CHECK;
