/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a file is without its name, and a mount without its place: name_to_handle_at,
 * open_by_handle_at, statx's mount ids, statmount, listmount; cachestat; quotas that are not there.
 */
#include <stdint.h>
#include <sys/quota.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "mounts.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef SYS_statmount
#define SYS_statmount 457
#define SYS_listmount 458
#endif
#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif
#define UNIQUE 0x1
#define FID 0x200
#define LX_STATX_MNT_ID 0x1000u
#define LX_STATX_MNT_ID_UNIQUE 0x4000u

static void make(const char *name)
{
    int fd = open(name, O_CREAT | O_WRONLY, 0644);

    CHECK(fd >= 0);
    close(fd);
}

union handle {
    struct file_handle h;
    char room[sizeof(struct file_handle) + 128];
};

static int handle_of(const char *name, union handle *h, int *id, int flags)
{
    memset(h, 0, sizeof *h);
    h->h.handle_bytes = 128;
    return name_to_handle_at(AT_FDCWD, name, &h->h, id, flags);
}

static void handles(void)
{
    union handle a, b;
    uint64_t unique = 0;
    int id = 0, id2 = 0, fd, m = open(top, O_RDONLY), status;
    struct stat st, st2;
    char buf[8];
    pid_t pid;

    make(at("f"));
    fd = open(at("f"), O_WRONLY);
    CHECK_EQ(write(fd, "hello", 5), 5);
    close(fd);
    mkdir(at("d"), 0755);
    CHECK_EQ(symlink("f", at("l")), 0);
    a.h.handle_bytes = 0;
    CHECK_ERR(name_to_handle_at(AT_FDCWD, at("f"), &a.h, &id, 0), EOVERFLOW);
    CHECK(a.h.handle_bytes > 0 && a.h.handle_bytes <= 128); /* what is needed */
    a.h.handle_bytes = 129;
    CHECK_ERR(name_to_handle_at(AT_FDCWD, at("f"), &a.h, &id, 0), EINVAL);
    CHECK_ERR(handle_of(at("f"), &a, &id, 0x10000000), EINVAL);
    CHECK_ERR(handle_of(at("missing"), &a, &id, 0), ENOENT);
    CHECK_ERR(name_to_handle_at(AT_FDCWD, at("f"), (void *)1, &id, 0), EFAULT);
    CHECK_EQ(handle_of(at("f"), &a, &id, 0), 0);
    CHECK_EQ(link(at("f"), at("other")), 0);
    CHECK_EQ(handle_of(at("other"), &b, &id2, 0), 0);
    CHECK(id == id2 && a.h.handle_bytes == b.h.handle_bytes &&
          !memcmp(&a, &b, sizeof a.h + a.h.handle_bytes));
    CHECK_EQ(handle_of(at("l"), &b, &id2, 0), 0); /* of the link itself */
    CHECK(memcmp(&a, &b, sizeof a.h + a.h.handle_bytes) != 0);
    CHECK_EQ(handle_of(at("l"), &b, &id2, AT_SYMLINK_FOLLOW), 0);
    CHECK(memcmp(&a, &b, sizeof a.h + a.h.handle_bytes) == 0);
    CHECK_EQ(handle_of(at("f"), &b, &id2, FID), 0);
    fd = open(at("f"), O_RDONLY);
    b.h.handle_bytes = 128;
    CHECK_EQ(name_to_handle_at(fd, "", &b.h, &id2, AT_EMPTY_PATH), 0);
    CHECK(memcmp(&a, &b, sizeof a.h + a.h.handle_bytes) == 0);
    close(fd);
    if (handle_of(at("f"), &b, (int *)&unique, UNIQUE) == 0)
        CHECK(unique >> 31);

    unlink(at("f"));
    fd = open_by_handle_at(m, &a.h, O_RDONLY); /* by its other name, or none */
    CHECK(fd >= 0);
    CHECK_EQ(read(fd, buf, 8), 5);
    CHECK_EQ(fstat(fd, &st), 0);
    close(fd);
    CHECK_EQ(stat(at("other"), &st2), 0);
    CHECK(st.st_ino == st2.st_ino && st.st_dev == st2.st_dev);
    CHECK_EQ(handle_of(at("d"), &b, &id, 0), 0);
    make(at("d/in"));
    fd = open_by_handle_at(m, &b.h, O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0);
    CHECK_EQ(faccessat(fd, "in", F_OK, 0), 0);
    CHECK_EQ(faccessat(fd, "../other", F_OK, 0), 0);
    close(fd);
    CHECK_ERR(open_by_handle_at(-1, &a.h, O_RDONLY), EBADF);
    CHECK_ERR(open_by_handle_at(m, (void *)1, O_RDONLY), EFAULT);
    b.h.handle_bytes = 0;
    CHECK_ERR(open_by_handle_at(m, &b.h, O_RDONLY), EINVAL);
    b.h.handle_bytes = 129;
    CHECK_ERR(open_by_handle_at(m, &b.h, O_RDONLY), EINVAL);
    CHECK_EQ(handle_of(at("l"), &b, &id, 0), 0);
    CHECK_ERR(open_by_handle_at(m, &b.h, O_RDONLY), ELOOP);
    fd = open_by_handle_at(m, &b.h, O_PATH);
    CHECK(fd >= 0);
    close(fd);
    pid = fork();
    if (pid == 0) {
        guest_failures = 0;
        CHECK_EQ(setuid(1234), 0);
        CHECK_ERR(open_by_handle_at(m, &a.h, O_RDONLY), EPERM);
        _exit(guest_failures != 0);
    }
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
    unlink(at("other"));
    CHECK_ERR(open_by_handle_at(m, &a.h, O_RDONLY), ESTALE);
    CHECK_ERR(handle_of("/proc/self/status", &a, &id, 0), EOPNOTSUPP);
    close(m);
    unlink(at("l"));
}

