#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The pages that are made from the sources are what the sources say now. `docs.sh --write` makes them.
set -u
cd "$(dirname "$0")/../.."
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
failed=0

# docs/locking.md: the head comment of kernel.h, and the classes of lock.h with their comments.
locking() {
    cat <<'EOF'
# Locks of the sentry

Made from sentry/kernel/kernel.h and sentry/kernel/lock.h by tests/checks/docs.sh --write: change it
there.

EOF
    awk '/^ \* A thread takes locks/ { on = 1 } on && /^ \*   class/ { exit } on { sub(/^ \* ?/, ""); print }' \
        sentry/kernel/kernel.h
    echo '| class | lock | guards |'
    echo '|---|---|---|'
    awk '/^ \*   LOCK_/ {
        sub(/^ \*   /, "")
        class = $1
        rest = substr($0, length(class) + 1)
        sub(/^ +/, "", rest)
        n = match(rest, /  +/)
        if (n) print "| " class " | " substr(rest, 1, n - 1) " | " substr(rest, n + RLENGTH) " |"
        else print "| " class " | | " rest " |"
    }' sentry/kernel/kernel.h
    cat <<'EOF'

A lock that may be held over a trip to the gofer, host input or output, or a wait is a task lock
(struct tlock in sentry/kernel/wait.h): it is waited for as a record and never blocks a thread. All
others are `struct lock`; every build checks that the holder of a lock is the thread that says so,
and the presets debug, asan and tsan check the order as well.
EOF
}

# docs/visible.md: the tables of cli/visible.c.
visible() {
    cat <<'EOF'
# What a program sees

Made from cli/visible.c by tests/checks/docs.sh --write: change it there. An allow-list: what is not
here does not exist inside. Of the host's directories only what any user may read is shown, whoever
starts sbx; all writes go to memory and are gone at the end.

Without `--rootfs`:

| path | what | why |
|---|---|---|
EOF
    sed -n 's/^ *{ "\([^"]*\)", V_\([A-Z]*\), [0-9]*, "\([^"]*\)" },$/\1 \2 \3/p' cli/visible.c |
        while read -r path kind why; do
            case $kind in
            TREE) what="the host's" ;;
            NAMES) what="the host's, by name" ;;
            EMPTY) what="fresh, empty, writable" ;;
            *) what="fresh" ;;
            esac
            echo "| $path | $what | $why |"
        done
    cat <<'EOF'
| the caller's HOME | fresh, empty, writable | at the same path |
| the current directory | the host's, whole | unless it is HOME or /, or holds one of them |
| the script's directory | the host's, whole | the same; else the script's file alone |
| interpreters in a home | the host's, whole | see below |

A current directory beneath /proc, /sys or /dev is not shown: those are the sandbox's own.

## Files of /etc

EOF
    names visible_etc
    cat <<'EOF'

## What the host changes meanwhile

System trees (of which only what any user may read is shown) are taken not to change while a program
runs. Of all others, what the host makes, removes, replaces or writes is seen a tenth of a second
later at the latest; reads and maps of open files at once. A name that the program has changed itself
stays as the program left it.

## Interpreters that live in a home

A directory of the caller's PATH is recognised by what lies beside it, and that tree is shown:

| in PATH | sign | shown |
|---|---|---|
| .../shims or .../bin of pyenv | libexec/pyenv or bin/pyenv beside it | the pyenv tree |
| .../bin or .../condabin of conda | conda-meta beside it | that environment |
| .../bin of a virtual environment | pyvenv.cfg beside it | the environment, and its base interpreter when that is an entry of ~/.pyenv/versions or ~/.local/share/uv/python |
| .../versions/node/VERSION/bin of nvm | bin/node | that version |
| .../share/uv/python/VERSION/bin of uv | the path | that version |

Nothing is shown because a script, a link of it or a configuration file says so, and never a home,
what holds one, or a folder of credentials. A program that PATH leads to and no tree holds is shown
alone, through its links.

## Never shown, unless --bind names them

EOF
    names visible_credentials
    cat <<'EOF'

## Variables

PATH (less what cannot be seen), HOME, USER, LOGNAME, SHELL, PWD; VIRTUAL_ENV, CONDA_PREFIX,
PYENV_ROOT and PYENV_VERSION when they name a shown tree; what `--env` gives; and of the caller's:

EOF
    names visible_env
}

