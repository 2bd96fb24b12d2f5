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
starts sbx; all writes go to memory and are gone at the end, but where `--bind SRC:DST:rw` shares live.

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

# docs/security/host-calls.md: the tables of the fences, and of the stub's filter.
host_calls() {
    cat <<'EOF'
# Host calls of each process

Made from sentry/fence_table.h, gofer/fence_table.h, gofer/shared/fence_table.h, gofer/writer/fence_table.h,
broker/fence_table.h and platform/trap/filter.c by tests/checks/docs.sh
--write: change it there. A list that grows shows here, in the change that makes it grow. What a release
lets pass: a build with glibc, with a ring (SBX_RING) or with sanitizers has some more, which stand in the
same tables.

EOF
    for who in sentry gofer gofer/shared gofer/writer broker; do
        echo "## ${who##*/}: $(allowed $who | cut -f1 | sort -u | wc -l) calls"
        echo
        echo '| call | arguments | why |'
        echo '|---|---|---|'
        allowed $who | awk -F'\t' '{ print "| " $1 " | " $2 " | " $3 " |" }'
        echo
    done
    cat <<'EOF'
Any other call ends the process.

## stub

From the stub's own code these pass, with any arguments; a guest can call them so, too, in a process that
holds no descriptors, has an empty root and no capabilities:

EOF
    sed -n '/^} blob_calls\[\]/,/^};/s/^ *{ SYS_\([a-z0-9_]*\), "\(.*\)" },$/- \1: \2/p' platform/trap/filter.c
    cat <<'EOF'

With arguments that the filter looks at, from there: clone (threads of the nurse, the zygote's fork; all
other clones are the sentry's to judge), arch_prctl (segment bases), prctl (the parent's death signal,
the time stamp counter, speculation, names of memory), clock_gettime (the thread's own clock), seccomp (a filter with a listener of its own). From anywhere:
sched_yield; mmap of private anonymous memory, munmap, mprotect and madvise outside of the stub's slot,
futex, futex_waitv and their like without priority inheritance. Any other call is SIGSYS to the stub's code, and the sentry's to answer.

## Under the platform ptrace

The stub's calls are those from anywhere, and no others. The sentry has these more, only then:

| call | arguments | why |
|---|---|---|
EOF
    allowed sentry TRACER | awk -F'\t' '{ print "| " $1 " | " $2 " | " $3 " |" }'
}

# allowed WHO [KIND]: call, has its arguments looked at, why; of a release
allowed() {
    sed -n '/fence_rules\[\]/,/^};/p' "$1/fence_table.h" | tr '\n' ' ' | sed 's/  */ /g; s/\([A-Z_]*([a-z0-9_]*, "\)/\n\1/g' |
        sed -n "s/^${2:-ALLOW}\(_IF\)\{0,1\}(\([a-z0-9_]*\), \"\([^\"]*\)\".*/\2\t\1\t\3/p" |
        awk -F'\t' -v OFS='\t' '
            !($1 in why) { order[++n] = $1 }
            { why[$1] = why[$1] (why[$1] ? "; " : "") $3; if ($2) arg[$1] = "checked" }
            END { for (i = 1; i <= n; i++) print order[i], arg[order[i]] ? arg[order[i]] : "any", why[order[i]] }'
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
need more. The options are `--memory`, `--pids` (tasks), `--disk` (file-bytes), `--file-size`, `--output`,
`--cpu-time`; memory and cpus are held by a cgroup too where one can be made (cli/cgroup.h).

| name | default | beyond it | what is counted |
|---|---|---|---|
END
    tr '\n' ' ' <sentry/kernel/limits.def | sed 's/UNLIMITED/none/g; s/LIMIT(/\n&/g' |
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

# docs/COMPATIBILITY.md: what a build prints of the system calls (unit/syscalls/list compares it; without a
# build it stays as it is), and the rows of tests/programs/list.tsv.
COMPATIBILITY() {
    if [ -x build/release/sbx ]; then
        build/release/sbx syscalls --markdown
    else
        sed '/^## Programs/,$d' docs/COMPATIBILITY.md | sed '$d'
    fi
    cat <<'END'

## Programs

Each is run natively and inside, and does the same, by the test program/NAME of the last column (tests/programs/,
tests/programs/large/; from tests/programs/list.tsv by tests/checks/docs.sh --write).

| program | state | remarks | test |
|---|---|---|---|
END
    grep -v '^#' tests/programs/list.tsv | awk -F'\t' '{ print "| " $1 " | " $2 " | " $3 " | " $4 " |" }'
}

# A row says works, works but (what), or does not (why), and names its test; each large test has a row.
rows() {
    grep -v '^#' tests/programs/list.tsv | awk -F'\t' '
        NF != 4 { print "list.tsv: " $1 ": four columns, please" }
        $2 != "works" && !(($2 == "works but" || $2 == "does not") && $3) { print "list.tsv: " $1 ": " $2 " without what" }'
    grep -v '^#' tests/programs/list.tsv | cut -f4 | tr -d ',' | tr ' ' '\n' | sort -u | while read -r name; do
        set -- "tests/programs/$name".* "tests/programs/large/$name".*
        [ "$name" = - ] || [ -e "$1" ] || [ -e "$2" ] || echo "list.tsv: there is no test $name"
    done
    for f in tests/programs/large/*.sh tests/programs/large/*.py; do
        name=${f##*/}
        cut -f4 tests/programs/list.tsv | grep -qw -e "${name%.*}" || echo "list.tsv has no row for $f"
    done
}

# names ARRAY: its strings, as one paragraph of code words
names() {
    sed -n "/^const char \*const $1\[\]/,/^};/p" cli/visible.c | grep -v '^ */\*' | grep -o '"[^"]*"' |
        tr -d '"' | sed 's/.*/`&`/' | paste -sd ' ' | fold -s -w 96 | sed 's/ *$//'
}

# check FUNCTION [PAGE]
check() {
    page=${2:-$1}
    "$1" >"$new/$1.md"
    if [ "${write:-}" ]; then
        mkdir -p "$(dirname "docs/$page")"
        cp "$new/$1.md" "docs/$page.md"
    elif ! cmp -s "$new/$1.md" "docs/$page.md"; then
        echo "docs/$page.md is not what the sources say; run tests/checks/docs.sh --write" >&2
        failed=1
    fi
}

[ "${1:-}" != --write ] || write=yes
check locking
check visible
check limits
check host_calls security/host-calls
check COMPATIBILITY
if [ -n "$(rows)" ]; then
    rows >&2
    failed=1
fi

calls=$(allowed sentry | wc -l)
if [ "$calls" -ge 45 ] || [ "$calls" -lt 20 ]; then
    echo "the sentry may make $calls host calls; SECURITY.md promises fewer than 45" >&2
    failed=1
fi

# What SECURITY.md and its sections name is there: files by their path, tests by their name. A test's name
# is one that ctest knows, whose list every build makes.
list=$new/tests
for build in build/release build/*; do
    [ -f "$build/CTestTestfile.cmake" ] && ctest --test-dir "$build" -N 2>/dev/null | sed -n 's/^ *Test *#[0-9]*: //p' >"$list"
    [ ! -s "$list" ] || break
done
[ -s "$list" ] || echo "no build knows the tests: their names in docs/SECURITY.md are not looked at" >&2
kinds=$(cut -d/ -f1 "$list" 2>/dev/null | sort -u)
for page in docs/SECURITY.md docs/security/*.md; do
    grep -o '`[^` ]*/[^` ]*`' "$page" | tr -d '`' | sort -u | while read -r word; do
        case $word in
        /* | */ | *'*'* | *\<* | ~*) continue ;;
        *.[a-z] | *.sh | *.md | *.txt | *.cmake | *.py | *.def)
            [ -e "$word" ] || [ -e "docs/$word" ] || echo "$page: there is no file $word"
            continue
            ;;
        esac
        for kind in $kinds; do
            [ "${word%%/*}" = "$kind" ] || continue
            grep -qx -e "$word" "$list" || echo "$page: there is no test $word"
        done
    done
done >"$new/missing"
if [ -s "$new/missing" ]; then
    cat "$new/missing" >&2
    failed=1
fi

# Each promise says in its last column how its tests are seen to bite.
awk -F'|' '/^\| promise / { on = 1; next } on && !/^\|/ { on = 0 } on && !/^\|---/ && $(NF - 1) !~ /`|only the host|by hand|left out/ { print $2 }' \
    docs/SECURITY.md >"$new/toothless"
if [ -s "$new/toothless" ]; then
    echo "docs/SECURITY.md: nothing shows that the tests of these bite:" >&2
    cat "$new/toothless" >&2
    failed=1
fi

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
