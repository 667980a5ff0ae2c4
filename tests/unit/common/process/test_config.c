/* Settings, the table of failures, and the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/process/config.h"

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int forget_environment(void **state)
{
    (void)state;
    unsetenv("CORTEX_CONFIG");
    unsetenv("CORTEX_LISTEN");
    unsetenv("CORTEX_MAX_BODY");
    unsetenv("CORTEX_PREFETCH");
    unsetenv("CORTEX_AMQP_URL");
    unsetenv("CORTEX_GOOD_LIFE_MS");
    unsetenv("CORTEX_HEALTHY_AFTER_MS");
    unsetenv("CORTEX_LOG_LEVEL");
    return 0;
}

static void test_load_when_nothing_is_set_then_every_default_is_within_its_bounds(void **state)
{
    (void)state;
    struct config config;
    char why[256] = "";
    assert_int_equal(config_load(&config, why), ERR_OK);
    assert_string_equal(config.listen, "127.0.0.1:8080");
    assert_int_equal(config.max_body_bytes, 256 * 1024);
    config_done(&config);
}

static void test_load_when_file_and_environment_differ_then_the_environment_wins(void **state)
{
    (void)state;
    struct config config;
    char why[256] = "", path[] = "/tmp/cortex-config-XXXXXX";
    assert_true(mkstemp(path) >= 0);
    write_file(path, "# comment\n\n CORTEX_LISTEN = 127.0.0.1:1 \nCORTEX_MAX_BODY=2m\n");
    setenv("CORTEX_CONFIG", path, 1);
    setenv("CORTEX_LISTEN", "127.0.0.1:2", 1);
    assert_int_equal(config_load(&config, why), ERR_OK);
    assert_string_equal(config.listen, "127.0.0.1:2");
    assert_int_equal(config.max_body_bytes, 2 * 1024 * 1024);
    config_done(&config);
    unlink(path);
}

static void assert_refused(const char *name, const char *value, const char *sentence)
{
    struct config config;
    char why[256] = "";
    setenv(name, value, 1);
    assert_int_equal(config_load(&config, why), ERR_BAD_REQUEST);
    assert_string_equal(why, sentence);
    unsetenv(name);
}

static void test_load_when_a_value_is_wrong_then_a_sentence_names_it(void **state)
{
    (void)state;
    assert_refused("CORTEX_PREFETCH", "many", "CORTEX_PREFETCH=many is not a number (the environment).");
    assert_refused("CORTEX_PREFETCH", "0",
                   "CORTEX_PREFETCH=0 must lie between 1 and 65535 (the environment).");
    assert_refused("CORTEX_PREFETCH", "12k", "CORTEX_PREFETCH=12k is not a number (the environment).");
    assert_refused("CORTEX_MAX_BODY", "9t",
                   "CORTEX_MAX_BODY=9t is not a number of bytes (such as 16k or 1m) (the environment).");
    assert_refused("CORTEX_MAX_BODY", "9223372036854775807g",
                   "CORTEX_MAX_BODY=9223372036854775807g is not a number of bytes (such as 16k or 1m) (the "
                   "environment).");
    assert_refused("CORTEX_CONFIG", "/nowhere",
                   "CORTEX_CONFIG=/nowhere cannot be read: No such file or directory.");
}

static void test_load_when_a_url_is_wrong_then_the_setting_the_place_and_the_reason(void **state)
{
    (void)state;
    assert_refused("CORTEX_AMQP_URL", "amqp://u:secret@host/?hartbeat=30",
                   "CORTEX_AMQP_URL, character 23: there is no such parameter; heartbeat (seconds) and "
                   "connection_timeout (milliseconds) have a meaning "
                   "(amqp://user:password@host:port/vhost?heartbeat=30).");
    assert_refused("CORTEX_DATABASE_URL", "postgresql://u:secret@host:x/name",
                   "CORTEX_DATABASE_URL, character 28: the port must be a number from 1 to 65535 "
                   "(postgresql://user:password@host:port/name).");
    assert_refused("CORTEX_READ_DATABASE_URL", "host",
                   "CORTEX_READ_DATABASE_URL, character 1: a URL must begin with postgresql:// "
                   "(postgresql://user:password@host:port/name).");
}

static void test_load_when_the_file_has_an_unknown_name_then_its_line_is_named(void **state)
{
    (void)state;
    struct config config;
    char why[256] = "", path[] = "/tmp/cortex-config-XXXXXX";
    assert_true(mkstemp(path) >= 0);
    write_file(path, "\xef\xbb\xbf" /* as some editors begin a file */
                     "CORTEX_LISTEN=127.0.0.1:1\nCortex_Listn=x\n");
    setenv("CORTEX_CONFIG", path, 1);
    assert_int_equal(config_load(&config, why), ERR_BAD_REQUEST);
    assert_non_null(strstr(why, "line 2: there is no setting Cortex_Listn; the nearest is CORTEX_LISTEN."));
    unlink(path);
}

