#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# hardened.sh SBX BLOB: what cmake/harden.cmake asks for is in the program, and in the blob of the stubs
# what concerns it; and the processes of a sandbox have the limits that SECURITY.md tells of. Each check
# fails when its flag, or line, is taken away.
set -u
sbx=$(realpath "$1") blob=$(realpath "$2")
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
failed=0
count=0

# is WHAT COMMAND...: the command succeeds
is() {
    what=$1
    shift
    count=$((count + 1))
    "$@" || { echo "FAILED: $what" && failed=1; }
}
has() { grep -q -e "$1" "$2"; }
lacks() { ! grep -q -e "$1" "$2"; }

readelf -hW "$sbx" >"$top/head"
readelf -lW "$sbx" >"$top/segments"
readelf -dW "$sbx" >"$top/dynamic"
is "the program is position-independent" has 'Type: *DYN' "$top/head"
is "its stack is not executable" has 'GNU_STACK.* RW ' "$top/segments"
is "nothing in it is writable and executable" lacks 'LOAD.* RWE' "$top/segments"
is "relocations are done at the start" has 'BIND_NOW\|Flags:.*NOW' "$top/dynamic"
is "and read-only from then on" has 'GNU_RELRO' "$top/segments"
is "there are no text relocations" lacks 'TEXTREL' "$top/dynamic"
is "code has pages of its own" sh -c "grep 'LOAD.* R E ' '$top/segments' | grep -qv '0x000000 0x0000000000000000'"

readelf -lW "$blob" >"$top/blob"
is "the blob is code that nobody writes" sh -c "[ \$(grep -c LOAD '$top/blob') -eq 1 ] && grep -q 'LOAD.* R E ' '$top/blob'"
is "and asks for no executable stack" has 'GNU_STACK.* RW ' "$top/blob"

# gcc writes down, for each file, how it was compiled.
readelf --debug-dump=info --dwarf-depth=1 "$sbx" 2>/dev/null | grep 'DW_AT_producer.*GNU C17' >"$top/units"
ours=$(wc -l <"$top/units")
# all FLAG: no unit without it
all() {
    n=$(grep -c -e " $1\( \|\$\)" "$top/units")
    is "$1 in each of $ours units of gcc's, not $n" [ "$n" -eq "$ours" ]
}
if has 'INTERP' "$top/segments"; then
    echo "a dynamic, sanitized build: it is not what is installed, and only its segments are looked at"
    exit $failed
fi
if [ "$ours" -gt 100 ]; then
    for flag in -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero \
        -fsanitize=bounds -fsanitize-undefined-trap-on-error -fPIE; do
        all "$flag"
    done
fi
objdump -d --no-show-raw-insn "$sbx" >"$top/code"
is "functions check their canary" [ "$(grep -c 'call.*<__stack_chk_fail' "$top/code")" -gt 200 ]
is "large frames are probed" [ "$(grep -cE 'or[lq]? +\$0x0,' "$top/code")" -gt 20 ]
is "an index beyond its array traps" [ "$(grep -c 'ud2' "$top/code")" -gt 200 ]

# ---- the processes ----
"$sbx" run --timeout=110 -- sleep 105 </dev/null >"$top/out" 2>&1 &
front=$!
tries=0
while [ "$(pgrep -P $front | wc -l)" -lt 2 ] || ! pgrep -P $front -x sbx-gofer >/dev/null ||
    ! pgrep -P $front -x sbx-sentry >/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { echo "FAILED: no sandbox: $(cat "$top/out")" && exit 1; }
    sleep 0.1
done
sleep 1
gofer=$(pgrep -P $front -x sbx-gofer) sentry=$(pgrep -P $front -x sbx-sentry)

# relro, as the kernel has it: the segment of pointers is not writable
if [ -r "/proc/$front/maps" ]; then
    base=$(grep -m 1 "$sbx" "/proc/$front/maps" | cut -d- -f1)
    at=$(awk '$1 == "GNU_RELRO" { print $3 }' "$top/segments")
    is "relro is mapped read-only" sh -c "grep -q '^'\$(printf %x \$(((0x$base + $at) / 4096 * 4096)))'-[0-9a-f]* r--p' /proc/$front/maps"
fi
for who in gofer sentry; do
    eval "pid=\$$who"
    is "$who: filtered" has '^Seccomp:.2' "/proc/$pid/status"
    is "$who: no new privileges" has '^NoNewPrivs:.1' "/proc/$pid/status"
    is "$who: dumps no core" has '^Max core file size *0 *0 ' "/proc/$pid/limits"
    is "$who: no message queues" has '^Max msgqueue size *0 *0 ' "/proc/$pid/limits"
    [ "$(id -u)" -eq 0 ] || continue
    is "$who: not dumpable, so its files are root's" [ "$(stat -c %u "/proc/$pid/maps")" -eq 0 ]
    is "$who: no mapping is writable and executable" lacks ' rwx' "/proc/$pid/maps"
done
is "gofer: locks no memory" has '^Max locked memory *0 *0 ' "/proc/$gofer/limits"
is "sentry: locks no more memory than a guest may" sh -c \
    "[ \$(awk '/^Max locked memory/ { print \$5 }' /proc/$sentry/limits) -le 8388608 ]"
is "gofer: writes no file" has '^Max file size *0 *0 ' "/proc/$gofer/limits"
[ "$(id -u)" -ne 0 ] || is "gofer: few threads" has '^Max processes *16 *16 ' "/proc/$gofer/limits"
is "sentry: threads and stubs are bounded" [ "$(awk '/^Max processes/ { print $4 }' "/proc/$sentry/limits")" -le 41000 ]
is "sentry: no capabilities" has '^CapPrm:.0000000000000000' "/proc/$sentry/status"
is "sentry: none to be gained" has '^CapBnd:.0000000000000000' "/proc/$sentry/status"
# Of the gofer's, root's reading of what only root may read (CAP_DAC_READ_SEARCH).
is "gofer: one capability, or none" has '^CapPrm:.000000000000000[04]' "/proc/$gofer/status"
stubs=$(pgrep -x sbx-stub -P "$sentry")
for pid in $stubs $(for s in $stubs; do pgrep -P "$s"; done); do
    [ -d "/proc/$pid" ] || continue # a blank that was not wanted any more
    is "stub $pid: filtered" has '^Seccomp:.2' "/proc/$pid/status"
    is "stub $pid: no new privileges" has '^NoNewPrivs:.1' "/proc/$pid/status"
    is "stub $pid: no capabilities" has '^CapPrm:.0000000000000000' "/proc/$pid/status"
done
kill $front 2>/dev/null
wait $front 2>/dev/null
[ $failed -ne 0 ] || echo "$count checks"
exit $failed
