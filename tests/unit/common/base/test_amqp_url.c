#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/amqp_url.h"
#include "common/base/macros.h"

static void test_url_when_of_its_form_then_its_parts_and_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *text, *user, *password, *host, *vhost;
        int port, heartbeat_s, timeout_ms;
    } rows[] = {
        {"amqp://", "guest", "guest", "127.0.0.1", "/", 5672, -1, -1},
        {"amqp://host", "guest", "guest", "host", "/", 5672, -1, -1},
        {"AMQP://u:p@host:1/", "u", "p", "host", "/", 1, -1, -1},
        {"amqp://u:p%40%3a@[::1]:5673/a%2Fb", "u", "p@:", "::1", "a/b", 5673, -1, -1},
        {"amqp://u:p@q@host/v", "u", "p@q", "host", "v", 5672, -1, -1},
        {"amqp://host?heartbeat=30", "guest", "guest", "host", "/", 5672, 30, -1},
        {"amqp://host/v?heartbeat=0&connection_timeout=2500", "guest", "guest", "host", "v", 5672, 0, 2500},
        {"amqp://host/?frameMax=8192&channel_max=10&auth_mechanism=PLAIN&locale=en_US&&", "guest", "guest",
         "host", "/", 5672, -1, -1},
        {"amqp://u@host/%2f?blocked_connection_timeout=5", "u", "guest", "host", "/", 5672, -1, -1},
        {"amqp://u@host/?tcp_options=%7B%7D&client_properties=%7B%7D&name=app&reconnect_interval=3", "u",
         "guest", "host", "/", 5672, -1, -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct amqp_url *u = NULL;
        size_t count = 0;
        char why[256] = "";
        if (!amqp_urls_parse(rows[i].text, &u, &count, why))
            fail_msg("%s: %s", rows[i].text, why);
        if (count != 1 || strcmp(u->user, rows[i].user) || strcmp(u->password, rows[i].password) ||
            strcmp(u->host, rows[i].host) || strcmp(u->vhost, rows[i].vhost) || u->port != rows[i].port ||
            u->heartbeat_s != rows[i].heartbeat_s || u->timeout_ms != rows[i].timeout_ms)
            fail_msg("wrong for: %s", rows[i].text);
        amqp_urls_free(u, count);
    }
}

static void test_urls_when_several_then_each_in_order(void **state)
{
    (void)state;
    struct amqp_url *urls = NULL;
    size_t count = 0;
    char why[256];
    assert_true(amqp_urls_parse("amqp://a?heartbeat=3, amqp://b:7/v ,amqp://c", &urls, &count, why));
    assert_int_equal(count, 3);
    assert_string_equal(urls[0].host, "a");
    assert_int_equal(urls[0].heartbeat_s, 3);
    assert_string_equal(urls[1].vhost, "v");
    assert_string_equal(urls[2].host, "c");
    amqp_urls_free(urls, count);
}

static void test_url_when_wrong_then_the_place_and_the_reason_and_no_password(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "character 1: a URL must begin with amqp://"},
        {"rabbit.example:5672", "character 1: a URL must begin"},
        {"amqps://u:secret@host/", "character 1: amqps:// (TLS) is not supported"},
        {"amqp://u:secret@host:port/", "character 22: the port"},
        {"amqp://u:secret@host:99999/", "character 22: the port"},
        {"amqp://u:secret@host:/", "the port"},
        {"amqp://u:secret@host/a/b", "character 23: a / in the virtual host"},
        {"amqp://u:secret@[::1", "[ is not closed"},
        {"amqp://u:sec%zzret@host/", "character 13: %"},
        {"amqp://u:secret@ho st/", "character 19: there is a blank"},
        {"amqp://u:secret@ho^st/", "the host"},
        {"amqp://u:secret@host:5672:5673/", "character 17: the host"},
        {"amqp://u:secret@::1/", "the host"},
        {"amqp://u:se#cret@host/", "character 12: #"},
        {"amqp://u:secret@host/?hartbeat=30", "character 23: there is no such parameter"},
        {"amqp://u:secret@host/?heartbeat=x", "character 33: heartbeat"},
        {"amqp://u:secret@host/?heartbeat", "a parameter must have a value"},
        {"amqp://u:secret@host/?heartbeat=70000", "heartbeat"},
        {"amqp://u:secret@host/?auth_mechanism=external", "plain"},
        {"amqp://u:secret@host/?cacertfile=x", "TLS"},
        {"amqp://u:secret@host/,", "a URL must begin"},
        {"amqp://u:secret@host/,nonsense", "character 23: a URL must begin"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct amqp_url *urls = NULL;
        size_t count = 0;
        char why[256] = "";
        if (amqp_urls_parse(rows[i].text, &urls, &count, why))
            fail_msg("accepted: %s", rows[i].text);
        if (!strstr(why, rows[i].why) || strstr(why, "secret"))
            fail_msg("%s: %s", rows[i].text, why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url_when_of_its_form_then_its_parts_and_defaults),
        cmocka_unit_test(test_urls_when_several_then_each_in_order),
        cmocka_unit_test(test_url_when_wrong_then_the_place_and_the_reason_and_no_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
