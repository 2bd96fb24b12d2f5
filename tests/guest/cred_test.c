/* SPDX-License-Identifier: Apache-2.0 */
/* Users, groups and capabilities: each case in a child, as root; a little of it as anybody. */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"

struct caps {
    unsigned long long eff, perm, inh;
};

static struct caps caps_get(void)
{
    struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct d[2];

    CHECK_EQ(syscall(SYS_capget, &h, d), 0);
    return (struct caps){ d[0].effective | (unsigned long long)d[1].effective << 32,
                          d[0].permitted | (unsigned long long)d[1].permitted << 32,
                          d[0].inheritable | (unsigned long long)d[1].inheritable << 32 };
}

static int caps_set(unsigned long long e, unsigned long long p, unsigned long long i)
{
    struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct d[2] = { { (unsigned)e, (unsigned)p, (unsigned)i },
                                           { (unsigned)(e >> 32), (unsigned)(p >> 32),
                                             (unsigned)(i >> 32) } };

    return (int)syscall(SYS_capset, &h, d);
}

/* The raw calls: libc would change all threads. */
static long raw(long nr, long a, long b, long c)
{
    return syscall(nr, a, b, c);
}

static void ids(long r, long e, long s)
{
    unsigned ru, eu, su;

    CHECK_EQ(getresuid(&ru, &eu, &su), 0);
    CHECK_EQ(ru, r);
    CHECK_EQ(eu, e);
    CHECK_EQ(su, s);
}

static void leave_root(void)
{
    CHECK_EQ(raw(SYS_setuid, 1000, 0, 0), 0);
    ids(1000, 1000, 1000);
    CHECK(caps_get().eff == 0 && caps_get().perm == 0);
    CHECK_ERR(raw(SYS_setuid, 0, 0, 0), EPERM);
    CHECK_ERR(raw(SYS_setresuid, -1, 5, -1), EPERM);
    CHECK_EQ(raw(SYS_setreuid, 1000, 1000, 0), 0);
    CHECK_ERR(raw(SYS_setgroups, 0, 0, 0), EPERM);
    CHECK_ERR(raw(SYS_setuid, -1, 0, 0), EINVAL);
}

static void euid_only(void)
{
    unsigned long long before = caps_get().perm;

    CHECK_EQ(raw(SYS_setresuid, -1, 1000, -1), 0);
    ids(0, 1000, 0);
    CHECK(caps_get().eff == 0 && caps_get().perm == before);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
    CHECK_EQ(raw(SYS_setresuid, -1, 0, -1), 0);
    CHECK(caps_get().eff == before);
    CHECK_EQ(raw(SYS_setreuid, 5, -1, 0), 0);
    ids(5, 0, 0);
    CHECK_EQ(raw(SYS_setreuid, -1, 6, 0), 0);
    ids(5, 6, 6);
}

static void keep_caps(void)
{
    CHECK_EQ(prctl(PR_GET_KEEPCAPS), 0);
    CHECK_EQ(prctl(PR_SET_KEEPCAPS, 1), 0);
    CHECK_EQ(raw(SYS_setresuid, 7, 7, 7), 0);
    CHECK(caps_get().eff == 0 && caps_get().perm != 0);
    CHECK_EQ(caps_set(1ull << CAP_CHOWN, 1ull << CAP_CHOWN, 0), 0);
    CHECK(caps_get().perm == 1ull << CAP_CHOWN);
    CHECK_ERR(caps_set(0, 1ull << CAP_KILL, 0), EPERM);
    CHECK_ERR(caps_set(1ull << CAP_KILL, 1ull << CAP_CHOWN, 0), EPERM);
    CHECK_ERR(prctl(PR_CAPBSET_DROP, CAP_KILL), EPERM);
    CHECK_ERR(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
}

static void ambient(void)
{
    unsigned long long kill = 1ull << CAP_KILL;

    CHECK_ERR(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0), EPERM);
    CHECK_EQ(caps_set(kill, kill, kill), 0);
    CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0), 0);
    CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 1);
    CHECK_EQ(caps_set(kill, kill, 0), 0); /* takes it from the ambient set too */
    CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 0);
    CHECK_ERR(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 63, 0, 0), EINVAL);
    CHECK_ERR(prctl(PR_CAP_AMBIENT, 9, 0, 0, 0), EINVAL);
}

