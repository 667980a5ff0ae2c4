#!/bin/sh
# The first service of compose.yaml: random passwords and the token key, made once into the volume that the others mount.
set -eu
umask 022 # containers run as different users; the volume is theirs alone

for name in broker_password database_password gateway_password worker_password token_key; do
    file=/run/secrets/$name
    [ -s "$file" ] && continue
    head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$file.new"
    mv "$file.new" "$file"
done

# The broker reads its first user from its configuration.
cat >/run/secrets/rabbitmq.conf.new <<END
default_user = cortex
default_pass = $(cat /run/secrets/broker_password)
END
mv /run/secrets/rabbitmq.conf.new /run/secrets/rabbitmq.conf
