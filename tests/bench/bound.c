#include "tests/bench/bound.h"

#include <err.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bound_parcel.h"
#include "tests/bench/bound_wire.h"
#include "tests/bench/flags.h"

static void parse(int argc, char **argv, struct bound_options *o)
{
    const struct flag flags[] = {
        {"amqp", "URL", "RabbitMQ (CORTEX_AMQP_URL, which others cannot read off the command line)",
         .text = &o->amqp_url},
        {"database", "URL", "PostgreSQL, with the migrations applied (CORTEX_DATABASE_URL)",
         .text = &o->database_url},
        {"role", "ROLE", "taken after connecting", .text = &o->database_role},
        {"in-flight", "N", "operations at a time (64)", .number = &o->in_flight},
        {"rate", "N", "operations per second at fixed times, instead of a fixed number at a time",
         .number = &o->rate},
        {"parcel", "N", "commands or events in one message, at most (64)", .number = &o->parcel},
        {"duration", "SECONDS", "what is measured (10)", .number = &o->duration_s},
        {"warmup", "SECONDS", "before that, not counted (2)", .number = &o->warmup_s},
        {"json", NULL, "a line of JSON as the report", .on = &o->json},
        {.name = NULL},
    };
    flags_parse(argc, argv, flags,
                "bound: the bare chain of a create, without HTTP and checks: what the servers allow.");
    if (!o->amqp_url || !o->database_url || o->in_flight == 0 || o->duration_s == 0)
        errx(2, "--amqp, --database, --in-flight and --duration must say something; --help explains");
    if (o->parcel < 1 || o->parcel > BOUND_PARCEL_RECORDS)
        errx(2, "--parcel must be from 1 to %d", BOUND_PARCEL_RECORDS);
}

static pid_t start_worker(const struct bound_options *options)
{
    int ready[2];
    if (pipe(ready))
        err(1, "pipe");
    pid_t pid = fork();
    if (pid < 0)
        err(1, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ready[0]);
        bound_worker(options, ready[1]);
        exit(0);
    }
    close(ready[1]);
    char octet;
    if (read(ready[0], &octet, 1) != 1)
        errx(1, "the worker did not start");
    close(ready[0]);
    return pid;
}

void bound_forget_queue(struct wire *wire)
{
    amqp_queue_delete(wire->connection, WIRE_CHANNEL, amqp_cstring_bytes(BOUND_QUEUE), 0, 0);
    wire_must(wire, "queue.delete");
}

static void forget(const struct bound_options *options)
{
    struct wire *wire = xcalloc(1, sizeof(*wire));
    wire_open(wire, options->amqp_url);
    bound_forget_queue(wire);
    wire_done(wire);
    free(wire);
}

int main(int argc, char **argv)
{
    struct bound_options options = {.amqp_url = getenv("CORTEX_AMQP_URL"),
                                    .database_url = getenv("CORTEX_DATABASE_URL"),
                                    .in_flight = 64,
                                    .parcel = BOUND_PARCEL_RECORDS,
                                    .duration_s = 10,
                                    .warmup_s = 2};
    parse(argc, argv, &options);
    pid_t worker = start_worker(&options);
    bound_publisher(&options);
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    forget(&options);
    return 0;
}
