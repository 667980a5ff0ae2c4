# shellcheck shell=bash
# A private PostgreSQL on a loopback port, no sockets in shared folders. To be sourced after common.sh.
#
# Logins: postgres (superuser, only for this script), cortex (owns the database, migrates), cortex_gateway and one for each pool,
# cortex_projects and so on (what the processes use; the migrations make them, database_logins gives them their passwords). Workers of the
# version before log in as cortex_worker.

# shellcheck source=/dev/null
. "$(dirname "${BASH_SOURCE[0]}")/session.sh"

# libpq reads them, too: they would lead psql elsewhere (PGHOSTADDR, PGSERVICE) or ask what the private server has not (PGSSLMODE).
while IFS= read -r variable; do
    [ "$variable" = PGOPTIONS ] || unset "$variable"
done < <(compgen -A export PG)

# The newest server installed.
postgres_bin() {
    local path newest=
    while IFS= read -r path; do
        newest=${path%/postgres}
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -V)
    [ -x "$newest/postgres" ] || die "PostgreSQL is not installed; ./cortex up installs it"
    printf '%s' "$newest"
}

# The data belongs to the version that made it.
database_bin() {
    local bin version=$STATE/database/data/PG_VERSION
    if [ -f "$version" ]; then
        bin=/usr/lib/postgresql/$(cat "$version")/bin
        [ -x "$bin/postgres" ] || die "the data in $STATE/database needs PostgreSQL $(cat "$version"), which is not installed"
        printf '%s' "$bin"
    else
        postgres_bin
    fi
}

# database_url [LOGIN [NAME]]
database_url() {
    local login=${1:-cortex} name=${2:-cortex}
    printf 'postgresql://%s:%s@127.0.0.1:%s/%s' "$login" "$(secret "database_$login")" "$(port_of database)" "$name"
}

# database_sql LOGIN NAME: SQL from standard input; the password never stands in a command line.
database_sql() {
    is_running database || die "the private PostgreSQL of $STATE is not running"
    { session_sql && cat; } | PGPASSWORD=$(secret "database_$1") "$(database_bin)/psql" --no-psqlrc --quiet --tuples-only \
        --no-align --set ON_ERROR_STOP=1 --host 127.0.0.1 --port "$(port_of database)" --username "$1" --dbname "$2"
}

database_create() {
    local bin
    bin=$(database_bin)
    rm -rf "$STATE/database/data.new"
    secret database_postgres >/dev/null
    (cd "$STATE" && as_service "$bin/initdb" --pgdata "$STATE/database/data.new" --username postgres --encoding UTF8 \
        --locale C.UTF-8 --auth scram-sha-256 --pwfile "$STATE/secrets/database_postgres" --no-instructions) \
        2>&1 | to_log database || die "initdb failed; see $STATE/log/database.log"
    printf "include '../cortex.conf'\n" >>"$STATE/database/data.new/postgresql.conf"
    mv "$STATE/database/data.new" "$STATE/database/data"
}

database_configure() {
    put_file 600 "$STATE/database/cortex.conf" <<END
listen_addresses = '127.0.0.1'
port = $(port_of database)
unix_socket_directories = ''
max_connections = 100
shared_buffers = 128MB
max_wal_size = 1GB
log_line_prefix = '%m [%p] %u@%d '
timezone = 'UTC'
log_timezone = 'UTC'
END
}

database_answers() {
    is_running database && database_sql postgres postgres <<<'SELECT 1'
}

# PostgreSQL itself sees that its lock file is left over, unless the pid in it belongs to another process of ours by now.
database_forget_stranger() {
    local lock=$STATE/database/data/postmaster.pid pid
    pid=$(head -n 1 "$lock" 2>/dev/null) || return 0
    [ -d "/proc/$pid" ] || return 0
    if [ "/proc/$pid/cwd" -ef "$STATE/database/data" ]; then
        die "a PostgreSQL (pid $pid) that ./cortex has lost sight of still runs on $STATE/database; stop it with kill -INT $pid"
    fi
    rm -f "$lock"
}

