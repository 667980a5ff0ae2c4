#!/usr/bin/env bash
# backup FILE: write everything that the private stack holds into one file
#
# It works while all runs: the database is dumped as it is at one moment. Keep the file where only you can read it, because the keys
# of tokens and secrets are in it.
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"
. "$here/lib/backup.sh"

[ $# -eq 1 ] && [[ $1 != -* ]] || die "backup takes the name of the file to write: ./cortex backup FILE"
file=$1
[ ! -e "$file" ] && [ ! -L "$file" ] || die "$file exists already; a backup replaces no file, so choose another name"
[ -d "$(dirname "$file")" ] || die "there is no folder $(dirname "$file")"
own_database || die "the database is that of CORTEX_DATABASE_URL: back it up where it is (deploy/operating.md, \"Back up\")"
[ -f "$STATE/database/data/PG_VERSION" ] || die "nothing was ever started in $STATE, so there is nothing to back up"

lock_state
umask 077
backup_folder "$file"

started=
waited=unknown
is_running database || { step "starting the private PostgreSQL for the backup" && database_start && started=yes; }
! is_running broker || waited=$(commands_in_queues)

step "dumping the database"
database_tool pg_dump --format=custom --exclude-schema=pg_catalog --file "$PARTS_FOLDER/database.dump" cortex || die "the dump failed, and no backup was written"
migration=$(database_sql cortex cortex <<<"SELECT to_char(version, 'FM0000') || ' ' || name FROM schema_migration ORDER BY version DESC LIMIT 1")
[ -z "$started" ] || database_stop

secret token_key >"$PARTS_FOLDER/token_key"
cat "$(secret_keys_file)" >"$PARTS_FOLDER/secret_keys"
cat "$(hook_keys_file)" >"$PARTS_FOLDER/hook_keys"
settings_to_keep >"$PARTS_FOLDER/settings"
{
    printf 'format=%s\nat=%s\n' "$BACKUP_FORMAT" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    printf 'postgresql=%s\nmigration=%s\nin_queues=%s\n' "$(cat "$STATE/database/data/PG_VERSION")" "${migration#* }" "$waited"
    for part in "${BACKUP_PARTS[@]}"; do
        printf 'sha256 %s=%s\n' "$part" "$(sha256_of "$PARTS_FOLDER/$part")"
    done
} >"$PARTS_FOLDER/manifest"

tar --create --file "$PARTS_FOLDER/whole" --directory "$PARTS_FOLDER" manifest "${BACKUP_PARTS[@]}" || die "no backup was written"
tar --compare --file "$PARTS_FOLDER/whole" --directory "$PARTS_FOLDER" >/dev/null || die "the file is not what was written; no backup was made"
sync "$PARTS_FOLDER/whole"
# Where there are no links, it is moved; mv says nothing when there is a file of that name meanwhile.
if ! ln "$PARTS_FOLDER/whole" "$file" 2>/dev/null; then
    mv --no-clobber "$PARTS_FOLDER/whole" "$file" && [ ! -e "$PARTS_FOLDER/whole" ] ||
        die "$file has come into being meanwhile, or cannot be written; no backup was made"
fi

say "Written: $file ($(du -h "$file" | cut -f1)). The keys of tokens and secrets are in it: keep it where only you can read it."
case $waited in
0) say "No command waited in RabbitMQ's queues." ;;
unknown)
    if own_broker; then
        say "RabbitMQ was not running: commands that wait in its queues are not in the file; they stay in $STATE/broker."
    else
        say "Commands that wait in the queues of CORTEX_AMQP_URL are not in the file."
    fi
    ;;
*) say "${waited^} commands waited in RabbitMQ's queues or were in work; those that were not done by the moment of the dump are not in the file." ;;
esac
if [ -n "${SETTING[CORTEX_AUTH_KEYS]:-}${SETTING[CORTEX_AUTH_HS256_FILE]:-}${SETTING[CORTEX_AUTH_EDDSA_FILE]:-}${CONFIG_FILE}" ]; then
    say "Files that the settings name (keys, CORTEX_CONFIG) are not in it."
fi
