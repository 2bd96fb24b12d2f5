/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sentry and gofer are fenced by, tried in processes that put it up: the filters of a release (not
 * those of the glibc that this is linked with) with their arguments, Landlock, no new code, limits.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <features.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/fence.h"
#include "abi/landlock.h"
#include "abi/types.h"

#undef __GLIBC__ /* from here on: what is built with musl */
#include "fence_gofer.h"
#include "fence_sentry.h"

#define LIVES 0
#define DIES SIGSYS

static char here[4096] __attribute__((aligned(4096)));
static uint32_t word;

/* One call behind the filter; what ends the process: a signal, or nothing. */
struct attempt {
    const char *what;
    int end;
    long nr, a[6];
};

#define TRACEE 0x3ffffe /* above the highest number of a process but one */

static int attempt_traced(const struct sock_filter *filter, unsigned n, pid_t tracee,
                          const struct attempt *t)
{
    int status = 0;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if ((tracee ? fence_apply_tracer(filter, n, tracee) : fence_apply(filter, n)) < 0)
            _exit(1);
        syscall(t->nr, t->a[0], t->a[1], t->a[2], t->a[3], t->a[4], t->a[5]);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "no filter");
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static int attempt(const struct sock_filter *filter, unsigned n, const struct attempt *t)
{
    return attempt_traced(filter, n, 0, t);
}

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static const struct attempt of_sentry[] = {
    { "mmap of memory", LIVES, SYS_mmap, { 0, 4096, RW, ANON, -1 } },
    { "mmap of code", DIES, SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, ANON, -1 } },
    { "mprotect to data", LIVES, SYS_mprotect, { (long)here, 4096, RW } },
    { "mprotect to code", DIES, SYS_mprotect, { (long)here, 4096, PROT_READ | PROT_EXEC } },
    { "futex wake", LIVES, SYS_futex, { (long)&word, FUTEX_WAKE_PRIVATE, 1 } },
    { "futex with inheritance", DIES, SYS_futex, { (long)&word, FUTEX_TRYLOCK_PI, 0 } },
    { "futex requeue to it", DIES, SYS_futex, { (long)&word, FUTEX_CMP_REQUEUE_PI, 0 } },
    { "madvise to give back", LIVES, SYS_madvise, { (long)here, 4096, MADV_DONTNEED } },
    { "madvise else", DIES, SYS_madvise, { (long)here, 4096, MADV_HUGEPAGE } },
    { "fork", DIES, SYS_clone, { SIGCHLD } },
    { "a namespace", DIES, SYS_clone, { CLONE_NEWUSER | SIGCHLD } },
    { "clone3", DIES, SYS_clone3, { (long)here, 88 } },
    { "unshare", DIES, SYS_unshare, { CLONE_NEWUSER } },
    { "execve", DIES, SYS_execve, { (long)"/bin/true" } },
    { "socket", DIES, SYS_socket, { AF_INET, SOCK_STREAM } },
    { "connect", DIES, SYS_connect, { 0 } },
    { "open for reading", LIVES, SYS_openat, { -1, (long)"x", O_RDONLY } },
    { "open to make", DIES, SYS_openat, { -1, (long)"x", O_WRONLY | O_CREAT, 0600 } },
    { "open to cut", DIES, SYS_openat, { -1, (long)"x", O_WRONLY | O_TRUNC } },
    { "open", DIES, SYS_open, { (long)"x" } },
    { "fcntl of flags", LIVES, SYS_fcntl, { -1, F_GETFL } },
    { "fcntl of an owner", DIES, SYS_fcntl, { -1, F_SETOWN, 1 } },
    { "fcntl of a pipe's size", DIES, SYS_fcntl, { -1, F_SETPIPE_SZ, 1 << 20 } },
    { "memfd", LIVES, SYS_memfd_create, { (long)"x", MFD_CLOEXEC | MFD_ALLOW_SEALING } },
    { "memfd of huge pages", DIES, SYS_memfd_create, { (long)"x", MFD_HUGETLB } },
    { "terminal input", DIES, SYS_ioctl, { -1, 0x5412 /* TIOCSTI */, (long)"x" } },
    { "SIGKILL by descriptor", LIVES, SYS_pidfd_send_signal, { -1, SIGKILL } },
    { "SIGTERM by descriptor", DIES, SYS_pidfd_send_signal, { -1, SIGTERM } },
    { "a kick", LIVES, SYS_tgkill, { 0, 0, SIGURG } },
    { "another signal", DIES, SYS_tgkill, { 0, 0, SIGKILL } },
    { "kill", DIES, SYS_kill, { 0, 0 } },
    { "ptrace", DIES, SYS_ptrace, { 0 } },
    { "prctl", DIES, SYS_prctl, { PR_GET_DUMPABLE } },
    { "io_uring_enter without a ring", DIES, SYS_io_uring_enter, { -1 } },
    { "io_uring_setup", DIES, SYS_io_uring_setup, { 1 } },
    { "read", DIES, SYS_read, { -1 } }, /* preadv2 is there */
    { "getppid", DIES, SYS_getppid, { 0 } },
    { "a number to come", DIES, 600, { 0 } },
};

