# shellcheck shell=bash
# A private RabbitMQ: own node name, cookie, epmd and ports, everything bound to the loopback, no plugins. To be sourced after common.sh.
# Of a node of a cluster (cluster.sh) BROKER_NODE is its name, BROKER_PEERS names all nodes, and CHROOT is the root that it runs in.

# shellcheck disable=SC2034 # for broker_users.sh
BROKER_FILES=$ROOT/common/broker
# shellcheck source=/dev/null
. "$ROOT/deploy/local/lib/broker_users.sh"

RABBITMQ_BIN=/usr/lib/rabbitmq/bin
# Erlang takes all cores and its schedulers spin for a while before they sleep. The gateway, the workers and PostgreSQL want them, too: half
# of the cores, at least one, do the same work in less time, since fewer schedulers wake each other up.
ERLANG_SHARES_CORES="+sbwt none +sbwtdcpu none +sbwtdio none +S $((($(nproc) + 1) / 2))"

# The environment of the server and of rabbitmqctl: nothing of the machine's own RabbitMQ is read.
broker_env() {
    local broker=${STATE#"${CHROOT:-}"}/broker path=$PATH
    [ -z "${CHROOT:-}" ] || path=/usr/sbin:/usr/bin
    printf '%s\n' \
        "HOME=$broker" \
        "PATH=$path" \
        "LANG=C.UTF-8" \
        "RABBITMQ_NODENAME=${BROKER_NODE:-cortex}@localhost" \
        "RABBITMQ_CONF_ENV_FILE=$broker/none" \
        "RABBITMQ_CONFIG_FILE=$broker/rabbitmq.conf" \
        "RABBITMQ_ENABLED_PLUGINS_FILE=$broker/enabled_plugins" \
        "RABBITMQ_MNESIA_BASE=$broker/data" \
        "RABBITMQ_LOG_BASE=$broker/log" \
        "RABBITMQ_LOGS=-" \
        "RABBITMQ_PID_FILE=$broker/pid" \
        "RABBITMQ_DIST_PORT=$(port_of broker_dist)" \
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} $ERLANG_SHARES_CORES" \
        "RABBITMQ_CTL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}" \
        "ERL_EPMD_PORT=$(port_of epmd)" \
        "ERL_EPMD_ADDRESS=127.0.0.1" \
        "RUNNING_UNDER_SYSTEMD=true" # the script then becomes the server instead of watching over it
}

# broker_url [VHOST [USER]]: of the user cortex, who may do everything, or of a kind of process (broker_users.sh).
broker_url() {
    local user=${2:-cortex}
    printf 'amqp://%s:%s@127.0.0.1:%s/%s' "$user" "$(broker_password "$user")" "$(port_of broker)" "${1:-}"
}

# broker_password USER
broker_password() {
    case $1 in
    cortex) secret broker_password ;;
    *) secret "broker_$1" ;;
    esac
}

# What a broker of the version before lacks, or one whose table of rights was another: its users, their rights and the exchanges.
broker_update() {
    local definitions=$STATE/broker/definitions.json
    broker_definitions / | put_file 600 "$definitions.wanted"
    as_service cmp -s "$definitions.wanted" "$definitions" || {
        step "broker: giving each kind of process its user"
        broker_import "$definitions.wanted"
        broker_remember_definitions
    }
    as_service rm -f "$definitions.wanted"
}

# broker_import FILE: of definitions. RabbitMQ 4 does not read them from standard input.
broker_import() {
    broker_ctl import_definitions --format json "${1#"${CHROOT:-}"}" >/dev/null
}

# A broker whose data is new, or gone, begins with them.
broker_remember_definitions() {
    broker_definitions / | put_file 600 "$STATE/broker/definitions.json"
}

# broker_vhost NAME: an empty vhost, where the users have the same rights as in /.
broker_vhost() {
    local definitions=$STATE/broker/definitions.$1.json
    broker_definitions "$1" | put_file 600 "$definitions"
    broker_import "$definitions"
    as_service rm -f "$definitions"
}

# Where BROKER_PEERS names other nodes, a new node joins them. Once it is one of theirs, it remembers them by itself.
broker_peers() {
    local n=0 peer
    [ -n "${BROKER_PEERS:-}" ] || return 0
    printf 'cluster_formation.peer_discovery_backend = classic_config\n'
    for peer in $BROKER_PEERS; do
        n=$((n + 1))
        printf 'cluster_formation.classic_config.nodes.%d = %s@localhost\n' "$n" "$peer"
    done
}

