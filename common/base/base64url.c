#include "common/base/base64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

bool base64url_decode(struct slice text, char *out, size_t size, size_t *ret_len)
{
    uint32_t bits = 0;
    unsigned int count = 0; /* of bits in hand */
    size_t len = 0;
    if (text.len % 4 == 1)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.data[i]);
        if (value < 0)
            return false;
        bits = (bits << 6 | (uint32_t)value) & 0xffff;
        count += 6;
        if (count < 8)
            continue;
        if (len == size)
            return false;
        count -= 8;
        out[len++] = (char)(bits >> count & 0xff);
    }
    if (bits & ((1u << count) - 1))
        return false;
    *ret_len = len;
    return true;
}

bool base64url_append(struct buf *out, struct slice bytes)
{
    size_t len = (bytes.len * 4 + 2) / 3;
    if (len == 0)
        return true;
    char *at = buf_reserve(out, len);
    if (!at)
        return false;
    uint32_t bits = 0;
    unsigned int count = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        bits = (bits << 8 | (uint8_t)bytes.data[i]) & 0xffff;
        for (count += 8; count >= 6;) {
            count -= 6;
            *at++ = alphabet[bits >> count & 63];
        }
    }
    if (count > 0)
        *at++ = alphabet[bits << (6 - count) & 63];
    buf_commit(out, len);
    return true;
}
