# shellcheck shell=bash
# The gateway and the worker pools of this state. To be sourced after common.sh, broker.sh, database.sh and build.sh.
#
# Their settings go into STATE/secrets/<part>.conf, which CORTEX_CONFIG names to them: passwords stand in no command line and
# in no environment. The settings of the stack (settings.sh) go above our own.

# shellcheck disable=SC2034 # for the commands
PARTS=(gateway projects webhooks) # in the order of their start; all but the gateway are worker pools
declare -A STARTED=()    # those that this command has started

process_role() {
    echo "cortex_$1"
}

# process_settings PART [USER]: where it is not the part's own user of the private broker.
process_settings() {
    local part=$1 name
    ! own_broker || printf 'CORTEX_AMQP_URL=%s\nCORTEX_BROKER_GIVEN=1\n' "$(broker_url '' "${2:-$(process_role "$part")}")"
    if own_database; then
        printf 'CORTEX_DATABASE_URL=%s\n' "$(database_url "$(process_role "$part")")"
    else
        printf 'CORTEX_DATABASE_ROLE=%s\n' "$(process_role "$part")"
    fi
    printf 'CORTEX_AUTH_HS256_FILE=%s\n' "$STATE/secrets/token_key"
    [ "$part" != webhooks ] || printf 'CORTEX_SECRET_KEYS=%s\n' "$(secret_keys_file)"
    [ "$part" = projects ] || printf 'CORTEX_HOOK_KEYS=%s\n' "$(hook_keys_file)"
    for name in $(printf '%s\n' "${!SETTING[@]}" | sort); do
        printf '%s=%s\n' "$name" "${SETTING[$name]}"
    done
}

# The file of the keys of secrets, which the pool webhooks has, made when first asked for.
secret_keys_file() {
    local path=$STATE/secrets/webhooks_keys
    [ -s "$path" ] || new_key | put_file 600 "$path"
    printf '%s' "$path"
}

# The file of the keys of inbound webhooks, which the gateway has, too: it checks their signatures.
hook_keys_file() {
    local path=$STATE/secrets/hook_keys
    [ -s "$path" ] || new_key | put_file 600 "$path"
    printf '%s' "$path"
}

# A line of such a file: an id that no other stack has, and the key.
new_key() {
    printf 'k%s%s %s\n' "$(date -u +%Y%m%d%H%M%S)" "$(openssl rand -hex 2)" "$(openssl rand -base64 32 | tr '+/' '-_' | tr -d '=')"
}

# The folder of the programs: CORTEX_BUILD, or what `up` builds.
programs() {
    printf '%s' "${CORTEX_BUILD:-$ROOT/build/release}"
}

# process_start PART: a no-op when it runs as it should; starts it again when its program or settings have changed.
process_start() {
    local part=$1 binary settings=$STATE/secrets/$1.conf as
    secret token_key >/dev/null
    process_settings "$part" | put_file 600 "$settings"
    local -a command
    if [ "$part" = gateway ]; then
        binary=$(programs)/gateway/cortex-gateway
        command=("$binary")
    else
        binary=$(programs)/workers/cortex-worker
        command=("$binary" "$part")
    fi
    as_service test -x "$binary" ||
        die "user $(service_user) cannot run $binary; open the folders above it with chmod o+x, or clone somewhere else"
    as=$(stat -c '%i %Y' "$binary" && sha256sum <"$settings")
    if is_running "$part"; then
        [ "$(cat "$STATE/run/$part.as" 2>/dev/null)" != "$as" ] || return 0
        step "$part: its program or settings have changed; starting it again"
        stop_process "$part" TERM 30
    else
        step "starting $part"
    fi
    start_process "$part" env -i "PATH=$PATH" LANG=C.UTF-8 "CORTEX_CONFIG=$settings" "${command[@]}"
    printf '%s\n' "$as" >"$STATE/run/$part.as"
    STARTED[$part]=1
}

