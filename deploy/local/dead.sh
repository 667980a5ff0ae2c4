#!/usr/bin/env bash
# dead [list|show ID|replay ID|drop ID|replay|drop …]: commands that nobody runs any more: ./cortex dead help
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"
. "$here/lib/operator.sh"

usage() {
    cat <<'END'
usage: ./cortex dead [list] [FILTERS]      a page of JSON a line, the longest dead first
       ./cortex dead show ID               with its body and its history
       ./cortex dead replay ID             back to work
       ./cortex dead drop ID               forgotten
       ./cortex dead replay FILTERS | --all
       ./cortex dead drop FILTERS | --all
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
            [[ ${2:-} =~ ^[A-Za-z0-9._:+-]+$ ]] || die "$1 takes a plain word or a time"
            filter[${1#--}]=$2 && shift 2
            ;;
        --all) all=yes && shift ;;
        -*) usage >&2 && exit 2 ;;
        *)
            [[ $1 =~ ^[0-9a-fA-F-]{36}$ ]] || die "$1 is not the id of a letter"
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

# A request moves a bounded number; what dies again meanwhile is newer than the first answer's `before`.
many() {
    local answer total=0
    [ ${#filter[@]} -gt 0 ] || [ -n "$all" ] || die "say which: an id, a filter, or --all"
    while :; do
        case $1 in
        replay) answer=$(operator POST /v1/admin/dead-letters/replay "$(body)") || exit 1 ;;
        drop) answer=$(operator DELETE "/v1/admin/dead-letters?$(query)") || exit 1 ;;
        esac
        total=$((total + $(member count <<<"$answer")))
        filter[before]=${filter[before]:-$(member before <<<"$answer")}
        [ "$(member more <<<"$answer")" = true ] || break
    done
    printf '%s letters: %s\n' "$total" "$1"
}

verb=${1:-list}
case $verb in --*) verb=list ;; *) shift || true ;; esac
read_arguments "$@"
case $verb in
list) operator_pages /v1/admin/dead-letters "$(query)" ;;
show) operator GET "/v1/admin/dead-letters/${id:?an id}" ;;
replay) if [ -n "$id" ]; then operator POST "/v1/admin/dead-letters/$id/replay"; else many replay; fi ;;
drop) if [ -n "$id" ]; then operator DELETE "/v1/admin/dead-letters/$id"; else many drop; fi ;;
help) usage ;;
*) usage >&2 && exit 2 ;;
esac
