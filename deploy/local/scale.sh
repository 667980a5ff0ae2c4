#!/usr/bin/env bash
# scale [POOL N | POOL MIN..MAX | POOL fixed]: set how many workers a pool has over all hosts; without arguments show them
#
# With MIN..MAX the number follows how much waits, between these two; with fixed it stays what it is now.
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"
. "$here/lib/operator.sh"

# Our own JSON: one line a worker, cut at the braces.
number() {
    local found
    found=$(grep -o "\"$1\":[0-9][0-9]*" <<<"$2" | head -n 1 | cut -d: -f2) || found='?'
    printf '%s' "$found"
}

# ", from 2 to 8 (depth)" of a pool whose size follows what waits.
bounds_in() {
    sed -n 's/.*"why":"\([a-z]*\)".*"autoscale":{"min":\([0-9]*\),"max":\([0-9]*\)}.*/, from \2 to \3 (\1)/p' <<<"$1"
}

show() {
    local pool=$1 json
    json=$(operator GET "/v1/admin/pools/$pool") || die "the pool $pool does not answer; ./cortex status shows whether it runs"
    printf '%s: %s wanted%s; waiting: %s in queues, %s in work, %s parked\n' "$pool" "$(number wanted "$json")" "$(bounds_in "$json")" \
        "$(number ready "$json")" "$(number open "$json")" "$(number parked "$json")"
    tr '{' '\n' <<<"$json" | tr '}' '\n' | awk -F'"' '
        /"host"/ { host = $8 }
        /^"pid"/ { match($0, /"pid":[0-9]+/); pid = substr($0, RSTART + 6, RLENGTH - 6)
                   match($0, /"state":"[a-z]+/); state = substr($0, RSTART + 9, RLENGTH - 9)
                   since = match($0, /"since":"[^"]+/) ? substr($0, RSTART + 9, 19) : "-"
                   partitions = match($0, /"partitions":\[[0-9,]*/) ? substr($0, RSTART + 14, RLENGTH - 14) : "-"
                   open = match($0, /"open":[0-9]+/) ? substr($0, RSTART + 7, RLENGTH - 7) : "-"
                   oldest = match($0, /"oldest_ms":[0-9]+/) ? substr($0, RSTART + 12, RLENGTH - 12) " ms" : "-"
                   printf "  %-20s %8s  %-10s %-20s %6s in work, oldest %-9s partitions %s\n", host, pid, state, since, open, oldest, partitions }'
}

case $# in
0)
    for part in "${PARTS[@]}"; do
        [ "$part" = gateway ] || show "$part"
    done
    ;;
2)
    if [[ $2 =~ ^([0-9]+)\.\.([0-9]+)$ ]]; then
        size="{\"min\": $((10#${BASH_REMATCH[1]})), \"max\": $((10#${BASH_REMATCH[2]}))}"
    elif [ "$2" = fixed ]; then
        size='{"max": 0}'
    elif [[ $2 =~ ^[0-9]+$ ]]; then
        size="{\"wanted\": $((10#$2))}"
    else
        die "the size of a pool is a number from 1 to 256, or MIN..MAX, or fixed; not $2"
    fi
    operator PUT "/v1/admin/pools/$1" "$size" >/dev/null || die "the pool $1 keeps its size; what was wrong stands above"
    show "$1"
    ;;
*) die "usage: ./cortex scale [POOL N | POOL MIN..MAX | POOL fixed]" ;;
esac
