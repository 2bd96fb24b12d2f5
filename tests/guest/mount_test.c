/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts as root sees them: flags, binds, moves, propagation, detaching, expiring, pivot_root. The
 * calls that make a mount in steps: mount_api_test.c.
 */
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "mounts.h"

#define LX_OPEN_TREE_CLONE 1u

struct attr {
    uint64_t set, clr, propagation, userns;
};

static void errors(void)
{
    dirs("a");
    mkfile(at("f"));
    CHECK_ERR(mount("none", at("a"), "nosuchfs", 0, NULL), ENODEV);
    CHECK_ERR(mount("none", at("a"), NULL, 0, NULL), EINVAL);
    CHECK_ERR(mount("none", at("missing"), "tmpfs", 0, NULL), ENOENT);
    CHECK_ERR(mount("none", at("f"), "tmpfs", 0, NULL), ENOTDIR);
    CHECK_ERR(mount("none", at("a"), "tmpfs", 0, "nosuchoption=1"), EINVAL);
    CHECK_ERR(mount("none", at("a"), "tmpfs", 0, "size=abc"), EINVAL);
    CHECK_ERR(mount(at("missing"), at("a"), NULL, MS_BIND, NULL), ENOENT);
    CHECK_ERR(mount("none", at("a"), NULL, MS_REMOUNT, NULL), EINVAL); /* not a mount */
    CHECK_ERR(mount("none", at("a"), NULL, MS_SHARED, NULL), EINVAL);
    CHECK_ERR(mount(at("a"), at("a"), NULL, MS_MOVE, NULL), EINVAL);
    CHECK_ERR(umount2(at("a"), 0), EINVAL);
    CHECK_ERR(umount2(at("a"), 0x1000), EINVAL);
    CHECK_ERR(umount2(at("missing"), 0), ENOENT);
    CHECK_ERR(umount2((char *)1, 0), EFAULT);
    CHECK_ERR(mount((char *)1, at("a"), "tmpfs", 0, NULL), EFAULT);
    unlink(at("f"));
}

