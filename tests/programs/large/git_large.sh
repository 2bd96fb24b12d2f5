#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# git with many files and commits: packs, bitmaps, clones over pipes and a daemon, work trees, fsck.
command -v git >/dev/null || { echo "git is missing"; exit 77; }
export GIT_AUTHOR_DATE='2020-01-01 00:00 +0000' GIT_COMMITTER_DATE='2020-01-01 00:00 +0000'
git config --global user.name x; git config --global user.email x@x.test; git config --global init.defaultBranch main; git config --global safe.directory '*'; git config --global protocol.file.allow always; git config --global gc.auto 0; git config --global maintenance.auto false
git init -q big && cd big || exit 1
perl -e 'for $d (0..99) { mkdir "d$d"; for $f (0..99) { open F, ">d$d/f$f"; print F "line $_ of $d $f\n" for 1..($f % 20 + 1) } } open F, ">blob"; print F pack("N*", map { $_ * 2654435761 % 4294967296 } 1..1000000)'
git add . && git commit -qm one && git rev-parse HEAD
perl -e 'print "commit refs/heads/many\ncommitter x <x\@x.test> ", 1577836800 + $_, " +0000\ndata 1\nm\n", ($_ == 1 ? "from refs/heads/main\n" : ""), "M 100644 inline d@{[$_ % 100]}/n\ndata @{[length $_]}\n$_\n\n" for 1..3000' | git fast-import --quiet
git rev-list --count many; git rev-parse many; git checkout -q many; git status --short | wc -l; git log --oneline -- d7/n | wc -l
git gc -q && git repack -qadb && git fsck --full 2>&1 | grep -v "^Checking" ; git count-objects -v | grep -E "^(count|packs|in-pack)"; git commit-graph write --reachable 2>/dev/null; git commit-graph verify 2>/dev/null && echo graph
git clone -q --no-local . ../clone && (cd ../clone && git rev-parse HEAD && git ls-files | wc -l)
git daemon --reuseaddr --base-path="$PWD/.." --export-all --listen=127.0.0.1 --port=18160 --enable=receive-pack --pid-file=../pid --detach
for _ in $(seq 50); do (: </dev/tcp/127.0.0.1/18160) 2>/dev/null && break; sleep 0.1; done
git clone -q --depth 5 git://127.0.0.1:18160/big ../shallow && (cd ../shallow && git rev-list --count HEAD && git fetch -q --unshallow && git rev-list --count HEAD)
(cd ../clone && git checkout -qb push && echo p >d1/p && git add d1/p && git commit -qm p && git push -q git://127.0.0.1:18160/big push 2>&1); git log -1 --format=%s push
kill "$(cat ../pid)"
git worktree add -q ../tree main && (cd ../tree && git checkout -qb other && sed -i 's/line 1/LINE 1/' d*/f* && git commit -qam two) && git merge -q other -m merged && git rev-parse HEAD^{tree}
git grep -c "LINE 1 " -- d5 | wc -l; git rebase -q --onto main many~5 many 2>&1; git log --oneline | wc -l; git stash list | wc -l; git diff --stat main many | tail -1
git bisect start -q many main >/dev/null 2>&1; git bisect run sh -c 'test ! -e d99/n' 2>&1 | grep -c "first bad commit"; git bisect reset -q >/dev/null 2>&1; git archive many | tar t | wc -l; git blame -s d1/f1 | wc -l
GIT_OPTIONAL_LOCKS=1 git update-index --untracked-cache 2>&1 | tail -1; git update-index --index-version 4; git -c core.fsmonitor=false -c index.threads=4 -c core.preloadIndex=true status --short | wc -l; git bundle create -q ../b --all && git bundle verify -q ../b 2>&1 | tail -1
