/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_calls SEED [SECONDS]: the system calls of the table, chosen and filled at random, by several
 * processes of several threads, for hostile and for ordinary users. Runs inside sbx only: outside it
 * would do to the host what it tries to do to the sentry. tests/hostile/random/random_calls.py drives it.
 *
 *   keeper     never makes a random call. It starts the workers anew when they end, ends those that
 *              hang, and sees that the kernel still does an ordinary program's work.
 *   worker     a process of THREADS threads; its numbers follow from SEED, its place and generation
 *   children   of the workers, by fork, vfork, clone: go on for some calls, then leave
 *
 * Prints `ready` before the first worker and `done` after the last, when everything that it made is
 * gone again; each time it then waits for a byte on standard input, so that the driver can look.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "random_args.h"

#define WORKERS 3
#define THREADS 3
#define ARENA_AT ((void *)0x200000000000ul)
#define CHILD_CALLS 200 /* what a child of a worker does at most */
#define HANG_MS 20      /* a thread without progress is interrupted, */
#define KILL_MS 500     /* and its process ended */

struct call {
    uint16_t nr;
    const char *name;
    uint8_t n;
    uint8_t kinds[6];
};

static const struct call calls[] = {
#define SYS0(nr, name, st) { nr, #name, 0, { 0 } },
#define SYS1(nr, name, st, k1, a1) { nr, #name, 1, { K_##k1 } },
#define SYS2(nr, name, st, k1, a1, k2, a2) { nr, #name, 2, { K_##k1, K_##k2 } },
#define SYS3(nr, name, st, k1, a1, k2, a2, k3, a3) { nr, #name, 3, { K_##k1, K_##k2, K_##k3 } },
#define SYS4(nr, name, st, k1, a1, k2, a2, k3, a3, k4, a4)                                         \
    { nr, #name, 4, { K_##k1, K_##k2, K_##k3, K_##k4 } },
#define SYS5(nr, name, st, k1, a1, k2, a2, k3, a3, k4, a4, k5, a5)                                 \
    { nr, #name, 5, { K_##k1, K_##k2, K_##k3, K_##k4, K_##k5 } },
#define SYS6(nr, name, st, k1, a1, k2, a2, k3, a3, k4, a4, k5, a5, k6, a6)                         \
    { nr, #name, 6, { K_##k1, K_##k2, K_##k3, K_##k4, K_##k5, K_##k6 } },
#include "abi/syscalls.def"
};
#define NCALLS (sizeof calls / sizeof *calls)

/* Shared by all: who makes progress. */
struct place {
    _Atomic uint64_t count;
    _Atomic pid_t tid; /* as its own pid namespace of the guest says */
};
static struct shared {
    struct place place[WORKERS][THREADS];
    _Atomic uint64_t made[NCALLS], all;
} * shared;

static uint64_t seed;
static unsigned which; /* worker */
static uint64_t generation;

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- workers ---- */

static void map_arena(void)
{
    void *p = mmap(ARENA_AT, ARENA + 4096, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    if (p != MAP_FAILED)
        mprotect((char *)ARENA_AT + ARENA, 4096, PROT_NONE);
}

/* It took its own arena away, or made it unwritable. Anything else is its end. */
static void on_segv(int sig, siginfo_t *si, void *ctx)
{
    uintptr_t at = (uintptr_t)si->si_addr;

    (void)sig, (void)ctx;
    if (at < (uintptr_t)ARENA_AT || at >= (uintptr_t)ARENA_AT + ARENA)
        _exit(9);
    map_arena();
}

static void on_signal(int sig)
{
    (void)sig;
}

static void make_files(void)
{
    int fd = open("a", O_RDWR | O_CREAT, 0644);

    (void)!write(fd, "some bytes of a file\n", 21);
    close(fd);
    mkdir("d", 0755);
    mkdir("d/e", 0755);
    close(open("d/c", O_RDWR | O_CREAT, 0644));
    close(open("d/e/f", O_RDWR | O_CREAT, 0644));
    (void)!symlink("a", "link");
    (void)!symlink("loop", "loop");
    mkfifo("fifo", 0644);
}

/* Descriptors of each kind, at 0 and up; the keeper's are closed. */
static void make_descriptors(void)
{
    int two[2];
    sigset_t set;
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    (void)!syscall(SYS_close_range, 0u, ~0u, 0u);
    for (int i = 0; i < 3; i++)
        open("/dev/null", O_RDWR);
    (void)!pipe2(two, O_NONBLOCK);
    (void)!pipe(two);
    socketpair(AF_UNIX, SOCK_STREAM, 0, two);
    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, two);
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, two);
    two[0] = socket(AF_INET, SOCK_STREAM, 0);
    in.sin_port = htons((uint16_t)(5000 + which));
    (void)!bind(two[0], (void *)&in, sizeof in);
    listen(two[0], 4);
    two[1] = socket(AF_INET, SOCK_STREAM, 0);
    (void)!connect(two[1], (void *)&in, sizeof in);
    (void)!accept(two[0], NULL, NULL);
    socket(AF_INET, SOCK_DGRAM, 0);
    socket(AF_UNIX, SOCK_STREAM, 0);
    socket(AF_NETLINK, SOCK_RAW, 0);
    eventfd(3, EFD_NONBLOCK);
    timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    signalfd(-1, &set, SFD_NONBLOCK);
    epoll_create1(0);
    inotify_init1(IN_NONBLOCK);
    (void)!memfd_create("m", MFD_ALLOW_SEALING);
    open("a", O_RDWR);
    open("d", O_RDONLY | O_DIRECTORY);
    open("a", O_PATH);
    open("fifo", O_RDWR | O_NONBLOCK);
    open("/proc/self/maps", O_RDONLY);
    open("/proc/self/mem", O_RDWR);
    open("/etc/passwd", O_RDONLY);
    open("/usr/bin", O_RDONLY | O_DIRECTORY);
    open("/dev/zero", O_RDWR);
    two[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
    two[1] = 0;
    ioctl(two[0], 0x40045431 /* TIOCSPTLCK */, &two[1]);
    ioctl(two[0], 0x5441 /* TIOCGPTPEER */, O_RDWR | O_NOCTTY | O_NONBLOCK);
    (void)!syscall(SYS_pidfd_open, getpid(), 0);
}

/* Calls that end or replace the caller are rare, those that make processes a little. */
static bool chosen(struct random_args *r, int nr)
{
    switch (nr) {
    case SYS_exit:
    case SYS_exit_group:
    case SYS_rt_sigreturn:
    case SYS_vfork:
        return rnd_one_in(r, 40);
    case SYS_execve:
    case SYS_execveat:
    case SYS_fork:
    case SYS_clone:
    case SYS_clone3:
    case SYS_close_range:
    case SYS_pause:
        return rnd_one_in(r, 8);
    default:
        return true;
    }
}

static void random_call(struct random_args *r)
{
    unsigned i;
    uint64_t a[6];
    long got;

    do
        i = rnd_below(r, NCALLS);
    while (!chosen(r, calls[i].nr));
    for (unsigned k = 0; k < 6; k++)
        a[k] = k < calls[i].n ? rnd_arg(r, calls[i].kinds[k], a, k) : rnd(r);
    if (r->tame && (calls[i].nr == SYS_kill || calls[i].nr == SYS_rt_sigqueueinfo) &&
        (int)a[0] <= 0)
        a[0] = 0x3fffffff;
    atomic_fetch_add(&shared->made[i], 1);
    got = syscall(calls[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (got > 0 && got < 4096)
        r->top = (int)got;
    if (got > 0 &&
        (calls[i].nr == SYS_fork || calls[i].nr == SYS_clone || calls[i].nr == SYS_clone3))
        r->pids[r->npids++ % 4] = (pid_t)got;
}

/* The processes that a random call makes run the same loop: they leave early, and make few more. */
static void random_loop(struct random_args *r, struct place *p)
{
    pid_t me = getpid();
    uint64_t left = 0;

    for (;;) {
        random_call(r);
        atomic_fetch_add(&p->count, 1);
        if (getpid() != me) { /* a child */
            me = getpid();
            r->state ^= (uint64_t)me << 32;
            if (left)
                _exit(0);
            left = 1 + rnd_below(r, CHILD_CALLS);
        }
        if (left && --left == 0)
            _exit(0);
        if (!left && rnd_one_in(r, 512))
            while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
    }
}

static void *thread(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;
    struct random_args r = { .arena = ARENA_AT,
                             .tame = which == 0,
                             .pids = { getpid(), getppid() } };

    r.npids = r.tame ? 1 : 2;
    rnd_seed(&r, seed * 1000003 + generation * 10007 + which * 101 + i);
    atomic_store(&shared->place[which][i].tid, (pid_t)syscall(SYS_gettid));
    random_loop(&r, &shared->place[which][i]);
    return NULL;
}

static void worker(void)
{
    struct sigaction segv = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER };
    struct sigaction nudge = { .sa_handler = on_signal };
    struct rlimit few = { 64, 64 }, core = { 0, 0 };
    char dir[32];
    pthread_t t;

    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(dir, sizeof dir, "/tmp/random.%u", which);
    mkdir(dir, 0777);
    chmod(dir, 0777);
    if (chdir(dir) < 0)
        _exit(8);
    setrlimit(RLIMIT_CORE, &core);
    if (which != 0) { /* the first one keeps root's rights */
        setrlimit(RLIMIT_NPROC, &few);
        if (setgid(1000) < 0 || setuid(1000 + which) < 0)
            _exit(8);
        prctl(PR_SET_DUMPABLE, 1);
    }
    make_files();
    make_descriptors();
    map_arena();
    for (int sig = 1; sig < 32; sig++)
        sigaction(sig, sig == SIGSEGV || sig == SIGBUS ? &segv : &nudge, NULL);
    for (unsigned i = 1; i < THREADS; i++)
        pthread_create(&t, NULL, thread, (void *)(uintptr_t)i);
    thread((void *)0);
}

/* ---- the keeper ---- */

static struct {
    pid_t pid;
    uint64_t seen[THREADS], since[THREADS];
} workers[WORKERS];

static void start_worker(unsigned i)
{
    pid_t pid;

    generation++;
    for (unsigned k = 0; k < THREADS; k++)
        workers[i].since[k] = now_ms();
    pid = fork();
    if (pid == 0) {
        which = i;
        worker();
    }
    workers[i].pid = pid > 0 ? pid : 0;
}

static void look_after(unsigned i)
{
    uint64_t now = now_ms();
    int stuck = 0;

    if (workers[i].pid == 0) {
        start_worker(i);
        return;
    }
    for (unsigned k = 0; k < THREADS; k++) {
        struct place *p = &shared->place[i][k];
        uint64_t count = atomic_load(&p->count);

        if (count != workers[i].seen[k]) {
            workers[i].seen[k] = count;
            workers[i].since[k] = now;
        } else if (now - workers[i].since[k] > HANG_MS) {
            syscall(SYS_tgkill, workers[i].pid, atomic_load(&p->tid), SIGUSR1);
            if (now - workers[i].since[k] > KILL_MS)
                stuck++;
        }
    }
    /* Stopped, or its signals blocked, or a thread is gone. */
    if (stuck)
        kill(workers[i].pid, SIGKILL);
}

static void reap(void)
{
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        for (unsigned i = 0; i < WORKERS; i++) {
            if (workers[i].pid == pid)
                workers[i].pid = 0;
        }
    }
}

static int fail(const char *what)
{
    printf("random_calls: seed %llu: %s failed: %s\n", (unsigned long long)seed, what,
           strerror(errno));
    return 1;
}

/* What any program may rely on works still. */
static int ordinary_work(void)
{
    int p[2], status = 0, fd;
    char buf[8] = "";
    pid_t pid;

    if (pipe(p) < 0)
        return fail("pipe");
    pid = fork();
    if (pid < 0)
        return fail("fork");
    if (pid == 0)
        _exit(write(p[1], "word", 4) == 4 ? 7 : 1);
    if (waitpid(pid, &status, 0) != pid || status != 7 << 8)
        return fail("wait");
    if (read(p[0], buf, sizeof buf) != 4 || memcmp(buf, "word", 4))
        return fail("read");
    close(p[0]);
    close(p[1]);
    fd = memfd_create("ordinary", 0);
    if (fd < 0 || ftruncate(fd, 4096) < 0 || pwrite(fd, "x", 1, 100) != 1)
        return fail("memfd");
    close(fd);
    return 0;
}

static void say(const char *what)
{
    char c;

    printf("%s\n", what);
    fflush(stdout);
    (void)!read(0, &c, 1);
}

static void end_all(void)
{
    for (int i = 0; i < 50; i++) {
        kill(-1, SIGKILL);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        usleep(10000);
    }
}

static int keep(unsigned seconds)
{
    uint64_t end = now_ms() + seconds * 1000ull, next = 0, longest = 0;
    int r = 0;

    while (now_ms() < end && r == 0) {
        for (unsigned i = 0; i < WORKERS; i++)
            look_after(i);
        reap();
        if (now_ms() >= next) {
            uint64_t t = now_ms();

            r = ordinary_work();
            t = now_ms() - t;
            longest = t > longest ? t : longest;
            next = now_ms() + 500;
        }
        usleep(5000);
    }
    end_all();
    printf("longest %llu ms, %llu workers\n", (unsigned long long)longest,
           (unsigned long long)generation);
    return r;
}

static void print_counts(void)
{
    uint64_t all = 0;
    unsigned never = 0;

    for (unsigned i = 0; i < NCALLS; i++) {
        all += atomic_load(&shared->made[i]);
        if (atomic_load(&shared->made[i]) == 0)
            never++;
    }
    printf("seed %llu: %llu calls, %u of %u never made\n", (unsigned long long)seed,
           (unsigned long long)all, never, (unsigned)NCALLS);
}

static bool is_inside(void)
{
    char buf[16] = "";
    int fd = open("/proc/1/comm", O_RDONLY);

    (void)!read(fd, buf, sizeof buf - 1);
    close(fd);
    return strcmp(buf, "sbx-init\n") == 0;
}

int main(int argc, char **argv)
{
    int r;

    /* Also what a worker exec's by chance comes here. */
    if (argc < 2 || (seed = strtoull(argv[1], NULL, 10)) == 0 || !is_inside() || getuid() != 0)
        return 77;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return fail("mmap");
    say("ready");
    r = keep(argc > 2 ? (unsigned)atoi(argv[2]) : 5);
    print_counts();
    random_remove(WORKERS);
    say("done");
    return r;
}
