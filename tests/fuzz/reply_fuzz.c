/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gofer that lies: its file system is mounted read-only on a/ and as the lower layer of an overlay on
 * b/, calls are made on both, and what the sentry is told comes out of the input as it goes along. The
 * client's recvmsg is this file's (the linker's --wrap): it takes the request and makes the answer.
 */
#include <fcntl.h>
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gofer/client.h"
#include "gofer/protocol.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/kernel.h"
#include "sentry/vfs/vfs.h"
#include "tests/fuzz/calls.h"
#include "tests/fuzz/fuzz.h"

static int ours = -1, theirs = -1; /* the client's end, the gofer's */
static struct gw_request request;  /* the last one */
static bool more;                  /* the last answer promised another */
static bool booting;               /* hello and the roots are answered honestly */

ssize_t __real_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags);

struct reply {
    struct gw_reply h;
    uint8_t data[GW_MAX];
};

/* ---- answers out of the input ---- */

static void add(struct reply *r, const void *p, size_t n)
{
    if (n > GW_MAX - sizeof r->h - r->h.len)
        n = GW_MAX - sizeof r->h - r->h.len;
    if (n)
        memcpy(r->data + r->h.len, p, n);
    r->h.len += (uint32_t)n;
}

static struct gw_entry take_entry(struct take *t)
{
    static const uint32_t types[] = { S_IFREG,  S_IFDIR, S_IFLNK, S_IFIFO,
                                      S_IFSOCK, S_IFCHR, 0,       S_IFREG };
    uint8_t how = take8(t);
    struct gw_entry e = { .node = take8(t) };

    e.attr.mode = types[how & 7] | (how & 8 ? (uint32_t)take_int(t, 4) : 0755);
    e.attr.size = how & 16 ? take_int(t, 8) : take8(t);
    e.attr.ino = how & 32 ? take_int(t, 8) : take8(t) % 4u;
    e.attr.ctime_s = how & 64 ? (int64_t)take_int(t, 8) : 0;
    e.attr.nlink = 1;
    return e;
}

static void take_dirent(struct take *t, struct reply *r)
{
    struct gw_dirent d = { .entry = take_entry(t) };
    uint8_t how = take8(t);
    size_t name, link, start = r->h.len;
    const uint8_t *p = take_bytes(t, how & 15, &name), *l = take_bytes(t, how >> 4 & 3, &link);

    d.has_attr = how >> 6 & 1;
    d.namelen = (uint16_t)(how & 128 ? take16(t) : name);
    d.linklen = (uint16_t)link;
    add(r, &d, sizeof d);
    add(r, p, name);
    add(r, l, link);
    add(r, "\0\0\0\0\0\0", GW_PAD8(r->h.len - start) - (r->h.len - start));
}

static void take_small(struct take *t, struct reply *r)
{
    struct gw_entry e = take_entry(t);
    struct gw_small s = { .error = -(int32_t)(take8(t) & 3), .attr = e.attr };
    size_t n, start = r->h.len;
    const uint8_t *p = take_bytes(t, s.error ? 0 : e.attr.size % 64, &n);

    s.len = (uint32_t)n;
    add(r, &s, sizeof s);
    add(r, p, n);
    add(r, "\0\0\0\0\0\0", GW_PAD8(r->h.len - start) - (r->h.len - start));
}

static void take_part(struct take *t, struct reply *r)
{
    static const uint8_t zeros[256];
    uint32_t before = r->h.len;
    struct gw_entry e;
    const uint8_t *p;
    size_t n;

    switch (take8(t) % 7) {
    case 0:
        p = take_bytes(t, take8(t), &n);
        add(r, p, n);
        break;
    case 1:
        e = take_entry(t);
        add(r, &e, sizeof e);
        break;
    case 2:
        take_dirent(t, r);
        break;
    case 3:
        take_small(t, r);
        break;
    case 4:
        add(r, zeros, take8(t));
        break;
    case 5: /* what there is, again: long listings */
        for (unsigned k = take8(t); k > 0 && before; k--)
            add(r, r->data, before);
        break;
    default:
        add(r, zeros, sizeof(struct gw_statfs));
    }
}

static int take_fd(uint8_t kind)
{
    int fds[2];

    switch (kind % 8) {
    case 1:
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    case 2:
        return open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    case 3:
        if (pipe2(fds, O_CLOEXEC) < 0)
            return -1;
        close(fds[1]);
        return fds[0];
    case 4:
    case 5:
        fds[0] = memfd_create("x", MFD_CLOEXEC);
        (void)!ftruncate(fds[0], kind & 8 ? 100 : 300000);
        return fds[0];
    case 6:
        return open("/dev/zero", O_RDONLY | O_CLOEXEC);
    default:
        return -1;
    }
}

