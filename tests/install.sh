#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install.sh BUILD: cmake --install brings what it should, again over itself, and not over others.
set -u
build=$1
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
failed=0
must() { "$@" >/dev/null 2>&1 || { echo "FAILED: $*" && failed=1; }; }
must cmake --install "$build" --prefix "$top"
must "$top/bin/sbx" --version
must grep -q 'TH SBX' "$top/share/man/man1/sbx.1"
must bash -n "$top/share/bash-completion/completions/sbx"
must test -f "$top/share/zsh/site-functions/_sbx" -a -f "$top/share/fish/vendor_completions.d/sbx.fish"
must cmake --install "$build" --prefix "$top"
printf '#!/bin/sh\necho other\n' >"$top/bin/sbx"
if cmake --install "$build" --prefix "$top" >/dev/null 2>&1; then
    echo "FAILED: another program was overwritten"
    failed=1
fi
must grep -q other "$top/bin/sbx"
exit $failed
