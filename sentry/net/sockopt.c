/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOL_SOCKET options. Values are kernel copies; the lock of the socket is taken here. What an
 * option does lies where it matters (stream, unix, tcp, udp); options of hardware and routing that
 * mean nothing on a loopback are kept and shown again, as Linux does there too.
 */
#include <errno.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/time.h>

#include "sentry/kernel/container.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/net/cbpf.h"
#include "sentry/net/sock.h"
#include "sentry/vfs/vfs.h"

#define BUF_MAX 4194304
#define SNDBUF_MIN 4608
#define RCVBUF_MIN 2304
#define CAP_NET_ADMIN_ 12
#define IFNAMSIZ_ 16
#define TCP_RMEM_MAX 6291456 /* as net.ipv4.tcp_rmem says */
#define STAMP_OPT_ID 0x80
#define STAMP_OPT_ID_TCP 0x10000

enum { /* numbers that glibc of Debian 12 has not all */
       O_TIMESTAMP_OLD = 29,
       O_TIMESTAMPNS_OLD = 35,
       O_TIMESTAMPING_OLD = 37,
       O_TIMESTAMP_NEW = 63,
       O_TIMESTAMPNS_NEW = 64,
       O_TIMESTAMPING_NEW = 65,
       O_RCVTIMEO_NEW = 66,
       O_SNDTIMEO_NEW = 67,
       O_NETNS_COOKIE = 71,
       O_PASSPIDFD = 76,
       O_PEERPIDFD = 77,
       O_PASSRIGHTS = 83,
};

static int set_timeo(ktime_t *to, const void *v, socklen_t n)
{
    struct timeval tv;

    if (n < sizeof tv)
        return -EINVAL;
    memcpy(&tv, v, sizeof tv);
    if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
        return -EDOM;
    if (tv.tv_sec < 0)
        *to = 0; /* Linux: no wait at all */
    else if ((tv.tv_sec == 0 && tv.tv_usec == 0) || tv.tv_sec >= INT64_MAX / 1000000000 - 1)
        *to = KTIME_NEVER;
    else
        *to = tv.tv_sec * 1000000000ll + tv.tv_usec * 1000ll;
    return 0;
}

static struct timeval get_timeo(ktime_t k)
{
    if (k == KTIME_NEVER)
        return (struct timeval){ 0 };
    return (struct timeval){ .tv_sec = k / 1000000000, .tv_usec = k % 1000000000 / 1000 };
}

static void set_bufs(struct sock *sk, int opt, int val)
{
    bool force = opt == SO_SNDBUFFORCE || opt == SO_RCVBUFFORCE;

    if (force)
        val = MAX(val, 0);
    else
        val = (int)MIN((unsigned)val, (unsigned)BUF_MAX);
    val = MIN(val, INT32_MAX / 2) * 2;
    if (opt == SO_SNDBUF || opt == SO_SNDBUFFORCE) {
        sk->sndbuf = MAX(val, SNDBUF_MIN);
        sk->sndbuf_set = true;
        sock_wake_write(sk);
    } else {
        sk->rcvbuf = MAX(val, RCVBUF_MIN);
        sk->rcvbuf_set = true;
    }
}

static int set_linger(struct sock *sk, const void *v, socklen_t n)
{
    struct linger l;

    if (n < sizeof l)
        return -EINVAL;
    memcpy(&l, v, sizeof l);
    sk->linger = l.l_onoff != 0;
    if (sk->linger)
        sk->linger_time = l.l_linger;
    return 0;
}

static bool *flag_of(struct sock *sk, int opt)
{
    switch (opt) {
    case SO_DEBUG:
        return &sk->debug;
    case SO_REUSEADDR:
        return &sk->reuseaddr;
    case SO_REUSEPORT:
        return &sk->reuseport;
    case SO_KEEPALIVE:
        return &sk->keepalive;
    case SO_BROADCAST:
        return &sk->broadcast;
    case SO_OOBINLINE:
        return &sk->oobinline;
    case SO_DONTROUTE:
        return &sk->dontroute;
    case SO_NO_CHECK:
        return &sk->no_check;
    case SO_RXQ_OVFL:
        return &sk->rxq_ovfl;
    case SO_WIFI_STATUS:
        return &sk->wifi_status;
    case SO_NOFCS:
        return &sk->nofcs;
    case SO_SELECT_ERR_QUEUE:
        return &sk->select_err_queue;
    case SO_LOCK_FILTER:
        return &sk->lock_filter;
    case SO_PASSCRED:
        return &sk->passcred;
    case SO_PASSSEC:
        return &sk->passsec;
    case O_PASSPIDFD:
        return &sk->passpidfd;
    case O_PASSRIGHTS:
        return &sk->passrights;
    }
    return NULL;
}

