#!/usr/bin/env bash
# test [unit|contract|e2e|chaos|lint|fuzz|long|FILE]...: run the tests, against servers of their own
#
# Without a name it runs all parts but fuzz and long, in two lanes side by side, each with servers of its own. long runs the proofs that have a size at full size, which takes an hour or more; every
# other run takes a tenth of it (tests/lib/size.mjs).
#
# The C programs are built with AddressSanitizer and UndefinedBehaviorSanitizer (build/asan). The servers live in .cortex/test-* on
# ports of their own and go away again; what `up` runs is not touched.
set -euo pipefail
here=$(dirname "$0")
for file in common packages build broker database results debian13; do
    # shellcheck source=/dev/null
    . "$here/lib/$file.sh"
done

readonly ALL=(lint unit contract e2e chaos)
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export CORTEX_BUILD=$ROOT/build/asan

# --- C: every program of a folder, each with a database of its own ---

run_c() {
    local binary name
    for binary in "$CORTEX_BUILD/tests/$1"/test_*; do
        [ -f "$binary" ] && [ -x "$binary" ] || continue
        name=${binary##*/}
        results_of "$name" run_c_program "$binary" "$name"
    done
}

run_c_program() {
    local status=0 seconds=300
    [ "${CORTEX_TEST_SIZE:-}" != 1 ] || seconds=3600
    database_own "$2"
    (cd "$ROOT" && CORTEX_TEST_AMQP_URL=$(broker_url tests) CORTEX_TEST_DATABASE_URL=$(database_url cortex "$2") \
        CMOCKA_MESSAGE_OUTPUT=TAP timeout "$seconds" "$1" 2>&1) | results_from_tap "$2" || status=${PIPESTATUS[0]}
    return "$status"
}

# --- Node: every file of a folder, one after the other ---

run_node() {
    local file
    for file in "$ROOT/tests/$1"/*.test.mjs; do
        [ -f "$file" ] || continue
        run_node_file "$file"
    done
}

run_node_file() {
    local seconds=900
    [ "${CORTEX_TEST_SIZE:-}" != 1 ] || seconds=7200
    results_of "$(basename "$1" .test.mjs)" node_file "$seconds" "$1"
}

# node_file SECONDS FILE: fails, too, when it leaves processes behind.
node_file() {
    local status=0 left
    timeout --kill-after=30 "$1" node --test-reporter="$ROOT/tests/lib/reporter.mjs" --test-reporter-destination=stdout "$2" || status=$?
    wait_until 5 nothing_left || true
    left=$(end_left_behind)
    [ -z "$left" ] || printf 'FAIL  %s  leaves processes behind:\n%s\n' "$(basename "$2" .test.mjs)" "$left"
    return "$status"
}

nothing_left() {
    [ -z "$(left_behind)" ]
}

node_packages() {
    local installed=$ROOT/tests/node_modules/.package-lock.json
    [ ! "$installed" -nt "$ROOT/tests/package-lock.json" ] || return 0
    step "installing the test clients from npm"
    (cd "$ROOT/tests" && npm ci --no-audit --no-fund --ignore-scripts >"$STATE/log/npm.log" 2>&1) ||
        part_failed npm "could not install the packages of tests/package.json"
    touch "$installed"
}

# --- the parts ---

run_lint() {
    results_of lint nice "$here/lint.sh"
}

# It measures nothing and needs no server, so it goes beside the other parts, and is shown after them.
LINT=
start_lint_beside() {
    step "lint, beside the others"
    lint_with_results_of_its_own >"$STATE/log/lint" 2>&1 &
    LINT=$!
}

lint_with_results_of_its_own() {
    local RESULTS=$STATE/log/results.lint
    : >"$RESULTS"
    run_lint
}

end_lint_beside() {
    step "lint"
    wait "$LINT" || true
    LINT=
    cat "$STATE/log/lint"
    cat "$STATE/log/results.lint" >>"$RESULTS"
}

run_fuzz() {
    results_of fuzz "$here/fuzz.sh"
}

run_unit() {
    run_c unit
}

run_contract() {
    run_c contract
    run_node contract
}

run_e2e() {
    run_node e2e
}

run_chaos() {
    run_node chaos
}

# The files that have a size.
run_long() {
    local file
    while read -r file; do
        CORTEX_TEST_SIZE=1 run_one "$(basename "$file" .c)" </dev/null
    done < <(grep -rl CORTEX_TEST_SIZE "$ROOT/tests/unit")
    for file in "$ROOT"/tests/*/*.test.mjs; do
        ! grep -q 'lib/size\.mjs' "$file" || CORTEX_TEST_SIZE=1 run_node_file "$file"
    done
}

# One file by its name: test_db, or e2e/api.
run_one() {
    local binary=$CORTEX_BUILD/tests
    case $1 in
    test_*)
        binary=$(find "$binary/unit" "$binary/contract" -name "$1" -type f | head -n 1)
        [ -n "$binary" ] || die "there is no test $1 in tests/unit or tests/contract"
        results_of "$1" run_c_program "$binary" "$1"
        ;;
    */*)
        [ -f "$ROOT/tests/$1.test.mjs" ] || die "there is no tests/$1.test.mjs"
        run_node_file "$ROOT/tests/$1.test.mjs"
        ;;
    esac
}

run_part() {
    case $1 in
    lint | fuzz | unit | contract | e2e | chaos | long)
        step "$1"
        "run_$1"
        ;;
    test_* | */*) run_one "$1" ;;
    esac
}

