# shellcheck shell=bash
# Everything that a command about the whole stack needs.
for file in common packages build broker database settings process demo; do
    # shellcheck source=/dev/null
    . "$(dirname "${BASH_SOURCE[0]}")/$file.sh"
done
# Its secrets are for its user alone, and without them nothing that a command says would be true.
[ ! -d "$STATE/secrets" ] || [ -x "$STATE/secrets" ] ||
    die "$STATE is that of another user ($(stat -c %U "$STATE")): run ./cortex as that user or as root"
settings_load
