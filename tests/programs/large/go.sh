#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Go: the standard library is built, and its tests of what it asks of the system are run: the same ones fail.
go=$(ls -d /usr/local/go/bin/go /usr/lib/go-*/bin/go 2>/dev/null | head -1)
[ -x "$go" ] || { echo "go is missing"; exit 77; }
export GOCACHE=$PWD/cache GOPATH=$PWD/path GOFLAGS=-mod=mod GOTOOLCHAIN=local GOPROXY=off CGO_ENABLED=1
[ -e "$("$go" env GOROOT)/src/os/os_test.go" ] || { echo "go's tests are missing"; exit 77; }
"$go" build std && echo built
mkdir m && cd m && printf 'module m\ngo 1.19\n' >go.mod
cat >m.go <<'E'
package main

import ("fmt"; "io"; "net/http"; "net/http/httptest"; "os"; "os/signal"; "runtime"; "sync"; "syscall"; "time")

func main() {
	var wg sync.WaitGroup
	n := make([]int, 1000)
	for i := range n { wg.Add(1); go func(i int) { defer wg.Done(); n[i] = i; runtime.Gosched() }(i) }
	wg.Wait()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) }))
	r, err := http.Get(s.URL + "/x")
	b, _ := io.ReadAll(r.Body)
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println(string(b), err, <-c, runtime.GOOS, time.Since(time.Now()) < time.Hour)
}
E
"$go" vet . && "$go" run . && "$go" build -race -o race . && ./race
cd ..
# What differs: programs that trace others, which is not there inside (gdb, strace).
differs='TestExecPtrace|TestGdb.*|TestLldb.*|TestUsingVDSO'
for package in os os/exec os/signal os/user net net/http syscall runtime time io/fs path/filepath; do
    timeout 900 "$go" test -short -count=1 "$package" >log 2>&1
    echo "$package $?" | sed 's/ 1$/ 0/' # a test that failed is named, if it may not differ
    grep -E '^ *--- FAIL' log | sed 's/ (.*//' | grep -vE ": ($differs)(/.*)?\$" | sort
done
chmod -R u+w cache path 2>/dev/null
exit 0
