#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What ps, free, uptime and others read: shapes, not values.
command -v ps >/dev/null || { echo "ps is missing"; exit 77; }
sleep 10 & p=$!
until [ "$(cat /proc/$p/comm)" = sleep ]; do :; done # the fork is not yet the sleep
ps -o comm= -p $p; ps -e >/dev/null && echo ps; ps -o stat= -p $p | cut -c1; kill $p; wait $p 2>/dev/null
free >/dev/null && echo free; uptime >/dev/null && echo uptime; vmstat >/dev/null 2>&1 && echo vmstat
grep -c '^processor' /proc/cpuinfo | grep -c '^[1-9]'; head -1 /proc/meminfo | cut -d: -f1
cat /proc/self/cmdline | tr '\0' ' '; echo; ls -l /proc/self/fd >/dev/null && echo fd; readlink /proc/self/exe
awk '/^Name|^State|^Threads/ { print $1, $2 }' /proc/self/status; cat /proc/self/maps | wc -l | grep -c '^[1-9]'
cut -d' ' -f2 /proc/self/stat; cat /proc/sys/kernel/ostype; test -e /proc/self/mountinfo && echo mountinfo
ls /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx; echo x >/dev/full || echo full
head -c4 /dev/zero | od -An -tx1; head -c16 /dev/urandom | wc -c; top -b -n1 >/dev/null 2>&1 && echo top
ls -d /sys/devices/system/cpu/cpu0 && cat /sys/devices/system/cpu/online | grep -c '^0'; df -h . >/dev/null && echo df; mount >/dev/null && echo mount
