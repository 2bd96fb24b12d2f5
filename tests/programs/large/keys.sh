#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# vim, less and htop, driven by keys in a terminal of tmux's: what the screen shows, and what they did.
for need in tmux vim.basic less htop; do
    command -v $need >/dev/null || { echo "$need is missing"; exit 77; }
done
D=$(mktemp -d); export TMUX_TMPDIR=$D TERM=xterm LC_ALL=C.UTF-8
trap 'tmux kill-server 2>/dev/null; rm -rf "$D"' EXIT
keys() { for k in "$@"; do tmux send-keys -t s "$k"; sleep 0.2; done; }
screen() { tmux capture-pane -p -t s | grep -v '^ *$'; }
await() { for _ in $(seq 100); do screen | grep -q -e "$1" && return; sleep 0.1; done; echo "no '$1' on the screen:"; screen; }
tmux -f /dev/null new-session -d -x 100 -y 24 -s s 'exec bash --norc --noprofile' || exit 1
keys "PS1='\$ '; clear" Enter; seq 500 >n
keys 'vim.basic -u NONE -N n' Enter; await '^1$'; keys 250G dd G o last Escape gg '/^77$' Enter 'cwseventy' Escape ':%s/^4\(.\)$/four\1/' Enter; await '^four9'
keys ':split' Enter ':terminal echo in a terminal' Enter; await 'in a terminal'; keys ':q!' Enter; keys ':!echo shelled $((40+2))' Enter; await 'shelled 42'; keys Enter ':wqa!' Enter; await '^\$ *$'
wc -l n; grep -nE "seventy|four|last|^250" n | head -20
keys clear Enter 'less n' Enter; await '^20$'; keys 'G'; await '^last'; keys '/^300$' Enter; await '^301$'; screen | head -3; keys '50%'; sleep 0.3; screen | head -1; keys '&9' Enter; sleep 0.3; screen | head -2; keys '!echo from less' Enter; await 'from less'; keys Enter q
tmux resize-window -t s -x 80 -y 20; keys clear Enter 'less n' Enter; await '^19$'; keys F; sleep 0.5; echo appended >>n; await '^appended'; keys C-c q
sleep 4321 & P=$!
tmux resize-window -t s -x 140 -y 30; keys clear Enter 'htop -d 5' Enter; await 'Tasks:'; screen | grep -cE "Mem\[|Load average|Uptime"; keys F4 'sleep 4321' Enter; await '  sleep 4321'
keys F9; await 'SIGTERM'; keys Enter; wait $P; echo "killed $?"; keys F5; sleep 0.5; screen | grep -cE "[├└]─"; keys q; await '^\$ *$'
keys 'stty -a | grep -o "[-]*echo "; exit' Enter; sleep 0.3; tmux ls 2>&1 | grep -c windows
