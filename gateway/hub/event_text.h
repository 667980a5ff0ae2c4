#pragma once
/* The text of an event: the JSON object that the worker stores and publishes, and that clients get unchanged.
 *
 *   {"type":"project.created","seq":42,"id":"…","project":"…","actor":"…","at":"…","data":{…}}
 *
 * The gateway never parses it. What it has to know of the text is read here, and only here.
 */

#include "common/base/bytes.h"

struct msg_resource;

/* The text on one line, as the protocols need it that carry an event as a line. Takes over the reference;
 * returns the same bytes where the text has no line end already. */
struct bytes *event_text_on_one_line(struct bytes *text);

/* The event's type, as a part of the text; "message", the default type of Server-Sent Events, when the
 * text does not begin with one. */
struct slice event_text_type(struct slice text);

/* The resource whose entity the event is about; NULL: there is none of that name. */
const struct msg_resource *event_text_resource(struct slice text);