static void test_check_when_several_settings_are_wrong_then_each_has_a_line_with_its_place(void **state)
{
    (void)state;
    struct config config;
    char text[2048] = "", path[] = "/tmp/cortex-config-XXXXXX";
    assert_true(mkstemp(path) >= 0);
    write_file(path, "CORTEX_PREFETCH=many\nCORTEX_SOMETHING_ELSE=1\nnothing\nCORTEX_DRAIN_MS=1\n");
    setenv("CORTEX_CONFIG", path, 1);
    setenv("CORTEX_MAX_BODY", "9t", 1);
    setenv("CORTEX_DATABSE_URL", "postgresql://a/b", 1);
    setenv("CORTEX_ANOTHER_PROGRAM", "x", 1);
    FILE *out = fmemopen(text, sizeof(text), "w");
    assert_int_equal(config_check(&config, out), ERR_BAD_REQUEST);
    fclose(out);
    assert_non_null(strstr(text, "CORTEX_PREFETCH=many is not a number (/tmp/cortex-config-"));
    assert_non_null(strstr(text, " line 1).\n"));
    assert_non_null(strstr(text, " line 2: there is no setting CORTEX_SOMETHING_ELSE.\n"));
    assert_non_null(strstr(text, " line 3 is not NAME=value.\n"));
    assert_non_null(strstr(text, "CORTEX_MAX_BODY=9t is not a number of bytes"));
    assert_non_null(strstr(
        text, "no setting CORTEX_DATABSE_URL (the environment); the nearest is CORTEX_DATABASE_URL.\n"));
    assert_null(strstr(text, "ANOTHER_PROGRAM"));
    unsetenv("CORTEX_DATABSE_URL");
    unsetenv("CORTEX_ANOTHER_PROGRAM");
    unlink(path);
}

static void test_print_when_there_are_secrets_then_they_are_hidden(void **state)
{
    (void)state;
    struct config config;
    char why[256], *text = NULL;
    size_t size = 0;
    setenv("CORTEX_AMQP_URL", "amqp://user:hunter2@host/", 1);
    assert_int_equal(config_load(&config, why), ERR_OK);
    FILE *out = open_memstream(&text, &size);
    config_print(&config, out);
    config_print_help(out);
    fclose(out);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "CORTEX_AMQP_URL=***"));
    free(text);
    config_done(&config);
}

/* Returns the warnings that a process logs at its start. */
static void log_of_warnings(const struct config *config, char text[4096])
{
    char path[] = "/tmp/cortex-log-XXXXXX";
    int file = mkstemp(path), saved = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
    config_warn_renamed(config);
    dup2(saved, STDERR_FILENO);
    ssize_t len = pread(file, text, 4095, 0);
    close(file);
    close(saved);
    unlink(path);
    assert_in_range(len, 0, 4095);
    text[len] = '\0';
}

static void test_load_when_an_old_name_is_set_then_it_works_and_one_warning_names_both(void **state)
{
    (void)state;
    struct config config;
    char why[256] = "", path[] = "/tmp/cortex-config-XXXXXX", log[4096];
    assert_true(mkstemp(path) >= 0);
    write_file(path, "CORTEX_GOOD_LIFE_MS=70\n");
    setenv("CORTEX_CONFIG", path, 1);
    assert_int_equal(config_load(&config, why), ERR_OK);
    assert_int_equal(config.healthy_after_ms, 70);
    config_done(&config);
    setenv("CORTEX_GOOD_LIFE_MS", "80", 1); /* the environment is above the file, for an old name too */
    assert_int_equal(config_load(&config, why), ERR_OK);
    assert_int_equal(config.healthy_after_ms, 80);
    log_of_warnings(&config, log);
    assert_non_null(strstr(log, "\"old\":\"CORTEX_GOOD_LIFE_MS\",\"new\":\"CORTEX_HEALTHY_AFTER_MS\""));
    assert_ptr_equal(strchr(log, '\n'), log + strlen(log) - 1);
    config_done(&config);
    unlink(path);
}

