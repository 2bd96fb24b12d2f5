/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process against one of another user's, and against one of its own user's that does not let itself be looked
 * into: each way to end, stop, slow, read or change it is refused, by the errno that Linux has, and the other
 * one has not noticed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "guest.h"

#define VICTIM 1000
#define OTHER 1001

static char secret[4096] = "untouched";
static pid_t victim;
static int shm_id, msg_id, sem_id;

static int to_victim[2], from_victim[2];

/* Waits for a byte; 0 when nobody has changed it. */
static void be_victim(uid_t uid, int dumpable)
{
    struct rlimit files;
    char c;

    if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0 ||
        prctl(PR_SET_DUMPABLE, dumpable) < 0)
        _exit(90);
    shm_id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    msg_id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    sem_id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
    int ids[3] = { shm_id, msg_id, sem_id };

    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_DFL);
    if (write(from_victim[1], ids, sizeof ids) != sizeof ids || read(to_victim[0], &c, 1) != 1)
        _exit(91);
    getrlimit(RLIMIT_NOFILE, &files);
    shmctl(shm_id, IPC_RMID, NULL);
    msgctl(msg_id, IPC_RMID, NULL);
    semctl(sem_id, 0, IPC_RMID);
    _exit(strcmp(secret, "untouched") != 0 ? 92
          : files.rlim_cur == 7            ? 93
          : getpriority(PRIO_PROCESS, 0)   ? 94
                                           : 0);
}

/* ---- what is tried: 0 or more when it succeeds ---- */

static long of_proc(const char *name, int flags)
{
    char path[64], buf[64];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)victim, name);
    int fd = open(path, flags);

    if (fd < 0)
        return -1;
    /* Some are opened by anybody, and then give nothing. */
    long r = flags == O_RDONLY ? read(fd, buf, sizeof buf) : 0;
    if (r == 0 && flags == O_RDONLY) {
        errno = EACCES;
        r = -1;
    }
    close(fd);
    return r;
}

static long link_of(const char *name)
{
    char path[64], to[256];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)victim, name);
    return readlink(path, to, sizeof to);
}

static long pidfd(void)
{
    return syscall(SYS_pidfd_open, victim, 0);
}

