/* SPDX-License-Identifier: Apache-2.0 */
/*
 * userfaultfds without anybody who answers, or who answers when it suits: threads wait in calls and in
 * guest code for pages that are unmapped, moved, given back and registered anew meanwhile; some fork,
 * some take the stub's own call for one; all end, or are ended, with faults pending.
 *
 *     faults [SEED [CHILDREN]]
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/uffd.h"
#include "crew.h"
#include "stub.h"

#define PAGE 4096ul
#define PAGES 32
#define ROUNDS 400
#define FLAGS (O_CLOEXEC | O_NONBLOCK)

static uint64_t seed;
static char *mem;
static int fds[4], pipes[2], pair[2];
static volatile unsigned
    *counts; /* shared: calls that were answered, pages, own ones of a stub, slots */

static char *page_at(uint64_t n)
{
    return mem + n % PAGES * PAGE;
}

/* What waits, or does not. */
static void touch_by_call(uint64_t n, uint64_t *s)
{
    char *at = page_at(n);
    struct iovec iov[2] = { { at, 100 }, { page_at(n + 3), 2 * PAGE } };
    struct msghdr h = { .msg_name = at, .msg_namelen = 16, .msg_iov = iov, .msg_iovlen = 2 };
    struct timespec now = { 0, 1000 };

    switch (rnd(s) % 10) {
    case 0:
        (void)!write(pipes[1], at, 10);
        break;
    case 1:
        (void)!read(pipes[0], at, 3 * PAGE);
        break;
    case 2:
        sendmsg(pair[0], &h, MSG_DONTWAIT);
        break;
    case 3:
        recvmsg(pair[1], &h, MSG_DONTWAIT);
        break;
    case 4:
        (void)!open(at, O_RDONLY);
        break;
    case 5: /* the sentry has the stub's own code exchange the word */
        syscall(SYS_futex, at, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, &now, NULL, 0);
        break;
    case 6:
        syscall(SYS_process_vm_readv, getpid(), iov, 1, iov + 1, 1, 0);
        break;
    case 7:
        sigprocmask(SIG_BLOCK, (sigset_t *)at, NULL);
        break;
    case 8:
        sigaltstack(&(stack_t){ .ss_sp = at, .ss_size = 2 * PAGE }, NULL);
        raise(SIGUSR1);
        break;
    default:
        syscall(SYS_poll, at, 4, 0);
        break;
    }
    __atomic_fetch_add(&counts[0], 1, __ATOMIC_RELAXED);
}

static void *waiter(void *arg)
{
    uint64_t s = (uintptr_t)arg;

    for (int i = 0; i < ROUNDS; i++) {
        if (rnd(&s) % 3)
            touch_by_call(rnd(&s), &s);
        else
            *(volatile char *)page_at(rnd(&s)) = 1;
    }
    return NULL;
}

/* Answers one in some, and not always the one that was asked for. */
static void answer(int fd, uint64_t *s)
{
    struct lx_uffd_msg m[4];
    char page[PAGE];
    ssize_t n = read(fd, m, sizeof m);

    memset(page, 'x', sizeof page);
    for (unsigned i = 0; n > 0 && i < (size_t)n / sizeof *m; i++) {
        uint64_t at = rnd(s) % 8 ? m[i].fault.address : (uintptr_t)page_at(rnd(s));
        struct lx_uffdio_copy c = {
            .dst = at & ~(PAGE - 1), .src = (uintptr_t)page, .len = PAGE, .mode = rnd(s) % 3
        };
        struct lx_uffdio_range r = { c.dst, PAGE };

        if (rnd(s) % 8 == 0)
            continue;
        ioctl(fd, LX_UFFDIO_COPY, &c);
        if (rnd(s) % 2)
            ioctl(fd, LX_UFFDIO_WAKE, &r);
        __atomic_fetch_add(&counts[1], 1, __ATOMIC_RELAXED);
    }
}

