#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What Maven wants to build and test spring_app, as its local repository.
set -eu
PATH=$PATH:/usr/lib/jvm/java-17-openjdk-amd64/bin:/usr/share/maven/bin
command -v mvn >/dev/null || { echo "maven is missing"; exit 77; }
cp -r "$1/spring_app" app
mvn -q -B -Dmaven.repo.local="$PWD/m2" -f app/pom.xml package >log 2>&1 || { tail -3 log; exit 1; }
rm -rf app/target
mvn -q -B -o -Dmaven.repo.local="$PWD/m2" -f app/pom.xml package >log 2>&1 || { tail -3 log; exit 1; }
rm -rf app/target log