database_start() {
    if has_moved database; then
        step "database: its folder has moved; starting it again"
        database_stop
    fi
    if ! is_running database; then # else it may be starting still, for an `up` that was interrupted
        ensure_state
        local bin
        bin=$(database_bin)
        [ -f "$STATE/database/data/PG_VERSION" ] || database_create
        choose_port database
        database_configure
        database_forget_stranger
        start_server database env -i "PATH=$PATH" LANG=C.UTF-8 "$bin/postgres" -D "$STATE/database/data"
    fi
    wait_ready database 60 database_answers
    database_own cortex
}

# database_own NAME: the owner's role and a database of that name, where they are missing.
database_own() {
    database_sql postgres postgres <<END
SELECT format('CREATE ROLE cortex LOGIN CREATEROLE CREATEDB PASSWORD %L', '$(secret database_cortex)')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cortex') \gexec
SELECT format('CREATE DATABASE %I OWNER cortex', '$1')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '$1') \gexec
END
}

# After the migrations: the processes' own logins, and that of workers of the version before, whose migrations make no roles of pools.
database_logins() {
    local part
    for part in "${PARTS[@]}" worker; do
        printf "SELECT 'ALTER ROLE cortex_%s LOGIN PASSWORD ''%s''' FROM pg_roles WHERE rolname = 'cortex_%s' \\\\gexec\n" \
            "$part" "$(secret "database_cortex_$part")" "$part"
    done | database_sql postgres postgres
}

# The roles of the pools, where they are missing: a dump speaks of them, and its migrations do not run again (0053_pool_roles.sql).
database_pool_roles() {
    local role
    {
        for role in engine "${PARTS[@]:1}"; do
            printf "SELECT 'CREATE ROLE cortex_%s' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cortex_%s') \\\\gexec\n" "$role" "$role"
            printf 'GRANT cortex_%s TO cortex;\n' "$role"
        done
        printf 'GRANT cortex_engine TO cortex_%s;\n' "${PARTS[@]:1}"
        printf 'GRANT cortex_%s TO cortex_worker;\n' "${PARTS[@]:1}"
    } | database_sql cortex postgres 2>&1 | to_log database
}

# database_walls [NAME]: what only a superuser can take from the processes (walls_missing of the migrations). A gateway of the version before
# needs what it takes.
database_walls() {
    database_sql postgres "${1:-cortex}" <<<'SELECT statement FROM walls_missing() \gexec'
}

database_stop() {
    stop_process database INT 60
}

# The whole server at once, as when the machine loses power: its children leave when the postmaster is gone.
database_kill() {
    stop_process database KILL 10
}

# replica_start [MILLISECONDS]: a streaming replica of the private PostgreSQL, which applies each commit so much later. For tests; it is
# made anew each time.
replica_start() {
    local bin password
    bin=$(database_bin)
    password=$(secret database_postgres)
    choose_port replica
    rm -rf "$STATE/database/replica"
    (cd "$STATE" && PGPASSWORD=$password as_service "$bin/pg_basebackup" --pgdata "$STATE/database/replica" --write-recovery-conf \
        --checkpoint fast --wal-method stream --host 127.0.0.1 --port "$(port_of database)" --username postgres) \
        2>&1 | to_log replica || die "pg_basebackup failed; see $STATE/log/replica.log"
    start_server replica env -i "PATH=$PATH" LANG=C.UTF-8 "$bin/postgres" -D "$STATE/database/replica" \
        -c "port=$(port_of replica)" -c "recovery_min_apply_delay=${1:-0}ms"
    wait_ready replica 60 replica_answers
}

replica_answers() {
    PGPASSWORD=$(secret database_postgres) "$(database_bin)/psql" --no-psqlrc --quiet --host 127.0.0.1 --port "$(port_of replica)" \
        --username postgres --dbname postgres --command 'SELECT 1'
}

# replica_url [LOGIN [NAME]]
replica_url() {
    printf 'postgresql://%s:%s@127.0.0.1:%s/%s' "${1:-cortex}" "$(secret "database_${1:-cortex}")" "$(port_of replica)" "${2:-cortex}"
}

replica_stop() {
    stop_process replica INT 60
}
