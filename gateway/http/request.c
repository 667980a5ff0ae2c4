#include "gateway/http/request_private.h"

enum {
    FIELDS_AT_FIRST = 16,
    TEXT_KEPT = 4096, /* octets of memory that are kept from one request to the next */
    BODY_KEPT = 8192,
    /* Octets of framing that are allowed for each octet that a body may have; chunks of one octet take
     * five. */
    CHUNK_OVERHEAD = 8,
};

static const char protocol_text[] = "HTTP/";

/* ---- refusals ---- */

int request_refuse(struct request *request, enum err err, const char *why)
{
    request->phase = PHASE_REFUSED;
    request->refusal = err;
    request->why = why;
    return HPE_USER;
}

/* What each verdict of llhttp means to the client. A verdict without a row is a bad request. */
static const struct {
    llhttp_errno_t verdict;
    enum err err;
    const char *why;
} verdicts[] = {
    {HPE_INVALID_METHOD, ERR_BAD_REQUEST, "the method is malformed"},
    {HPE_INVALID_URL, ERR_BAD_REQUEST, "the request target has characters that it must not have"},
    {HPE_INVALID_VERSION, ERR_VERSION_UNSUPPORTED, "the version is not HTTP/1.0 or HTTP/1.1"},
    {HPE_PAUSED_H2_UPGRADE, ERR_VERSION_UNSUPPORTED, "the server does not speak HTTP/2 on this port"},
    {HPE_INVALID_CONSTANT, ERR_BAD_REQUEST, "the request line is malformed"},
    {HPE_INVALID_HEADER_TOKEN, ERR_BAD_REQUEST, "a header field is malformed"},
    {HPE_UNEXPECTED_SPACE, ERR_BAD_REQUEST, "there is a space where none is allowed"},
    {HPE_CR_EXPECTED, ERR_BAD_REQUEST, "a line does not end in CRLF"},
    {HPE_LF_EXPECTED, ERR_BAD_REQUEST, "a line does not end in CRLF"},
    {HPE_STRICT, ERR_BAD_REQUEST, "a line does not end in CRLF"},
    {HPE_UNEXPECTED_CONTENT_LENGTH, ERR_BAD_REQUEST,
     "Content-Length is repeated, or comes with Transfer-Encoding"},
    {HPE_INVALID_CONTENT_LENGTH, ERR_BAD_REQUEST, "Content-Length is malformed"},
    {HPE_INVALID_TRANSFER_ENCODING, ERR_BAD_REQUEST,
     "Transfer-Encoding does not end in chunked, or comes with Content-Length"},
    {HPE_INVALID_CHUNK_SIZE, ERR_BAD_REQUEST, "a chunk size is malformed"},
};

static void refuse_by_verdict(struct request *request, llhttp_errno_t verdict)
{
    if (request->phase == PHASE_REFUSED)
        return; /* a callback has said already what is wrong */
    if (verdict == HPE_INVALID_VERSION && request->parser.http_major == 1 && request->parser.http_minor <= 1)
        verdict = HPE_CR_EXPECTED; /* the version is right, but what follows it is not */
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++)
        if (verdicts[i].verdict == verdict) {
            request_refuse(request, verdicts[i].err, verdicts[i].why);
            return;
        }
    request_refuse(request, ERR_BAD_REQUEST, "the request is malformed");
}

/* ---- what llhttp calls ---- */

static int append(struct request *request, const char *at, size_t len)
{
    return buf_append(&request->text, at + request->moved, len)
               ? 0
               : request_refuse(request, ERR_HEADERS_TOO_LARGE, NULL);
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct request *request = parser->data;
    request->target_len += len;
    return append(request, at, len);
}

static int on_url_complete(llhttp_t *parser)
{
    struct request *request = parser->data;
    request->phase = PHASE_PROTOCOL;
    request->has_target = true;
    return HPE_PAUSED;
}

static void new_field(struct request *request)
{
    if (request->field_count == request->field_capacity) {
        request->field_capacity = request->field_capacity ? request->field_capacity * 2 : FIELDS_AT_FIRST;
        request->fields = xrealloc(request->fields, request->field_capacity * sizeof(*request->fields));
    }
    request->fields[request->field_count++] =
        (struct request_field){.name_at = (uint32_t)buf_len(&request->text)};
}

static struct request_field *last_field(struct request *request)
{
    return &request->fields[request->field_count - 1];
}

/* Trailer fields (RFC 9112 7.1.2) are read and not kept. */
static bool is_trailer(const struct request *request)
{
    return request->phase == PHASE_BODY;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct request *request = parser->data;
    if (is_trailer(request))
        return 0;
    if (request->field_count == 0 || last_field(request)->value_at != 0)
        new_field(request);
    last_field(request)->name_len += (uint32_t)len;
    return append(request, at, len);
}

