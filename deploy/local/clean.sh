#!/usr/bin/env bash
# clean [--data]: remove what was built; --data also stops and removes the private servers with all their data
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
*) die "clean takes only --data, not $*" ;;
esac
rm -rf "$ROOT/build/release" "$ROOT/build/debug" "$ROOT/build/asan" "$ROOT/build/fuzz" "$ROOT/tests/node_modules"
say "Removed what was built."
