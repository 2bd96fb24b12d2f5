/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes requests off the socket and answers them. Workers read the same socket; the kernel wakes
 * one of them for a datagram. There is one worker at first; a request that says others are under
 * way, and finds no worker idle, starts another (at most one a cpu, four in all). All state but the
 * node table and the ring's slots is a worker's own.
 *
 * A sentry that sends nonsense gets -EPROTO or -EINVAL and harms no one but itself; one that does
 * not read its answers blocks its own gofer.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/types.h"
#include "gofer/server.h"

#define WORKERS_MAX 4
#define SHARED_WORKERS 8 /* some wait for a disk (fsync), whatever the number of cpus */

static uint64_t *roots;
static atomic_uint nworkers, nidle, max_workers = 1;
static cpu_set_t all_cpus; /* [I] that we were given */

int job_send(struct job *job)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } ctl;
    struct iovec iov[2] = {
        { .iov_base = &job->rep, .iov_len = sizeof(job->rep) },
        { .iov_base = job->out, .iov_len = job->rep.len },
    };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

    if (job->fd >= 0) {
        memset(&ctl, 0, sizeof(ctl));
        ctl.h = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                  .cmsg_type = SCM_RIGHTS,
                                  .cmsg_len = CMSG_LEN(sizeof(int)) };
        memcpy(CMSG_DATA(&ctl.h), &job->fd, sizeof(int));
        msg.msg_control = &ctl;
        msg.msg_controllen = sizeof(ctl.space);
    }
    for (;;) {
        if (sendmsg(job->cfg->sock, &msg, MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno == EINTR)
            continue;
        /* Descriptors under way are limited: the request can be made again, the gofer goes on. */
        if (errno == ETOOMANYREFS && msg.msg_control) {
            msg.msg_control = NULL;
            msg.msg_controllen = 0;
            msg.msg_iovlen = 1;
            job->rep.error = -ENFILE;
            job->rep.len = job->rep.count = job->rep.flags = 0;
            node_forget(job->opened);
            continue;
        }
        /* No memory for it now: without an answer its asker would wait for ever. */
        if (errno == ENOBUFS || errno == ENOMEM) {
            sched_yield();
            continue;
        }
        return -errno;
    }
}

/* Of a single file that is shared live its own: of its directory nothing is told. */
static int root_stat(const struct gofer_export *e, struct gw_attr *ret)
{
    return beneath_stat(e->single ? e->only_fd : e->fd, "", ret);
}

static int serve_hello(struct job *job)
{
    for (uint32_t i = 0; i < MIN(job->cfg->nexports, GW_ROOTS_MAX); i++) {
        struct gw_root root = { .flags = job->cfg->exports[i].public_only ? GW_STABLE : 0,
                                .entry.node = roots[i] };
        int r = root_stat(&job->cfg->exports[i], &root.entry.attr);
        if (r < 0)
            return r;
        memcpy(job->out + job->rep.len, &root, sizeof(root));
        job->rep.len += (uint32_t)sizeof(root);
    }
    job->rep.count = job->cfg->nexports;
    job->rep.value = GW_VERSION;
    return 0;
}

static int serve_root(struct job *job)
{
    if (job->req.arg >= job->cfg->nexports)
        return -ENOENT;
    struct gw_entry e = { .node = roots[job->req.arg] };
    struct node *n = node_get(e.node);
    if (!n)
        return -ESTALE;
    int r = root_stat(n->export, &e.attr);
    node_put(n);
    memcpy(job->out, &e, sizeof(e));
    job->rep.len = sizeof(e);
    job->rep.count = 1;
    job->rep.value = job->cfg->exports[job->req.arg].public_only ? GW_STABLE : 0;
    return r;
}

static int serve_forget(struct job *job)
{
    job->quiet = true;
    for (uint32_t at = 0; at + 8 <= job->req.len; at += 8) {
        uint64_t number;
        memcpy(&number, job->in + at, sizeof(number));
        node_forget(number);
    }
    return 0;
}

static int serve_close(struct job *job)
{
    job->quiet = true;
    for (uint32_t at = 0; at + 4 <= job->req.len; at += 4) {
        uint32_t slot;
        memcpy(&slot, job->in + at, sizeof(slot));
        ring_remove(job->cfg->ring_fd, slot);
    }
    return 0;
}

static int (*const ops[GW_NOPS])(struct job *job) = {
    [GW_HELLO] = serve_hello,     [GW_ROOT] = serve_root,         [GW_WALK] = serve_walk,
    [GW_GETATTR] = serve_getattr, [GW_READLINK] = serve_readlink, [GW_LIST] = serve_list,
    [GW_OPEN] = serve_open,       [GW_GETXATTR] = serve_getxattr, [GW_LISTXATTR] = serve_listxattr,
    [GW_STATFS] = serve_statfs,   [GW_FORGET] = serve_forget,     [GW_CLOSE] = serve_close,
    [GW_FILES] = serve_files,
};

static int (*const shared_ops[GW_NOPS])(struct job *job) = {
    [GW_MAKE] = serve_make,         [GW_OPENAT] = serve_openat, [GW_REMOVE] = serve_remove,
    [GW_RENAME] = serve_rename,     [GW_LINKAT] = serve_link,   [GW_SETATTR] = serve_setattr,
    [GW_SETXATTR] = serve_setxattr, [GW_SYNC] = serve_sync,     [GW_LOCK] = serve_lock,
    [GW_WATCH] = serve_watch,
};

