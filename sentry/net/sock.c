/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common part of all sockets: making one, the file operations that lead to sock_ops, waking and
 * waiting. A socket file lives on "sockfs", so that fstat says S_IFSOCK and every socket has an
 * inode number of its own; sockfs is mounted nowhere.
 */
#include "sentry/net/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/mm/copy.h"
#include "sentry/net/cbpf.h"
#include "sentry/net/scm.h"
#include "sentry/vfs/vfs.h"

static void refused_quietly(const char *what)
{
    (void)what;
}

void (*net_refused_note)(const char *) = refused_quietly;
_Atomic uint64_t net_lo_bytes, net_lo_packets;

static struct {
    pthread_once_t once;
    struct super *sb;
    struct lock lock; /* LOCK_NET; guards all */
    struct list all;  /* sock.all_link */
} socks = { .once = PTHREAD_ONCE_INIT };

static const struct super_ops sockfs_ops;

static void socks_init(void)
{
    lock_init(&socks.lock, LOCK_NET);
    list_init(&socks.all);
    socks.sb = super_new("sockfs", &sockfs_ops, 0x534F434B);
}

static struct inode *sock_inode(struct task *t)
{
    struct inode *ino = NULL;

    if (socks.sb)
        ino = inode_new(socks.sb, NULL, NULL, S_IFSOCK | 0777, 0);
    if (ino && t) {
        ino->uid = t->cred->fsuid;
        ino->gid = t->cred->fsgid;
    }
    return ino;
}

struct sock *sock_new(struct task *t, size_t n, const struct sock_ops *ops, int family, int type,
                      int protocol)
{
    struct file *f;
    struct inode *ino;
    struct sock *sk;

    pthread_once(&socks.once, socks_init);
    ino = sock_inode(t);
    if (!ino)
        return ERR_PTR(-ENOMEM);
    f = file_new_sized(n, &sock_file_ops, O_RDWR);
    if (IS_ERR(f)) {
        inode_put(ino);
        return (struct sock *)f;
    }
    f->no_notify = true;
    f->mode |= FMODE_READ | FMODE_WRITE | FMODE_STREAM;
    f->inode = ino;
    sk = file_sock(f);
    sk->ops = ops;
    sk->family = family;
    sk->type = type;
    sk->protocol = protocol;
    lock_init(&sk->own_lock, LOCK_SOCKET);
    wq_init(&sk->rd_wq);
    wq_init(&sk->wr_wq);
    wq_init(&sk->poll_wq);
    list_init(&sk->acceptq);
    list_init(&sk->accept_link);
    sk->sndbuf = sk->rcvbuf = 212992;
    sk->rcvlowat = 1;
    sk->incoming_cpu = sk->peek_off = -1;
    sk->rcvtimeo = sk->sndtimeo = KTIME_NEVER;
    sk->passrights = true;
    sk->uid = ino->uid;
    lock(&socks.lock);
    list_add_tail(&socks.all, &sk->all_link);
    unlock(&socks.lock);
    return sk;
}

static void sock_release(struct file *f)
{
    struct sock *sk = file_sock(f);

    lock(&socks.lock);
    list_del(&sk->all_link);
    unlock(&socks.lock);
    sk->ops->release(sk);
    cbpf_free(atomic_load(&sk->filter));
    peer_clear(&sk->peer);
    wq_done(&sk->rd_wq);
    wq_done(&sk->wr_wq);
    wq_done(&sk->poll_wq);
    lock_done(&sk->own_lock);
}

bool sock_tryref(struct sock *sk)
{
    int refs = atomic_load(&sk->file.refs);

    while (refs > 0)
        if (atomic_compare_exchange_weak(&sk->file.refs, &refs, refs + 1))
            return true;
    return false;
}

struct sock *call_sock(struct task *t, int fd)
{
    struct file *f = call_file(t, 0, fd);

    if (IS_ERR(f))
        return (struct sock *)f;
    return f->ops == &sock_file_ops ? file_sock(f) : ERR_PTR(-ENOTSOCK);
}

