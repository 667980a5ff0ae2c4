#pragma once
/* An event as clients receive it: {"type", "seq", "id", "project", "actor", "at", "data"}. */

#include "common/base/buf.h"
#include "workers/engine/command/command.h"

/* Writes the event into `body` in place of what was there, and returns the offset of the entity. `data` is
 * the last member, so that the entity can be cut out without parsing. */
int64_t event_body_write(struct buf *body, const struct effect *effect);
