#pragma once
/* The hook sources of every company, as this process knows them (resource `hook_source`).
 *
 *   start ─▶ all are read, page by page
 *   every binding of the queue, each minute ─▶ all are read again; what is not there any more is forgotten
 *   event of a source, for which every process binds its queue ─▶ that one is read, or forgotten
 *
 * A source that has not changed is not opened again: its version says so. */

#include <ev.h>

#include "common/base/uuid.h"
#include "common/broker/envelope.h"
#include "gateway/gateway.h"
#include "gateway/hooks/signature.h"

#include <jansson.h>

#define HOOK_SOURCE_KEY "*.hook_source.*"

struct hook_source {
    struct uuid id, company, user;
    json_t *json; /* its members type, mapping, id_header, … as in the API */
    struct hook_signing signing;
    int64_t before_until_s; /* until when the second secret counts */
    ev_tstamp repaid_at;    /* of its rate (limit/rate.h) */
    bool is_active;
};

struct hook_sources;

/* Without CORTEX_HOOK_KEYS there are none. ERR_BAD_REQUEST: the file cannot be read, which is logged. */
enum err hook_sources_new(struct gateway *gateway, struct hook_sources **ret_sources) MUST_CHECK;
void hook_sources_free(struct hook_sources *sources);

bool hook_sources_are_known(const struct hook_sources *sources); /* they have been read at least once */
/* Valid until the loop turns; NULL: there is none. */
struct hook_source *hook_sources_find(const struct hook_sources *sources, const struct uuid *id);

void hook_sources_read(struct hook_sources *sources);
void hook_sources_on_event(struct hook_sources *sources, const struct event *event);
