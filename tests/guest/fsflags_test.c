/* SPDX-License-Identifier: Apache-2.0 */
/* chattr's flags: who may set them, what they forbid, where they are told. */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "scratch.h"

#define TMPFS_ID 0x01021994
#define IMMUTABLE 0x10
#define APPEND 0x20
#define NODUMP 0x40

static int fd;

static int get(int of)
{
    int flags = -1;

    return ioctl(of, FS_IOC_GETFLAGS, &flags) < 0 ? -1 : flags;
}

static int set(int of, int flags)
{
    return ioctl(of, FS_IOC_SETFLAGS, &flags);
}

static void immutable(void)
{
    struct statx x;

    CHECK_EQ(get(fd), 0);
    CHECK_EQ(set(fd, IMMUTABLE), 0);
    CHECK_EQ(get(fd), IMMUTABLE);
    CHECK_EQ(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &x), 0);
    CHECK_EQ(x.stx_attributes & 0x70, IMMUTABLE);
    CHECK_EQ(x.stx_attributes_mask & 0x70, 0x70);
    CHECK_ERR(open("file", O_WRONLY), EPERM);
    CHECK(open("file", O_RDONLY) >= 0);
    CHECK_ERR(access("file", W_OK), EPERM);
    CHECK_ERR(truncate("file", 1), EPERM);
    CHECK_ERR(unlink("file"), EPERM);
    CHECK_ERR(rename("file", "other"), EPERM);
    CHECK_ERR(link("file", "other"), EPERM);
    CHECK_ERR(chmod("file", 0600), EPERM);
    CHECK_ERR(chown("file", 0, 0), EPERM);
    CHECK_ERR(utimes("file", NULL), EPERM);
    CHECK_ERR(setxattr("file", "user.x", "1", 1, 0), EPERM);
    CHECK_ERR(fallocate(fd, 0, 0, 10), EPERM);
    CHECK_EQ(write(fd, "x", 1), 1); /* what was open before goes on */
    CHECK_EQ(set(fd, 0), 0);
    CHECK_EQ(chmod("file", 0644), 0);
}

static void append_only(void)
{
    struct timeval tv[2] = { { 1, 0 }, { 1, 0 } };
    int a;

    CHECK_EQ(set(fd, APPEND), 0);
    CHECK_ERR(open("file", O_WRONLY), EPERM);
    CHECK_ERR(open("file", O_WRONLY | O_APPEND | O_TRUNC), EPERM);
    a = open("file", O_WRONLY | O_APPEND);
    CHECK(a >= 0);
    CHECK_EQ(write(a, "more", 4), 4);
    CHECK_ERR(fcntl(a, F_SETFL, 0), EPERM);
    CHECK_EQ(fcntl(a, F_SETFL, O_APPEND | O_NONBLOCK), 0);
    CHECK_ERR(ftruncate(a, 0), EPERM);
    CHECK_ERR(unlink("file"), EPERM);
    CHECK_ERR(chmod("file", 0600), EPERM);
    CHECK_ERR(utimes("file", tv), EPERM);
    CHECK_EQ(utimes("file", NULL), 0);
    CHECK_EQ(fallocate(a, FALLOC_FL_KEEP_SIZE, 0, 10), 0);
    CHECK_ERR(fallocate(a, 0x3 /* PUNCH_HOLE | KEEP_SIZE */, 0, 10), EPERM);
    close(a);
    CHECK_EQ(set(fd, 0), 0);
}

static void directories(void)
{
    int d;

    CHECK_EQ(mkdir("dir", 0755), 0);
    d = open("dir", O_RDONLY | O_DIRECTORY);
    put_text("dir/there", "text");
    CHECK_EQ(set(d, APPEND | NODUMP), 0);
    put_text("dir/new", "text");
    CHECK_ERR(unlink("dir/there"), EPERM);
    CHECK_ERR(rmdir("dir"), EPERM);
    CHECK_EQ(set(d, IMMUTABLE), 0);
    CHECK_ERR(open("dir/more", O_CREAT | O_WRONLY, 0600), EPERM);
    CHECK_EQ(set(d, NODUMP), 0);
    put_text("dir/heir", "text");
    int h = open("dir/heir", O_RDONLY);
    CHECK_EQ(get(h), NODUMP);
    close(h);
    close(d);
}

static void rights(void)
{
    struct fsxattr x = { 0 };
    int st = -1;

    CHECK_ERR(set(fd, 0x1 /* secure removal */), EOPNOTSUPP);
    CHECK_EQ(ioctl(fd, FS_IOC_FSGETXATTR, &x), 0);
    CHECK_EQ(x.fsx_xflags, 0);
    x.fsx_xflags = FS_XFLAG_NODUMP;
    CHECK_EQ(ioctl(fd, FS_IOC_FSSETXATTR, &x), 0);
    CHECK_EQ(get(fd), NODUMP);
    x.fsx_projid = 7;
    CHECK_ERR(ioctl(fd, FS_IOC_FSSETXATTR, &x), EOPNOTSUPP);
    CHECK_EQ(set(fd, 0), 0);
    CHECK_EQ(chmod(".", 0755), 0);
    if (fork() == 0) {
        CHECK_EQ(fchown(fd, 1234, 1234), 0);
        CHECK_EQ(setuid(1234), 0);
        CHECK_ERR(set(fd, IMMUTABLE), EPERM);
        CHECK_ERR(set(fd, APPEND), EPERM);
        CHECK_EQ(set(fd, NODUMP), 0); /* the owner's */
        exit(guest_failures != 0);
    }
    wait(&st);
    CHECK_EQ(st, 0);
    if (fork() == 0) {
        CHECK_EQ(setuid(4321), 0);
        CHECK_ERR(set(fd, 0), EPERM);
        CHECK_EQ(get(fd), NODUMP);
        exit(guest_failures != 0);
    }
    wait(&st);
    CHECK_EQ(st, 0);
    CHECK_EQ(set(fd, 0), 0);
    int p[2];
    CHECK_EQ(pipe(p), 0);
    CHECK_ERR(get(p[0]), ENOTTY);
}

int main(void)
{
    struct statfs s;

    if (geteuid() != 0)
        SKIP("only root sets them");
    if (statfs("/dev/shm", &s) == 0 && s.f_type == TMPFS_ID)
        setenv("SBX_SCRATCH", "/dev/shm", 1);
    scratch_begin();
    fd = open("file", O_CREAT | O_RDWR, 0644);
    if (get(fd) < 0 && errno == ENOTTY)
        SKIP("no such flags on this file system");
    RUN(immutable);
    RUN(append_only);
    RUN(directories);
    RUN(rights);
    scratch_end();
    DONE();
}
