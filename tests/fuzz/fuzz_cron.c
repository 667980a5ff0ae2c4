/* Fuzzes cron expressions and zone files: the first octet chooses, the rest is the text. An expression that is accepted must give times of
 * which each is later than the one before, in any zone whose file is accepted. */

#include "common/time/cron.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COMES_MAX = 20 };

static struct time_zone *berlin;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    must(time_zone_open(SLICE("Europe/Berlin"), &berlin) == ERR_OK, "Berlin is a zone");
    return 0;
}

static void come(const struct cron *cron, const struct time_zone *zone)
{
    int64_t at = 1800000000;
    for (int i = 0; i < COMES_MAX && at != INT64_MAX; i++) {
        int64_t next = cron_next(cron, zone, at);
        must(next > at, "it comes later");
        must(next == INT64_MAX || cron_next(cron, zone, next - 1) == next,
             "it comes then, whenever one asks");
        at = next;
    }
}

static void try_cron(struct slice text)
{
    struct cron cron;
    char why[CRON_WHY_SIZE] = "";
    if (cron_parse(text, &cron, why))
        must(why[0] != '\0', "what is refused is told why");
    else
        come(&cron, berlin);
}

static void try_zone(struct slice contents)
{
    struct time_zone *zone = NULL;
    if (time_zone_read(contents, &zone))
        return;
    struct time_span span = {.end_s = INT64_MIN + 1};
    for (int i = 0; i < 1000 && span.end_s != INT64_MAX; i++) {
        int64_t at = i == 0 ? 0 : span.end_s;
        if (at > INT64_C(1) << 40 || at < -(INT64_C(1) << 40))
            break;
        span = time_zone_at(zone, at);
        must(span.end_s > at, "a span ends after it begins");
    }
    time_zone_free(zone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *copy = xmalloc(size); /* of exactly its size, so that the sanitizer sees every read past the end */
    memcpy(copy, data + 1, size - 1);
    if (data[0] & 1)
        try_zone((struct slice){copy, size - 1});
    else
        try_cron((struct slice){copy, size - 1});
    free(copy);
    return 0;
}
