#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The inside tests on Debian's own 6.1 kernel, which lacks what the platform prefers (synchronous
# wake-ups, mseal, the end of a listener told by RECV): a virtual machine in software emulation, its
# root an initramfs with sbx, the guest tests and busybox. Usage: debian-6.1.sh [BUILD] [TEST...]
# Exit 77 with a reason when qemu, the kernel's package or cpio cannot be had.
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build/release}
[ $# -eq 0 ] || shift
skip() { echo "SKIP: $1" && exit 77; }
command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86 is not installed"
command -v cpio >/dev/null || skip "cpio is not installed"
[ -x /bin/busybox ] || [ -x /usr/bin/busybox ] || skip "busybox-static is not installed"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
pkg=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-6\.1[^ ]*\)/\1/p' | head -n 1)
[ -n "$pkg" ] || skip "Debian's 6.1 kernel is not among this machine's packages"
(cd "$tmp" && apt-get download "$pkg" >/dev/null 2>&1) || skip "$pkg cannot be downloaded"
dpkg-deb --fsys-tarfile "$tmp"/linux-image-*.deb | tar -x -C "$tmp" --wildcards './boot/vmlinuz-*'

root=$tmp/root
mkdir -p "$root/bin" "$root/usr/bin" "$root/usr/lib" "$root/etc" "$root/proc" "$root/sys" \
    "$root/dev" "$root/tmp" "$root/guest" "$root/root"
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$build/sbx" "$root/usr/bin/sbx"
if [ $# -gt 0 ]; then for t in "$@"; do cp "$build/guest/$t" "$root/guest/"; done
else cp "$build"/guest/* "$root/guest/"; fi
strip "$root"/guest/* "$root/usr/bin/sbx"
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin HOME=/root
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp; mkdir -p /dev/shm; ip link set lo up
echo root:x:0:0:root:/root:/bin/sh > /etc/passwd
uname -r
pass=0; fail=0; skipped=0
cd /guest
for t in *; do
    timeout -s KILL 240 sbx run --timeout=200 ./$t > /tmp/out 2>&1 < /dev/null
    case $? in
    0) pass=$((pass + 1)) ;;
    77) skipped=$((skipped + 1)); echo "skipped $t: $(tail -n 1 /tmp/out)" ;;
    *) fail=$((fail + 1)); echo "FAILED $t"; tail -n 6 /tmp/out ;;
    esac
done
echo "vm: $pass passed, $fail failed, $skipped skipped"
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$tmp/initrd"
timeout -s KILL 1500 qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 1024 -nographic -no-reboot \
    -kernel "$tmp"/boot/vmlinuz-* -initrd "$tmp/initrd" \
    -append "console=ttyS0 quiet panic=-1" </dev/null | tr -d '\r' | tee "$tmp/log" |
    grep -v -e '^\[' -e SeaBIOS || true
grep -q '^vm: [1-9][0-9]* passed, 0 failed' "$tmp/log"
