#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Maven, offline, builds a Spring Boot application and runs its tests; the application answers requests.
[ -d "$FETCHED/m2" ] || { echo "nothing was fetched"; exit 77; }
PATH=$PATH:/usr/lib/jvm/java-17-openjdk-amd64/bin:/usr/share/maven/bin
for need in mvn java curl; do
    command -v $need >/dev/null || { echo "$need is missing"; exit 77; }
done
cp -r "$FETCHED/app" app && cd app || exit 1
mvn -B -o -Dmaven.repo.local="$FETCHED/m2" -T 2 package >log 2>&1; echo "maven $?"
grep -E "Tests run|BUILD|ERROR" log | sed 's/, Time.*//; s/\[[A-Z]*\] *//'
java -Xmx256m -jar target/app-1.0.jar --server.port=18210 --server.address=127.0.0.1 >log 2>&1 & P=$!
trap 'kill -9 $P 2>/dev/null' EXIT
for _ in $(seq 600); do curl -s -o ../out http://127.0.0.1:18210/word/x && break; sleep 0.1; done
curl -s http://127.0.0.1:18210/word/a; echo; curl -s -H content-type:application/json -d '{"text":"b"}' http://127.0.0.1:18210/notes; echo; curl -s http://127.0.0.1:18210/notes; echo
seq 200 | xargs -P 8 -I{} curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1:18210/word/{} | sort | uniq -c; curl -s -o ../out -w '%{http_code}\n' http://127.0.0.1:18210/none
kill $P; wait $P; echo "end $?"; grep -cE " (ERROR|WARN) " log
