#pragma once
/* What has been promised to messages already on their way: every field that ever had an x-id, one line each.
 *
 *   # message field x-id type state
 *   project name 3 string required
 *   project old_field 9 string retired
 *
 * The build refuses schemas that this list does not describe; `schemac --update-lock` describes them anew,
 * unless they break the promise. A field that goes is kept as retired, so that its x-id is never given again.
 */

#include "schemas/schemac/compile.h"

enum lock_state { LOCK_REQUIRED, LOCK_OPTIONAL, LOCK_RETIRED };

struct lock_field {
    const char *message; /* name of the resource */
    const char *path;    /* "name", "address.street", "lines[].quantity" */
    uint32_t id;         /* unique among the fields of one object */
    const char *type;    /* "string", "string:uuid", "array of integer"; null does not show */
    enum lock_state state;
};

struct lock {
    struct arena *arena;
    struct lock_field *fields; /* in order of message, object and id */
    size_t count, capacity;
};

/* What the schemas say now. */
void lock_from_schemas(struct lock *lock, const struct schema_set *set, struct arena *arena);
/* ERR_VALIDATION with the line in `why`; ERR_NOT_FOUND when there is no such file. */
enum err lock_read(struct lock *lock, const char *path, struct arena *arena,
                   char why[SCHEMA_WHY_MAX]) MUST_CHECK;
enum err lock_write(const struct lock *lock, const char *path, char why[SCHEMA_WHY_MAX]) MUST_CHECK;

/* What `before` has and `now` has not becomes retired in `now`; what was retired stays so. */
void lock_retire_missing(struct lock *now, const struct lock *before);

/* ERR_CONFLICT when messages of the old and the new could misread each other: an x-id with another field or
 * type, a retired x-id in use, a field with another x-id, a vanished x-id, a required field that was not
 * required or not there. */
enum err lock_check_compatible(const struct lock *before, const struct lock *now,
                               char why[SCHEMA_WHY_MAX]) MUST_CHECK;

/* ERR_CONFLICT unless `listed` is exactly `now` (and what is retired, of which nothing may be in use). */
enum err lock_check_current(const struct lock *listed, const struct lock *now,
                            char why[SCHEMA_WHY_MAX]) MUST_CHECK;
