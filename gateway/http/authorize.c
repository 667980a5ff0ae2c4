#include "gateway/http/authorize.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "gateway/auth/auth.h"
#include "gateway/auth/revocations.h"
#include "gateway/http/field.h"
#include "gateway/http/router.h"
#include "gateway/limit/addresses.h"
#include "gateway/net/conn.h"

/* Never the token: it may be one that another gateway accepts. */
void authorize_refused(struct conn *conn, const char *why)
{
    struct gateway *gateway = conn_gateway(conn);
    uint64_t count = 0;
    if (addresses_failed(gateway->addresses, conn_address(conn), clock_monotonic_s(), &count))
        log_warn("auth.refused", LOG_S("peer", conn_peer(conn)), LOG_S("why", why ? why : "no reason"),
                 LOG_I("count", count));
}

bool authorize_may_try(const struct conn *conn)
{
    const struct gateway *gateway = conn_gateway(conn);
    return addresses_may_try(gateway->addresses, conn_address(conn), clock_monotonic_s());
}

enum err authorize_token(struct conn *conn, struct slice token, struct identity *ret_identity,
                         const char **ret_why)
{
    struct gateway *gateway = conn_gateway(conn);
    if (!authorize_may_try(conn) && !auth_remembers(gateway->auth, token)) {
        *ret_why = "too many tokens of this address were refused";
        return ERR_TOO_MANY_REQUESTS;
    }
    enum err err = auth_verify(gateway->auth, token, ret_identity, ret_why);
    if (err == ERR_UNAUTHENTICATED)
        authorize_refused(conn, *ret_why);
    return err;
}

enum err authorize_bearer(struct call *call, const char **ret_why)
{
    static const struct slice scheme = {"Bearer", 6};
    struct slice value = SLICE_NONE;
    bool is_one = call_header_once(call, "authorization", &value);
    if (is_one && !value.data)
        return ERR_UNAUTHENTICATED;
    bool is_bearer = is_one && value.len > scheme.len && field_is_blank(value.data[scheme.len]) &&
                     strncasecmp(value.data, scheme.data, scheme.len) == 0;
    struct slice token = is_bearer /* 1*SP (RFC 9110 11.4); some clients send a tab */
                             ? field_trim((struct slice){value.data + scheme.len, value.len - scheme.len})
                             : SLICE("");
    if (token.len == 0) {
        *ret_why = "Authorization is not one bearer token";
        return ERR_UNAUTHENTICATED;
    }
    return authorize_token(call->conn, token, &call->identity, ret_why);
}

enum err authorize_known(struct call *call, const struct identity *identity, const char **ret_why)
{
    struct gateway *gateway = call->gateway;
    const ev_tstamp leeway_s = (ev_tstamp)gateway->config->auth_leeway_ms / 1000.;
    if (!identity)
        *ret_why = "the ticket is not valid, has expired, or was used before";
    else if ((ev_tstamp)identity->expires_at + leeway_s <= ev_now(gateway->loop))
        *ret_why = "the token of the ticket has expired";
    else if (revocations_have(gateway->revocations, identity))
        *ret_why = auth_why_revoked;
    else
        call->identity = *identity;
    if (!*ret_why) {
        conn_set_known(call->conn);
        return authorize_role(call, ret_why);
    }
    authorize_refused(call->conn, *ret_why);
    return ERR_UNAUTHENTICATED;
}

enum err authorize_role(const struct call *call, const char **ret_why)
{
    const uint8_t role = call->identity.role_row;
    if (!route_asks_token(call->route))
        return ERR_OK;
    if (role == MSG_ROLE_UNKNOWN) {
        *ret_why = "there is no such role";
        return ERR_FORBIDDEN;
    }
    if (call->route->access != ACCESS_OPERATOR || role == MSG_ROLE_SUPER_ADMIN)
        return ERR_OK;
    *ret_why = "only operators may do this (role super_admin)";
    return ERR_FORBIDDEN;
}

unsigned authorize_conditions(const struct call *call, const struct msg_resource *resource,
                              enum msg_right right)
{
    return resource->rights[call->identity.role_row][right];
}

bool authorize_right(struct call *call, const struct msg_resource *resource, enum msg_right right)
{
    char why[160];
    if (authorize_conditions(call, resource, right))
        return true;
    snprintf(why, sizeof(why), "Your role does not have the right %s.%s.", resource->name,
             msg_right_name(right));
    call_fail(call, ERR_FORBIDDEN, why);
    return false;
}
