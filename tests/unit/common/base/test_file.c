#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/file.h"

/* Whoever waits is ended by SIGALRM, and the test fails. */
enum { PATIENCE_S = 20 };

static char folder[] = "/tmp/cortex-file-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    alarm(PATIENCE_S);
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/file", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    alarm(0);
    (void)unlink(path);
    return rmdir(folder);
}

static void test_file_when_it_is_regular_then_it_is_read_also_through_a_link(void **state)
{
    (void)state;
    char target[80], text[8] = "";
    snprintf(target, sizeof(target), "%s.target", path);
    FILE *file = fopen(target, "w");
    assert_non_null(file);
    assert_true(fputs("text", file) > 0 && fclose(file) == 0);
    assert_int_equal(symlink(target, path), 0); /* as Kubernetes mounts a secret */
    file = file_open(path);
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof(text), file), 4);
    assert_string_equal(text, "text");
    assert_int_equal(fclose(file), 0);
    assert_int_equal(unlink(target), 0);
}

static void test_file_when_it_is_a_fifo_or_a_folder_or_missing_then_it_is_refused_at_once(void **state)
{
    (void)state;
    assert_null(file_open(path));
    assert_int_equal(errno, ENOENT);
    assert_null(file_open(folder));
    assert_int_equal(errno, EINVAL);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(file_open(path));
    assert_int_equal(errno, EINVAL);
    assert_null(file_open("/dev/ptmx"));
    assert_int_equal(errno, EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_file_when_it_is_regular_then_it_is_read_also_through_a_link,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_file_when_it_is_a_fifo_or_a_folder_or_missing_then_it_is_refused_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
