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
expect 1 "THROUGH *the stub's code and channel.*: the code of all stubs can be written" \
    SBX_UNFENCED=blobseal ./sbx-unfenced doctor --self-test

# Each line, without any sandbox (SBX_UNFENCED=sandbox: the attacks run on the bait as what they are), by a user who
# is nobody's root but his own. Not here: what fresh memory holds, which is the host kernel's alone; device nodes,
# of which this user may open none (they bite in hostile/gofer/paths, kinds); the bomb (bite/death, bombs/bite).
# What writes is told of by the look at the host afterwards.
bare() {
    setpriv --reuid 54321 --regid 54321 --clear-groups unshare -Urm env HOME=/nonexistent TMPDIR="$top/tmp" "SBX_UNFENCED=$1" \
        ./sbx-unfenced doctor --self-test >"$top/out" 2>&1 </dev/null
}
through() {
    grep -q "THROUGH *$1" out || { echo "FAILED: it does not get through without a sandbox: $1" && cat out && failed=1; }
}
if [ "$(id -u)" -eq 0 ] && setpriv --reuid 54321 --regid 54321 --clear-groups unshare -Urm true 2>/dev/null; then
    bare sandbox
    for line in 'a file of the host, by its path: open' 'the same through .., links, /proc and file handles: link' \
        "a TCP port of the host's loopback: connected" 'an abstract socket of the host: connected' \
        'a socket in the current directory: connected' 'a signal to a process of the host: kill' \
        'seeing a process of the host: /proc shows it' 'mounts, chroot: ' 'new and foreign namespaces: unshare' \
        'bpf, perf, keys, modules, ports: .* succeeds' 'calls of other kinds: 32-bit, x32: int 0x80' \
        "the host's name, identity, uptime, mounts, environment: " "addresses and messages of the host's kernel: " \
        'shared memory of the host: ' 'what the host shows afterwards: a file was changed' \
        'a port that no rule allows, beside one that is allowed: it was reached'; do
        through "$line"
    done
    bare sandbox,nosignal # else its victim is dead
    through 'tracing a process of the host, reading its memory: ptrace'
    rm -rf "$top"/tmp/sbx-self-* # with what was written there
else
    echo "left out: each attack without a sandbox, for want of root, setpriv, or user namespaces of an ordinary user"
fi
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