static void take_reply(struct take *t, struct reply *r, int *ret_fd)
{
    uint8_t how = take8(t);

    r->h = (struct gw_reply){ .version = GW_VERSION, .op = request.op, .tag = request.tag };
    *ret_fd = -1;
    if (how % 8 == 5) {
        r->h.error = -(int32_t)take8(t);
        return;
    }
    r->h.flags = take8(t) & ~(uint32_t)(GW_FD | GW_MORE);
    r->h.count = take8(t);
    r->h.value = how & 64 ? take_int(t, 8) : take8(t);
    *ret_fd = how & 16 ? take_fd(take8(t)) : -1;
    for (unsigned k = how & 32 ? 1 : take8(t) % 8; k > 0; k--)
        take_part(t, r);
    r->h.flags |= (*ret_fd >= 0 ? GW_FD : 0) | (how % 8 == 7 ? GW_MORE : 0);
    if (how % 8 == 6) { /* and then anything at all */
        size_t n, at = take8(t) % sizeof r->h;
        const uint8_t *p = take_bytes(t, take8(t) % (sizeof r->h - at + 1), &n);

        if (n)
            memcpy((uint8_t *)&r->h + at, p, n);
    }
}

/* ---- the gofer's end ---- */

static void honest(struct reply *r)
{
    struct gw_root root = { .entry = { .node = 1,
                                       .attr = { .mode = S_IFDIR | 0755, .ino = 1, .nlink = 2 } },
                            .flags = GW_STABLE };

    r->h = (struct gw_reply){
        .version = GW_VERSION, .op = request.op, .tag = request.tag, .count = 2, .value = GW_VERSION
    };
    add(r, &root, sizeof root);
    root.flags = 0;
    add(r, &root, sizeof root);
}

static void send_reply(const struct reply *r, size_t n, int fd)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } ctl = { .h = { .cmsg_len = CMSG_LEN(sizeof(int)),
                     .cmsg_level = SOL_SOCKET,
                     .cmsg_type = SCM_RIGHTS } };
    struct iovec iov = { (void *)(uintptr_t)r, n };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fd >= 0) {
        memcpy(CMSG_DATA(&ctl.h), &fd, sizeof fd);
        m.msg_control = &ctl;
        m.msg_controllen = sizeof ctl;
    }
    (void)!sendmsg(theirs, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (fd >= 0)
        close(fd);
}

/* True: there was a request that wants an answer. */
static bool take_requests(void)
{
    static uint8_t buf[GW_MAX];
    bool any = false;
    ssize_t n;

    while ((n = recv(theirs, buf, sizeof buf, MSG_DONTWAIT)) > 0) {
        struct gw_request r;

        if (n < (ssize_t)sizeof r)
            abort(); /* our client, not its gofer, talks nonsense */
        memcpy(&r, buf, sizeof r);
        if (r.version != GW_VERSION || r.len != (size_t)n - sizeof r || !r.op || r.op >= GW_NOPS)
            abort();
        if (r.op == GW_FORGET || r.op == GW_CLOSE)
            continue;
        request = r;
        any = true;
    }
    return any;
}

/* The client's buffer is larger than any answer: what is behind this one is nobody's to look at. */
static ssize_t receive(int fd, struct msghdr *m, int flags)
{
    char *data = m->msg_iov[1].iov_base;
    size_t cap = m->msg_iov[1].iov_len;
    ssize_t n;

    ASAN_UNPOISON_MEMORY_REGION(data, cap);
    n = __real_recvmsg(fd, m, flags);
    if (n >= (ssize_t)m->msg_iov[0].iov_len) {
        size_t got = (size_t)n - m->msg_iov[0].iov_len;

        (void)got;
        ASAN_POISON_MEMORY_REGION(data + got, cap - got);
    }
    return n;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
    static struct reply r;
    bool asked, answers;
    int with = -1;

    if (fd != ours)
        return __real_recvmsg(fd, m, flags);
    asked = take_requests();
    answers = booting || ((asked || more) && calls_rest.n);
    r.h.len = 0;
    if (booting)
        honest(&r);
    else if (answers)
        take_reply(&calls_rest, &r, &with);
    if (answers)
        send_reply(&r, sizeof r.h + (r.h.len <= GW_MAX - sizeof r.h ? r.h.len : 8u), with);
    else
        shutdown(theirs, SHUT_WR); /* the input is over: so is the gofer */
    more = answers && r.h.flags & GW_MORE;
    return receive(fd, m, flags);
}

