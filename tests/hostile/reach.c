/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reaches for what lies outside: a file, an abstract Unix socket, a TCP port, a process of the host's,
 * the processes of other users inside, kernel objects that only the host has. hostile.py has made the
 * first four and looks afterwards whether anybody touched them. Each is tried with the blob's
 * `syscall`, by one of our own and by int 0x80. What was reached is printed:
 *
 *     reach FILE TOKEN ABSTRACT-NAME PORT PID [ATTACK]
 *
 * In a fenced sandbox nothing is printed. In sbx-unfenced, with the right words, each of them is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew.h"
#include "stub.h"

typedef long (*caller)(long nr, long a, long b, long c, long d, long e, long f);

static const char *file, *token, *abstract;
static int port;
static pid_t outsider;
static volatile unsigned *mark; /* shared */

#define CALL(...) CALL_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(nr, a, b, c, d, e, f, ...)                                                           \
    by(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static bool has_token(caller by, long fd)
{
    char got[64] = "";
    bool is;

    if (fd < 0)
        return false;
    CALL(SYS_read, fd, got, sizeof got - 1);
    is = strncmp(got, token, strlen(token)) == 0;
    CALL(SYS_close, fd);
    return is;
}

static bool reach_file(caller by)
{
    static const char *const ways[] = { "%s", "/../../..%s", "/proc/1/root%s", "/proc/self/root%s",
                                        "/proc/self/cwd/../../../../../..%s" };
    char path[512];

    for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        snprintf(path, sizeof path, ways[i], file);
        if (has_token(by, CALL(SYS_openat, AT_FDCWD, path, O_RDONLY)) ||
            has_token(by, CALL(SYS_open, path, O_RDWR)))
            return true;
    }
    snprintf(path, sizeof path, "%s.new", file); /* hostile.py looks for it */
    CALL(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY, 0666);
    CALL(SYS_mkdir, path, 0777);
    CALL(SYS_unlink, file);
    CALL(SYS_rename, file, path);
    CALL(SYS_truncate, file, 0);
    CALL(SYS_chmod, file, 0);
    return false;
}

static bool reach_unix(caller by)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    size_t n = strlen(abstract);
    long fd = CALL(SYS_socket, AF_UNIX, SOCK_STREAM);
    bool is;

    memcpy(sun.sun_path + 1, abstract, n);
    is = fd >= 0 &&
         CALL(SYS_connect, fd, &sun, offsetof(struct sockaddr_un, sun_path) + 1 + n) == 0;
    CALL(SYS_close, fd);
    return is;
}

static bool reach_tcp(caller by)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    long fd = CALL(SYS_socket, AF_INET, SOCK_STREAM);
    bool is;

    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is = fd >= 0 && CALL(SYS_connect, fd, &sin, sizeof sin) == 0;
    CALL(SYS_close, fd);
    return is;
}

static bool reach_process(caller by)
{
    char here[16];
    struct iovec local = { here, 8 }, remote = { (void *)0x400000, 8 };
    siginfo_t si = { .si_signo = SIGUSR1, .si_code = SI_QUEUE };
    bool is = CALL(SYS_kill, outsider, SIGUSR1) == 0;

    is |= CALL(SYS_tgkill, outsider, outsider, SIGUSR1) == 0;
    is |= CALL(SYS_tkill, outsider, SIGUSR1) == 0;
    is |= CALL(SYS_rt_sigqueueinfo, outsider, SIGUSR1, &si) == 0;
    is |= CALL(SYS_process_vm_readv, outsider, &local, 1, &remote, 1) > 0;
    is |= CALL(SYS_pidfd_open, outsider) >= 0;
    is |= CALL(SYS_prlimit64, outsider, 7, NULL, here) == 0;
    is |= CALL(SYS_setpriority, 0, outsider, 19) == 0;
    is |= CALL(SYS_getpgid, outsider) >= 0;
    return is;
}

/*
 * Processes of another user inside: the stub of the watchdog is among these numbers. Where nothing
 * stops it this would kill anybody, so only a process that is seen to be the watchdog is.
 */
