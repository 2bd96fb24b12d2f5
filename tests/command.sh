#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# command.sh SBX: what the manual says of `sbx run`, its options, and the other commands, that no other
# test holds (errors.sh: bad input; visible.sh: what is shown; cli/: the terminal).
set -u
sbx=$(realpath "$1")
manual=$(realpath "$(dirname "$0")/../docs/sbx.1")
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
chmod 755 "$top"
mkdir "$top/work" && cd "$top/work" || exit 1
export HOME="$top/home" SBX_NOTES=1
mkdir "$HOME"
failed=0
count=0

# gives STATUS OUTPUT COMMAND...: standard output, whole; standard input is $top/in
: >"$top/in"
gives() {
    want_status=$1 want=$2
    shift 2
    count=$((count + 1))
    out=$("$@" <"$top/in" 2>"$top/err")
    status=$?
    if [ "$status" -ne "$want_status" ] || [ "$out" != "$want" ]; then
        printf 'FAILED: %s\n  wanted (%s): %s\n  got (%s): %s\n' "$*" "$want_status" "$want" "$status" "$out"
        head -n 3 "$top/err"
        failed=1
    fi
}
# holds WORDS FILE: what the last command left there
holds() {
    count=$((count + 1))
    grep -q -e "$1" -- "$2" && return
    printf 'FAILED: no "%s" in %s:\n' "$1" "$2"
    head -n 20 "$2"
    failed=1
}
run() { "$sbx" run --timeout=30 "$@"; }

# ---- which program ----
echo 'import sys; print("py", sys.argv[1:])' >script.py
echo 'echo "sh $*"' >script.sh
echo 'print "pl @ARGV\n"' >script.pl
printf '#!/bin/sh\necho "line $*"\n' >by_line.py && chmod +x by_line.py
printf '#!/usr/bin/env -S python3 -E\nprint("env")\n' >by_env && chmod +x by_env
cp /bin/echo program
gives 0 "py ['-x', '--bind', 'a b']" run script.py -x --bind 'a b'
gives 0 'sh 1 2' run script.sh 1 2
gives 0 'pl 1' run script.pl 1
gives 0 'line 1' run by_line.py 1
gives 0 env run by_env
gives 0 'a b' run ./program 'a b'
gives 0 'a b' run program a b
gives 0 'x -n' run echo x -n
gives 0 "$top/work/script.sh" run ls "$top/work/script.sh"
gives 0 'sh -v' run -- sh script.sh -v
gives 0 '--timeout' run -- echo --timeout
if command -v node >/dev/null; then
    echo 'console.log("js", process.argv.slice(2))' >script.js
    gives 0 "js [ '-x' ]" run script.js -x
fi
echo 'echo "from stdin $*"' >"$top/in"
gives 0 'from stdin 1 2' run - 1 2
: >"$top/in"

# ---- status ----
gives 7 '' run -- sh -c 'exit 7'
gives 143 '' run -- sh -c 'kill -TERM $$'
gives 139 '' run -- sh -c 'kill -SEGV $$'
gives 124 'begun' "$sbx" run --timeout 0.5s -- sh -c 'echo begun; sleep 60'
gives 124 '' "$sbx" run --timeout 0.005m sleep 60
gives 0 'in time' "$sbx" run --timeout 1h echo in time

# ---- standard streams: shared offsets, closed ones, broken pipes ----
printf 'one\ntwo\nthree\n' >"$top/lines"
(echo first && run sh -c 'echo second; echo third >&2' && echo fourth) >"$top/all" 2>&1
gives 0 "$(printf 'first\nsecond\nthird\nfourth')" cat "$top/all"
(run sh -c 'read -r x; echo "got $x"' && cat) <"$top/lines" >"$top/all"
gives 0 "$(printf 'got one\ntwo\nthree')" cat "$top/all"
(read -r x && run cat && echo "$x") <"$top/lines" >"$top/all"
gives 0 "$(printf 'two\nthree\none')" cat "$top/all"
echo kept >"$top/all" && run echo added >>"$top/all"
gives 0 "$(printf 'kept\nadded')" cat "$top/all"
gives 0 1 sh -c "seq 100000 | '$sbx' run head -n 1"
gives 0 1 sh -c "'$sbx' run seq 1000000 | head -n 1"
gives 0 closed sh -c "'$sbx' run -- sh -c 'test -e /dev/fd/0 || echo closed' <&-"
gives 0 6 sh -c "printf 'a b c' | '$sbx' run cat | wc -c | { read -r n; echo \$((n + 1)); }"

