#pragma once
/* GET …/secret: the secrets of one entity that are valid now. */

#include "gateway/http/call.h"

void read_secret(struct call *call);
