#!/usr/bin/env bash
# schemas [COMMIT]: after a change of schemas/messages, write fields.lock and the golden messages that are missing
#
# COMMIT is the newest one that is released or that others build upon; by default the one where this branch has left the main branch of
# the remote `origin`. Its x-ids stay for ever. An x-id that is newer, and whose field is gone again, is taken back.
set -euo pipefail
here=$(dirname "$0")
for file in common packages build; do
    # shellcheck source=/dev/null
    . "$here/lib/$file.sh"
done
[ $# -le 1 ] || die "schemas takes at most one commit"

readonly MESSAGES=$ROOT/schemas/messages

# The commit that is named, or nothing.
commit_of() {
    git -C "$ROOT" rev-parse --quiet --verify "$1^{commit}" 2>/dev/null || true
}

# Nothing where there is no remote to ask.
released_by_default() {
    local main
    main=$(commit_of refs/remotes/origin/HEAD)
    [ -z "$main" ] || git -C "$ROOT" merge-base HEAD "$main" 2>/dev/null || true
}

if [ $# -eq 1 ]; then
    commit=$(commit_of "$1")
    [ -n "$commit" ] || die "there is no commit $1 in this repository"
else
    commit=$(released_by_default)
fi

packages_need build
build release schemac
lock=$(mktemp)
trap 'rm -f "$lock"' EXIT
said=
if [ -n "$commit" ] && git -C "$ROOT" show "$commit:./schemas/messages/fields.lock" >"$lock" 2>/dev/null; then
    said=$("$(program release schemas/schemac)" --update-lock "$MESSAGES" "$lock") || exit 1
else
    [ $# -eq 0 ] || die "commit $1 has no schemas/messages/fields.lock"
    said=$("$(program release schemas/schemac)" --update-lock "$MESSAGES") || exit 1
    [ -z "$said" ] || warn "there is no remote origin that says what is released; an x-id that never was is taken back by ./cortex schemas COMMIT"
fi
[ -z "$said" ] || say "$said"

build release cortex-golden
said=$("$(program release gateway/tools/cortex-golden)" "$ROOT/tests/contract/golden") || exit 1
while read -r file; do
    [ -z "$file" ] || say "wrote ${file#"$ROOT/"}"
done <<<"$said"
say "schemas/messages/fields.lock is current."
