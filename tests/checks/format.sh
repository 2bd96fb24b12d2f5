#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The sources are as clang-format-14 and .clang-format would have them (./dev fmt).
set -u
cd "$(dirname "$0")/../.."
if ! command -v clang-format-14 >/dev/null 2>&1; then
    echo "clang-format-14 is missing; ./dev lint installs it" >&2
    exit 1
fi
bad=$(git ls-files '*.c' '*.h' | xargs -P "$(nproc)" -n 1 sh -c \
    'clang-format-14 --dry-run -Werror "$0" >/dev/null 2>&1 || echo "$0"' | sort)
if [ -n "$bad" ]; then
    printf '%s\n' "$bad" | sed 's/$/: not formatted; run .\/dev fmt/' >&2
    exit 1
fi
echo "formatted"
