#pragma once
/* Reads one HTTP/1 request. It does no I/O: bytes go in, in portions of any size; a head, a body or a refusal
 * comes out.
 *
 *   LEAD ─▶ LINE ─▶ PROTOCOL ─▶ FIELDS ─▶ (REQUEST_HEAD) ─▶ BODY ─▶ (REQUEST_DONE)
 *     └───────┴─────────┴─────────┴──────────────────────────┴──▶ (REQUEST_REFUSED)
 *
 * After a refusal the framing is lost, so the connection must be answered and closed. llhttp parses, with
 * none of its leniencies. Beyond its grammar this demands (RFC 9112): Host exactly once; no transfer coding
 * but chunked, and none in HTTP/1.0; only CRLF before a request; HTTP as the protocol; bounds on head,
 * fields, body and chunk overhead.
 */

#include <llhttp.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/process/config.h"

enum request_phase {
    PHASE_LEAD,     /* empty lines before the request line */
    PHASE_LINE,     /* method and target */
    PHASE_PROTOCOL, /* "HTTP/" */
    PHASE_FIELDS,
    PHASE_BODY,
    PHASE_DONE,
    PHASE_REFUSED
};

struct request_field {
    uint32_t name_at, name_len, value_at, value_len; /* in `text` */
};

struct request {
    llhttp_t parser;
    const struct config *config;
    enum request_phase phase;
    struct buf text; /* target, then names and values */
    size_t target_len;
    struct request_field *fields;
    size_t field_count, field_capacity;
    size_t head_bytes;    /* octets of the head as sent */
    size_t lead_bytes;    /* of those, empty lines before the request line */
    size_t body_overhead; /* octets of the chunked framing */
    size_t body_bytes;    /* decoded */
    size_t body_max;      /* request_limit_body */
    struct buf body;
    ptrdiff_t moved;       /* from what the parser reads to the octets as they were sent */
    uint8_t protocol_seen; /* octets of "HTTP/" */
    char last_octet;       /* that the parser has taken */
    bool lead_cr;          /* the last octet was the CR of an empty line */
    bool has_target;       /* all of it has arrived */
    bool has_head;         /* the last field of the head has arrived */
    bool discard_body;     /* the body is read and not kept, since the answer is known already */
    bool keep_alive;
    bool expects_continue;
    enum err refusal;
    const char *why; /* constant text */
};

enum request_step { REQUEST_MORE, REQUEST_HEAD, REQUEST_DONE, REQUEST_REFUSED };

void request_init(struct request *request, const struct config *config);
void request_done(struct request *request);
size_t request_memory(const struct request *request); /* octets that it holds besides itself */
/* Makes it ready for the next request; a little memory is kept. */
void request_reset(struct request *request);

/* Takes bytes up to the next step; *ret_used of them are done with. After REQUEST_HEAD it must be called
 * again, even with no bytes. */
enum request_step request_feed(struct request *request, struct slice bytes, size_t *ret_used);

/* What the head says: valid after REQUEST_HEAD. */
struct slice request_target(const struct request *request);
struct slice request_name(const struct request *request, size_t field);
struct slice request_value(const struct request *request, size_t field);
bool request_has_body(const struct request *request);
/* Sets how many octets the body may have. false: it says itself that it has more. Until then, and for what is read and not
 * kept, the bound is the largest that any route has. */
bool request_limit_body(struct request *request, size_t bytes) MUST_CHECK;
static inline bool request_is_1_0(const struct request *request)
{
    return request->parser.http_minor == 0;
}
