#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The sources are as clang-format-14 and .clang-format would have them (./dev fmt).
set -u
cd "$(dirname "$0")/../.."
if ! command -v clang-format-14 >/dev/null 2>&1; then
    echo "clang-format-14 is missing; ./dev lint installs it" >&2
    exit 1
fi
# A batch is written at once: the lines of two do not run into each other.
bad=$(git ls-files '*.c' '*.h' | xargs -P "$(nproc)" -n 16 sh -c '
    names=$(clang-format-14 --dry-run "$@" 2>&1 | sed -n "s/^\([^ :]*\.[ch]\):[0-9].*/\1/p" | uniq)
    [ -z "$names" ] || printf "%s\n" "$names"' sh | sort)
if [ -n "$bad" ]; then
    printf '%s\n' "$bad" | sed 's/$/: not formatted; run .\/dev fmt/' >&2
    exit 1
fi
echo "formatted"
