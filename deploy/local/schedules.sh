#!/usr/bin/env bash
# schedules [list|show NAME|put NAME JSON|run NAME|drop NAME]: what is done again and again: ./cortex schedules help
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"
. "$here/lib/operator.sh"

usage() {
    cat <<'END'
usage: ./cortex schedules [list [--company C]]    a page of JSON a line: when each comes next, what became of its last run
       ./cortex schedules show NAME               with the body of its command
       ./cortex schedules put NAME JSON           made, or replaced: {"cron": "30 6 * * mon-fri", "timezone": "Europe/Berlin",
                                                  "company": …, "type": "project.create", "body": {…}}; - reads it from stdin
       ./cortex schedules run NAME                now, once, beside its times
       ./cortex schedules drop NAME               taken away
END
}

verb=${1:-list}
name=${2:-}
case $verb in
show | put | run | drop) [[ $name =~ ^[a-z0-9._-]{1,64}$ ]] || die "$verb takes the name of a schedule: a-z, 0-9, . _ -" ;;
esac
case $verb in
list)
    [[ ${2:---company} = --company && ${3:-} =~ ^[0-9a-fA-F-]*$ ]] || die "list takes --company ID"
    operator_pages /v1/admin/schedules "${3:+company=$3}"
    ;;
show) operator GET "/v1/admin/schedules/$name" ;;
put)
    json=${3:?a schedule as JSON, or - to read it from stdin}
    [ "$json" != - ] || json=$(cat)
    operator PUT "/v1/admin/schedules/$name" "$json"
    ;;
run) operator POST "/v1/admin/schedules/$name/run" ;;
drop) operator DELETE "/v1/admin/schedules/$name" ;;
help) usage ;;
*) usage >&2 && exit 2 ;;
esac
