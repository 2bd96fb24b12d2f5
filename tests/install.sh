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
printf 'memory = "1G"\nhostname = "installed"\n' >"$top/p.toml"
# profile SBX: it finds what reads profiles, where it was installed
profile() { [ "$("$1" run --profile "$top/p.toml" -- hostname 2>&1)" = installed ]; }
must profile "$top/bin/sbx"
[ "$(find "$top/bin" -type f | wc -l)" -eq 1 ] || { echo "FAILED: more than one program" && failed=1; }
if command -v readelf >/dev/null && ! grep -q '^SBX_SANITIZE:[A-Z]*=..*' "$build/CMakeCache.txt"; then
    must sh -c "readelf -h '$top/bin/sbx' | grep -q 'DYN'"
    if readelf -l "$top/bin/sbx" | grep -q INTERP; then
        echo "FAILED: sbx is not static"
        failed=1
    fi
fi
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
if command -v dpkg-deb >/dev/null; then
    must cpack --config "$build/CPackConfig.cmake" -G DEB -B "$top/deb"
    must sh -c "dpkg-deb -c '$top'/deb/sbx-sandbox_*.deb | grep -q ' ./usr/bin/sbx$'"
    must sh -c "dpkg-deb -I '$top'/deb/sbx-sandbox_*.deb | grep -q 'Conflicts: sbx$'"
    must sh -c "dpkg-deb -x '$top'/deb/sbx-sandbox_*.deb '$top/unpacked'"
    must profile "$top/unpacked/usr/bin/sbx"
    rm -r "$top/unpacked/usr/libexec"
    if profile "$top/unpacked/usr/bin/sbx"; then
        echo "FAILED: a profile was read by something else"
        failed=1
    fi
else
    echo "left out: the package, as dpkg-deb is not here"
fi
exit $failed