build_all() {
    build asan
    [[ " $* " != *' long '* && "${CORTEX_TEST_SIZE:-}" != 1 ]] || build release # whose rate is measured
    node_packages
}

check_names() {
    local name
    for name; do
        case $name in
        lint | fuzz | unit | contract | e2e | chaos | long | test_* | e2e/* | chaos/* | contract/*) ;;
        *) die "there is no test part $name; the parts are ${ALL[*]} fuzz long, and one file is named test_db or e2e/api" ;;
        esac
    done
}

# --- a whole run, in lanes ---

# Most tests wait more than they work, so two lanes take little more than the half of one. Each is a ./cortex test of its own, for
# which everything is built and installed already. What makes faults and counts what is done meanwhile has the machine to itself
# afterwards.
LANES=('lint unit contract' e2e)
AFTER_LANES=chaos
LANE_PIDS=()

start_lane() {
    local number=$1
    shift
    step "lane $number: $*"
    (
        set -o pipefail
        env -u CORTEX_STATE CORTEX_TEST_LANE="$number" setsid --wait "$here/test.sh" "$@" 2>&1 | tee "$STATE/log/lane.$number"
    ) &
    LANE_PIDS+=($!)
}

# Takes over the lines of its tests. A lane that ends badly without one that failed is a failure itself.
end_lane() {
    local number=$1 status=0
    wait "${LANE_PIDS[number]}" || status=$?
    grep -E '^(ok|FAIL|skip) ' "$STATE/log/lane.$number" >>"$RESULTS" || true
    [ "$status" -eq 0 ] || grep -q '^FAIL ' "$STATE/log/lane.$number" ||
        printf 'FAIL  lane %s  ended with status %s\n' "$number" "$status" | tee -a "$RESULTS"
}

# Each lane leads a session of its own, so that its end reaches all that it has started.
stop_lanes() {
    local lane pid
    for lane in "${LANE_PIDS[@]}"; do
        for pid in $(pgrep -P "$lane" || true); do
            kill -s TERM -- "-$pid" 2>/dev/null || true
        done
    done
}

run_lanes() {
    local number
    for number in "${!LANES[@]}"; do
        # shellcheck disable=SC2086 # a word for each part
        start_lane "$number" ${LANES[number]}
    done
    for number in "${!LANES[@]}"; do
        end_lane "$number"
    done
    LANE_PIDS=()
}

# --- the private servers ---

# In the checkout, or, where the service user cannot get there (root's own folder), in the temporary folder.
choose_state() {
    ensure_service_user
    mkdir -p "$ROOT/.cortex"
    STATE=$ROOT/.cortex/test-$$
    if ! service_can_reach "$ROOT/.cortex"; then
        STATE=$(mktemp -d "${TMPDIR:-/tmp}/cortex-test-XXXXXX")
    fi
    export CORTEX_STATE=$STATE
}

# A run that was killed could not clean up; its pid files say what it has left.
reap_abandoned() {
    local old
    for old in "$ROOT"/.cortex/test-*; do
        [ -d "$old/run" ] && ! kill -0 "${old##*-}" 2>/dev/null || continue
        stop_all_of "$old"
        rm -rf "$old"
    done
}

# stop_all_of STATE: its servers, and what was started in the checkouts that tests have made in it.
stop_all_of() {
    local state
    for state in "$1" "$1"/checkouts/*/.cortex; do
        [ ! -d "$state/run" ] || CORTEX_STATE=$state "$here/down.sh" >/dev/null 2>&1
    done
}