static long t_kill(void)
{
    return kill(victim, SIGTERM);
}
static long t_probe(void)
{
    return kill(victim, 0);
}
static long t_tgkill(void)
{
    return syscall(SYS_tgkill, victim, victim, SIGUSR1);
}
static long t_tkill(void)
{
    return syscall(SYS_tkill, victim, SIGUSR1);
}
static long t_stop(void)
{
    return kill(victim, SIGSTOP);
}
static long t_pidfd_signal(void)
{
    return syscall(SYS_pidfd_send_signal, pidfd(), SIGTERM, NULL, 0);
}
static long t_pidfd_getfd(void)
{
    return syscall(438 /* pidfd_getfd */, pidfd(), 0, 0);
}
static long t_sigqueue(void)
{
    return sigqueue(victim, SIGUSR1, (union sigval){ 0 });
}
static long t_kcmp(void)
{
    return syscall(SYS_kcmp, getpid(), victim, KCMP_VM, 0, 0);
}
static long t_ptrace(void)
{
    return ptrace(PTRACE_SEIZE, victim, NULL, NULL);
}
static long t_nice(void)
{
    return setpriority(PRIO_PROCESS, (id_t)victim, 19);
}
static long t_mem(void)
{
    return of_proc("mem", O_RDWR);
}
static long t_environ(void)
{
    return of_proc("environ", O_RDONLY);
}
static long t_maps(void)
{
    return of_proc("maps", O_RDONLY);
}
static long t_smaps(void)
{
    return of_proc("smaps", O_RDONLY);
}
static long t_auxv(void)
{
    return of_proc("auxv", O_RDONLY);
}
static long t_comm(void)
{
    return of_proc("comm", O_WRONLY);
}
static long t_oom(void)
{
    return of_proc("oom_score_adj", O_WRONLY);
}
static long t_input(void)
{
    return of_proc("fd/0", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}
static long t_fdinfo(void)
{
    return of_proc("fdinfo/0", O_RDONLY);
}
static long t_cwd(void)
{
    return link_of("cwd");
}
static long t_root(void)
{
    return link_of("root");
}
static long t_exe(void)
{
    return link_of("exe");
}
static long t_fd(void)
{
    return link_of("fd/0");
}
static long t_ns(void)
{
    return link_of("ns/mnt");
}

static long t_read(void)
{
    char c;
    struct iovec to = { &c, 1 }, from = { secret, 1 };

    return process_vm_readv(victim, &to, 1, &from, 1, 0);
}

static long t_write(void)
{
    char c = 'X';
    struct iovec from = { &c, 1 }, to = { secret, 1 };

    return process_vm_writev(victim, &from, 1, &to, 1, 0);
}

static long t_limit(void)
{
    const struct rlimit r = { 7, 7 };

    return prlimit(victim, RLIMIT_NOFILE, &r, NULL);
}

static long t_limits(void)
{
    struct rlimit r;

    return prlimit(victim, RLIMIT_NOFILE, NULL, &r);
}

static long t_scheduler(void)
{
    const struct sched_param p = { 0 };

    return sched_setscheduler(victim, SCHED_IDLE, &p);
}

static long t_affinity(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(0, &set);
    return sched_setaffinity(victim, sizeof set, &set);
}

static long t_ioprio(void)
{
    return syscall(SYS_ioprio_set, 1, victim, 3 << 13);
}

static long t_robust(void)
{
    void *head;
    size_t n;

    return syscall(SYS_get_robust_list, victim, &head, &n);
}

static long t_shm(void)
{
    return shmat(shm_id, NULL, 0) == (void *)-1 ? -1 : 0;
}
static long t_shm_remove(void)
{
    return shmctl(shm_id, IPC_RMID, NULL);
}
static long t_msg(void)
{
    return msgsnd(msg_id, &(long[2]){ 1, 2 }, 8, IPC_NOWAIT);
}
static long t_msg_remove(void)
{
    return msgctl(msg_id, IPC_RMID, NULL);
}
static long t_sem(void)
{
    return semop(sem_id, &(struct sembuf){ 0, 1, 0 }, 1);
}
static long t_sem_remove(void)
{
    return semctl(sem_id, 0, IPC_RMID);
}

static const struct way {
    const char *name;
    long (*run)(void);
    int err;
    bool looks; /* refused within one user, too, where the other is not dumpable */
} ways[] = {
#define WAY(name, err)                                                                             \
    {                                                                                              \
#name, t_##name, err, false                                                                \
    }
#define LOOK(name, err)                                                                            \
    {                                                                                              \
#name, t_##name, err, true                                                                 \
    }
    LOOK(pidfd_getfd, EPERM),
    LOOK(read, EPERM),
    LOOK(write, EPERM),
    LOOK(kcmp, EPERM),
    LOOK(ptrace, EPERM),
    WAY(nice, EPERM),
    WAY(scheduler, EPERM),
    WAY(affinity, EPERM),
    WAY(ioprio, EPERM),
    WAY(limit, EPERM),
    WAY(limits, EPERM),
    LOOK(robust, EPERM),
    LOOK(mem, EACCES),
    LOOK(environ, EACCES),
    LOOK(maps, EACCES),
    LOOK(smaps, EACCES),
    LOOK(auxv, EACCES),
    WAY(comm, EACCES),
    LOOK(oom, EACCES),
    LOOK(input, EACCES),
    LOOK(fdinfo, EACCES),
    LOOK(cwd, EACCES),
    LOOK(root, EACCES),
    LOOK(exe, EACCES),
    LOOK(fd, EACCES),
    LOOK(ns, EACCES),
    WAY(shm, EACCES),
    WAY(shm_remove, EPERM),
    WAY(msg, EACCES),
    WAY(msg_remove, EPERM),
    WAY(sem, EACCES),
    WAY(sem_remove, EPERM),
    /* Last: who is dead is not read. */
    WAY(probe, EPERM),
    WAY(pidfd_signal, EPERM),
    WAY(stop, EPERM),
    WAY(sigqueue, EPERM),
    WAY(tkill, EPERM),
    WAY(tgkill, EPERM),
    WAY(kill, EPERM),
};

/* In a process of uid: how many got through. */
static int attack(uid_t uid, bool all)
{
    int n = 0;

    if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
        return 100;
    prctl(PR_SET_DUMPABLE, 1);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        const struct way *w = &ways[i];

        if (!all && !w->looks)
            continue;
        errno = 0;
        long r = w->run();
        int err = errno;

        /* ptrace is refused to all inside. */
        if (r >= 0 || (err != w->err && !(w->run == t_ptrace && guest_inside()))) {
            printf("%s: %ld, %s, wanted %s\n", w->name, r, strerror(err), strerror(w->err));
            n++;
        }
    }
    fflush(stdout);
    return n;
}

static void against(uid_t uid, int dumpable, uid_t from, bool all)
{
    int status = -1, ids[3];

    CHECK_EQ(pipe(to_victim), 0);
    CHECK_EQ(pipe(from_victim), 0);
    fflush(stdout);
    victim = fork();
    if (victim == 0)
        be_victim(uid, dumpable);
    CHECK_EQ(read(from_victim[0], ids, sizeof ids), sizeof ids);
    shm_id = ids[0], msg_id = ids[1], sem_id = ids[2];
    pid_t pid = fork();
    if (pid == 0)
        _exit(attack(from, all));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(waitpid(victim, &status, WNOHANG | WUNTRACED), 0); /* neither ended nor stopped */
    CHECK_EQ(write(to_victim[1], "x", 1), 1);
    CHECK_EQ(waitpid(victim, &status, 0), victim);
    CHECK_EQ(status, 0);
    for (int i = 0; i < 2; i++) {
        close(to_victim[i]);
        close(from_victim[i]);
    }
}

static void another_user(void)
{
    against(VICTIM, 1, OTHER, true);
}

static void not_dumpable(void)
{
    against(VICTIM, 0, VICTIM, false);
}

static void of_root(void)
{
    against(0, 1, OTHER, true);
}

int main(void)
{
    if (geteuid() != 0) {
        printf("skipped: it needs more than one user\n");
        return 77;
    }
    signal(SIGPIPE, SIG_IGN);
    RUN(another_user);
    RUN(not_dumpable);
    RUN(of_root);
    DONE();
}