# process_ready PART SECONDS COMMAND…: wait_ready for one of PARTS. One that was found running may have been told to stop just
# before: when it ends meanwhile, it is started again. One that we have started ourselves has no excuse.
process_ready() {
    local part=$1 seconds=$2
    shift 2
    if [ -z "${STARTED[$part]:-}" ]; then
        wait_until "$seconds" has_ended_or "$part" "$@" || part_failed "$part" "did not answer within $seconds s"
        ! is_running "$part" || return 0
        process_start "$part"
    fi
    wait_ready "$part" "$seconds" "$@"
}

has_ended_or() {
    local part=$1
    shift
    ! is_running "$part" || "$@" >/dev/null 2>&1
}

gateway_listen() {
    local listen=
    [ ! -r "$STATE/secrets/gateway.conf" ] || listen=$(sed -n 's/^CORTEX_LISTEN=//p' "$STATE/secrets/gateway.conf" | tail -n 1)
    printf '%s' "${listen:-127.0.0.1:8080}"
}

# Where a client on this machine reaches it.
gateway_url() {
    local listen
    listen=$(gateway_listen)
    case $listen in
    0.0.0.0:* | '[::]':* | '*':* | :*) listen=127.0.0.1:${listen##*:} ;;
    esac
    printf 'http://%s' "$listen"
}

# Before anything is built or started for it. Our own gateway makes room for itself.
gateway_port_is_free() {
    local listen=${SETTING[CORTEX_LISTEN]:-127.0.0.1:8080} running port
    [[ $listen =~ :0*([0-9]{1,5})$ ]] && port=${BASH_REMATCH[1]} && [ "$port" -ge 1 ] && [ "$port" -le 65535 ] ||
        die "CORTEX_LISTEN must be address:port with a port from 1 to 65535, not $listen (${SETTING_FROM[CORTEX_LISTEN]:-}); nothing was stopped"
    running=$(gateway_listen)
    running=${running##*:}
    is_running gateway && [ "$((10#$running))" = "$port" ] || ! port_taken "$port" ||
        die "port $port is taken by another program; choose another with CORTEX_LISTEN=127.0.0.1:PORT ./cortex up"
}

# The pool's first worker is at work.
pool_is_ready() {
    operator GET "/v1/admin/pools/$1" | grep -q '"state":"ready"'
}

gateway_is_ready() {
    local_http --fail --max-time 2 --output /dev/null "$(gateway_url)/readyz" 2>/dev/null
}

# Why it is not ready, as it says itself; nothing when it is, or does not answer.
gateway_why() {
    local_http --max-time 2 "$(gateway_url)/readyz" 2>/dev/null | sed -n 's/.*"detail":"\(\([^"\\]\|\\.\)*\)".*/\1/p'
}

# It is ready, or has said for five seconds that the database lacks something, which no waiting mends.
GATEWAY_LACKS_SINCE=''
gateway_has_settled() {
    gateway_is_ready && return
    if [[ $(gateway_why) =~ ^'the database lacks'|^'the migration '|^'the role of' ]]; then
        GATEWAY_LACKS_SINCE=${GATEWAY_LACKS_SINCE:-$SECONDS}
    else
        GATEWAY_LACKS_SINCE=''
    fi
    [ -n "$GATEWAY_LACKS_SINCE" ] && [ $((SECONDS - GATEWAY_LACKS_SINCE)) -ge 5 ]
}

# issue_token ARGUMENTS…: a bearer token signed with this state's key (cortex-token --help).
issue_token() {
    # Of the environment only the key counts: a setting that `up` forgets (NAME=) is no value for the program.
    as_service env -i "PATH=$PATH" LANG=C.UTF-8 CORTEX_AUTH_HS256_FILE="${SETTING[CORTEX_AUTH_HS256_FILE]:-$STATE/secrets/token_key}" "$(programs)/gateway/tools/cortex-token" "$@"
}