# They go when the tests have passed; after a failure their logs stay.
finish() {
    local status=$?
    trap - EXIT ERR
    [ -z "$LINT" ] || kill "$LINT" 2>/dev/null || true
    stop_lanes
    stop_all_of "$STATE"
    end_left_behind >/dev/null
    rm -rf "$STATE/broker" "$STATE/database" "$STATE/secrets"
    [ "$status" -ne 0 ] || rm -rf "$STATE"
    exit "$status"
}

start_servers() {
    step "starting a private PostgreSQL and RabbitMQ for the tests"
    database_start
    broker_start
    broker_vhost tests
}

# What chaos/cluster needs of Debian 13 is made while other tests run: it waits for it, and says why there is none.
prepare_debian13() {
    case " $* " in *' chaos '* | *' chaos/cluster '* | *' long '*) ;; *) return 0 ;; esac
    am_root || return 0
    packages_need debian13
    (debian13_need rabbitmq-server) >"$STATE/log/debian13.log" 2>&1 &
}

needs_browser() {
    case " $* " in *' e2e '* | *' e2e/browser '*) ;; *) return 1 ;; esac
}

needs_servers() {
    local part
    for part; do
        case $part in lint | fuzz) ;; *) return 0 ;; esac
    done
    return 1
}

check_names "$@"
is_whole=
[ $# -gt 0 ] || { is_whole=yes && set -- "${ALL[@]}"; }
[ -n "${CORTEX_TEST_LANE:-}" ] || reap_abandoned
choose_state
trap finish EXIT
trap 'exit 130' INT TERM
mkdir -p "$STATE/log"
RESULTS=$STATE/log/results
: >"$RESULTS"
started=$SECONDS

if needs_servers "$@"; then
    packages_need build servers client test
    ! needs_browser "$@" || packages_need browser
    [[ " $* " != *' lint '* ]] || packages_need lint # two installations at once would be one too many
    ensure_state
    prepare_debian13 "$@"
    [ -n "${CORTEX_TEST_LANE:-}" ] || build_all "$@"
    if [ -n "$is_whole" ]; then
        run_lanes
        set -- "$AFTER_LANES"
    fi
    start_servers
fi
for part; do
    if [ "$part" = lint ] && [ $# -gt 1 ]; then
        start_lint_beside
    else
        run_part "$part"
    fi
done
[ -z "$LINT" ] || end_lint_beside
step "took $((SECONDS - started)) s; the logs of a run that fails stay in $STATE/log"
if [ -n "${CORTEX_TEST_LANE:-}" ]; then # whoever has started it, sums up
    [ "$(results_count FAIL)" -eq 0 ] || exit 1
else
    results_summary || exit 1
fi
