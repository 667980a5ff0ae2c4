#include "gateway/http/authorize.h"

#include "gateway/auth/auth.h"
#include "gateway/auth/roles.h"
#include "gateway/http/router.h"

enum err authorize_bearer(struct call *call, const char **ret_why)
{
    static const struct slice scheme = {"Bearer ", 7};
    struct slice value = SLICE_NONE;
    bool is_one = call_header_once(call, "authorization", &value);
    if (is_one && !value.data)
        return ERR_UNAUTHENTICATED;
    if (!is_one || value.len <= scheme.len || strncasecmp(value.data, scheme.data, scheme.len) != 0) {
        *ret_why = "Authorization is not one bearer token";
        return ERR_UNAUTHENTICATED;
    }
    struct slice token = {value.data + scheme.len, value.len - scheme.len};
    return auth_verify(call->gateway->auth, token, &call->identity, ret_why);
}

enum err authorize_role(const struct call *call, const char **ret_why)
{
    const char *role = call->identity.role;
    if (call->route->access == ACCESS_PUBLIC)
        return ERR_OK;
    if (!role_is_defined(role)) {
        *ret_why = "there is no such role";
        return ERR_FORBIDDEN;
    }
    if (call->route->access != ACCESS_OPERATOR || strcmp(role, OPERATOR_ROLE) == 0)
        return ERR_OK;
    *ret_why = "only operators may do this (role " OPERATOR_ROLE ")";
    return ERR_FORBIDDEN;
}
