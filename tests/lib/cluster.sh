#!/usr/bin/env bash
# A cluster of private RabbitMQ nodes, for tests (deploy/local/lib/cluster.sh). VERSION is machine or debian13:
#
#   cluster.sh VERSION start COUNT       cluster.sh VERSION url [VHOST]      cluster.sh VERSION vhost NAME
#   cluster.sh VERSION up|kill|stop N    cluster.sh VERSION ctl N ARGUMENTS…  cluster.sh VERSION grow|remove
set -euo pipefail
lib=$(dirname "$0")/../../deploy/local/lib
for file in common packages debian13 broker cluster; do
    # shellcheck source=/dev/null
    . "$lib/$file.sh"
done

cluster_of "${1:-}"
command=${2:-}
shift 2
case $command in
start) cluster_start "$1" ;;
url) cluster_url "$@" ;;
vhost) on_node 1 broker_vhost "$1" ;;
up) on_node "$1" node_start ;;
kill | stop) on_node "$1" "broker_$command" ;;
grow) on_node 1 broker_grow ;;
ctl) on_node "$1" broker_ctl "${@:2}" ;;
remove) cluster_stop ;;
*) sed -n '2,5s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
