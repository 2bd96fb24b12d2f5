#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What is left of a sandbox one of whose processes is killed: nothing, within two seconds. (The front
# end, the gofer, the sentry, the zygote; a stub that dies is a process inside that was killed.)
# usage: left.sh SBX
sbx=$1
top=$(mktemp -d) || exit 1
trap 'rm -rf "$top"' EXIT
failed=0

family() { # of $1: it and all below it
    echo "$1"
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
        family "$child"
    done
}

living() { # those of "$@" that are no zombies
    for p in "$@"; do
        state=$(sed 's/.*) \(.\).*/\1/' "/proc/$p/stat" 2>/dev/null) || continue
        case $state in '' | Z | X) ;; *) echo "$p" ;; esac
    done
}

try() { # $1: name; $2: which of the children of which process, as a shell expression
    "$sbx" run /bin/sh -c 'echo up; sleep 100 & while :; do /bin/true; done' >"$top/out" 2>/dev/null &
    front=$!
    i=0
    until [ -s "$top/out" ] || [ $i -ge 100 ]; do
        sleep 0.05
        i=$((i + 1))
    done
    # shellcheck disable=SC2046 # lists of numbers
    set -- "$1" "$2" $(cat /proc/$front/task/$front/children)
    sentry=$3 gofer=$4 # in the order in which they were made
    zygote=$(cat /proc/"$sentry"/task/*/children | cut -d' ' -f1)
    eval "victim=$2"
    all=$(family $front)
    [ "$victim" -gt 1 ] && kill -KILL "$victim"
    i=0
    # shellcheck disable=SC2086
    while left=$(living $all) && [ -n "$left" ] && [ $i -lt 40 ]; do
        sleep 0.05
        i=$((i + 1))
    done
    if [ -n "$left" ]; then
        echo "after the end of the $1 ($victim): $(echo $left) of $(echo $all) are left"
        failed=$((failed + 1))
        for p in $left; do
            [ "$p" -gt 1 ] && kill -KILL "$p" 2>/dev/null
        done
    fi
    wait $front 2>/dev/null
    : >"$top/out"
}

if [ -z "$(cat /proc/$$/task/$$/children)" ]; then
    echo "no lists of children in /proc here"
    exit 0
fi
# shellcheck disable=SC2016 # expanded in try
try 'front end' '$front'
try gofer '$gofer'
try sentry '$sentry'
try zygote '$zygote'
[ $failed -eq 0 ]
