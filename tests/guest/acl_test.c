/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX ACLs, set-id programs and file capabilities, on a tmpfs of the test's own (natively in a mount
 * namespace of its own).
 */
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "mounts.h"

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };

struct entry {
    uint16_t tag, perm;
    uint32_t id;
};

struct list {
    uint32_t version;
    struct entry e[16];
};

#define NONE UINT32_MAX
#define SIZE(n) (4 + 8 * (n))

static mode_t mode_of(const char *name)
{
    struct stat st;

    return stat(name, &st) == 0 ? st.st_mode & 07777 : 0xffff;
}

/* user 1001: u; group 2002: g; within mask m. Owner rw, group r, others o. */
static int set(const char *name, const char *type, int u, int g, int m, int o)
{
    struct list l = { 2,
                      { { USER_OBJ, 6, NONE },
                        { USER, u, 1001 },
                        { GROUP_OBJ, 4, NONE },
                        { GROUP, g, 2002 },
                        { MASK, m, NONE },
                        { OTHER, o, NONE } } };

    return setxattr(name, type, &l, SIZE(6), 0);
}

static void make(const char *name, mode_t mode)
{
    int fd = open(name, O_CREAT | O_WRONLY, mode);

    CHECK(fd >= 0);
    close(fd);
}

/* As uid and gid: open(name, how); the errno, or 0. */
static int opens(uid_t uid, gid_t gid, const char *name, int how)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (syscall(SYS_setgroups, 0, NULL) || setgid(gid) || setuid(uid))
            _exit(255);
        _exit(open(name, how) < 0 ? errno : 0);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void what_is_refused(void)
{
    struct list l = { 2, { { USER_OBJ, 6, NONE }, { GROUP_OBJ, 4, NONE }, { OTHER, 4, NONE } } };

    make(at("f"), 0644);
    CHECK_ERR(getxattr(at("f"), ACCESS, NULL, 0), ENODATA);
    CHECK_ERR(setxattr(at("f"), ACCESS, &l, 3, 0), EINVAL);
    CHECK_ERR(setxattr(at("f"), ACCESS, &l, SIZE(3) - 1, 0), EINVAL);
    CHECK_ERR(setxattr(at("f"), ACCESS, &l, SIZE(2), 0), EINVAL); /* no others */
    l.version = 1;
    CHECK_ERR(setxattr(at("f"), ACCESS, &l, SIZE(3), 0), EOPNOTSUPP);
    l.version = 2;
    l.e[0].perm = 8;
    CHECK_ERR(setxattr(at("f"), ACCESS, &l, SIZE(3), 0), EINVAL);
    l = (struct list){
        2, { { USER_OBJ, 6, NONE }, { USER, 4, 1001 }, { GROUP_OBJ, 4, NONE }, { OTHER, 4, NONE } }
    };
    CHECK_ERR(setxattr(at("f"), ACCESS, &l, SIZE(4), 0), EINVAL); /* a mask is needed */
    CHECK_ERR(set(at("f"), DEFAULT, 6, 6, 6, 0), EACCES);
    CHECK_EQ(symlink("f", at("l")), 0);
    CHECK_ERR(lsetxattr(at("l"), ACCESS, &l, SIZE(4), 0), EOPNOTSUPP);
    CHECK_ERR(setxattr(at("f"), "system.nothing", "x", 1, 0), EOPNOTSUPP);
    unlink(at("l"));
    unlink(at("f"));
}

