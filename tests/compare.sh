#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# compare.sh SBX PROGRAM [args]: runs PROGRAM inside and natively, each in a fresh directory with a
# fresh home and the same short environment, and compares standard output and exit status. What it
# wrote inside must not be on the host. A program exits with 77 (natively) to be skipped.
#
# What it needs of a package registry is fetched by fetch/PROGRAM beside it (its argument: the programs'
# directory), once for a build, into the directory that both runs have as $FETCHED; other paths that it wants
# shown stand there in `binds`. Without the registry the test is skipped.
set -u
sbx=$(realpath "$1")
shift
program=$(realpath "$1")
shift
fetch=$(dirname "$program")/fetch/$(basename "$program")
fetched=
if [ -e "$fetch" ]; then
    fetched=$(dirname "$sbx")/fetched/$(basename "$program" .sh)
    if [ ! -d "$fetched" ]; then
        rm -rf "$fetched.new"
        mkdir -p "$fetched.new"
        if ! (cd "$fetched.new" && timeout 900 sh "$fetch" "$(dirname "$program")") >"$fetched.log" 2>&1 </dev/null; then
            tail -n 3 "$fetched.log"
            rm -rf "$fetched.new"
            echo "what $(basename "$program") needs could not be fetched: $(tail -n 1 "$fetched.log")"
            exit 77
        fi
        mv "$fetched.new" "$fetched"
    fi
fi
# The path is the same both times: it may be printed.
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
chmod 755 "$top"
mkdir "$top/native" "$top/inside"

# run NAME COMMAND...: in a fresh directory
run() {
    name=$1
    shift
    rm -rf "$top/run"
    mkdir -p "$top/run/work" "$top/run/home"
    (
        cd "$top/run/work" || exit 99
        env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$top/run/home" LANG=C.UTF-8 TERM=dumb \
            USER=user LOGNAME=user SHELL=/bin/sh ${fetched:+FETCHED="$fetched"} "$@" </dev/null
    ) >"$top/$name/out" 2>"$top/$name/err"
    echo $? >"$top/$name/status"
}

deadline=${COMPARE_TIMEOUT:-240}
run native timeout "$deadline" "$program" "$@"
if [ "$(cat "$top/native/status")" -eq 77 ]; then
    cat "$top/native/out" "$top/native/err"
    exit 77
fi
binds=
[ -z "$fetched" ] || binds="--env=FETCHED --bind=$fetched $(sed 's/^/--bind=/' "$fetched/binds" 2>/dev/null)"
# shellcheck disable=SC2086 # a list of words
run inside env ${SBX_WITHOUT:+SBX_WITHOUT="$SBX_WITHOUT"} "$sbx" run --timeout="$deadline" $binds "$program" "$@"
left=$(find "$top/run/work" "$top/run/home" -mindepth 1 | head -5)

failed=0
if [ -n "$left" ]; then
    printf 'written to the host:\n%s\n' "$left"
    failed=1
fi
for part in status out; do
    if ! cmp -s "$top/native/$part" "$top/inside/$part"; then
        echo "--- $part: < native, > inside"
        diff "$top/native/$part" "$top/inside/$part" | head -40
        failed=1
    fi
done
if [ "$failed" -ne 0 ]; then
    echo "--- standard error inside:"
    tail -20 "$top/inside/err"
fi
exit $failed
