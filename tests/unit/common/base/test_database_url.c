#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/database_url.h"
#include "common/base/macros.h"

static void test_url_when_libpq_takes_it_then_so_do_we(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "postgresql://",
        "postgres://host",
        "postgresql:///name",
        "postgresql://u:p@host:5432/name",
        "postgresql://u:p%40%2f@[::1]:5433/name?sslmode=require&connect_timeout=3",
        "postgresql://u@a:1,b:2,c/name?target_session_attrs=read-write",
        "postgresql://u:p@%2Fvar%2Frun%2Fpostgresql/name",
        "postgresql:///name?host=/tmp/some%20where",
        "postgresql://u:p#?q@host/na@me",
        "host=127.0.0.1 dbname=name password='a b'",
    };
    char why[256];
    for (size_t i = 0; i < ARRAY_LEN(urls); i++)
        if (!database_url_check(urls[i], why))
            fail_msg("%s: %s", urls[i], why);
}

static void test_url_when_wrong_then_the_place_and_the_reason_and_no_password(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"db.example:5432/name", "character 1: a URL must begin with postgresql://"},
        {"mysql://u:secret@host/?a=b", "character 1: a URL must begin with postgresql://"},
        {"postgresql://u:secret@host:port/name", "character 28: the port"},
        {"postgresql://u:secret@host:99999/name", "character 28: the port"},
        {"postgresql://u:secret@a:1,b:x/name", "character 29: the port"},
        {"postgresql://u:secret@[::1/name", "character 23: [ is not closed"},
        {"postgresql://u:sec%zzret@host/name", "character 19: %"},
        {"postgresql://u:secret@host/na%me", "character 30: %"},
        {"postgresql://u:secret@ho st/name", "character 25: there is a blank"},
        {"postgresql://u:sec@ret@host/name", "character 19: an @ in the user or the password"},
        {"postgresql://u:sec/ret@host/name", "character 19: a / in the user or the password"},
        {"postgresql://u:secret@host/name?sslmod=require", "character 33: PostgreSQL's client has no such"},
        {"postgresql://u:secret@host/name?sslmode", "character 33: a parameter must have a value"},
        {"postgresql://u:secret@host/name?options=%", "character 41: %"},
        {"postgresql://u:secret@ho^st/name", "character 23: the host"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char why[256] = "";
        if (database_url_check(rows[i].text, why))
            fail_msg("accepted: %s", rows[i].text);
        if (!strstr(why, rows[i].why) || strstr(why, "sec"))
            fail_msg("%s: %s", rows[i].text, why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url_when_libpq_takes_it_then_so_do_we),
        cmocka_unit_test(test_url_when_wrong_then_the_place_and_the_reason_and_no_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
