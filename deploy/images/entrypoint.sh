#!/bin/sh
# Puts the passwords, which compose mounts as files, into the addresses of the servers, then becomes the program.
# BROKER_PASSWORD_FILE holds the password of the user BROKER_LOGIN at the broker. DATABASE_LOGIN and DATABASE_PASSWORD_FILE are a login of the
# database.
set -eu

if [ -n "${BROKER_PASSWORD_FILE:-}" ]; then
    CORTEX_AMQP_URL="amqp://$BROKER_LOGIN:$(cat "$BROKER_PASSWORD_FILE")@${BROKER_HOST:-broker}:5672/"
    export CORTEX_AMQP_URL
fi
if [ -n "${DATABASE_PASSWORD_FILE:-}" ]; then
    CORTEX_DATABASE_URL="postgresql://$DATABASE_LOGIN:$(cat "$DATABASE_PASSWORD_FILE")@${DATABASE_HOST:-database}:5432/cortex"
    export CORTEX_DATABASE_URL
fi
exec "$@"
