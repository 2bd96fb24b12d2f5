#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# ways.sh SBX GUESTS WAY: the ways in which a sandbox is started (docs/ARCHITECTURE.md, "Fallbacks").
# WAY is user or root, then the host features switched off, joined by '-': user-userns-iouring. Or
# `container` is among them: then it all happens behind the filter of tests/container.py; `taken`: behind
# that of tests/taken.py, and the platform must be another one.
# GUESTS is the folder of the guest tests.
set -u
sbx=$(realpath "$1") guests=$(realpath "$2") way=$3
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
chmod 755 "$top"
who=${way%%-*}
without=$(printf '%s' "${way#"$who"}" | sed 's/^-//; s/-/,/g; s/container,*//; s/taken,*//')
container=
case $way in
*-container*)
    [ -x /usr/bin/python3 ] || { echo "python3 is missing" && exit 77; }
    cp "$(dirname "$(realpath "$0")")/container.py" "$top/.container.py"
    container="/usr/bin/python3 .container.py"
    ;;
esac

case $way in
*-taken*)
    [ -x /usr/bin/python3 ] || { echo "python3 is missing" && exit 77; }
    cp "$(dirname "$(realpath "$0")")/taken.py" "$top/.taken.py"
    container="/usr/bin/python3 .taken.py"
    ;;
esac

# An ordinary user may not reach the build: what is run is copied, which any user may read.
cp "$sbx" "$top/sbx"
list='hello pipe epoll jobctl timers thread_exit wait'
for t in $list; do
    cp "$guests/$t" "$top/" || exit 1
done
cat >"$top/script.py" <<'EOF'
import os, subprocess, tempfile
out = subprocess.run(["sh", "-c", "id -u; ls -ld /usr | cut -d' ' -f3; echo x > $HOME/f && cat $HOME/f"],
                     capture_output=True, text=True)
print(out.stdout.split(), out.stderr)
assert out.stdout.split() == [str(os.getuid()), "root", "x"], out
with tempfile.TemporaryFile() as f:
    f.write(b"x" * 100000)
assert open("/etc/passwd").readline().startswith("root")
EOF
# The network: one server that a rule allows, one that none does, a published port, limits of the rules.
cat >"$top/.net.py" <<'EOF'
import os, socket, subprocess, sys

def sbx(options, code):
    return [os.path.abspath("sbx"), "run", "--timeout=30", *options, "--", "/usr/bin/python3", "-c", code]

def server():
    s = socket.create_server(("127.0.0.1", 0))
    s.settimeout(25)
    return s, s.getsockname()[1]

(yes, yes_port), (no, no_port), (free, free_port) = server(), server(), server()
free.close()
reach = """
import errno, socket, sys
for port in sys.argv[1:]:
    s = socket.socket()
    r = s.connect_ex(("127.0.0.1", int(port)))
    print(errno.errorcode.get(r, r))
"""
out = subprocess.run([*sbx([f"--allow-net=127.0.0.1:{yes_port}"], reach), str(yes_port), str(no_port)],
                     capture_output=True, text=True)
assert out.stdout.split() == ["0", "EACCES"], out
yes.accept()
no.settimeout(0)
try:
    no.accept()
    sys.exit("a connection to where no rule leads")
except BlockingIOError:
    pass
out = subprocess.run([*sbx([], reach), str(yes_port)], capture_output=True, text=True)
assert out.stdout.split() == ["ECONNREFUSED"], out
inside = subprocess.Popen(sbx(["-p", f"127.0.0.1:{free_port}:8080"], """
import socket
s = socket.create_server(("", 8080))
print("up", flush=True)
s.accept()[0].sendall(b"from inside")
"""), stdout=subprocess.PIPE, text=True)
assert inside.stdout.readline() == "up\n"
with socket.create_connection(("127.0.0.1", free_port), 10) as s:
    assert s.recv(100) == b"from inside"
assert inside.wait() == 0
EOF
chmod -R a+rX "$top"

as=
if [ "$who" = user ] && [ "$(id -u)" -eq 0 ]; then
    command -v setpriv >/dev/null || { echo "setpriv is missing" && exit 77; }
    as="setpriv --reuid 54321 --regid 54321 --clear-groups"
elif [ "$who" = root ] && [ "$(id -u)" -ne 0 ]; then
    echo "not started by root"
    exit 77
fi
cd "$top" || exit 1
failed=0

# shellcheck disable=SC2086 # words of a command
run() {
    $as $container env -i PATH=/usr/bin:/bin HOME=/home/nobody54321 SBX_WITHOUT="$without" \
        ./sbx run --timeout=30 "$@" >"$top.out" 2>&1 </dev/null
    status=$?
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
        echo "FAILED ($status): SBX_WITHOUT=$without as $who: $*"
        tail -15 "$top.out"
        failed=1
    fi
    rm -f "$top.out"
}

for t in $list; do
    run "./$t"
done
[ ! -x /usr/bin/python3 ] || run script.py
# shellcheck disable=SC2086
if [ -x /usr/bin/python3 ] && ! $as $container env -i PATH=/usr/bin:/bin HOME=/home/nobody54321 \
    SBX_WITHOUT="$without" /usr/bin/python3 .net.py >"$top.out" 2>&1; then
    echo "FAILED: the network, with SBX_WITHOUT=$without as $who"
    tail -15 "$top.out"
    failed=1
fi
rm -f "$top.out"
run ls -l /
case $way in
*-taken* | *-notify* | *-seccomp*)
    # shellcheck disable=SC2086 # words of a command
    $as $container env -i PATH=/usr/bin:/bin SBX_WITHOUT="$without" ./sbx run --stats true 2>"$top.out"
    if ! grep -q '^sbx: platform ptrace: ' "$top.out"; then
        echo "FAILED: the platform was not ptrace:"
        cat "$top.out"
        failed=1
    fi
    rm -f "$top.out"
    ;;
esac
if [ "$(find "$top" -newer script.py -type f | grep -cv -e /sbx -e script.py -e /.net.py)" -ne 0 ]; then
    find "$top" -newer script.py
fi
exit $failed
