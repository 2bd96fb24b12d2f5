#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# clang-tidy-14 with the settings of .clang-tidy. The analyzer takes over nine tenths of its time
# (a second a file), so it looks at the files that changed only: against $SBX_BASE, else the merge
# base with origin/main, else the commit before. SBX_TIDY=all: at every file. All other groups look
# at every file. What passed once is not looked at again: stamps lie in build/tidy.
set -u
cd "$(dirname "$0")/../.."
db=build/release
most=60 # files for the analyzer; a change of more (a format, a rename) is for SBX_TIDY=all
if ! command -v clang-tidy-14 >/dev/null 2>&1; then
    echo "clang-tidy-14 is missing; ./dev lint installs it" >&2
    exit 1
fi
# The headers that the build makes are included too.
if [ ! -f $db/fence_sentry.h ]; then
    echo "$db is not built; ./dev lint builds it" >&2
    exit 1
fi
mkdir -p build/tidy
# clang before 16 takes -ftrivial-auto-var-init=zero (cmake/harden.cmake) with this only.
export CLANG_ZERO=-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
sources() { git ls-files '*.c' | grep -v -e '^platform/stub/' -e '^tests/'; }

# The commit that the work began from, or nothing (no history here).
base() {
    if [ -n "${SBX_BASE:-}" ]; then
        git rev-parse -q --verify "$SBX_BASE^{commit}"
        return
    fi
    commit=$(git merge-base origin/main HEAD 2>/dev/null)
    if [ -n "$commit" ] && [ "$commit" != "$(git rev-parse HEAD)" ]; then
        echo "$commit"
    else
        git rev-parse -q --verify 'HEAD~1^{commit}'
    fi
}

# What a file's verdict depends on: the settings, itself and the headers of ours that it includes.
stamp_of() {
    deps=$(gcc -std=gnu17 -D_GNU_SOURCE -I. -I$db -MM "$1" 2>/dev/null |
        tr -d '\\\n' | sed 's/^[^:]*://')
    # shellcheck disable=SC2086 # a list of words
    cat .clang-tidy "$1" $deps 2>/dev/null | sha256sum | cut -c1-24
}

# look NAME CHECKS: reads files, looks at those without a stamp of that name.
look() {
    while read -r f; do
        stamp=build/tidy/$1-$(stamp_of "$f")
        [ -f "$stamp" ] || echo "$f:$stamp"
    done | CHECKS=$2 DB=$db xargs -r -P "$(nproc)" -n 1 sh -c '
        f=${0%%:*}
        out=$(clang-tidy-14 -p "$DB" --extra-arg="$CLANG_ZERO" --checks="$CHECKS" --quiet "$f" 2>/dev/null)
        if [ $? -ne 0 ] || [ -n "$out" ]; then
            printf "%s: clang-tidy:\n%s\n" "$f" "$out" >&2
            exit 1
        fi
        : >"${0#*:}"'
}

failed=0
sources | look fast '-clang-analyzer-*' || failed=1

if [ "${SBX_TIDY:-}" = all ]; then
    files=$(sources)
elif from=$(base); then
    changed=$(git diff --name-only --diff-filter=d "$from" -- '*.c')
    files=$(sources | grep -Fx -e "$changed" || :)
    [ -n "$changed" ] || files=
    if [ "$(printf '%s\n' "$files" | wc -l)" -gt $most ]; then
        echo "more than $most files changed: the analyzer is left out; SBX_TIDY=all ./dev lint runs it"
        files=
    fi
else
    echo "no history to find what changed: the analyzer is left out; SBX_TIDY=all ./dev lint runs it"
    files=
fi
if [ -n "$files" ]; then
    printf '%s\n' "$files" | look analyzer '-bugprone-*,-misc-*' || failed=1
fi
[ "$failed" -ne 0 ] || echo "tidy"
exit $failed
