#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh PLAIN NAME: one fuzz target as a test: first what tests/fuzz/corpus/NAME holds (among it the
# input of each bug that was found), then ten seconds of changes to it. libFuzzer's build of the target
# is taken where the preset fuzz was built (./dev test does that where clang is); else PLAIN, which makes
# the same inputs each time and sees only what the preset that it is of would see.
set -u
cd "$(dirname "$0")/../.."
plain=$1 name=$2
fuzzer=build/fuzz/tests/fuzz-$name
corpus=tests/fuzz/corpus/$name

if [ ! -x "$fuzzer" ] || [ "${plain#"$PWD"/build/release/}" = "$plain" ]; then
    if [ ! -x "$fuzzer" ]; then
        echo "build/fuzz is not built (./dev fuzz, which needs clang-14): the plain runner alone"
    fi
    if [ -d "$corpus" ]; then
        find "$corpus" -type f -exec "$plain" {} + || exit 1
    fi
    exec "$plain" -n "${SBX_FUZZ_COUNT:-5000}"
fi
exec sh tests/fuzz/fuzz.sh "$name" "${SBX_FUZZ_SECONDS:-10}"
