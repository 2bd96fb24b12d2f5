#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# clang-tidy-14 with the settings of .clang-tidy. A file whose contents (and whose settings) passed
# once is not looked at again: stamps lie in build/tidy.
set -u
cd "$(dirname "$0")/../.."
db=build/release
if ! command -v clang-tidy-14 >/dev/null 2>&1; then
    echo "clang-tidy-14 is missing; ./dev lint installs it" >&2
    exit 1
fi
[ -f $db/compile_commands.json ] || cmake --preset release >/dev/null || exit 1
mkdir -p build/tidy

# What a file's verdict depends on: the settings, itself and the headers of ours that it includes.
stamp_of() {
    deps=$(gcc -std=gnu17 -D_GNU_SOURCE -I. -Ibuild/release -MM "$1" 2>/dev/null |
        tr -d '\\\n' | sed 's/^[^:]*://')
    # shellcheck disable=SC2086 # a list of words
    cat .clang-tidy "$1" $deps 2>/dev/null | sha256sum | cut -c1-24
}
todo=
for f in $(git ls-files '*.c'); do
    case $f in
    platform/stub/* | tests/*) continue ;;
    esac
    stamp=build/tidy/$(stamp_of "$f")
    [ -f "$stamp" ] || todo="$todo $f:$stamp"
done
failed=0
# shellcheck disable=SC2086 # a list of words
for f in $todo; do echo "$f"; done | xargs -r -P "$(nproc)" -n 1 sh -c '
    f=${0%%:*}
    out=$(clang-tidy-14 -p '$db' --quiet "$f" 2>/dev/null)
    if [ -n "$out" ]; then printf "%s\n" "$out" >&2; exit 1; fi
    : >"${0#*:}"' || failed=1
[ "$failed" -ne 0 ] || echo "tidy"
exit $failed
