/* A call in a thread: `done` comes in the loop, once, and never after the call was abandoned; the work is freed once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common/process/background.h"

struct work {
    struct ev_loop *loop;
    pthread_t loop_thread, run_thread, done_thread;
    int gate[2]; /* `run` waits until it can read a byte */
    atomic_int ran, done, released;
};

static void run(void *arg)
{
    struct work *work = arg;
    char byte;
    assert_int_equal(read(work->gate[0], &byte, 1), 1);
    work->run_thread = pthread_self();
    work->ran++;
}

static void done(void *arg)
{
    struct work *work = arg;
    work->done_thread = pthread_self();
    work->done++;
    ev_break(work->loop, EVBREAK_ALL);
}

static void release(void *arg)
{
    struct work *work = arg;
    work->released++;
}

static const struct background_steps steps = {.run = run, .done = done, .release = release};

static void open_gate(struct work *work)
{
    assert_int_equal(write(work->gate[1], "x", 1), 1);
}

static void work_init(struct work *work)
{
    *work = (struct work){.loop = ev_loop_new(EVFLAG_AUTO), .loop_thread = pthread_self()};
    assert_int_equal(pipe(work->gate), 0);
}

static void work_done(struct work *work)
{
    close(work->gate[0]);
    close(work->gate[1]);
    ev_loop_destroy(work->loop);
}

static void await_release(struct work *work)
{
    for (int i = 0; i < 10000 && work->released == 0; i++)
        usleep(1000);
    assert_int_equal(work->released, 1);
}

static void test_call_when_it_ends_then_done_in_the_loop_and_freed(void **state)
{
    (void)state;
    struct work work;
    work_init(&work);
    assert_non_null(background_start(work.loop, &steps, &work));
    ev_run(work.loop, EVRUN_NOWAIT); /* the loop goes on while the call waits */
    assert_int_equal(work.done, 0);
    open_gate(&work);
    ev_run(work.loop, 0);
    assert_int_equal(work.ran, 1);
    assert_int_equal(work.done, 1);
    assert_int_equal(work.released, 1);
    assert_true(pthread_equal(work.done_thread, work.loop_thread));
    assert_false(pthread_equal(work.run_thread, work.loop_thread));
    work_done(&work);
}

static void test_call_when_abandoned_while_it_runs_then_never_done_and_freed(void **state)
{
    (void)state;
    struct work work;
    work_init(&work);
    struct background *background = background_start(work.loop, &steps, &work);
    assert_non_null(background);
    background_abandon(background);
    open_gate(&work);
    await_release(&work);
    ev_run(work.loop, EVRUN_NOWAIT);
    assert_int_equal(work.ran, 1);
    assert_int_equal(work.done, 0);
    work_done(&work);
}

static void test_call_when_abandoned_after_it_ended_then_never_done_and_freed(void **state)
{
    (void)state;
    struct work work;
    work_init(&work);
    struct background *background = background_start(work.loop, &steps, &work);
    assert_non_null(background);
    open_gate(&work);
    for (int i = 0; i < 10000 && work.ran == 0; i++)
        usleep(1000);
    usleep(20000); /* most often it has woken the loop by now; either way must hold */
    background_abandon(background);
    await_release(&work);
    ev_run(work.loop, EVRUN_NOWAIT);
    assert_int_equal(work.done, 0);
    work_done(&work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call_when_it_ends_then_done_in_the_loop_and_freed),
        cmocka_unit_test(test_call_when_abandoned_while_it_runs_then_never_done_and_freed),
        cmocka_unit_test(test_call_when_abandoned_after_it_ended_then_never_done_and_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