static int on_header_field_complete(llhttp_t *parser)
{
    struct request *request = parser->data;
    if (is_trailer(request))
        return 0;
    if (request->field_count == 0 || last_field(request)->name_len == 0 || last_field(request)->value_at != 0)
        return request_refuse(request, ERR_BAD_REQUEST, "a header field has no name");
    if (request->field_count > (size_t)request->config->max_headers)
        return request_refuse(request, ERR_HEADERS_TOO_LARGE, "there are too many header fields");
    last_field(request)->value_at = (uint32_t)buf_len(&request->text);
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct request *request = parser->data;
    if (is_trailer(request))
        return 0;
    last_field(request)->value_len += (uint32_t)len;
    return append(request, at, len);
}

static int on_headers_complete(llhttp_t *parser)
{
    struct request *request = parser->data;
    request->phase = PHASE_BODY;
    request->has_head = true;
    return HPE_PAUSED;
}

static int too_large(struct request *request)
{
    return request_refuse(request, ERR_BODY_TOO_LARGE, NULL);
}

static int on_chunk_header(llhttp_t *parser)
{
    struct request *request = parser->data;
    uint64_t left = (uint64_t)request->body_max - request->body_bytes;
    return parser->content_length > left ? too_large(request) : 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct request *request = parser->data;
    request->body_bytes += len;
    if (request->body_bytes > request->body_max)
        return too_large(request);
    if (!request->discard_body && !buf_append(&request->body, at, len))
        return too_large(request);
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct request *request = parser->data;
    request->phase = PHASE_DONE;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- what has been read ---- */

struct slice request_target(const struct request *request)
{
    return (struct slice){buf_data(&request->text), request->target_len};
}

struct slice request_name(const struct request *request, size_t field)
{
    const struct request_field *f = &request->fields[field];
    return (struct slice){buf_data(&request->text) + f->name_at, f->name_len};
}

struct slice request_value(const struct request *request, size_t field)
{
    const struct request_field *f = &request->fields[field];
    return (struct slice){buf_data(&request->text) + f->value_at, f->value_len};
}

bool request_has_body(const struct request *request)
{
    return (request->parser.flags & F_CHUNKED) || request->parser.content_length > 0;
}

/* ---- feeding ---- */

static size_t largest_body(const struct config *config)
{
    return (size_t)(config->hook_max_body_bytes > config->max_body_bytes ? config->hook_max_body_bytes
                                                                         : config->max_body_bytes);
}

bool request_limit_body(struct request *request, size_t bytes)
{
    request->body_max = bytes;
    return (request->parser.flags & F_CHUNKED) || request->parser.content_length <= bytes;
}

void request_init(struct request *request, const struct config *config)
{
    *request = (struct request){.config = config};
    buf_init(&request->text, (size_t)config->max_head_bytes);
    buf_init(&request->body, largest_body(config));
    request_reset(request);
}

void request_done(struct request *request)
{
    buf_done(&request->text);
    buf_done(&request->body);
    free(request->fields);
    *request = (struct request){0};
}

size_t request_memory(const struct request *request)
{
    return request->text.capacity + request->body.capacity +
           request->field_capacity * sizeof(*request->fields);
}

static void empty(struct buf *buf, size_t kept)
{
    if (buf->capacity > kept)
        buf_done(buf);
    else
        buf_clear(buf);
}

void request_reset(struct request *request)
{
    struct buf text = request->text, body = request->body;
    struct request_field *fields = request->fields;
    size_t field_capacity = request->field_capacity;
    empty(&text, TEXT_KEPT);
    empty(&body, BODY_KEPT);
    *request = (struct request){.config = request->config,
                                .body_max = largest_body(request->config),
                                .text = text,
                                .body = body,
                                .fields = fields,
                                .field_capacity = field_capacity};
    llhttp_init(&request->parser, HTTP_REQUEST, &settings);
    request->parser.data = request;
}

/* Skips empty lines before a request line (RFC 9112 2.2), as long as they end in CRLF. Returns the number of
 * octets skipped. */
static size_t skip_empty_lines(struct request *request, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.data[i];
        if (request->lead_cr ? c == '\n' : c == '\r') {
            request->lead_cr = !request->lead_cr;
            continue;
        }
        if (request->lead_cr || c == '\n')
            request_refuse(request, ERR_BAD_REQUEST, "a line does not end in CRLF");
        else
            request->phase = PHASE_LINE;
        return i;
    }
    return bytes.len;
}

/* llhttp also accepts RTSP and ICE, and several spaces before the protocol. This looks at the bytes before
 * llhttp gets them. */
static void check_protocol(struct request *request, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len && request->protocol_seen < sizeof(protocol_text) - 1; i++)
        if (bytes.data[i] != protocol_text[request->protocol_seen++]) {
            request_refuse(request, ERR_BAD_REQUEST, "the request line is malformed");
            return;
        }
    if (request->protocol_seen == sizeof(protocol_text) - 1)
        request->phase = PHASE_FIELDS;
}

