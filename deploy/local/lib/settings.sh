# shellcheck shell=bash
# The settings of a stack, and where each comes from. To be sourced after common.sh.
#
# `up` keeps what its environment sets (CORTEX_LISTEN, CORTEX_DATABASE_URL, …) in STATE/secrets/settings, and goes by it the next time.
# A variable that is set to nothing forgets a setting. What counts, the last first:
#
#   the file that CORTEX_CONFIG names  <  what was kept  <  the environment of this `up`
#
# Every other command goes by what was kept.

declare -A SETTING=()     # what each is
declare -A SETTING_FROM=() # where that was said
declare -A KEPT=()         # what an earlier `up` has kept
KEPT_FILE=$STATE/secrets/settings
CONFIG_FILE=               # what CORTEX_CONFIG names
readonly KEPT_FROM='kept from an earlier up' ENVIRONMENT_FROM='the environment'

# The name of every setting, one a line; the old names too. In the table, names alone fill a pair of quotes.
setting_names() {
    grep -oE '"CORTEX_[A-Z0-9_]+"' "$ROOT/common/process/config.def" | tr -d '"' | sort -u
}

# Variables that are for these scripts, not for the processes.
readonly SCRIPT_VARIABLES='CORTEX_CONFIG CORTEX_STATE CORTEX_SERVICE_USER CORTEX_BUILD CORTEX_DEBIAN13 CORTEX_TOKEN'

own_broker() {
    [ -z "${SETTING[CORTEX_AMQP_URL]:-}" ]
}

own_database() {
    [ -z "${SETTING[CORTEX_DATABASE_URL]:-}" ]
}

# What was kept; of a stack of the version before, which kept nothing, what its gateway was given.
kept_lines() {
    local line
    if [ -e "$KEPT_FILE" ]; then
        cat "$KEPT_FILE"
        return
    fi
    [ -r "$STATE/secrets/gateway.conf" ] || return 0
    while IFS= read -r line; do
        case $line in
        CORTEX_AUTH_HS256_FILE=*/secrets/token_key | CORTEX_DATABASE_ROLE=cortex_gateway) ;;
        CORTEX_BROKER_GIVEN=1) ;;
        CORTEX_AMQP_URL="amqp://cortex:$(cat "$STATE/secrets/broker_password" 2>/dev/null)@127.0.0.1:"*) ;;
        CORTEX_DATABASE_URL="postgresql://cortex_gateway:$(cat "$STATE/secrets/database_cortex_gateway" 2>/dev/null)@127.0.0.1:"*) ;;
        CORTEX_*) printf '%s\n' "$line" ;;
        esac
    done <"$STATE/secrets/gateway.conf"
}

set_setting() {
    SETTING[$1]=$2
    SETTING_FROM[$1]=$3
}

