#!/usr/bin/env bash
# up: build and start everything on this machine; run it again after a change
#
# What runs already as it should is left alone. CORTEX_AMQP_URL and CORTEX_DATABASE_URL name servers to use instead of private ones;
# CORTEX_LISTEN is the gateway's address:port (127.0.0.1:8080). Settings are kept for the next `up`, and NAME= forgets one.
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"
. "$here/lib/operator.sh"
[ $# -eq 0 ] || die "up takes no arguments; settings come from the environment (see deploy/operating.md)"

all_running() {
    local part
    for part in "${PARTS[@]}"; do
        is_running "$part" || return 1
    done
    gateway_is_ready
}

start_servers() {
    if own_broker; then
        is_running broker || step "starting a private RabbitMQ"
        broker_start
        broker_update
        ! broker_is_clustered || broker_grow
    else
        step "using the RabbitMQ of CORTEX_AMQP_URL"
    fi
    if own_database; then
        is_running database || step "starting a private PostgreSQL"
        database_start
    else
        step "using the PostgreSQL of CORTEX_DATABASE_URL"
    fi
}

migrate() {
    local url=${SETTING[CORTEX_DATABASE_URL]:-}
    ! own_database || url=$(database_url)
    CORTEX_DATABASE_URL=$url "$here/migrate.sh" 2>&1 | to_log migrate ||
        part_failed migrate "could not bring the database up to date"
    ! own_database || database_logins
}

# Queues of another shape, as a version before ours declared them, are refused to every process. Those that are empty are replaced, when
# the processes that use them have stopped.
replace_queues() {
    local queue part full
    queues_of_another_shape
    [ ${#OTHER_SHAPES[@]} -gt 0 ] || return 0
    own_broker || die "the broker of CORTEX_AMQP_URL has queues of another shape: ${OTHER_SHAPES[*]}; delete them there when they are" \
        "empty and no process of the version before runs (deploy/operating.md, \"Queues of another shape\"); nothing was stopped"
    full=$(not_empty "${OTHER_SHAPES[@]}") || die "RabbitMQ does not say whether its queues are empty; nothing was stopped"
    [ -z "$full" ] || die "these queues have another shape and are not empty: $full; let the version before empty" \
        "them, or see deploy/operating.md, \"Queues of another shape\"; nothing was stopped"
    for part in "${PARTS[@]}"; do
        stop_process "$part" TERM 30
    done
    full=$(not_empty "${OTHER_SHAPES[@]}") || die "RabbitMQ does not say whether its queues are empty; ./cortex up tries again"
    [ -z "$full" ] || die "these queues have another shape and are not empty any more: $full; ./cortex up tries again"
    for queue in "${OTHER_SHAPES[@]}"; do
        step "replacing the empty queue $queue, which has another shape"
        broker_ctl delete_queue "$queue" >/dev/null
    done
}

start_processes() {
    local part
    for part in "${PARTS[@]}"; do
        process_start "$part"
    done
    process_ready gateway 60 gateway_has_settled
    gateway_is_ready || die "gateway: $(gateway_why)"
    for part in "${PARTS[@]}"; do
        [ "$part" = gateway ] || process_ready "$part" 60 pool_is_ready "$part"
    done
}

explain_token() {
    if own_database; then
        printf 'A token for the demo company (./cortex token prints a new one):\n  '
        issue_token --company "$DEMO_COMPANY" --role company_admin --user "$DEMO_ADMIN"
    else
        printf 'The database is that of CORTEX_DATABASE_URL, and holds no demo company. A token for one of its own:\n'
        printf '  ./cortex token --company ID --user ID --role ROLE\n'
    fi
}

explain() {
    local url curl='curl -sS'
    url=$(gateway_url)
    ! proxy_is_set || curl="$curl --noproxy '*'"
    cat <<END

CortexBuild answers at $url

$(explain_token)

Three commands to try:
  # create a project
  $curl $url/v1/projects -H "Authorization: Bearer \$(./cortex token)" \\
       -H 'Content-Type: application/json' -d '{"name": "Harbour bridge"}'
  # read the first three
  $curl "$url/v1/projects?limit=3" -H "Authorization: Bearer \$(./cortex token)"
  # watch what happens in the company over a WebSocket (then create another project in a second terminal)
  ./cortex watch

./cortex status shows what runs, ./cortex logs what it says, ./cortex down stops it and keeps the data.
END
}

before=stopped
check_state_path
lock_state
! all_running 2>/dev/null || before=$(cat "$STATE"/run/*.pid)

ensure_state
stop_orphans
settings_load environment
gateway_port_is_free
packages_need build servers client
[ -n "${CORTEX_BUILD:-}" ] || build release cortex-gateway cortex-worker cortex-token cortex-watch
secret token_key >/dev/null
settings_check
start_servers
settings_check_broker
settings_show
settings_keep
replace_queues
migrate
start_processes
! own_database || database_walls
! own_database || demo_seed

if [ "$(cat "$STATE"/run/*.pid)" = "$before" ]; then
    say "Everything was up already; nothing was changed."
fi
explain
