#!/bin/bash
# The longest words of this machine's dictionary of commands, by a pipeline of seven processes.
set -eu
ls /usr/bin | tr -c 'a-z\n' ' ' | tr ' ' '\n' | sort -u | awk '{ print length, $0 }' | sort -rn | head -5
echo "kernel: $(uname -s) on $(uname -n), process $$"
