#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# coverage.sh BUILD: adds up the counters of BUILD/profile and prints, for each file of sentry/ and gofer/,
# how many of its lines ran, the worst first; then the sums. A page for each is made in BUILD/html.
set -eu
build=$1
sources=$(pwd)
cd "$build"
find profile -name '*.profraw' -size +0 >profile/list
# A program that was killed as it made its file leaves one that cannot be read.
llvm-profdata-14 merge --failure-mode=all -f profile/list -o profile/all.profdata 2>profile/errors ||
    { tail -3 profile/errors && exit 1; }
objects=$(find tests -maxdepth 1 -name 'unit-*' -type f -perm -u+x | sed 's/^/-object /')
# shellcheck disable=SC2086 # a list of words
llvm-cov-14 export sbx $objects -summary-only -instr-profile profile/all.profdata \
    "$sources/sentry" "$sources/gofer" >profile/all.json 2>>profile/errors
llvm-cov-14 show sbx -format=html -output-dir html -instr-profile profile/all.profdata \
    "$sources/sentry" "$sources/gofer" >/dev/null 2>>profile/errors || true
python3 - "$sources" <<'END'
import json
import sys

with open("profile/all.json") as f:
    files = json.load(f)["data"][0]["files"]
rows, sums = [], {}
for file in files:
    name, lines = file["filename"][len(sys.argv[1]) + 1:], file["summary"]["lines"]
    rows.append((lines["covered"] / max(1, lines["count"]), name, lines))
    for part in (name.split("/")[0], "total"):
        had = sums.setdefault(part, [0, 0])
        had[0] += lines["covered"]
        had[1] += lines["count"]
for share, name, lines in sorted(rows):
    print(f"{100 * share:5.1f} %  {lines['covered']:5} of {lines['count']:5}  {name}")
for part, (covered, count) in sums.items():
    print(f"{100 * covered / max(1, count):5.1f} % of the {count} lines of {part}")
END