/* The target has ended. A line end there means HTTP/0.9; and llhttp accepts several spaces before the target,
 * which RFC 9112 does not. */
static void check_target(struct request *request)
{
    size_t method_len = strlen(llhttp_method_name((llhttp_method_t)request->parser.method));
    if (request->last_octet != ' ')
        request_refuse(request, ERR_VERSION_UNSUPPORTED, "the server does not speak HTTP/0.9");
    else if (request->head_bytes - request->lead_bytes != method_len + 1 + request->target_len + 1)
        request_refuse(request, ERR_BAD_REQUEST, "the request line is malformed");
}

static bool in_head(const struct request *request)
{
    return request->phase < PHASE_BODY;
}

static int check_head_size(struct request *request)
{
    if (request->head_bytes < (size_t)request->config->max_head_bytes || !in_head(request))
        return HPE_OK;
    return request_refuse(request, request->phase <= PHASE_LINE ? ERR_URI_TOO_LONG : ERR_HEADERS_TOO_LARGE,
                          NULL);
}

/* White space around a value may be tabs (RFC 9110 5.6.3), which llhttp does not know in the fields that it reads
 * itself. It gets blanks instead; what is kept of the head are the octets as they were sent. NULL: there are no
 * tabs. */
static char *copy_without_tabs(const struct request *request, struct slice bytes)
{
    if (request->phase != PHASE_FIELDS || bytes.len == 0 || !memchr(bytes.data, '\t', bytes.len))
        return NULL;
    char *copy = xmalloc(bytes.len);
    for (size_t i = 0; i < bytes.len; i++)
        copy[i] = bytes.data[i] == '\t' ? ' ' : bytes.data[i];
    return copy;
}

/* Runs the parser over as many bytes as the bound on the head allows. Returns the octets that it is done
 * with. */
static size_t run_parser(struct request *request, struct slice bytes)
{
    bool head = in_head(request);
    size_t size = bytes.len;
    if (head) {
        size_t left = (size_t)request->config->max_head_bytes - request->head_bytes;
        size = size < left ? size : left;
    }
    CLEANUP_FREE char *without_tabs = copy_without_tabs(request, (struct slice){bytes.data, size});
    const char *data = without_tabs ? without_tabs : bytes.data;
    request->moved = bytes.data - data;
    llhttp_errno_t verdict = llhttp_execute(&request->parser, data, size);
    size_t used = size;
    if (verdict == HPE_PAUSED) {
        used = (size_t)(llhttp_get_error_pos(&request->parser) - data);
        llhttp_resume(&request->parser);
    } else if (verdict != HPE_OK) {
        refuse_by_verdict(request, verdict);
    }
    if (head)
        request->head_bytes += used;
    return used;
}

static void check_overhead(struct request *request, size_t used, size_t body_before)
{
    request->body_overhead += used - (request->body_bytes - body_before);
    size_t bound = (size_t)request->config->max_head_bytes + CHUNK_OVERHEAD * request->body_max;
    if (request->body_overhead > bound)
        too_large(request);
}

/* Runs the parser once and checks what it has read. Returns the octets that are done with. */
static size_t advance(struct request *request, struct slice bytes)
{
    bool head = in_head(request);
    size_t body_before = request->body_bytes;
    if (request->phase == PHASE_PROTOCOL)
        check_protocol(request, bytes);
    if (request->phase == PHASE_REFUSED)
        return 0;
    size_t used = run_parser(request, bytes);
    if (used > 0)
        request->last_octet = bytes.data[used - 1];
    if ((request->phase == PHASE_PROTOCOL && request->protocol_seen == 0) ||
        (request->phase == PHASE_LINE && request->last_octet == '\n'))
        check_target(request);
    if (in_head(request))
        check_head_size(request);
    else if (head && request->phase == PHASE_BODY)
        request_check_head(request);
    else if (!head && request->phase != PHASE_REFUSED)
        check_overhead(request, used, body_before);
    return used;
}

enum request_step request_feed(struct request *request, struct slice bytes, size_t *ret_used)
{
    size_t used = 0;
    bool head = in_head(request);
    if (request->phase == PHASE_LEAD) {
        used = skip_empty_lines(request, bytes);
        request->head_bytes = request->lead_bytes += used;
        check_head_size(request);
    }
    while (request->phase < PHASE_DONE && (used < bytes.len || request->phase == PHASE_BODY)) {
        used += advance(request, (struct slice){bytes.data + used, bytes.len - used});
        if (request->phase == PHASE_BODY && (head || used == bytes.len))
            break;
    }
    *ret_used = used;
    if (request->phase == PHASE_REFUSED)
        return REQUEST_REFUSED;
    if (request->phase == PHASE_DONE)
        return REQUEST_DONE;
    return head && request->phase == PHASE_BODY ? REQUEST_HEAD : REQUEST_MORE;
}
