# shellcheck shell=bash
# Everything that a command about the whole stack needs.
for file in common packages build broker database settings process demo; do
    # shellcheck source=/dev/null
    . "$(dirname "${BASH_SOURCE[0]}")/$file.sh"
done
settings_load
