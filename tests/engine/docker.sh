#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sbx inside an ordinary, unprivileged container: Docker's default profile forbids io_uring, the mount
# calls and new user namespaces, and answers clone3 with ENOSYS. A dockerd of our own runs a container
# of an image of our own (busybox, bash, python), as root of the container and as an ordinary user;
# in it the commands of the list below and all guest tests. Usage: docker.sh [BUILD] [TEST...]
# Exit 77 with a reason where docker cannot be had.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$(realpath "${1:-build/release}")
[ $# -eq 0 ] || shift
skip() { echo "SKIP: $1" && exit 77; }
[ "$(id -u)" -eq 0 ] || skip "dockerd wants root"
for need in dockerd docker containerd runc busybox; do
    command -v $need >/dev/null || skip "$need is not installed (docker.io, busybox-static)"
done
busybox=$(command -v busybox)
for static in "$busybox" "$build/sbx"; do
    ! ldd "$static" 2>/dev/null | grep -q '=>' || skip "$static is not static"
done

top=$(mktemp -d)
daemon=
stop() {
    if [ -n "$daemon" ] && [ "$daemon" -gt 1 ]; then
        kill "$daemon" 2>/dev/null
        wait "$daemon" 2>/dev/null
    fi
    grep -o " $top/[^ ]*" /proc/mounts | sort -r | while read -r m; do umount -l "$m"; done
    rm -rf "$top"
}
trap stop EXIT
trap 'exit 1' INT TERM HUP PIPE
docker() { DOCKER_HOST=unix://$top/sock command docker --config "$top/config" "$@"; }

dockerd --data-root "$top/data" --exec-root "$top/exec" --pidfile "$top/pid" -H "unix://$top/sock" \
    --bridge=none --iptables=false --ip-forward=false --ip-masq=false >"$top/log" 2>&1 &
daemon=$!
tries=0
until docker info >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ $tries -gt 120 ] || ! kill -0 "$daemon" 2>/dev/null; then
        tail -n 5 "$top/log"
        skip "dockerd does not start here"
    fi
    sleep 0.25
done
docker info 2>/dev/null | grep -i -e 'seccomp' -e 'Storage Driver' -e 'profile'

# The image: what any small one has, and python with what it is linked to.
root=$top/root
mkdir -p "$root/bin" "$root/usr/bin" "$root/usr/lib" "$root/etc" "$root/proc" "$root/sys" "$root/dev" \
    "$root/tmp" "$root/home/me" "$root/root" "$root/guest"
chmod 1777 "$root/tmp"
cp "$busybox" "$root/bin/busybox"
"$busybox" --list | grep -v -x -e busybox -e bash | while read -r name; do
    ln -s busybox "$root/bin/$name"
done
cp "$build/sbx" "$root/usr/bin/sbx"
with_libs() { # FILE: as it lies here, and its libraries
    cp -L --parents "$1" "$root/"
    ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r lib; do cp -L --parents -u "$lib" "$root/"; done
}
with_libs /bin/bash
if [ -x /usr/bin/python3 ]; then
    version=$(/usr/bin/python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    with_libs "/usr/bin/$version"
    ln -s "$version" "$root/usr/bin/python3"
    mkdir -p "$root/usr/lib/$version"
    (cd "/usr/lib/$version" && tar -c --exclude test --exclude __pycache__ --exclude dist-packages .) |
        tar -x -C "$root/usr/lib/$version"
    for so in "$root/usr/lib/$version"/lib-dynload/*.so; do
        ldd "$so" | grep -o '/[^ ]*' | while read -r lib; do cp -L --parents -u "$lib" "$root/"; done
    done
fi
printf 'root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nme:x:1000:\n' >"$root/etc/group"
chown 1000:1000 "$root/home/me"
if [ $# -gt 0 ]; then for t in "$@"; do cp "$build/guest/$t" "$root/guest/"; done
else cp "$build"/guest/* "$root/guest/"; fi
cat >"$root/home/me/script.py" <<'EOP'
import os, subprocess, sys, tempfile, threading
out = subprocess.run(["sh", "-c", "id -u; echo x > $HOME/f && cat $HOME/f; ls / | wc -l"],
                     capture_output=True, text=True)
assert out.stdout.split()[:2] == [str(os.getuid()), "x"], out
t = threading.Thread(target=lambda: print("thread"))
t.start(), t.join()
with tempfile.TemporaryFile() as f:
    f.write(b"x" * 100000)
assert not os.path.exists("/guest/hello"), "not visible"
open("written", "w").write("stays inside")
print("python", sys.version_info[0], os.getuid())
EOP
cat >"$root/guest.sh" <<'EOP'
#!/bin/sh
# In the container.
failed=0
check() { # WANTED-STATUS COMMAND...
    want=$1
    shift
    timeout -s KILL 120 "$@" >/tmp/out 2>&1 </dev/null
    got=$?
    [ $got -eq "$want" ] && [ "$got" -eq 0 -o "$want" -ne 0 ] && return
    echo "FAILED ($got): $*"
    tail -n 8 /tmp/out
    failed=$((failed + 1))
}
export HOME=${1:-/root}
cd /home/me || exit 1
unshare -U true 2>/dev/null && echo "note: user namespaces are to be had in this container"
sbx doctor | head -n 20
check 0 sbx run -- true
check 7 sbx run -- sh -c 'exit 7'
check 143 sbx run -- sh -c 'kill $$'
check 0 sbx run sh -c 'ls -l / && id && ps && df && cat /proc/self/status && echo x > new && test -s new'
[ ! -e new ] || { echo "FAILED: a write came out" && failed=1; }
check 0 sbx run -- bash -c 'for i in 1 2 3 4 5 6 7 8; do echo $i | (read x; echo $x) & done; wait'
check 124 sbx run --timeout 1s sleep 60
[ ! -x /usr/bin/python3 ] || check 0 sbx run script.py
[ ! -e written ] || { echo "FAILED: a write came out" && failed=1; }
check 0 sbx run --bind /guest:/data:ro -- sh -c 'ls /data && ! touch /data/x 2>/dev/null'
check 0 sbx run --rootfs / -- sh -c 'ls /guest.sh'
passed=0 skipped=0
vm=$(sbx doctor | grep -c '^ *process_vm_readv *yes')
for t in /guest/*; do
    # It is about EFAULT on read-only pages, which doctor says is not to be had then.
    [ "$vm" -eq 1 ] || [ "${t##*/}" != callsite_fault ] || continue
    timeout -s KILL 120 sbx run --timeout=100 "$t" >/tmp/out 2>&1 </dev/null
    case $? in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *) echo "FAILED: $t" && tail -n 6 /tmp/out && failed=$((failed + 1)) ;;
    esac
