#include "tests/bench/histogram.h"

enum { SUB_COUNT = 1 << HISTOGRAM_SUB_BITS };

/* Values below 64 have a bucket each; above, the six bits after the leading one pick the bucket. */
static size_t bucket_of(uint64_t us)
{
    if (us < SUB_COUNT)
        return (size_t)us;
    unsigned shift = 63U - (unsigned)__builtin_clzll(us) - HISTOGRAM_SUB_BITS;
    size_t bucket = ((size_t)shift << HISTOGRAM_SUB_BITS) + (size_t)(us >> shift);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t end_of(size_t bucket)
{
    if (bucket < SUB_COUNT)
        return bucket;
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t leading = (bucket & (SUB_COUNT - 1)) | SUB_COUNT;
    return ((leading + 1) << shift) - 1;
}

void histogram_record(struct histogram *h, int64_t us)
{
    uint64_t value = us > 0 ? (uint64_t)us : 0;
    h->count++;
    h->buckets[bucket_of(value)]++;
    if (value > h->max)
        h->max = value;
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
    uint64_t wanted = (uint64_t)((double)h->count * percent / 100.0 + 0.5);
    if (wanted == 0)
        wanted = 1;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= wanted)
            return end_of(i) < h->max ? end_of(i) : h->max;
    }
    return 0;
}

static const struct {
    const char *name, *title;
    double percent;
} shown[] = {
    {"p50_us", "p50", 50}, {"p90_us", "p90", 90},      {"p95_us", "p95", 95},
    {"p99_us", "p99", 99}, {"p999_us", "p99.9", 99.9}, {"max_us", "max", 100},
};

void histogram_print_json(const struct histogram *h, FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        fprintf(out, "%s\"%s\":%llu", i ? "," : "", shown[i].name,
                (unsigned long long)histogram_percentile(h, shown[i].percent));
}

void histogram_print_text(const struct histogram *h, FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        fprintf(out, "%s%s %.2f ms", i ? "  " : "", shown[i].title,
                (double)histogram_percentile(h, shown[i].percent) / 1000.0);
}
