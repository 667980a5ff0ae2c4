# shellcheck shell=bash
# The stacks that ./cortex bench measures: that of this tree in STATE and, with --against, that of another commit. To be sourced after
# stack.sh.
#
#   .cortex/bench/           the state of our own stack
#   .cortex/bench-against/   tree/ (the other commit), state/ (of its stack), runs (a line of JSON for each run)
#
# Each stack is run by the scripts of its own tree, the measuring programs are always ours.

AGAINST=$ROOT/.cortex/bench-against
THEIR_TREE=$AGAINST/tree
THEIR_STATE=$AGAINST/state
RUNS=$AGAINST/runs
running= # the process group that `interruptible` waits for

# commit_of REV: its full hash.
commit_of() {
    git -C "$ROOT" rev-parse --verify --quiet --end-of-options "$1^{commit}" 2>/dev/null ||
        die "there is no commit $1 in this repository; name a commit, a tag or a branch (git log shows them)"
}

check_out() {
    step "checking out $1 beside this tree"
    mkdir -p "$AGAINST"
    git clone --quiet --shared --no-checkout "$ROOT" "$THEIR_TREE"
    git -C "$THEIR_TREE" checkout --quiet --detach "$1"
}

# start_stack TREE STATE: builds and starts it on a port of its own.
start_stack() {
    CORTEX_STATE=$2 CORTEX_LISTEN=127.0.0.1:$(free_port) interruptible "$1/cortex" up >/dev/null
}

# interruptible COMMAND…: in a process group of its own, so that a signal to this script need not wait for its end: clean_up ends it.
interruptible() {
    set -m
    "$@" 7>&- & # the lock is ours alone: what goes on after a kill must not keep it
    running=$!
    set +m
    local status=0
    wait "$running" || status=$?
    running=
    return "$status"
}

# beside_stack TREE STATE COMMAND…: the command finds in its environment, which others cannot read, what it has to know of the stack.
beside_stack() {
    export BENCH_TREE=$1 BENCH_STATE=$2
    shift 2
    STATE=$BENCH_STATE
    export PGHOST=127.0.0.1 PGUSER=cortex PGDATABASE=cortex PGPORT PGPASSWORD CORTEX_TOKEN CORTEX_AMQP_URL CORTEX_DATABASE_URL
    export BENCH_PROGRAMS=$ROOT/build/release/tests/bench BENCH_COMPANY=$DEMO_COMPANY BENCH_URL BENCH_POSTGRES_BIN
    PGPORT=$(port_of database)
    PGPASSWORD=$(secret database_cortex)
    CORTEX_TOKEN=$(issue_token --company "$DEMO_COMPANY" --role company_admin --user "$DEMO_ADMIN")
    BENCH_URL=$(gateway_url)
    BENCH_POSTGRES_BIN=$(database_bin)
    CORTEX_AMQP_URL=$(broker_url)
    CORTEX_DATABASE_URL=$(database_url)
    exec "$@"
}

# measure_in_turn PART ROUNDS: ours, theirs, ours, theirs …; a line for each run goes into RUNS.
measure_in_turn() {
    local part=$1 rounds=$2 round
    for ((round = 1; round <= rounds; round++)); do
        step "$part, round $round of $rounds"
        measure_side ours "$ROOT" "$STATE" "$part"
        measure_side theirs "$THEIR_TREE" "$THEIR_STATE" "$part"
    done
}

# measure_side SIDE TREE STATE PART
measure_side() {
    BENCH_SIDE=$1 BENCH_ROUNDS=1 interruptible beside_stack "$2" "$3" node "$ROOT/tests/bench/run.mjs" "$4" >>"$RUNS" ||
        die "the part $4 could not be measured on $1; what went wrong stands above"
}

# Whatever an earlier run has left, or this one: programs, stacks, folders.
clean_up() {
    [ -z "$running" ] || kill -- "-$running" 2>/dev/null || true
    stop_stack "$ROOT" "$STATE"
    stop_stack "$THEIR_TREE" "$THEIR_STATE"
    end_left_behind >/dev/null
    end_left_behind "$THEIR_STATE" >/dev/null
    rm -rf "$STATE" "$AGAINST"
}

# stop_stack TREE STATE
stop_stack() {
    [ ! -d "$2/run" ] || [ ! -x "$1/cortex" ] || CORTEX_STATE=$2 "$1/cortex" down >/dev/null || true
}