static void test_load_when_old_and_new_name_are_set_then_the_new_one_wins(void **state)
{
    (void)state;
    struct config config;
    char why[256] = "", path[] = "/tmp/cortex-config-XXXXXX", log[4096];
    assert_true(mkstemp(path) >= 0);
    write_file(path, "CORTEX_HEALTHY_AFTER_MS=90\nCORTEX_GOOD_LIFE_MS=70\n");
    setenv("CORTEX_CONFIG", path, 1);
    setenv("CORTEX_GOOD_LIFE_MS", "80", 1);
    assert_int_equal(config_load(&config, why), ERR_OK);
    assert_int_equal(config.healthy_after_ms, 90);
    log_of_warnings(&config, log);
    assert_non_null(strstr(log, "CORTEX_GOOD_LIFE_MS"));
    config_done(&config);
    write_file(path, "CORTEX_GOOD_LIFE_MS=70\n");
    setenv("CORTEX_HEALTHY_AFTER_MS", "95", 1);
    assert_int_equal(config_load(&config, why), ERR_OK);
    assert_int_equal(config.healthy_after_ms, 95);
    config_done(&config);
    unlink(path);
}

static void test_load_when_an_origin_or_a_proxy_can_match_nothing_then_it_is_named(void **state)
{
    (void)state;
    static const char *const bad_origins[] = {"app.example",
                                              "https://app.example/path",
                                              "https://*.example",
                                              "https://",
                                              "https://user@app.example",
                                              "https://app.example:x",
                                              "https://b\xc3\xbc"
                                              "cher.example",
                                              "file:///",
                                              "file://host",
                                              "wss://app.example",
                                              "javascript://app.example",
                                              "https://127.1",
                                              "https://0x7f.1:8080",
                                              "https://256.1.1.1",
                                              "https://1.2.3.4.",
                                              ", ,",
                                              "https://a b.example"};
    static const char *const good_origins[] = {"",
                                               "*",
                                               "https://app.example",
                                               "HTTPS://App.Example:443/, http://localhost:3000",
                                               "capacitor://localhost null",
                                               "https://127.0.0.1:3000 https://1.2.3.x https://0xa.example",
                                               "tauri://1.2 https://app.example.",
                                               "http://[::1]:8080"};
    static const char *const bad_proxies[] = {"10.0.0.0/33", "10.0.0",    "proxy.example",
                                              "::1/129",     "10.0.0.0/", "1.2.3.4/x"};
    struct config config;
    char why[256];
    for (size_t i = 0; i < ARRAY_LEN(bad_origins); i++) {
        setenv("CORTEX_CORS_ORIGINS", bad_origins[i], 1);
        if (config_load(&config, why) != ERR_BAD_REQUEST || !strstr(why, "CORTEX_CORS_ORIGINS"))
            fail_msg("accepted: %s", bad_origins[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(good_origins); i++) {
        setenv("CORTEX_CORS_ORIGINS", good_origins[i], 1);
        if (config_load(&config, why))
            fail_msg("refused: %s", why);
        config_done(&config);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad_proxies); i++) {
        setenv("CORTEX_PROXIES", bad_proxies[i], 1);
        if (config_load(&config, why) != ERR_BAD_REQUEST || !strstr(why, "CORTEX_PROXIES"))
            fail_msg("accepted: %s", bad_proxies[i]);
    }
    setenv("CORTEX_PROXIES", "10.0.0.0/8, ::1 fd00::/8", 1);
    assert_int_equal(config_load(&config, why), ERR_OK);
    config_done(&config);
    unsetenv("CORTEX_PROXIES");
    for (size_t i = 0; i < ARRAY_LEN(bad_proxies); i++) {
        setenv("CORTEX_WEBHOOK_ALLOW", bad_proxies[i], 1);
        assert_int_equal(config_load(&config, why), ERR_BAD_REQUEST);
        assert_non_null(strstr(why, "CORTEX_WEBHOOK_ALLOW"));
    }
    unsetenv("CORTEX_WEBHOOK_ALLOW");
    unsetenv("CORTEX_CORS_ORIGINS");
}

static void test_load_when_the_log_level_is_unknown_then_it_says_which_there_are(void **state)
{
    (void)state;
    struct config config;
    char why[256] = "";
    setenv("CORTEX_LOG_LEVEL", "loud", 1);
    assert_int_equal(config_load(&config, why), ERR_BAD_REQUEST);
    assert_string_equal(why, "CORTEX_LOG_LEVEL=loud must be debug, info, warn or error.");
    setenv("CORTEX_LOG_LEVEL", "warn", 1);
    assert_int_equal(config_load(&config, why), ERR_OK);
    assert_int_equal(config_log_level(&config), LOG_WARN);
    config_done(&config);
}

static void test_load_when_only_new_names_are_set_then_nothing_is_logged(void **state)
{
    (void)state;
    struct config config;
    char why[256] = "", log[4096];
    setenv("CORTEX_HEALTHY_AFTER_MS", "95", 1);
    assert_int_equal(config_load(&config, why), ERR_OK);
    log_of_warnings(&config, log);
    assert_string_equal(log, "");
    config_done(&config);
}

static void test_load_when_an_old_name_has_a_bad_value_then_the_sentence_names_it_as_written(void **state)
{
    (void)state;
    assert_refused("CORTEX_GOOD_LIFE_MS", "soon",
                   "CORTEX_GOOD_LIFE_MS=soon is not a number (the environment).");
}

static void test_page_when_printed_then_each_setting_has_a_row_below_a_heading(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    config_print_page(out);
    fclose(out);
    const char *heading = strstr(text, "\n## Every process\n"),
               *row = strstr(text, "\n| `CORTEX_AMQP_URL` |");
    assert_true(heading && row && heading < row);
    assert_non_null(strstr(text, "| `16k` | bytes, 256 to 1048576 |"));
    assert_non_null(strstr(text, "Old name: `CORTEX_GOOD_LIFE_MS`. |\n"));
    free(text);
}

static void test_err_when_asked_by_slug_then_the_same_row(void **state)
{
    (void)state;
    for (int e = 0; e < ERR_COUNT; e++) {
        const struct err_info *info = err_info((enum err)e);
        assert_int_equal(err_from_slug(info->slug, strlen(info->slug)), e);
        assert_in_range(info->http_status, 200, 599);
    }
    assert_string_equal(err_info(ERR_VERSION_CONFLICT)->slug, "version-conflict");
    assert_int_equal(err_from_slug("nonsense", 8), ERR_INTERNAL);
    assert_int_equal(err_info((enum err)999)->http_status, 500);
}

static void test_log_when_a_field_is_too_long_then_the_line_is_still_json(void **state)
{
    (void)state;
    static char huge[8192];
    memset(huge, 'x', sizeof(huge) - 1);
    char path[] = "/tmp/cortex-log-XXXXXX", line[8192];
    int file = mkstemp(path), saved = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
    log_error("test.event", LOG_S("huge", huge), LOG_I("kept", -7), LOG_S("absent", NULL),
              LOG_S("quote", "a\"b\n"));
    dup2(saved, STDERR_FILENO);
    ssize_t len = pread(file, line, sizeof(line), 0);
    close(file);
    close(saved);
    unlink(path);
    assert_in_range(len, 1, 4096);
    json_t *json = json_loadb(line, (size_t)len, 0, NULL);
    assert_non_null(json);
    assert_null(json_object_get(json, "huge"));
    assert_int_equal(json_integer_value(json_object_get(json, "kept")), -7);
    assert_string_equal(json_string_value(json_object_get(json, "quote")), "a\"b\n");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_load_when_nothing_is_set_then_every_default_is_within_its_bounds,
                               forget_environment),
        cmocka_unit_test_setup(test_load_when_file_and_environment_differ_then_the_environment_wins,
                               forget_environment),
        cmocka_unit_test_setup(test_load_when_a_value_is_wrong_then_a_sentence_names_it, forget_environment),
        cmocka_unit_test_setup(test_load_when_a_url_is_wrong_then_the_setting_the_place_and_the_reason,
                               forget_environment),
        cmocka_unit_test_setup(test_load_when_the_file_has_an_unknown_name_then_its_line_is_named,
                               forget_environment),
        cmocka_unit_test_setup(test_check_when_several_settings_are_wrong_then_each_has_a_line_with_its_place,
                               forget_environment),
        cmocka_unit_test_setup(test_print_when_there_are_secrets_then_they_are_hidden, forget_environment),
        cmocka_unit_test_setup(test_load_when_an_old_name_is_set_then_it_works_and_one_warning_names_both,
                               forget_environment),
        cmocka_unit_test_setup(test_load_when_old_and_new_name_are_set_then_the_new_one_wins,
                               forget_environment),
        cmocka_unit_test_setup(test_load_when_only_new_names_are_set_then_nothing_is_logged,
                               forget_environment),
        cmocka_unit_test(test_load_when_an_origin_or_a_proxy_can_match_nothing_then_it_is_named),
        cmocka_unit_test_setup(test_load_when_the_log_level_is_unknown_then_it_says_which_there_are,
                               forget_environment),
        cmocka_unit_test_setup(
            test_load_when_an_old_name_has_a_bad_value_then_the_sentence_names_it_as_written,
            forget_environment),
        cmocka_unit_test(test_page_when_printed_then_each_setting_has_a_row_below_a_heading),
        cmocka_unit_test(test_err_when_asked_by_slug_then_the_same_row),
        cmocka_unit_test(test_log_when_a_field_is_too_long_then_the_line_is_still_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