/* Of one that traces its stubs, beside these. */
static const struct attempt of_tracer[] = {
    { "attaching to the zygote", LIVES, SYS_ptrace, { PTRACE_SEIZE, TRACEE } },
    { "attaching to another", DIES, SYS_ptrace, { PTRACE_SEIZE, TRACEE + 1 } },
    { "attaching to pid 1", DIES, SYS_ptrace, { PTRACE_SEIZE, 1 } },
    { "number, in the upper half", DIES, SYS_ptrace, { PTRACE_SEIZE, TRACEE | 1l << 32 } },
    { "attaching in the old way", DIES, SYS_ptrace, { PTRACE_ATTACH, TRACEE } },
    { "being traced", DIES, SYS_ptrace, { PTRACE_TRACEME, 0 } },
    { "letting go", DIES, SYS_ptrace, { PTRACE_DETACH, TRACEE } },
    { "options", DIES, SYS_ptrace, { PTRACE_SETOPTIONS, TRACEE } },
    { "filters of a tracee", DIES, SYS_ptrace, { 0x420c /* PTRACE_SECCOMP_GET_FILTER */, TRACEE } },
    { "running on", LIVES, SYS_ptrace, { PTRACE_CONT, TRACEE } },
    { "registers", LIVES, SYS_ptrace, { PTRACE_GETREGS, TRACEE, 0, (long)here } },
    { "waiting", LIVES, SYS_wait4, { -1, 0, WNOHANG } },
    { "SIGKILL to a thread", LIVES, SYS_tgkill, { TRACEE, TRACEE, SIGKILL } },
    { "SIGTERM to a thread", DIES, SYS_tgkill, { TRACEE, TRACEE, SIGTERM } },
    { "kill", DIES, SYS_kill, { TRACEE, SIGKILL } },
    { "fork", DIES, SYS_clone, { SIGCHLD } },
    { "mmap of code", DIES, SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, ANON, -1 } },
};

static const struct attempt of_gofer[] = {
    { "mmap of memory", LIVES, SYS_mmap, { 0, 4096, RW, ANON, -1 } },
    { "mmap of code", DIES, SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, ANON, -1 } },
    { "mprotect to code", DIES, SYS_mprotect, { (long)here, 4096, PROT_READ | PROT_EXEC } },
    { "futex with inheritance", DIES, SYS_futex, { (long)&word, FUTEX_TRYLOCK_PI, 0 } },
    { "fork", DIES, SYS_clone, { SIGCHLD } },
    { "execve", DIES, SYS_execve, { (long)"/bin/true" } },
    { "socket", DIES, SYS_socket, { AF_INET, SOCK_STREAM } },
    { "open for reading", LIVES, SYS_openat, { -1, (long)"x", O_RDONLY } },
    { "open to write", DIES, SYS_openat, { -1, (long)"x", O_WRONLY } },
    { "open to make", DIES, SYS_openat, { -1, (long)"x", O_RDONLY | O_CREAT, 0600 } },
    { "affinity of another", DIES, SYS_sched_setaffinity, { 1, 8, (long)here } },
    { "fcntl of an owner", DIES, SYS_fcntl, { -1, F_SETOWN, 1 } },
    { "write", DIES, SYS_write, { -1 } },
    { "unlink", DIES, SYS_unlinkat, { -1, (long)"x" } },
    { "setxattr", DIES, SYS_fsetxattr, { -1 } },
    { "io_uring_register without a ring", DIES, SYS_io_uring_register, { -1, 6 } },
    { "kill", DIES, SYS_kill, { 0, 0 } },
    { "ptrace", DIES, SYS_ptrace, { 0 } },
};

START_TEST(sentrys_filter)
{
    const struct attempt *t = &of_sentry[_i];

    ck_assert_msg(attempt(fence_sentry, ARRAY_SIZE(fence_sentry), t) == t->end, "%s", t->what);
}
END_TEST

START_TEST(tracers_filter)
{
    const struct attempt *t = &of_tracer[_i];

    ck_assert_msg(attempt_traced(fence_sentry_tracer, ARRAY_SIZE(fence_sentry_tracer), TRACEE, t) ==
                      t->end,
                  "%s", t->what);
}
END_TEST

START_TEST(gofers_filter)
{
    const struct attempt *t = &of_gofer[_i];

    ck_assert_msg(attempt(fence_gofer, ARRAY_SIZE(fence_gofer), t) == t->end, "%s", t->what);
}
END_TEST