/* ---- the sentry's ---- */

static void setup(struct args *a, struct ctx *c)
{
    struct super *low;

    (void)a;
    mock_mount(c, "a", gofer_fs_new(0));
    low = gofer_fs_new(1);
    mock_mount(c, "b", low ? overlay_new(low) : NULL);
}

static const uint16_t nrs[] = {
    SYS_open,     SYS_openat,  SYS_stat,   SYS_lstat,     SYS_readlink,  SYS_getdents64,
    SYS_read,     SYS_pread64, SYS_mmap,   SYS_getxattr,  SYS_listxattr, SYS_statfs,
    SYS_execve,   SYS_chdir,   SYS_rename, SYS_unlink,    SYS_mkdir,     SYS_chmod,
    SYS_truncate, SYS_link,    SYS_write,  SYS_ftruncate, SYS_close,     SYS_getcwd,
    SYS_rmdir,    SYS_fstat,   SYS_lseek,  SYS_sendfile,  SYS_symlink,   SYS_readv,
    SYS_setxattr, SYS_access,  SYS_statx
};
static const struct calls calls = { nrs, sizeof nrs / sizeof nrs[0], setup };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    int sv[2];

    mock_boot();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
        abort();
    ours = sv[0];
    theirs = sv[1];
    more = false;
    booting = true;
    if (gofer_client_new(ours, -1, &first_container.gofer) < 0)
        abort();
    booting = false;
    calls_run(&calls, p, n);
    gofer_client_free(first_container.gofer);
    first_container.gofer = NULL;
    close(theirs);
    ours = theirs = -1;
    return 0;
}

/* A call on a path of the gofer's, and the answers that it may get. */
size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static const uint8_t answers[][24] = {
        { 8, 0x60, 0, 1, 1, 1, 0, 5, 50, 2 }, /* a file */
        { 8, 0x60, 0, 1, 1, 1, 1, 6, 0, 3 },  /* a directory */
        { 18, 0x40, 16, 1, 1, 2, 1, 2, 0, 4, 2, 0, 4, 'a', 'b', 'c', '/', 'x', 0 }, /* a link */
        { 15, 0x60, 0, 1, 1, 2, 0, 7, 9, 1, 0x41, 'f' },   /* a listing of one */
        { 12, 0x70, 32, 1, 1, 4, 1, 0, 5, 60, 2 },         /* opened, with a descriptor */
        { 12, 0x60, 8, 1, 1, 0, 4, 'a', 'b', 'c', 'd' },   /* bytes */
        { 2, 5, 2 },                                       /* ENOENT */
        { 6, 0x60, 0, 0, 0, 6 },                           /* statfs */
        { 12, 0x60, 8, 1, 1, 3, 0, 0, 4, 1, 0, 'x', 'y' }, /* a small file */
    };
    static const uint8_t walks[][6] = { { ARG_WALK, 1, 0x80 },       { ARG_WALK, 2, 0, 9 },
                                        { ARG_WALK, 3, 0, 1, 9 },    { ARG_WALK, 2, 1, 0x89 },
                                        { ARG_WALK, 3, 1, 2, 0x83 }, { ARG_WALK, 2, 1, 2 } };
    const uint8_t *w = walks[i / 4 % 6];
    size_t n = 0;

    if (cap < 64 || i % 4 == 3) {
        const uint8_t *s = answers[i / 4 % 9];

        if (cap < s[0])
            return 0;
        memcpy(buf, s + 1, s[0]);
        return s[0];
    }
    if (i % 4 == 2)
        return calls_seed(&calls, i / 4, buf, cap);
    buf[n++] = 0;
    buf[n++] = (uint8_t)(i / 4 % 3 ? 0 : i / 12 % 33);
    memcpy(buf + n, w, 2u + w[1]);
    n += 2u + w[1];
    buf[n++] = ARG_ZERO;
    buf[n++] = ARG_ZERO;
    for (unsigned k = i / 24 % 3; k < 3; k++) {
        const uint8_t *s = answers[(i / 72 + k * 5) % 9];

        memcpy(buf + n, s + 1, s[0]);
        n += s[0];
        if (n + 24 > cap)
            break;
    }
    return n;
}
