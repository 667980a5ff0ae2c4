#!/usr/bin/env bash
# keys [rotate]: show the keys of clients' secrets, or replace the one that seals them
#
# The new key is first one that every process can open with, and then the one that seals. What the old ones have sealed is sealed anew
# within moments; they stay in the file for commands that wait (deploy/operating.md, "Replace the key of secrets").
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"

action=${1:-show}
[ $# -le 1 ] && [[ $action =~ ^(show|rotate)$ ]] || die "keys takes nothing, or rotate: ./cortex keys [rotate]"
readonly POOL=webhooks
file=${SETTING[CORTEX_SECRET_KEYS]:-$STATE/secrets/${POOL}_keys}
[ -s "$file" ] || die "there is no file of keys yet; ./cortex up makes it"

# SIGHUP, and the pool's word that each of its processes has been replaced.
reload() {
    local count
    is_running "$POOL" || return 0
    count=$(reloads)
    kill -s HUP "$(pid_of "$POOL")"
    wait_until 120 has_reloaded "$count" || die "$POOL has not taken the keys within 120 s; ./cortex logs $POOL says why. The old key still opens"
}
reloads() {
    grep -c '"event":"pool.reloaded"' "$STATE/log/$POOL.log" || true
}
has_reloaded() {
    [ "$(reloads)" -gt "$1" ]
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
    reload
    { printf '%s\n' "$line" && grep -v "^$id " "$file"; } | put_file 600 "$file"
    reload
    say "$POOL seals with $id now."
    ;;
esac
