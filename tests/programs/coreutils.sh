#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# coreutils, findutils, grep, sed, awk: files of all kinds, sorted output.
set -e
umask 022
mkdir -p a/b/c && cd a
seq 1 1000 >numbers && wc numbers && head -3 numbers && tail -n 2 numbers
sort -rn numbers | uniq | head -2
cp numbers b/copy && cmp numbers b/copy && echo same
mv b/copy b/c/moved && ls -R
ln numbers hard && ln -s numbers soft && stat -c '%n %h %s %F' hard soft
readlink soft && readlink -f soft | sed "s,$PWD,PWD,"
chmod 640 hard && stat -c '%a' numbers
touch -d '2001-02-03 04:05:06 UTC' old && stat -c '%Y' old && TZ=UTC ls -l --time-style=long-iso old | cut -d' ' -f1,2,5-
truncate -s 100K sparse && du --apparent-size -k sparse
dd if=/dev/zero of=zeros bs=4096 count=10 2>/dev/null && cksum zeros
md5sum numbers && sha256sum numbers | cut -c1-16 && base64 numbers | head -1
find . -type f -newer old -name 'n*' | sort
find . -size +50k -print0 | xargs -0 -n1 echo big | sort
grep -c 7 numbers; grep -rn '^99$' . | sort
sed -n '10,12{s/1/one/;p}' numbers
awk '{ s += $1 } END { print s }' numbers
tr 0-9 a-j <numbers | cut -c1 | sort | uniq -c | sort -rn | head -3
paste -d, numbers numbers | head -2; join numbers numbers | wc -l
split -l 300 numbers part. && ls part.* && cat part.* | cmp - numbers && echo joined
tee one two <old >/dev/null && test -e one -a -e two && echo tee
comm -12 numbers hard | wc -l; fold -w 20 numbers | head -2; nl numbers | tail -1; od -An -tx1 -N8 numbers
date -u -d @86400 +%F; expr 6 \* 7; factor 1234567; printf '%05d|%s\n' 42 x; env -i A=1 env
mkfifo pipe && (echo through >pipe &) && cat pipe
rm -rf ../a/b && ls; cd .. && rm -r a && ls -A | wc -l
timeout 0.1 sleep 5 || echo "timeout $?"
echo $(($(nice -n 5 nice) - $(nice))); id -u; uname -s; nproc >/dev/null && echo nproc; df / >/dev/null && echo df
sleep 0.01; true; false || echo false
