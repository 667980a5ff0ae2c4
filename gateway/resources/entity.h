#pragma once
/* GET of one entity: its JSON and its ETag, or 304 when If-None-Match names that ETag. */

#include "gateway/http/call.h"

void read_entity(struct call *call);