static void who_may(void)
{
    char names[256];
    struct list l;
    ssize_t n;

    make(at("f"), 0640);
    CHECK_EQ(set(at("f"), ACCESS, 6, 4, 7, 0), 0);
    CHECK_EQ(mode_of(at("f")), 0670); /* the mask is what the group's bits show */
    CHECK_EQ(getxattr(at("f"), ACCESS, NULL, 0), SIZE(6));
    CHECK_ERR(getxattr(at("f"), ACCESS, &l, 8), ERANGE);
    CHECK_EQ(getxattr(at("f"), ACCESS, &l, sizeof l), SIZE(6));
    CHECK(l.version == 2 && l.e[1].tag == USER && l.e[1].id == 1001 && l.e[1].perm == 6);
    n = listxattr(at("f"), names, sizeof names);
    CHECK(n == sizeof ACCESS && !strcmp(names, ACCESS));
    CHECK_EQ(opens(1001, 9, at("f"), O_RDWR), 0);
    CHECK_EQ(opens(1002, 9, at("f"), O_RDONLY), EACCES);
    CHECK_EQ(opens(1002, 2002, at("f"), O_RDONLY), 0);
    CHECK_EQ(opens(1002, 2002, at("f"), O_RDWR), EACCES);
    CHECK_EQ(opens(1002, 0, at("f"), O_RDONLY), 0); /* the owning group */
    CHECK_EQ(chmod(at("f"), 0644), 0);              /* changes the mask, and others */
    CHECK_EQ(getxattr(at("f"), ACCESS, &l, sizeof l), SIZE(6));
    CHECK_EQ(l.e[4].perm, 4);
    CHECK_EQ(l.e[2].perm, 4);
    CHECK_EQ(l.e[5].perm, 4);
    CHECK_EQ(opens(1001, 9, at("f"), O_RDWR), EACCES);
    CHECK_EQ(opens(1001, 9, at("f"), O_RDONLY), 0);
    CHECK_EQ(opens(1003, 9, at("f"), O_RDONLY), 0);
    CHECK_EQ(set(at("f"), ACCESS, 0, 0, 7, 4), 0); /* one may be shut out */
    CHECK_EQ(opens(1001, 9, at("f"), O_RDONLY), EACCES);
    CHECK_EQ(opens(1003, 9, at("f"), O_RDONLY), 0);
    CHECK_EQ(opens(1003, 2002, at("f"), O_RDONLY), EACCES);
    CHECK_EQ(removexattr(at("f"), ACCESS), 0);
    CHECK_ERR(getxattr(at("f"), ACCESS, NULL, 0), ENODATA);
    /* one that says no more than a mode is a mode */
    l = (struct list){ 2, { { USER_OBJ, 7, NONE }, { GROUP_OBJ, 5, NONE }, { OTHER, 1, NONE } } };
    CHECK_EQ(setxattr(at("f"), ACCESS, &l, SIZE(3), 0), 0);
    CHECK_EQ(mode_of(at("f")), 0751);
    CHECK_ERR(getxattr(at("f"), ACCESS, NULL, 0), ENODATA);
    {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
            guest_failures = 0;
            CHECK_EQ(setuid(1001), 0);
            CHECK_ERR(set(at("f"), ACCESS, 6, 4, 7, 0), EPERM);
            CHECK_ERR(removexattr(at("f"), ACCESS), EPERM);
            _exit(guest_failures != 0);
        }
        waitpid(pid, &status, 0);
        CHECK_EQ(status, 0);
    }
    unlink(at("f"));
}

static void inherited(void)
{
    struct list l;
    int fd;

    umask(077);
    CHECK_EQ(mkdir(at("d"), 0755), 0);
    umask(022);
    CHECK_EQ(mode_of(at("d")), 0700);
    CHECK_EQ(set(at("d"), DEFAULT, 6, 4, 6, 0), 0);
    CHECK_EQ(mode_of(at("d")), 0700);
    CHECK_EQ(getxattr(at("d"), DEFAULT, &l, sizeof l), SIZE(6));
    umask(077);
    make(at("d/f"), 0666); /* the list counts, not the umask */
    umask(022);
    CHECK_EQ(mode_of(at("d/f")), 0660);
    CHECK_EQ(getxattr(at("d/f"), ACCESS, &l, sizeof l), SIZE(6));
    CHECK_EQ(l.e[4].perm, 6);
    CHECK_ERR(getxattr(at("d/f"), DEFAULT, &l, sizeof l), ENODATA);
    make(at("d/g"), 0600);
    CHECK_EQ(mode_of(at("d/g")), 0600);
    CHECK_EQ(getxattr(at("d/g"), ACCESS, &l, sizeof l), SIZE(6));
    CHECK_EQ(l.e[4].perm, 0);
    CHECK_EQ(mkdir(at("d/sub"), 0777), 0);
    CHECK_EQ(mode_of(at("d/sub")), 0660);
    CHECK_EQ(getxattr(at("d/sub"), DEFAULT, &l, sizeof l), SIZE(6));
    CHECK_EQ(mkfifo(at("d/p"), 0666), 0);
    CHECK_EQ(mode_of(at("d/p")), 0660);
    fd = open(at("d"), O_TMPFILE | O_RDWR, 0666);
    CHECK(fd >= 0);
    CHECK_EQ(fgetxattr(fd, ACCESS, &l, sizeof l), SIZE(6));
    close(fd);
    CHECK_EQ(removexattr(at("d"), DEFAULT), 0);
    CHECK_EQ(removexattr(at("d"), DEFAULT), 0); /* none is no error */
    make(at("d/h"), 0666);
    CHECK_EQ(mode_of(at("d/h")), 0644);
    CHECK_ERR(getxattr(at("d/h"), ACCESS, &l, sizeof l), ENODATA);
    unlink(at("d/f"));
    unlink(at("d/g"));
    unlink(at("d/h"));
    unlink(at("d/p"));
    rmdir(at("d/sub"));
    rmdir(at("d"));
}

/* ---- programs ---- */

struct caps {
    uint32_t magic, permitted, inheritable, permitted1, inheritable1;
};

static void copy_self(const char *to)
{
    int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_CREAT | O_TRUNC | O_WRONLY, 0755);
    struct stat st;

    fstat(in, &st);
    CHECK_EQ(sendfile(out, in, NULL, st.st_size), st.st_size);
    close(in);
    close(out);
}

