# shellcheck shell=bash
# What every command of ./cortex shares: messages, where things are, who runs the servers, processes by pid file, free ports.
# To be sourced. A state directory holds everything of one private stack:
#
#   STATE/secrets/   keys and passwords, a file each (600, of the service user)
#   STATE/broker/    RabbitMQ's data and configuration        STATE/database/   PostgreSQL's
#   STATE/run/       pid files: "pid start-time"               STATE/log/        one log a part, and its older ones
#   STATE/ports      name=number, kept so that addresses survive a restart

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd -P)
STATE=$(realpath -m "${CORTEX_STATE:-$ROOT/.cortex}") # however it was reached: RabbitMQ keeps the path
SERVICE_USER=${CORTEX_SERVICE_USER:-cortex} # runs the servers where we are root

say() {
    printf '%s\n' "$*"
}

step() {
    printf '\033[1m==>\033[0m %s\n' "$*" >&2
}

warn() {
    printf 'cortex: %s\n' "$*" >&2
}

# One sentence that says what is wrong and, where there is one, the way out.
die() {
    warn "$*"
    exit 1
}

# A script that stops for a reason that nobody foresaw says at least where.
set -o errtrace
# What fails in $(…) stops nothing by itself; where it does, the command around it fails here. A function that has said
# why it fails sets reason_is_told.
reason_is_told=
trap '[ "$BASH_SUBSHELL" -gt 0 ] || [ -n "$reason_is_told" ] || warn "unexpected failure in ${BASH_SOURCE[0]##*/} line $LINENO: $BASH_COMMAND"' ERR

am_root() {
    [ "$(id -u)" -eq 0 ]
}

# Runs a command as root, by sudo where we are not; dies when neither works.
as_root() {
    if am_root; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root and there is no sudo; run as root: $*"
    fi
}

# --- the service user: neither RabbitMQ nor PostgreSQL should, or will, run as root ---

service_user() {
    if am_root; then
        printf '%s' "$SERVICE_USER"
    else
        id -un
    fi
}

ensure_service_user() {
    am_root || return 0
    id -u "$SERVICE_USER" >/dev/null 2>&1 && return 0
    step "creating the system user $SERVICE_USER, which runs the servers"
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$SERVICE_USER"
}

# as_service COMMAND…: in this process where we are not root; else as the service user.
as_service() {
    if am_root; then
        setpriv --reuid="$SERVICE_USER" --regid="$SERVICE_USER" --clear-groups -- "$@"
    else
        "$@"
    fi
}

service_can_reach() {
    as_service test -x "$1" 2>/dev/null
}

# own PATH…: gives them to the service user. A server may be at work in them: its files come and go, and are its own. So what is not the
# service user's is looked for, and again where a file has gone meanwhile.
own() {
    local _
    ! am_root || for _ in 1 2 3; do
        ! find "$@" -ignore_readdir_race '(' ! -user "$SERVICE_USER" -o ! -group "$SERVICE_USER" ')' \
            -exec chown -h "$SERVICE_USER:$SERVICE_USER" {} + 2>/dev/null || return 0
    done
    ! am_root || chown -R "$SERVICE_USER:$SERVICE_USER" "$@"
}

# --- the state directory ---

# RabbitMQ gives the path to a shell (df) and to a search for files: with a blank, a quote or one of []{}*?$ in it, it never answers or
# finds no queue.
check_state_path() {
    [ "$(printf '%s' "$STATE" | tr -d 'A-Za-z0-9._/+@:,=~^%#\200-\377-' | wc -c)" -eq 0 ] ||
        die "RabbitMQ cannot live below this path: $STATE; choose a folder without spaces, quotes and other signs than ._/+@:,=~^%#- with" \
            "CORTEX_STATE"
}

# lock_state: waits until no other ./cortex works on this state; the lock is held until the script ends.
lock_state() {
    mkdir -p "$STATE" 2>/dev/null && { exec 9>"$STATE/lock"; } 2>/dev/null ||
        die "cannot write to $STATE; choose another folder with CORTEX_STATE"
    flock -n 9 || { step "waiting for another ./cortex to finish" && flock 9; }
}