done
left=1 tries=0 # the last stubs of a sandbox that was killed are on their way out still
while [ "$left" -ne 0 ] && [ $tries -lt 20 ]; do
    left=$(ps -o args | grep -v '^timeout' | grep -c 'sbx')
    [ "$left" -eq 0 ] || sleep 0.2
    tries=$((tries + 1))
done
[ "$left" -eq 0 ] || { ps; failed=$((failed + 1)); }
echo "container as $(id -u): $passed guest tests passed, $skipped skipped, $failed failed in all"
[ $failed -eq 0 ]
EOP
chmod +x "$root/guest.sh"
tar -c -C "$root" . | docker import - sbx-test >/dev/null || skip "no image can be made here"
docker run --rm --network none sbx-test true 2>"$top/err" || {
    cat "$top/err"
    skip "no container can be started here"
}

failed=0
run() { # WAY OPTIONS...
    echo "== $1"
    shift
    docker run --rm --init --network none "$@" || failed=1
}
run "root of the container" sbx-test /guest.sh /root
run "ordinary user" --user 1000:1000 sbx-test /guest.sh /home/me
run "ordinary user, nothing to be gained" --user 1000:1000 --cap-drop ALL --read-only --tmpfs /tmp \
    --security-opt no-new-privileges --pids-limit 300 sbx-test /guest.sh /home/me
exit $failed