static void flags(void)
{
    struct statvfs sv;
    int fd;

    dirs("a b");
    CHECK_EQ(
        mount("none", at("a"), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0750,size=64k"), 0);
    CHECK_EQ(statvfs(at("a"), &sv), 0);
    CHECK_EQ(sv.f_flag & (ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_RDONLY | ST_RELATIME),
             ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_RELATIME);
    CHECK_EQ(sv.f_blocks * sv.f_frsize, 65536);
    mkfile(at("a/f"));
    fd = open(at("a/f"), O_WRONLY);
    CHECK_ERR(mount("none", at("a"), NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY);
    CHECK_ERR(mount("none", at("a"), NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), EBUSY);
    close(fd);
    /* a bind of a writable file system may be read-only by itself */
    CHECK_EQ(mount(at("a"), at("b"), NULL, MS_BIND, NULL), 0);
    CHECK_EQ(mount(NULL, at("b"), NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
    CHECK_ERR(open(at("b/f"), O_WRONLY), EROFS);
    fd = open(at("a/f"), O_WRONLY);
    CHECK(fd >= 0);
    close(fd);
    CHECK_EQ(mount("none", at("a"), NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    CHECK_ERR(open(at("a/f"), O_WRONLY), EROFS);
    CHECK_ERR(mkdir(at("a/d"), 0755), EROFS);
    CHECK_EQ(mount("none", at("a"), NULL, MS_REMOUNT, "size=128k"), 0);
    CHECK_EQ(statvfs(at("a"), &sv), 0);
    CHECK_EQ(sv.f_blocks * sv.f_frsize, 131072);
    CHECK_EQ(sv.f_flag & (ST_NOSUID | ST_RDONLY), 0); /* what is not said again is taken away */
    CHECK_EQ(umount(at("b")), 0);
    CHECK_EQ(umount(at("a")), 0);
    CHECK_EQ(mount("none", at("a"), "tmpfs", 256 /* MS_NOSYMFOLLOW */, NULL), 0);
    mkfile(at("a/f"));
    CHECK_EQ(symlink("f", at("a/l")), 0);
    CHECK_ERR(open(at("a/l"), O_RDONLY), ELOOP);
    CHECK_ERR(open(at("a/l/x"), O_RDONLY), ELOOP);
    CHECK(readlink(at("a/l"), (char[8]){ 0 }, 8) == 1);
    CHECK_EQ(umount(at("a")), 0);
}

static void atimes(void)
{
    struct stat st, now;
    char c;
    int fd;

    dirs("a");
    for (int strict = 0; strict < 2; strict++) {
        CHECK_EQ(mount("none", at("a"), "tmpfs", strict ? MS_STRICTATIME : MS_NOATIME, NULL), 0);
        fd = open(at("a/f"), O_CREAT | O_RDWR, 0600);
        CHECK_EQ(write(fd, "x", 1), 1);
        usleep(20000);
        for (int i = 0; i < 2; i++) {
            fstat(fd, &st);
            CHECK_EQ(pread(fd, &c, 1, 0), 1);
            fstat(fd, &now);
            CHECK_EQ(st.st_atim.tv_nsec != now.st_atim.tv_nsec, strict);
            usleep(20000);
        }
        close(fd);
        CHECK_EQ(umount(at("a")), 0);
    }
}

static void busy_and_lazy(void)
{
    char buf[PATH_MAX];
    int fd, cwd = open(".", O_RDONLY);

    dirs("a");
    CHECK_EQ(tmpfs(at("a")), 0);
    mkfile(at("a/f"));
    dirs("a/b");
    fd = open(at("a/f"), O_RDONLY);
    CHECK_ERR(umount(at("a")), EBUSY);
    close(fd);
    CHECK_EQ(tmpfs(at("a/b")), 0);
    CHECK_ERR(umount(at("a")), EBUSY);
    CHECK_EQ(chdir(at("a")), 0);
    fd = open("f", O_RDONLY);
    CHECK_EQ(umount2(at("a"), MNT_DETACH), 0); /* and what is mounted in it */
    CHECK(!there(at("a/f")));
    CHECK(there("f"));
    CHECK(there("../f")); /* nothing is above it any more */
    CHECK_STR(fields(at("a/b")), "not mounted");
    CHECK(syscall(SYS_getcwd, buf, sizeof buf) > 0);
    CHECK(strncmp(buf, "(unreachable)", 13) == 0);
    CHECK_EQ(fchdir(cwd), 0);
    close(cwd);
    close(fd);
}

static void expiring(void)
{
    dirs("a");
    CHECK_EQ(tmpfs(at("a")), 0);
    mkfile(at("a/f"));
    CHECK_ERR(umount2(at("a"), MNT_EXPIRE | MNT_DETACH), EINVAL);
    CHECK_ERR(umount2(at("a"), MNT_EXPIRE | MNT_FORCE), EINVAL);
    CHECK_ERR(umount2(at("a"), MNT_EXPIRE), EAGAIN);
    close(open(at("a/f"), O_RDONLY)); /* it is used: from the beginning */
    CHECK_ERR(umount2(at("a"), MNT_EXPIRE), EAGAIN);
    CHECK_EQ(umount2(at("a"), MNT_EXPIRE), 0);
    CHECK_ERR(umount2(at("a"), MNT_EXPIRE), EINVAL);
    CHECK_EQ(symlink("a", at("link")), 0);
    CHECK_EQ(tmpfs(at("a")), 0);
    CHECK_ERR(umount2(at("link"), UMOUNT_NOFOLLOW), EINVAL);
    CHECK_EQ(umount2(at("link"), 0), 0);
    unlink(at("link"));
}

static void moving(void)
{
    dirs("a b");
    CHECK_EQ(tmpfs(at("a")), 0);
    mkfile(at("a/f"));
    dirs("a/in");
    CHECK_EQ(tmpfs(at("a/in")), 0);
    mkfile(at("a/in/g"));
    CHECK_ERR(mount(at("a"), at("a/in"), NULL, MS_MOVE, NULL), ELOOP);
    CHECK_ERR(mount(at("a/f"), at("b"), NULL, MS_MOVE, NULL), EINVAL);
    CHECK_EQ(mount(at("a"), at("b"), NULL, MS_MOVE, NULL), 0);
    CHECK(!there(at("a/f")));
    CHECK(there(at("b/f")));
    CHECK(there(at("b/in/g")));
    /* a bind alone, and one with all that is below */
    CHECK_EQ(mount(at("b"), at("a"), NULL, MS_BIND, NULL), 0);
    CHECK(there(at("a/f")) && !there(at("a/in/g")));
    CHECK_EQ(umount(at("a")), 0);
    CHECK_EQ(mount(at("b"), at("a"), NULL, MS_BIND | MS_REC, NULL), 0);
    CHECK(there(at("a/in/g")));
    CHECK_EQ(umount2(at("a"), MNT_DETACH), 0);
    CHECK_EQ(mount(NULL, at("b/in"), NULL, MS_UNBINDABLE, NULL), 0);
    CHECK_ERR(mount(at("b/in"), at("a"), NULL, MS_BIND, NULL), EINVAL);
    CHECK_EQ(mount(at("b"), at("a"), NULL, MS_BIND | MS_REC, NULL), 0);
    CHECK(!there(at("a/in/g")));
    CHECK_STR(fields(at("b/in")), "unbindable");
    CHECK_EQ(umount2(at("a"), MNT_DETACH), 0);
    CHECK_EQ(umount2(at("b"), MNT_DETACH), 0);
}

static void peers(void)
{
    dirs("a b c");
    CHECK_EQ(tmpfs(at("a")), 0);
    dirs("a/x a/y");
    CHECK_EQ(mount(NULL, at("a"), NULL, MS_SHARED, NULL), 0);
    CHECK_EQ(mount(at("a"), at("b"), NULL, MS_BIND, NULL), 0);
    CHECK_EQ(mount(at("a"), at("c"), NULL, MS_BIND, NULL), 0);
    CHECK_EQ(mount(NULL, at("c"), NULL, MS_SLAVE, NULL), 0);
    CHECK_STR(fields(at("a")), "shared:");
    CHECK_STR(fields(at("b")), "shared:");
    CHECK_STR(fields(at("c")), "master:");
    CHECK_EQ(tmpfs(at("b/x")), 0); /* a peer's goes to all */
    mkfile(at("b/x/f"));
    CHECK(there(at("a/x/f")) && there(at("c/x/f")));
    CHECK_STR(fields(at("a/x")), "shared:");
    CHECK_STR(fields(at("c/x")), "master:");
    CHECK_EQ(tmpfs(at("c/y")), 0); /* a slave's stays */
    mkfile(at("c/y/f"));
    CHECK(!there(at("a/y/f")) && !there(at("b/y/f")));
    CHECK_ERR(mount(at("a/x"), at("a/y"), NULL, MS_MOVE, NULL), EINVAL); /* out of a shared one */
    CHECK_EQ(umount(at("a/x")), 0);
    CHECK(!there(at("b/x/f")) && !there(at("c/x/f")));
    CHECK_STR(fields(at("c/x")), "not mounted");
    CHECK_EQ(mount(NULL, at("c"), NULL, MS_SHARED, NULL), 0);
    CHECK_STR(fields(at("c")), "shared: master:");
    CHECK_EQ(mount(NULL, at("b"), NULL, MS_PRIVATE, NULL), 0);
    CHECK_EQ(tmpfs(at("a/x")), 0);
    mkfile(at("a/x/f"));
    CHECK(!there(at("b/x/f")) && there(at("c/x/f")));
    CHECK_STR(fields(at("c/x")), "shared: master:");
    CHECK_ERR(mount(NULL, at("a"), NULL, MS_SHARED | MS_PRIVATE, NULL), EINVAL);
    /* the last peer goes: its slave has no master */
    CHECK_EQ(umount2(at("a"), MNT_DETACH), 0);
    CHECK_STR(fields(at("c")), "shared:");
    CHECK_EQ(mount(NULL, at("c"), NULL, MS_PRIVATE | MS_REC, NULL), 0);
    CHECK_STR(fields(at("c")), "");
    CHECK_EQ(umount2(at("b"), MNT_DETACH), 0);
    CHECK_EQ(umount2(at("c"), MNT_DETACH), 0);
}

/* What propagation brings to a place where something is mounted lies beneath it. */
static void tucked(void)
{
    dirs("a b");
    CHECK_EQ(tmpfs(at("a")), 0);
    dirs("a/x");
    CHECK_EQ(mount(NULL, at("a"), NULL, MS_SHARED, NULL), 0);
    CHECK_EQ(mount(at("a"), at("b"), NULL, MS_BIND, NULL), 0);
    CHECK_EQ(mount(NULL, at("b"), NULL, MS_SLAVE, NULL), 0);
    CHECK_EQ(tmpfs(at("b/x")), 0);
    mkfile(at("b/x/old"));
    CHECK_EQ(tmpfs(at("a/x")), 0);
    mkfile(at("a/x/new"));
    CHECK(there(at("b/x/old")) && !there(at("b/x/new")));
    CHECK_EQ(umount(at("b/x")), 0);
    CHECK(there(at("b/x/new")));
    CHECK_EQ(umount(at("a/x")), 0);
    CHECK(!there(at("b/x/new")));
    CHECK_EQ(umount2(at("a"), MNT_DETACH), 0);
    CHECK_EQ(umount2(at("b"), MNT_DETACH), 0);
}

static void pivoting(void)
{
    int status;
    pid_t pid;

    dirs("a");
    CHECK_ERR(syscall(SYS_pivot_root, at("missing"), at("a")), ENOENT);
    CHECK_ERR(syscall(SYS_pivot_root, at("a"), at("a")), EINVAL); /* not a mount, or not beneath */
    CHECK_EQ(tmpfs(at("a")), 0);
    dirs("a/old");
    CHECK_ERR(syscall(SYS_pivot_root, at("a"), top), EINVAL); /* put_old is not beneath */
    CHECK_ERR(syscall(SYS_pivot_root, "/", "/"), EBUSY);
    mkfile(at("a/new-root"));
    pid = fork();
    if (pid == 0) { /* the others' root changes with it: they stood at the old one */
        CHECK_EQ(syscall(SYS_pivot_root, at("a"), at("a/old")), 0);
        CHECK(there("/new-root"));
        CHECK(there("/old/proc"));
        _exit(guest_failures != 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK(there("/new-root"));
    CHECK_EQ(chdir("/old"), 0);
    CHECK_EQ(syscall(SYS_pivot_root, ".", "."), 0); /* and back; the new one lies on top */
    CHECK_EQ(umount2(".", MNT_DETACH), 0);
    CHECK(!there("/new-root"));
    CHECK_EQ(chdir("/"), 0);
    CHECK(there("/proc"));
}

/* A tmpfs leaves a whiteout where a name was, for who stacks file systems. */
static void whiteouts(void)
{
    struct stat st;

    dirs("a");
    CHECK_EQ(tmpfs(at("a")), 0);
    mkfile(at("a/f"));
    CHECK_ERR(
        renameat2(AT_FDCWD, at("a/f"), AT_FDCWD, at("a/g"), RENAME_WHITEOUT | RENAME_EXCHANGE),
        EINVAL);
    CHECK_EQ(renameat2(AT_FDCWD, at("a/f"), AT_FDCWD, at("a/g"), RENAME_WHITEOUT), 0);
    CHECK_EQ(stat(at("a/g"), &st), 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(stat(at("a/f"), &st), 0);
    CHECK(S_ISCHR(st.st_mode) && st.st_rdev == 0);
    CHECK_EQ(unlink(at("a/f")), 0);
    CHECK_EQ(umount(at("a")), 0);
}

static void rights(void)
{
    struct attr a = { .set = 1 };
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        guest_failures = 0;
        CHECK_EQ(setuid(1234), 0);
        CHECK_ERR(mount("none", "/tmp", "tmpfs", 0, NULL), EPERM);
        CHECK_ERR(umount2("/proc", MNT_DETACH), EPERM);
        CHECK_ERR(syscall(SYS_open_tree, AT_FDCWD, "/", LX_OPEN_TREE_CLONE), EPERM);
        CHECK_ERR(syscall(SYS_move_mount, AT_FDCWD, "/", AT_FDCWD, "/", 0), EPERM);
        CHECK_ERR(syscall(SYS_fsopen, "tmpfs", 0), EPERM);
        CHECK_ERR(syscall(SYS_fspick, AT_FDCWD, "/", 0), EPERM);
        CHECK_ERR(syscall(SYS_fsmount, 0, 0, 0), EPERM);
        CHECK_ERR(syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &a, sizeof a), EPERM);
        CHECK_ERR(syscall(SYS_pivot_root, "/", "/"), EPERM);
        _exit(guest_failures != 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

int main(void)
{
    mounts_begin();
    RUN(errors);
    RUN(flags);
    RUN(atimes);
    RUN(busy_and_lazy);
    RUN(expiring);
    RUN(moving);
    RUN(peers);
    RUN(tucked);
    RUN(whiteouts);
    RUN(rights);
    RUN(pivoting);
    mounts_end();
    DONE();
}
