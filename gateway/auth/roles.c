#include "gateway/auth/roles.h"

#include <stddef.h>
#include <string.h>

#include "common/base/macros.h"

/* As in the table app_user (schemas/sql/0002_company.sql). */
static const char *const roles[] = {
    OPERATOR_ROLE, "company_admin", "project_manager", "supervisor", "operative", "developer",
};

bool role_is_defined(const char *role)
{
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (strcmp(roles[i], role) == 0)
            return true;
    return false;
}

const char *role_list(void)
{
    return OPERATOR_ROLE ", company_admin, project_manager, supervisor, operative and developer";
}

bool role_sees_the_company(const char *role)
{
    return strcmp(role, OPERATOR_ROLE) == 0 || strcmp(role, "company_admin") == 0;
}
