#!/usr/bin/env bash
# watch [--company C]: print a company's events as they happen, one line of JSON each
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"

company=$DEMO_COMPANY
while [ $# -gt 0 ]; do
    case $1 in
    --company)
        [ $# -ge 2 ] || die "--company needs the id of a company"
        company=$2
        shift 2
        ;;
    *) die "watch does not know $1; it takes --company C" ;;
    esac
done
is_running gateway || die "the gateway is not running; ./cortex up starts it"
address=$(gateway_url)
# The token goes by a pipe: a command line can be read by everybody on the machine.
issue_token --company "$company" --role company_admin --user "$DEMO_ADMIN" |
    "$(programs)/gateway/tools/cortex-watch" "${address#http://}" "company:$company" || exit 1
