# shellcheck shell=bash
# The settings of a session with PostgreSQL (common/db/session.def), for scripts that run psql. To be sourced.
#
# An owner of the database or of the login may have given them other values (ALTER DATABASE … SET), and what psql prints, and what
# a migration means, would change with them.

SESSION_DEF=$(dirname "${BASH_SOURCE[0]}")/../../../common/db/session.def

# Limits so short that they would end a session before it could set its own. A pooler in front of the database may refuse such
# options: PGOPTIONS= ./cortex … sends none.
export PGOPTIONS=${PGOPTIONS--c statement_timeout=0 -c idle_session_timeout=0 -c exit_on_error=off -c default_transaction_read_only=off}

# session_sql: the statement that sets them, for the beginning of a psql script. It prints nothing.
session_sql() {
    printf 'SELECT pg_catalog.set_config(name, value, false) FROM (VALUES'
    sed -n "s/^DB_SESSION(\"\(.*\)\", \"\(.*\)\")$/ ('\1', '\2'),/p" "$SESSION_DEF" | tr -d '\n'
    printf "%s\n" " ('statement_timeout', '0')) AS setting (name, value)" \
        'WHERE pg_catalog.current_setting(name, true) IS NOT NULL \g /dev/null'
}
