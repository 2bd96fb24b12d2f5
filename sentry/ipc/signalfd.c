/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signalfd. The file holds a mask and nothing else: what is read are the signals pending for the
 * task that reads (and for its group), as on Linux. So a poll needs to know whose they are:
 * poll_table.task; who asks without one is told nothing.
 *
 * Locks: kernel.tasks_lock guards the mask and all signal state; waiters stand on the reading
 * task's own signalfd_wq, which is woken under the same lock.
 */
#include "sentry/ipc/signalfd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "sentry/kernel/async.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"

struct signalfd {
    sigset64 mask; /* LOCK_TASKS */
};

static void encode_timer_or_rt(const struct lx_siginfo *in, struct signalfd_siginfo *out)
{
    if (in->code == SI_TIMER) {
        out->ssi_tid = (uint32_t)in->timer.tid;
        out->ssi_overrun = (uint32_t)in->timer.overrun;
        out->ssi_ptr = in->timer.value;
        out->ssi_int = (int32_t)in->timer.value;
        return;
    }
    out->ssi_pid = (uint32_t)in->rt.pid;
    out->ssi_uid = in->rt.uid;
    if (in->code == SI_QUEUE || in->code == SI_MESGQ || in->code < SI_TKILL) {
        out->ssi_ptr = in->rt.value;
        out->ssi_int = (int32_t)in->rt.value;
    }
}

static void signalfd_encode(const struct lx_siginfo *in, struct signalfd_siginfo *out)
{
    memset(out, 0, sizeof *out);
    out->ssi_signo = (uint32_t)in->signo;
    out->ssi_errno = in->err;
    out->ssi_code = in->code;
    if (in->code <= 0 || in->code == SI_KERNEL) {
        encode_timer_or_rt(in, out);
        return;
    }
    switch (in->signo) {
    case SIGCHLD:
        out->ssi_pid = (uint32_t)in->chld.pid;
        out->ssi_uid = in->chld.uid;
        out->ssi_status = in->chld.status;
        out->ssi_utime = (uint64_t)in->chld.utime;
        out->ssi_stime = (uint64_t)in->chld.stime;
        break;
    case SIGILL:
    case SIGFPE:
    case SIGSEGV:
    case SIGBUS:
    case SIGTRAP:
        out->ssi_addr = in->fault.addr;
        out->ssi_addr_lsb = (uint16_t)in->fault.addr_lsb;
        break;
    case SIGSYS:
        out->ssi_call_addr = in->sys.call_addr;
        out->ssi_syscall = in->sys.syscall;
        out->ssi_arch = in->sys.arch;
        break;
    default: /* SIGIO and its like; the layout of kill for the rest */
        if (in->signo == SIGIO || in->code >= POLL_IN) {
            out->ssi_band = (uint32_t)in->poll.band;
            out->ssi_fd = in->poll.fd;
        } else {
            encode_timer_or_rt(in, out);
        }
    }
}

static ssize_t signalfd_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)pos;
    struct signalfd *s = f->priv;
    struct task *who = async_thread(t);
    struct signalfd_siginfo out;
    ssize_t sum = 0;
    if (!who)
        return -EAGAIN;
    if (it->left < sizeof out)
        return -EINVAL;
    while (it->left >= sizeof out) {
        struct lx_siginfo info;
        lock(&kernel.tasks_lock);
        int sig = signal_dequeue_locked(who, s->mask, &info);
        if (!sig) {
            int r = 0;
            if (!sum)
                r = file_nonblock(f) ? -EAGAIN : task_wait(t, &who->signalfd_wq, 0);
            unlock(&kernel.tasks_lock);
            return sum ? sum : r;
        }
        unlock(&kernel.tasks_lock);
        signalfd_encode(&info, &out);
        if (iter_put(it, &out, sizeof out) != sizeof out)
            return sum ? sum : -EFAULT;
        sum += sizeof out;
    }
    return sum;
}

static uint32_t signalfd_poll(struct file *f, struct poll_table *pt)
{
    struct signalfd *s = f->priv;
    if (!pt || !pt->task)
        return 0;
    poll_wait(pt, &pt->task->signalfd_wq);
    LOCK_SCOPE(&kernel.tasks_lock);
    return signal_pending_set_locked(pt->task) & s->mask ? POLLIN : 0;
}

static size_t signalfd_fdinfo(struct file *f, char *buf, size_t cap)
{
    struct signalfd *s = f->priv;
    LOCK_SCOPE(&kernel.tasks_lock);
    int n = snprintf(buf, cap, "sigmask:\t%016" PRIx64 "\n", s->mask);
    return n < 0 ? 0 : MIN((size_t)n, cap);
}

static void signalfd_release(struct file *f)
{
    kfree(f->priv);
}

const struct file_ops signalfd_ops = {
    .name = "signalfd",
    .read = signalfd_read,
    .poll = signalfd_poll,
    .fdinfo = signalfd_fdinfo,
    .release = signalfd_release,
};

struct file *signalfd_new(sigset64 mask, unsigned flags)
{
    struct signalfd *s = kzalloc(sizeof *s);
    if (!s)
        return ERR_PTR(-ENOMEM);
    s->mask = mask & ~SIG_UNBLOCKABLE;
    struct file *f = anon_file_new("signalfd", &signalfd_ops, s, O_RDWR | (flags & O_NONBLOCK));
    if (IS_ERR(f))
        kfree(s);
    else
        f->mode |= FMODE_STREAM;
    return f;
}

int signalfd_set_mask(struct task *t, struct file *f, sigset64 mask)
{
    if (f->ops != &signalfd_ops)
        return -EINVAL;
    struct signalfd *s = f->priv;
    LOCK_SCOPE(&kernel.tasks_lock);
    s->mask = mask & ~SIG_UNBLOCKABLE;
    wq_wake_all(&t->signalfd_wq, POLLIN);
    return 0;
}
