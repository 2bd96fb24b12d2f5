#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# clang 14 has no warning where gcc has none: each file that the release build compiles, by the same
# command. It only looks; what is shipped is gcc's.
set -u
cd "$(dirname "$0")/../.."
db=build/release/compile_commands.json
if ! command -v clang-14 >/dev/null 2>&1; then
    echo "clang-14 is missing; ./dev lint installs it" >&2
    exit 1
fi
[ -f $db ] || {
    echo "build/release is not configured; ./dev lint does it" >&2
    exit 1
}
python3 - $db <<'END'
import concurrent.futures, json, os, shlex, subprocess, sys

def look(entry):
    args = shlex.split(entry["command"])
    at = args.index("-o")
    del args[at:at + 2]
    args[0] = "clang-14"
    # clang before 16 takes -ftrivial-auto-var-init=zero (cmake/harden.cmake) with this only.
    zero = "-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang"
    run = subprocess.run(args + ["-fsyntax-only", zero], cwd=entry["directory"], text=True,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return run.stderr if run.returncode or run.stderr else ""

entries = [e for e in json.load(open(sys.argv[1])) if e["file"].endswith(".c")]
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    found = [text for text in pool.map(look, entries) if text]
sys.stderr.write("".join(found))
if not found:
    print("no warning of clang 14 in %d files" % len(entries))
sys.exit(1 if found else 0)
END
