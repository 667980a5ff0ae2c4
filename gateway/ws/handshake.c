#include "gateway/ws/handshake.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "common/base/network.h"
#include "common/base/origin.h"
#include "gateway/http/cors.h"
#include "gateway/http/field.h"
#include "gateway/net/conn.h"
#include "gateway/ws/deflate.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static bool list_has(struct slice list, struct slice token)
{
    while (list.len > 0)
        if (slice_equal_nocase(field_next(&list, ','), token))
            return true;
    return false;
}

/* True when any header of that name has the token: together they are one list (RFC 9110 5.3). */
static bool header_has(const struct call *call, const char *name, struct slice token)
{
    for (size_t i = 0; i < call->header_count; i++)
        if (slice_equal_nocase(call->headers[i].name, slice_of(name)) &&
            list_has(call->headers[i].value, token))
            return true;
    return false;
}

static size_t header_count(const struct call *call, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < call->header_count; i++)
        count += slice_equal_nocase(call->headers[i].name, slice_of(name));
    return count;
}

/* 16 octets in base64: 22 characters of data, of which the last carries two bits, and two of padding. */
static bool is_key(struct slice key)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (key.len != WS_KEY_LEN || key.data[22] != '=' || key.data[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++)
        if (!memchr(alphabet, key.data[i], sizeof(alphabet) - 1))
            return false;
    return strchr("AQgw", key.data[21]) != NULL;
}

static void add_upgrade_headers(struct call *call)
{
    call_add_header(call, "Upgrade", SLICE("websocket"));
    call_add_header(call, "Sec-WebSocket-Version", SLICE("13"));
}

/* The host that the client asked for. A listed proxy says what it was (X-Forwarded-Host: its first entry is the
 * one that the client sent); from others the field means nothing. */
static struct slice own_host(struct call *call)
{
    struct slice proxies = slice_of(call->gateway->config->proxies);
    for (struct slice entry; (entry = origin_next(&proxies)).data;) {
        struct slice forwarded = call_header_list(call, "x-forwarded-host");
        if (forwarded.data && network_contains(entry, conn_peer(call->conn)))
            return field_next(&forwarded, ',');
    }
    return call_header(call, "host");
}

/* Whether the origin's host and port are those of the gateway. The scheme is not compared: TLS may end at a proxy
 * before us. A port that is the own one of the origin's scheme may be left out. */
static bool is_own(struct call *call, struct slice origin)
{
    char sent[ORIGIN_SIZE], own[ORIGIN_SIZE], url[ORIGIN_SIZE];
    struct slice page = origin_normalize(origin, sent), host = own_host(call);
    if (!page.data || slice_is(page, "null"))
        return false;
    size_t scheme = page.len - origin_authority(page).len;
    int len = snprintf(url, sizeof(url), "%.*s%.*s", (int)scheme, page.data, (int)host.len, host.data);
    return len > 0 && (size_t)len < sizeof(url) &&
           slice_equal(origin_normalize((struct slice){url, (size_t)len}, own), page);
}

/* A browser opens a WebSocket to any site without a CORS preflight and only sends the page's origin (RFC
 * 6455 10.2). Pages of our own host and of the origins that may call the API are allowed. Clients that are
 * no browsers send no Origin. */
bool ws_origin_may(struct call *call)
{
    struct slice origin = call_header(call, "origin");
    return !origin.data || cors_is_allowed(call->gateway->config, origin) || is_own(call, origin);
}

enum err ws_handshake_check(struct call *call, const char **ret_detail)
{
    enum err err = ERR_OK;
    if (call->method != METHOD_GET || call->is_1_0 || !header_has(call, "upgrade", SLICE("websocket")) ||
        !header_has(call, "connection", SLICE("upgrade"))) {
        *ret_detail =
            "This is a WebSocket endpoint: send GET with Connection: Upgrade and Upgrade: websocket.";
        err = ERR_UPGRADE_REQUIRED;
    } else if (!slice_is(call_header(call, "sec-websocket-version"), "13")) {
        *ret_detail = "This server supports version 13 of the WebSocket protocol only.";
        err = ERR_UPGRADE_REQUIRED;
    } else if (header_count(call, "sec-websocket-key") != 1 ||
               !is_key(call_header(call, "sec-websocket-key"))) {
        *ret_detail = "Sec-WebSocket-Key must be sent once and be 16 octets in base64.";
        err = ERR_BAD_REQUEST;
    } else if (!ws_origin_may(call)) {
        *ret_detail = "Pages of this origin are not allowed to connect.";
        err = ERR_FORBIDDEN;
    }
    if (err == ERR_UPGRADE_REQUIRED)
        add_upgrade_headers(call);
    return err;
}

void ws_handshake_accept(struct slice key, char accept[WS_ACCEPT_LEN + 1])
{
    char text[WS_KEY_LEN + sizeof(GUID)];
    unsigned char digest[EVP_MAX_MD_SIZE];
    int len = snprintf(text, sizeof(text), "%.*s" GUID, (int)key.len, key.data);
    if (!EVP_Digest(text, (size_t)len, digest, NULL, EVP_sha1(), NULL))
        abort(); /* OpenSSL was built without SHA-1, and no handshake can work */
    EVP_EncodeBlock((unsigned char *)accept, digest, 20);
}

const char *ws_handshake_subprotocol(const struct call *call)
{
    static const char *const ours[] = {WS_SUBPROTOCOL_JSON, WS_SUBPROTOCOL_PROTOBUF};
    for (size_t i = 0; i < call->header_count; i++) {
        struct slice list = call->headers[i].value;
        if (!slice_equal_nocase(call->headers[i].name, SLICE("sec-websocket-protocol")))
            continue;
        while (list.len > 0) {
            struct slice offered = field_next(&list, ',');
            for (size_t k = 0; k < ARRAY_LEN(ours); k++)
                if (slice_equal_nocase(offered, slice_of(ours[k])))
                    return ours[k];
        }
    }
    return NULL;
}

/* Answers the first header that has an offer which we can accept. */
static bool accept_deflate(const struct call *call, char answer[WS_DEFLATE_ANSWER_MAX])
{
    for (size_t i = 0; i < call->header_count && call->gateway->deflate; i++)
        if (slice_equal_nocase(call->headers[i].name, SLICE("sec-websocket-extensions")) &&
            ws_deflate_accept(call->headers[i].value, answer))
            return true;
    return false;
}

struct slice ws_handshake_lines(struct call *call, bool *ret_deflates)
{
    enum { LINES_MAX = 512 };
    char deflate[WS_DEFLATE_ANSWER_MAX];
    char accept[WS_ACCEPT_LEN + 1];
    ws_handshake_accept(call_header(call, "sec-websocket-key"), accept);
    const char *subprotocol = ws_handshake_subprotocol(call);
    *ret_deflates = accept_deflate(call, deflate);
    char *lines = arena_alloc(&call->arena, LINES_MAX);
    if (!lines)
        return SLICE_NONE;
    int len =
        snprintf(lines, LINES_MAX,
                 "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n%s%s%s%s%s%s",
                 accept, subprotocol ? "Sec-WebSocket-Protocol: " : "", subprotocol ? subprotocol : "",
                 subprotocol ? "\r\n" : "", *ret_deflates ? "Sec-WebSocket-Extensions: " : "",
                 *ret_deflates ? deflate : "", *ret_deflates ? "\r\n" : "");
    return (struct slice){lines, (size_t)len};
}
