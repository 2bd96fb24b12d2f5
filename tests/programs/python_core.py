#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CPython: files, time, processes, signals, sockets; one line a topic."""
import asyncio, concurrent.futures, ctypes, fcntl, gzip, hashlib, json, mmap, multiprocessing, os
import pickle, queue, random, resource, select, shutil, signal, socket, sqlite3, ssl, subprocess, sys
import tempfile, threading, time, zipfile


def show(name, value):
    print(f"{name}: {value}", flush=True)


def square(n):
    return n * n


def threads():
    total, lock = [0], threading.Lock()

    def work():
        for _ in range(2000):
            with lock:
                total[0] += 1

    ts = [threading.Thread(target=work) for _ in range(8)]
    [t.start() for t in ts]
    [t.join() for t in ts]
    q = queue.Queue()
    threading.Timer(0.02, lambda: q.put("late")).start()
    return total[0], q.get(timeout=5)


def processes():
    r = subprocess.run(["sh", "-c", "cat; echo err >&2; exit 3"], input=b"in", capture_output=True)
    p = subprocess.Popen(["sleep", "10"])
    p.terminate()
    try:
        subprocess.run(["sleep", "5"], timeout=0.1)
    except subprocess.TimeoutExpired:
        late = "timed out"
    return r.stdout, r.stderr, r.returncode, p.wait(), late


def pool():
    with multiprocessing.Pool(2) as p:
        a = p.map(square, range(10))
    with concurrent.futures.ProcessPoolExecutor(2) as p:
        b = list(p.map(square, range(5)))
    q = multiprocessing.Queue()
    m = multiprocessing.Process(target=q.put, args=("from child",))
    m.start()
    c = q.get(timeout=20)
    m.join()
    return a, b, c, m.exitcode


def shared():
    v = multiprocessing.Value("i", 0)
    e = multiprocessing.Event()

    def inc():
        for _ in range(500):
            with v.get_lock():
                v.value += 1
        e.set()

    ps = [multiprocessing.Process(target=inc) for _ in range(3)]
    [p.start() for p in ps]
    [p.join() for p in ps]
    return v.value, e.is_set()


async def aio():
    async def echo(r, w):
        w.write((await r.readline()).upper())
        await w.drain()
        w.close()

    s = await asyncio.start_server(echo, "127.0.0.1", 0)
    r, w = await asyncio.open_connection(*s.sockets[0].getsockname()[:2])
    w.write(b"hello\n")
    line = await r.readline()
    w.close()
    s.close()
    p = await asyncio.create_subprocess_exec("echo", "sub", stdout=subprocess.PIPE)
    out, _ = await p.communicate()
    rest = await asyncio.gather(*(asyncio.sleep(0.01, i) for i in range(5)))
    return line, out, rest


def files():
    with tempfile.TemporaryDirectory() as d:
        p = os.path.join(d, "f")
        with open(p, "wb") as f:
            f.write(os.urandom(1 << 20))
        h = hashlib.sha256(open(p, "rb").read()).digest() == hashlib.sha256(open(p, "rb").read()).digest()
        with gzip.open(p + ".gz", "wb") as f:
            shutil.copyfileobj(open(p, "rb"), f)
        same = gzip.open(p + ".gz").read() == open(p, "rb").read()
        with zipfile.ZipFile(p + ".zip", "w") as z:
            z.write(p, "f")
        os.symlink("f", p + "l")
        os.rename(p + ".gz", p + "2")
        with open(p, "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
            m[:4] = b"mmap"
            m.flush()
        head = open(p, "rb").read(4)
        st = os.stat(p)
        names = sorted(os.listdir(d))
        os.truncate(p, 10)
        return h, same, head, oct(st.st_mode), st.st_size, names, os.path.getsize(p)


def signals():
    got = []
    signal.signal(signal.SIGUSR1, lambda s, f: got.append(s))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGALRM, lambda s, f: got.append(s))
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    t = time.monotonic()
    time.sleep(0.1)  # goes on after the signal
    slept = time.monotonic() - t >= 0.1
    pid = os.fork()
    if pid == 0:
        signal.pause()
    os.kill(pid, signal.SIGKILL)
    return [int(s) for s in got], slept, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def sockets():
    a, b = socket.socketpair()
    a.sendall(b"x" * 100000 if a.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) > 200000 else b"x" * 100)
    b.recv(10)
    r, w = os.pipe()
    socket.send_fds(a, [b"fd"], [r])
    os.write(w, b"passed")
    while True:
        data, fds, _, _ = socket.recv_fds(b, 65536, 1)
        if fds:
            break
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(("127.0.0.1", 0))
    u.sendto(b"datagram", u.getsockname())
    s6 = socket.create_server(("::1", 0), family=socket.AF_INET6)
    c6 = socket.create_connection(s6.getsockname()[:2])
    try:
        socket.create_connection(("127.0.0.1", 1), timeout=1)
    except OSError as e:
        refused = e.strerror
    return os.read(fds[0], 10), u.recv(20), c6.getpeername()[0], refused, socket.gethostbyname("localhost")


def database():
    db = sqlite3.connect("t.db")
    db.execute("create table t(a, b)")
    db.executemany("insert into t values(?, ?)", ((i, str(i)) for i in range(5000)))
    db.commit()
    return db.execute("select count(*), sum(a) from t").fetchone()


def small():
    ep = select.epoll()
    r, w = os.pipe()
    ep.register(r, select.EPOLLIN)
    os.write(w, b"1")
    efd = os.eventfd(3)
    m = os.memfd_create("m")
    os.write(m, b"mem")
    with open("lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
    libc = ctypes.CDLL(None)
    return (ep.poll(1) == [(r, select.EPOLLIN)], os.eventfd_read(efd), os.fstat(m).st_size, libc.abs(-5),
            resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 10, len(os.sched_getaffinity(0)) > 0)


def main():
    show("version", sys.version_info[:2])
    show("threads", threads())
    show("processes", processes())
    show("pool", pool())
    show("shared", shared())
    show("asyncio", asyncio.run(aio()))
    show("files", files())
    show("signals", signals())
    show("sockets", sockets())
    show("sqlite", database())
    show("small", small())
    show("ssl", ssl.OPENSSL_VERSION_INFO[0] >= 1 and ssl.create_default_context().verify_mode.name)
    show("json", json.dumps(json.loads('{"a": [1, 2.5, null]}')))
    show("pickle", pickle.loads(pickle.dumps({1: "x"})))
    show("random", random.Random(7).random())
    show("env", sorted(k for k in os.environ if k not in ("PWD", "OLDPWD", "_", "SHLVL", "LC_CTYPE", "SBX_WITHOUT")))
    show("argv", sys.argv[1:])
    show("proc", open("/proc/self/cmdline").read().split("\0")[0][-7:])
    show("cwd", os.path.basename(os.getcwd()))
    sys.exit(7)


if __name__ == "__main__":
    main()
