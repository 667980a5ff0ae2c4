#include "workers/webhooks/answer.h"

#include <stdio.h>

#include "common/base/utf8.h"
#include "workers/webhooks/schedule.h"

/* ---- words for people ---- */

static void say_why(const struct http_answer *answer, char error[static WEBHOOK_ERROR_SIZE])
{
    if (answer->outcome == HTTP_ANSWERED)
        snprintf(error, WEBHOOK_ERROR_SIZE, "The answer was %d.", answer->status);
    else if (answer->outcome == HTTP_REFUSED)
        snprintf(error, WEBHOOK_ERROR_SIZE, "It is not allowed: %s", answer->why);
    else
        snprintf(error, WEBHOOK_ERROR_SIZE, "%s", answer->why);
    utf8_mend(error);
}

void webhook_append_text(struct buf *out, struct slice text, size_t max)
{
    CLEANUP_FREE char *copy = slice_dup((struct slice){text.data, text.len < max ? text.len : max});
    for (size_t i = 0; i < text.len && i < max; i++)
        if (copy[i] == '\0')
            copy[i] = '?';
    utf8_mend(copy);
    buf_append_json_string(out, slice_of(copy));
}

/* ---- what it means ---- */

static bool says(const struct http_answer *answer, const char *word)
{
    return answer->outcome == HTTP_ANSWERED &&
           slice_equal_nocase(http_answer_header(answer, "webhook-delivery"), slice_of(word));
}

static const char *reason_of(const struct http_answer *answer)
{
    if (says(answer, "disable"))
        return "asked";
    return answer->outcome == HTTP_ANSWERED && answer->status == 410 ? "gone" : NULL;
}

static bool is_slow(const struct http_answer *answer)
{
    return answer->outcome == HTTP_ANSWERED &&
           (answer->status == 429 || answer->status == 502 || answer->status == 504);
}

static double again_s(const struct webhook_attempted *attempt, const struct http_answer *answer)
{
    struct slice after =
        answer->outcome == HTTP_ANSWERED ? http_answer_header(answer, "retry-after") : SLICE_NONE;
    const struct webhook_wish wish = {
        .is_hurried =
            answer->outcome == HTTP_TIMED_OUT || (answer->outcome == HTTP_ANSWERED && answer->status == 429),
        .retry_after_s = after.data ? webhook_retry_after_s(after, attempt->now_s) : -1,
    };
    return attempt->is_asked ? -1 : webhook_again_s(attempt->failed_tries + 1, &wish, attempt->chance);
}

void webhook_judge(const struct webhook_attempted *attempt, const struct http_answer *answer,
                   struct webhook_verdict *v)
{
    *v = (struct webhook_verdict){.again_s = -1, .reason = reason_of(answer)};
    v->is_success = answer->outcome == HTTP_ANSWERED && answer->status >= 200 && answer->status < 300;
    if (v->is_success) {
        v->end = "delivered";
        return;
    }
    say_why(answer, v->error);
    v->is_slow = is_slow(answer);
    if (v->reason || says(answer, "abort-message")) {
        v->end = "failed";
        return;
    }
    v->again_s = again_s(attempt, answer);
    v->end = v->again_s >= 0 || attempt->is_asked ? "retrying" : "exhausted";
}
