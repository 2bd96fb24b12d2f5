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
settings=$(cat .clang-tidy $(git ls-files '*.h') | sha256sum | cut -c1-16)
todo=
for f in $(git ls-files '*.c'); do
    case $f in
    platform/stub/* | tests/*) continue ;;
    esac
    stamp=build/tidy/$settings-$(sha256sum <"$f" | cut -c1-16)
    [ -f "$stamp" ] || todo="$todo $f"
done
failed=0
# shellcheck disable=SC2086 # a list of words
for f in $todo; do echo "$f"; done | xargs -r -P "$(nproc)" -I{} sh -c '
    out=$(clang-tidy-14 -p '$db' --quiet {} 2>/dev/null)
    if [ -n "$out" ]; then printf "%s\n" "$out" >&2; exit 1; fi
    : >"build/tidy/'"$settings"'-$(sha256sum <{} | cut -c1-16)"' || failed=1
[ "$failed" -ne 0 ] || echo "tidy"
exit $failed
