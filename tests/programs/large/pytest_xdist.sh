#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pytest, its tests spread over processes.
python=/usr/bin/python3
$python -c 'import pytest, xdist' 2>/dev/null || { echo "python3-pytest-xdist is missing"; exit 77; }
cat >test_many.py <<'E'
import multiprocessing, os, subprocess, sys, threading, pytest

def square(n): return n * n

@pytest.mark.parametrize("n", range(60))
def test_square(n, tmp_path):
    (tmp_path / "f").write_text(str(square(n)))
    assert int((tmp_path / "f").read_text()) == n * n

def test_pool():
    for method in "fork", "spawn", "forkserver":
        with multiprocessing.get_context(method).Pool(3) as p:
            assert sum(p.map(square, range(20))) == 2470

def test_shared():
    from multiprocessing import shared_memory
    m = shared_memory.SharedMemory(create=True, size=4096)
    p = multiprocessing.get_context("fork").Process(target=lambda: m.buf.__setitem__(0, 7))
    p.start(); p.join(); assert m.buf[0] == 7
    m.close(); m.unlink()

def test_capture(capfd):
    subprocess.run(["echo", "out"], check=True)
    assert capfd.readouterr().out == "out\n"

def test_env(monkeypatch): monkeypatch.setenv("A", "b"); assert subprocess.check_output(["sh", "-c", "echo $A"]) == b"b\n"
def test_fails(): assert 1 == 2
@pytest.mark.skip(reason="so")
def test_skipped(): pass
@pytest.mark.xfail
def test_expected(): assert False
E
$python -m pytest -p no:cacheprovider -n 3 --dist worksteal -q test_many.py >log 2>&1; echo "status $?"
grep -oE "[0-9]+ (passed|failed|skipped|xfailed)" log; grep -E "^(FAILED|ERROR)" log | sort
printf 'import os, time\ndef test_dies(): os._exit(9)\ndef test_lives(): pass\n' >test_dies.py
$python -m pytest -p no:cacheprovider -n 2 -q test_dies.py >log 2>&1; echo "status $?"; grep -cE "worker 'gw.' crashed" log | grep -c '[1-9]'
