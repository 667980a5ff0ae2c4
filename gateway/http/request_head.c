/* Checks a head as a whole, beyond the grammar of the parser: the fields that decide where the message ends
 * and for whom it is. */

#include "common/base/authority.h"
#include "gateway/http/request_private.h"

struct head_facts {
    size_t hosts, transfer_encodings;
    bool host_malformed, not_chunked, unknown_expectation;
};

static void look_at_host(struct request *request, struct head_facts *facts, struct slice value)
{
    (void)request;
    facts->hosts++;
    facts->host_malformed = facts->host_malformed || (value.len > 0 && !authority_is_valid(value));
}

static void look_at_transfer_encoding(struct request *request, struct head_facts *facts, struct slice value)
{
    (void)request;
    facts->transfer_encodings++;
    facts->not_chunked = facts->not_chunked || !slice_equal_nocase(value, SLICE("chunked"));
}

static void look_at_expect(struct request *request, struct head_facts *facts, struct slice value)
{
    if (request_is_1_0(request))
        return; /* RFC 9110 10.1.1: ignored */
    if (slice_equal_nocase(value, SLICE("100-continue")))
        request->expects_continue = true;
    else
        facts->unknown_expectation = true;
}

static const struct {
    struct slice name;
    void (*look)(struct request *request, struct head_facts *facts, struct slice value);
} framing_fields[] = {
    {{"host", 4}, look_at_host},
    {{"transfer-encoding", 17}, look_at_transfer_encoding},
    {{"expect", 6}, look_at_expect},
};

/* Cuts the white space after a value, which the parser leaves there. */
static void trim(struct request *request, struct request_field *field)
{
    const char *value = buf_data(&request->text) + field->value_at;
    while (field->value_len > 0 &&
           (value[field->value_len - 1] == ' ' || value[field->value_len - 1] == '\t'))
        field->value_len--;
}

int request_check_head(struct request *request)
{
    struct head_facts facts = {0};
    for (size_t i = 0; i < request->field_count; i++) {
        trim(request, &request->fields[i]);
        struct slice name = request_name(request, i);
        for (size_t j = 0; j < ARRAY_LEN(framing_fields); j++)
            if (slice_equal_nocase(name, framing_fields[j].name))
                framing_fields[j].look(request, &facts, request_value(request, i));
    }
    const llhttp_t *parser = &request->parser;
    if (parser->http_major != 1)
        return request_refuse(request, ERR_VERSION_UNSUPPORTED, NULL);
    if (facts.hosts == 0 && !request_is_1_0(request))
        return request_refuse(request, ERR_BAD_REQUEST, "Host is missing");
    if (facts.hosts > 1)
        return request_refuse(request, ERR_BAD_REQUEST, "Host is repeated");
    if (facts.host_malformed)
        return request_refuse(request, ERR_BAD_REQUEST, "Host is malformed");
    if (facts.transfer_encodings > 0 && request_is_1_0(request))
        return request_refuse(request, ERR_BAD_REQUEST, "Transfer-Encoding has no meaning in HTTP/1.0");
    if (facts.transfer_encodings > 1 || facts.not_chunked)
        return request_refuse(request, ERR_NOT_IMPLEMENTED, "the only transfer coding is chunked");
    if (facts.unknown_expectation)
        return request_refuse(request, ERR_EXPECTATION_FAILED, "the only expectation is 100-continue");
    if (!(parser->flags & F_CHUNKED) && parser->content_length > request->body_max)
        return request_refuse(request, ERR_BODY_TOO_LARGE, NULL);
    request->keep_alive = llhttp_should_keep_alive(parser) != 0;
    return HPE_OK;
}
