#!/usr/bin/env bash
# restore [--replace] FILE: make the private stack what it was when ./cortex backup wrote the file
#
# The file is checked and read into a database beside the one in use; only when all of it is there do the two change places. Every
# company's events get a new epoch, so that clients read anew. --replace: there may be a stack already, whose data is set aside.
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"
. "$here/lib/backup.sh"

replace=
file=
for argument; do
    case $argument in
    --replace) replace=yes ;;
    -*) die "restore does not know $argument; it takes the name of a backup, and --replace" ;;
    *) [ -z "$file" ] || die "restore takes one file, not $file and $argument" && file=$argument ;;
    esac
done
[ -n "$file" ] || die "restore takes the name of a backup: ./cortex restore [--replace] FILE"

readonly NOTHING_CHANGED="nothing was changed"

# --- the file, before anything else ---

check_file() {
    local part
    [ -r "$file" ] && [ -f "$file" ] || die "$file cannot be read; $NOTHING_CHANGED"
    # Of before there were any.
    tar --list --file "$file" 2>/dev/null | grep -qx hook_keys || BACKUP_PARTS=(database.dump token_key settings secret_keys)
    tar --list --file "$file" 2>/dev/null | grep -qx secret_keys || BACKUP_PARTS=(database.dump token_key settings)
    [ "$(tar --list --file "$file" 2>/dev/null | sort | paste -sd' ')" = "$(printf '%s\n' manifest "${BACKUP_PARTS[@]}" | sort | paste -sd' ')" ] ||
        die "$file is no backup of ./cortex, or only a part of one; $NOTHING_CHANGED"
    tar --extract --no-same-owner --no-same-permissions --file "$file" --directory "$PARTS_FOLDER" 2>/dev/null ||
        die "$file is damaged or only a part of a backup; $NOTHING_CHANGED"
    [ "$(manifest_value format)" = "$BACKUP_FORMAT" ] || die "$file was written by another version of ./cortex backup; $NOTHING_CHANGED"
    for part in "${BACKUP_PARTS[@]}"; do
        [ -f "$PARTS_FOLDER/$part" ] && [ ! -L "$PARTS_FOLDER/$part" ] &&
            [ "$(manifest_value "sha256 $part")" = "$(sha256_of "$PARTS_FOLDER/$part")" ] ||
            die "$file is damaged: its $part is not what was written; $NOTHING_CHANGED"
    done
    [ -f "$ROOT/schemas/sql/$(manifest_value migration).sql" ] ||
        die "$file is of a newer release than this one, which does not have the migration $(manifest_value migration); $NOTHING_CHANGED"
}

check_postgresql() {
    local theirs ours bin
    bin=$(database_bin)
    theirs=$(manifest_value postgresql)
    ours=$("$bin/postgres" --version | grep -oE '[0-9]+' | head -n 1)
    [ "$ours" -ge "$theirs" ] || die "$file is of PostgreSQL $theirs, and this stack has $ours, which may not read it; $NOTHING_CHANGED"
    "$bin/pg_restore" --list "$PARTS_FOLDER/database.dump" >/dev/null || die "$file holds no readable dump; $NOTHING_CHANGED"
}

check_state() {
    own_database || die "the database is that of CORTEX_DATABASE_URL: restore it where it is (deploy/operating.md, \"Restore by your own" \
        "means\"), or go back to the private one with CORTEX_DATABASE_URL= ./cortex up; $NOTHING_CHANGED"
    [ -n "$replace" ] || [ ! -f "$STATE/database/data/PG_VERSION" ] ||
        die "there is a database in $STATE already; ./cortex restore --replace FILE sets it aside, and CORTEX_STATE names another folder;" \
            "$NOTHING_CHANGED"
}

# --- the new database, beside the old one ---

drop_restoring() {
    database_sql postgres postgres <<<"DROP DATABASE IF EXISTS $RESTORING WITH (FORCE)" 2>/dev/null || true
}

