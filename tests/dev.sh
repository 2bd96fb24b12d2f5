#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# dev.sh: what ./dev says where packages are missing: to an ordinary user the one line that installs
# them, on another system their names; and nothing to do is nothing done.
set -u
cd "$(dirname "$0")/.." || exit 1
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
chmod 755 "$top"
cp dev "$top/dev"
mkdir "$top/bin"
for tool in sh tr dirname id sed nproc; do ln -s "$(command -v $tool)" "$top/bin/$tool"; done
failed=0
as=
[ "$(id -u)" -ne 0 ] || as="setpriv --reuid 54321 --regid 54321 --clear-groups"

# shellcheck disable=SC2086 # words of a command
dev() {
    $as env -i PATH="$top/bin" "$top/dev" deps >"$top/out" 2>"$top/err"
    status=$?
}
wrong() {
    echo "FAILED: $1 (status $status)"
    cat "$top/out" "$top/err"
    failed=1
}

dev
[ "$status" -eq 1 ] && [ ! -s "$top/out" ] && grep -q 'Debian names: gcc cmake ninja-build ' "$top/err" ||
    wrong "without apt-get the names are told"
printf '#!/bin/sh\necho "apt-get was run" >&2\n' >"$top/bin/apt-get" && chmod +x "$top/bin/apt-get"
dev
[ "$status" -eq 1 ] && [ "$(grep -c sudo "$top/err")" -eq 1 ] &&
    grep -q '^sudo apt-get install -y --no-install-recommends gcc cmake ninja-build ' "$top/err" ||
    wrong "an ordinary user is told the line to type"
! grep -q 'was run' "$top/err" || wrong "an ordinary user's apt-get is not run"
# shellcheck disable=SC2046
for sign in $(sed -n "/^needs=/,/^lint_needs/s/^\([a-z][a-z0-9.]*\) [a-z0-9-]*'*\$/\1/p" dev) gcc; do
    ln -sf /bin/true "$top/bin/$sign"
done
dev
[ "$status" -eq 0 ] && ! grep -q 'was run' "$top/err" && grep -q 'everything is there' "$top/out" ||
    wrong "where all is there nothing is done"
exit $failed
