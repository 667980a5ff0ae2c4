#include "schemas/schemac/lock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/msg/format.h"

enum { WORD_MAX = 255 };
#define WORD "%255s"

static const char *const states[] = {
    [LOCK_REQUIRED] = "required", [LOCK_OPTIONAL] = "optional", [LOCK_RETIRED] = "retired"};

static const char *keep(struct arena *arena, const char *text)
{
    struct slice copy = arena_copy(arena, slice_of(text));
    if (!copy.data)
        abort(); /* cannot happen: the arena of schemac has no limit */
    return copy.data;
}

static void lock_init(struct lock *lock, struct arena *arena)
{
    *lock = (struct lock){.arena = arena};
}

/* The array grows by copies, and the arena keeps the old ones; a lock has only some hundred lines. */
static void add(struct lock *lock, const struct lock_field *field)
{
    if (lock->count == lock->capacity) {
        size_t capacity = lock->capacity ? 2 * lock->capacity : 64;
        struct lock_field *fields = arena_calloc(lock->arena, capacity, sizeof(*fields));
        if (!fields)
            abort();
        if (lock->count)
            memcpy(fields, lock->fields, lock->count * sizeof(*fields));
        lock->fields = fields;
        lock->capacity = capacity;
    }
    lock->fields[lock->count++] = *field;
}

/* Returns the length of the part of a path that names the object: "lines[]." of "lines[].quantity". */
static size_t object_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? (size_t)(dot - path) + 1 : 0;
}

static int compare_objects(const struct lock_field *a, const struct lock_field *b)
{
    size_t a_len = object_part(a->path), b_len = object_part(b->path);
    int order = strcmp(a->message, b->message);
    if (order == 0)
        order = strncmp(a->path, b->path, a_len < b_len ? a_len : b_len);
    return order ? order : (a_len > b_len) - (a_len < b_len);
}

static bool same_object(const struct lock_field *a, const struct lock_field *b)
{
    return compare_objects(a, b) == 0;
}

static int in_order(const void *left, const void *right)
{
    const struct lock_field *a = left, *b = right;
    int order = compare_objects(a, b);
    return order ? order : (a->id > b->id) - (a->id < b->id);
}

static void sort(struct lock *lock)
{
    if (lock->count)
        qsort(lock->fields, lock->count, sizeof(*lock->fields), in_order);
}

static const char *type_text(struct arena *arena, const struct msg_shape *shape)
{
    static const char *const names[] = {
        [MSG_OBJECT] = "object",   [MSG_ARRAY] = "array",   [MSG_STRING] = "string",
        [MSG_INTEGER] = "integer", [MSG_NUMBER] = "number", [MSG_BOOLEAN] = "boolean",
        [MSG_NULL] = "null",       [MSG_ANY] = "any",
    };
    char text[WORD_MAX + 1];
    if (shape->type == MSG_ARRAY)
        snprintf(text, sizeof(text), "array-of-%s", type_text(arena, shape->items));
    else
        snprintf(text, sizeof(text), "%s%s%s", names[shape->type], shape->format ? ":" : "",
                 shape->format ? msg_format_name(shape->format) : "");
    return keep(arena, text);
}

static void add_object(struct lock *lock, const char *message, const char *prefix,
                       const struct msg_object *object);

/* Adds the fields of an object inside of a field, also through arrays of any depth. */
static void add_inner(struct lock *lock, const char *message, const char *path, const struct msg_shape *shape)
{
    char prefix[WORD_MAX + 1];
    if (shape->type == MSG_ARRAY) {
        snprintf(prefix, sizeof(prefix), "%s[]", path);
        add_inner(lock, message, prefix, shape->items);
    } else if (shape->type == MSG_OBJECT) {
        snprintf(prefix, sizeof(prefix), "%s.", path);
        add_object(lock, message, prefix, shape->object);
    }
}

