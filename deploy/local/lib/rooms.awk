# Holds the tree against deploy/local/rooms. Standard input lists the files, sorted: every .c, .h, .def and README.md of the
# rooms, and the unit tests. Prints what is wrong, a line each with its file, and what to do; fails if there is something.
#
#   awk -f rooms.awk deploy/local/rooms -

function fault(where, what) {
    print where ": " what
    faults++
}

function folder_of(path) {
    sub(/\/?[^\/]*$/, "", path)
    return path
}

# A file beside the folders is a room of its own when the list names it; "" when no room has this file.
function room_of(path,    name) {
    name = path
    sub(/\.[a-z]+$/, "", name)
    if (name in line_of)
        return name
    name = folder_of(path)
    return name in line_of ? name : ""
}

# ---- the list ----

function read_list(    i, first, hall) {
    sub(/#.*/, "")
    if ($0 ~ /^[ \t]*$/)
        return
    first = 1
    if ($0 !~ /^[ \t]/) {
        room = $1
        first = 2
        if (room !~ /:$/) {
            fault(list ":" FNR, "a line is `room: the rooms it may use`")
            return
        }
        sub(/:$/, "", room)
        if (room in line_of)
            fault(list ":" FNR, room " is listed twice: keep one of the two lines")
        line_of[room] = FNR
        for (hall = folder_of(room); hall != ""; hall = folder_of(hall))
            halls[hall] = 1
    }
    for (i = first; i <= NF; i++) {
        allowed[room, $i] = 1
        uses[++use_count] = room SUBSEP $i
        use_line[use_count] = FNR
    }
}

function check_list(    i, pair) {
    for (i = 1; i <= use_count; i++) {
        split(uses[i], pair, SUBSEP)
        if (!(pair[2] in line_of))
            fault(list ":" use_line[i], pair[2] " is no room: list it, or take it away from " pair[1])
        else if (line_of[pair[2]] <= line_of[pair[1]])
            fault(list ":" use_line[i], pair[1] " may only use rooms that are listed below it, and " pair[2] " is not")
    }
}

# ---- the tree ----

function check_include(path, number, target, from,    to) {
    to = target ~ /\// ? room_of(target) : ""
    if (to == "")
        fault(path ":" number, "\"" target "\" is in no room: write its path from the root, and list its room in " list)
    else if (to != from && !((from, to) in allowed))
        fault(path ":" number, from " may not use " to ": move the code, or take a callback that a room above" \
              " fills in (" list " says who may use whom)")
}

function check_file(path,    from, text, number) {
    from = room_of(path)
    if (from == "") {
        fault(path ":1", "this file is in no room: move it into one, or list its room in " list)
        return
    }
    has_files[from] = 1
    folders[folder_of(path)] = 1
    while ((getline text < path) > 0) {
        number++
        if (text !~ /^[ \t]*#[ \t]*include[ \t]*"/)
            continue
        sub(/^[^"]*"/, "", text)
        sub(/".*/, "", text)
        check_include(path, number, text, from)
    }
    close(path)
}

# tests/unit mirrors the rooms.
function check_test(path,    room) {
    room = folder_of(path)
    sub(/^tests\/unit\//, "", room)
    if (!(room in line_of) && !(room in halls))
        fault(path ":1", "there is no room " room ": a unit test stands in tests/unit/ under the room that it tests")
}

function check_rooms(    name) {
    for (name in line_of)
        if (!(name in has_files))
            fault(list ":" line_of[name], "there is nothing in " name ": take the line out")
    for (name in folders)
        if (!((name "/README.md") in readmes))
            fault(name "/README.md:1", "it is missing: say in about ten lines what the room owns, what must hold, which" \
                  " rooms it may use, and where to begin reading")
}

FILENAME != "-" {
    list = FILENAME
    read_list()
    next
}
/\/README\.md$/ {
    readmes[$0] = 1
    next
}
/^tests\// {
    check_test($0)
    next
}
{ paths[++path_count] = $0 }

END {
    check_list()
    for (i = 1; i <= path_count; i++)
        check_file(paths[i])
    check_rooms()
    exit faults > 0
}
