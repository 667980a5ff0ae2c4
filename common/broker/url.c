#include "common/broker/private.h"

static bool parse_one(char *text, struct broker_url *ret_url)
{
    struct amqp_connection_info info;
    if (amqp_parse_url(text, &info) != AMQP_STATUS_OK || info.ssl)
        return false;
    *ret_url = (struct broker_url){
        .text = text,
        .host = info.host,
        .user = info.user,
        .password = info.password,
        .vhost = info.vhost[0] ? info.vhost : "/", /* people who write "amqp://host/" mean "/" */
        .port = info.port,
    };
    return true;
}

bool broker_urls_parse(const char *text, struct broker_url **ret_urls, size_t *ret_count)
{
    struct broker_url *urls = NULL;
    size_t count = 0;
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        urls = xrealloc(urls, (count + 1) * sizeof(*urls));
        char *copy = xmalloc(len + 1);
        memcpy(copy, at, len);
        copy[len] = '\0';
        if (!parse_one(copy, &urls[count])) {
            free(copy);
            broker_urls_free(urls, count);
            return false;
        }
        count++;
        at += len;
        if (!*at)
            break;
    }
    *ret_urls = urls;
    *ret_count = count;
    return true;
}

void broker_urls_free(struct broker_url *urls, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(urls[i].text);
    free(urls);
}