broker_configure() {
    local broker=$STATE/broker
    put_file 600 "$broker/rabbitmq.conf" <<END
listeners.tcp.1 = 127.0.0.1:$(port_of broker)
load_definitions = ${broker#"${CHROOT:-}"}/definitions.json
disk_free_limit.absolute = 200MB
raft.wal_max_size_bytes = 67108864
log.console.level = info
$(broker_peers)
END
    broker_remember_definitions
    put_file 600 "$broker/enabled_plugins" <<<'[].'
    [ -s "$broker/.erlang.cookie" ] || secret broker_cookie | put_file 400 "$broker/.erlang.cookie"
}

# The server greets with connection.start as soon as its listener is open, which is the end of its start.
broker_answers() {
    local first
    exec 8<>"/dev/tcp/127.0.0.1/$(port_of broker)" || return 1
    printf 'AMQP\x00\x00\x09\x01' >&8
    IFS= read -r -t 2 -n 1 -d '' first <&8
    exec 8>&-
    [ "$first" = $'\x01' ]
}

epmd_answers() {
    (exec 8<>"/dev/tcp/127.0.0.1/$(port_of epmd)")
}

# RabbitMQ writes into its data where the log of each quorum queue lies, and goes by that: in a folder that was moved it finds no queue, in
# a copy it opens those of the other folder. Where the data was last used under another path, these places are written anew.
broker_settle() {
    local broker=$STATE/broker here=${STATE#"${CHROOT:-}"}
    [ -d "$broker/data" ] && [ "$(as_service cat "$broker/data/path" 2>/dev/null)" != "$here" ] || return 0
    as_part env -i "HOME=$here/broker" "PATH=/usr/sbin:/usr/bin" LANG=C.UTF-8 erl -noinput -boot start_clean -eval "
        Settle = fun(File) ->
            Folder = filename:dirname(filename:dirname(File)),
            {ok, Octets} = file:read_file(File), % RabbitMQ writes a path with umlauts in Latin-1, and reads it so
            {ok, Tokens, _} = erl_scan:string(binary_to_list(Octets)),
            case erl_parse:parse_term(Tokens) of
                {ok, Queue = #{system_config := System}} ->
                    Here = Queue#{system_config := System#{data_dir => Folder, wal_data_dir => Folder}},
                    ok = file:write_file(File ++ \".new\", io_lib:format(\"~w.\", [Here])),
                    ok = file:rename(File ++ \".new\", File);
                Other -> io:format(\"~ts is left as it is: ~tp~n\", [File, Other])
            end
        end,
        [Settle(File) || Kind <- [\"quorum\", \"coordination\"],
                         File <- filelib:wildcard(\"$here/broker/data/*/\" ++ Kind ++ \"/*/*/config\")],
        halt(0)." 2>&1 | to_log broker ||
        part_failed broker "cannot use its data, which lay elsewhere before"
    put_file 600 "$broker/data/path" <<<"$here"
}

broker_start() {
    if has_moved broker; then
        step "broker: its folder has moved; starting it again"
        broker_stop
    fi
    if is_running broker; then
        wait_ready broker 120 broker_answers # it may be starting still, for an `up` that was interrupted
        return
    fi
    [ -x "${CHROOT:-}$RABBITMQ_BIN/rabbitmq-server" ] || die "RabbitMQ is not installed; ./cortex up installs it"
    ensure_state
    local -a environment
    if ! is_running epmd; then
        choose_port epmd
        start_server epmd env -i "PATH=$PATH" epmd -port "$(port_of epmd)" -address 127.0.0.1
        wait_ready epmd 10 epmd_answers
    fi
    choose_port broker
    choose_port broker_dist
    broker_configure
    broker_settle
    mapfile -t environment < <(broker_env)
    start_server broker env -i "${environment[@]}" "$RABBITMQ_BIN/rabbitmq-server"
    wait_ready broker 120 broker_answers
}

broker_stop() {
    stop_process broker TERM 60
    stop_process epmd TERM 10
}

broker_kill() {
    stop_process broker KILL 10
}

# broker_queues ARGUMENTS…: rabbitmq-queues of this node.
broker_queues() {
    broker_command rabbitmq-queues "$@"
}

# The running nodes of the broker's cluster, one a line: one, unless somebody has joined others to it.
broker_nodes() {
    broker_ctl eval 'lists:foreach(fun(Node) -> io:format("~s~n", [Node]) end, [node() | nodes()]).' | grep @
}

# Other nodes have joined it: its file of nodes names more than itself, which stands there twice.
broker_is_clustered() {
    local nodes=$STATE/broker/data/${BROKER_NODE:-cortex}@localhost/cluster_nodes.config
    [ "$(as_service cat "$nodes" 2>/dev/null | grep -o '@' | wc -l)" -gt 2 ]
}

# Gives every replicated queue a member on each node. RabbitMQ does not by itself: a queue stays on the nodes that there were when it was
# declared.
broker_grow() {
    local node
    for node in $(broker_nodes); do
        broker_queues grow "$node" all 2>&1 | to_log broker_grow || part_failed broker_grow "could not give $node a member of every queue"
    done
}

# broker_ctl ARGUMENTS…: rabbitmqctl of this node.
broker_ctl() {
    broker_command rabbitmqctl "$@"
}

# not_empty QUEUE…: those of them that hold messages, waiting or in work, as "name (5 messages)", with commas. Fails when RabbitMQ does not say.
not_empty() {
    local all
    all=$(broker_ctl list_queues --no-table-headers name messages) || return
    awk -v queues=" $* " 'index(queues, " " $1 " ") && $2 != 0 {
        printf "%s%s (%s messages)", sep, $1, $2; sep = ", " }' <<<"$all"
}

# broker_command PROGRAM ARGUMENTS…: one of RabbitMQ's own command lines.
broker_command() {
    local program=$1
    shift
    is_running broker || die "the private RabbitMQ of $STATE is not running"
    local -a environment
    mapfile -t environment < <(broker_env)
    cd "$STATE" && as_part env -i "${environment[@]}" "$RABBITMQ_BIN/$program" --quiet "$@"
}
