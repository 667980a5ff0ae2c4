# shellcheck shell=bash
# Building a preset. To be sourced after common.sh.

# build PRESET [TARGET…]: configures when needed; prints only what went wrong.
build() {
    local preset=$1 dir=$ROOT/build/$1 log
    shift
    log=$dir/build.log
    if built_elsewhere "$dir"; then
        step "this checkout was moved or copied; building anew"
        rm -rf "$dir"
    fi
    mkdir -p "$dir"
    if [ ! -f "$dir/build.ninja" ]; then
        step "configuring build/$preset"
        (cd "$ROOT" && cmake --preset "$preset") >"$log" 2>&1 || build_failed "$log" "cmake could not configure build/$preset"
    fi
    step "building build/$preset"
    ninja -C "$dir" "$@" >"$log" 2>&1 || build_failed "$log" "the build of build/$preset failed"
}

# CMake and ninja keep absolute paths: they would compile the sources of the other checkout.
built_elsewhere() {
    [ -f "$1/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$ROOT" "$1/CMakeCache.txt"
}

build_failed() {
    grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking|Generating)' "$1" | tail -n 60 >&2
    die "$2; all of it is in $1"
}

# The programs, wherever their folders put them.
program() {
    printf '%s/build/%s/%s' "$ROOT" "$1" "$2"
}
