/* SPDX-License-Identifier: Apache-2.0 */
/* Random structures, and the argument of a kind: see random_args.h. */
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
#include "random_priv.h"

/* ---- structures ---- */

static void *timespec(struct random_args *r, unsigned n)
{
    struct timespec *t = rnd_place(r, n * sizeof *t);

    for (unsigned i = 0; i < n; i++) {
        t[i].tv_sec = rnd_one_in(r, 16) ? (time_t)rnd_number(r) : 0;
        t[i].tv_nsec = rnd_one_in(r, 16)   ? (long)rnd_number(r)
                       : rnd_one_in(r, 16) ? (rnd_one_in(r, 2) ? UTIME_NOW : UTIME_OMIT)
                                           : (long)rnd_below(r, 3000000);
    }
    return t;
}

static void *sockaddr(struct random_args *r)
{
    if (rnd_one_in(r, 2)) {
        struct sockaddr_un *a = rnd_place(r, sizeof *a);
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
        struct sockaddr_in *a = rnd_place(r, sizeof *a);

        memset(a, 0, sizeof *a);
        a->sin_family = rnd_one_in(r, 8) ? AF_UNSPEC : AF_INET;
        a->sin_port = htons((uint16_t)(rnd_one_in(r, 3) ? 0 : 5000 + rnd_below(r, 8)));
        a->sin_addr.s_addr = htonl(rnd_one_in(r, 4) ? (uint32_t)rnd(r) : INADDR_LOOPBACK);
        return a;
    }
    if (rnd_one_in(r, 2)) {
        struct sockaddr_in6 *a = rnd_place(r, sizeof *a);

        memset(a, 0, sizeof *a);
        a->sin6_family = AF_INET6;
        a->sin6_port = htons((uint16_t)(5000 + rnd_below(r, 8)));
        a->sin6_addr = in6addr_loopback;
        return a;
    }
    return rnd_words(r, 128);
}

/* Control messages: descriptors, credentials, and lengths that are wrong. */
static void control(struct random_args *r, struct msghdr *m)
{
    size_t room = 16 + rnd_below(r, 128);
    struct cmsghdr *c = rnd_place(r, room);
    unsigned n = (unsigned)(room - 16) / 4;

    m->msg_control = c;
    m->msg_controllen = rnd_one_in(r, 8) ? rnd_number(r) : room;
    c->cmsg_len = rnd_one_in(r, 8) ? rnd_number(r) : CMSG_LEN(4ul * (1 + rnd_below(r, 4)));
    c->cmsg_level = rnd_one_in(r, 16) ? (int)rnd_number(r) : SOL_SOCKET;
    c->cmsg_type = rnd_one_in(r, 4) ? SCM_CREDENTIALS : SCM_RIGHTS;
    for (unsigned i = 0; i < n; i++) {
        int fd = (int)rnd_descriptor(r);

        memcpy(CMSG_DATA(c) + 4ul * i, &fd, 4);
    }
}

static void fill_message(struct random_args *r, struct msghdr *m)
{
    memset(m, 0, sizeof *m);
    if (rnd_one_in(r, 2)) {
        m->msg_name = sockaddr(r);
        m->msg_namelen = (unsigned)(rnd_one_in(r, 4) ? rnd_size(r) : 16);
    }
    m->msg_iov = rnd_vector(r);
    m->msg_iovlen = rnd_one_in(r, 16) ? rnd_number(r) : rnd_below(r, 4);
    if (rnd_one_in(r, 2))
        control(r, m);
}

static void *message(struct random_args *r)
{
    struct msghdr *m = rnd_place(r, sizeof *m);

    fill_message(r, m);
    return m;
}

static void *messages(struct random_args *r)
{
    struct mmsghdr *m = rnd_place(r, 4 * sizeof *m);

    for (unsigned i = 0; i < 4; i++)
        fill_message(r, &m[i].msg_hdr);
    return m;
}

static void *pollfds(struct random_args *r)
{
    struct pollfd *p = rnd_place(r, 8 * sizeof *p);

    for (unsigned i = 0; i < 8; i++) {
        p[i].fd = (int)rnd_descriptor(r);
        p[i].events = (short)rnd(r);
    }
    return p;
}