static void bounding(void)
{
    CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_SYS_TIME), 1);
    CHECK_EQ(prctl(PR_CAPBSET_DROP, CAP_SYS_TIME), 0);
    CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_SYS_TIME), 0);
    CHECK_ERR(prctl(PR_CAPBSET_READ, 64), EINVAL);
    CHECK_EQ(prctl(PR_GET_SECUREBITS), 0);
    CHECK_EQ(prctl(PR_SET_SECUREBITS, 0x0f), 0);
    CHECK_EQ(prctl(PR_GET_SECUREBITS), 0x0f);
    CHECK_ERR(prctl(PR_SET_SECUREBITS, 0), EPERM); /* locked */
    CHECK_EQ(raw(SYS_setuid, 3, 0, 0), 0);
    CHECK(caps_get().eff != 0); /* NO_SETUID_FIXUP */
}

static void groups(void)
{
    gid_t g[3] = { 30, 10, 20 }, out[4];
    unsigned r, e, s;

    CHECK_EQ(raw(SYS_setgroups, 3, (long)g, 0), 0);
    CHECK_EQ(getgroups(0, out), 3);
    CHECK_ERR(getgroups(2, out), EINVAL);
    CHECK_EQ(getgroups(4, out), 3);
    CHECK(out[0] == 10 && out[1] == 20 && out[2] == 30);
    CHECK_ERR(raw(SYS_setgroups, 65537, (long)g, 0), EINVAL);
    CHECK_EQ(raw(SYS_setresgid, 1, 2, 3), 0);
    CHECK_EQ(getresgid(&r, &e, &s), 0);
    CHECK(r == 1 && e == 2 && s == 3);
    CHECK_EQ(setfsgid((gid_t)-1), 2);
    CHECK_EQ(raw(SYS_setregid, -1, 1, 0), 0);
    CHECK_EQ(getegid(), 1);
    CHECK_EQ(raw(SYS_setuid, 9, 0, 0), 0);
    CHECK_ERR(raw(SYS_setgid, 4, 0, 0), EPERM);
    CHECK_EQ(raw(SYS_setgid, 1, 0, 0), 0);
}

static void fsuid(void)
{
    CHECK_EQ(setfsuid(12), 0);
    CHECK_EQ(setfsuid((uid_t)-1), 12);
    CHECK(!(caps_get().eff & 1ull << CAP_DAC_OVERRIDE));
    CHECK(caps_get().eff & 1ull << CAP_SETUID);
    CHECK_EQ(setfsuid(0), 12);
    CHECK(caps_get().eff & 1ull << CAP_DAC_OVERRIDE);
}

static void files(void)
{
    char name[] = "/tmp/cr-XXXXXX";
    struct stat st;
    int fd = mkstemp(name);

    fchmod(fd, 0600);
    CHECK_EQ(raw(SYS_setresuid, -1, 1000, -1), 0);
    CHECK_ERR(open(name, O_RDONLY), EACCES);
    CHECK_ERR(chown(name, 1000, -1), EPERM);
    CHECK_EQ(raw(SYS_setresuid, -1, 0, -1), 0);
    CHECK_EQ(chown(name, 1000, 50), 0);
    CHECK_EQ(stat(name, &st), 0);
    CHECK(st.st_uid == 1000 && st.st_gid == 50);
    unlink(name);
    close(fd);
}

static void anybody(void)
{
    struct __user_cap_header_struct h = { 0x12345678, 0 };
    struct __user_cap_data_struct d[2];

    CHECK_ERR(syscall(SYS_capget, &h, d), EINVAL);
    CHECK_EQ(h.version, _LINUX_CAPABILITY_VERSION_3);
    CHECK_EQ(syscall(SYS_capget, &h, NULL), 0);
    h.pid = -1;
    CHECK_ERR(syscall(SYS_capget, &h, d), EINVAL);
    h.pid = 1 << 22;
    CHECK_ERR(syscall(SYS_capget, &h, d), ESRCH);
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
    CHECK_ERR(raw(SYS_getgroups, -1, 0, 0), EINVAL);
}

static void in_child(const char *name, void (*fn)(void))
{
    int st;

    fflush(stdout);
    if (fork() == 0) {
        guest_current = name;
        fn();
        fflush(stdout);
        _exit(guest_failures != 0);
    }
    wait(&st);
    guest_failures += st != 0;
}
#define CHILD(fn) in_child(#fn, fn)

int main(void)
{
    CHILD(anybody);
    if (geteuid() == 0 && caps_get().eff & 1ull << CAP_SETUID) {
        CHILD(leave_root);
        CHILD(euid_only);
        CHILD(keep_caps);
        CHILD(ambient);
        CHILD(bounding);
        CHILD(groups);
        CHILD(fsuid);
        CHILD(files);
    }
    DONE();
}
