#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the inputs of corpus/ that are spelled by hand: tests/fuzz/seeds.py

The numbers are those of args.h and calls.c: a step is a byte (whose), the call's number, its arguments.
"""
import os
import struct

ZERO, U8, U16, U32, U64, EDGE, BIT, FD, OUT, BYTES, END, PATH, IOV, MSG, WILD, LAST, WALK = range(17)
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
MAX = (1 << 63) - 1


def u64(v):
    return bytes([U64]) + struct.pack("<q", v)


def data(b):
    return bytes([BYTES, len(b)]) + b


def call(nr, *args):
    return bytes([0]) + struct.pack("<H", nr) + b"".join(args)


def zero():
    return bytes([ZERO])


def small(v):
    return bytes([U8, v])


def fd(v):
    return bytes([FD, v])


def path(i):
    return bytes([PATH, i])


def write(name, *parts):
    to = os.path.join(HERE, name)
    os.makedirs(os.path.dirname(to), exist_ok=True)
    with open(to, "wb") as f:
        f.write(b"".join(parts))


TRACE, PLAIN = b"\1", b"\0"
SELECT, LSEEK, OPEN, SETITIMER, COPY, SYNC, CLONE, EXIT = 23, 8, 2, 38, 326, 277, 56, 60

# Microseconds that cannot be multiplied, seconds that cannot be added to.
write("syscall/found-setitimer", TRACE,
      call(SETITIMER, zero(), data(struct.pack("<4q", 0, 0, 1, 2748926567846913574)), zero()))
write("syscall/found-select", PLAIN,
      call(SELECT, zero(), zero(), zero(), zero(), data(struct.pack("<2q", MAX, MAX))))
# "/", /proc/self/comm, /proc/self/mem, /dev/pts: to the end of all files, and on.
for number, name in ((7, "dir"), (16, "text"), (13, "mem")):
    write("syscall/found-seek-" + name, PLAIN, call(OPEN, path(number), zero(), zero()),
          call(LSEEK, fd(0), u64(MAX), zero()), call(LSEEK, fd(0), u64(MAX), small(1)))
# Ranges that wrap.
write("syscall/found-ranges", PLAIN, call(OPEN, path(1), small(2), zero()),
      call(LSEEK, fd(0), u64(MAX), zero()),
      call(COPY, fd(0), zero(), fd(0), zero(), u64(MAX), zero()),
      call(SYNC, fd(0), u64(MAX), u64(MAX), zero()))
# A thread, a process, and their ends: what most inputs grow from.
write("syscall/thread", TRACE, call(CLONE, bytes([U32]) + struct.pack("<I", 0x50f00), zero(), zero(),
                                    zero(), zero()), call(EXIT, zero()))
write("syscall/fork", TRACE, call(57), call(61, u64(-1), zero(), zero(), zero()), call(EXIT, small(3)))

# Proc and a tmpfs, mounted over each other and unmounted: what proc left behind.
write("mount/found-proc", b"\x09\0\0\0\0", b"\x03\0\0\0\0")
write("mount/options", b"\x85\0\0\0\0", bytes([len(b"size=1m,mode=755")]), b"size=1m,mode=755")

# The smallest program there is, without arguments and environment.
ehdr = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1,
                                                0, 0, 0)
phdr = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 130, 130, 0x1000)
write("elf/found-no-strings", b"\0", ehdr, phdr, b"\xb8\x3c\0\0\0\x0f\x05" + bytes(3))

# The gofer's root is opened and listed: an entry whose name would end behind the answer, and a good one.
listing = bytes([0, 0, WALK, 1, 0x90, ZERO, ZERO, 0, 5, FD, 0, OUT, 0, U16, 0, 16])
entry = bytes([0, 0, 5, 1])
write("reply/listing-short", PLAIN, listing, bytes([0x20, 0, 1, 0, 2]), entry, b"\x85abcde", b"\xc8\0")
write("reply/listing", PLAIN, listing, bytes([0x20, 0, 1, 0, 2]), entry, b"\x05abcde")
# Two descriptors, in a message that says there are more.
write("cmsg/rights-long", bytes([0, 0, 0, FD, 0, MSG, 1, 1, 1, 120, 24]), struct.pack("<QII2i", 60, 1, 1, 0, 1),
      bytes([ZERO]))
write("cmsg/rights", bytes([0, 0, 0, FD, 0, MSG, 1, 1, 1, 120, 24]), struct.pack("<QII2i", 24, 1, 1, 0, 1),
      bytes([ZERO]))

for i, line in enumerate((b"#!/bin/sh\n", b"#! /d/q  a b \t\n", b"#!/d/p", b"#!", b"#!d/f\0rest")):
    write("script/line-%d" % i, line)
for i, words in enumerate((("--bind", "/tmp:/t:ro", "--timeout=1.5s", "-eA=B", "a.py", "x"),
                           ("--strace", "--stats=json", "--user", "1000:100", "--", "ls", "-l"),
                           ("-v", "a:b", "--hostname", "h", "--log-level=debug", "-"))):
    write("options/line-%d" % i, b"".join(w.encode() + b"\0" for w in words))
write("program/script", b"\5#!/usr/bin/env python3\nprint(1)\n")
write("program/elf", b"\4", ehdr, phdr, bytes(10))
write("netlink/links", b"\0\x20\0", struct.pack("<IHHII", 32, 18, 0x301, 1, 0), bytes(16))
write("procfs/score", b"\1\0-1000\n")
