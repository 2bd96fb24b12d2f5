/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_UNIX: names, and the start and end of a socket. A pathname is an inode of the VFS that points
 * at the socket (inode->sock, [N]); the socket keeps the path, and takes the pointer back when it
 * is released. Abstract names lie in a small hash table; the type is part of the key, as on Linux.
 */
#include "sentry/net/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/net/scm.h"
#include "sentry/vfs/vfs.h"

#define BUCKETS 256
#define PATH_OFF offsetof(struct sockaddr_un, sun_path)

struct lock unix_lock;
static struct usock *names[BUCKETS]; /* [N] */
static uint32_t next_auto;           /* [N] */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void unix_init(void)
{
    lock_init(&unix_lock, LOCK_NET);
}

/* ---- addresses ---- */

static struct unix_addr *addr_new(const struct sockaddr_un *un, socklen_t len)
{
    struct unix_addr *a = kzalloc(sizeof *a);

    if (a) {
        a->refs = 1;
        a->len = len;
        memcpy(&a->un, un, len);
    }
    return a;
}

struct unix_addr *unix_addr_ref(struct unix_addr *a)
{
    if (a)
        atomic_fetch_add(&a->refs, 1);
    return a;
}

void unix_addr_put(struct unix_addr *a)
{
    if (a && atomic_fetch_sub(&a->refs, 1) == 1)
        kfree(a);
}

int unix_addr_out(const struct unix_addr *a, struct sockaddr_storage *ret)
{
    if (!a) {
        ret->ss_family = AF_UNIX;
        return (int)PATH_OFF;
    }
    memcpy(ret, &a->un, MIN(sizeof a->un, sizeof *ret));
    return (int)a->len;
}

int unix_check_addr(const struct sockaddr *a, socklen_t n)
{
    if (n <= PATH_OFF || n > sizeof(struct sockaddr_un) || a->sa_family != AF_UNIX)
        return -EINVAL;
    return (int)n;
}

static struct usock **bucket(const struct sockaddr_un *un, socklen_t len, int type)
{
    return &names[XXH3_64bits_withSeed(un, len, (XXH64_hash_t)type) % BUCKETS];
}

static struct usock *find_abstract(const struct sockaddr_un *un, socklen_t len, int type)
{
    struct usock *u = *bucket(un, len, type);

    for (; u; u = u->hash_next)
        if (u->sk.type == type && u->addr->len == len && !memcmp(&u->addr->un, un, len))
            return u;
    return NULL;
}

static void hash_in(struct usock *u)
{
    struct usock **b = bucket(&u->addr->un, u->addr->len, u->sk.type);

    u->hash_next = *b;
    *b = u;
}

static void hash_out(struct usock *u)
{
    struct usock **b = bucket(&u->addr->un, u->addr->len, u->sk.type);

    for (; *b; b = &(*b)->hash_next) {
        if (*b == u) {
            *b = u->hash_next;
            return;
        }
    }
}

/* ---- binding ---- */

int unix_autobind(struct usock *u)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    socklen_t len = PATH_OFF + 6;
    struct unix_addr *a;
    char name[8];

    LOCK_SCOPE(&unix_lock);
    if (u->addr)
        return 0;
    for (unsigned i = 0; i <= 0xfffff; i++) {
        snprintf(name, sizeof name, "%05x", next_auto++ & 0xfffff);
        memcpy(un.sun_path + 1, name, 5);
        if (find_abstract(&un, len, u->sk.type))
            continue;
        a = addr_new(&un, len);
        if (!a)
            return -ENOMEM;
        u->addr = a;
        hash_in(u);
        return 0;
    }
    return -ENOSPC;
}

static int bind_abstract(struct usock *u, const struct sockaddr_un *un, socklen_t n)
{
    LOCK_SCOPE(&unix_lock);
    if (u->addr)
        return -EINVAL;
    if (find_abstract(un, n, u->sk.type))
        return -EADDRINUSE;
    u->addr = addr_new(un, n);
    if (!u->addr)
        return -ENOMEM;
    hash_in(u);
    return 0;
}

static void path_of(char *to, const struct sockaddr *a, socklen_t n)
{
    const struct sockaddr_un *un = (const void *)a;

    memcpy(to, un->sun_path, n - PATH_OFF);
    to[n - PATH_OFF] = 0;
}

static int bind_path(struct task *t, struct usock *u, const struct sockaddr *a, socklen_t n)
{
    char name[sizeof(struct sockaddr_un) + 1];
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct unix_addr *addr;
    struct path p;
    socklen_t len;
    bool had;
    int r;

    lock(&unix_lock);
    had = u->addr;
    unlock(&unix_lock);
    if (had)
        return -EINVAL;
    path_of(name, a, n);
    len = (socklen_t)strlen(name);
    memcpy(un.sun_path, name, MIN(len, sizeof un.sun_path));
    /* The longest name has no room for its NUL in sun_path, yet counts it. */
    addr = addr_new(&un, MIN((socklen_t)(PATH_OFF + len + 1), (socklen_t)sizeof un));
    if (!addr)
        return -ENOMEM;
    addr->len = (socklen_t)(PATH_OFF + len + 1);
    r = vfs_mknod_at(t, AT_FDCWD, name, S_IFSOCK | 0777, 0, &p);
    if (r < 0) {
        unix_addr_put(addr);
        return r == -EEXIST ? -EADDRINUSE : r;
    }
    lock(&unix_lock);
    if (u->addr) { /* two binds of one socket at once */
        unlock(&unix_lock);
        unix_addr_put(addr);
        path_put(&p);
        return -EINVAL;
    }
    u->addr = addr;
    u->path = p;
    dentry_inode(p.dentry)->sock = u;
    unlock(&unix_lock);
    return 0;
}

