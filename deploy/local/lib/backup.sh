# shellcheck shell=bash
# What a backup is, for backup.sh and restore.sh. To be sourced after stack.sh.
#
# One file, a tar, readable by its owner alone:
#
#   manifest         "name=value" lines: the format, when, of which PostgreSQL, the newest migration, what waited in RabbitMQ, and a
#                    "sha256 NAME=…" of every other part
#   database.dump    pg_dump's own format: one snapshot, whatever was written meanwhile
#   token_key        the key of the tokens: without it all that were issued are worthless
#   secret_keys      the keys of clients' secrets, without which those in the dump do not open; not in backups of before there were any
#   hook_keys        the same of inbound webhooks
#   settings         what `up` keeps (settings.sh)
#
# The passwords of RabbitMQ and PostgreSQL are not in it: each stack has its own.

# shellcheck disable=SC2034 # for the commands
readonly BACKUP_FORMAT=1
# shellcheck disable=SC2034
BACKUP_PARTS=(database.dump token_key settings secret_keys hook_keys)
# shellcheck disable=SC2034
readonly RESTORING=cortex_restoring REPLACED=cortex_replaced # databases: the one that is made, the one that was there before

# backup_folder PATH: a folder beside that file, for its parts; nobody else can read it, and it goes away with this script.
backup_folder() {
    PARTS_FOLDER=$(mktemp -d "$1.XXXXXX") || die "cannot write beside $1"
    trap 'rm -rf "$PARTS_FOLDER"' EXIT
}

# database_tool PROGRAM ARGUMENTS…: pg_dump or pg_restore as the owner of the private database; the password is in no command line.
database_tool() {
    local program=$1
    shift
    PGPASSWORD=$(secret database_cortex) "$(database_bin)/$program" --no-password --host 127.0.0.1 --port "$(port_of database)" \
        --username cortex "$@"
}

# The commands that wait or are in work, and the dead letters that are not in PostgreSQL yet; a number, or "an unknown number of". The
# leader of each queue is asked, as `list_queues` shows what it said up to five seconds ago.
commands_in_queues() {
    broker_ctl eval '
        Count = fun(Queue) ->
            {ok, {_, N}, _} = ra:leader_query(amqqueue:get_pid(Queue), fun rabbit_fifo:query_messages_total/1),
            N
        end,
        IsOurs = fun({resource, _, queue, Name}) -> re:run(Name, <<"^(commands|dead)[.]">>) =/= nomatch end,
        lists:sum([Count(Queue) || Queue <- rabbit_amqqueue:list(<<"/">>), IsOurs(amqqueue:get_name(Queue))]).' 2>/dev/null ||
        printf 'an unknown number of'
}

manifest_value() {
    sed -n "s/^$1=//p" "$PARTS_FOLDER/manifest" | head -n 1
}

sha256_of() {
    sha256sum <"$1" | cut -d' ' -f1
}
