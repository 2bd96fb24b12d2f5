#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# errors.sh SBX: bad input. Each case: exactly one line on standard error that begins with "sbx: ",
# nothing on standard output, the status, and no process or file left behind.
set -u
top=$(mktemp -d)
trap 'chmod -R u+rwx "$top"; rm -rf "$top" "$top.sbx"' EXIT
sbx=$top.sbx # a program of its own, so that its processes can be told from others
cp "$1" "$sbx" || exit 1
chmod 755 "$top"
cd "$top" || exit 1
failed=0
count=0

# as USER...: an ordinary user where we are root, so that permissions mean something
if [ "$(id -u)" -eq 0 ]; then
    as() { setpriv --reuid 54321 --regid 54321 --clear-groups env HOME=/nonexistent "$@"; }
else
    as() { "$@"; }
fi

# expect STATUS WORDS COMMAND...: WORDS stand in the line
expect() {
    want=$1 words=$2
    shift 2
    count=$((count + 1))
    "$@" >"$top.out" 2>"$top.err" </dev/null
    got=$?
    lines=$(wc -l <"$top.err")
    if [ "$got" -ne "$want" ] || [ "$lines" -ne 1 ] || [ -s "$top.out" ] ||
        ! grep -q "^sbx: .*$words" "$top.err"; then
        echo "FAILED: $*"
        echo "  wanted status $want and one line with '$words'; got status $got, $lines lines:"
        head -3 "$top.err" | sed 's/^/  /'
        failed=$((failed + 1))
    fi
    rm -f "$top.out" "$top.err"
}

echo 'print(1)' >ok.py
mkdir folder closed && chmod 0 closed
echo hello >plain && cp plain exec && chmod +x exec
printf '#!/nonexistent/interp\nx\n' >nointerp && printf '#!/usr/bin/env nosuchinterp\nx\n' >noenv
printf '#!%s/plain\n' "$top" >badinterp
cp /bin/true noexec && chmod 644 noexec
head -c 800 /bin/true >truncated && head -c 20 /bin/true >tiny && chmod +x truncated tiny
# bytes 18-19 are the machine: 183 is 64-bit ARM; byte 4 the class: 1 is 32-bit
cp /bin/true arm && printf '\267\000' | dd of=arm bs=1 seek=18 conv=notrunc 2>/dev/null
cp /bin/true bits && printf '\001' | dd of=bits bs=1 seek=4 conv=notrunc 2>/dev/null
printf '\003\000' | dd of=bits bs=1 seek=18 conv=notrunc 2>/dev/null
sed 's,/lib64/ld-linux-x86-64.so.2,/lib64/ld-nosuch-x86-64.so.9,' /bin/true >noloader && chmod +x noloader
echo 'x = 1' >script.rb && mkfifo fifo

