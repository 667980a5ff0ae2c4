# shellcheck shell=bash
# shellcheck disable=SC2034 # reason_is_told is for common.sh
# Requests to the admin API (/v1/admin) with an operator's token. To be sourced after stack.sh.

# operator METHOD PATH [JSON]: prints the answer; a refusal is printed on stderr, and the call fails.
operator() {
    local address answer status
    address=$(gateway_url)
    # The token goes by a pipe: a command line can be read by everybody on the machine.
    answer=$(local_http --max-time 60 -K - -X "$1" -w '\n%{http_code}' ${3:+-H 'Content-Type: application/json' -d "$3"} \
        "$address$2" \
        <<<"header = \"Authorization: Bearer $(issue_token --company "$DEMO_COMPANY" --role super_admin --user "$DEMO_ADMIN")\"") || { reason_is_told=1 && return 1; }
    status=${answer##*$'\n'}
    answer=${answer%$'\n'*}
    if [ "$status" -ge 400 ]; then
        printf '%s\n' "$answer" >&2
        reason_is_told=1
        return 1
    fi
    printf '%s\n' "$answer"
}

# operator_pages PATH [QUERY]: prints a list, a page a line.
operator_pages() {
    local page next=
    while :; do
        page=$(operator GET "$1?limit=200${2:+&$2}${next:+&after=$next}") || { reason_is_told=1 && return 1; }
        printf '%s\n' "$page"
        next=$(printf '%s' "${page##*\"next\":}" | sed -n 's/^"\(.*\)"}$/\1/p')
        [ -n "$next" ] || return 0
    done
}