START_TEST(with_a_ring_its_calls_pass)
{
    const struct attempt enter = { "", LIVES, SYS_io_uring_enter, { -1 } };
    const struct attempt update = {
        "", LIVES, SYS_io_uring_register, { -1, 6 /* FILES_UPDATE */ }
    };
    const struct attempt other = { "", DIES, SYS_io_uring_register, { -1, 0 } };

    ck_assert_int_eq(attempt(fence_sentry_ring, ARRAY_SIZE(fence_sentry_ring), &enter), LIVES);
    ck_assert_int_eq(attempt(fence_gofer_ring, ARRAY_SIZE(fence_gofer_ring), &update), LIVES);
    ck_assert_int_eq(attempt(fence_gofer_ring, ARRAY_SIZE(fence_gofer_ring), &other), DIES);
}
END_TEST

START_TEST(landlock_leaves_what_was_allowed)
{
    int usr = open("/usr", O_PATH | O_CLOEXEC), etc = open("/etc", O_PATH | O_CLOEXEC);
    int set = landlock_new();

    if (set == -EOPNOTSUPP) {
        puts("this host has no Landlock");
        return;
    }
    ck_assert_int_ge(set, 0);
    ck_assert_int_eq(landlock_allow(set, usr, LANDLOCK_READ_FILE | LANDLOCK_READ_DIR), 0);
    ck_assert_int_eq(landlock_enter(set), 0);
    ck_assert_int_ge(openat(usr, "bin", O_RDONLY), 0);
    ck_assert_int_ge(open("/usr/bin", O_RDONLY), 0);
    ck_assert_int_eq(openat(etc, "passwd", O_RDONLY), -1);
    ck_assert_int_eq(errno, EACCES);
    ck_assert_int_eq(open("/dev/null", O_WRONLY), -1);
    ck_assert_int_eq(errno, EACCES);
    if (landlock_abi() >= 6) { /* nobody outside is signalled */
        ck_assert_int_eq(kill(getppid(), 0), -1);
        ck_assert_int_eq(errno, EPERM);
    }
}
END_TEST

/* 0: bound; 1: refused by Landlock. The same of a connect to where nobody listens. */
static int try_tcp(bool binds)
{
    const struct sockaddr_in a = { .sin_family = AF_INET,
                                   .sin_port = htons(binds ? 0 : 9),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int r = binds ? bind(fd, (const struct sockaddr *)&a, sizeof a)
                  : connect(fd, (const struct sockaddr *)&a, sizeof a);

    return r < 0 && errno == EACCES;
}

/* Each bit of _i is one kind of TCP that is held; what is not held goes. */
START_TEST(landlock_holds_tcp_by_kinds)
{
    int status = 0;
    pid_t pid;

    if (landlock_abi() < 4) {
        printf("skipped: this host's Landlock knows nothing of TCP\n");
        return;
    }
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int ruleset = landlock_new_net((uint64_t)_i);

        if (ruleset < 0 || landlock_enter(ruleset) < 0)
            _exit(100);
        _exit(try_tcp(true) | try_tcp(false) << 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(WEXITSTATUS(status), _i);
}
END_TEST

START_TEST(no_new_code)
{
    fence_no_new_code();
    if (prctl(66 /* PR_GET_MDWE */, 0, 0, 0, 0) != 1) {
        puts("this host has no PR_SET_MDWE");
        return;
    }
    ck_assert_ptr_eq(mmap(NULL, 4096, RW | PROT_EXEC, ANON, -1, 0), MAP_FAILED);
    ck_assert_int_eq(mprotect(here, sizeof here, PROT_READ | PROT_EXEC), -1);
}
END_TEST

START_TEST(limits_are_hard)
{
    static const int none[] = { RLIMIT_CORE, RLIMIT_MEMLOCK };
    struct rlimit rl;

    ck_assert_int_eq(fence_limits(none, ARRAY_SIZE(none)), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
        ck_assert_int_eq(getrlimit(none[i], &rl), 0);
        ck_assert(rl.rlim_cur == 0 && rl.rlim_max == 0);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fence");
    TCase *c = tcase_create("all");

    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, sentrys_filter, 0, (int)ARRAY_SIZE(of_sentry));
    tcase_add_loop_test(c, tracers_filter, 0, (int)ARRAY_SIZE(of_tracer));
    tcase_add_loop_test(c, gofers_filter, 0, (int)ARRAY_SIZE(of_gofer));
    tcase_add_test(c, with_a_ring_its_calls_pass);
    tcase_add_test(c, landlock_leaves_what_was_allowed);
    tcase_add_loop_test(c, landlock_holds_tcp_by_kinds, 0, 4);
    tcase_add_test(c, no_new_code);
    tcase_add_test(c, limits_are_hard);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
