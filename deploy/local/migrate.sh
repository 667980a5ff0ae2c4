#!/usr/bin/env bash
# Applies schemas/sql/NNNN_name.sql, forward only, in order, each in a transaction of its own, and records them in
# schema_migration. Runs of several machines at once wait for each other (an advisory lock of the database).
#
# NNNN_name_concurrently.sql runs without a transaction, as CREATE INDEX CONCURRENTLY demands, which blocks no writer. When it
# fails, what it did until then stays and it is not recorded, so the next run begins it again: each of its statements must bear that.
#
#   CORTEX_DATABASE_URL=postgresql://owner:password@host:port/database deploy/local/migrate.sh
#
# The password travels in the environment of psql, never in its arguments, which everybody on the machine can read.
set -euo pipefail

say() { printf 'migrate: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

sql_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../schemas/sql" && pwd)

# shellcheck source=/dev/null
. "$(dirname "${BASH_SOURCE[0]}")/lib/session.sh"

command -v psql >/dev/null || die "psql is missing (package postgresql-client)."
[[ -n ${CORTEX_DATABASE_URL:-} ]] || die "CORTEX_DATABASE_URL is not set: postgresql://owner:password@host:port/database"

# Splits user:password@ so that the password can go into PGPASSWORD; everything else stays in the URL.
url=$CORTEX_DATABASE_URL
if [[ $url =~ ^(postgres(ql)?://[^:/@?]*):([^@/]*)@(.*)$ ]]; then
    url="${BASH_REMATCH[1]}@${BASH_REMATCH[4]}"
    encoded=${BASH_REMATCH[3]//\\/%5C}
    PGPASSWORD=$(printf '%b' "${encoded//%/\\x}")
    export PGPASSWORD
fi
[[ $url =~ ^postgres(ql)?:// ]] || die "CORTEX_DATABASE_URL must begin with postgresql://"
[[ ! $url =~ [?\&](password|sslpassword)= ]] || die "Give the password as postgresql://user:password@host, not as a parameter."

# One psql script: take the lock, then for each file either check what was recorded or apply and record it.
script() {
    session_sql
    cat <<'SQL'
SET client_min_messages = warning;
-- The lock is tried again and again, each time in a new transaction: CREATE INDEX CONCURRENTLY waits for older transactions to end,
-- and one that waited for the lock would wait for it in turn.
DO $$
BEGIN
    WHILE NOT pg_try_advisory_lock(hashtext('cortex.schema_migration')) LOOP
        COMMIT;
        PERFORM pg_sleep(0.2);
    END LOOP;
END
$$;
CREATE TABLE IF NOT EXISTS schema_migration (
    version  integer     PRIMARY KEY,
    name     text        NOT NULL,
    checksum text        NOT NULL,
    at       timestamptz NOT NULL DEFAULT now()
);
SQL
    local last=0 file name version checksum begin commit
    for file in "$sql_folder"/[0-9][0-9][0-9][0-9]_*.sql; do
        name=$(basename "$file" .sql)
        [[ $name =~ ^[0-9]{4}_[a-z0-9_]+$ ]] || die "$name.sql: the name must be NNNN_words.sql in lower case."
        version=$((10#${name%%_*}))
        [[ $version -eq $((last + 1)) ]] || die "$name.sql: version $((last + 1)) was expected here."
        last=$version
        checksum=$(sha256sum <"$file" | cut -d' ' -f1)
        begin='BEGIN;' commit='COMMIT;'
        [[ $name != *_concurrently ]] || begin='' commit=''
        cat <<SQL
SELECT coalesce((SELECT checksum FROM schema_migration WHERE version = $version), '') AS recorded \gset
SELECT :'recorded' = '' AS is_new, :'recorded' NOT IN ('', '$checksum') AS is_changed \gset
\if :is_changed
    \warn 'migrate: $name.sql has changed since it was applied here: write a new migration and leave this one as it was.'
    SELECT 1 / 0 AS "checksum mismatch";
\endif
\if :is_new
    $begin
    \i '${file//\'/\'\'}'
    INSERT INTO schema_migration (version, name, checksum) VALUES ($version, '$name', '$checksum');
    $commit
    \warn 'migrate: applied $name'
\endif
SQL
    done
    cat <<SQL
SELECT coalesce(max(version), 0) > $last AS is_ahead FROM schema_migration \gset
\if :is_ahead
    \warn 'migrate: the database is ahead of this release: its newest migration is not among ours.'
\endif
SELECT to_regprocedure('walls_missing()') IS NOT NULL AS has_walls \gset
\if :has_walls
    SELECT coalesce(string_agg(statement, E'\n' ORDER BY n), '') AS statements, count(*) > 0 AS is_open
      FROM walls_missing() WITH ORDINALITY AS w (statement, n) \gset
\else
    \set is_open false
\endif
\if :is_open
    \warn 'migrate: processes can still make temporary tables and large objects, or take advisory locks, which none of them needs.'
    \warn 'migrate: When no gateway of the version before runs any more, say as a superuser, in this database:'
    \warn :statements
\endif
SQL
}

statements=$(script)
psql --no-psqlrc --no-password --quiet --set ON_ERROR_STOP=1 --set VERBOSITY=terse \
    --output /dev/null --file - -- "$url" <<<"$statements"
