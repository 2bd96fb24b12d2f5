#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# No source over 500 lines without its reason: a line "Over 500 lines: ..." in the head comment.
set -u
cd "$(dirname "$0")/../.."
failed=0
for f in $(git ls-files '*.c' '*.h' '*.sh' '*.S'); do
    n=$(wc -l <"$f")
    [ "$n" -le 500 ] && continue
    head -40 "$f" | grep -qi 'over 500 lines:' && continue
    echo "$f: $n lines; divide it, or give the reason in its head (Over 500 lines: ...)" >&2
    failed=1
done
[ "$failed" -ne 0 ] || echo "lengths are kept"
exit $failed
