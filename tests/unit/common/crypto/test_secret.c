/* Secrets in columns of rows: a value opens in its own place alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/crypto/secret.h"

static struct seal_keys *keys_of(const char *lines)
{
    char path[] = "/tmp/test_secret.XXXXXX", why[256] = "";
    struct seal_keys *keys = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, lines, strlen(lines)), strlen(lines));
    close(fd);
    enum err err = seal_keys_load(path, why, &keys);
    (void)unlink(path);
    if (err)
        fail_msg("%s", why);
    return keys;
}

#define OLD "old AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"
#define NEW "new _-ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"

static struct secret_place place_of(const char *table, const char *column, uint8_t company, uint8_t id)
{
    return (struct secret_place){table, column, {{company}}, {{id}}};
}

static void test_open_when_the_place_is_another_then_nothing(void **state)
{
    (void)state;
    const struct secret_place own = place_of("t", "secret", 1, 2), others[] = {
                                                                       place_of("u", "secret", 1, 2),
                                                                       place_of("t", "other", 1, 2),
                                                                       place_of("t", "secret", 3, 2),
                                                                       place_of("t", "secret", 1, 3),
                                                                   };
    struct seal_keys *keys = keys_of(OLD);
    CLEANUP(buf_done) struct buf kept, value;
    buf_init(&kept, 1024);
    buf_init(&value, 1024);
    assert_true(secret_keep(keys, &own, SLICE("whsec_abc"), &kept));
    assert_int_equal(strncmp(buf_data(&kept), "old:", 4), 0);
    assert_null(memmem(buf_data(&kept), buf_len(&kept), "whsec", 5));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(secret_open(keys, &others[i], buf_slice(&kept), &value));
    assert_true(secret_open(keys, &own, buf_slice(&kept), &value));
    assert_true(slice_is(buf_slice(&value), "whsec_abc"));
    seal_keys_free(keys);
}

static void test_open_when_the_key_was_replaced_then_as_long_as_it_is_in_the_file(void **state)
{
    (void)state;
    const struct secret_place place = place_of("t", "secret", 1, 2);
    struct seal_keys *old = keys_of(OLD), *both = keys_of(NEW OLD), *new = keys_of(NEW);
    CLEANUP(buf_done) struct buf kept, anew, value;
    buf_init(&kept, 1024);
    buf_init(&anew, 1024);
    buf_init(&value, 1024);
    assert_true(secret_keep(old, &place, SLICE("s"), &kept));
    assert_true(secret_keep(both, &place, SLICE("s"), &anew));
    assert_int_equal(strncmp(buf_data(&anew), "new:", 4), 0);
    assert_true(secret_open(both, &place, buf_slice(&kept), &value));
    assert_false(secret_open(new, &place, buf_slice(&kept), &value));
    assert_false(secret_open(old, &place, buf_slice(&anew), &value));
    assert_true(secret_open(new, &place, buf_slice(&anew), &value));
    assert_true(slice_is(buf_slice(&value), "ss"));
    seal_keys_free(old);
    seal_keys_free(both);
    seal_keys_free(new);
}

static void test_open_when_the_text_is_changed_or_none_then_nothing(void **state)
{
    (void)state;
    const struct secret_place place = place_of("t", "secret", 1, 2);
    struct seal_keys *keys = keys_of(OLD);
    CLEANUP(buf_done) struct buf kept, value;
    buf_init(&kept, 1024);
    buf_init(&value, 1024);
    assert_true(secret_keep(keys, &place, SLICE("s"), &kept));
    for (size_t len = 0; len < buf_len(&kept); len++)
        assert_false(secret_open(keys, &place, (struct slice){buf_data(&kept), len}, &value));
    for (size_t i = 4; i < buf_len(&kept); i++) {
        char was = kept.data[kept.begin + i];
        kept.data[kept.begin + i] = was == 'A' ? 'B' : 'A';
        assert_false(secret_open(keys, &place, buf_slice(&kept), &value));
        kept.data[kept.begin + i] = was;
    }
    assert_false(secret_open(keys, &place, SLICE_NONE, &value));
    assert_int_equal(buf_len(&value), 0);
    seal_keys_free(keys);
}

static void test_generate_then_prefix_and_base64_and_never_the_same(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf first, second;
    buf_init(&first, 256);
    buf_init(&second, 256);
    assert_true(secret_generate("whsec_", 32, &first));
    assert_true(secret_generate("whsec_", 32, &second));
    assert_int_equal(buf_len(&first), 6 + 44);
    assert_int_equal(strncmp(buf_data(&first), "whsec_", 6), 0);
    assert_false(slice_equal(buf_slice(&first), buf_slice(&second)));
    assert_false(secret_generate("whsec_", 65, &second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_when_the_place_is_another_then_nothing),
        cmocka_unit_test(test_open_when_the_key_was_replaced_then_as_long_as_it_is_in_the_file),
        cmocka_unit_test(test_open_when_the_text_is_changed_or_none_then_nothing),
        cmocka_unit_test(test_generate_then_prefix_and_base64_and_never_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
