#!/usr/bin/env bash
# fuzz [SECONDS]: run every fuzz target for so long (60 s); what they find is kept in .cortex/fuzz
set -euo pipefail
here=$(dirname "$0")
for file in common packages build; do
    # shellcheck source=/dev/null
    . "$here/lib/$file.sh"
done

seconds=${1:-60}
[[ $seconds =~ ^[0-9]+$ ]] || die "fuzz takes a number of seconds, not $seconds"
corpus=$ROOT/.cortex/fuzz
shopt -s nullglob
targets=()
for source in "$ROOT"/tests/fuzz/fuzz_*.c; do
    targets+=("$(basename "$source" .c)")
done
[ ${#targets[@]} -gt 0 ] || die "tests/fuzz holds no fuzz targets (fuzz_*.c)"
packages_need build fuzz
build fuzz "${targets[@]}"

# fuzz_target NAME: runs it and prints a line. It begins with the seeds beside its source and those that the build made, and keeps its
# corpus, so that the next run begins where this one ended.
fuzz_target() {
    local name=$1 log=$corpus/$1.log built=$ROOT/build/fuzz/tests/fuzz seeds
    local -a folders=("$corpus/$name")
    mkdir -p "$corpus/$name"
    for seeds in "$ROOT/tests/fuzz/corpus/$name" "$built/$name.corpus"; do
        [ ! -d "$seeds" ] || folders+=("$seeds")
    done
    if (cd "$corpus" && "$built/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$corpus/$name." "${folders[@]}") >"$log" 2>&1; then
        printf 'ok    fuzz  %s (%s runs)\n' "$name" "$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log")"
    else
        printf 'FAIL  fuzz  %s\n' "$name"
        tail -n 40 "$log" | sed 's/^/        /'
        return 1
    fi
}

failed=0
for target in "${targets[@]}"; do
    fuzz_target "$target" || failed=1
done
exit "$failed"