ls -lR . >"$top.before"
expect 125 'unknown option --nosuch' "$sbx" run --nosuch ok.py
expect 125 'unknown option -Z' "$sbx" run -Z ok.py
expect 125 'unknown command' "$sbx" nosuch
expect 125 'no command' "$sbx"
expect 125 'nothing to run' "$sbx" run
expect 125 'nothing to run' "$sbx" run --
expect 125 'needs a value' "$sbx" run --bind
expect 125 'takes no value' "$sbx" run --help=x ok.py
expect 127 'neither a file here nor a command' "$sbx" run nosuch.py
expect 127 'no such file' "$sbx" run ./nosuch.py
expect 127 'sbx run --rootfs DIR CMD' "$sbx" run alpine
expect 127 'sbx run --rootfs DIR CMD' "$sbx" run python:3.12 script.py
expect 127 'sbx run --rootfs DIR CMD' "$sbx" run registry.example/team/app:1
expect 125 'give both' "$sbx" run --ro-bind /usr
expect 125 'give both' "$sbx" run --ro-bind /usr usr true
expect 127 'nor a command' "$sbx" run -- nosuchcmd
expect 126 'is a directory' "$sbx" run folder
expect 126 'is a directory' "$sbx" run ./folder
expect 126 'is a directory' "$sbx" run /
expect 126 'make it executable' "$sbx" run ./noexec
expect 126 'permission denied' "$sbx" run plain
expect 126 'neither a program nor a script' "$sbx" run ./exec
expect 126 'no regular file\|Not a\|permission' "$sbx" run ./fifo
expect 126 'interpreter /nonexistent/interp' "$sbx" run nointerp
expect 127 'nosuchinterp' "$sbx" run noenv
expect 126 'not executable' "$sbx" run badinterp
expect 126 'truncated' "$sbx" run ./truncated
expect 126 'truncated' "$sbx" run ./tiny
expect 126 '64-bit ARM' "$sbx" run ./arm
expect 126 '32-bit x86' "$sbx" run ./bits
expect 127 'ld-nosuch' "$sbx" run ./noloader
expect 125 'does not exist\|No such file' "$sbx" run --rootfs /nosuch ls
expect 125 'Not a directory' "$sbx" run --rootfs "$top/plain" ls
expect 127 'nor a command' "$sbx" run --rootfs "$top/folder" ls
expect 125 'No such file' "$sbx" run --bind /nosuch ok.py
expect 125 'give SRC' "$sbx" run --bind /usr:rel ok.py
ln -s /usr "$top/link"
expect 125 "show $top/link: Not a directory; if a link" "$sbx" run --bind "/usr:$top/link" ok.py
rm "$top/link"
expect 125 'give SRC' "$sbx" run --bind '' ok.py
expect 125 'only files and directories' "$sbx" run --bind /dev/null ok.py
expect 125 'no time' "$sbx" run --timeout never ok.py
expect 125 'no time' "$sbx" run --timeout -1 ok.py
expect 125 'no time' "$sbx" run --timeout 1e99 ok.py
expect 125 'no time' "$sbx" run --timeout '' ok.py
expect 125 'no such platform' "$sbx" run --platform=nosuch ok.py
expect 125 'no such user' "$sbx" run --user nosuchuser ok.py
expect 125 'no such group' "$sbx" run --user 0:nosuchgroup ok.py
expect 125 'no such user' "$sbx" run --user 99999999999 ok.py
expect 125 'absolute' "$sbx" run --tmpfs rel ok.py
expect 125 'NAME=VALUE' "$sbx" run --env =x ok.py
expect 125 'characters' "$sbx" run --hostname '' ok.py
expect 125 'stats' "$sbx" run --stats=xml ok.py
expect 125 'log-level' "$sbx" run --log-level=9 ok.py
expect 125 'can be written' "$sbx" run --log=/nosuch/log ok.py
expect 125 'can be written' "$sbx" run --strace=/nosuch/log ok.py
expect 125 'unknown feature nosuch' env SBX_WITHOUT=userns,nosuch "$sbx" run ok.py
expect 125 'doctor: unknown argument x' "$sbx" doctor x
expect 125 'unknown argument' "$sbx" syscalls x
if as test -x "$sbx"; then
    expect 125 'you can read' as "$sbx" run --rootfs "$top/closed" ls
    expect 125 'cannot read it' as "$sbx" run --bind "$top/closed" ls
    expect 125 'cannot read it' as "$sbx" run --bind /etc/shadow ls
fi
ruby=$(command -v ruby || :)
[ -n "$ruby" ] || expect 127 'needs ruby' "$sbx" run script.rb

# A host that refuses seccomp: one line, nothing else. Python is asked to play that host.
if python3 -c 'import ctypes' 2>/dev/null; then
    cat >refuse.py <<'EOF'
import ctypes, os, struct, sys
# seccomp(2) and prctl(PR_SET_SECCOMP) behind this filter: EPERM
ins = [(0x20, 0, 0, 0), (0x15, 0, 1, 317), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)]
code = b"".join(struct.pack("HBBI", *i) for i in ins)
buf = ctypes.create_string_buffer(code)
prog = struct.pack("HxxxxxxQ", len(ins), ctypes.addressof(buf))
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
libc.prctl(22, 2, ctypes.c_char_p(prog), 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
EOF
    expect 125 'not here: seccomp' python3 refuse.py "$sbx" run --require=seccomp /bin/true
    expect 125 'doctor' python3 refuse.py "$sbx" run --platform=trap /bin/true
fi

# Nothing is left behind: no file (the player of the host apart), and after a moment no process.
rm -f refuse.py
ls -lR . >"$top.after"
if ! diff "$top.before" "$top.after"; then
    echo "FAILED: files are left behind"
    failed=$((failed + 1))
fi
rm -f "$top.before" "$top.after"
left() { find /proc/[0-9]*/exe -maxdepth 0 -lname "$sbx*" 2>/dev/null; }
tries=0
while [ -n "$(left)" ] && [ $tries -lt 40 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
[ -z "$(left)" ] || { echo "FAILED: processes are left behind: $(left)" && failed=$((failed + 1)); }
echo "$count cases, $failed failed"
[ "$failed" -eq 0 ]
