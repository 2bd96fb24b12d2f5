#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""faults.py SBX-FAULTS WORK [--sample N] [--seed S] [--only TEXT] [--list] [--seconds T]

Makes each host call of sentry, gofer and front end fail that a workload reaches, with each errno that
is plausible for it, and each allocation. A combination (place, errno, when) is a run of its own:

  start   the first call at this place fails: the sandbox starts all the same, or says in one line what
          failed and ends with status 125
  work    the first call there after the guest has begun: the guest sees an errno at most
  often   each second one there after the guest has begun: so that what a failure leaves behind adds up

Never: a sentry or gofer that ends (status 125 after the start), a run that does not end, a report of
a sanitizer, a process left behind, descriptors or memory blocks that are not given back.
"""
import argparse
import collections
import ctypes
import errno
import mmap
import os
import random
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from procs import children, family

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROLES = ["front", "child", "sentry", "gofer", "zygote"]
SITES = 2048
HEAD = struct.Struct("=QQQQQQQ5q")  # struct table of inject.c, up to its sites
BLOCKS = 65536
SITE = struct.Struct("=QQ")  # struct site, struct block
ROUNDS = 3
LEAK_ROUNDS = int(os.environ.get("LEAK_ROUNDS", "24"))
NOTIF = {1000: "notif_recv", 1001: "notif_send", 1002: "notif_id_valid", 1003: "notif_addfd",
         1004: "notif_set_flags"}
MEMORY = {900: "malloc", 901: "calloc", 902: "realloc", 903: "strdup", 904: "kzalloc",
          905: "krealloc", 906: "kmemdup", 907: "kstrdup"}

# What each call may plausibly answer. Not there: it cannot fail, or nobody has to care.
ERRNOS = {
    "read": "EINTR EAGAIN EIO", "write": "EINTR EAGAIN EIO ENOSPC", "readv": "EINTR EIO",
    "writev": "EINTR EAGAIN EIO", "pread64": "EIO ENOMEM EINTR", "pwrite64": "EIO ENOSPC ENOMEM EINTR",
    "preadv2": "EAGAIN EIO", "pwritev2": "EAGAIN EIO ENOSPC", "lseek": "ESPIPE ENXIO",
    "fstat": "EIO ENOMEM", "statx": "EIO ENOMEM EACCES", "fstatfs": "EIO",
    "readlinkat": "EIO ENOMEM", "getdents64": "EIO ENOMEM ENOENT", "fgetxattr": "EIO ENOMEM",
    "flistxattr": "EIO ENOMEM", "fsync": "EIO ENOSPC", "fdatasync": "EIO", "ftruncate": "EIO EINTR ENOSPC",
    "fallocate": "ENOSPC EINTR EOPNOTSUPP", "memfd_create": "EMFILE ENFILE ENOMEM",
    "dup2": "EMFILE", "dup3": "EMFILE", "pipe2": "EMFILE", "open": "EMFILE EACCES ENOMEM",
    "openat": "EMFILE ENOENT ENOMEM EACCES", "openat2": "EMFILE ENOMEM EAGAIN EACCES EIO",
    "fcntl": "EMFILE EPERM", "ioctl": "ENOTTY",
    "notif_recv": "EINTR ENOENT", "notif_send": "EINTR", "notif_addfd": "EINTR EMFILE ENOMEM",
    "notif_id_valid": "ENOENT", "notif_set_flags": "EINVAL", "prctl": "EPERM",
    "mmap": "ENOMEM ENFILE", "munmap": "ENOMEM", "mprotect": "ENOMEM", "madvise": "ENOMEM EAGAIN",
    "mremap": "ENOMEM", "recvfrom": "EINTR ENOMEM", "recvmsg": "EINTR ENOMEM ENOBUFS",
    "sendto": "EINTR ENOBUFS", "sendmsg": "EINTR ENOBUFS ENOMEM",
    "socketpair": "EMFILE ENOMEM", "shutdown": "ENOTCONN", "poll": "EINTR ENOMEM", "ppoll": "EINTR ENOMEM",
    "epoll_create1": "EMFILE ENOMEM", "epoll_ctl": "ENOMEM ENOSPC", "epoll_wait": "EINTR",
    "eventfd2": "EMFILE ENOMEM", "timerfd_create": "EMFILE ENOMEM",
    "process_vm_readv": "EFAULT ENOMEM ESRCH EPERM", "process_vm_writev": "EFAULT ENOMEM ESRCH EPERM",
    "getrandom": "EINTR", "setrlimit": "EPERM", "sched_setaffinity": "EINVAL",
    "chroot": "EPERM", "fchdir": "EACCES", "clone": "EAGAIN ENOMEM", "pidfd_open": "EMFILE ESRCH ENOMEM",
    "pidfd_getfd": "EMFILE EPERM", "pidfd_send_signal": "EPERM ESRCH", "tgkill": "EAGAIN ESRCH",
    "seccomp": "ENOMEM EINVAL", "capset": "EPERM", "capget": "EPERM", "unshare": "EPERM ENOSPC",
    "setns": "EPERM", "fsopen": "EPERM EMFILE", "fsconfig": "EINVAL", "fsmount": "EPERM EMFILE",
    "open_tree": "EPERM EMFILE", "move_mount": "EPERM", "mount_setattr": "EPERM",
    "landlock_create_ruleset": "ENOMEM", "landlock_add_rule": "ENOMEM", "landlock_restrict_self": "E2BIG",
    "membarrier": "EPERM", "io_uring_setup": "ENOMEM EPERM", "io_uring_register": "ENOMEM",
}
for memory in MEMORY.values():
    ERRNOS[memory] = "ENOMEM"

# Their failure says that the memory of a guest process, or the process, is gone: it ends.
ENDS_PROCESS = {("process_vm_readv", "EFAULT"), ("process_vm_readv", "ESRCH"),
                ("process_vm_writev", "EFAULT"), ("process_vm_writev", "ESRCH")}


def call_names():
    names = {**MEMORY, **NOTIF}
    with open(f"{TOP}/abi/syscalls.def") as f:
        for m in re.finditer(r"^SYS\d\((\d+), (\w+),", f.read(), re.M):
            names[int(m.group(1))] = m.group(2)
    return names


NAMES = call_names()


class Site:
    def __init__(self, key, met):
        self.key, self.met = key, met
        self.role, self.call, self.at = ROLES[key >> 60], NAMES[key >> 44 & 0xffff], key & (1 << 44) - 1

        self.name = f"{self.role} {self.call} {self.at:#x}"


def name_sites(program, sites):
    """Their names become the functions and lines: a call stands before its return address."""
    text = subprocess.run(["addr2line", "-sfe", program] + [hex(s.at - 1) for s in sites],
                          capture_output=True, text=True, check=False).stdout.split("\n")
    for site, function, line in zip(sites, text[0::2], text[1::2]):
        site.name = f"{site.role} {site.call} {function} {line.split(' ')[0]}"


class Table:
    """struct table of inject.c in a file."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="sbx-faults")
        self.file.truncate(HEAD.size + (SITES + BLOCKS) * SITE.size)
        self.map = mmap.mmap(self.file.fileno(), 0)

    def put(self, index, value):
        struct.pack_into("=Q", self.map, 8 * index, value)

    def arm(self):
        self.put(1, 1)

    def aim(self, site, err, first, period):
        for i, value in enumerate((site.key, 0, err, first, period)):
            self.put(i, value)

    def failed(self):
        return HEAD.unpack_from(self.map)[6]

    def live(self):
        return dict(zip(ROLES, HEAD.unpack_from(self.map)[7:]))

    def blocks(self):
        """How many blocks are taken at each place, of each role."""
        at = HEAD.size + SITES * SITE.size
        return collections.Counter((ROLES[p >> 60], place) for p, place in
                                   SITE.iter_unpack(self.map[at:at + BLOCKS * SITE.size]) if p > 1)

    def sites(self):
        found = [SITE.unpack_from(self.map, HEAD.size + i * SITE.size) for i in range(SITES)]
        return {key: Site(key, met) for key, met in found if key}


