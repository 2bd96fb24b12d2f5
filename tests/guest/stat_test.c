/* SPDX-License-Identifier: Apache-2.0 */
/* stat, statx, access, times, chmod, chown, truncate: what they show and what they refuse. */
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <utime.h>

#include "scratch.h"

static void stats_agree(void)
{
    struct stat a, b, c;
    struct statx x;
    int fd;

    put_text("f", "12345");
    fd = open("f", O_RDONLY);
    CHECK_EQ(stat("f", &a), 0);
    CHECK_EQ(fstat(fd, &b), 0);
    CHECK_EQ(fstatat(fd, "", &c, AT_EMPTY_PATH), 0);
    CHECK_EQ(a.st_ino, b.st_ino);
    CHECK_EQ(a.st_dev, c.st_dev);
    CHECK_EQ(a.st_size, 5);
    CHECK_EQ(a.st_nlink, 1);
    CHECK_EQ(a.st_uid, geteuid());
    CHECK_EQ(a.st_blksize, 4096);
    CHECK_EQ(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS | STATX_BTIME, &x), 0);
    CHECK_EQ(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    CHECK_EQ(x.stx_ino, a.st_ino);
    CHECK_EQ(x.stx_mode, a.st_mode);
    CHECK_EQ(makedev(x.stx_dev_major, x.stx_dev_minor), a.st_dev);
    CHECK_EQ(x.stx_mtime.tv_sec, a.st_mtim.tv_sec);
    CHECK_ERR(statx(AT_FDCWD, "f", 0x40000000, 0, &x), EINVAL);
    CHECK_ERR(statx(AT_FDCWD, "f", 0, 0x80000000u, &x), EINVAL);
    CHECK_ERR(statx(AT_FDCWD, "f", 0x6000, 0, &x), EINVAL);
    CHECK_ERR(fstatat(AT_FDCWD, "f", &a, 0x8000), EINVAL);
    CHECK_ERR(fstatat(AT_FDCWD, "", &a, 0), ENOENT);
    CHECK_EQ(fstatat(AT_FDCWD, "", &a, AT_EMPTY_PATH), 0);
    CHECK(S_ISDIR(a.st_mode));
    CHECK_ERR(fstatat(99, "f", &a, 0), EBADF);
    CHECK_ERR(fstatat(fd, "f", &a, 0), ENOTDIR);
    CHECK_EQ(fstatat(99, "/", &a, 0), 0);
    CHECK_ERR(fstat(99, &a), EBADF);
    CHECK_ERR(syscall(SYS_stat, "f", (void *)8), EFAULT);
    close(fd);
}

static void times(void)
{
    struct timespec ts[2] = { { 1000, 5 }, { 2000, 7 } };
    struct timeval tv[2] = { { 10, 20 }, { 30, 1000000 } };
    struct utimbuf u = { 77, 88 };
    struct stat st, before;
    int fd;

    CHECK_EQ(utimensat(AT_FDCWD, "f", ts, 0), 0);
    CHECK_EQ(stat("f", &st), 0);
    CHECK_EQ(st.st_atim.tv_sec, 1000);
    CHECK_EQ(st.st_atim.tv_nsec, 5);
    CHECK_EQ(st.st_mtim.tv_sec, 2000);
    CHECK_EQ(st.st_mtim.tv_nsec, 7);
    ts[0].tv_nsec = UTIME_OMIT;
    ts[1].tv_nsec = UTIME_NOW;
    CHECK_EQ(utimensat(AT_FDCWD, "f", ts, 0), 0);
    CHECK_EQ(stat("f", &st), 0);
    CHECK_EQ(st.st_atim.tv_sec, 1000);
    CHECK(st.st_mtim.tv_sec > 1000000);
    ts[1].tv_nsec = UTIME_OMIT;
    CHECK_EQ(utimensat(AT_FDCWD, "none", ts, 0), 0); /* nothing to do: not even looked up */
    ts[1].tv_nsec = 1000000000;
    CHECK_ERR(utimensat(AT_FDCWD, "f", ts, 0), EINVAL);
    CHECK_ERR(utimensat(AT_FDCWD, "f", NULL, 0x8000), EINVAL);
    CHECK_ERR(utimensat(AT_FDCWD, "none", NULL, 0), ENOENT);
    CHECK_ERR(utimes("f", tv), EINVAL);
    CHECK_EQ(utime("f", &u), 0);
    CHECK_EQ(stat("f", &st), 0);
    CHECK_EQ(st.st_atim.tv_sec, 77);
    CHECK_EQ(st.st_mtim.tv_sec, 88);
    fd = open("f", O_RDONLY);
    ts[0] = (struct timespec){ 5, 0 };
    ts[1] = (struct timespec){ 6, 0 };
    CHECK_EQ(futimens(fd, ts), 0);
    CHECK_EQ(stat("f", &st), 0);
    CHECK_EQ(st.st_mtim.tv_sec, 6);
    close(fd);
    before = st;
    put_text("f", "written");
    CHECK_EQ(stat("f", &st), 0);
    CHECK(st.st_mtim.tv_sec > before.st_mtim.tv_sec);
    CHECK_EQ(symlink("f", "sl"), 0);
    CHECK_EQ(utimensat(AT_FDCWD, "sl", ts, AT_SYMLINK_NOFOLLOW), 0);
    CHECK_EQ(lstat("sl", &st), 0);
    CHECK_EQ(st.st_mtim.tv_sec, 6);
}