static bool reach_others(caller by)
{
    char here[sizeof watchdog_mark];
    struct iovec local = { here, sizeof here }, remote = { watchdog_mark, sizeof here };
    bool is = CALL(SYS_kill, watchdog_pid, 0) == 0;

    for (long pid = 1; pid < 300; pid++) {
        memset(here, 0, sizeof here);
        if (CALL(SYS_process_vm_readv, pid, &local, 1, &remote, 1) != sizeof here ||
            strcmp(here, "the watchdog") != 0)
            continue;
        is = true;
        CALL(SYS_kill, pid, SIGKILL);
    }
    return is;
}

static const unsigned clone_flags[] = { SIGCHLD,
                                        0,
                                        CLONE_PARENT | SIGCHLD,
                                        CLONE_FILES | SIGCHLD,
                                        CLONE_NEWUSER | SIGCHLD,
                                        CLONE_NEWPID | CLONE_NEWUSER | SIGCHLD,
                                        CLONE_PTRACE | SIGCHLD };
#define CLONES (2 + sizeof clone_flags / sizeof clone_flags[0])

static long clone_by(caller by, unsigned i)
{
    const long args[11] = { 0, 0, 0, 0, SIGCHLD }; /* struct clone_args */

    return i == 0   ? CALL(SYS_fork)
           : i == 1 ? CALL(SYS_clone3, args, 88)
                    : CALL(SYS_clone, clone_flags[i - 2]);
}

/*
 * A process that nobody supervises: its rings are answered as nobody's are, while one that the sentry
 * has made is ended for a ring that makes no sense.
 */
static bool reach_clone(caller by)
{
    for (unsigned i = 0; i < CLONES; i++) {
        int status;
        pid_t pid = fork(); /* an attempt ends whoever makes it */

        if (pid == 0) {
            if (clone_by(by, i) == 0 && ring(99, 0, 12345) == -ENOSYS)
                __atomic_store_n(mark, 1, __ATOMIC_SEQ_CST);
            usleep(2000);
            end_hard(0);
        }
        waitpid(pid, &status, 0);
    }
    usleep(20000);
    return *mark > 0;
}

/* What no process inside can have, because the sentry has no such thing. */
static bool reach_kernel(caller by)
{
    char room[128] = "";
    struct {
        uint32_t type, size;
        uint64_t config, more[16];
    } perf = { 1, 128, 0, { 0 } };

    return CALL(SYS_unshare, CLONE_NEWUSER) == 0 || CALL(SYS_bpf, 0, room, 72) >= 0 ||
           CALL(SYS_perf_event_open, &perf, 0, -1, -1, 0) >= 0 ||
           CALL(SYS_keyctl, 22 /* GET_PERSISTENT: not there inside */, -1, -4) >= 0;
}

static const struct {
    const char *name;
    bool (*try)(caller by);
    bool as_root; /* inside; the others as a user whom Linux would not let */
} attacks[] = {
    { "file", reach_file, true },      { "unix", reach_unix, true },
    { "tcp", reach_tcp, true },        { "process", reach_process, true },
    { "others", reach_others, false }, { "clone", reach_clone, false },
    { "kernel", reach_kernel, false },
};

static const struct {
    const char *name;
    caller by;
} callers[] = { { "by the blob", by_blob }, { "by itself", by_own } };

/* In a child, which says by its status whether it got there. */
static void attempt(unsigned a, unsigned c)
{
    int status = 0;
    pid_t pid;

    *mark = 0;
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        alarm(20);
        if (!attacks[a].as_root)
            become_hostile();
        end_hard(attacks[a].try(callers[c].by) ? 42 : 0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        printf("cannot try\n");
    else if ((WIFEXITED(status) && WEXITSTATUS(status) == 42) || *mark > 0)
        printf("REACHED %s, %s\n", attacks[a].name, callers[c].name);
}

bool reach_all(int argc, char **argv)
{
    if (argc < 5)
        return false;
    file = argv[0], token = argv[1], abstract = argv[2];
    port = atoi(argv[3]);
    outsider = atoi(argv[4]);
    mark = shared_new(4096);
    for (unsigned a = 0; a < sizeof attacks / sizeof attacks[0]; a++) {
        if (argc > 5 && strcmp(argv[5], attacks[a].name) != 0)
            continue;
        for (unsigned c = 0; c < sizeof callers / sizeof callers[0]; c++)
            attempt(a, c);
    }
    return true;
}
