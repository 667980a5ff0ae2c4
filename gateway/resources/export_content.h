#pragma once
/* GET /v1/exports/{id}/content: the file of a completed export. */

#include "gateway/http/call.h"

void read_export_content(struct call *call);