fill_database() {
    step "reading the backup into a database of its own"
    drop_restoring
    database_own "$RESTORING"
    database_sql cortex "$RESTORING" <"$ROOT/schemas/sql/0001_roles.sql"
    database_pool_roles
    database_tool pg_restore --exit-on-error --single-transaction --dbname "$RESTORING" "$PARTS_FOLDER/database.dump" ||
        give_up "the dump could not be restored"
    CORTEX_DATABASE_URL=$(database_url cortex "$RESTORING") "$here/migrate.sh" 2>&1 | to_log migrate ||
        give_up "the restored database could not be brought up to date; the reason is in $STATE/log/migrate.log"
    database_sql cortex "$RESTORING" <<<"UPDATE company_sequence SET epoch = left(gen_random_uuid()::text, 8)" ||
        give_up "the epochs of the events could not be renewed"
}

give_up() {
    drop_restoring
    [ -n "$was_running" ] || database_stop
    [ -n "$existed" ] || rm -rf "$STATE/database/data"
    die "$1; the data in use was not changed"
}

# In one transaction, so that there is a database at every moment.
swap() {
    database_sql postgres postgres <<END
DROP DATABASE IF EXISTS $REPLACED WITH (FORCE);
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('cortex', '$RESTORING') \g /dev/null
BEGIN;
SELECT 'ALTER DATABASE cortex RENAME TO $REPLACED' WHERE EXISTS (SELECT FROM pg_database WHERE datname = 'cortex') \gexec
ALTER DATABASE $RESTORING RENAME TO cortex;
COMMIT;
END
    [ -n "$existed" ] || database_sql postgres postgres <<<"DROP DATABASE $REPLACED WITH (FORCE)"
}

stop_processes() {
    local part
    for part in "${PARTS[@]}"; do
        is_running "$part" || continue
        step "stopping $part"
        stop_process "$part" TERM 30
        stopped=yes
    done
}

# Those of the backup seal; those that were here still open what waits in the queues.
put_keys() {
    local part=$PARTS_FOLDER/$1 keys=$STATE/secrets/$2
    [ -s "$part" ] || return 0
    { cat "$part" && { [ ! -s "$keys" ] || grep -vxFf "$part" "$keys" || true; }; } | put_file 600 "$keys"
}

put_secrets() {
    local key=$STATE/secrets/token_key
    if [ -s "$key" ] && [ "$(cat "$key")" != "$(cat "$PARTS_FOLDER/token_key")" ]; then
        put_file 600 "$key.replaced" <"$key"
    fi
    put_file 600 "$key" <"$PARTS_FOLDER/token_key"
    put_keys secret_keys webhooks_keys
    put_keys hook_keys hook_keys
    [ -n "$existed" ] || put_file 600 "$KEPT_FILE" <"$PARTS_FOLDER/settings"
}

umask 077
file=$(realpath -m "$file")
PARTS_FOLDER=$(mktemp -d) && trap 'rm -rf "$PARTS_FOLDER"' EXIT
check_file
umask 022
check_state
lock_state

packages_need servers client
check_postgresql
existed='' was_running='' stopped='' waiting=0
[ ! -f "$STATE/database/data/PG_VERSION" ] || existed=yes
! is_running database || was_running=yes
ensure_state
database_start
fill_database
stop_processes
! is_running broker || waiting=$(commands_in_queues)
swap
put_secrets

say "Restored: the state of $(manifest_value at). What was done after that is gone, and clients are told to read anew."
[ -z "$existed" ] || say "The database that was there before is set aside as $REPLACED, until the next restore."
[ "$(manifest_value in_queues)" = 0 ] || say "Commands in RabbitMQ's queues when the backup was made ($(manifest_value in_queues)) were not in it, if they were not done by then."
[ "$waiting" = 0 ] || say "${waiting^} accepted commands wait in RabbitMQ's queues; they run against the restored database (deploy/operating.md, \"Restore\")."
if [ -n "$stopped" ]; then
    step "starting everything again"
    exec 9>&-
    rm -rf "$PARTS_FOLDER"
    exec bash "$here/up.sh"
fi
[ -n "$was_running" ] || database_stop
say "./cortex up starts it."
