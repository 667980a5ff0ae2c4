#!/usr/bin/env bash
# bench [--against REV] [part...]: measure speed and memory, against the goals or against another commit
#
# The parts are memory idle health read create companies events scale fairness retention locked sums lists reads-fairness traffic usual endurance rows realtime.
# realtime is made of parts that can be named alone: realtime-memory, -storm, -companies, -saturation, -steady, -stalled. Without a name all of
# them are run, each beside what it is compared with.
#
# --against REV builds that commit beside this one, starts a stack of each and measures the two in turn, round after round, with the
# measuring programs of this commit: memory, health, read, create and events, or the parts that are named. It fails when a figure is
# worse than 0.95 of that commit's, by more than that commit's own rounds differ.
#
# BENCH_SECONDS: the length of one run (5). BENCH_ROUNDS: how often the two sides are measured in turn (3; with --against 5).
# BENCH_ENDURANCE_S: how long endurance lasts (600). BENCH_ROWS, BENCH_TRAFFIC_ROWS: how many rows the parts rows and
# traffic make (1,000,000).
set -euo pipefail
here=$(dirname "$0")
unset CORTEX_AMQP_URL CORTEX_DATABASE_URL CORTEX_READ_DATABASE_URL CORTEX_CONFIG CORTEX_BUILD
CORTEX_STATE=$(cd "$here/../.." && pwd -P)/.cortex/bench
export CORTEX_STATE
. "$here/lib/stack.sh"
. "$here/lib/bench.sh"

commit=
if [ "${1:-}" = --against ]; then
    [ $# -ge 2 ] || die "--against needs a commit: ./cortex bench --against REV [part…]"
    commit=$(commit_of "$2") || exit 1
    shift 2
    [ $# -gt 0 ] || set -- memory health read create events
fi

mkdir -p "$ROOT/.cortex"
exec 7>"$ROOT/.cortex/bench.lock"
flock -n 7 || die "another ./cortex bench is running here; two at once would measure each other"
packages_need build servers client bench test
parts=$(node "$ROOT/tests/bench/parts.mjs" "$@") || exit 2
clean_up
trap clean_up EXIT
trap 'exit 130' INT TERM
start_stack "$ROOT" "$STATE" || exit 1
build release bound load events fanout 7>&-

if [ -z "$commit" ]; then
    # shellcheck disable=SC2086 # one word a part
    interruptible beside_stack "$ROOT" "$STATE" node "$ROOT/tests/bench/run.mjs" $parts || exit 1
else
    check_out "$commit"
    start_stack "$THEIR_TREE" "$THEIR_STATE" || die "the stack of $commit could not be built or started; what it said stands above"
    for part in $parts; do
        measure_in_turn "$part" "${BENCH_ROUNDS:-5}"
    done
    node "$ROOT/tests/bench/compare.mjs" "$RUNS" "${commit:0:12}" || exit 1
fi