static void add_object(struct lock *lock, const char *message, const char *prefix,
                       const struct msg_object *object)
{
    for (size_t i = 0; i < object->field_count; i++) {
        const struct msg_field *field = &object->fields[i];
        char path[WORD_MAX + 1];
        snprintf(path, sizeof(path), "%s%s", prefix, field->name);
        struct lock_field entry = {.message = keep(lock->arena, message),
                                   .path = keep(lock->arena, path),
                                   .id = field->id,
                                   .type = type_text(lock->arena, &field->shape),
                                   .state = field->required ? LOCK_REQUIRED : LOCK_OPTIONAL};
        add(lock, &entry);
        add_inner(lock, message, path, &field->shape);
    }
}

void lock_from_schemas(struct lock *lock, const struct schema_set *set, struct arena *arena)
{
    lock_init(lock, arena);
    for (size_t i = 0; i < set->message_count; i++)
        add_object(lock, set->messages[i].resource.name, "", set->messages[i].resource.object);
    sort(lock);
}

static bool read_line(struct lock *lock, const char *line)
{
    char message[WORD_MAX + 1], path[WORD_MAX + 1], type[WORD_MAX + 1], state[WORD_MAX + 1];
    struct lock_field field = {.state = LOCK_REQUIRED};
    int used = 0;
    if (sscanf(line, WORD " " WORD " %" SCNu32 " " WORD " " WORD " %n", message, path, &field.id, type, state,
               &used) != 5 ||
        line[used])
        return false;
    while (field.state <= LOCK_RETIRED && strcmp(states[field.state], state) != 0)
        field.state++;
    if (field.state > LOCK_RETIRED)
        return false;
    field.message = keep(lock->arena, message);
    field.path = keep(lock->arena, path);
    field.type = keep(lock->arena, type);
    add(lock, &field);
    return true;
}

static void close_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

enum err lock_read(struct lock *lock, const char *path, struct arena *arena, char why[SCHEMA_WHY_MAX])
{
    CLEANUP(close_file) FILE *file = fopen(path, "r");
    char line[2048];
    lock_init(lock, arena);
    if (!file) {
        snprintf(why, SCHEMA_WHY_MAX, "%s: %s", path, strerror(errno));
        return ERR_NOT_FOUND;
    }
    for (int number = 1; fgets(line, sizeof(line), file); number++) {
        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (!read_line(lock, line)) {
            snprintf(why, SCHEMA_WHY_MAX, "%s:%d: not a line of a lock", path, number);
            return ERR_VALIDATION;
        }
    }
    sort(lock);
    return ERR_OK;
}

enum err lock_write(const struct lock *lock, const char *path, char why[SCHEMA_WHY_MAX])
{
    FILE *file = fopen(path, "w");
    bool ok = file != NULL;
    if (ok) {
        fputs("# Every x-id ever given. Written by `./cortex schemas`; the build compares it with the "
              "schemas.\n"
              "# message field x-id type state\n",
              file);
        for (size_t i = 0; i < lock->count; i++) {
            const struct lock_field *f = &lock->fields[i];
            fprintf(file, "%s %s %" PRIu32 " %s %s\n", f->message, f->path, f->id, f->type, states[f->state]);
        }
        ok = !ferror(file);
        ok = fclose(file) == 0 && ok;
    }
    if (!ok)
        snprintf(why, SCHEMA_WHY_MAX, "%s: %s", path, strerror(errno));
    return ok ? ERR_OK : ERR_INTERNAL;
}

const struct lock_field *lock_with_id(const struct lock *lock, const struct lock_field *like)
{
    for (size_t i = 0; i < lock->count; i++)
        if (lock->fields[i].id == like->id && same_object(&lock->fields[i], like))
            return &lock->fields[i];
    return NULL;
}

static const struct lock_field *with_path(const struct lock *lock, const struct lock_field *like)
{
    for (size_t i = 0; i < lock->count; i++)
        if (lock->fields[i].state != LOCK_RETIRED && strcmp(lock->fields[i].path, like->path) == 0 &&
            strcmp(lock->fields[i].message, like->message) == 0)
            return &lock->fields[i];
    return NULL;
}

static bool has_message(const struct lock *lock, const char *message)
{
    for (size_t i = 0; i < lock->count; i++)
        if (strcmp(lock->fields[i].message, message) == 0)
            return true;
    return false;
}