ensure_state() {
    check_state_path
    ensure_service_user
    mkdir -p "$STATE/run" "$STATE/log" "$STATE/secrets" "$STATE/broker" "$STATE/database" ||
        die "cannot write to $STATE; choose another folder with CORTEX_STATE"
    chmod 755 "$STATE" "$STATE/run" "$STATE/log"
    chmod 700 "$STATE/secrets" "$STATE/broker" "$STATE/database"
    if ! service_can_reach "$STATE"; then
        die "user $(service_user) cannot reach $STATE (a folder above it is closed to others);" \
            "open that folder with chmod o+x, or move the state elsewhere with CORTEX_STATE=/path"
    fi
    own "$STATE/secrets" "$STATE/broker" "$STATE/database" "$STATE/log"
}

# as_part COMMAND…: as the service user, and where CHROOT names a root, in that.
as_part() {
    if [ -n "${CHROOT:-}" ]; then
        chroot "--userspec=$(id -u "$SERVICE_USER"):$(id -g "$SERVICE_USER")" --groups= "$CHROOT" "$@"
    else
        as_service "$@"
    fi
}

# put_file MODE PATH: standard input into a file of the service user, replaced in one step.
put_file() {
    # shellcheck disable=SC2016 # the inner shell expands them; the folder is the service user's, so root does not write there
    as_service sh -c 'umask 077 && rm -f "$2.new" && cat >"$2.new" && chmod "$1" "$2.new" && mv -f "$2.new" "$2"' put_file "$@"
}

# secret NAME: the value, made at random when first asked for.
secret() {
    local path=$STATE/secrets/$1
    [ -s "$path" ] || openssl rand -hex 32 | tr -d '\n' | put_file 600 "$path"
    cat "$path"
}

# --- requests to this machine ---

# What a proxy of the environment serves is not this machine.
loopback_without_proxy() {
    local here=127.0.0.1,localhost,::1 others=${no_proxy:-${NO_PROXY:-}}
    [ "$others" != '*' ] || here= # which means every host, where it stands alone
    export no_proxy=$here${here:+${others:+,}}$others
    export NO_PROXY=$no_proxy
}
loopback_without_proxy

# local_http ARGUMENTS…: curl to a server of this state. Neither a proxy of the environment nor a .curlrc of the caller has a say.
local_http() {
    curl --disable --noproxy '*' --silent --show-error "$@"
}

# Whether a curl that somebody types would go by a proxy.
proxy_is_set() {
    [ -n "${http_proxy:-}${all_proxy:-}${ALL_PROXY:-}" ]
}

# --- ports ---

# Somebody listens there (state 0A); connections that linger from an earlier server do not count.
port_taken() {
    local hex
    printf -v hex '%04X' "$((10#$1))"
    grep -qsE ": [0-9A-F]+:$hex [0-9A-F]+:[0-9A-F]{4} 0A " /proc/net/tcp /proc/net/tcp6
}

# A port below the range from which the kernel gives out its own.
free_port() {
    local port tries
    for tries in {1..200}; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        port_taken "$port" || { printf '%s' "$port" && return; }
    done
    die "found no free port after $tries tries"
}

port_of() {
    sed -n "s/^$1=//p" "$STATE/ports"
}

# choose_port NAME: keeps the old one while nobody else has taken it. Call it only while the part is not running.
choose_port() {
    local name=$1 port
    touch "$STATE/ports"
    port=$(port_of "$name")
    if [ -z "$port" ] || port_taken "$port"; then
        port=$(free_port)
        sed -i "/^$name=/d" "$STATE/ports"
        printf '%s=%s\n' "$name" "$port" >>"$STATE/ports"
    fi
}

# --- processes ---

