#!/usr/bin/env bash
# dead [list|show|replay|drop ...]: list, show, replay or drop dead letters; ./cortex dead help says how
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"
. "$here/lib/operator.sh"

usage() {
    cat <<'END'
usage: ./cortex dead [list] [FILTERS]         list dead letters, oldest first; each line is a page of JSON
       ./cortex dead show ID                  show one with its body and its history
       ./cortex dead replay ID                run its command again
       ./cortex dead drop ID                  delete it; its command is not run again
       ./cortex dead replay FILTERS | --all   replay all that match
       ./cortex dead drop FILTERS | --all     drop all that match
FILTERS: --pool P --type T --company C --reason R --since TIME --before TIME (RFC 3339)
END
}

declare -A filter=()
all=
id=
read_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --pool | --type | --company | --reason | --since | --before)
            [[ ${2:-} =~ ^[A-Za-z0-9._:+-]+$ ]] || die "$1 takes a word or a time, not '${2:-}'; ./cortex dead help lists the filters"
            filter[${1#--}]=$2 && shift 2
            ;;
        --all) all=yes && shift ;;
        -*) usage >&2 && exit 2 ;;
        *)
            [[ $1 =~ ^[0-9a-fA-F-]{36}$ ]] || die "$1 is not the id of a dead letter; ./cortex dead list shows the ids"
            id=$1 && shift
            ;;
        esac
    done
}

query() {
    local name joined=
    for name in "${!filter[@]}"; do
        joined+="&$name=${filter[$name]//+/%2B}"
    done
    printf '%s' "${joined#&}"
}

body() {
    local name joined=
    for name in "${!filter[@]}"; do
        joined+=",\"$name\":\"${filter[$name]}\""
    done
    printf '{%s}' "${joined#,}"
}

member() { sed -n "s/.*\"$1\" *: *\"\{0,1\}\([^,\"}]*\).*/\1/p"; }

# A request replays or drops a bounded number, so it is sent until no more are left. What fails again meanwhile is newer than the first
# answer's `before`, and is not taken a second time.
many() {
    local answer locked total=0
    [ ${#filter[@]} -gt 0 ] || [ -n "$all" ] || die "$1 needs an id, a filter or --all: ./cortex dead help lists them"
    while :; do
        case $1 in
        replay) answer=$(operator POST /v1/admin/dead-letters/replay "$(body)") || exit 1 ;;
        drop) answer=$(operator DELETE "/v1/admin/dead-letters?$(query)") || exit 1 ;;
        esac
        total=$((total + $(member count <<<"$answer")))
        filter[before]=${filter[before]:-$(member before <<<"$answer")}
        [ "$(member more <<<"$answer")" = true ] || break
    done
    printf '%s dead letters: %s\n' "$total" "$1"
    locked=$(member locked <<<"$answer")
    [ "${locked:-0}" = 0 ] || printf '%s more are held by another transaction: try again later\n' "$locked" >&2
}

verb=${1:-list}
case $verb in --*) verb=list ;; *) shift || true ;; esac
read_arguments "$@"
case $verb in
list) operator_pages /v1/admin/dead-letters "$(query)" ;;
show)
    [ -n "$id" ] || die "show needs the id of a dead letter; ./cortex dead list shows the ids"
    operator GET "/v1/admin/dead-letters/$id"
    ;;
replay) if [ -n "$id" ]; then operator POST "/v1/admin/dead-letters/$id/replay"; else many replay; fi ;;
drop) if [ -n "$id" ]; then operator DELETE "/v1/admin/dead-letters/$id"; else many drop; fi ;;
help) usage ;;
*) usage >&2 && exit 2 ;;
esac
