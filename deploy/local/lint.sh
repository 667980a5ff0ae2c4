#!/usr/bin/env bash
# lint: check formatting, clang-tidy, shellcheck, the units, and who may include whom
set -euo pipefail
here=$(dirname "$0")
for file in common packages build rooms; do
    # shellcheck source=/dev/null
    . "$here/lib/$file.sh"
done

cd "$ROOT"

# Other releases format and warn a little differently; the tree is kept in order with this one.
readonly CLANG=14

packages_need build lint
failed=0

# check NAME COMMAND…: the command prints what is wrong and fails.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        printf 'ok    lint  %s\n' "$name"
    else
        printf 'FAIL  lint  %s\n' "$name"
        head -n 100 <<<"$output" | sed 's/^/        /'
        failed=1
    fi
}

# check_clang NAME PROGRAM COMMAND…
check_clang() {
    local name=$1 program=$2
    shift 2
    if [[ $("$program" --version) == *"version $CLANG."* ]]; then
        check "$name" "$@"
    else
        printf 'skip  lint  %s: it wants %s of LLVM %s\n' "$name" "$program" "$CLANG"
    fi
}

# Relative, so that no folder above the checkout matters.
c_files() {
    find common gateway workers schemas tests -name node_modules -prune -o \
        -name "*.[$1]" -print | sort
}

# Names the files only: ./cortex fmt knows the rest.
formatted() {
    local output
    output=$(c_files ch | xargs clang-format --dry-run --Werror 2>&1) && return
    sed -n 's/^\([^ ].*\):[0-9]*:[0-9]*: error: .*/\1/p' <<<"$output" | sort -u
    return 1
}

# clang-tidy needs to know how each file is compiled.
tidy() {
    [ -f "$ROOT/build/asan/compile_commands.json" ] || build asan
    c_files c | grep -v ^tests/ | xargs -n 4 -P "$(nproc)" clang-tidy --quiet -p "$ROOT/build/asan" 2>/dev/null
}

shell_scripts() {
    (cd "$ROOT" && shellcheck -x cortex .ci/run deploy/local/*.sh deploy/local/lib/*.sh)
}

# As systemd reads them; with a program that is there in place of the one that is to be installed, and each pool's template as one of them.
units() {
    local folder unit status=0
    folder=$(mktemp -d)
    for unit in "$ROOT"/deploy/systemd/*.service; do
        unit=${unit##*/}
        sed 's,^ExecStart=[^ ]*,ExecStart=/bin/true,' "$ROOT/deploy/systemd/$unit" >"$folder/${unit/@./@projects.}"
    done
    systemd-analyze verify "$folder"/*.service || status=$?
    rm -rf "$folder"
    return "$status"
}

# only_in PATTERN REGEX…: files that match the pattern and none of the paths that may.
only_in() {
    local pattern=$1 allowed=$2 found
    found=$(cd "$ROOT" && grep -rnE --include='*.[ch]' --exclude-dir=node_modules "$pattern" common gateway workers schemas tests |
        grep -vE "^($allowed)[^:]*:" || true)
    [ -z "$found" ] || { printf '%s\n' "$found" && return 1; }
}

# The page is what the settings' table says: ./cortex settings writes it.
settings_page() {
    build asan cortex-settings
    "$(program asan gateway/tools/cortex-settings)" | diff "$ROOT/deploy/settings.md" -
}

check_clang format clang-format formatted
check_clang clang-tidy clang-tidy tidy
check shellcheck shell_scripts
check 'deploy/settings.md is current' settings_page
check 'units of systemd' units
check 'librabbitmq is named by the broker alone' \
    only_in '#include *<(rabbitmq-c/)?amqp(_[a-z]+)?\.h>' 'common/broker/|tests/bench/bound'
check 'libpq is named by the database alone' only_in '#include.*libpq-fe\.h' 'common/db/|tests/bench/bound'
check 'libcurl is named by the HTTP client alone' only_in '#include *<curl/' 'common/net/http_client\.c'
check 'libsodium is named by the sealed values alone' only_in '#include *<sodium' 'common/crypto/seal\.c'
check 'a worker takes no time from its loop, whose clock is the one on the wall' only_in '\bev_now\(' 'common/|gateway/|schemas/|tests/'
check 'each room uses only the rooms below it' rooms_check
exit "$failed"