/* Passing credentials and descriptors is for the families that can. */
static bool opt_is_unix(int opt)
{
    return opt == SO_PASSCRED || opt == SO_PASSSEC || opt == O_PASSPIDFD || opt == O_PASSRIGHTS;
}

static bool opt_family_ok(const struct sock *sk, int opt)
{
    if (opt == O_PASSPIDFD || opt == O_PASSRIGHTS)
        return sk->family == AF_UNIX;
    return !opt_is_unix(opt) || sk->family == AF_UNIX || sk->family == AF_NETLINK;
}

static bool has_peek_off(const struct sock *sk)
{
    return sk->family == AF_UNIX ||
           (sk->type == SOCK_STREAM && (sk->family == AF_INET || sk->family == AF_INET6));
}

static int set_int(struct task *t, struct sock *sk, int opt, int val)
{
    bool *flag = flag_of(sk, opt);

    if (flag) {
        if (!opt_family_ok(sk, opt))
            return -EOPNOTSUPP;
        if (opt == SO_DEBUG && val && !task_capable(t, CAP_NET_ADMIN_))
            return -EACCES;
        if (opt == SO_REUSEPORT && val && sk->family != AF_INET && sk->family != AF_INET6)
            return -EOPNOTSUPP;
        *flag = val != 0;
        return 0;
    }
    switch (opt) {
    case SO_TYPE:
    case SO_PROTOCOL:
    case SO_DOMAIN:
    case SO_ERROR:
    case SO_ACCEPTCONN:
    case SO_SNDLOWAT:
        return -ENOPROTOOPT;
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
        if (!task_capable(t, CAP_NET_ADMIN_))
            return -EPERM;
        /* fall through */
    case SO_SNDBUF:
    case SO_RCVBUF:
        set_bufs(sk, opt, val);
        return 0;
    case SO_RCVLOWAT:
        if (val < 0)
            val = INT32_MAX;
        if (sk->type == SOCK_STREAM && (sk->family == AF_INET || sk->family == AF_INET6))
            val = MIN(val, sk->rcvbuf_set ? sk->rcvbuf / 2 : TCP_RMEM_MAX / 2);
        sk->rcvlowat = val ? val : 1;
        return 0;
    case SO_PRIORITY:
        if ((val < 0 || val > 6) && !task_capable(t, CAP_NET_ADMIN_))
            return -EPERM;
        sk->priority = val;
        return 0;
    case SO_MARK:
        if (!task_capable(t, CAP_NET_ADMIN_))
            return -EPERM;
        sk->mark = val;
        return 0;
    case SO_INCOMING_CPU:
        sk->incoming_cpu = val;
        return 0;
    case SO_PEEK_OFF:
        if (has_peek_off(sk)) {
            sk->peek_off = val;
            return 0;
        }
        return -EOPNOTSUPP;
    case O_TIMESTAMP_OLD:
    case O_TIMESTAMP_NEW:
    case O_TIMESTAMPNS_OLD:
    case O_TIMESTAMPNS_NEW:
        sk->stamp = val ? opt : 0;
        return 0;
    case O_TIMESTAMPING_OLD:
    case O_TIMESTAMPING_NEW:
        if (val & ~0x3ffff || (val & (STAMP_OPT_ID_TCP | STAMP_OPT_ID)) == STAMP_OPT_ID_TCP)
            return -EINVAL;
        sk->stamping = val;
        return 0;
    }
    return sock_set_rare(t, sk, opt, val);
}

/* What comes in has a form that a program can look at. */
static bool has_filter(const struct sock *sk)
{
    return sk->family == AF_PACKET ||
           (sk->type != SOCK_STREAM && (sk->family == AF_INET || sk->family == AF_INET6));
}

