/* schemac compiles schema files to C tables, guards their x-ids, and prints tables for migrations. */

#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>

#include "schemas/schemac/compile.h"
#include "schemas/schemac/emit.h"
#include "schemas/schemac/lock.h"
#include "schemas/schemac/migration.h"
#include "schemas/schemac/sums.h"

static const char usage[] =
    "usage: schemac --generate FOLDER OUTPUT.c       write the tables of the schemas in FOLDER, unless they\n"
    "                                                differ from FOLDER/fields.lock\n"
    "       schemac --check-compatible OLD NEW       check that processes with the schemas OLD and NEW can "
    "run\n"
    "                                                side by side; each is a folder or a lock file\n"
    "       schemac --update-lock FOLDER [RELEASED]  write FOLDER/fields.lock, unless the schemas would "
    "misread\n"
    "                                                messages that the lock file RELEASED describes (its "
    "own, "
    "when\n"
    "                                                none is given); an x-id that is not in it, and in no "
    "schema,\n"
    "                                                is taken back\n"
    "       schemac --migration FOLDER/NAME.json     print the table of the resource, as a migration to be "
    "reviewed\n"
    "       schemac --sums FOLDER                    print columns and triggers of all sums (x-sum), as a "
    "migration\n"
    "                                                to be reviewed\n"
    "       schemac --check-sums FOLDER              print the query that recomputes all sums from scratch\n";

struct run {
    struct arena arena;
    char why[SCHEMA_WHY_MAX];
};

static char *lock_path(struct run *run, const char *folder)
{
    size_t size = strlen(folder) + sizeof("/fields.lock");
    char *path = arena_alloc(&run->arena, size);
    if (!path)
        abort(); /* cannot happen: the arena has no limit */
    snprintf(path, size, "%s/fields.lock", folder);
    return path;
}

/* The lock of a folder may be missing: then no x-id is promised yet. */
static enum err read_lock_of(struct run *run, const char *folder, struct lock *ret_lock)
{
    enum err err = lock_read(ret_lock, lock_path(run, folder), &run->arena, run->why);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err generate(struct run *run, const char *folder, const char *output)
{
    struct schema_set set;
    struct lock now, listed;
    enum err err = schema_set_load(&set, folder, run->why);
    if (err)
        return err;
    lock_from_schemas(&now, &set, &run->arena);
    err = read_lock_of(run, folder, &listed);
    if (!err)
        err = lock_check_current(&listed, &now, run->why);
    if (!err)
        err = emit_tables(&set, output, run->why);
    schema_set_done(&set);
    return err;
}

/* Reads the schemas of a folder, and as retired the fields that only `released` has; that is the folder's own lock
 * when `path` is NULL. */
static enum err read_folder(struct run *run, const char *folder, const char *path, struct lock *ret_now,
                            struct lock *ret_released)
{
    struct schema_set set;
    enum err err = schema_set_load(&set, folder, run->why);
    if (err)
        return err;
    lock_from_schemas(ret_now, &set, &run->arena);
    schema_set_done(&set);
    err =
        path ? lock_read(ret_released, path, &run->arena, run->why) : read_lock_of(run, folder, ret_released);
    if (!err)
        lock_retire_missing(ret_now, ret_released);
    return err;
}

static enum err read_either(struct run *run, const char *path, struct lock *ret_lock)
{
    struct stat about;
    struct lock listed;
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return read_folder(run, path, NULL, ret_lock, &listed);
    return lock_read(ret_lock, path, &run->arena, run->why);
}

static enum err check_compatible(struct run *run, const char *old_path, const char *new_path)
{
    struct lock before, now;
    enum err err = read_either(run, old_path, &before);
    if (!err)
        err = read_either(run, new_path, &now);
    return err ? err : lock_check_compatible(&before, &now, run->why);
}

/* Says what becomes of fields that the lock listed and that are in no schema any more. */
static void print_gone(const struct lock *listed, const struct lock *now)
{
    for (size_t i = 0; i < listed->count; i++) {
        const struct lock_field *old = &listed->fields[i], *new = lock_with_id(now, old);
        if (!new || (new->state != LOCK_RETIRED &&strcmp(new->path, old->path) != 0))
            printf("%s.%s is taken back (x-id %u)\n", old->message, old->path, old->id);
        else if (new->state == LOCK_RETIRED && old->state != LOCK_RETIRED)
            printf("%s.%s is retired (x-id %u)\n", old->message, old->path, old->id);
    }
}

static enum err update_lock(struct run *run, const char *folder, const char *released_path)
{
    struct lock now, listed, released;
    enum err err = read_folder(run, folder, released_path, &now, &released);
    if (!err)
        err = read_lock_of(run, folder, &listed);
    if (!err)
        err = lock_check_compatible(&released, &now, run->why);
    if (!err)
        err = lock_write(&now, lock_path(run, folder), run->why);
    if (!err)
        print_gone(&listed, &now);
    return err;
}

static enum err print_migration(struct run *run, const char *path, const char *unused)
{
    (void)unused;
    struct schema_set set;
    CLEANUP_FREE char *folder = xstrdup(path), *file = xstrdup(path);
    enum err err = schema_set_load(&set, dirname(folder), run->why);
    if (err)
        return err;
    const struct schema_message *found = NULL;
    for (size_t i = 0; i < set.message_count; i++)
        if (!set.messages[i].is_request && strcmp(set.messages[i].file, basename(file)) == 0)
            found = &set.messages[i];
    if (found)
        migration_print(stdout, &set, found);
    else
        snprintf(run->why, sizeof(run->why), "%s is not the schema of a resource", path);
    schema_set_done(&set);
    return found ? ERR_OK : ERR_NOT_FOUND;
}

static enum err print_of_all(struct run *run, const char *folder,
                             void (*print)(FILE *out, struct schema_set *set))
{
    struct schema_set set;
    enum err err = schema_set_load(&set, folder, run->why);
    if (err)
        return err;
    print(stdout, &set);
    schema_set_done(&set);
    return ERR_OK;
}

static enum err print_sums(struct run *run, const char *folder, const char *unused)
{
    (void)unused;
    return print_of_all(run, folder, sums_print_migration);
}

static enum err print_check(struct run *run, const char *folder, const char *unused)
{
    (void)unused;
    return print_of_all(run, folder, sums_print_check);
}

static const struct {
    const char *option;
    int arguments;
    enum err (*run)(struct run *run, const char *first, const char *second);
} commands[] = {
    {"--generate", 2, generate},         {"--check-compatible", 2, check_compatible},
    {"--update-lock", 1, update_lock},   {"--update-lock", 2, update_lock},
    {"--migration", 1, print_migration}, {"--sums", 1, print_sums},
    {"--check-sums", 1, print_check},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++) {
        if (strcmp(argv[1], commands[i].option) != 0 || argc != 2 + commands[i].arguments)
            continue;
        struct run run = {0};
        arena_init(&run.arena, 65536, 0);
        enum err err = commands[i].run(&run, argv[2], argc > 3 ? argv[3] : NULL);
        if (err)
            fprintf(stderr, "schemac: %s\n", run.why);
        arena_done(&run.arena);
        return err ? 1 : 0;
    }
    fputs(usage, stderr);
    return 2;
}
