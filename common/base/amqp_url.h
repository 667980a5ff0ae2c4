#pragma once
/* URLs of RabbitMQ (its "URI specification" and "URI query parameters"). No I/O. */

#include <stdbool.h>
#include <stddef.h>

/* amqp://user:password@host:port/vhost?heartbeat=30. What is left out is guest, guest, 127.0.0.1, 5672 and "/". */
struct amqp_url {
    char *text; /* owns the texts below */
    const char *host, *user, *password, *vhost;
    int port;
    int heartbeat_s; /* -1: not given */
    int timeout_ms;  /* of one attempt to connect; -1: not given */
};

/* Reads one or more URLs, separated by commas and blanks. On failure `why` gets the place, as a number of characters
 * from the beginning, and the reason; nothing of the text, which has a password in it. */
bool amqp_urls_parse(const char *text, struct amqp_url **ret_urls, size_t *ret_count, char why[256]);
void amqp_urls_free(struct amqp_url *urls, size_t count);
