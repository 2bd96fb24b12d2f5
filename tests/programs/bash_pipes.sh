#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bash: pipelines, jobs, traps, substitutions, arrays, here documents.
seq 100000 | grep 7 | sed 's/7/x/g' | sort -r | head -5 | cat -n
yes | head -3
false | true; echo "${PIPESTATUS[@]}"
set -o pipefail; false | true; echo $?; set +o pipefail
diff <(seq 5) <(seq 1 2 9); echo "diff $?"
cat <<< "here $(echo sub)"; cat << EOF
text $((6 * 7))
EOF
coproc CAT { cat; }; echo ping >&"${CAT[1]}"; read -r x <&"${CAT[0]}"; echo "coproc $x"; eval "exec ${CAT[1]}>&-"; wait; jobs > /dev/null
sleep 0.2 & p=$!; jobs | sed 's/[0-9]\{2,\}//'; wait $p; echo "waited $?"
(exit 3) & wait $!; echo "status $?"
trap 'echo usr1' USR1; kill -USR1 $$; trap - USR1
sleep 10 & kill -TERM $!; wait $!; echo "term $?"
(kill -KILL $BASHPID); echo "kill $?"
bash -c 'trap "echo bye" EXIT; exit 5'; echo $?
for i in {1..5}; do (echo "$i"; sleep 0.0$((5 - i))) & done | sort; wait
a=(one two three); echo "${a[@]:1}" "${#a[@]}" "${a[0]^^}"
declare -A m=([k]=v); echo "${m[k]}"; printf '%q\n' 'a b'
set -m; sleep 50 & kill -STOP %1; until jobs -s | grep -q Stopped; do sleep 0.02; done; jobs -s | grep -c Stopped; kill -CONT %1; kill %1; wait %1 2>/dev/null; echo "job $?"
ulimit -n 64; ulimit -n; exec 9> f9; echo nine >&9; exec 9>&-; cat f9
read -r -t 0.05 y < <(sleep 1; echo late); echo "read $?"
time -p true 2>/dev/null; echo $SECONDS | grep -c '^[0-9]*$'
type -t cd ls if; command -v bash >/dev/null && echo found
i=0; while read -r l; do ((i += l)); done < <(seq 100); echo $i
bash -c 'echo $0 $1' zero one; echo "$-" | grep -c B; [[ abc =~ b(.) ]] && echo "${BASH_REMATCH[1]}"
nosuchcommand 2>/dev/null; echo "missing $?"; ./f9 2>/dev/null; echo "noexec $?"
