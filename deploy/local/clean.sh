#!/usr/bin/env bash
# clean [--data]: remove what was built; with --data also the private servers and everything in them
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/common.sh"

case "$*" in
'') ;;
--data)
    "$here/down.sh"
    rm -rf "$STATE"
    say "Removed $STATE."
    ;;
*) die "clean takes nothing or --data" ;;
esac
rm -rf "$ROOT/build/release" "$ROOT/build/debug" "$ROOT/build/asan" "$ROOT/build/fuzz" "$ROOT/tests/node_modules"
say "Removed what was built."