static void modes(void)
{
    struct stat st;
    int fd;

    CHECK_EQ(chmod("f", 0604), 0);
    CHECK_EQ(stat("f", &st), 0);
    CHECK_EQ(st.st_mode, S_IFREG | 0604);
    fd = open("f", O_RDWR);
    CHECK_EQ(fchmod(fd, 0600), 0);
    CHECK_EQ(fchown(fd, -1, -1), 0);
    CHECK_ERR(chmod("none", 0600), ENOENT);
    CHECK_EQ(syscall(SYS_fchmodat, AT_FDCWD, "sl", 0640), 0); /* follows */
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0640);
    errno = 0;
    if (syscall(452 /* fchmodat2 */, AT_FDCWD, "sl", 0600, AT_SYMLINK_NOFOLLOW) < 0 &&
        errno != ENOSYS)
        CHECK_EQ(errno, EOPNOTSUPP);
    close(fd);
    if (geteuid() != 0)
        return;
    CHECK_EQ(chmod("f", 06755), 0);
    CHECK_EQ(chown("f", 12, 34), 0);
    CHECK_EQ(stat("f", &st), 0);
    CHECK_EQ(st.st_uid, 12);
    CHECK_EQ(st.st_gid, 34);
    CHECK_EQ(st.st_mode & 07777, 0755);
    CHECK_EQ(lchown("sl", 1, 2), 0);
    CHECK_EQ(lstat("sl", &st), 0);
    CHECK_EQ(st.st_uid, 1);
    CHECK_EQ(chown("f", 0, 0), 0);
}

static void access_calls(void)
{
    CHECK_EQ(access("f", F_OK), 0);
    CHECK_EQ(access("f", R_OK | W_OK), 0);
    CHECK_EQ(chmod("f", 0644), 0);
    CHECK_ERR(access("f", X_OK), EACCES); /* root too */
    CHECK_ERR(access("none", F_OK), ENOENT);
    CHECK_ERR(access("f/x", F_OK), ENOTDIR);
    CHECK_ERR(syscall(SYS_access, "f", 8), EINVAL);
    CHECK_ERR(syscall(SYS_faccessat2, AT_FDCWD, "f", R_OK, 0x8000), EINVAL);
    CHECK_EQ(syscall(SYS_faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS), 0);
}

static void sizes(void)
{
    struct stat st;
    int fd;

    put_text("t", "0123456789");
    CHECK_EQ(truncate("t", 4), 0);
    CHECK_TEXT("t", "0123");
    CHECK_EQ(truncate("t", 8), 0);
    CHECK_EQ(stat("t", &st), 0);
    CHECK_EQ(st.st_size, 8);
    CHECK_ERR(truncate("t", -1), EINVAL);
    CHECK_ERR(truncate(".", 0), EISDIR);
    CHECK_ERR(truncate("none", 0), ENOENT);
    CHECK_ERR(truncate("/dev/null", 0), EINVAL);
    fd = open("t", O_RDWR);
    CHECK_EQ(ftruncate(fd, 2), 0);
    CHECK_TEXT("t", "01");
    close(fd);
}

static void file_systems(void)
{
    struct statfs a, b;
    int fd = open(".", O_RDONLY);

    CHECK_EQ(statfs(".", &a), 0);
    CHECK_EQ(fstatfs(fd, &b), 0);
    CHECK_EQ(a.f_type, b.f_type);
    CHECK_EQ(a.f_bsize, 4096);
    CHECK_EQ(a.f_namelen, 255);
    CHECK(a.f_blocks >= a.f_bfree);
    CHECK_ERR(statfs("none", &a), ENOENT);
    CHECK_ERR(fstatfs(99, &a), EBADF);
    CHECK_EQ(fsync(fd), 0);
    CHECK_EQ(syncfs(fd), 0);
    CHECK_ERR(fsync(99), EBADF);
    close(fd);
}

static void special(void)
{
    struct stat st;
    int fds[2];

    CHECK_EQ(mkfifo("fifo", 0600), 0);
    CHECK_EQ(stat("fifo", &st), 0);
    CHECK(S_ISFIFO(st.st_mode));
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(fstat(fds[0], &st), 0);
    CHECK(S_ISFIFO(st.st_mode));
    CHECK_ERR(lseek(fds[0], 0, SEEK_CUR), ESPIPE);
    CHECK_EQ(stat("/dev/null", &st), 0);
    CHECK(S_ISCHR(st.st_mode));
    CHECK_EQ(st.st_rdev, makedev(1, 3));
    CHECK_ERR(mknod("d", S_IFDIR | 0700, 0), EPERM);
    CHECK_ERR(mknod("x", S_IFMT | 0700, 0), EINVAL);
    CHECK_EQ(mknod("reg", 0600, 0), 0);
    CHECK_EQ(stat("reg", &st), 0);
    CHECK(S_ISREG(st.st_mode));
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    scratch_begin();
    RUN(stats_agree);
    RUN(times);
    RUN(modes);
    RUN(access_calls);
    RUN(sizes);
    RUN(file_systems);
    RUN(special);
    scratch_end();
    DONE();
}
