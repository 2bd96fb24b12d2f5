#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# tests/run.sh PRESET [--all]: runs the tests of build/PRESET and ends with one line
#   N passed, N failed[, N skipped]
# Without --all those labelled slow are left out.
#
# The tests run beside each other, on machines that others use, too. One that failed so has to pass three times more,
# alone: if it does, it is no failure, but is named as unsteady, since a race is a bug of the test or of sbx.
set -u
cd "$(dirname "$0")/.."
preset=$1
select="-LE slow"
few=5 # more than that is no chance
[ "${2:-}" != --all ] || select=
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # a list of words
ctest --test-dir "build/$preset" -j "$(nproc)" --output-on-failure --no-tests=error $select >"$log" 2>&1
status=$?
# Of what passed one line each is enough; what failed is shown whole.
grep -v -e '^ *Start ' -e '^Internal ctest' "$log"
# Why a test was skipped: the last line that it printed.
grep -o '[^ ]* \.*\*\*\*Skipped' "$log" | cut -d' ' -f1 | while read -r name; do
    awk -v name="$name" '
        / Testing: / { on = $3 == name; text = 0; reason = "" }
        on && /^<end of output>/ { print "skipped: " name ": " (reason ? reason : "no reason given"); exit }
        on && text && NF { reason = $0 }
        on && /^-----/ { text = 1 }' "build/$preset/Testing/Temporary/LastTest.log"
done
passed=$(grep -c ' Passed ' "$log")
skipped=$(grep -c '\*\*\*Skipped' "$log")
failed=$(grep -c -e '\*\*\*Failed' -e '\*\*\*Timeout' -e '\*\*\*Exception' -e '\*\*\*Not Run' "$log")
if [ "$failed" -gt 0 ] && [ "$failed" -le "$few" ]; then
    echo "once more, alone, three times each:"
    names=$(cut -d: -f2- "build/$preset/Testing/Temporary/LastTestsFailed.log")
    for name in $names; do
        if ctest --test-dir "build/$preset" -R "^$name\$" --repeat until-fail:3 --output-on-failure \
            --no-tests=error >"$log" 2>&1; then
            echo "unsteady: $name: failed beside others, passed alone"
            failed=$((failed - 1)) passed=$((passed + 1))
        else
            cat "$log"
        fi
    done
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$status" -eq 0 ] || { [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]; }
