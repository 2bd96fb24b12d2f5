#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tmux, driven by keys: what its screen shows.
command -v tmux >/dev/null || { echo "tmux is missing"; exit 77; }
D=$(mktemp -d); export TMUX_TMPDIR=$D TERM=xterm LC_ALL=C.UTF-8
tmux -f /dev/null new-session -d -x 80 -y 24 -s s 'bash --norc --noprofile' || exit 1
tmux send-keys -t s "PS1='$ '; clear; echo ab\$((1+2)); stty size" Enter; sleep 1; tmux capture-pane -p -t s | grep -v '^$' | grep -v clear
tmux resize-window -t s -x 60 -y 20; tmux send-keys -t s "stty size" Enter; sleep 0.5; tmux capture-pane -p -t s | grep -c "20 60"
tmux split-window -t s 'sleep 100'; tmux list-panes -t s | wc -l; tmux send-keys -t s.0 "sleep 50" Enter; sleep 0.3; tmux send-keys -t s.0 C-c; sleep 0.3; tmux send-keys -t s.0 'echo rc $?' Enter; sleep 0.5; tmux capture-pane -p -t s.0 | grep -c "rc 130"
tmux kill-server; rm -rf $D
