#!/usr/bin/env bash
# keys [rotate] [hooks]: show the keys of clients' secrets (hooks: of inbound webhooks), or replace the one that seals them
#
# The new key is first one that every process can open with, and then the one that seals. What the old ones have sealed is sealed anew
# within moments; they stay in the file for commands that wait (deploy/operating.md, "Replace the key of secrets").
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"

usage() {
    die "keys takes nothing, rotate, hooks, or both: ./cortex keys [rotate] [hooks]"
}
action=show
[ "${1:-}" != rotate ] || { action=rotate && shift; }
readonly POOL=webhooks
case $#:${1:-} in
0:) file=${SETTING[CORTEX_SECRET_KEYS]:-$STATE/secrets/${POOL}_keys} readers=("$POOL") ;;
1:hooks) file=${SETTING[CORTEX_HOOK_KEYS]:-$STATE/secrets/hook_keys} readers=(gateway "$POOL") ;;
*) usage ;;
esac
[ -s "$file" ] || die "there is no file of keys yet; ./cortex up makes it"

# SIGHUP, and the word of each reader that all of its processes have been replaced.
reload() {
    local part before
    for part in "$@"; do
        is_running "$part" || continue
        before=$(replaced "$part")
        kill -s HUP "$(pid_of "$part")"
        wait_until 120 has_replaced "$part" "$((before + $(processes_of "$part")))" ||
            die "$part has not taken the keys within 120 s; ./cortex logs $part says why. The old key still opens"
    done
}
replaced() {
    grep -cE '"event":"(pool.reloaded|parent.replaced)"' "$STATE/log/$1.log" || true
}
has_replaced() {
    [ "$(replaced "$1")" -ge "$2" ]
}
# A pool says it once, the gateway of each of its processes.
processes_of() {
    [ "$1" = gateway ] || { echo 1 && return 0; }
    grep -o '"event":"parent.ready".*' "$STATE/log/$1.log" | tail -n 1 | grep -oE '"processes":[0-9]+' | cut -d: -f2
}

case $action in
show)
    awk 'NF == 2 && !/^#/ { print $1 (n++ ? " opens" : " seals and opens") }' "$file"
    ;;
rotate)
    lock_state
    line=$(new_key)
    id=${line%% *}
    { cat "$file" && printf '%s\n' "$line"; } | put_file 600 "$file"
    reload "${readers[@]}"
    { printf '%s\n' "$line" && grep -v "^$id " "$file"; } | put_file 600 "$file"
    reload "$POOL"
    say "$POOL seals with $id now."
    ;;
esac
