#!/bin/dash
# SPDX-License-Identifier: Apache-2.0
# dash: the shell that scripts of the system use.
f() { local x=$1; echo "f $x $#"; }
f a b; x=$(f c); echo "$x"
i=0; while [ $i -lt 300 ]; do /bin/true || exit 1; i=$((i + 1)); done; echo "$i processes"
case abc in a*) echo glob ;; esac
for f in /usr/bin/env /nonexistent; do test -x $f && echo "x $f"; done
(cd /usr && pwd); pwd | sed 's,.*/,,'
trap 'echo caught' TERM; kill $$; trap - TERM
echo data | { read -r a; echo "read $a"; }
sh -c 'exit 7'; echo $?; sh -c 'kill -9 $$'; echo $?
: > empty; [ -s empty ] || echo empty; umask; set -- 1 2 3; shift; echo "$*"
eval 'echo $((0x10))'; printf '%s\n' "${HOME##*/}"; wait; times >/dev/null; echo end
