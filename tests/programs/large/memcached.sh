#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# memcached, asked through the shell.
command -v memcached >/dev/null || { echo "memcached is missing"; exit 77; }
memcached -u nobody -l 127.0.0.1 -p 11299 & P=$!
sleep 0.5
exec 3<>/dev/tcp/127.0.0.1/11299
printf 'set k 0 0 5\r\nhello\r\nget k\r\nincr k 1\r\nversion\r\nquit\r\n' >&3; cat <&3 | tr -d '\r' | head -4
kill $P; wait $P; echo $?