# The start time tells a process from a later one that was given the same pid.
start_time() {
    sed -n 's/^.*) //p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

# pid_of PART: prints the pid when it is running; a stale pid file counts for nothing, nor does that of a folder that this is a copy of.
pid_of() {
    local pid
    pid=$(recorded_pid "$1") && works_here "$pid" && printf '%s' "$pid"
}

# The process that the pid file names, wherever it works.
recorded_pid() {
    local pid started
    [ -s "$STATE/run/$1.pid" ] && read -r pid started <"$STATE/run/$1.pid" || return 1
    [ -n "$pid" ] && [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null &&
        printf '%s' "$pid"
}

# Each part works in the state directory or in a folder below it: to the part, a directory that is renamed stays the same, and a copy is
# another. Of another user's process it cannot be seen; nodes of a cluster share an epmd.
works_here() {
    local cwd=/proc/$1/cwd
    [ -z "${CHROOT:-}${BROKER_PEERS:-}" ] && readlink "$cwd" >/dev/null 2>&1 || return 0
    [ "$cwd" -ef "$STATE" ] || [ "$cwd/.." -ef "$STATE" ] || [ "$cwd/../.." -ef "$STATE" ]
}

# Parts that the pid files name and whose folder is gone: it was moved to another disk, or copied and removed, while they ran.
stop_orphans() {
    local file part pid
    for file in "$STATE"/run/*.pid; do
        part=$(basename "$file" .pid)
        pid=$(recorded_pid "$part") && [[ $(readlink "/proc/$pid/cwd") = *' (deleted)' ]] || continue
        warn "$part (pid $pid) still runs in a folder that is gone; killing it"
        kill -s KILL -- "-$pid" 2>/dev/null || true
        rm -f "$file"
    done
}

# has_moved PART: it runs, and was started when the state directory had another path.
has_moved() {
    is_running "$1" && [ -s "$STATE/run/$1.at" ] && [ "$(cat "$STATE/run/$1.at")" != "$STATE" ]
}

is_running() {
    pid_of "$1" >/dev/null 2>&1
}

# Octets from which on a log gets another name (the gateway and the workers have CORTEX_LOG_FILE_BYTES).
LOG_FULL=16777216

# start_process PART COMMAND…: in a session of its own, as the service user, in CHROOT where that names a root; output to the part's log,
# which the process renames itself when it is full.
start_process() {
    local log=$STATE/log/$1.log
    # shellcheck disable=SC2016 # the inner shell expands them
    launch "$1" sh -c 'exec >>"$0" 2>&1 && exec "$@"' "${log#"${CHROOT:-}"}" "${@:2}" >/dev/null
}

# start_server PART COMMAND…: the same for a program that never lets go of its log; another process keeps it.
start_server() {
    local -a become=()
    ! am_root || become=(setpriv "--reuid=$SERVICE_USER" "--regid=$SERVICE_USER" --clear-groups --)
    launch "$@" > >(
        cd "$STATE/log" || exit
        exec 9>&- >/dev/null 2>&1 # whoever reads what ./cortex says waits for its end
        # The program itself, since the service user may not be able to read the file.
        exec setsid "${become[@]}" env -i "PATH=$PATH" perl -e "$(<"$ROOT/deploy/local/lib/keep_log.pl")" "$1.log" "$LOG_FULL"
    )
}

# launch PART COMMAND…: what start_process and start_server share.
launch() {
    local part=$1 pid
    shift
    local -a become=()
    if [ -n "${CHROOT:-}" ]; then
        become=(chroot "--userspec=$(id -u "$SERVICE_USER"):$(id -g "$SERVICE_USER")" --groups= "$CHROOT")
    elif am_root; then
        become=(setpriv "--reuid=$SERVICE_USER" "--regid=$SERVICE_USER" --clear-groups --)
    fi
    (
        cd "$STATE" || exit
        # The lock of ./cortex must not live on in what it starts.
        exec 9>&-
        exec setsid "${become[@]}" "$@"
    ) </dev/null 2>&1 &
    pid=$!
    disown "$pid"
    # On a busy machine it may still be where this script is, which is no place of a part of ours.
    while ! works_here "$pid" && [ -d "/proc/$pid" ]; do
        sleep 0.01
    done
    printf '%s\n' "$STATE" >"$STATE/run/$part.at"
    printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$STATE/run/$part.pid"
}

# to_log PART: its input to the end of the part's log. The folder is the service user's, so root does not write there.
to_log() {
    # shellcheck disable=SC2016 # the inner shell expands it
    as_service sh -c 'cat >>"$1"' to_log "$STATE/log/$1.log"
}

# stop_process PART SIGNAL SECONDS: asks, waits for it and its children, and after that time insists.
stop_process() {
    local part=$1 signal=$2 seconds=$3 pid
    pid=$(pid_of "$part") || { rm -f "$STATE/run/$part.pid" && return; }
    kill -s "$signal" "$pid" 2>/dev/null || true
    if ! wait_until "$seconds" process_gone "$part" "$pid"; then
        warn "$part did not stop within $seconds s; killing it"
        kill -s KILL -- "-$pid" 2>/dev/null || true
        wait_until 10 process_gone "$part" "$pid" || die "$part (pid $pid) cannot be killed"
    fi
    rm -f "$STATE/run/$part.pid"
}

process_gone() {
    ! is_running "$1" && [ -z "$(session_of "$2")" ]
}

# The pids of a session, which a part is: its leader and what that has started.
session_of() {
    local stat fields
    for stat in /proc/[0-9]*/stat; do
        # pid (name, perhaps with spaces) state ppid pgrp session …
        read -r fields 2>/dev/null <"$stat" || continue
        fields=${fields##*) }
        [[ $fields =~ ^[^Z]\ [0-9]+\ [0-9]+\ $1\  ]] || continue
        stat=${stat#/proc/}
        printf '%s\n' "${stat%/stat}"
    done
}

# left_behind [STATE]: "pid command" of each process that was started for it (its environment names the folder) and belongs neither to our
# servers nor to this script.
left_behind() {
    local state=${1:-$STATE} file pid part
    local -A ours=([$$]=1) parent=()
    for part in broker database replica epmd; do
        pid=$(pid_of "$part") && ours[$pid]=1
    done
    while read -r pid part; do
        parent[$pid]=$part
    done < <(ps -e -o pid=,ppid=)
    while IFS= read -r file; do
        pid=${file//[!0-9]/}
        ! descends "$pid" && [ -d "/proc/$pid" ] || continue
        printf '%s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c 1-100)"
    done < <(grep -lsz -e "=$state/" -e "=$state\$" /proc/[0-9]*/environ || true)
}

# Whether one of `ours` is the process or has started it, as `parent` knows.
descends() {
    local pid=$1
    while [ -n "$pid" ] && [ "$pid" -gt 1 ]; do
        [ -z "${ours[$pid]:-}" ] || return 0
        pid=${parent[$pid]:-}
    done
    return 1
}

# end_left_behind [STATE]: kills them, and prints them.
end_left_behind() {
    local pid name
    while read -r pid name; do
        kill -s KILL "$pid" 2>/dev/null || continue
        printf '%s %s\n' "$pid" "$name"
    done < <(left_behind "$@")
}

# wait_until SECONDS COMMAND…
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

# wait_ready PART SECONDS COMMAND…: until the command succeeds; dies with the end of the log when the part dies or is too slow.
wait_ready() {
    local part=$1 seconds=$2 deadline=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        is_running "$part" || part_failed "$part" "stopped while starting"
        [ "$SECONDS" -lt "$deadline" ] || part_failed "$part" "did not answer within $seconds s"
        sleep 0.1
    done
}

# The access lines of a gateway hide what else it says.
part_failed() {
    grep -v '"event":"http\.answered"' "$STATE/log/$1.log" | tail -n 15 >&2 || true
    die "$1 $2; its log is $STATE/log/$1.log"
}
