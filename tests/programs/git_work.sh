#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# git: init, commit, branch, merge, clone of a local repository, gc, blame.
command -v git >/dev/null || { echo "git is missing"; exit 77; }
set -e
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_AUTHOR_DATE='@1000000000 +0000'
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org GIT_COMMITTER_DATE='@1000000000 +0000'
export GIT_CONFIG_NOSYSTEM=1
git config --global init.defaultBranch main; git config --global advice.detachedHead false
git init -q repo && cd repo
for i in $(seq 100); do echo "file $i" >"f$i"; done
git add . && git commit -qm first && git rev-parse HEAD && git status --short | wc -l
echo changed >f1 && git diff --stat && git commit -qam second
git checkout -qb side HEAD~ && echo side >f2 && git commit -qam side && git checkout -q main
git merge -q side -m merge && git log --oneline --graph | cat
cd .. && git clone -q repo copy && cd copy && git log --format=%H | head -1
git gc -q && git fsck 2>&1 | tail -1; git count-objects -v | grep in-pack
echo more >>f3 && git stash -q && git stash pop -q && git status --short
git blame -s f1; git grep -c file f9; git archive HEAD | tar -t | wc -l
git tag v1 && git describe --tags; git rebase -q HEAD~1 2>&1 | head -1; git ls-files | wc -l
