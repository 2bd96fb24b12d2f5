#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The SQLite shell: 100,000 inserts in one transaction, an index, WAL, and two writers.
command -v sqlite3 >/dev/null || { echo "sqlite3 is missing"; exit 77; }
{ echo 'create table t(id integer primary key, v text); begin;'
  seq 100000 | sed "s/.*/insert into t values(&, 'value &');/"
  echo 'commit; create index i on t(v); select count(*), sum(id) from t;'; } | sqlite3 a.db
sqlite3 a.db "select v from t where v = 'value 777'; pragma integrity_check; pragma journal_mode=wal;"
sqlite3 a.db "update t set v = v || '!' where id % 1000 = 0; select count(*) from t where v like '%!';"
sqlite3 a.db 'vacuum; select page_count > 100 from pragma_page_count;'
for i in 1 2; do for j in $(seq 20); do echo "insert into t(v) values('w$i $j');"; done | sqlite3 -cmd '.timeout 10000' a.db >/dev/null & done; wait
sqlite3 a.db "select count(*) from t where v like 'w%'"; sqlite3 a.db .dump | wc -l; ls a.db*
