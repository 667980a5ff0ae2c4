#pragma once
/* GET /v1/operations/{id}: the state of a command, what it waits for, and its result when it is done. */

#include "common/db/db.h"
#include "gateway/http/call.h"
#include "gateway/http/etag.h"

void read_operation(struct call *call);
void read_operations(struct call *call);
/* The ETag that read_operation gives the operation `id` when inbox_follow has found this. */
struct slice operation_etag(struct slice id, struct db_result *result, char text[ETAG_SIZE]);
