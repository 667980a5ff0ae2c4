#!/usr/bin/env bash
# logs [part]: show the logs of all parts or of one, and follow them on a terminal
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/common.sh"

shopt -s nullglob
logs=("$STATE"/log/*.log)
[ ${#logs[@]} -gt 0 ] || die "there are no logs yet; ./cortex up starts everything"
names=$(printf '%s\n' "${logs[@]##*/}" | sed 's/\.log$//' | paste -sd ' ')
if [ $# -gt 0 ]; then
    [ -f "$STATE/log/$1.log" ] || die "there is no log of $1; the logs are $names"
    logs=("$STATE/log/$1.log")
fi
follow=()
[ ! -t 1 ] || follow=(-F)
exec tail -n 50 "${follow[@]}" "${logs[@]}"
