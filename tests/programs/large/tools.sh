#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tools of every day: ripgrep, fd, jq, rsync, busybox, vi, valgrind, xz, zip, Lua.
command -v rg >/dev/null || { echo "rg is missing"; exit 77; }
command -v fdfind >/dev/null || { echo "fdfind is missing"; exit 77; }
command -v jq >/dev/null || { echo "jq is missing"; exit 77; }
command -v rsync >/dev/null || { echo "rsync is missing"; exit 77; }
command -v busybox >/dev/null || { echo "busybox is missing"; exit 77; }
command -v vim.tiny >/dev/null || { echo "vim.tiny is missing"; exit 77; }
command -v valgrind >/dev/null || { echo "valgrind is missing"; exit 77; }
command -v lua5.4 >/dev/null || { echo "lua5.4 is missing"; exit 77; }
command -v zip >/dev/null || { echo "zip is missing"; exit 77; }
command -v unzip >/dev/null || { echo "unzip is missing"; exit 77; }
D=$(mktemp -d); cd $D; mkdir -p a/b; for i in $(seq 200); do echo "line $i foo$((i%7))" > a/b/f$i; done
rg -c foo3 a | sort | md5sum; rg --files a | wc -l; fdfind f1 a | wc -l; jq -n '[range(5)]|add'; echo '{"a":[1,{"b":2}]}' | jq -c '.a[1].b'
rsync -a a/ c/; diff -r a c && echo same; rm c/b/f1; echo new > c/b/new; rsync -a --delete --out-format=%n a/ c/ | sort
busybox ls a | wc -l; busybox sh -c 'for i in 1 2 3; do echo $i; done | busybox sort -r'; busybox tar cf - a | busybox tar tf - | wc -l; busybox seq 3 | busybox xargs -n1 echo
valgrind -q --error-exitcode=9 /bin/echo vg 2>&1; cat > l.c <<C
#include <stdlib.h>
int main(void){ char *p = malloc(10); p[10] = 1; return 0; }
C
gcc -g l.c -o l && valgrind --error-exitcode=9 ./l 2>&1 | grep -c "Invalid write"; 
cd / && rm -rf $D
lua5.4 -e 'print(_VERSION, 2^10); local f=io.popen("echo x"); print(f:read("a")); print(os.tmpname() ~= nil); for w in ("a b c"):gmatch("%a") do io.write(w) end print() print(os.execute("exit 3"))'
