#include "tests/bench/bound.h"

/* A project as the gateway's msgpack: a map from x-id to value (schemas/messages/project.json). */
const struct slice bound_body_head = SLICE("\x88\x03\xb8");
const struct slice bound_body_tail = SLICE("\x04\xd9\x3c"
                                           "A building that exists only to be created as fast as it goes"
                                           "\x05\xa6"
                                           "active"
                                           "\x06\xa4"
                                           "high"
                                           "\x07\xaa"
                                           "2026-03-01"
                                           "\x08\xaa"
                                           "2027-09-30"
                                           "\x09\xcb\x41\x31\x2d\x00\x80\x00\x00\x00" /* 1125632.5 */
                                           "\x0b\xb8"
                                           "12 Quay Street, Auckland");
