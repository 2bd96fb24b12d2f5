#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# visible.sh SBX: what a program sees (docs/visible.md), told by a home of our own making.
set -u
sbx=$(realpath "$1")
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
chmod 755 "$top"
home=$top/home
mkdir -p "$home/.ssh" "$home/proj/sub" "$home/other" "$top/data"
echo secret >"$home/.ssh/id" && echo private >"$home/other/f" && echo mine >"$home/proj/f"
echo DATA >"$top/data/d" && echo 'cat "$@"' >"$home/tool.sh"
failed=0

# in DIR COMMAND...: sbx run there, with that home
in_dir() {
    dir=$1
    shift
    (cd "$dir" && env HOME="$home" SBX_NOTES=1 "$sbx" run --timeout=20 "$@" 2>&1 </dev/null)
}

# says WORDS WHERE COMMAND...: the output holds WORDS; quiet WORDS ...: it does not
says() {
    words=$1
    shift
    out=$(in_dir "$@")
    printf '%s\n' "$out" | grep -q -e "$words" || {
        printf 'FAILED: %s\n  wanted: %s\n  got: %s\n' "$*" "$words" "$out" && failed=1
    }
}
quiet() {
    words=$1
    shift
    out=$(in_dir "$@")
    ! printf '%s\n' "$out" | grep -q -e "$words" || {
        printf 'FAILED: %s\n  not wanted: %s\n  got: %s\n' "$*" "$words" "$out" && failed=1
    }
}

says mine "$home/proj" -- cat f
says mine "$home/proj/sub" -- sh -c 'cd .. && cat f || echo mine'
quiet private "$home/proj" -- sh -c "cat $home/other/f ../other/f; ls -R $home"
quiet secret "$home/.ssh" -- sh -c 'cat id; ls -la'
quiet secret "$home" -- sh -c 'cat .ssh/id; ls -la'
quiet private "$top" -- sh -c "cat home/other/f; ls"
quiet mine "$home" tool.sh proj/f
says 'is not visible; --bind' "$home/proj" -- cat "$home/other/f"
quiet root: "$home/proj" -- cat /etc/shadow
says root: "$home/proj" -- cat /etc/passwd
quiet DATA "$home/proj" -- cat "$top/data/d"
says DATA "$home/proj" --bind "$top/data" -- cat "$top/data/d"
says DATA "$home/proj" -v "$top/data/d:/x/y:ro" -- cat /x/y
says 'Read-only file system' "$home/proj" -v "$top/data:/data:ro" -- sh -c 'echo x >/data/d'
says 'new' "$home/proj" -v "$top/data:/data" -- sh -c 'echo new >/data/d; cat /data/d'
says 'changed inside only' "$home/proj" -- sh -c 'echo x >f; rm -r sub; mkdir g'
says '^0$' "$home/proj" --tmpfs /empty -- sh -c 'ls /empty | wc -l'
says '^/tmp$' "$home/proj" -w /tmp -- pwd
home=/tmp says '^drwxrwxrwt' "$top/data" -- ls -ld /tmp
home=/usr says '^bin$' "$top/data" -- ls /usr
says '^K=V$' "$home/proj" -e K=V -- env
HIDDEN=secret quiet secret "$home/proj" -- env
says '^host$' "$home/proj" --hostname host -- uname -n
says '^12 34$' "$home/proj" -u 12:34 -- sh -c 'echo $(id -u) $(id -g)'
[ "$(cat "$home/proj/f")" = mine ] && [ -d "$home/proj/sub" ] && [ ! -e "$home/proj/g" ] &&
    [ "$(cat "$top/data/d")" = DATA ] || { echo "FAILED: something reached the host" && failed=1; }

# Interpreters in a home, by the signs that docs/visible.md has: each is run, and what lies beside its
# tree is not shown.
fake() { # FILE WORDS
    mkdir -p "$(dirname "$1")" && printf '#!/bin/sh\necho %s "$@"\n' "$2" >"$1" && chmod +x "$1"
}
echo x >"$home/proj/p.py" && echo x >"$home/proj/p.js"
fake "$home/.pyenv/libexec/pyenv" pyenv && fake "$home/.pyenv/versions/9.9/bin/python3" 'pyenv 9.9'
mkdir "$home/.pyenv/shims" "$home/.pyenv/bin"
printf '#!/bin/sh\nexec "%s/.pyenv/versions/9.9/bin/python3" "$@"\n' "$home" >"$home/.pyenv/shims/python3"
chmod +x "$home/.pyenv/shims/python3"
PATH=$home/.pyenv/shims:/usr/bin:/bin says 'pyenv 9.9 p.py' "$home/proj" p.py
PATH=$home/.pyenv/shims:/usr/bin:/bin quiet private "$home/proj" -- sh -c "cat $home/other/f"
fake "$home/conda/envs/e/bin/python3" conda && mkdir "$home/conda/envs/e/conda-meta"
PATH=$home/conda/envs/e/bin:/usr/bin:/bin says 'conda p.py' "$home/proj" p.py
fake "$home/.nvm/versions/node/v9/bin/node" nvm
PATH=$home/.nvm/versions/node/v9/bin:/usr/bin:/bin says 'nvm p.js' "$home/proj" p.js
fake "$home/.local/share/uv/python/cpython-8/bin/python3" uv
PATH=$home/.local/share/uv/python/cpython-8/bin:/usr/bin:/bin says 'uv p.py' "$home/proj" p.py

# A virtual environment is shown when PATH leads to it, and only then; its
# link may choose an entry of a store, and nothing else.
store=$home/.local/share/uv/python/cpython-9
mkdir -p "$store/bin" "$home/env/bin" "$home/evil/bin"
printf '#!/bin/sh\necho base python "$@"\n' >"$store/bin/python3" && chmod +x "$store/bin/python3"
ln -s "$store/bin/python3" "$home/env/bin/python3" && touch "$home/env/pyvenv.cfg"
ln -s "$home/.ssh/id" "$home/evil/bin/python" && touch "$home/evil/pyvenv.cfg"
echo 'print(1)' >"$home/proj/s.py"
PATH=$home/env/bin:/usr/bin:/bin says 'base python s.py' "$home/proj" s.py
quiet 'base python' "$home/proj" -- "$home/env/bin/python3"
PATH=$home/evil/bin:/usr/bin:/bin quiet secret "$home/proj" -- cat "$home/.ssh/id"
printf '#!%s/env/bin/python3\n' "$home" >"$home/proj/by_line" && chmod +x "$home/proj/by_line"
quiet 'base python' "$home/proj" by_line
touch "$home/pyvenv.cfg" && mkdir "$home/bin"
PATH=$home/bin:/usr/bin:/bin quiet private "$home/proj" -- cat "$home/other/f"
[ "$failed" -ne 0 ] || echo "what is visible is as the table says"
exit $failed
