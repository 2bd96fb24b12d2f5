/* SPDX-License-Identifier: Apache-2.0 */
/* See random_args.h. What a pointer points to lies in the arena, often so that it ends with a page. */
#include "random_args.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "random_flags.h"

uint64_t rnd(struct random_args *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

unsigned rnd_below(struct random_args *r, unsigned n)
{
    return (unsigned)(rnd(r) % n);
}

bool rnd_one_in(struct random_args *r, unsigned n)
{
    return rnd_below(r, n) == 0;
}

void rnd_seed(struct random_args *r, uint64_t seed)
{
    r->state = seed * 0xd1342543de82ef95ull + 1;
    rnd(r);
}

/* ---- numbers ---- */

static uint64_t number(struct random_args *r)
{
    switch (rnd_below(r, 8)) {
    case 0:
        return 0;
    case 1:
        return 1ull << rnd_below(r, 64);
    case 2:
        return (1ull << rnd_below(r, 64)) - 1;
    case 3:
        return (uint64_t) - (int64_t)rnd_below(r, 4096);
    case 4:
        return rnd(r);
    default:
        return rnd_below(r, 64);
    }
}

static uint64_t size(struct random_args *r)
{
    static const unsigned usual[] = {
        0, 1, 2, 4, 8, 12, 16, 24, 28, 64, 100, 128, 256, 4096, 65536
    };

    if (rnd_one_in(r, 16))
        return number(r);
    if (rnd_one_in(r, 2))
        return usual[rnd_below(r, sizeof usual / sizeof *usual)];
    return rnd_below(r, 1u << rnd_below(r, 18));
}

static uint64_t offset(struct random_args *r)
{
    static const int64_t edges[] = { 0, 4096, 4095, 1 << 20, INT_MAX, 1ll << 32, INT64_MAX, -1 };

    return rnd_one_in(r, 4) ? (uint64_t)edges[rnd_below(r, 8)] : rnd_below(r, 1 << 16);
}

static uint64_t descriptor(struct random_args *r)
{
    switch (rnd_below(r, 12)) {
    case 0:
        return number(r);
    case 1:
        return (uint64_t)-1;
    case 2:
        return (uint64_t)r->top;
    default:
        return rnd_below(r, 48);
    }
}

static uint64_t pid(struct random_args *r)
{
    if (r->npids && rnd_one_in(r, 2))
        return (uint64_t)r->pids[rnd_below(r, r->npids)];
    if (r->tame) /* its own, and what nobody has */
        return rnd_one_in(r, 2) ? (uint64_t)getpid() : 0x3ffff000u + rnd_below(r, 4096);
    if (rnd_one_in(r, 3))
        return rnd_below(r, 200);
    return rnd_one_in(r, 4) ? number(r) : (uint64_t)getpid();
}

static uint64_t listed(struct random_args *r, const struct flag_list *l)
{
    uint64_t v = l->values[rnd_below(r, (unsigned)l->n)];

    if (rnd_one_in(r, 24))
        return number(r);
    if (!l->combine)
        return v;
    if (rnd_one_in(r, 4))
        return 0;
    while (rnd_one_in(r, 2))
        v |= l->values[rnd_below(r, (unsigned)l->n)];
    return v;
}

/* ---- memory ---- */

/* n bytes of the arena; where they lie at the end of it, the byte behind them cannot be touched. */
static void *place(struct random_args *r, size_t n)
{
    size_t at;

    n = n < ARENA ? n : ARENA;
    switch (rnd_below(r, 4)) {
    case 0:
        at = ARENA - n;
        break;
    case 1: /* across the end of a page */
        at = 4096ul * (1 + rnd_below(r, ARENA / 4096 - 1)) - rnd_below(r, 64);
        break;
    default:
        at = rnd_below(r, ARENA) & ~7u;
    }
    return r->arena + (at + n > ARENA ? ARENA - n : at);
}

static uint64_t bad_pointer(struct random_args *r)
{
    switch (rnd_below(r, 8)) {
    case 0:
        return 0;
    case 1:
        return (uint64_t)r->arena + ARENA - rnd_below(r, 16);
    case 2:
        return (uint64_t)r->arena + ARENA;
    case 3:
        return 0x7ffffffff000ull - rnd_below(r, 32);
    case 4:
        return 0xffff800000000000ull + rnd_below(r, 8192);
    case 5:
        return rnd(r);
    case 6:
        return (uint64_t)(uintptr_t)bad_pointer & ~4095ull; /* cannot be written */
    default:
        return (uint64_t) - (int64_t)rnd_below(r, 4096);
    }
}

/* What is behind an address: words that are small, large, descriptors, pointers. */
static void *words(struct random_args *r, size_t n)
{
    uint8_t *p = place(r, n);

    for (size_t i = 0; i + 8 <= n && i < 512; i += 8) {
        uint64_t w = rnd_one_in(r, 2) ? 0 : rnd_one_in(r, 8) ? (uint64_t)place(r, 64) : number(r);

        memcpy(p + i, &w, 8);
    }
    return p;
}

static void *text(struct random_args *r, const char *s)
{
    char *p = place(r, strlen(s) + 1);

    strcpy(p, s);
    return p;
}

static const char *const paths[] = {
    "a",
    "b",
    "d/c",
    "d",
    "d/e/f",
    "link",
    "loop",
    "fifo",
    "sock",
    ".",
    "..",
    "",
    "/",
    "d/../a",
    "/proc/self",
    "/proc/self/maps",
    "/proc/self/fd",
    "/proc/self/fd/3",
    "/proc/self/stat",
    "/proc/self/mem",
    "/proc/self/exe",
    "/proc/self/cwd/a",
    "/proc/self/root",
    "/proc/self/task",
    "/proc/self/environ",
    "/proc/self/status",
    "/proc/self/mountinfo",
    "/proc/self/oom_score_adj",
    "/proc/self/comm",
    "/proc/self/limits",
    "/proc/thread-self",
    "/proc/meminfo",
    "/proc/1/status",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/hostname",
    "/proc/net/tcp",
    "/proc/net/unix",
    "/proc/mounts",
    "/proc/stat",
    "/proc/cpuinfo",
    "/proc/uptime",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts/0",
    "/dev/fd/4",
    "/dev/shm/x",
    "/etc/passwd",
    "/etc",
    "/bin",
    "/bin/true",
    "/usr/bin",
    "/usr/lib",
    "/sys",
    "/sys/devices",
    "/tmp",
    "/nowhere/x",
    "a/b",
    "/etc/passwd/x",
};

static void *path(struct random_args *r)
{
    if (rnd_one_in(r, 40)) { /* long names, long paths, no end */
        size_t n = rnd_one_in(r, 2) ? 4090 + rnd_below(r, 12) : 250 + rnd_below(r, 12);
        char *p = place(r, n);

        memset(p, rnd_one_in(r, 3) ? '/' : 'x', n);
        if (!rnd_one_in(r, 3))
            p[n - 1] = 0;
        return p;
    }
    if (rnd_one_in(r, 40))
        return words(r, 64);
    return text(r, paths[rnd_below(r, rnd_one_in(r, 2) ? 14 : sizeof paths / sizeof *paths)]);
}

static void *name(struct random_args *r)
{
    static const char *const names[] = { "user.x",
                                         "user.y",
                                         "security.selinux",
                                         "trusted.z",
                                         "tmpfs",
                                         "proc",
                                         "system.posix_acl_access",
                                         "memfd",
                                         "devpts",
                                         "user.",
                                         "" };

    return text(r, names[rnd_below(r, sizeof names / sizeof *names)]);
}

static void *strings(struct random_args *r)
{
    unsigned n = rnd_below(r, rnd_one_in(r, 10) ? 200 : 5);
    char **v = place(r, (n + 1) * sizeof *v);

    for (unsigned i = 0; i < n; i++)
        v[i] = rnd_one_in(r, 20) ? (char *)bad_pointer(r)
                                 : text(r, rnd_one_in(r, 2) ? "-x" : "A=b");
    v[n] = NULL;
    return v;
}

static void *vector(struct random_args *r)
{
    unsigned n = 1 + rnd_below(r, 8);
    struct iovec *v = place(r, n * sizeof *v);

    for (unsigned i = 0; i < n; i++) {
        v[i].iov_len = size(r);
        v[i].iov_base = rnd_one_in(r, 20) ? (void *)bad_pointer(r) : place(r, v[i].iov_len);
    }
    return v;
}

/* ---- structures ---- */

static void *timespec(struct random_args *r, unsigned n)
{
    struct timespec *t = place(r, n * sizeof *t);

    for (unsigned i = 0; i < n; i++) {
        t[i].tv_sec = rnd_one_in(r, 16) ? (time_t)number(r) : 0;
        t[i].tv_nsec = rnd_one_in(r, 16)   ? (long)number(r)
                       : rnd_one_in(r, 16) ? (rnd_one_in(r, 2) ? UTIME_NOW : UTIME_OMIT)
                                           : (long)rnd_below(r, 3000000);
    }
    return t;
}

static void *sockaddr(struct random_args *r)
{
    if (rnd_one_in(r, 2)) {
        struct sockaddr_un *a = place(r, sizeof *a);
        static const char *const names[] = {
            "sock", "sock2", "\0abstract", "", "d/sock", "/dev/log"
        };

        memset(a, 0, sizeof *a);
        a->sun_family = AF_UNIX;
        memcpy(a->sun_path, names[rnd_below(r, 6)], 4);
        if (rnd_one_in(r, 8))
            memset(a->sun_path, 'u', sizeof a->sun_path);
        return a;
    }
    if (rnd_one_in(r, 2)) {
        struct sockaddr_in *a = place(r, sizeof *a);

        memset(a, 0, sizeof *a);
        a->sin_family = rnd_one_in(r, 8) ? AF_UNSPEC : AF_INET;
        a->sin_port = htons((uint16_t)(rnd_one_in(r, 3) ? 0 : 5000 + rnd_below(r, 8)));
        a->sin_addr.s_addr = htonl(rnd_one_in(r, 4) ? (uint32_t)rnd(r) : INADDR_LOOPBACK);
        return a;
    }
    if (rnd_one_in(r, 2)) {
        struct sockaddr_in6 *a = place(r, sizeof *a);

        memset(a, 0, sizeof *a);
        a->sin6_family = AF_INET6;
        a->sin6_port = htons((uint16_t)(5000 + rnd_below(r, 8)));
        a->sin6_addr = in6addr_loopback;
        return a;
    }
    return words(r, 128);
}

/* Control messages: descriptors, credentials, and lengths that are wrong. */
static void control(struct random_args *r, struct msghdr *m)
{
    size_t room = 16 + rnd_below(r, 128);
    struct cmsghdr *c = place(r, room);
    unsigned n = (unsigned)(room - 16) / 4;

    m->msg_control = c;
    m->msg_controllen = rnd_one_in(r, 8) ? number(r) : room;
    c->cmsg_len = rnd_one_in(r, 8) ? number(r) : CMSG_LEN(4ul * (1 + rnd_below(r, 4)));
    c->cmsg_level = rnd_one_in(r, 16) ? (int)number(r) : SOL_SOCKET;
    c->cmsg_type = rnd_one_in(r, 4) ? SCM_CREDENTIALS : SCM_RIGHTS;
    for (unsigned i = 0; i < n; i++) {
        int fd = (int)descriptor(r);

        memcpy(CMSG_DATA(c) + 4ul * i, &fd, 4);
    }
}

static void fill_message(struct random_args *r, struct msghdr *m)
{
    memset(m, 0, sizeof *m);
    if (rnd_one_in(r, 2)) {
        m->msg_name = sockaddr(r);
        m->msg_namelen = (unsigned)(rnd_one_in(r, 4) ? size(r) : 16);
    }
    m->msg_iov = vector(r);
    m->msg_iovlen = rnd_one_in(r, 16) ? number(r) : rnd_below(r, 4);
    if (rnd_one_in(r, 2))
        control(r, m);
}

static void *message(struct random_args *r)
{
    struct msghdr *m = place(r, sizeof *m);

    fill_message(r, m);
    return m;
}

static void *messages(struct random_args *r)
{
    struct mmsghdr *m = place(r, 4 * sizeof *m);

    for (unsigned i = 0; i < 4; i++)
        fill_message(r, &m[i].msg_hdr);
    return m;
}

static void *pollfds(struct random_args *r)
{
    struct pollfd *p = place(r, 8 * sizeof *p);

    for (unsigned i = 0; i < 8; i++) {
        p[i].fd = (int)descriptor(r);
        p[i].events = (short)rnd(r);
    }
    return p;
}

static void *sigaction_of(struct random_args *r)
{
    uint64_t *p = place(r, 32); /* handler, flags, restorer, mask */

    p[0] = rnd_one_in(r, 2) ? rnd_below(r, 2) : (uint64_t)bad_pointer(r);
    p[1] = rnd(r) & 0xdc000007u;
    p[2] = rnd_one_in(r, 2) ? 0 : bad_pointer(r);
    p[3] = rnd(r) & rnd(r);
    return p;
}

static void *event(struct random_args *r)
{
    struct epoll_event *e = place(r, sizeof *e);

    e->events = (uint32_t)(rnd_one_in(r, 4) ? rnd(r) : EPOLLIN | EPOLLOUT | (rnd(r) & EPOLLET));
    e->data.u64 = rnd(r);
    return e;
}

static void *clone_args(struct random_args *r)
{
    uint64_t *p = place(r, 88);

    memset(p, 0, 88);
    p[0] = listed(r, flag_list(K_CLONEFLAGS)) & ~0xffull;
    p[4] = rnd_one_in(r, 4) ? number(r) : SIGCHLD;
    if (rnd_one_in(r, 4)) {
        p[5] = (uint64_t)place(r, 65536);
        p[6] = 65536;
    }
    if (rnd_one_in(r, 8))
        p[rnd_below(r, 11)] = number(r);
    return p;
}

static void *open_how(struct random_args *r)
{
    uint64_t *p = place(r, 24);

    p[0] = listed(r, flag_list(K_OFLAGS));
    p[1] = rnd_one_in(r, 2) ? 0 : 0644;
    p[2] = rnd_one_in(r, 2) ? 0 : rnd_below(r, 64);
    return p;
}

static void *sevent(struct random_args *r)
{
    struct sigevent *e = words(r, sizeof *e);

    e->sigev_notify = (int[]){ SIGEV_SIGNAL, SIGEV_NONE, 4 /* SIGEV_THREAD_ID */,
                               2 }[rnd_below(r, 4)];
    e->sigev_signo = SIGUSR1;
    return e;
}

static void *limit(struct random_args *r)
{
    uint64_t *p = place(r, 16);

    /* Not so low that nothing can be done any more. */
    p[0] = rnd_one_in(r, 8) ? number(r) : 64 + rnd(r) % (1u << 30);
    p[1] = rnd_one_in(r, 8) ? number(r) : p[0] | 1u << 30;
    return p;
}

/* ---- by kind ---- */

static void *pointee(struct random_args *r, enum arg_kind kind)
{
    switch (kind) {
    case K_PATH:
        return path(r);
    case K_STR:
        return name(r);
    case K_ARGV:
    case K_ENVP:
        return strings(r);
    case K_IOV_I:
    case K_IOV_O:
        return vector(r);
    case K_TS_I:
    case K_TS2_I:
    case K_TV_I:
    case K_TV2_I:
    case K_ITV_I:
    case K_ITS_I:
    case K_FUTEXARG:
        return timespec(r, 2);
    case K_SADDR_I:
        return sockaddr(r);
    case K_MSG_I:
    case K_MSG_O:
        return message(r);
    case K_MMSG_I:
    case K_MMSG_O:
        return messages(r);
    case K_POLLFDS:
        return pollfds(r);
    case K_SIGACT_I:
        return sigaction_of(r);
    case K_EPEVENT_I:
        return event(r);
    case K_CLONEARGS_I:
        return clone_args(r);
    case K_OPENHOW_I:
        return open_how(r);
    case K_SIGEVENT_I:
        return sevent(r);
    case K_RLIMIT_I:
        return limit(r);
    default:
        return words(r, 64 + rnd_below(r, 512));
    }
}

/* Is it an address of the guest that the call follows? */
static bool is_pointer(enum arg_kind k)
{
    return k >= K_PTR && k <= K_OPENHOW_I;
}

uint64_t rnd_arg(struct random_args *r, enum arg_kind kind, const uint64_t *args, unsigned nargs)
{
    const struct flag_list *l = flag_list(kind);

    if (rnd_one_in(r, 64)) /* anything at all, also in the upper half of what is 32 bits wide */
        return number(r);
    if (l)
        return listed(r, l);
    switch (kind) {
    case K_FD:
    case K_UFD:
        return descriptor(r);
    case K_DIRFD:
        return rnd_one_in(r, 2) ? (uint64_t)AT_FDCWD : descriptor(r);
    case K_PID:
        return pid(r);
    case K_SIZE:
    case K_ULONG:
        return kind == K_ULONG && !rnd_one_in(r, 8) ? rnd_below(r, 8) : size(r);
    case K_OFF:
        return offset(r);
    case K_ADDR:
        return rnd_one_in(r, 8) ? bad_pointer(r) : (uint64_t)place(r, 65536) & ~4095ull;
    case K_FCNTLARG:
    case K_IOCTLARG:
        return rnd_one_in(r, 2) ? number(r) : (uint64_t)words(r, 256);
    case K_LENP: {
        uint32_t *p = place(r, 4);

        *p = rnd_one_in(r, 8) ? (uint32_t)number(r) : 16 + rnd_below(r, 112);
        return (uint64_t)p;
    }
    case K_INT: /* also a time in milliseconds */
        return rnd_one_in(r, 8) ? number(r) : rnd_below(r, 32);
    default:
        break;
    }
    if (!is_pointer(kind)) {
        (void)args, (void)nargs;
        return number(r);
    }
    if (rnd_one_in(r, 10))
        return bad_pointer(r);
    return rnd_one_in(r, 12) ? 0 : (uint64_t)pointee(r, kind);
}
