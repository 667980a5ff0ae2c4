#!/usr/bin/env bash
# bench [part…]: measure speed and memory against the goals, on a stack of its own (memory health read create events scale fairness usual realtime)
#
# realtime is made of parts of its own, each of which has a name: realtime-memory, -storm, -companies, -saturation, -steady, -stalled.
#
# BENCH_SECONDS: length of one run (5). BENCH_ROUNDS: how often ours and theirs are run in turn (3).
set -euo pipefail
here=$(dirname "$0")
unset CORTEX_AMQP_URL CORTEX_DATABASE_URL CORTEX_READ_DATABASE_URL CORTEX_CONFIG
CORTEX_STATE=$(cd "$here/../.." && pwd -P)/.cortex/bench
export CORTEX_STATE
. "$here/lib/stack.sh"

clean_up() {
    "$here/down.sh" >/dev/null || true
    rm -rf "$STATE"
}

mkdir -p "$ROOT/.cortex"
exec 7>"$ROOT/.cortex/bench.lock"
flock -n 7 || die "another ./cortex bench is running here; two at once would measure each other"
packages_need bench test
clean_up
trap clean_up EXIT
CORTEX_LISTEN=127.0.0.1:$(free_port)
export CORTEX_LISTEN
"$here/up.sh" >/dev/null 7>&-
build release bound load events fanout 7>&-

# Passwords and the token travel in the environment, which others cannot read.
export PGHOST=127.0.0.1 PGUSER=cortex PGDATABASE=cortex PGPORT PGPASSWORD CORTEX_TOKEN CORTEX_AMQP_URL CORTEX_DATABASE_URL
PGPORT=$(port_of database)
PGPASSWORD=$(secret database_cortex)
CORTEX_AMQP_URL=$(broker_url)
CORTEX_DATABASE_URL=$(database_url)
CORTEX_TOKEN=$(issue_token --company "$DEMO_COMPANY" --role company_admin --user "$DEMO_ADMIN")
status=0
BENCH_STATE=$STATE BENCH_PROGRAMS=$ROOT/build/release/tests/bench BENCH_URL=$(gateway_url) BENCH_COMPANY=$DEMO_COMPANY \
    BENCH_POSTGRES_BIN=$(database_bin) node "$ROOT/tests/bench/run.mjs" "$@" || status=$?
exit "$status"