void unix_hear(struct usock *u, const struct path *p, void (*hear)(const void *data, size_t n))
{
    u->hear = hear;
    LOCK_SCOPE(&unix_lock);
    u->path = *p;
    dentry_inode(p->dentry)->sock = u;
}

int unix_bind(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n)
{
    const struct sockaddr_un *un = (const void *)a;
    int r;

    if (n == PATH_OFF && a->sa_family == AF_UNIX)
        return unix_autobind(unix_sk(sk));
    r = unix_check_addr(a, n);
    if (r < 0)
        return r;
    return un->sun_path[0] ? bind_path(t, unix_sk(sk), a, n) : bind_abstract(unix_sk(sk), un, n);
}

/* ---- finding ---- */

static int find_path(struct task *t, const struct sockaddr *a, socklen_t n, int type,
                     struct usock **ret)
{
    char name[sizeof(struct sockaddr_un) + 1];
    struct inode *i;
    struct usock *u = NULL;
    struct path p;
    int r;

    path_of(name, a, n);
    r = walk_path(t, AT_FDCWD, name, WALK_FOLLOW, &p);
    if (r < 0)
        return r;
    i = dentry_inode(p.dentry);
    r = inode_permission(t, i, W_OK);
    if (r == 0 && !S_ISSOCK(i->mode))
        r = -ECONNREFUSED;
    if (r == 0) {
        lock(&unix_lock);
        u = i->sock;
        if (!u)
            r = -ECONNREFUSED;
        else if (u->sk.type != type)
            r = -EPROTOTYPE;
        else if (!sock_tryref(&u->sk))
            r = -ECONNREFUSED;
        unlock(&unix_lock);
    }
    path_put(&p);
    if (r == 0)
        *ret = u;
    return r;
}

int unix_find(struct task *t, const struct sockaddr *a, socklen_t n, int type, struct usock **ret)
{
    const struct sockaddr_un *un = (const void *)a;
    struct usock *u;

    if (un->sun_path[0])
        return find_path(t, a, n, type, ret);
    LOCK_SCOPE(&unix_lock);
    u = find_abstract(un, n, type);
    if (!u || !sock_tryref(&u->sk))
        return -ECONNREFUSED;
    *ret = u;
    return 0;
}

/* ---- life ---- */

struct usock *unix_new(struct task *t, int type)
{
    const struct sock_ops *ops = type == SOCK_STREAM  ? &unix_stream_ops
                                 : type == SOCK_DGRAM ? &unix_dgram_ops
                                                      : &unix_seq_ops;
    struct usock *u;
    struct sock *sk;

    pthread_once(&once, unix_init);
    sk = sock_new(t, sizeof *u, ops, AF_UNIX, type, 0);
    if (IS_ERR(sk))
        return (struct usock *)sk;
    u = unix_sk(sk);
    list_init(&u->msgs);
    list_init(&u->peer_link);
    list_init(&u->peers);
    list_init(&u->fl_queue);
    list_init(&u->fl_link);
    list_init(&u->embryos);
    list_init(&u->embryo_link);
    return u;
}

int unix_create(struct task *t, int type, int protocol, struct sock **ret)
{
    struct usock *u;

    if (protocol && protocol != AF_UNIX)
        return -EPROTONOSUPPORT;
    if (type == SOCK_RAW) /* as Linux: old programs say so */
        type = SOCK_DGRAM;
    if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
        return -ESOCKTNOSUPPORT;
    u = unix_new(t, type);
    if (IS_ERR(u))
        return PTR_ERR(u);
    *ret = &u->sk;
    return 0;
}

static void unname(struct usock *u)
{
    struct path p = { 0 };

    lock(&unix_lock);
    if (u->path.dentry) {
        p = u->path;
        u->path = (struct path){ 0 };
        dentry_inode(p.dentry)->sock = NULL;
    } else if (u->addr) {
        hash_out(u);
    }
    unlock(&unix_lock);
    if (p.dentry)
        path_put(&p);
}

/* The end: its name, its peer, its queues. Nobody else refers to it any more but through those. */
void unix_release(struct sock *sk)
{
    struct usock *u = unix_sk(sk);

    if (!u->addr_shared)
        unname(u);
    unix_purge(u);
    room_close(&u->room);
    unix_addr_put(u->addr);
    unix_addr_put(u->peer_addr);
    inflight_collect();
}

int unix_getname(struct sock *sk, bool peer, struct sockaddr_storage *ret)
{
    struct usock *u = unix_sk(sk);
    int r;

    if (!peer || sk->type == SOCK_DGRAM) {
        LOCK_SCOPE(&unix_lock);
        if (!peer)
            return unix_addr_out(u->addr, ret);
        return u->peer ? unix_addr_out(u->peer->addr, ret) : -ENOTCONN;
    }
    struct lock *l = sock_lock(sk);
    r = sk->state == SOCK_CONNECTED ? unix_addr_out(u->peer_addr, ret) : -ENOTCONN;
    unlock(l);
    return r;
}

void unix_info(struct sock *sk, struct net_info *ret)
{
    struct usock *u = unix_sk(sk);
    struct unix_addr *a = __atomic_load_n(&u->addr, __ATOMIC_ACQUIRE); /* set once */

    ret->local_len = (uint32_t)unix_addr_out(a, &ret->local);
    ret->state = sk->state == SOCK_CONNECTED ? 3 : 1; /* SS_CONNECTED, SS_UNCONNECTED */
}