/* ---- mounts ---- */

struct lx_statx {
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, pad0;
    uint64_t ino, size, blocks, attributes_mask;
    char times[64];
    uint32_t rdev[2], dev_major, dev_minor;
    uint64_t mnt_id;
    uint64_t rest[13];
};

struct req {
    uint32_t size, spare;
    uint64_t id, param, ns;
};

struct sm {
    uint32_t size, opts;
    uint64_t mask;
    uint32_t dev_major, dev_minor;
    uint64_t magic;
    uint32_t sb_flags, fs_type;
    uint64_t id, parent;
    uint32_t id_old, parent_old;
    uint64_t attr, propagation, group, master, from;
    uint32_t root, point;
    uint64_t ns, rest[49];
    char str[4096];
};

static uint64_t mnt_id(const char *name, int unique)
{
    struct lx_statx x = {};

    CHECK_EQ(syscall(SYS_statx, AT_FDCWD, name, 0,
                     unique ? LX_STATX_MNT_ID_UNIQUE : LX_STATX_MNT_ID, &x),
             0);
    CHECK_EQ(x.mask & (LX_STATX_MNT_ID | LX_STATX_MNT_ID_UNIQUE),
             unique ? LX_STATX_MNT_ID_UNIQUE : LX_STATX_MNT_ID);
    return x.mnt_id;
}

static void mounts(void)
{
    struct req r = { 24, 0, 0, 0, 0 };
    uint64_t ids[256], inner;
    struct sm sm = {};
    struct stat st;
    int found = 0;
    long n;

    mkdir(at("sub"), 0755);
    CHECK_EQ(mount("none", at("sub"), "tmpfs", MS_NOSUID, NULL), 0);
    CHECK_EQ(mount(NULL, at("sub"), NULL, MS_SHARED, NULL), 0);
    inner = mnt_id(at("sub"), 1);
    CHECK(inner != mnt_id(top, 1));
    CHECK(inner >> 31);
    r.id = inner;
    r.param = 0xff & ~0x80ull;
    CHECK_EQ(syscall(SYS_statmount, &r, &sm, sizeof sm, 0), 0);
    CHECK_EQ(sm.mask & 0x3f, 0x3f);
    CHECK_EQ(stat(at("sub"), &st), 0);
    CHECK(sm.dev_major == major(st.st_dev) && sm.dev_minor == minor(st.st_dev));
    CHECK_EQ(sm.magic, 0x01021994);
    CHECK_EQ(sm.id, inner);
    CHECK_EQ(sm.parent, mnt_id(top, 1));
    CHECK_EQ(sm.id_old, mnt_id(at("sub"), 0));
    CHECK_EQ(sm.parent_old, mnt_id(top, 0));
    CHECK_EQ(sm.attr, 2); /* NOSUID, relatime */
    CHECK_EQ(sm.propagation, MS_SHARED);
    CHECK(sm.group != 0 && sm.master == 0);
    CHECK(!strcmp(sm.str + sm.fs_type, "tmpfs"));
    CHECK(!strcmp(sm.str + sm.root, "/"));
    CHECK(!strcmp(sm.str + sm.point, at("sub")));
    CHECK_ERR(syscall(SYS_statmount, &r, &sm, 512, 0), EOVERFLOW); /* no room for strings */
    r.param = 2;
    memset(&sm, 0, sizeof sm);
    CHECK_EQ(syscall(SYS_statmount, &r, &sm, 64, 0), 0);
    CHECK(sm.size == 64 && sm.mask == 2 && sm.id == inner && sm.propagation == 0);
    CHECK_ERR(syscall(SYS_statmount, &r, &sm, sizeof sm, 1), EINVAL);
    CHECK_ERR(syscall(SYS_statmount, (void *)1, &sm, sizeof sm, 0), EFAULT);
    r.size = 8;
    CHECK_ERR(syscall(SYS_statmount, &r, &sm, sizeof sm, 0), EINVAL);
    r.size = 24;
    r.spare = 1;
    CHECK_ERR(syscall(SYS_statmount, &r, &sm, sizeof sm, 0), EINVAL);
    r.spare = 0;
    r.id = inner + 100000;
    CHECK_ERR(syscall(SYS_statmount, &r, &sm, sizeof sm, 0), ENOENT);

    r = (struct req){ 24, 0, UINT64_MAX, 0, 0 };
    n = syscall(SYS_listmount, &r, ids, 256, 0);
    CHECK(n > 1);
    for (long i = 0; i < n; i++) {
        found += ids[i] == inner;
        CHECK(i == 0 || ids[i] > ids[i - 1]);
    }
    CHECK_EQ(found, 1);
    CHECK_EQ(syscall(SYS_listmount, &r, ids, 1, 0), 1);
    r.param = ids[0]; /* those behind it */
    CHECK_EQ(syscall(SYS_listmount, &r, ids, 256, 0), n - 1);
    r = (struct req){ 24, 0, mnt_id(top, 1), 0, 0 };
    CHECK_EQ(syscall(SYS_listmount, &r, ids, 256, 0), 1);
    CHECK_EQ(ids[0], inner);
    CHECK_ERR(syscall(SYS_listmount, &r, ids, 256, 2), EINVAL);
    CHECK_ERR(syscall(SYS_listmount, &r, ids, 2000000, 0), EOVERFLOW);
    CHECK_ERR(syscall(SYS_listmount, &r, (void *)1, 256, 0), EFAULT);
    CHECK_EQ(umount(at("sub")), 0);
    r.id = inner;
    CHECK_ERR(syscall(SYS_listmount, &r, ids, 256, 0), ENOENT);
    rmdir(at("sub"));
}

