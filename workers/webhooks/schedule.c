#include "workers/webhooks/schedule.h"

#include <stdio.h>
#include <time.h>

enum { DATE_SIZE = 64, HURRIED_S = 60, SPREAD_PERCENT = 20 };

/* After the first failure, the second, … */
static const int64_t waits_s[WEBHOOK_TRIES - 1] = {5,     5 * 60,    30 * 60,   2 * 3600, 5 * 3600,
                                                   36000, 14 * 3600, 20 * 3600, 86400};

double webhook_again_s(int64_t failed, const struct webhook_wish *wish, double chance)
{
    if (failed < 1 || failed >= WEBHOOK_TRIES)
        return -1;
    double wait = (double)waits_s[failed - 1] * (1 + (2 * chance - 1) * SPREAD_PERCENT / 100);
    if (wish->is_hurried && wait < HURRIED_S)
        wait = HURRIED_S;
    return wait < (double)wish->retry_after_s ? (double)wish->retry_after_s : wait;
}

static int64_t bounded(int64_t seconds)
{
    return seconds < 0 ? 0 : seconds < WEBHOOK_RETRY_AFTER_MAX_S ? seconds : WEBHOOK_RETRY_AFTER_MAX_S;
}

static bool read_seconds(struct slice text, int64_t *ret_s)
{
    int64_t seconds = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        seconds = bounded(10 * seconds + (text.data[i] - '0'));
    }
    *ret_s = seconds;
    return text.len > 0;
}

/* The two forms after the first are obsolete, and have to be read. */
static bool read_date(struct slice text, int64_t *ret_at)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %d %H:%M:%S %Y"};
    char date[DATE_SIZE];
    if (text.len == 0 || text.len >= sizeof(date) || memchr(text.data, '\0', text.len))
        return false;
    snprintf(date, sizeof(date), "%.*s", (int)text.len, text.data);
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct tm at = {0};
        const char *end = strptime(date, forms[i], &at);
        if (end && !*end) {
            *ret_at = timegm(&at);
            return true;
        }
    }
    return false;
}

int64_t webhook_retry_after_s(struct slice text, int64_t now_s)
{
    int64_t value;
    if (read_seconds(text, &value))
        return value;
    return read_date(text, &value) ? bounded(value - now_s) : -1;
}