# settings_of_file PATH FROM: NAME=value lines, # comments, as the processes read them.
settings_of_file() {
    local path=$1 number=0 line
    [ -r "$path" ] && [ -f "$path" ] || die "CORTEX_CONFIG=$path ($2) is no file, or cannot be read; nothing was stopped"
    while IFS= read -r line || [ -n "$line" ]; do
        number=$((number + 1))
        line=${line%$'\r'}
        [ "$number" -gt 1 ] || line=${line#$'\xef\xbb\xbf'} # of an editor that marks its files as UTF-8
        [[ ! $line =~ ^[[:space:]]*(#.*)?$ ]] || continue
        [[ $line =~ ^[[:space:]]*([^=[:space:]]+)[[:space:]]*=[[:space:]]*(.*)$ ]] ||
            die "$path line $number is not NAME=value; nothing was stopped"
        set_setting "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]%"${BASH_REMATCH[2]##*[![:space:]]}"}" "$path line $number"
    done <"$path"
}

# settings_load [environment]: with the word, also what the environment sets.
settings_load() {
    local name line
    SETTING=() SETTING_FROM=() KEPT=()
    while IFS= read -r line; do
        [ -z "$line" ] || KEPT[${line%%=*}]=${line#*=}
    done < <(kept_lines)
    CONFIG_FILE=${KEPT[CORTEX_CONFIG]:-}
    if [ "${1:-}" = environment ]; then
        settings_of_environment
        return
    fi
    # What only shows something works without the file, too.
    [ ! -f "$CONFIG_FILE" ] || [ ! -r "$CONFIG_FILE" ] || settings_of_file "$CONFIG_FILE" "$KEPT_FROM"
    for name in "${!KEPT[@]}"; do
        [ "$name" = CORTEX_CONFIG ] || set_setting "$name" "${KEPT[$name]}" "$KEPT_FROM"
    done
}

settings_of_environment() {
    local name from=$KEPT_FROM
    if [ -n "${CORTEX_CONFIG+set}" ]; then
        [[ $CORTEX_CONFIG != *$'\n'* ]] || die "CORTEX_CONFIG (the environment) has a line end in it; nothing was stopped"
        CONFIG_FILE=${CORTEX_CONFIG:+$(realpath -m "$CORTEX_CONFIG")}
        from=$ENVIRONMENT_FROM
    fi
    [ -z "$CONFIG_FILE" ] || settings_of_file "$CONFIG_FILE" "$from"
    for name in "${!KEPT[@]}"; do
        if [ "$name" != CORTEX_CONFIG ] && [ -z "${!name+set}" ]; then
            set_setting "$name" "${KEPT[$name]}" "$KEPT_FROM"
        fi
    done
    while read -r name; do
        [[ ${!name:-} != *$'\n'* ]] || die "$name (the environment) has a line end in it; nothing was stopped"
        [ -z "${!name:-}" ] || set_setting "$name" "${!name}" "$ENVIRONMENT_FROM"
    done < <(setting_names)
}

# shown NAME VALUE: without passwords and keys.
shown() {
    local value=$2
    if [ -z "$value" ]; then
        case $1 in
        CORTEX_AMQP_URL) printf 'the private RabbitMQ' ;;
        CORTEX_DATABASE_URL) printf 'the private PostgreSQL' ;;
        *) printf 'not set' ;;
        esac
    elif [[ $1 = *_URL ]]; then
        # shellcheck disable=SC2001 # each of several URLs has a password
        sed 's,://[^/]*@,://***@,g; s,\([?&][a-z]*password=\)[^&]*,\1***,g' <<<"$value"
    elif grep -q "SECRET, \"$1\"" "$ROOT/common/process/config.def"; then
        printf '***'
    else
        printf '%s' "$value"
    fi
}

# What this `up` will keep: a NAME=value line each.
settings_to_keep() {
    local name
    {
        [ -z "$CONFIG_FILE" ] || printf 'CORTEX_CONFIG=%s\n' "$CONFIG_FILE"
        for name in "${!SETTING[@]}"; do
            case ${SETTING_FROM[$name]} in
            "$KEPT_FROM" | "$ENVIRONMENT_FROM") printf '%s=%s\n' "$name" "${SETTING[$name]}" ;;
            esac
        done
    } | sort
}

# Says what is kept and what this `up` changes.
settings_show() {
    local name line kept=
    local -A next=()
    while IFS= read -r line; do
        next[${line%%=*}]=${line#*=}
    done < <(settings_to_keep)
    for name in $(printf '%s\n' "${!KEPT[@]}" "${!next[@]}" | sort -u); do
        if [ "${KEPT[$name]:-}" = "${next[$name]:-}" ]; then
            kept+=" $name=$(shown "$name" "${next[$name]}")"
        elif [ -n "${KEPT[$name]:-}" ] || [ -e "$KEPT_FILE" ]; then
            step "$name: $(shown "$name" "${KEPT[$name]:-}") becomes $(shown "$name" "${next[$name]:-}")$(settings_warning "$name")"
        fi
    done
    [ -z "$kept" ] || step "kept from an earlier up:$kept"
}

settings_warning() {
    case $1 in
    CORTEX_DATABASE_URL) printf '; no data is copied from the one to the other' ;;
    CORTEX_AMQP_URL) printf '; commands that wait in the one are not moved to the other' ;;
    esac
}

settings_keep() {
    settings_to_keep | put_file 600 "$KEPT_FILE"
}

# --- whether they can work: before anything is stopped for them ---

# settings_wrong LINES: what is wrong, each with the place where its setting was given.
settings_wrong() {
    local line name
    while IFS= read -r line; do
        [ -n "$line" ] || continue
        name=$(sed -nE 's/.*(there is no setting |There is no setting )([^ ;]*[^ ;.]).*/\2/p' <<<"$line")
        [ -n "$name" ] || name=$(grep -oE 'CORTEX_[A-Z0-9_]+' <<<"$line" | head -n 1) || name=
        line=$(sed -E 's/ \(check\.conf line [0-9]+\)//; s/^check\.conf line [0-9]+: //' <<<"$line")
        warn "${line%.}${name:+${SETTING_FROM[$name]:+ (${SETTING_FROM[$name]})}}"
    done <<<"$1"
    die "nothing can start with such settings, so nothing was stopped or changed"
}

# Variables of the environment that look like settings and are none, one a line.
strange_variables() {
    local name known
    known=" $SCRIPT_VARIABLES $(setting_names | tr '\n' ' ')"
    while IFS= read -r name; do
        [[ $known = *" $name "* || $name = CORTEX_TEST_* ]] || printf '%s\n' "$name"
    done < <(compgen -A export | grep -i '^cortex_')
}

# gateway_check OPTION [USER]: what cortex-gateway says of the settings, and of the strange variables.
gateway_check() {
    local name
    local -a strange=()
    while IFS= read -r name; do
        strange+=("$name=")
    done < <(strange_variables)
    process_settings gateway "${2:-}" | put_file 600 "$STATE/secrets/check.conf"
    as_service env -i --chdir "$STATE/secrets" "PATH=$PATH" LANG=C.UTF-8 CORTEX_CONFIG=check.conf ${strange[@]+"${strange[@]}"} \
        "$(programs)/gateway/cortex-gateway" "$1" 2>&1 </dev/null
}

settings_check() {
    local said name
    is_running broker || choose_port broker
    is_running database || choose_port database
    said=$(gateway_check --check) || settings_wrong "$said"
    while IFS= read -r name; do
        warn "there is no setting $name; it is in the environment, and has no effect"
    done < <(strange_variables)
    for name in CORTEX_DATABASE_URL CORTEX_READ_DATABASE_URL; do
        [ -n "${SETTING[$name]:-}" ] || continue
        said=$(PGCONNECT_TIMEOUT=5 external_sql "${SETTING[$name]}" <<<'SELECT 1' 2>&1 >/dev/null) ||
            settings_wrong "$name: $(tr -s '\n\t ' ' ' <<<"${said#psql: error: }")"
    done
}

# OTHER_SHAPES: the queues that exist and were declared in another way than this version does. Those that are missing are declared.
queues_of_another_shape() {
    local said
    said=$(gateway_check --check-queues cortex) || settings_wrong "$said"
    # shellcheck disable=SC2034 # for up
    mapfile -t OTHER_SHAPES < <(sed -n "s/.* for queue '\([^']*\)' in vhost.*/\1/p" <<<"$said")
}

# When the private broker runs, if it is to be that.
settings_check_broker() {
    local said
    said=$(gateway_check --check-broker) || settings_wrong "$said"
}