# ---- options ----
gives 0 'V' run -e K=V -- sh -c 'echo $K'
gives 0 'from outside' env K='from outside' "$sbx" run --env K -- sh -c 'echo $K'
gives 0 '2000' sh -c 'ulimit -S -f 2000; exec "$0" run -- sh -c "ulimit -f"' "$sbx"
gives 0 '' env HIDDEN=secret "$sbx" run -- sh -c 'echo $HIDDEN'
names=$(run env | cut -d= -f1 | sort | tr '\n' ' ')
for name in $names; do
    case $name in
    PATH | HOME | USER | LOGNAME | SHELL | PWD | TERM | COLORTERM | LANG* | LC_* | TZ | NO_COLOR | FORCE_COLOR | COLUMNS | LINES | \
        PYTHON* | VIRTUAL_ENV | CONDA_PREFIX | PYENV_*) ;;
    *) echo "FAILED: $name is in the environment" && failed=1 ;;
    esac
done
gives 0 'trap' run --platform=trap echo trap
gives 0 'auto' run --platform=auto echo auto
gives 0 'out' run --strace="$top/trace" -- sh -c 'echo out'
holds 'write(1, "out\\n", 4) *= 4' "$top/trace"
holds 'execve("/[a-z/]*bin/sh", \["sh", "-c", "echo out"\]' "$top/trace"
holds 'openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = ' "$top/trace"
gives 0 'out' run --strace -- echo out
holds 'exit_group(0)' "$top/err"
gives 0 'out' run --log="$top/log" --log-level=debug -- echo out
[ -e "$top/log" ] || { echo "FAILED: no log" && failed=1; }
gives 0 'out' run --stats -- echo out
for words in 'wall .* cpu' 'peak memory' 'start-up (ms): look-up' 'gofer_trips' '^sbx: write  *1'; do
    holds "$words" "$top/err"
done
gives 3 '' run --stats=json -- sh -c 'exit 3'
python3 - "$top/err" <<'EOP' || failed=1
import json, sys
s = json.loads(open(sys.argv[1]).read())
assert s["wall_ms"] > 0 and s["guest_peak_bytes"] > 0 and s["startup_ms"]["look-up"] > 0, s
assert s["gofer_trips"] > 0 and s["bells"] > 0, s
assert any(c["name"] == "exit_group" and c["count"] == 1 for c in s["calls"]), s
EOP

# ---- another root ----
root=$top/root
mkdir -p "$root/bin" "$root/lib64" "$root/etc" && echo inner >"$root/etc/name"
for f in /bin/sh /bin/cat $(ldd /bin/sh /bin/cat | grep -o '/lib[^ ]*' | sort -u); do
    mkdir -p "$root/$(dirname "$f")" && cp -L "$f" "$root/$f"
done
gives 0 inner run --rootfs "$root" -- sh -c 'cat /etc/name; echo x >/etc/new'
gives 0 x run --rootfs "$root" -- sh -c 'echo x >/etc/new; cat /etc/new'
gives 127 '' run --rootfs "$root" -- ls
[ ! -e "$root/etc/new" ] || { echo "FAILED: a write came out" && failed=1; }

# ---- what is said at the end ----
cat >net.py <<'EOP'
import socket
a = socket.create_server(("127.0.0.1", 0))
b = socket.create_connection(a.getsockname())
print("loopback")
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as e:
    print(e.strerror)
EOP
gives 0 "$(printf 'loopback\nNetwork is unreachable')" run net.py
holds 'refused' "$top/err"
echo data >"$HOME/data"
gives 1 '' run -- cat "$HOME/data"
holds '^sbx: ~/data is not visible; --bind ~/data$' "$top/err"
gives 0 '' run -- sh -c 'echo x >new'
holds 'changed inside only' "$top/err"
[ "$(wc -l <"$top/err")" -eq 1 ] || { echo "FAILED: more than a line" && cat "$top/err" && failed=1; }

# ---- the other commands ----
"$sbx" doctor >"$top/doctor" || failed=1
holds '^  trap  *works' "$top/doctor"
holds 'auto chooses trap' "$top/doctor"
holds 'io_uring' "$top/doctor"
holds 'cgroup' "$top/doctor"
tail -n 1 "$top/doctor" >"$top/last"
holds '^To improve this host: \|^Nothing to improve' "$top/last"
[ "$(wc -l <"$top/doctor")" -le 24 ] || { echo "FAILED: more than a screenful" && failed=1; }
SBX_WITHOUT=userns,iouring "$sbx" doctor >"$top/doctor"
holds 'user namespaces  *no' "$top/doctor"
"$sbx" syscalls >"$top/calls"
[ "$(grep -c '^ *[0-9]' "$top/calls")" -eq 375 ] || { echo "FAILED: not 375 calls" && failed=1; }
"$sbx" syscalls --native >"$top/calls"
holds '^futex ' "$top/calls"
gives 0 "$("$sbx" --version)" "$sbx" --version
"$sbx" run --help >"$top/help"
tr -d '\\' <"$manual" >"$top/manual"
for option in rootfs bind tmpfs cwd env user hostname timeout platform strace stats log log-level; do
    holds "--$option" "$top/help"
    holds "--$option" "$top/manual"
done
echo "$count checks"
exit $failed