def left_over(program, table, base):
    """Where the most blocks were taken that are not there without faults."""
    more = collections.Counter(table.blocks())
    more.subtract(base.blocks())
    top = [(place, n) for place, n in more.most_common(6) if n > 3]
    lines = subprocess.run(["addr2line", "-sie", program] + [hex(at - 1) for (_, at), _ in top],
                           capture_output=True, text=True, check=False).stdout.split("\n")
    del lines[len(top) * 2:]
    return [f"{n} of {role} at {at:#x}" for (role, at), n in top] + lines


def descriptors(pid):
    """Without files of the host, which are cached."""
    n = 0
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            name = os.readlink(f"/proc/{pid}/fd/{fd}")
            n += not name.startswith("/") or name.startswith("/memfd:")
    except OSError:
        pass
    return n


class Run:
    """One sandbox, from its start to its end."""

    def __init__(self, program, work, rounds, table, arm_late, seconds):
        self.table, self.seen, self.wrong, self.program = table, b"", [], program
        self.started = self.done = False
        self.live, self.fds = {}, {}
        self.deadline = time.monotonic() + seconds
        env = dict(os.environ, SBX_FAULTS=table.file.name)
        if not arm_late:
            table.arm()
        self.p = subprocess.Popen([program, "run", work, str(rounds)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        try:
            self.started = self.wait_for(b"ready\n")
            if self.started:
                self.at_ready = table.sites()
                if arm_late:
                    table.arm()
                self.go_on()
                self.done = self.wait_for(b"done\n")
                if self.done:
                    self.look()
                    self.go_on()
            self.end()
        except TimeoutError:
            self.wrong.append(f"does not end: {self.where()}")
            self.kill()
        self.errors = self.p.stderr.read().decode(errors="replace")
        self.p.stdout.close()
        self.p.stderr.close()
        if self.p.stdin:
            self.p.stdin.close()
        self.status = self.p.returncode
        self.left_behind()

    def where(self):
        def of(pid):
            try:
                with open(f"/proc/{pid}/wchan") as f, open(f"/proc/{pid}/comm") as g:
                    return f"{g.read().strip()} {pid} in {f.read()}"
            except OSError:
                return f"{pid} gone"
        return ", ".join(of(p) for p in [self.p.pid] + family(self.p.pid))

    def left(self):
        return max(0.0, self.deadline - time.monotonic())

    def wait_for(self, text):
        while text not in self.seen:
            if not select.select([self.p.stdout], [], [], self.left())[0]:
                raise TimeoutError
            got = os.read(self.p.stdout.fileno(), 4096)
            if not got:
                return False
            self.seen += got
        return True

    def go_on(self):
        try:
            os.write(self.p.stdin.fileno(), b"\n")
        except BrokenPipeError:
            pass

    def look(self):
        """What the processes hold now, when what is under way has settled."""
        two = children(self.p.pid)[:2]
        now = None
        for _ in range(20):
            time.sleep(0.01)
            last, now = now, ([descriptors(p) for p in two], self.table.live())
            if now == last:
                break
        self.fds, self.live = dict(zip(("sentry", "gofer"), now[0])), now[1]

    def end(self):
        try:
            self.p.wait(self.left())
        except subprocess.TimeoutExpired:
            raise TimeoutError from None

    def kill(self):
        for pid in [self.p.pid] + family(self.p.pid):
            if pid > 1:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.p.wait()

    def left_behind(self):
        """What it leaves becomes our child: we are a subreaper."""
        for _ in range(500):
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            time.sleep(0.02)
        self.wrong.append(f"left behind: {children(os.getpid())}")
        for pid in children(os.getpid()):
            os.kill(pid, signal.SIGKILL)


def judge(run, site, err, when, base):
    """What is wrong with it."""
    wrong = list(run.wrong)
    if re.search(r"Sanitizer|runtime error|[Aa]ssert", run.errors):
        wrong.append("a report")
    if run.wrong or (run.status == 137 and (site.call, err) in ENDS_PROCESS):
        return wrong
    if not run.started and when == "start":
        if run.status == 125 and re.search(r"^sbx: .", run.errors, re.M):
            return wrong
        if run.status in (126, 127) and re.search(r"^sbx: .", run.errors, re.M):
            return wrong  # the program could not be read
        wrong.append(f"no start, status {run.status}")
    elif run.status == 125:
        wrong.append("the sandbox ended")
    elif run.status >= 128:
        wrong.append(f"the program was ended: {run.status}")
    elif run.status != 0:
        wrong.append(f"status {run.status}")
    if when == "often" and run.done:
        wrong += grown(run, base)
    return wrong


def grown(run, base):
    """What it has more than the run base, as text."""
    few, more = max(12, run.table.failed() // 3), []
    for who in run.fds:  # none where a failed read of the word to go on has ended it already
        if run.live[who] > base.live[who] + max(40, few):
            more.append(f"{who}: {run.live[who] - base.live[who]} blocks more")
            run.errors = "\n".join(left_over(run.program, run.table, base.table))
        if run.fds[who] > base.fds[who] + few:
            more.append(f"{who}: {run.fds[who] - base.fds[who]} descriptors more")
    return more


def combinations(first, whole):
    """Each place with each errno, at each time that it is reached."""
    found = []
    for key, site in sorted(whole.table.sites().items()):
        begun = first.get(key)
        for err in ERRNOS.get(site.call, "").split():
            if begun:
                found.append((site, err, "start"))
            if not begun or site.met > begun.met:
                found += [(site, err, "work"), (site, err, "often")]
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("work")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1000003)
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER

    def run(rounds, site=None, err=None, when="start"):
        table = Table()
        if site:
            table.aim(site, getattr(errno, err), 1, 2 if when == "often" else 0)
        return Run(args.program, args.work, rounds, table, when != "start", args.seconds)

    whole = run(ROUNDS)
    base = run(LEAK_ROUNDS)
    for r in (whole, base):
        if not r.done or r.status or r.wrong or r.errors:
            print(f"without faults: status {r.status} {r.wrong}\n{r.errors}")
            return 1
    todo = combinations(whole.at_ready, base)
    name_sites(args.program, [c[0] for c in todo])
    if args.only:
        todo = [c for c in todo if args.only in f"{c[0].name} {c[1]} {c[2]}"]
    if args.list:
        for site, err, when in todo:
            print(site.name, err, when)
        return 0
    places = len({c[0].key for c in todo})
    count = len(todo)
    if args.sample and args.sample < count:
        random.Random(args.seed).shuffle(todo)
        todo = todo[:args.sample]
        print(f"seed {args.seed}: {len(todo)} of {count} combinations at {places} places")
    failed = reached = 0
    for site, err, when in todo:
        r = run(LEAK_ROUNDS if when == "often" else ROUNDS, site, err, when)
        reached += r.table.failed() > 0
        wrong = judge(r, site, err, when, base)
        # A cache may be filled in another way after a failure: then it has as much after four times the work.
        if wrong and wrong == grown(r, base):
            again = run(4 * LEAK_ROUNDS, site, err, when)
            wrong = judge(again, site, err, when, r)
        if wrong or args.verbose:
            failed += bool(wrong)
            print("FAILED:" if wrong else "passed:", site.name, err, when, "-",
                  "; ".join(wrong), f"({r.table.failed()} failed, status {r.status})")
            print("    " + "\n    ".join(r.errors.strip().split("\n")[:12]))
            sys.stdout.flush()
    print(f"{len(todo)} runs at {places} places, {reached} with a failure, {failed} wrong")
    return 1 if failed else 0


sys.exit(main())