/* What a program is that user 1234 runs: bits 0 uid 0, 1 gid 0, 2 CAP_CHOWN, 3 effective, 4 AT_SECURE. */
static int report(void)
{
    struct {
        uint32_t version;
        int pid;
    } h = { 0x20080522, 0 };
    struct {
        uint32_t e, p, i;
    } d[2];

    if (syscall(SYS_capget, &h, d))
        return 128;
    return (geteuid() == 0) | (getegid() == 0) << 1 | (d[0].p & 1) << 2 | (d[0].e & 1) << 3 |
           (getauxval(AT_SECURE) != 0) << 4;
}

static int run(const char *name, int no_new_privs)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (syscall(SYS_setgroups, 0, NULL) || setgid(1234) || setuid(1234))
            _exit(129);
        if (no_new_privs)
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        execl(name, name, "report", NULL);
        _exit(errno == EPERM ? 131 : 130);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void set_id(void)
{
    copy_self(at("prog"));
    CHECK_EQ(run(at("prog"), 0), 0);
    CHECK_EQ(chmod(at("prog"), 04755), 0);
    CHECK_EQ(run(at("prog"), 0), 1 | 4 | 8 | 16);
    CHECK_EQ(run(at("prog"), 1), 0);
    CHECK_EQ(chmod(at("prog"), 02755), 0);
    CHECK_EQ(run(at("prog"), 0), 2 | 16);
    CHECK_EQ(chmod(at("prog"), 02745), 0); /* not executable by the group: a lock of old */
    CHECK_EQ(run(at("prog"), 0), 0);
    CHECK_EQ(chmod(at("prog"), 04755), 0);
    CHECK_EQ(mount("none", top, NULL, MS_REMOUNT | MS_NOSUID, NULL), 0);
    CHECK_EQ(run(at("prog"), 0), 0);
    CHECK_EQ(mount("none", top, NULL, MS_REMOUNT, NULL), 0);
    CHECK_EQ(run(at("prog"), 0), 1 | 4 | 8 | 16);
    CHECK_EQ(chmod(at("prog"), 0755), 0);
}

static void capabilities(void)
{
    struct caps c = { 0x02000001, 1, 0, 0, 0 }, r;
    int fd, status;
    pid_t pid;

    copy_self(at("prog"));
    CHECK_ERR(setxattr(at("prog"), "security.capability", &c, 12, 0), EINVAL);
    CHECK_EQ(setxattr(at("prog"), "security.capability", &c, sizeof c, 0), 0);
    CHECK_EQ(getxattr(at("prog"), "security.capability", &r, sizeof r), sizeof r);
    CHECK(memcmp(&c, &r, sizeof r) == 0);
    CHECK_EQ(run(at("prog"), 0), 4 | 8 | 16);
    CHECK_EQ(run(at("prog"), 1), 16); /* nothing is gained */
    c.magic = 0x02000000;
    CHECK_EQ(setxattr(at("prog"), "security.capability", &c, sizeof c, 0), 0);
    CHECK_EQ(run(at("prog"), 0), 4 | 16); /* it may raise it itself */
    CHECK_EQ(mount("none", top, NULL, MS_REMOUNT | MS_NOSUID, NULL), 0);
    CHECK_EQ(run(at("prog"), 0), 0);
    CHECK_EQ(mount("none", top, NULL, MS_REMOUNT, NULL), 0);
    /* a program that counts on what the bounding set has not is not run */
    c.magic = 0x02000001;
    CHECK_EQ(setxattr(at("prog"), "security.capability", &c, sizeof c, 0), 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_CAPBSET_DROP, 0, 0, 0, 0);
        _exit(run(at("prog"), 0));
    }
    waitpid(pid, &status, 0);
    CHECK_EQ(WEXITSTATUS(status), 131);
    pid = fork();
    if (pid == 0) {
        guest_failures = 0;
        CHECK_EQ(setuid(1234), 0);
        CHECK_ERR(setxattr(at("prog"), "security.capability", &c, sizeof c, 0), EPERM);
        CHECK_ERR(removexattr(at("prog"), "security.capability"), EPERM);
        _exit(guest_failures != 0);
    }
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
    /* whoever changes the file, or whose it is, takes them away */
    fd = open(at("prog"), O_WRONLY);
    CHECK_EQ(pwrite(fd, "\177", 1, 0), 1);
    close(fd);
    CHECK_ERR(getxattr(at("prog"), "security.capability", &r, sizeof r), ENODATA);
    CHECK_EQ(setxattr(at("prog"), "security.capability", &c, sizeof c, 0), 0);
    CHECK_EQ(chown(at("prog"), 5, 5), 0);
    CHECK_ERR(getxattr(at("prog"), "security.capability", &r, sizeof r), ENODATA);
    unlink(at("prog"));
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return report();
    mounts_begin();
    umask(022);
    RUN(what_is_refused);
    RUN(who_may);
    RUN(inherited);
    RUN(set_id);
    RUN(capabilities);
    mounts_end();
    DONE();
}
