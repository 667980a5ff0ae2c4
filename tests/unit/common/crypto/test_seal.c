/* Secrets at rest and on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/base64url.h"
#include "common/crypto/seal.h"

#define KEY_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define KEY_B "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8"

static char why[256];

static enum err try_load(const char *text, struct seal_keys **ret_keys)
{
    char path[] = "/tmp/test_seal.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    enum err err = seal_keys_load(path, why, ret_keys);
    unlink(path);
    return err;
}

static struct seal_keys *load(const char *text)
{
    struct seal_keys *keys = NULL;
    assert_int_equal(try_load(text, &keys), ERR_OK);
    return keys;
}

static void sealed_by(const char *file, struct buf *out)
{
    struct seal_keys *keys = load(file);
    assert_true(seal_close(keys, SLICE("row 1"), SLICE("whsec_1"), out));
    seal_keys_free(keys);
}

static bool opens(const struct seal_keys *keys, struct slice context, struct slice sealed)
{
    CLEANUP(buf_done) struct buf value;
    buf_init(&value, 1024);
    bool is_open = seal_open(keys, context, sealed, &value);
    assert_true(!is_open || slice_is(buf_slice(&value), "whsec_1"));
    assert_true(is_open || buf_len(&value) == 0);
    return is_open;
}

static void test_seal_when_keys_are_replaced_then_the_old_one_opens_until_it_is_gone(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf old, fresh;
    buf_init(&old, 1024);
    buf_init(&fresh, 1024);
    sealed_by("a " KEY_A "\n", &old);
    sealed_by("# the new one\n\nb " KEY_B "\r\na " KEY_A, &fresh);
    assert_null(memmem(buf_data(&old), buf_len(&old), "whsec", 5));

    struct seal_keys *both = load("b " KEY_B "\na " KEY_A "\n");
    assert_true(opens(both, SLICE("row 1"), buf_slice(&old)));
    assert_true(opens(both, SLICE("row 1"), buf_slice(&fresh)));
    assert_false(seal_is_current(both, buf_slice(&old)));
    assert_true(seal_is_current(both, buf_slice(&fresh)));
    seal_keys_free(both);

    struct seal_keys *only = load("b " KEY_B "\n");
    assert_false(opens(only, SLICE("row 1"), buf_slice(&old)));
    assert_true(opens(only, SLICE("row 1"), buf_slice(&fresh)));
    seal_keys_free(only);

    struct seal_keys *same_id = load("a " KEY_B "\n");
    assert_false(opens(same_id, SLICE("row 1"), buf_slice(&old)));
    seal_keys_free(same_id);
}

static void test_seal_when_the_same_is_sealed_twice_then_nobody_can_tell(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf one, two;
    buf_init(&one, 1024);
    buf_init(&two, 1024);
    sealed_by("a " KEY_A "\n", &one);
    sealed_by("a " KEY_A "\n", &two);
    assert_false(slice_equal(buf_slice(&one), buf_slice(&two)));
}

static void test_open_when_anything_was_changed_cut_or_moved_then_not(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf sealed;
    buf_init(&sealed, 1024);
    sealed_by("a " KEY_A "\n", &sealed);
    struct seal_keys *keys = load("a " KEY_A "\n");
    assert_false(opens(keys, SLICE("row 2"), buf_slice(&sealed)));
    assert_false(opens(keys, SLICE(""), buf_slice(&sealed)));
    for (size_t len = 0; len < buf_len(&sealed); len++)
        assert_false(opens(keys, SLICE("row 1"), (struct slice){buf_data(&sealed), len}));
    for (size_t i = 0; i < buf_len(&sealed); i++) {
        sealed.data[sealed.begin + i] ^= 1;
        assert_false(opens(keys, SLICE("row 1"), buf_slice(&sealed)));
        sealed.data[sealed.begin + i] ^= 1;
    }
    assert_true(opens(keys, SLICE("row 1"), buf_slice(&sealed)));
    seal_keys_free(keys);
}

static void test_keys_when_the_file_is_wrong_then_it_says_where_and_shows_no_key(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "has no key"},
        {"# none\n", "has no key"},
        {"a\n", "Line 1 of"},
        {"a " KEY_A "\na " KEY_B "\n", "Line 2 of"},
        {"a " KEY_A "\n\nb short\n", "Line 3 of"},
        {"a " KEY_A "=\n", "32 octets"},
        {"a  " KEY_A "\n", "32 octets"},
        {"a b " KEY_A "\n", "32 octets"},
        {"an id that is long " KEY_A "\n", "32 octets"},
        {"\xc3\xa9 " KEY_A "\n", "has an id"},
        {"012345678901234567890123456789012 " KEY_A "\n", "has an id"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct seal_keys *keys = NULL;
        assert_int_equal(try_load(cases[i].text, &keys), ERR_BAD_REQUEST);
        assert_null(keys);
        assert_non_null(strstr(why, cases[i].says));
        assert_null(strstr(why, KEY_A));
    }
    struct seal_keys *keys = NULL;
    assert_int_equal(seal_keys_load("/nowhere/keys", why, &keys), ERR_BAD_REQUEST);
    assert_int_equal(seal_keys_load("/dev/zero", why, &keys), ERR_BAD_REQUEST);
}

static void test_box_when_it_is_for_one_then_only_that_one_opens_it_in_its_context(void **state)
{
    (void)state;
    struct seal_keys *keys = load("a " KEY_A "\n");
    struct seal_box one, same, other;
    seal_box_of_key(keys, 0, &one);
    seal_box_of_key(keys, 0, &same);
    seal_box_new(&other);
    assert_memory_equal(one.public_key, same.public_key, SEAL_BOX_KEY_SIZE);
    assert_memory_not_equal(one.private_key, KEY_A, SEAL_BOX_KEY_SIZE);

    CLEANUP(buf_done) struct buf sealed, value;
    buf_init(&sealed, 1024);
    buf_init(&value, 1024);
    assert_true(seal_box_close(one.public_key, SLICE("question 1"), SLICE("secret"), &sealed));
    assert_null(memmem(buf_data(&sealed), buf_len(&sealed), "secret", 6));
    assert_false(seal_box_open(&other, SLICE("question 1"), buf_slice(&sealed), &value));
    assert_false(seal_box_open(&one, SLICE("question 2"), buf_slice(&sealed), &value));
    for (size_t len = 0; len < buf_len(&sealed); len++)
        assert_false(
            seal_box_open(&one, SLICE("question 1"), (struct slice){buf_data(&sealed), len}, &value));
    assert_int_equal(buf_len(&value), 0);
    assert_true(seal_box_open(&same, SLICE("question 1"), buf_slice(&sealed), &value));
    assert_true(slice_is(buf_slice(&value), "secret"));
    seal_keys_free(keys);
}

static void test_seal_when_the_room_is_too_small_then_nothing_is_written(void **state)
{
    (void)state;
    struct seal_keys *keys = load("a " KEY_A "\n");
    CLEANUP(buf_done) struct buf small;
    buf_init(&small, 16);
    assert_false(seal_close(keys, SLICE(""), SLICE("secret"), &small));
    assert_int_equal(buf_len(&small), 0);
    seal_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seal_when_keys_are_replaced_then_the_old_one_opens_until_it_is_gone),
        cmocka_unit_test(test_seal_when_the_same_is_sealed_twice_then_nobody_can_tell),
        cmocka_unit_test(test_open_when_anything_was_changed_cut_or_moved_then_not),
        cmocka_unit_test(test_keys_when_the_file_is_wrong_then_it_says_where_and_shows_no_key),
        cmocka_unit_test(test_box_when_it_is_for_one_then_only_that_one_opens_it_in_its_context),
        cmocka_unit_test(test_seal_when_the_room_is_too_small_then_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
