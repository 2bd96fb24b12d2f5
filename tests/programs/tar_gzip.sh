#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tar with links, modes, times and compression; what comes out is what went in.
set -e
umask 022
mkdir -p src/deep/er && seq 5000 >src/numbers && ln src/numbers src/hard && ln -s numbers src/soft
chmod 751 src/deep && echo x >src/deep/er/x && mkfifo src/fifo && touch -d @1000000000 src/deep/er/x
for z in '' z j J; do
    case $z in j) command -v bzip2 >/dev/null || continue ;; J) command -v xz >/dev/null || continue ;; esac
    tar --sort=name -c${z}f t.tar src && rm -rf out && mkdir out && tar -xf t.tar -C out
    diff -r --exclude=fifo src out/src && echo "same $z"
    stat -c '%a %h %F' out/src/* | sort
    stat -c %Y out/src/deep/er/x
done
tar -tf t.tar | sort
gzip -k src/numbers -c | gunzip | cksum
tar -cf - src | (mkdir piped && tar -xf - -C piped) && ls piped/src
