#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each header compiles alone, has #pragma once, and each file names its licence in the first line.
set -u
cd "$(dirname "$0")/../.."
failed=0
for h in $(git ls-files '*.h'); do
    case $h in
    platform/stub/*) continue ;; # freestanding, compiled by its own rules
    esac
    out=$(printf '#include "%s"\n' "$h" |
        gcc -std=gnu17 -D_GNU_SOURCE -I. -Itests/guest -Wall -Wextra -Wno-unused -fsyntax-only -x c - 2>&1) || {
        printf '%s does not compile alone:\n%s\n' "$h" "$out" | head -5 >&2
        failed=1
    }
    grep -q '^#pragma once' "$h" || { echo "$h: no #pragma once" >&2 && failed=1; }
done
for f in $(git ls-files '*.c' '*.h' '*.S' '*.def'); do
    head -1 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || {
        echo "$f: the first line does not name the licence" >&2
        failed=1
    }
done
[ "$failed" -ne 0 ] || echo "headers stand alone"
exit $failed