void lock_retire_missing(struct lock *now, const struct lock *before)
{
    for (size_t i = 0; i < before->count; i++) {
        struct lock_field field = before->fields[i];
        field.state = LOCK_RETIRED;
        if (!lock_with_id(now, &field))
            add(now, &field);
    }
    sort(now);
}

static enum err conflict(char why[SCHEMA_WHY_MAX], const struct lock_field *field, const char *format, ...)
    PRINTF_LIKE(3, 4);
static enum err conflict(char why[SCHEMA_WHY_MAX], const struct lock_field *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len =
        snprintf(why, SCHEMA_WHY_MAX, "%s.%s (x-id %" PRIu32 "): ", field->message, field->path, field->id);
    if (len >= 0 && len < SCHEMA_WHY_MAX)
        vsnprintf(why + len, SCHEMA_WHY_MAX - (size_t)len, format, args);
    va_end(args);
    return ERR_CONFLICT;
}

/* Checks what became of a field that was there before. */
static enum err check_kept(const struct lock_field *old, const struct lock *now, char why[SCHEMA_WHY_MAX])
{
    const struct lock_field *new = lock_with_id(now, old);
    if (!new)
        return conflict(why, old, "its x-id has vanished; it must stay in the lock as retired");
    if (new->state == LOCK_RETIRED)
        return ERR_OK;
    if (old->state == LOCK_RETIRED)
        return conflict(why, new, "this x-id was that of `%s`, which is retired", old->path);
    if (strcmp(old->path, new->path) != 0)
        return conflict(why, new, "this x-id is that of `%s`", old->path);
    if (strcmp(old->type, new->type) != 0)
        return conflict(why, new, "its type was %s and cannot become %s", old->type, new->type);
    if (old->state == LOCK_OPTIONAL && new->state == LOCK_REQUIRED)
        return conflict(why, new,
                        "an optional field cannot become required: messages without it are on their way");
    return ERR_OK;
}

/* Checks whether a field may be new. */
static enum err check_added(const struct lock_field *new, const struct lock *before, char why[SCHEMA_WHY_MAX])
{
    const struct lock_field *namesake = with_path(before, new);
    if (new->state == LOCK_RETIRED)
        return ERR_OK;
    if (namesake && namesake->id != new->id)
        return conflict(why, new, "the field had x-id %" PRIu32, namesake->id);
    if (!namesake && new->state == LOCK_REQUIRED && has_message(before, new->message))
        return conflict(why, new, "a new field cannot be required: messages without it are on their way");
    return ERR_OK;
}

enum err lock_check_compatible(const struct lock *before, const struct lock *now, char why[SCHEMA_WHY_MAX])
{
    enum err err = ERR_OK;
    for (size_t i = 0; !err && i < before->count; i++)
        err = check_kept(&before->fields[i], now, why);
    for (size_t i = 0; !err && i < now->count; i++)
        err = check_added(&now->fields[i], before, why);
    return err;
}

static bool equal(const struct lock_field *a, const struct lock_field *b)
{
    return strcmp(a->path, b->path) == 0 && strcmp(a->type, b->type) == 0 && a->state == b->state;
}

enum err lock_check_current(const struct lock *listed, const struct lock *now, char why[SCHEMA_WHY_MAX])
{
    for (size_t i = 0; i < now->count; i++) {
        const struct lock_field *entry = lock_with_id(listed, &now->fields[i]);
        if (entry && entry->state == LOCK_RETIRED)
            return conflict(why, &now->fields[i], "this x-id was that of `%s`, which is retired",
                            entry->path);
        if (!entry || !equal(entry, &now->fields[i]))
            return conflict(why, &now->fields[i], "the lock does not say so: ./cortex schemas writes it");
    }
    for (size_t i = 0; i < listed->count; i++)
        if (listed->fields[i].state != LOCK_RETIRED && !lock_with_id(now, &listed->fields[i]))
            return conflict(why, &listed->fields[i], "is in the lock only: ./cortex schemas writes it");
    return ERR_OK;
}