int sock_setsockopt(struct task *t, struct sock *sk, int opt, const void *v, socklen_t n)
{
    struct lock *l;
    int val, r;

    if (opt == SO_BINDTODEVICE)
        return sock_bind_device(t, sk, v, n);
    if (n < sizeof val)
        return -EINVAL;
    memcpy(&val, v, sizeof val);
    if (opt == SO_LOCK_FILTER)
        return sock_filter_lock(sk, val);
    if (has_filter(sk) && opt == SO_ATTACH_FILTER)
        return sock_filter_attach(t, sk, v, n);
    if (has_filter(sk) && opt == SO_DETACH_FILTER)
        return sock_filter_detach(sk);
    l = sock_lock(sk);
    switch (opt) {
    case SO_LINGER:
        r = set_linger(sk, v, n);
        break;
    case SO_RCVTIMEO:
    case O_RCVTIMEO_NEW:
        r = set_timeo(&sk->rcvtimeo, v, n);
        break;
    case SO_SNDTIMEO:
    case O_SNDTIMEO_NEW:
        r = set_timeo(&sk->sndtimeo, v, n);
        break;
    default:
        r = set_int(t, sk, opt, val);
    }
    unlock(l);
    return r;
}

/* ---- get ---- */

static int get_int(struct sock *sk, int opt, int *ret)
{
    bool *flag = flag_of(sk, opt);

    if (flag) {
        if (!opt_family_ok(sk, opt))
            return -EOPNOTSUPP;
        *ret = *flag;
        return 0;
    }
    switch (opt) {
    case SO_TYPE:
        *ret = sk->type;
        break;
    case SO_PROTOCOL:
        *ret = sk->protocol;
        break;
    case SO_DOMAIN:
        *ret = sk->family;
        break;
    case SO_ERROR:
        *ret = -sock_take_err(sk);
        break;
    case SO_ACCEPTCONN:
        *ret = sk->state == SOCK_LISTEN;
        break;
    case SO_SNDBUF:
        *ret = sk->sndbuf;
        break;
    case SO_RCVBUF:
        *ret = sk->rcvbuf;
        break;
    case SO_SNDLOWAT:
        *ret = 1;
        break;
    case SO_RCVLOWAT:
        *ret = sk->rcvlowat;
        break;
    case SO_PRIORITY:
        *ret = sk->priority;
        break;
    case SO_MARK:
        *ret = sk->mark;
        break;
    case SO_INCOMING_CPU:
        *ret = sk->incoming_cpu;
        break;
    case SO_PEEK_OFF:
        if (!has_peek_off(sk))
            return -EOPNOTSUPP;
        *ret = sk->peek_off;
        break;
    case O_TIMESTAMP_OLD:
    case O_TIMESTAMP_NEW:
    case O_TIMESTAMPNS_OLD:
    case O_TIMESTAMPNS_NEW:
        *ret = sk->stamp == opt;
        break;
    default:
        return sock_get_rare(sk, opt, ret);
    }
    return 0;
}

static int get_groups(struct sock *sk, void *v, socklen_t *n)
{
    const struct cred *c = sk->peer.cred;
    socklen_t want;

    if (!c)
        return -ENODATA;
    want = c->ngroups * (socklen_t)sizeof(gid_t);
    if (*n < want) {
        *n = want;
        return -ERANGE;
    }
    *n = want;
    if (want)
        memcpy(v, c->groups, want);
    return 0;
}

static int put_opt(void *v, socklen_t *n, const void *from, size_t size)
{
    *n = (socklen_t)MIN((size_t)*n, size);
    memcpy(v, from, *n);
    return 0;
}

static int get_meminfo(struct sock *sk, void *v, socklen_t *n)
{
    uint32_t mem[9] = {
        [SK_MEMINFO_RCVBUF] = (uint32_t)sk->rcvbuf, [SK_MEMINFO_SNDBUF] = (uint32_t)sk->sndbuf
    };

    if (sk->ops->inq && sk->state != SOCK_LISTEN)
        mem[SK_MEMINFO_RMEM_ALLOC] = (uint32_t)sk->ops->inq(sk);
    if (sk->ops->outq && sk->state != SOCK_LISTEN)
        mem[SK_MEMINFO_WMEM_QUEUED] = (uint32_t)sk->ops->outq(sk);
    return put_opt(v, n, mem, sizeof mem);
}

/* As the caller sees it: of another pid namespace there is no number. */
static pid_t peer_pid(const struct sock *sk)
{
    const struct tgroup *g = sk->peer.group;

    return g && g->pidns != container_here()->pidns ? 0 : sk->peer.pid;
}