static int answer(struct job *job, size_t n)
{
    if (job->req.version != GW_VERSION || job->req.len != n - sizeof(job->req) ||
        (job->req.flags & ~(uint32_t)GW_FLAGS))
        return -EPROTO;
    if (job->req.op >= GW_NOPS || (!ops[job->req.op] && !shared_ops[job->req.op]))
        return -ENOSYS;
    if (ops[job->req.op])
        return ops[job->req.op](job);
    return job->cfg->shared ? shared_ops[job->req.op](job) : -EROFS;
}

void gofer_answer(const struct gofer_config *cfg, const void *buf, size_t n, unsigned char *out)
{
    struct job job = { .cfg = cfg, .out = out, .fd = -1 };

    if (n < sizeof(job.req) || n > GW_MAX)
        return; /* not even a tag to answer to */
    memcpy(&job.req, buf, sizeof(job.req));
    job.in = (const unsigned char *)buf + sizeof(job.req);
    job.rep = (struct gw_reply){ .version = GW_VERSION, .op = job.req.op, .tag = job.req.tag };
    int r = answer(&job, n);
    if (r < 0) {
        job.rep.error = r;
        job.rep.len = job.rep.count = job.rep.flags = 0;
    }
    if (!job.quiet)
        job_send(&job);
    if (job.fd >= 0)
        close(job.fd);
}

int gofer_server_init(const struct gofer_config *cfg)
{
    beneath_init(cfg->lone_id);
    if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus) == 0)
        max_workers = MIN((unsigned)CPU_COUNT(&all_cpus), (unsigned)WORKERS_MAX);
    if (cfg->shared)
        max_workers = SHARED_WORKERS;
    roots = calloc(cfg->nexports + 1, sizeof(*roots));
    if (!roots)
        return -ENOMEM;
    for (unsigned i = 0; i < cfg->nexports; i++) {
        struct gw_attr attr;
        int r = beneath_stat(cfg->exports[i].fd, "", &attr);
        if (r < 0)
            return r;
        roots[i] = node_add(cfg->exports[i].fd, &cfg->exports[i], true, !S_ISDIR(attr.mode));
        if (!roots[i])
            return -ENFILE;
    }
    return 0;
}

uint64_t gofer_root_node(unsigned export_id)
{
    return roots[export_id];
}

static void *worker(void *arg);

/* A worker is there for good once it was needed; it costs a stack and sleeps. */
static void more_workers(const struct gofer_config *cfg, const unsigned char *in, ssize_t n)
{
    uint32_t flags;
    pthread_t th;
    pthread_attr_t attr;

    if (n < (ssize_t)sizeof(struct gw_request) || atomic_load(&nidle))
        return;
    memcpy(&flags, in + offsetof(struct gw_request, flags), sizeof(flags));
    if (!(flags & GW_BUSY))
        return;
    unsigned have = atomic_load(&nworkers);
    if (have >= max_workers || !atomic_compare_exchange_strong(&nworkers, &have, have + 1))
        return;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 128 * 1024);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&th, &attr, worker, (void *)(uintptr_t)cfg) != 0) {
        max_workers = have; /* the host gives no more: do not ask for each request */
        atomic_fetch_sub(&nworkers, 1);
    }
    pthread_attr_destroy(&attr);
}

/*
 * A round trip to a worker on another cpu costs ten times one on the caller's own, which is about to
 * sleep anyway. So a worker goes where its requests come from, once two in a row came from there;
 * not when many are under way, for then the other cpus are what is wanted.
 */
static void follow_caller(const unsigned char *in, ssize_t n)
{
    static __thread uint32_t here = ~0u, last = ~0u;
    struct gw_request req;
    cpu_set_t cpus;

    if (n < (ssize_t)sizeof(req))
        return;
    memcpy(&req, in, sizeof(req));
    uint32_t before = last;
    last = req.cpu;
    if (req.cpu == here || req.cpu != before || req.cpu >= CPU_SETSIZE || req.flags & GW_BUSY)
        return;
    here = req.cpu;
    CPU_ZERO(&cpus);
    CPU_SET(req.cpu, &cpus);
    sched_setaffinity(0, sizeof(cpus), &cpus); /* refused: it stays where it is */
}

static void *worker(void *arg)
{
    const struct gofer_config *cfg = arg;
    if (atomic_load(&nworkers) > 1) /* it inherits where its maker went */
        sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
    unsigned char *in = malloc(GW_MAX), *out = malloc(GW_MAX);

    while (in && out) {
        atomic_fetch_add(&nidle, 1);
        ssize_t n = recv(cfg->sock, in, GW_MAX, MSG_TRUNC);
        atomic_fetch_sub(&nidle, 1);
        if (n < 0 && (errno == EINTR || errno == ENOMEM || errno == ENOBUFS))
            continue;
        if (n <= 0)
            _exit(0); /* the sentry is gone, and with it all that was ours to do */
        more_workers(cfg, in, n);
        follow_caller(in, n);
        gofer_answer(cfg, in, (size_t)n, out);
    }
    free(in);
    free(out);
    return NULL;
}

void gofer_serve(const struct gofer_config *cfg)
{
    atomic_store(&nworkers, 1);
    worker((void *)(uintptr_t)cfg);
}
