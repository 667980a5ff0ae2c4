/* Fuzzes the headers by which webhooks are signed: the first octet chooses the type, lines that follow are its headers, the
 * rest is the body. What is signed by the key that nobody has must never be found right. */

#include "gateway/hooks/signature.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES = 3 };

struct lines {
    struct slice lines[LINES];
    size_t next;
};

/* Whatever header is asked for, it is the next line. */
static struct slice next_line(void *arg, const char *name)
{
    struct lines *lines = arg;
    (void)name;
    return lines->lines[lines->next++ % LINES];
}

static struct slice take_line(struct slice *rest)
{
    const char *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->data) : rest->len, used = end ? len + 1 : len;
    struct slice line = {rest->data, len};
    *rest = (struct slice){rest->data + used, rest->len - used};
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char key[] = "a key of thirty-two octets, or so";
    if (size == 0)
        return 0;
    char *copy = xmalloc(size);
    memcpy(copy, data + 1, size - 1);
    struct slice rest = {copy, size - 1};
    struct lines lines = {0};
    for (size_t i = 0; i < LINES; i++)
        lines.lines[i] = take_line(&rest);
    struct hook_signing signing = {.type = data[0] % HOOK_TYPES,
                                   .hash = (enum mac_hash)(data[0] / HOOK_TYPES % 3),
                                   .is_base64 = data[0] & 128,
                                   .signature_header = "x",
                                   .prefix = data[0] & 64 ? "p=" : NULL,
                                   .timestamp_header = data[0] & 32 ? "t" : NULL};
    const struct hook_request request = {
        .header = next_line, .arg = &lines, .body = rest, .now_s = 1700000000};
    must(!hook_is_signed(&signing, &request), "nobody has signed without a secret");
    signing.secrets[0] = SLICE(key);
    must(!hook_is_signed(&signing, &request) || memmem(data, size, key, 8) || memmem(data, size, "YSBrZX", 6),
         "nobody has signed who does not have the key");
    free(copy);
    return 0;
}
