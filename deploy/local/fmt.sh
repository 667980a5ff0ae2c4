#!/usr/bin/env bash
# fmt: format the C files in place
set -euo pipefail
here=$(dirname "$0")
for file in common packages; do
    # shellcheck source=/dev/null
    . "$here/lib/$file.sh"
done

packages_need lint
find "$ROOT"/common "$ROOT"/gateway "$ROOT"/workers "$ROOT"/schemas "$ROOT"/tests -name node_modules -prune -o \
    -name '*.[ch]' -print0 | xargs -0 clang-format -i
say "Formatted."
