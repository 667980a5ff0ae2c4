#!/usr/bin/env bash
# The private servers of one state directory (CORTEX_STATE, default .cortex), for tests and by hand:
#
#   servers.sh start|stop|kill|restart [broker|database]     both when none is named
#   servers.sh url broker [VHOST [USER]] | url database [LOGIN [NAME]] | url replica [LOGIN [NAME]]
#   servers.sh replica start [MILLISECONDS] | replica stop     a streaming replica that applies each commit so much later
#   servers.sh vhost NAME          an empty vhost           servers.sh createdb NAME    an empty database
#   servers.sh sql LOGIN NAME      SQL from standard input  servers.sh ctl ARGUMENTS…   rabbitmqctl
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/common.sh"
. "$here/lib/broker.sh"
. "$here/lib/database.sh"
. "$here/lib/process.sh" # for PARTS

each() {
    local verb=$1 part
    shift
    [ $# -gt 0 ] || set -- database broker
    for part; do
        case $part in
        broker | database) "${part}_$verb" ;;
        *) die "there is no server $part; the servers are broker and database" ;;
        esac
    done
}

restart() {
    each stop "$@"
    each start "$@"
}

url() {
    case ${1:-} in
    broker | database | replica) "${1}_url" "${@:2}" ;;
    *) die "url needs a server: broker, database or replica" ;;
    esac
    echo
}

asked=${1:-}
shift || true
case $asked in
start | stop | kill) each "$asked" "$@" ;;
restart) restart "$@" ;;
url) url "$@" ;;
vhost) broker_vhost "${1:?vhost needs a name}" ;;
createdb) database_own "${1:?createdb needs a name}" ;;
logins) database_logins ;;
walls) database_walls "${1:?walls needs a database}" ;;
replica)
    case ${1:-} in
    start | stop) "replica_$1" "${@:2}" ;;
    *) die "replica needs start or stop" ;;
    esac
    ;;
sql) database_sql "${1:?sql needs a login}" "${2:?sql needs a database}" ;;
ctl) broker_ctl "$@" ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
