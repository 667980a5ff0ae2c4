# shellcheck shell=bash
# Private RabbitMQ nodes on the loopback that form one cluster: of this machine's RabbitMQ, or of Debian 13's. To be sourced after
# common.sh, packages.sh, debian13.sh and broker.sh.
#
# A node is a private broker (broker.sh) with a state directory of its own. What all nodes share (password, cookie, epmd) is the first's.
#
#   STATE/cluster/<n>/   a node of this machine          DEBIAN13/srv/<state>/<n>/   a node of Debian 13

# cluster_of VERSION: "machine" or "debian13". Names it for the functions below.
cluster_of() {
    case $1 in
    machine) CLUSTER=$STATE/cluster CLUSTER_CHROOT= ;;
    debian13) debian13_choose && CLUSTER=$DEBIAN13/srv/$(sha256sum <<<"$STATE" | cut -c1-16) CLUSTER_CHROOT=$DEBIAN13 ;;
    *) die "there is no cluster of $1; it is machine or debian13" ;;
    esac
}

# on_node N COMMAND…: the command sees the node as the private broker, in a shell of its own.
# shellcheck disable=SC2030,SC2031,SC2034 # what is set here is for broker.sh and common.sh, and only in that shell
on_node() (
    n=$1
    shift
    STATE=$CLUSTER/$n CHROOT=$CLUSTER_CHROOT BROKER_NODE=cortex$n BROKER_PEERS=cortex1
    "$@"
)

# shellcheck disable=SC2031
# What a node needs of the first: they are one cluster by one cookie, and find each other by one epmd.
node_prepare() {
    local first=$CLUSTER/1 name
    ensure_state
    if [ "$STATE" != "$first" ]; then
        for name in "$first"/secrets/broker_*; do
            as_service cat "$name" | put_file 600 "$STATE/secrets/${name##*/}"
        done
        [ -n "$(port_of epmd 2>/dev/null)" ] || grep '^epmd=' "$first/ports" >>"$STATE/ports"
        cp "$first/run/epmd.pid" "$STATE/run/"
    fi
}

node_start() {
    node_prepare
    broker_start
}

# cluster_start COUNT: the first node alone, then the others, which find it.
cluster_start() {
    local n
    [ -z "$CLUSTER_CHROOT" ] || debian13_need rabbitmq-server
    mkdir -p "$CLUSTER"
    on_node 1 node_start
    for ((n = 2; n <= $1; n++)); do
        on_node "$n" node_start &
    done
    wait
}

cluster_url() {
    local n
    for n in $(cluster_nodes); do
        [ "$n" = 1 ] || printf ','
        on_node "$n" broker_url "$@"
    done
}

# The numbers of the nodes that were ever started.
cluster_nodes() {
    (cd "$CLUSTER" && printf '%s\n' [0-9]*)
}

cluster_stop() {
    local n
    [ -d "$CLUSTER" ] || return 0
    for n in $(cluster_nodes); do
        on_node "$n" stop_process broker KILL 10
    done
    on_node 1 stop_process epmd TERM 10
    rm -rf "$CLUSTER"
}
