#!/bin/sh
# The first service of compose.yaml. It makes random passwords and the token key, once, and gives each other service a volume of its own
# that holds what this service needs and nothing else.
set -eu
cd /run/secrets
umask 022 # containers run as different users; each volume is one service's alone

secret() {
    [ -s "all/$1" ] || {
        head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"all/$1.new"
        mv "all/$1.new" "all/$1"
    }
}

# The keys of clients' secrets: an id and 32 octets in base64url (CORTEX_SECRET_KEYS).
[ -s all/secret_keys ] || {
    printf 'k%s %s\n' "$(date -u +%Y%m%d%H%M%S)" "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')" >all/secret_keys.new
    mv all/secret_keys.new all/secret_keys
}

# give SERVICE SECRET…
give() {
    service=$1
    shift
    for name; do
        secret "$name"
        cp "all/$name" "$service/$name"
    done
}

give database database_password
give migrate database_password gateway_password projects_password webhooks_password
give gateway broker_password gateway_password token_key
give projects broker_password projects_password
give webhooks broker_password webhooks_password secret_keys

# The broker reads its first user from its configuration.
secret broker_password
printf 'default_user = cortex\ndefault_pass = %s\n' "$(cat all/broker_password)" >broker/rabbitmq.conf.new
mv broker/rabbitmq.conf.new broker/rabbitmq.conf
