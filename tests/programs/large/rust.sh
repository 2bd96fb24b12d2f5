#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rust: cargo takes a crate's many dependencies from an index on the loopback, builds all and runs its tests.
[ -s "$FETCHED/sysroot" ] || { echo "nothing was fetched"; exit 77; }
PATH=$(cat "$FETCHED/sysroot")/bin:$PATH
export CARGO_HOME=$PWD/home CARGO_NET_RETRY=0 CARGO_TERM_QUIET=true RUST_BACKTRACE=0
mkdir home && cat >home/config.toml <<'E'
[source.crates-io]
replace-with = "here"
[source.here]
registry = "sparse+http://127.0.0.1:18180/"
E
python3 -m http.server 18180 --bind 127.0.0.1 --directory "$FETCHED/registry" >/dev/null 2>&1 & W=$!
trap 'kill $W' EXIT
for _ in $(seq 50); do (: </dev/tcp/127.0.0.1/18180) 2>/dev/null && break; sleep 0.1; done
cp -r "$FETCHED/crate" c && cd c && rm -f Cargo.lock
cargo build 2>&1 || exit 1
cargo tree --prefix none --no-dedupe 2>/dev/null | cut -d' ' -f1,2 | sort -u | wc -l; target/debug/many; echo "status $?"
CARGO_TERM_QUIET=false cargo test 2>&1 | grep -E "^test " | sed 's/; finished in.*//' | sort; echo "tests ${PIPESTATUS[0]}"
cargo build 2>&1; touch src/main.rs; cargo run; echo "status $?"; echo 'fn x( {' >>src/lib.rs; cargo build >/dev/null 2>&1; echo "broken $?"
cd .. && cargo new --vcs none fresh 2>/dev/null && cd fresh && cargo add itoa 2>/dev/null; cargo run
