# shellcheck shell=bash
# Who may include whom: holds the tree against deploy/local/rooms. To be sourced after common.sh.

# Prints a line for each fault, with its file and line, and fails if there is one: an include that the list does not allow, a
# file in no room, a room without a README.md. Takes a fraction of a second.
rooms_check() {
    (cd "$ROOT" && {
        find common gateway workers schemas/schemac -name '*.[ch]' -o -name '*.def' -o -name README.md
        find tests/unit -name 'test_*.c'
    } | sort | awk -f deploy/local/lib/rooms.awk deploy/local/rooms -)
}
