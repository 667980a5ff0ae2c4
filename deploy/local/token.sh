#!/usr/bin/env bash
# token [--company C] [--role R] [--user U] [--ttl S]: print a bearer token; without arguments for an admin of the demo company
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"

[ -s "$STATE/secrets/token_key" ] || die "there is no key to sign a token with yet; ./cortex up makes it"
issue_token --company "$DEMO_COMPANY" --role company_admin --user "$DEMO_ADMIN" "$@" || exit 2