bool file_is_sock(const struct file *f)
{
    return f->ops == &sock_file_ops;
}

/* ---- waking and waiting ---- */

void sock_wake_read(struct sock *sk)
{
    wq_wake(&sk->rd_wq, POLLIN | POLLRDNORM);
    wq_wake(&sk->poll_wq, POLLIN | POLLRDNORM);
}

void sock_wake_write(struct sock *sk)
{
    wq_wake(&sk->wr_wq, POLLOUT | POLLWRNORM | POLLWRBAND);
    wq_wake(&sk->poll_wq, POLLOUT | POLLWRNORM | POLLWRBAND);
}

void sock_wake_all(struct sock *sk, uint32_t events)
{
    wq_wake_all(&sk->rd_wq, 0);
    wq_wake_all(&sk->wr_wq, 0);
    wq_wake_all(&sk->poll_wq, events);
}

int sock_wait(struct task *t, struct waitqueue *q, ktime_t timeo)
{
    int r;

    if (timeo != KTIME_NEVER)
        call_deadline(t, ktime_add(ktime_now(), timeo));
    r = task_wait(t, q, WAIT_EXCL);
    if (r == -ETIMEDOUT)
        return -EAGAIN;
    if (r == -ERESTARTSYS && timeo != KTIME_NEVER)
        return -EINTR;
    return r;
}

static void room_release(struct file *f)
{
    wq_done(&container_of(f, struct room, file)->wq);
}

static const struct file_ops room_ops = { .name = "room", .release = room_release };

int room_wait(struct task *t, struct room **room, ktime_t timeo)
{
    if (!*room) {
        struct file *f = file_new_sized(sizeof **room, &room_ops, O_RDONLY);

        if (IS_ERR(f))
            return -ENOMEM;
        f->no_notify = true;
        *room = container_of(f, struct room, file);
        wq_init(&(*room)->wq);
    }
    if (t->call.files[2] != &(*room)->file) {
        file_put(t->call.files[2]); /* only ever a room: nothing happens at its end */
        t->call.files[2] = file_ref(&(*room)->file);
    }
    return sock_wait(t, &(*room)->wq, timeo);
}

void room_wake(struct room *room)
{
    if (room)
        wq_wake(&room->wq, 0);
}

void room_close(struct room **room)
{
    if (!*room)
        return;
    wq_wake_all(&(*room)->wq, 0);
    file_put(&(*room)->file);
    *room = NULL;
}

int sock_take_err(struct sock *sk)
{
    int e = sk->err;

    sk->err = 0;
    return -e;
}

int sock_sigpipe(struct task *t, int flags)
{
    struct lx_siginfo info;

    if (!(flags & MSG_NOSIGNAL)) {
        siginfo_user(&info, SIGPIPE, 0 /* SI_USER */, t);
        signal_send_task(t, SIGPIPE, &info);
    }
    return -EPIPE;
}

/* ---- peers ---- */

void peer_set(struct peer *p, struct task *t)
{
    struct peer old = *p;

    *p = (struct peer){ .pid = t->group->pid,
                        .uid = t->cred->euid,
                        .gid = t->cred->egid,
                        .cred = cred_ref(t->cred),
                        .group = tgroup_ref(t->group) };
    peer_clear(&old);
}

void peer_copy(struct peer *p, const struct peer *from)
{
    struct peer old = *p;

    *p = *from;
    if (p->cred)
        cred_ref(p->cred);
    if (p->group)
        tgroup_ref(p->group);
    peer_clear(&old);
}

void peer_clear(struct peer *p)
{
    if (p->cred)
        cred_put(p->cred);
    if (p->group)
        tgroup_put(p->group);
    *p = (struct peer){ 0 };
}

/* ---- file operations ---- */

