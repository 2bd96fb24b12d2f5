#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# selftest.sh SBX UNFENCED [SANITIZER]: `sbx doctor --self-test` finds everything held, for root and for an ordinary
# user, leaves nothing behind, and tells of what gets through where fences are left out (UNFENCED is
# sbx-unfenced, abi/unfenced.h).
set -u
sbx=$(realpath "$1") unfenced=$(realpath "$2")
[ -z "${3:-}" ] || {
    echo "a sanitized program cannot be its own guest: its run-time library takes the faults that the attacks make"
    exit 77
}
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
chmod 755 "$top"
cp "$sbx" "$top/sbx" && cp "$unfenced" "$top/sbx-unfenced" || exit 1
chmod 755 "$top"/sbx*
mkdir -m 1777 "$top/tmp"
cd "$top" || exit 1
failed=0
as=

# expect STATUS WORDS COMMAND...: WORDS stand in the output
# shellcheck disable=SC2086 # words of a command
expect() {
    want=$1 words=$2
    shift 2
    $as env HOME=/nonexistent TMPDIR="$top/tmp" "$@" >"$top/out" 2>&1 </dev/null
    got=$?
    if [ "$got" -ne "$want" ] || ! grep -q -e "$words" "$top/out"; then
        echo "FAILED: $as $*: wanted status $want and '$words', got $got:"
        cat "$top/out"
        failed=1
    fi
    left=$(ls -A "$top/tmp")
    [ -z "$left" ] || { echo "left behind: $left" && failed=1; }
}

# A host without time namespaces shows its uptime; that is told, and is not what is tested here.
./sbx doctor | grep -q 'time namespaces *yes' || {
    echo "no time namespaces: the uptime would get through"
    exit 77
}
all_held() { expect 0 '^23 held, 0 got through$' ./sbx doctor --self-test; }
all_held
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    as="setpriv --reuid 54321 --regid 54321 --clear-groups"
    all_held
fi
# All that an ordinary user without namespaces loses that shows.
if [ -n "$as" ] || [ "$(id -u)" -ne 0 ]; then
    expect 1 'THROUGH.*: its uptime' SBX_WITHOUT=userns ./sbx doctor --self-test
    grep -q '^22 held, 1 got through$' out || { echo "FAILED: more than the uptime" && cat out && failed=1; }
fi
as=

# An attack that gets through is told of: the stub's filter lets everything of its own code pass.
expect 1 "THROUGH *calls from within the stub's own code: the host's kernel answers" \
    SBX_UNFENCED=stubfilter ./sbx-unfenced doctor --self-test
expect 1 "THROUGH *a port that no rule allows, beside one that is allowed: it was reached" \
    SBX_UNFENCED=netpolicy SBX_WITHOUT=bpf ./sbx-unfenced doctor --self-test
# The same build with all its fences holds.
expect 0 '^23 held, 0 got through$' ./sbx-unfenced doctor --self-test
# What cannot be tried is no success.
expect 1 'were not tried' SBX_LIMITS=nosuch=1 ./sbx doctor --self-test
# The other platform holds as much, and so do namespaces and Landlock without any filter.
expect 0 '^23 held, 0 got through$' SBX_WITHOUT=notify ./sbx doctor --self-test
expect 0 '^23 held, 0 got through$' SBX_WITHOUT=seccomp ./sbx doctor --self-test
# The attacks are no command for users.
expect 125 'unknown command attack' ./sbx attack x y
exit $failed
