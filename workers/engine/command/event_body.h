#pragma once
/* An event as clients are told it: {"type", "seq", "id", "project", "actor", "at", "data"}. */

#include "common/base/buf.h"
#include "workers/engine/command/command.h"

/* Replaces what is in `body`; returns where the entity begins. `data` is the last member, so that it can be cut out without
 * parsing. */
int64_t event_body_write(struct buf *body, const struct effect *effect);
