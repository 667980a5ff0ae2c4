#!/usr/bin/env bash
# status: show what runs here, and how much waits
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"
. "$here/lib/operator.sh"

# Resident memory of the part's session; shared pages are counted once where the kernel says which they are.
memory_of() {
    local pid kilobytes total=0
    for pid in $(session_of "$1"); do
        kilobytes=$(sed -n 's/^Pss: *\([0-9]*\) kB/\1/p' "/proc/$pid/smaps_rollup" 2>/dev/null) || kilobytes=
        [ -n "$kilobytes" ] || kilobytes=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status" 2>/dev/null) || true
        total=$((total + ${kilobytes:-0}))
    done
    printf '%s MB' $(((total + 512) / 1024))
}

address_of() {
    case $1 in
    gateway) gateway_listen ;;
    broker | database | epmd) printf '127.0.0.1:%s' "$(port_of "$1")" ;;
    *) printf -- '-' ;;
    esac
}

# host:port of a server that is not ours, when the gateway was told to use one; without the password.
elsewhere_of() {
    local setting url
    case $1 in
    broker) setting=CORTEX_AMQP_URL ;;
    database) setting=CORTEX_DATABASE_URL ;;
    *) return 0 ;;
    esac
    url=$(sed -n "s/^$setting=//p" "$STATE/secrets/gateway.conf" 2>/dev/null | tail -n 1) || return 0
    url=${url##*@}
    url=${url%%/*}
    [ "$url" = "127.0.0.1:$(port_of "$1" 2>/dev/null)" ] || printf '%s' "$url"
}

# All queues by one call: "name ready in-work consumers" a line.
queues=
! is_running broker || queues=$(broker_ctl list_queues --no-table-headers name messages_ready messages_unacknowledged 2>/dev/null) ||
    true

waiting_of() {
    awk -v queues="commands.$1." '
        index($1, queues) == 1 { n++; ready += $2; work += $3 }
        END { if (n) printf "%d waiting, %d in work", ready, work }' <<<"$queues"
}

state_of_gateway() {
    if gateway_is_ready; then printf 'ready'; else printf 'not ready'; fi
}

row() {
    printf '%-10s %-10s %8s  %-19s %8s  %-21s %s\n' "$@"
}

# What the managers of the pools say.
pools=
! gateway_is_ready || pools=$(operator GET /v1/admin/pools 2>/dev/null) || true

# What they say is wrong: "pool sentence" a line.
problems=$({ grep -oE '"name":"[a-z_]+"|"problems":\[[^]]*\]' <<<"$pools" || true; } |
    awk -F'"' '$2 == "name" { pool = $4 } $2 == "problems" { for (i = 4; i < NF; i += 2) print pool, $i }')

# What is gone before a pool that lives on events has passed it: "pool events" a line.
dropped=$({ grep -oE '"name":"[a-z_]+"|"dropped" ?: ?[1-9][0-9]*' <<<"$pools" || true; } |
    awk -F'"' '$2 == "name" { pool = $4 } $2 == "dropped" { sub(/^[ :]*/, "", $3); print pool, $3 }')

# "; 2 of 3 workers ready", over all hosts.
size_of() {
    { grep -oE '"name":"[a-z_]+"|"wanted":[0-9]+|"state":"[a-z]+"' <<<"$pools" || true; } | awk -F'[":]+' -v pool="$1" '
        $2 == "name" { ours = $3 == pool }
        ours && $2 == "wanted" { wanted = $3 }
        ours && $2 == "state" && $3 == "ready" { ready++ }
        END { if (wanted) printf "; %d of %d workers ready", ready, wanted }'
}

alarms_in() {
    { grep -oE 'memory|disk|file_descriptor_limit' || true; } | sort -u
}

# What RabbitMQ and the gateway say: a sentence a line.
troubles() {
    local alarm detail
    if is_running broker; then
        for alarm in $(broker_ctl eval 'rabbit_alarm:get_alarms().' 2>/dev/null | alarms_in); do
            printf 'broker: An alarm (%s) stops every write until RabbitMQ has enough again; ./cortex logs broker says how much it wants.\n' "$alarm"
        done
    fi
    if is_running gateway && ! gateway_is_ready; then
        detail=$(gateway_why) || detail=
        printf 'gateway: It is not ready%s.\n' "${detail:+: $detail}"
    fi
}

# A pool whose managers do not answer runs its commands all the same.
state_of_pool() {
    if grep -q "^$1 No manager" <<<"$problems"; then printf 'deaf'; else printf 'running'; fi
}

show() {
    local part=$1 pid elsewhere how=running
    if ! pid=$(pid_of "$part"); then
        elsewhere=$(elsewhere_of "$part")
        row "$part" "$(if [ -n "$elsewhere" ]; then echo elsewhere; else echo stopped; fi)" - - - "${elsewhere:--}" -
        return
    fi
    case $part in
    gateway) how=$(state_of_gateway) ;;
    broker | database) ! has_moved "$part" || how=moved ;;
    *) how=$(state_of_pool "$part") ;;
    esac
    row "$part" "$how" "$pid" "$(date -d "@$(stat -c %Y "$STATE/run/$part.pid")" '+%Y-%m-%d %H:%M:%S')" \
        "$(memory_of "$pid")" "$(address_of "$part")" "$(waiting_of "$part")$(size_of "$part")"
}

row PART STATE PID SINCE MEMORY ADDRESS QUEUE
for part in "${PARTS[@]}" broker database; do
    show "$part"
done
while read -r pool sentence; do
    [ -z "$pool" ] || say "$pool: $sentence"
done <<<"$problems"
while read -r pool count; do
    [ -z "$pool" ] || say "$pool: $count events were deleted before this pool had passed them; GET /v1/admin/pools/$pool says of which companies."
done <<<"$dropped"
troubles
! has_moved broker && ! has_moved database || say "The folder has moved to $STATE while its servers run: ./cortex up starts them again there."
# The count comes from our own database only; with another one, ./cortex dead asks the gateway.
dead=0
! is_running database || dead=$(database_sql cortex cortex 2>/dev/null <<<'SELECT count(*) FROM dead_letter') || dead=0
[ "$dead" -eq 0 ] || say "$dead dead letters wait for an operator: ./cortex dead"
