#!/usr/bin/env bash
# check sums: recompute all sums (x-sum) from scratch and name those that differ; CORTEX_DATABASE_URL names another database
#
# It reads all rows that are summed up, once, while everything goes on: one statement sees one moment. Status 1: some differ.
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"

[ $# -eq 1 ] && [ "$1" = sums ] || die "say: ./cortex check sums"
# shellcheck disable=SC2034 # for owner_sql
[ -z "${CORTEX_DATABASE_URL:-}" ] || SETTING[CORTEX_DATABASE_URL]=$CORTEX_DATABASE_URL
[ -n "${CORTEX_BUILD:-}" ] || { packages_need build && build release schemac; }

query=$("$(programs)/schemas/schemac" --check-sums "$ROOT/schemas/messages") || die "schemac made no query; see above"
differing=$(owner_sql <<END
SELECT resource || ' ' || id || ' of company ' || company_id || ': ' || name || ' is ' || coalesce(value, 'null')
       || ' and must be ' || coalesce(expected, 'null')
FROM ($query) AS wrong ORDER BY company_id, id, resource, name;
END
) || die "the sums could not be read; see above"

if [ -n "$differing" ]; then
    printf '%s\n' "$differing"
    count=$(wc -l <<<"$differing")
    die "$count $([ "$count" = 1 ] && printf "sum differs" || printf "sums differ") from what the rows come to (deploy/operating.md, \"Repair\")"
fi
say "All sums are what the rows come to."
