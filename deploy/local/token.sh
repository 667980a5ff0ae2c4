#!/usr/bin/env bash
# token [--company C] [--role R] [--user U] [--ttl SECONDS]: print a bearer token
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"

[ -s "$STATE/secrets/token_key" ] || die "there is no key yet; ./cortex up makes it"
issue_token --company "$DEMO_COMPANY" --role company_admin --user "$DEMO_ADMIN" "$@" || exit 2
