/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts in steps: open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr. */
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "mounts.h"

#define LX_OPEN_TREE_CLONE 1u
#define LX_MOVE_MOUNT_F_EMPTY_PATH 4u
#define LX_MOVE_MOUNT_SET_GROUP 0x100u
#define LX_MOVE_MOUNT_BENEATH 0x200u
#define LX_AT_RECURSIVE 0x8000
enum {
    SET_FLAG,
    SET_STRING,
    SET_BINARY,
    SET_PATH,
    SET_PATH_EMPTY,
    SET_FD,
    CMD_CREATE,
    CMD_RECONFIGURE
};

struct attr {
    uint64_t set, clr, propagation, userns;
};

static void trees(void)
{
    int fd, sub;

    dirs("a b");
    CHECK_EQ(tmpfs(at("a")), 0);
    mkfile(at("a/f"));
    dirs("a/in");
    CHECK_EQ(tmpfs(at("a/in")), 0);
    mkfile(at("a/in/g"));
    CHECK_ERR(syscall(SYS_open_tree, AT_FDCWD, at("a"), LX_AT_RECURSIVE), EINVAL);
    CHECK_ERR(syscall(SYS_open_tree, AT_FDCWD, at("a"), 0x10000000), EINVAL);
    fd = syscall(SYS_open_tree, AT_FDCWD, at("a"),
                 LX_OPEN_TREE_CLONE | LX_AT_RECURSIVE | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(faccessat(fd, "in/g", F_OK, 0), 0); /* nowhere, and can be walked */
    CHECK_EQ(umount2(at("a"), MNT_DETACH), 0);
    CHECK_EQ(faccessat(fd, "in/g", F_OK, 0), 0);
    CHECK_EQ(faccessat(fd, "../f", F_OK, 0), 0);
    CHECK_ERR(syscall(SYS_move_mount, fd, "", AT_FDCWD, at("b"), 0), ENOENT);
    CHECK_ERR(syscall(SYS_move_mount, fd, "", AT_FDCWD, at("b"), 0x1000), EINVAL);
    CHECK_EQ(syscall(SYS_move_mount, fd, "", AT_FDCWD, at("b"), LX_MOVE_MOUNT_F_EMPTY_PATH), 0);
    CHECK(there(at("b/f")) && there(at("b/in/g")));
    close(fd);
    CHECK(there(at("b/f")));
    /* closed before it is anywhere: it goes */
    fd = syscall(SYS_open_tree, AT_FDCWD, at("b"), LX_OPEN_TREE_CLONE);
    CHECK_ERR(faccessat(fd, "in/g", F_OK, 0), ENOENT);
    sub = openat(fd, "f", O_RDONLY);
    close(fd);
    CHECK(sub >= 0);
    close(sub);
    fd = syscall(SYS_open_tree, AT_FDCWD, at("b"), 0);
    CHECK(fd >= 0);
    CHECK_ERR(read(fd, &sub, 1), EBADF); /* as O_PATH */
    close(fd);
    CHECK_EQ(umount2(at("b"), MNT_DETACH), 0);
}

static void groups_and_beneath(void)
{
    dirs("a b c");
    CHECK_EQ(tmpfs(at("a")), 0);
    mkfile(at("a/lower"));
    CHECK_EQ(mount(at("a"), at("b"), NULL, MS_BIND, NULL), 0);
    CHECK_EQ(mount(NULL, at("a"), NULL, MS_SHARED, NULL), 0);
    CHECK_STR(fields(at("b")), "");
    CHECK_EQ(syscall(SYS_move_mount, AT_FDCWD, at("a"), AT_FDCWD, at("b"), LX_MOVE_MOUNT_SET_GROUP),
             0);
    CHECK_STR(fields(at("b")), "shared:");
    CHECK_EQ(mount(NULL, at("a"), NULL, MS_PRIVATE, NULL), 0);
    CHECK_EQ(umount(at("b")), 0);
    CHECK_EQ(tmpfs(at("c")), 0);
    mkfile(at("c/upper"));
    CHECK_EQ(syscall(SYS_move_mount, AT_FDCWD, at("a"), AT_FDCWD, at("c"), LX_MOVE_MOUNT_BENEATH),
             0);
    CHECK(there(at("c/upper")) && !there(at("a/lower")));
    CHECK_EQ(umount(at("c")), 0);
    CHECK(there(at("c/lower")));
    CHECK_EQ(umount(at("c")), 0);
}

static void in_steps(void)
{
    struct statvfs sv;
    int fs, m;

    dirs("a");
    CHECK_ERR(syscall(SYS_fsopen, "nosuchfs", 0), ENODEV);
    CHECK_ERR(syscall(SYS_fsopen, "tmpfs", 2), EINVAL);
    fs = syscall(SYS_fsopen, "tmpfs", 1);
    CHECK(fs >= 0);
    CHECK_EQ(fcntl(fs, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(syscall(SYS_fsconfig, fs, 99, NULL, NULL, 0), EOPNOTSUPP);
    CHECK_ERR(syscall(SYS_fsconfig, fs, SET_STRING, "size", NULL, 0), EINVAL);
    CHECK_ERR(syscall(SYS_fsconfig, fs, SET_STRING, "size", "1M", 1), EINVAL);
    CHECK_ERR(syscall(SYS_fsconfig, fs, SET_FLAG, "nosuchflag", NULL, 0), EINVAL);
    CHECK_ERR(syscall(SYS_fsconfig, -1, SET_FLAG, "ro", NULL, 0), EINVAL);
    CHECK_ERR(syscall(SYS_fsconfig, 0x7fff, SET_FLAG, "ro", NULL, 0), EBADF);
    CHECK_ERR(syscall(SYS_fsmount, fs, 0, 0), EINVAL); /* not made yet */
    CHECK_EQ(syscall(SYS_fsconfig, fs, SET_STRING, "size", "1M", 0), 0);
    CHECK_EQ(syscall(SYS_fsconfig, fs, SET_STRING, "source", "here", 0), 0);
    CHECK_ERR(syscall(SYS_fsconfig, fs, SET_STRING, "source", "there", 0), EINVAL);
    CHECK_ERR(syscall(SYS_fsconfig, fs, CMD_RECONFIGURE, NULL, NULL, 0), EBUSY);
    CHECK_EQ(syscall(SYS_fsconfig, fs, CMD_CREATE, NULL, NULL, 0), 0);
    CHECK_ERR(syscall(SYS_fsconfig, fs, CMD_CREATE, NULL, NULL, 0), EBUSY);
    CHECK_ERR(syscall(SYS_fsconfig, fs, SET_STRING, "size", "2M", 0), EBUSY);
    CHECK_ERR(syscall(SYS_fsmount, fs, 2, 0), EINVAL);
    CHECK_ERR(syscall(SYS_fsmount, fs, 0, 0x30 /* two kinds of atime */), EINVAL);
    m = syscall(SYS_fsmount, fs, 1, 0x2 /* NOSUID */ | 0x10 /* NOATIME */);
    CHECK(m >= 0);
    CHECK_ERR(syscall(SYS_fsmount, fs, 0, 0), EBUSY);
    CHECK_EQ(syscall(SYS_move_mount, m, "", AT_FDCWD, at("a"), LX_MOVE_MOUNT_F_EMPTY_PATH), 0);
    close(m);
    close(fs);
    CHECK_EQ(statvfs(at("a"), &sv), 0);
    CHECK_EQ(sv.f_blocks * sv.f_frsize, 1 << 20);
    CHECK_EQ(sv.f_flag & (ST_NOSUID | ST_NOATIME | ST_NODEV), ST_NOSUID | ST_NOATIME);
    CHECK_ERR(syscall(SYS_fspick, AT_FDCWD, at("a"), 0x100), EINVAL);
    dirs("b");
    CHECK_ERR(syscall(SYS_fspick, AT_FDCWD, at("b"), 0), EINVAL); /* no mount's root */
    fs = syscall(SYS_fspick, AT_FDCWD, at("a"), 1);
    CHECK(fs >= 0);
    CHECK_EQ(syscall(SYS_fsconfig, fs, SET_STRING, "size", "2M", 0), 0);
    CHECK_EQ(syscall(SYS_fsconfig, fs, SET_FLAG, "ro", NULL, 0), 0);
    CHECK_EQ(syscall(SYS_fsconfig, fs, CMD_RECONFIGURE, NULL, NULL, 0), 0);
    CHECK_EQ(statvfs(at("a"), &sv), 0);
    CHECK_EQ(sv.f_blocks * sv.f_frsize, 2 << 20);
    CHECK_ERR(open(at("a/f"), O_CREAT | O_WRONLY, 0600), EROFS);
    close(fs);
    CHECK_EQ(umount(at("a")), 0);
}

static void attributes(void)
{
    struct attr a = {};
    struct statvfs sv;
    int fd;

    dirs("a");
    CHECK_EQ(tmpfs(at("a")), 0);
    dirs("a/in");
    CHECK_EQ(tmpfs(at("a/in")), 0);
    CHECK_EQ(syscall(SYS_mount_setattr, AT_FDCWD, at("a"), 0, &a, sizeof a), 0);
    CHECK_ERR(syscall(SYS_mount_setattr, AT_FDCWD, at("a"), 0, &a, 16), EINVAL);
    CHECK_ERR(syscall(SYS_mount_setattr, AT_FDCWD, at("a"), 0x2000000, &a, sizeof a), EINVAL);
    a.set = 0x10; /* NOATIME, without taking the old kind away */
    CHECK_ERR(syscall(SYS_mount_setattr, AT_FDCWD, at("a"), 0, &a, sizeof a), EINVAL);
    a = (struct attr){ .set = 0x1000 };
    CHECK_ERR(syscall(SYS_mount_setattr, AT_FDCWD, at("a"), 0, &a, sizeof a), EINVAL);
    a = (struct attr){ .propagation = MS_SHARED | MS_SLAVE };
    CHECK_ERR(syscall(SYS_mount_setattr, AT_FDCWD, at("a"), 0, &a, sizeof a), EINVAL);
    a = (struct attr){ .set = 0x1 | 0x8 | 0x10, .clr = 0x70 };
    dirs("b");
    CHECK_ERR(syscall(SYS_mount_setattr, AT_FDCWD, at("b"), 0, &a, sizeof a), EINVAL);
    CHECK_EQ(syscall(SYS_mount_setattr, AT_FDCWD, at("a"), LX_AT_RECURSIVE, &a, sizeof a), 0);
    CHECK_EQ(statvfs(at("a/in"), &sv), 0);
    CHECK_EQ(sv.f_flag & (ST_RDONLY | ST_NOEXEC | ST_NOATIME | ST_RELATIME),
             ST_RDONLY | ST_NOEXEC | ST_NOATIME);
    CHECK_ERR(open(at("a/in/f"), O_CREAT | O_WRONLY, 0600), EROFS);
    a = (struct attr){ .clr = 0x1, .propagation = MS_SHARED };
    CHECK_EQ(syscall(SYS_mount_setattr, AT_FDCWD, at("a/in"), 0, &a, sizeof a), 0);
    CHECK_STR(fields(at("a/in")), "shared:");
    fd = open(at("a/in/f"), O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    a = (struct attr){ .set = 0x1 };
    CHECK_ERR(syscall(SYS_mount_setattr, AT_FDCWD, at("a/in"), 0, &a, sizeof a), EBUSY);
    close(fd);
    CHECK_EQ(umount2(at("a"), MNT_DETACH), 0);
}

int main(void)
{
    mounts_begin();
    RUN(trees);
    RUN(groups_and_beneath);
    RUN(in_steps);
    RUN(attributes);
    mounts_end();
    DONE();
}