static void *sigaction_of(struct random_args *r)
{
    uint64_t *p = rnd_place(r, 32); /* handler, flags, restorer, mask */

    p[0] = rnd_one_in(r, 2) ? rnd_below(r, 2) : (uint64_t)rnd_bad_pointer(r);
    p[1] = rnd(r) & 0xdc000007u;
    p[2] = rnd_one_in(r, 2) ? 0 : rnd_bad_pointer(r);
    p[3] = rnd(r) & rnd(r);
    return p;
}

static void *event(struct random_args *r)
{
    struct epoll_event *e = rnd_place(r, sizeof *e);

    e->events = (uint32_t)(rnd_one_in(r, 4) ? rnd(r) : EPOLLIN | EPOLLOUT | (rnd(r) & EPOLLET));
    e->data.u64 = rnd(r);
    return e;
}

static void *clone_args(struct random_args *r)
{
    uint64_t *p = rnd_place(r, 88);

    memset(p, 0, 88);
    p[0] = rnd_listed(r, flag_list(K_CLONEFLAGS)) & ~0xffull;
    p[4] = rnd_one_in(r, 4) ? rnd_number(r) : SIGCHLD;
    if (rnd_one_in(r, 4)) {
        p[5] = (uint64_t)rnd_place(r, 65536);
        p[6] = 65536;
    }
    if (rnd_one_in(r, 8))
        p[rnd_below(r, 11)] = rnd_number(r);
    return p;
}

static void *open_how(struct random_args *r)
{
    uint64_t *p = rnd_place(r, 24);

    p[0] = rnd_listed(r, flag_list(K_OFLAGS));
    p[1] = rnd_one_in(r, 2) ? 0 : 0644;
    p[2] = rnd_one_in(r, 2) ? 0 : rnd_below(r, 64);
    return p;
}

static void *sevent(struct random_args *r)
{
    struct sigevent *e = rnd_words(r, sizeof *e);

    e->sigev_notify = (int[]){ SIGEV_SIGNAL, SIGEV_NONE, 4 /* SIGEV_THREAD_ID */,
                               2 }[rnd_below(r, 4)];
    e->sigev_signo = SIGUSR1;
    return e;
}

static void *limit(struct random_args *r)
{
    uint64_t *p = rnd_place(r, 16);

    /* Not so low that nothing can be done any more. */
    p[0] = rnd_one_in(r, 8) ? rnd_number(r) : 64 + rnd(r) % (1u << 30);
    p[1] = rnd_one_in(r, 8) ? rnd_number(r) : p[0] | 1u << 30;
    return p;
}

/* ---- by kind ---- */

static void *pointee(struct random_args *r, enum arg_kind kind)
{
    switch (kind) {
    case K_PATH:
        return rnd_path(r);
    case K_STR:
        return rnd_name(r);
    case K_ARGV:
    case K_ENVP:
        return rnd_strings(r);
    case K_IOV_I:
    case K_IOV_O:
        return rnd_vector(r);
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
        return rnd_words(r, 64 + rnd_below(r, 512));
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
        return rnd_number(r);
    if (l)
        return rnd_listed(r, l);
    switch (kind) {
    case K_FD:
    case K_UFD:
        return rnd_descriptor(r);
    case K_DIRFD:
        return rnd_one_in(r, 2) ? (uint64_t)AT_FDCWD : rnd_descriptor(r);
    case K_PID:
        return rnd_pid(r);
    case K_SIZE:
    case K_ULONG:
        return kind == K_ULONG && !rnd_one_in(r, 8) ? rnd_below(r, 8) : rnd_size(r);
    case K_OFF:
        return rnd_offset(r);
    case K_ADDR:
        return rnd_one_in(r, 8) ? rnd_bad_pointer(r) : (uint64_t)rnd_place(r, 65536) & ~4095ull;
    case K_FCNTLARG:
    case K_IOCTLARG:
        return rnd_one_in(r, 2) ? rnd_number(r) : (uint64_t)rnd_words(r, 256);
    case K_LENP: {
        uint32_t *p = rnd_place(r, 4);

        *p = rnd_one_in(r, 8) ? (uint32_t)rnd_number(r) : 16 + rnd_below(r, 112);
        return (uint64_t)p;
    }
    case K_INT: /* also a time in milliseconds */
        return rnd_one_in(r, 8) ? rnd_number(r) : rnd_below(r, 32);
    default:
        break;
    }
    if (!is_pointer(kind)) {
        (void)args, (void)nargs;
        return rnd_number(r);
    }
    if (rnd_one_in(r, 10))
        return rnd_bad_pointer(r);
    return rnd_one_in(r, 12) ? 0 : (uint64_t)pointee(r, kind);
}
