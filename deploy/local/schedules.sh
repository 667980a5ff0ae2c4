#!/usr/bin/env bash
# schedules [list|show|put|run|drop ...]: list, show, set, run or drop schedules; ./cortex schedules help says how
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"
. "$here/lib/operator.sh"

usage() {
    cat <<'END'
usage: ./cortex schedules [list [--company C]]    list them with their next time and the result of their last run; each line is
                                                  a page of JSON
       ./cortex schedules show NAME               show one with the body of its command
       ./cortex schedules put NAME JSON           create or replace one: {"cron": "30 6 * * mon-fri", "timezone": "Europe/Berlin",
                                                  "company": …, "type": "project.create", "body": {…}}; - reads it from stdin
       ./cortex schedules run NAME                run it once, now, beside its times
       ./cortex schedules drop NAME               delete it
END
}

verb=${1:-list}
name=${2:-}
case $verb in
show | put | run | drop) [[ $name =~ ^[a-z0-9._-]{1,64}$ ]] || die "$verb needs the name of a schedule, of the characters a-z 0-9 . _ -; ./cortex schedules list shows the names" ;;
esac
case $verb in
list)
    [[ ${2:---company} = --company && ${3:-} =~ ^[0-9a-fA-F-]*$ ]] || die "list takes only --company ID"
    operator_pages /v1/admin/schedules "${3:+company=$3}"
    ;;
show) operator GET "/v1/admin/schedules/$name" ;;
put)
    json=${3:-}
    [ -n "$json" ] || die "put needs the schedule as JSON, or - to read it from stdin; ./cortex schedules help shows one"
    [ "$json" != - ] || json=$(cat)
    operator PUT "/v1/admin/schedules/$name" "$json"
    ;;
run) operator POST "/v1/admin/schedules/$name/run" ;;
drop) operator DELETE "/v1/admin/schedules/$name" ;;
help) usage ;;
*) usage >&2 && exit 2 ;;
esac
