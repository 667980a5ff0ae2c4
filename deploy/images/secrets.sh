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
# Those of inbound webhooks, with which gateways check signatures, are a file of their own (CORTEX_HOOK_KEYS).
for keys in secret_keys hook_keys; do
    [ -s "all/$keys" ] || {
        printf 'k%s %s\n' "$(date -u +%Y%m%d%H%M%S)" "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')" >"all/$keys.new"
        mv "all/$keys.new" "all/$keys"
    }
done

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
give queues broker_password gateway_password token_key
give gateway broker_cortex_gateway gateway_password token_key hook_keys
give projects broker_cortex_projects projects_password
give webhooks broker_cortex_webhooks webhooks_password secret_keys hook_keys

# The broker has its users, their rights and the exchanges from a file, at each start.
# shellcheck disable=SC2034 # for broker_users.sh
BROKER_FILES=/broker
. /broker_users.sh
broker_password() {
    case $1 in
    cortex) cat all/broker_password ;;
    *) cat "all/broker_$1" ;;
    esac
}
broker_definitions / >broker/definitions.json.new
mv broker/definitions.json.new broker/definitions.json
printf 'load_definitions = /run/secrets/definitions.json\n' >broker/rabbitmq.conf.new
mv broker/rabbitmq.conf.new broker/rabbitmq.conf
