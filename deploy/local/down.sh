#!/usr/bin/env bash
# down: stop everything that up has started; the data is kept
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"
[ $# -eq 0 ] || die "down takes no arguments, not $*"
[ -d "$STATE/run" ] || { say "Nothing was ever started here." && exit 0; }

lock_state

stop_orphans
stopped=0

# stop_part NAME COMMAND…
stop_part() {
    local name=$1
    shift
    is_running "$name" || return 0
    step "stopping $name"
    "$@"
    stopped=$((stopped + 1))
}

for part in "${PARTS[@]}"; do
    stop_part "$part" stop_process "$part" TERM 30
done
stop_part broker broker_stop
stop_part epmd stop_process epmd TERM 10
stop_part database database_stop

if [ "$stopped" -gt 0 ]; then
    say "Stopped. The data is kept in $STATE."
else
    say "Nothing was running."
fi