/* ---- */

static void cached(void)
{
    uint64_t range[2] = { 0, 0 }, cs[5] = { 9, 9, 9, 9, 9 };
    char page[4096] = { 1 };
    int fd = open(at("c"), O_CREAT | O_RDWR, 0600), p[2];

    for (int i = 0; i < 10; i++)
        CHECK_EQ(pwrite(fd, page, 4096, i * 8192), 4096);
    CHECK_EQ(syscall(SYS_cachestat, fd, range, cs, 0), 0);
    CHECK_EQ(cs[0], 10);
    CHECK_EQ(cs[2], 0);
    range[0] = 8192;
    range[1] = 8192 * 3;
    CHECK_EQ(syscall(SYS_cachestat, fd, range, cs, 0), 0);
    CHECK_EQ(cs[0], 3);
    CHECK_ERR(syscall(SYS_cachestat, fd, range, cs, 1), EINVAL);
    CHECK_ERR(syscall(SYS_cachestat, -1, range, cs, 0), EBADF);
    CHECK_ERR(syscall(SYS_cachestat, fd, (void *)1, cs, 0), EFAULT);
    CHECK_ERR(syscall(SYS_cachestat, fd, range, (void *)1, 0), EFAULT);
    close(fd);
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(syscall(SYS_cachestat, p[0], range, cs, 0), 0);
    CHECK_EQ(cs[0], 0);
    close(p[0]);
    close(p[1]);
}

static void quotas(void)
{
    int fd = open(top, O_RDONLY), r;
    char buf[512];

    CHECK_ERR(quotactl(QCMD(Q_GETQUOTA, 9), "/dev/null", 0, buf), EINVAL);
    CHECK_EQ(quotactl(QCMD(Q_SYNC, USRQUOTA), NULL, 0, NULL), 0);
    CHECK_ERR(quotactl(QCMD(Q_GETQUOTA, USRQUOTA), NULL, 0, buf), ENODEV);
    CHECK_ERR(quotactl(QCMD(Q_GETQUOTA, USRQUOTA), "/dev/null", 0, buf), ENOTBLK);
    CHECK_ERR(quotactl(QCMD(Q_GETQUOTA, USRQUOTA), at("missing"), 0, buf), ENOENT);
    r = syscall(SYS_quotactl_fd, fd, QCMD(Q_GETQUOTA, USRQUOTA), 0, buf);
    CHECK(r == -1 && errno == ENOSYS); /* a tmpfs that was mounted without */
    CHECK_ERR(syscall(SYS_quotactl_fd, fd, QCMD(Q_GETQUOTA, 9), 0, buf), EINVAL);
    CHECK_ERR(syscall(SYS_quotactl_fd, -1, QCMD(Q_GETQUOTA, USRQUOTA), 0, buf), EBADF);
    close(fd);
}

int main(void)
{
    mounts_begin();
    RUN(handles);
    RUN(mounts);
    RUN(cached);
    RUN(quotas);
    mounts_end();
    DONE();
}
