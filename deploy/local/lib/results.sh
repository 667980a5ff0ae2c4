# shellcheck shell=bash
# A line a test ("ok    file  test" or "FAIL  file  test"), counted at the end. To be sourced after common.sh; RESULTS is the file
# that keeps the lines.

# results_of NAME COMMAND…: the command prints such lines; one that ends badly without a FAIL line is a failure itself.
results_of() {
    local name=$1 before status=0
    shift
    before=$(results_count FAIL)
    "$@" 2>&1 | tee -a "$RESULTS" || status=${PIPESTATUS[0]}
    if [ "$status" -ne 0 ] && [ "$(results_count FAIL)" -eq "$before" ]; then
        printf 'FAIL  %s  ended with status %s\n' "$name" "$status" | tee -a "$RESULTS"
    fi
}

results_count() {
    grep -c "^$1 " "$RESULTS" || true
}

# The closing line; fails when a test has failed or none has run.
results_summary() {
    local passed failed
    passed=$(results_count ok)
    failed=$(results_count FAIL)
    if [ "$failed" -gt 0 ]; then
        printf '\nFailed:\n'
        grep '^FAIL ' "$RESULTS"
    fi
    printf '\n%s passed, %s failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

# cmocka's TAP output, in our words. What else the program prints is shown, indented, where a test fails or the program does not come
# to its end; a sanitizer speaks up at the very end.
results_from_tap() {
    awk -v file="$1" '
        function result(word) {
            sub(/^(not )?ok [0-9]+ (- |# SKIP )?/, "")
            printf "%-5s %s  %s\n", word, file, $0
            fflush()
            results++
        }
        function show(i) {
            for (i = said > 60 ? said - 60 : 0; i < said; i++) printf "        %s\n", line[i]
            fflush()
        }
        /^1\.\.[0-9]+$/         { planned = substr($0, 4); next }
        /^(not )?ok [0-9]+ # SKIP/ { result("skip"); said = 0; next }
        /^ok [0-9]+/            { result("ok"); said = 0; next }
        /^not ok [0-9]+/        { result("FAIL"); show(); said = 0; failed = 1; next }
        /^TAP version|^# (ok|not ok)/ { next }
        failed && /^#/          { printf "        %s\n", $0; next } # cmocka tells why after it has said that
        /Sanitizer|runtime error:/ { complaint = 1 }
        NF                      { line[said++] = $0 }
        END                     { if (complaint || results != planned) show() }'
}