/* The memory changes, as it may. */
static void change(uint64_t *s)
{
    char *at = page_at(rnd(s));
    struct lx_uffdio_register g = { { (uintptr_t)at, (1 + rnd(s) % 4) * PAGE }, 1 + rnd(s) % 3, 0 };
    struct lx_uffdio_range r = { (uintptr_t)at, PAGE };
    int fd = fds[rnd(s) % 4];

    switch (rnd(s) % 10) {
    case 0:
        munmap(at, PAGE);
        break;
    case 1:
        mmap(at, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        break;
    case 2:
        mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page_at(rnd(s)));
        break;
    case 3:
        mprotect(at, PAGE, (int)(rnd(s) % 4));
        break;
    case 4:
    case 5:
        madvise(at, 4 * PAGE, MADV_DONTNEED);
        break;
    case 6:
        ioctl(fd, LX_UFFDIO_UNREGISTER, &r);
        break;
    case 7:
        g.range.start = rnd(s); /* anything */
        ioctl(fd, LX_UFFDIO_REGISTER, &g);
        break;
    default:
        ioctl(fd, LX_UFFDIO_REGISTER, &g);
        break;
    }
}

/* Blob, block and channel are nobody's to register or to fill. */
static void reach_slot(int fd)
{
    struct lx_uffdio_register g = { { stub.slot, 0 }, 1, 0 };
    struct lx_uffdio_fill z = { .range = { stub.slot + CHANNEL_OFF, PAGE } };

    for (uint64_t at = stub.slot; at < stub.slot + CHANNEL_OFF + 4 * PAGE; at += CHANNEL_OFF) {
        g.range = (struct lx_uffdio_range){ at, PAGE };
        if (ioctl(fd, LX_UFFDIO_REGISTER, &g) == 0)
            __atomic_fetch_add(&counts[3], 1, __ATOMIC_RELAXED);
    }
    if (ioctl(fd, LX_UFFDIO_ZEROPAGE, &z) == 0)
        __atomic_fetch_add(&counts[3], 1, __ATOMIC_RELAXED);
}

static void no_op(int sig)
{
    (void)sig;
}

static void child(uint64_t i)
{
    uint64_t s = seed + i * 7919;
    struct lx_uffdio_api a;
    pthread_t th;

    signal(SIGUSR1, no_op);
    mem = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mem == MAP_FAILED || pipe2(pipes, O_NONBLOCK) || socketpair(AF_UNIX, SOCK_DGRAM, 0, pair))
        end_hard(1);
    for (int k = 0; k < 4; k++) {
        struct lx_uffdio_register g = { { (uintptr_t)page_at((unsigned)k * 8u), 8 * PAGE }, 1, 0 };

        a = (struct lx_uffdio_api){ .api = LX_UFFD_API };
        fds[k] = (int)syscall(SYS_userfaultfd, FLAGS | (k == 3));
        if (fds[k] < 0 || ioctl(fds[k], LX_UFFDIO_API, &a) < 0)
            end_hard(2);
        ioctl(fds[k], LX_UFFDIO_REGISTER, &g);
    }
    reach_slot(fds[0]);
    /* one of the stub's own: it is told of this memory, and nothing waits for it */
    if (by_blob(SYS_userfaultfd, FLAGS | 1, 0, 0, 0, 0, 0) >= 0)
        __atomic_fetch_add(&counts[2], 1, __ATOMIC_RELAXED);
    for (unsigned k = 0; k < 3; k++)
        pthread_create(&th, NULL, waiter, (void *)(uintptr_t)(rnd(&s) | 1));
    for (int k = 0; k < ROUNDS; k++) {
        change(&s);
        if (i % 4) /* else nobody ever answers */
            answer(fds[rnd(&s) % 4], &s);
        usleep(500);
        if (rnd(&s) % 64 == 0 && fork() == 0) {
            answer(fds[0], &s);
            end_hard(0);
        }
    }
    if (i % 2) /* let it be ended from outside */
        touch_by_call(0, &s);
    end_hard(0);
}

bool faults_all(int argc, char **argv)
{
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 0) : 48;
    int sys = open("/proc/sys/vm/unprivileged_userfaultfd", O_WRONLY);
    int probe = (int)syscall(SYS_userfaultfd, 1);
    bool fine;

    seed = seed_of(argc, argv);
    counts = shared_new(PAGE);
    if (probe < 0) {
        printf("faults: no userfaultfd here (errno %d)\n", errno);
        return errno == EPERM;
    }
    close(probe);
    if (write(sys, "1", 1) != 1)
        return false;
    close(sys);
    fine = pool_run(child, n, 1500);
    printf("faults: %u calls went on, %u answers, %u of a stub's own, %u that should not be\n",
           counts[0], counts[1], counts[2], counts[3]);
    return fine && counts[0] && counts[1] && !counts[3];
}
