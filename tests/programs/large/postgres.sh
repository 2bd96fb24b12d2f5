#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PostgreSQL: initdb, SQL, pgbench, and recovery after a kill; as a user that is not root.
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)
[ -x "$bin/initdb" ] || { echo "postgresql is missing"; exit 77; }
D=$(mktemp -d) && chmod 777 "$D"
export HOME=$D PGHOST=$D LC_ALL=C
trap 'kill -9 $(head -1 $D/db/postmaster.pid 2>/dev/null) 2>/dev/null; rm -rf "$D"' EXIT
run() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; else "$@"; fi
}
start() { run "$bin/pg_ctl" -w -t 60 -D "$D/db" -o "-k $D -h ''" -l "$D/$1" start >/dev/null 2>&1 || { cat "$D/$1"; exit 1; }; }
sql() { run "$bin/psql" -U pg -d postgres -Atc "$1"; }
run "$bin/initdb" -D "$D/db" -A trust -U pg >"$D/log" 2>&1 || { tail "$D/log"; exit 1; }
start one
sql "create table t(a int primary key, b text); insert into t select i, md5(i::text) from generate_series(1,20000) i"
sql "select count(*), md5(string_agg(b, ',' order by a)) from t"
run "$bin/pgbench" -U pg -i -q -s 1 postgres >/dev/null 2>&1
run "$bin/pgbench" -U pg -c 4 -j 2 -t 100 postgres 2>&1 | grep -E "actually|failed"
master=$(head -1 "$D/db/postmaster.pid")
kill -9 "$master"
while kill -0 "$master" 2>/dev/null || fuser -s "$D/db" 2>/dev/null; do sleep 0.1; done
sleep 1
start two
grep -o "automatic recovery in progress" "$D/two"
sql "select count(*) from t"
sql "select (select sum(tbalance) from pgbench_tellers) = (select sum(bbalance) from pgbench_branches)"
run "$bin/pg_ctl" -w -D "$D/db" stop -m fast >/dev/null