# docs/limits.md: sentry/kernel/limits.def, and what stands elsewhere.
limits() {
    cat <<'END'
# Limits

Made from sentry/kernel/limits.def by tests/checks/docs.sh --write: change it there. An ordinary
program meets none of them; what each holds against, and what only the host can stop, stands in
[security/limits-and-death.md](security/limits-and-death.md).

## Of the whole sandbox

RAM is the memory of the host. `SBX_LIMITS=inodes=20000,memory=1G,...` in the environment of `sbx`
changes single ones, by these names; `none` takes one away. Meant for tests, and for programs that
need more.

| name | default | beyond it | what is counted |
|---|---|---|---|
END
    tr '\n' ' ' <sentry/kernel/limits.def | sed 's/LIMIT(/\n&/g' |
        sed -n 's/^LIMIT(\([A-Z_]*\), "\([^"]*\)", \([^,]*\), "\([^"]*\)", *"\([^"]*\)") *$/| \2 | \3 | \4 | \5 |/p'
    echo
    cat <<'END'

Processes also end (EAGAIN) where the sentry's own descriptors would: each takes two, and all
together at most seven eighths of what the host lets a process have (RLIMIT_NOFILE). Files that need
a descriptor of the host's (large ones in memory, open ones of the host) take at most three quarters
(ENFILE).

## Of one process, as on Linux

A program can lower these, and raise what has a higher hard limit (setrlimit).

| limit | soft | hard | beyond it |
|---|---|---|---|
| RLIMIT_NPROC | `tasks` | `tasks` | EAGAIN; not for root inside, whom `tasks` stops |
| RLIMIT_NOFILE | 1024 | 1048576 | EMFILE |
| RLIMIT_SIGPENDING | `tasks` | `tasks` | EAGAIN: queued signals and POSIX timers of a user |
| RLIMIT_STACK | 8 MiB | none | SIGSEGV; and E2BIG for arguments over a quarter of it |
| RLIMIT_MEMLOCK | 8 MiB | 8 MiB | ENOMEM, EPERM |
| RLIMIT_CORE | 0 | none | no core files are written |
| all others | none | none | |

## Constants, as on Linux

| what | limit | beyond it |
|---|---|---|
| threads of a process | 4096 | EAGAIN |
| mappings of a process | the host's vm.max_map_count (65530) | ENOMEM |
| a path, a name in it, links in a walk | 4095, 255, 40 | ENAMETOOLONG, ENAMETOOLONG, ELOOP |
| arguments and environment, one string of it | 6 MiB, 128 KiB | E2BIG |
| a pipe | 64 KiB; 1 MiB by F_SETPIPE_SZ | EAGAIN, or it waits; EPERM |
| a socket's buffer | 208 KiB; 4 MiB by SO_SNDBUF | EAGAIN, or it waits |
| pseudo-terminals | 4096 | ENOSPC |
| inotify: instances of a user, watches of a user, events that wait | 128, 65536, 16384 | EMFILE, ENOSPC, IN_Q_OVERFLOW |
| cached names that nothing uses | 32768 | the oldest go |
END
}

# names ARRAY: its strings, as one paragraph of code words
names() {
    sed -n "/^const char \*const $1\[\]/,/^};/p" cli/visible.c | grep -v '^ */\*' | grep -o '"[^"]*"' |
        tr -d '"' | sed 's/.*/`&`/' | paste -sd ' ' | fold -s -w 96 | sed 's/ *$//'
}

check() {
    "$1" >"$new/$1.md"
    if [ "${write:-}" ]; then
        cp "$new/$1.md" "docs/$1.md"
    elif ! cmp -s "$new/$1.md" "docs/$1.md"; then
        echo "docs/$1.md is not what the sources say; run tests/checks/docs.sh --write" >&2
        failed=1
    fi
}

[ "${1:-}" != --write ] || write=yes
check locking
check visible
check limits

# The order in the table is the order in the enumeration, which is what is checked at run time.
table=$(awk '/^ \*   LOCK_/ { print $2 }' sentry/kernel/kernel.h)
enum=$(sed -n '/^enum lock_class/,/^};/p' sentry/kernel/lock.h | grep -o 'LOCK_[A-Z_]*' | grep -v LOCK_NONE)
if [ "$table" != "$enum" ]; then
    echo "the table of locks in kernel.h and enum lock_class in lock.h differ" >&2
    failed=1
fi

# Each option of the front end stands in the manual page.
for word in $(sed -n 's/^ *{ *"\([a-z-]*\)", .*T_[A-Z]*,.*/\1/p' cli/options.c); do
    grep -q -e "$(printf '%s' "--$word" | sed 's/-/\\\\-/g')" docs/sbx.1 || {
        echo "docs/sbx.1 does not tell of --$word" >&2
        failed=1
    }
done
[ "$failed" -ne 0 ] || echo "pages agree with the sources"
exit $failed
