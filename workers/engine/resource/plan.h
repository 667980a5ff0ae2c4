#pragma once
/* What a command of a resource does, as a whole: what the schema says (x-rules, x-reference, x-compute, x-number)
 * and, behind it, what is written in C. */

#include "workers/engine/resource/resource.h"

/* The texts in it are those of the schema and of `written`, which must outlive it. Free it with
 * resource_plan_free. */
struct resource_plan *resource_plan_whole(const struct msg_resource *resource,
                                          const struct resource_plan *written);
void resource_plan_free(struct resource_plan *plan);
