#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# changing.sh SBX: the host changes the directory that a program was started in, while it runs. What
# the program sees a moment later (names, kinds, sizes, contents, whether it is another file) is what
# it sees natively.
set -u
sbx=$(realpath "$1")
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
chmod 755 "$top"
cd "$top" || exit 1
cat >look.py <<'EOP'
import os, stat, sys
names = ["new", "sub", "sub/new", "sub/old", "old", "link", "deep/er/file", "late/a/b"]
held = open("sub/old")
before = {}
print("begun", flush=True)
for line in sys.stdin:
    print("==", line.strip())
    print(sorted(os.listdir(".")), [sorted(os.listdir(d)) for d in ("sub", "deep/er") if os.path.isdir(d)])
    for n in names:
        try:
            st = os.lstat(n)
        except OSError as e:
            print(n, e.strerror)
            before.pop(n, None)
            continue
        kind = stat.S_IFMT(st.st_mode)
        what = os.readlink(n) if kind == stat.S_IFLNK else open(n).read() if kind == stat.S_IFREG else ""
        print(n, oct(st.st_mode), st.st_size if what else "", repr(what),
              "another" if n == "sub/new" and before.get(n, st.st_ino) != st.st_ino else "")
        before[n] = st.st_ino
    print("held", os.fstat(held.fileno()).st_size, held.read(), flush=True)
EOP

# until_there FILE N PATTERN: it has so many such lines
until_there() {
    tries=0
    while [ "$(grep -c "$3" "$1")" -lt "$2" ] && [ "$tries" -lt 400 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
}

# host OUT: the steps; between them the program looks.
host() {
    step=0
    until_there "$1" 1 ^begun
    while [ "$step" -le 8 ]; do
        case $step in
        1) echo made >new && echo made >sub/new && mkdir -p late/a && echo x >late/a/b ;;
        2) echo longer >>old && echo other >old2 && mv old2 sub/new ;;
        3) rm new && rm -r deep && ln -sfn elsewhere link ;;
        4) mkdir new && mv sub away && mkdir sub && echo again >sub/new ;;
        5) rmdir new && ln -s old new && rm link && echo file >link ;;
        6) mkdir -p deep/er && echo back >deep/er/file && rm -r late ;;
        7) rm -r away && rm old && chmod 700 sub ;;
        8) : ;;
        esac
        sleep 0.4
        echo "step $step"
        step=$((step + 1))
        until_there "$1" "$step" ^held
    done
}

# look OUT RUN...: the program's output while the same is done to the same tree
look() {
    out=$top/$1
    shift
    : >"$out"
    rm -rf tree && mkdir -p tree/sub tree/deep/er && cp look.py tree/
    (
        cd tree && echo first >old && echo kept >sub/old && echo file >deep/er/file && ln -s old link
        host "$out" | "$@" python3 look.py >"$out" 2>&1
    )
}

look native env
look inside "$sbx" run
if ! diff native inside; then
    echo "FAILED: < natively, > inside"
    exit 1
fi
grep -c == inside
