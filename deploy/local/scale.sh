#!/usr/bin/env bash
# scale [POOL N]: how many workers a pool has, over all hosts; without arguments: a table of what there is
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"
. "$here/lib/operator.sh"

# Our own JSON: one line a worker, cut at the braces.
show() {
    local pool=$1 json
    json=$(operator GET "/v1/admin/pools/$pool") || die "$pool does not answer"
    printf '%s: %s wanted\n' "$pool" "$(grep -o '"wanted":[0-9]*' <<<"$json" | cut -d: -f2)"
    tr '{' '\n' <<<"$json" | tr '}' '\n' | awk -F'"' '
        /"host"/ { host = $8 }
        /^"pid"/ { match($0, /"pid":[0-9]+/); pid = substr($0, RSTART + 6, RLENGTH - 6)
                   match($0, /"state":"[a-z]+/); state = substr($0, RSTART + 9, RLENGTH - 9)
                   since = match($0, /"since":"[^"]+/) ? substr($0, RSTART + 9, 19) : "-"
                   printf "  %-20s %8s  %-10s %s\n", host, pid, state, since }'
}

case $# in
0)
    for part in "${PARTS[@]}"; do
        [ "$part" = gateway ] || show "$part"
    done
    ;;
2)
    [[ $2 =~ ^[0-9]+$ ]] || die "scale POOL N: N is a number from 1 to 256"
    operator PUT "/v1/admin/pools/$1" "{\"wanted\": $2}" >/dev/null || die "$1 stays as it is"
    show "$1"
    ;;
*) die "usage: scale [POOL N]" ;;
esac
