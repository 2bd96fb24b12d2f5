/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners: their lives, and whether an answer takes its caller along to the worker's cpu. */
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "abi/hostio.h"
#include "platform/trap/trap.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#define SYNC_WAKE_UP 1

/* A nudge (SIG_NUDGE) interrupts them, and an answer that is not given is a thread that waits for ever. */
int notif_ioctl(int fd, unsigned long cmd, void *arg)
{
    int r;

    do
        r = ioctl(fd, cmd, arg);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

int listener_sync(struct listener *l, bool on)
{
    return trap.use_sync && ioctl(l->fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, on ? SYNC_WAKE_UP : 0) < 0
               ? -errno
               : 0;
}

/*
 * A synchronous answer takes its caller to our cpu. That is where it was, but when the worker was busy
 * with another context of its listener as the bell rang: so all that share one would end up on one
 * cpu. Who has worked for long since its last call is left where it is: waking another cpu costs some
 * 50 us, and does not pay for those that call all the time.
 */
#define WORKED_LONG 100000 /* tsc, some 40 us */

bool listener_apart(const struct ctx *c)
{
    if (!trap.use_sync || atomic_load(&c->l->spun_on) ||
        atomic_load_explicit(&c->l->nctx, memory_order_relaxed) <= 1 ||
        __builtin_ia32_rdtsc() - c->answered < WORKED_LONG)
        return false;
    return hostio_cpu() != __atomic_load_n(&c->block->cpu, __ATOMIC_RELAXED);
}

struct listener *listener_new(int fd)
{
    struct listener *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    l->fd = fd;
    l->refs = 1;
    l->begin_cpu = -1;
    tlist_init(&l->dying);
    tlist_init(&l->waiting);
    if (fd >= 0 && listener_sync(l, true) < 0)
        trap.use_sync = false;
    return l;
}

void listener_ref(struct listener *l)
{
    atomic_fetch_add(&l->refs, 1);
}

void listener_put(struct listener *l)
{
    if (atomic_fetch_sub(&l->refs, 1) != 1)
        return;
    if (l->fd >= 0)
        close(l->fd);
    free(l);
}

void listener_lost_stub(struct listener *l)
{
    if (atomic_fetch_sub(&l->nstubs, 1) != 1)
        return;
    atomic_store(&l->dead, true);
    listener_ref(l);
    pthread_mutex_lock(&trap.lock);
    tlist_add(&trap.dying, &l->dying);
    pthread_mutex_unlock(&trap.lock);
}

void listener_retire(struct listener *l)
{
    atomic_store(&l->dead, true);
    while (atomic_load(&l->has_leader)) {
        pthread_mutex_lock(&trap.lock);
        if (atomic_load(&l->has_leader))
            pthread_kill(l->leader, SIG_NUDGE);
        pthread_mutex_unlock(&trap.lock);
        hostio_nap(1000000);
    }
    close(l->fd); /* at once: who led it once may hold its reference for long */
    l->fd = -1;
}
