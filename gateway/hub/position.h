#pragma once
/* Where somebody stands in a company's stream, as text that clients keep and give back: "<epoch>:<offset>". */

#include "gateway/hub/hub.h"

enum { POSITION_SIZE = EPOCH_SIZE + 21 };

struct position {
    struct slice epoch; /* "": whichever it is */
    int64_t offset;
};

/* Writes it and a NUL. */
struct slice position_format(const char *epoch, int64_t offset, char text[POSITION_SIZE]);
/* Also an offset alone. False for what is neither. The epoch is a part of the text. */
bool position_parse(struct slice text, struct position *ret_position) MUST_CHECK;
