/* A command that comes again and again while the database is migrated takes effect once: from the schema before
 * retention had its table, to the newest one. */

#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/workers/engine/worker_fixture.h"

enum { BEFORE = 16 }; /* schemas/sql/0017_retention.sql comes next */

#define DATABASE "cortex_test_migration_beside"

static void run_shell(const char *format, ...) PRINTF_LIKE(1, 2);
static void run_shell(const char *format, ...)
{
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    assert_int_equal(system(command), 0);
}

/* Makes a database with the schema of then, and makes it that of this test. */
static int make_database(void **state)
{
    char url[1024];
    const char *slash = strrchr(test_url(), '/'), *parameters = strchr(slash, '?');
    (void)state;
    snprintf(url, sizeof(url), "%.*s/" DATABASE "%s", (int)(slash - test_url()), test_url(),
             parameters ? parameters : "");
    run_shell("psql -qX '%s' -c 'DROP DATABASE IF EXISTS " DATABASE "' -c 'CREATE DATABASE " DATABASE
              "' 2>&1",
              test_url());
    setenv("CORTEX_TEST_DATABASE_URL", url, 1);
    run_shell(
        "folder=$(mktemp -d) && mkdir -p $folder/deploy/local/lib $folder/schemas/sql $folder/common/db &&"
        " cp deploy/local/migrate.sh $folder/deploy/local/ && cp deploy/local/lib/session.sh"
        " $folder/deploy/local/lib/ && cp common/db/session.def $folder/common/db/ &&"
        " for n in $(seq -f %%04g 1 %d); do cp schemas/sql/${n}_*.sql $folder/schemas/sql/ || exit 1; done &&"
        " CORTEX_DATABASE_URL='%s' $folder/deploy/local/migrate.sh && rm -r $folder",
        BEFORE, url);
    return 0;
}

static pid_t migrate(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(apply_migrations() == 0 ? 0 : 1);
    return pid;
}

/* What a worker of then has left of the command: one of today needs columns that come later. */
static void record(const struct engine *e, const struct request *request)
{
    struct buf body;
    char id[UUID_TEXT_LEN + 1], company[UUID_TEXT_LEN + 1], user[UUID_TEXT_LEN + 1];
    buf_init(&body, 1 << 20);
    struct envelope envelope = make_envelope(e, request, &body);
    uuid_format(&envelope.id, id);
    uuid_format(&envelope.company, company);
    uuid_format(&envelope.actor, user);
    ask_sqlf(
        "WITH made AS (INSERT INTO project (company_id, id, number, name)"
        " VALUES ('%s', '%s', 'PRJ-2026-0001', 'Bridge') RETURNING *),"
        " result AS (INSERT INTO inbox (company_id, command_id, fingerprint, status, http_status, seq, at)"
        " SELECT company_id, id, %lld, 'ok', 201, 1, now() FROM made),"
        " event AS (INSERT INTO events (company_id, seq, at, command_id, type, subject, actor, version, data)"
        " SELECT company_id, 1, now(), id, 'project.created', id, '%s', 1, to_json(made) FROM made)"
        " UPDATE company_sequence AS s SET seq = 1 FROM made WHERE s.company_id = made.company_id",
        company, id, (long long)envelope.fingerprint, user);
    buf_done(&body);
}

static void test_command_when_it_comes_again_during_the_migration_takes_effect_once(void **state)
{
    engine_role = "cortex_worker";
    struct engine *e = engine_new();
    const struct request request = {
        .type = "project.create", .json = "{\"name\":\"Bridge\"}", .id = uuid_v7()};
    int status, repeats = 0;
    (void)state;
    record(e, &request);
    assert_int_equal(atoi(ask_sqlf("SELECT max(version) FROM schema_migration")), BEFORE);
    pid_t pid = migrate();
    for (; waitpid(pid, &status, WNOHANG) == 0; repeats++) {
        struct command *again = run_request(e, &request);
        if (again->outcome == COMMAND_DONE) /* else it comes back: the migration holds a table */
            assert_int_equal(again->finding, FINDING_REPLAY);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(repeats > 0);
    assert_int_equal(run_request(e, &request)->finding, FINDING_REPLAY);
    assert_string_equal(
        ask_sqlf("SELECT (SELECT count(*) FROM project) || ' ' || (SELECT count(*) FROM events) || ' ' ||"
                 " (SELECT count(*) FROM inbox) || ' ' || (SELECT count(*) FROM dead_letter)"),
        "1 1 1 0");
    assert_true(atoi(ask_sqlf("SELECT max(version) FROM schema_migration")) > BEFORE);
    engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_when_it_comes_again_during_the_migration_takes_effect_once),
    };
    return cmocka_run_group_tests(tests, make_database, NULL);
}
