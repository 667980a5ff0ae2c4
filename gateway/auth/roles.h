#pragma once
/* The roles that there are. What each may do is said by the schemas (x-roles) and by the table of routes. */

#include <stdbool.h>

#define OPERATOR_ROLE "super_admin"

/* A token with another role says who somebody is, and lets nobody do anything. */
bool role_is_defined(const char *role);

/* All roles, separated by commas, for people. */
const char *role_list(void);

/* Whether the role sees what others of the company have sent. */
bool role_sees_the_company(const char *role);
