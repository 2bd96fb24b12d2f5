#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fuzz.sh NAME SECONDS [KEEP]: libFuzzer's build of one target (preset fuzz), from the corpus of the
# tree and from what lies in KEEP, where new inputs are put; without KEEP they are forgotten. What ends
# it is left in build/fuzz as NAME-crash-..., NAME-leak-... or NAME-timeout-...
set -u
cd "$(dirname "$0")/../.."
name=$1 seconds=$2 keep=${3:-}
if [ -z "$keep" ]; then
    keep=$(mktemp -d)
    trap 'rm -rf "$keep"' EXIT
fi
mkdir -p "$keep" "tests/fuzz/corpus/$name"
mask=0 rss=3072 # of these two not the errors that they print by the thousand, and no second thread:
# they change the environment, which the sanitizer of a thread that starts just then reads
case $name in options | program) mask=2 rss=0 ;; esac
longest=2048
case $name in image) longest=12288 ;; esac # of blocks of 4 KiB
fixed=          # shadow memory and addresses of much entropy do not always go together
setarch -R true 2>/dev/null && fixed='setarch -R'
$fixed build/fuzz/tests/fuzz-"$name" -max_total_time="$seconds" -max_len=$longest -timeout=30 \
    -rss_limit_mb=$rss -close_fd_mask=$mask -artifact_prefix="build/fuzz/$name-" \
    "$keep" "tests/fuzz/corpus/$name" >build/fuzz/"$name".log 2>&1
status=$?
if [ $status -ne 0 ]; then
    cat build/fuzz/"$name".log
    echo "$name: ended with $status; run it alone: build/fuzz/tests/fuzz-$name FILE"
else
    grep -a -e '^#.*DONE' -e '^Done' build/fuzz/"$name".log
fi
exit $status
