/* Fuzzes what is read of a receiver's answer: the first line is a Retry-After, the rest is its body. */

#include "common/base/utf8.h"
#include "tests/fuzz/must.h"
#include "workers/webhooks/answer.h"
#include "workers/webhooks/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 784111777, TEXT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = xmalloc(size + 1); /* its own memory, so that the sanitizer sees every read past the end */
    memcpy(copy, data, size);
    const char *end = size > 0 ? memchr(copy, '\n', size) : NULL;
    size_t len = end ? (size_t)(end - copy) : size;
    int64_t seconds = webhook_retry_after_s((struct slice){copy, len}, NOW);
    must(seconds >= -1 && seconds <= WEBHOOK_RETRY_AFTER_MAX_S, "it is bounded");
    struct buf out;
    buf_init(&out, TEXT_MAX);
    webhook_append_text(&out, (struct slice){copy + len, size - len}, 1000);
    must(!out.truncated && utf8_valid(buf_slice(&out)), "what is kept is text");
    must(!memchr(buf_data(&out), '\0', buf_len(&out)), "and has no NUL");
    buf_done(&out);
    free(copy);
    return 0;
}
