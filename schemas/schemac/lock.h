#pragma once
/* The lock file lists every field that ever had an x-id, one a line. Messages that are already on their way
 * rely on it.
 *
 *   # message field x-id type state
 *   project name 3 string required
 *   project old_field 9 string retired
 *
 * The build refuses schemas that differ from this list. `./cortex schemas` (schemac --update-lock) writes the list
 * again, unless the new schemas would misread messages of the version that was released last. A field of that
 * version that is removed stays in the list as retired, so that its x-id is never used again. A field that was
 * never released leaves no line.
 */

#include "schemas/schemac/compile.h"

enum lock_state { LOCK_REQUIRED, LOCK_OPTIONAL, LOCK_RETIRED };

struct lock_field {
    const char *message; /* name of the resource */
    const char *path;    /* "name", "address.street", "lines[].quantity" */
    uint32_t id;         /* unique among the fields of one object */
    const char *type;    /* "string", "string:uuid", "array of integer"; without a word about null */
    enum lock_state state;
};

struct lock {
    struct arena *arena;
    struct lock_field *fields; /* ordered by message, object and id */
    size_t count, capacity;
};

/* Makes the list that describes the present schemas. */
void lock_from_schemas(struct lock *lock, const struct schema_set *set, struct arena *arena);
/* Reads a lock file. ERR_VALIDATION: `why` names the line. ERR_NOT_FOUND: there is no such file. */
enum err lock_read(struct lock *lock, const char *path, struct arena *arena,
                   char why[SCHEMA_WHY_MAX]) MUST_CHECK;
enum err lock_write(const struct lock *lock, const char *path, char why[SCHEMA_WHY_MAX]) MUST_CHECK;

/* The field that has this x-id in the same object, or NULL. */
const struct lock_field *lock_with_id(const struct lock *lock, const struct lock_field *like);

/* Adds to `now`, as retired, every field that `before` has and `now` lacks. A retired field stays retired. */
void lock_retire_missing(struct lock *now, const struct lock *before);

/* ERR_CONFLICT: a reader of one version could misread messages of the other, because an x-id has another
 * field or type, a retired x-id is in use, a field has another x-id, an x-id has vanished, or a field is
 * required that was not required or not there. */
enum err lock_check_compatible(const struct lock *before, const struct lock *now,
                               char why[SCHEMA_WHY_MAX]) MUST_CHECK;

/* ERR_CONFLICT unless `listed` has exactly the fields of `now`, and retired fields of which none is in
 * use. */
enum err lock_check_current(const struct lock *listed, const struct lock *now,
                            char why[SCHEMA_WHY_MAX]) MUST_CHECK;
