#!/usr/bin/env bash
# settings: write deploy/settings.md, the page of all settings, from common/process/config.def
set -euo pipefail
here=$(dirname "$0")
for file in common packages build; do
    # shellcheck source=/dev/null
    . "$here/lib/$file.sh"
done

packages_need build
build release cortex-settings
"$(program release gateway/tools/cortex-settings)" >"$ROOT/deploy/settings.md"
say "Wrote deploy/settings.md."