static ssize_t sock_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct sock *sk = file_sock(f);
    struct recv_req r;
    ssize_t n;

    (void)pos;
    if (it->left + t->call.done == 0)
        return 0;
    memset(&r, 0, offsetof(struct recv_req, ctl));
    r.ctl_len = 0;
    r.it = it;
    r.done = &t->call.done;
    n = sk->ops->recv(t, sk, &r);
    scm_free(r.scm); /* descriptors that came along are lost to read(2) */
    return n;
}

static ssize_t sock_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct sock *sk = file_sock(f);
    struct scm *none = NULL;
    struct send_req r = {
        .it = it, .done = &t->call.done, .scm = &none, .ttl = -1, .tos = -1, .segment = -1
    };

    (void)pos;
    if (sk->type == SOCK_SEQPACKET)
        r.flags |= MSG_EOR;
    return sk->ops->send(t, sk, &r);
}

static uint32_t sock_poll(struct file *f, struct poll_table *pt)
{
    struct sock *sk = file_sock(f);
    struct lock *l;
    uint32_t ev;

    poll_wait(pt, &sk->poll_wq);
    l = sock_lock(sk);
    ev = sk->ops->poll(sk);
    unlock(l);
    return ev;
}

static long sock_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    struct sock *sk = file_sock(f);
    long r = -ENOIOCTLCMD;
    struct lock *l;
    int n;

    switch (cmd) {
    case FIONREAD:
    case TIOCOUTQ:
        if (!(cmd == FIONREAD ? sk->ops->inq : sk->ops->outq))
            return -EINVAL;
        l = sock_lock(sk);
        if (sk->state == SOCK_LISTEN)
            n = -EINVAL;
        else
            n = (int)(cmd == FIONREAD ? sk->ops->inq(sk) : sk->ops->outq(sk));
        unlock(l);
        return n < 0 ? n : put_guest(t, arg, &n);
    }
    if (sk->ops->ioctl)
        r = sk->ops->ioctl(t, sk, cmd, arg);
    return r == -ENOIOCTLCMD ? net_ioctl(t, sk, cmd, arg) : r;
}

static int sock_mmap(struct task *t, struct file *f, struct mmap_request *req)
{
    struct sock *sk = file_sock(f);

    return sk->ops->mmap ? sk->ops->mmap(t, sk, req) : -ENODEV;
}

static void sock_lend(struct task *t, struct file *f, int fd)
{
    struct sock *sk = file_sock(f);

    if (sk->ops->lend)
        sk->ops->lend(t, sk, fd);
}

static void sock_unlend(struct file *f, bool gone)
{
    struct sock *sk = file_sock(f);

    if (sk->ops->unlend)
        sk->ops->unlend(sk, gone);
}

const struct file_ops sock_file_ops = {
    .name = "socket",
    .read = sock_read,
    .write = sock_write,
    .poll = sock_poll,
    .ioctl = sock_ioctl,
    .mmap = sock_mmap,
    .lend = sock_lend,
    .unlend = sock_unlend,
    .release = sock_release,
};

/* ---- for /proc ---- */

int net_each(int family, int type, int (*fn)(const struct net_info *, void *), void *arg)
{
    struct sock *sk;
    int r = 0;

    pthread_once(&socks.once, socks_init);
    LOCK_SCOPE(&socks.lock);
    list_for_each(sk, &socks.all, all_link) {
        struct net_info info = { .family = sk->family, .type = sk->type, .uid = sk->uid };
        struct lock *l;

        if (sk->family != family || (type && sk->type != type))
            continue;
        info.ino = sk->file.inode->ino;
        info.refs = (uint32_t)atomic_load(&sk->file.refs);
        l = sock_lock(sk);
        if (sk->state == SOCK_LISTEN)
            info.flags = 0x10000;
        if (sk->ops->info)
            sk->ops->info(sk, &info);
        unlock(l);
        if (info.hidden)
            continue;
        r = fn(&info, arg);
        if (r)
            break;
    }
    return r;
}

void net_lo_stats(uint64_t *ret_bytes, uint64_t *ret_packets)
{
    *ret_bytes = atomic_load(&net_lo_bytes);
    *ret_packets = atomic_load(&net_lo_packets);
}
