#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Redis: commands, scripts, its benchmark, a snapshot by fork, the rewritten log.
command -v redis-server >/dev/null || { echo "redis-server is missing"; exit 77; }
D=$(mktemp -d); cd $D
redis-server --port 16379 --dir $D --save "" --appendonly yes --daemonize yes --logfile $D/log >/dev/null
for i in $(seq 50); do redis-cli -p 16379 ping 2>/dev/null | grep -q PONG && break; sleep 0.1; done
redis-cli -p 16379 set a 1; redis-cli -p 16379 incr a; redis-cli -p 16379 eval 'return redis.call("get","a")' 0
redis-benchmark -p 16379 -n 5000 -c 20 -q -t set,get,lpush,mset >/dev/null 2>&1; echo bench $?
redis-cli -p 16379 bgsave; sleep 1; ls dump.rdb; redis-cli -p 16379 bgrewriteaof >/dev/null; sleep 1; redis-cli -p 16379 info persistence | grep -E "last_bgsave_status|last_bgrewrite_status"
redis-cli -p 16379 dbsize; redis-cli -p 16379 shutdown; sleep 0.3; grep -ciE "warning.*(fail|error)" log; rm -rf $D
