#include "gateway/http/authorize.h"

#include "gateway/auth/auth.h"
#include "gateway/http/router.h"

enum err authorize_bearer(struct call *call, const char **ret_why)
{
    static const struct slice scheme = {"Bearer ", 7};
    struct slice value = call_header(call, "authorization");
    size_t repeated = 0;
    for (size_t i = 0; i < call->header_count; i++)
        repeated += slice_equal_nocase(call->headers[i].name, SLICE("authorization"));
    if (!value.data)
        return ERR_UNAUTHENTICATED;
    if (repeated > 1 || value.len <= scheme.len || strncasecmp(value.data, scheme.data, scheme.len) != 0) {
        *ret_why = "Authorization is not one bearer token";
        return ERR_UNAUTHENTICATED;
    }
    struct slice token = {value.data + scheme.len, value.len - scheme.len};
    return auth_verify(call->gateway->auth, token, &call->identity, ret_why);
}

enum err authorize_role(const struct call *call, const char **ret_why)
{
    if (call->route->access != ACCESS_OPERATOR || strcmp(call->identity.role, OPERATOR_ROLE) == 0)
        return ERR_OK;
    *ret_why = "this is for operators (role " OPERATOR_ROLE ")";
    return ERR_FORBIDDEN;
}