static int get_locked(struct sock *sk, int opt, void *v, socklen_t *n)
{
    struct {
        pid_t pid;
        uid_t uid;
        gid_t gid;
    } cred = { peer_pid(sk), sk->peer.uid, sk->peer.gid };
    struct linger linger = { sk->linger, sk->linger_time };
    int val[2] = { 0, 0 }, r;
    struct timeval tv;
    uint64_t cookie;

    switch (opt) {
    case SO_LINGER:
        return put_opt(v, n, &linger, sizeof linger);
    case SO_RCVTIMEO:
    case O_RCVTIMEO_NEW:
        tv = get_timeo(sk->rcvtimeo);
        return put_opt(v, n, &tv, sizeof tv);
    case SO_SNDTIMEO:
    case O_SNDTIMEO_NEW:
        tv = get_timeo(sk->sndtimeo);
        return put_opt(v, n, &tv, sizeof tv);
    case SO_PEERCRED:
        if (!sk->peer.cred)
            cred.uid = cred.gid = (uid_t)-1;
        return put_opt(v, n, &cred, sizeof cred);
    case SO_PEERGROUPS:
        return get_groups(sk, v, n);
    case SO_BINDTODEVICE:
        if (sk->bound_if && *n < IFNAMSIZ_)
            return -EINVAL;
        return put_opt(v, n, "lo", sk->bound_if ? sizeof "lo" : 0);
    case SO_MEMINFO:
        return get_meminfo(sk, v, n);
    case SO_COOKIE:
    case O_NETNS_COOKIE:
        if (*n < sizeof cookie)
            return -EINVAL;
        cookie = opt == SO_COOKIE ? sk->file.inode->ino : 1;
        return put_opt(v, n, &cookie, sizeof cookie);
    case O_TIMESTAMPING_OLD:
    case O_TIMESTAMPING_NEW:
        val[0] = sk->stamping;
        return put_opt(v, n, val, sizeof val);
    }
    r = get_int(sk, opt, val);
    return r < 0 ? r : put_opt(v, n, val, sizeof val[0]);
}

static int peer_name(struct sock *sk, void *v, socklen_t n)
{
    struct sockaddr_storage a = { 0 };
    int len = sk->ops->getname(sk, /* peer= */ true, &a);

    if (len < 0)
        return -ENOTCONN;
    if ((socklen_t)len < n)
        return -EINVAL;
    memcpy(v, &a, n);
    return 0;
}

int sock_getsockopt(struct task *t, struct sock *sk, int opt, void *v, socklen_t *n)
{
    struct lock *l;
    int r;

    (void)t;
    if (opt == SO_PEERNAME)
        return peer_name(sk, v, *n);
    l = sock_lock(sk);
    r = get_locked(sk, opt, v, n);
    unlock(l);
    return r;
}

/* ---- control messages ---- */

void ctl_add(struct recv_req *r, int level, int type, const void *data, size_t n)
{
    struct cmsghdr *c = (void *)(r->ctl + r->ctl_len);

    if (!r->want_ctl || r->ctl_len + CMSG_SPACE(n) > CTL_MAX)
        return;
    memset(c, 0, CMSG_SPACE(n));
    c->cmsg_len = CMSG_LEN(n);
    c->cmsg_level = level;
    c->cmsg_type = type;
    memcpy(CMSG_DATA(c), data, n);
    r->ctl_len += (unsigned)CMSG_SPACE(n);
}

void sock_put_stamp(struct sock *sk, struct recv_req *r, ktime_t real)
{
    struct timespec ts[3] = { { .tv_sec = real / 1000000000, .tv_nsec = real % 1000000000 } };
    struct timeval tv = { ts[0].tv_sec, ts[0].tv_nsec / 1000 };

    if (sk->stamp == O_TIMESTAMP_OLD || sk->stamp == O_TIMESTAMP_NEW)
        ctl_add(r, SOL_SOCKET, sk->stamp, &tv, sizeof tv);
    else if (sk->stamp)
        ctl_add(r, SOL_SOCKET, sk->stamp, ts, sizeof ts[0]);
    if ((sk->stamping & 0x18) == 0x18) /* RX_SOFTWARE and SOFTWARE */
        ctl_add(r, SOL_SOCKET, O_TIMESTAMPING_OLD, ts, sizeof ts);
}
