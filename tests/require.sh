#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# require.sh SBX: --require runs where the host has what is asked for, and refuses in one line, with
# status 125 and before anything is started, where it lacks.
set -u
sbx=$(realpath "$1")
failed=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# gives STATUS WORDS ARGS...: of `sbx run`; WORDS stand in the one line; '' : there is none
gives() {
    want=$1 words=$2
    shift 2
    "$sbx" run "$@" -- /bin/true >"$out" 2>&1 </dev/null
    got=$?
    lines=$(wc -l <"$out")
    if [ "$got" -ne "$want" ] || { [ -n "$words" ] && { [ "$lines" -ne 1 ] || ! grep -q -e "^sbx: .*$words" "$out"; }; } ||
        { [ -z "$words" ] && [ "$lines" -ne 0 ]; }; then
        echo "FAILED: SBX_WITHOUT=${SBX_WITHOUT:-} $*: wanted $want '$words', got $got:"
        head -n 3 "$out"
        failed=1
    fi
}

# What doctor finds, --require accepts; each of them switched off, it does not.
"$sbx" doctor >"$out"
all=
for row in 'userns:user namespaces' 'seccomp:seccomp filters' 'cgroup:cgroup' \
    'landlock:Landlock' 'iouring:io_uring' 'bpf:eBPF'; do
    word=${row%%:*}
    "$sbx" doctor >"$out"
    if grep -q "^  ${row#*:} *yes" "$out"; then
        gives 0 '' "--require=$word"
        all=$all,$word
    else
        gives 125 "--require: not here: $word (.*); needed: " "--require=$word"
    fi
    export SBX_WITHOUT="$word"
    gives 125 "--require: not here: $word (switched off by SBX_WITHOUT); needed: " "--require=$word"
    unset SBX_WITHOUT
done
gives 0 '' "--require=${all#,}"
gives 0 '' --require userns --require landlock
export SBX_WITHOUT=userns,landlock
gives 125 'not here: userns (switched off by SBX_WITHOUT), landlock (' --require=landlock,userns
gives 0 '' --require=seccomp
export SBX_WITHOUT=seccomp
gives 0 'no seccomp filters here'
export SBX_WITHOUT=seccomp,userns,landlock
[ "$(id -u)" -eq 0 ] || gives 125 'cannot run programs'
unset SBX_WITHOUT

gives 125 "unknown feature 'nosuch'; give userns, seccomp, cgroup, landlock, iouring or bpf" --require=userns,nosuch
gives 125 "unknown feature ''" --require=
gives 125 "unknown feature ''" --require=userns,
gives 125 "unknown feature ''" --require=,userns
gives 125 "unknown feature 'USERNS'" --require=USERNS

# What was asked of the processes is what they have: a user namespace that is not ours, Landlock.
"$sbx" run --require=userns --timeout=30 -- sleep 20 </dev/null &
front=$!
sleep 1
for child in $(cat /proc/$front/task/$front/children); do
    [ "$(readlink /proc/$child/ns/user)" != "$(readlink /proc/self/ns/user)" ] ||
        { echo "FAILED: process $child has our user namespace" && failed=1; }
done
kill $front
wait $front 2>/dev/null
exit $failed
