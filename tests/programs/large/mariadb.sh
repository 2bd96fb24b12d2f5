#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# MariaDB: a new database, SQL, transactions, clients side by side, and recovery after a kill.
command -v /usr/sbin/mariadbd >/dev/null || { echo "mariadbd is missing"; exit 77; }
command -v mariadb-install-db >/dev/null || { echo "mariadb-install-db is missing"; exit 77; }
D=$(mktemp -d) && chmod 755 "$D"
P=
trap '[ -z "$P" ] || kill -9 $P 2>/dev/null; rm -rf "$D"' EXIT
me=$(id -un)
mariadb-install-db --no-defaults --user="$me" --datadir="$D/db" --auth-root-authentication-method=normal \
    --skip-test-db --force >"$D/log" 2>&1 || { tail "$D/log"; exit 1; }
sql() { mariadb --no-defaults -u root -S "$D/s" -N -B "${2:-w}" -e "$1" 2>&1; }
start() {
    /usr/sbin/mariadbd --no-defaults --user="$me" --datadir="$D/db" --socket="$D/s" --pid-file="$D/pid" \
        --bind-address=127.0.0.1 --port=13306 --innodb-buffer-pool-size=32M --innodb-flush-log-at-trx-commit=1 \
        --log-error="$D/$1" &
    P=$!
    for _ in $(seq 300); do mariadb-admin --no-defaults -u root -S "$D/s" ping >/dev/null 2>&1 && return; sleep 0.1; done
    tail "$D/$1"
    exit 1
}
start one.err
sql "create database w" mysql
sql "create table t(a int primary key, b varchar(40), key(b)) engine=innodb;
     insert into t select seq, md5(seq) from seq_1_to_20000;
     select count(*), md5(group_concat(b order by a)) from (select * from t order by a limit 20) x;
     select count(*) from t where b like 'ab%'"
sql "create table m(a int, b text, fulltext(b)) engine=aria; insert into m values (1,'one word'),(2,'two words');
     select a from m where match(b) against ('words'); check table m; alter table t add c int default 7, algorithm=copy;
     select sum(c) from t"
for i in 1 2 3 4; do
    (for j in $(seq 25); do echo "start transaction; update t set c = c + 1 where a = 1; insert into m values ($i, '$j'); commit;"; done |
        mariadb --no-defaults -u root -S "$D/s" w) &
    clients="$clients $!"
done
wait $clients
sql "select c from t where a = 1; select count(*) from m"
mariadb --no-defaults -u root -h 127.0.0.1 -P 13306 --protocol=tcp -N -e "select 'over tcp'" 2>&1
mariadb-dump --no-defaults -u root -S "$D/s" --skip-dump-date w t 2>&1 | grep -c "INSERT INTO"
sql "insert into t values (100000, 'kept', 1); begin; insert into t values (100001, 'lost', 1); select sleep(0)"
kill -9 $P; wait $P 2>/dev/null; echo "killed $?"
start two.err
grep -oiE "starting (crash|final batch|a batch)[a-z ]*recovery|Starting crash recovery" "$D/two.err" | head -1 | grep -c .
sql "select a, b from t where a >= 100000; check table t; select count(*) from t"
mariadb-admin --no-defaults -u root -S "$D/s" shutdown
wait $P; echo "end $?"
P=
grep -ciE "\[ERROR\]" "$D/one.err" "$D/two.err" | sed 's,.*/,,'
