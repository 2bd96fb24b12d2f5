/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connected TCP sockets of the host's, lent to the stub whose threads use them, so that the bytes need not
 * come by here (docs/decisions/sockets-lent-to-stubs.md). A socket is lent to one process, by one of its
 * descriptors: to the first that sends or receives by it. The same socket stays here as well: who waits by
 * epoll, sets options, has it by another descriptor or in another process does it here.
 *
 * A process's threads may use what was lent when they have the descriptor table by whose numbers it was
 * (mm->lend_files). That one belongs to threads of one process then: files_unlend sees to it.
 */
#include <fcntl.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/net/host.h"
#include "sentry/vfs/file.h"

static struct lock lend_lock = { .class = LOCK_LEAF }; /* isock.host.lent of all, mm.lend_files */

static bool is_move(uint64_t nr)
{
    return nr == 0 /* read */ || nr == 1 /* write */ || nr == 44 /* sendto */ ||
           nr == 45 /* recvfrom */;
}

static unsigned how_of(const struct sock *sk)
{
    unsigned how = 0;

    if (atomic_load(&sk->file.flags) & O_NONBLOCK)
        how |= LENT_HOW_NONBLOCK;
    if (sk->rcvtimeo == KTIME_NEVER && sk->rcvlowat == 1)
        how |= LENT_HOW_IN_WAITS;
    if (sk->sndtimeo == KTIME_NEVER)
        how |= LENT_HOW_OUT_WAITS;
    return how;
}

struct loan {
    struct task *t;
    int fd, n;
    bool taken;
};

/* files->lock held, and so fd is the socket's. */
static void lent(struct file *f, void *arg)
{
    struct loan *l = arg;
    struct isock *s = inet_sk(file_sock(f));
    struct task *t = l->t;

    LOCK_SCOPE(&lend_lock);
    if (s->host.lent.files || (t->mm->lend_files && t->mm->lend_files != t->files))
        return;
    t->mm->lend_files = t->files;
    s->host.lent.files = t->files;
    s->host.lent.as = t->mm->as;
    s->host.lent.gfd = l->fd;
    s->host.lent.n = l->n;
    l->taken = true;
}

/* As what is to be so from now on is set under the lock, nobody who changes it is missed. */
static void use(struct task *t, struct isock *s, int fd)
{
    LOCK_SCOPE(&lend_lock);
    if (s->host.lent.files != t->files || s->host.lent.as != t->mm->as || s->host.lent.gfd != fd)
        return;
    s->host.lent.on = true;
    kernel.platform->as_lent(t->mm->as, (unsigned)fd, s->host.lent.n, how_of(&s->sk));
    kernel.platform->ctx_lends(t->ctx, true);
}

static bool is_lent(struct isock *s)
{
    LOCK_SCOPE(&lend_lock);
    return s->host.lent.files;
}

void host_lend(struct task *t, struct sock *sk, int fd)
{
    struct isock *s = inet_sk(sk);
    struct loan l = { .t = t, .fd = fd };

    if (!kernel.platform->ctx_lend || kernel.strace || !t->files || !is_move(t->call.nr) ||
        sk->state != SOCK_HOST || s->host.fd < 0 || sk->err)
        return;
    if (!is_lent(s)) {
        l.n = kernel.platform->ctx_lend(t->ctx, s->host.fd);
        if (l.n < 0)
            return;
        fd_lend(t, fd, &sk->file, lent, &l);
        if (!l.taken) {
            kernel.platform->as_unlend(t->mm->as, UINT32_MAX, l.n);
            return;
        }
    }
    use(t, s, fd);
}

void host_unlend(struct sock *sk, bool gone)
{
    struct isock *s = inet_sk(sk);

    LOCK_SCOPE(&lend_lock);
    if (!s->host.lent.files)
        return;
    if (gone) {
        kernel.platform->as_unlend(s->host.lent.as, (unsigned)s->host.lent.gfd, s->host.lent.n);
        s->host.lent.files = NULL;
    } else if (s->host.lent.on) {
        kernel.platform->as_lent(s->host.lent.as, (unsigned)s->host.lent.gfd, 0, 0);
    }
    s->host.lent.on = false;
}

/* ---- how much ---- */

static uint64_t word(struct ctx *c, enum ctx_word w)
{
    return kernel.platform->ctx_word(c, w);
}

static int add_group(struct tgroup *g, void *arg)
{
    uint64_t *sums = arg;
    struct task *t;

    list_for_each(t, &g->tasks, group_link) {
        if (t->ctx) {
            sums[0] += word(t->ctx, CW_RECEIVED);
            sums[1] += word(t->ctx, CW_SENT);
        }
    }
    return 0;
}

void host_lent_traffic(uint64_t *received, uint64_t *sent)
{
    uint64_t sums[2] = { *received, *sent };

    lock(&kernel.tasks_lock);
    tgroup_each_locked(NULL, add_group, sums);
    unlock(&kernel.tasks_lock);
    *received = sums[0];
    *sent = sums[1];
}

void host_lent_over(struct ctx *c)
{
    if (kernel.platform->ctx_lend)
        host_count(word(c, CW_RECEIVED), word(c, CW_SENT));
}
