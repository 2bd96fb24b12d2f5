/* SPDX-License-Identifier: Apache-2.0 */
/* unshare without namespaces: descriptors, directories, semaphore adjustments, threads. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"

static char stack[65536];

/* The wait status of a clone that shares what flags say. */
static int with(unsigned flags, int (*fn)(void *))
{
    int st = -1;
    pid_t pid = clone(fn, stack + sizeof stack, (int)flags | SIGCHLD, NULL);

    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    return st;
}

static int own_files(void *arg)
{
    (void)arg;
    CHECK_EQ(unshare(CLONE_FILES), 0);
    close(100);
    return guest_failures != 0;
}

static int others_files(void *arg)
{
    (void)arg;
    return close(100) != 0;
}

static void files(void)
{
    CHECK_EQ(dup2(1, 100), 100);
    CHECK_EQ(with(CLONE_FILES, own_files), 0);
    CHECK_EQ(fcntl(100, F_GETFD), 0);
    CHECK_EQ(with(CLONE_FILES, others_files), 0);
    CHECK_ERR(fcntl(100, F_GETFD), EBADF);
}

static int own_fs(void *arg)
{
    (void)arg;
    CHECK_EQ(unshare(CLONE_FS), 0);
    CHECK_EQ(chdir("/tmp"), 0);
    umask(077);
    return guest_failures != 0;
}

static void directories(void)
{
    char dir[64] = "";

    CHECK_EQ(chdir("/usr"), 0);
    umask(022);
    CHECK_EQ(with(CLONE_FS, own_fs), 0);
    CHECK(getcwd(dir, sizeof dir) && strcmp(dir, "/usr") == 0);
    CHECK_EQ(umask(022), 022);
}

static int sem_id;

static int undo_now(void *arg)
{
    struct sembuf up = { 0, 1, SEM_UNDO };

    (void)arg;
    CHECK_EQ(semop(sem_id, &up, 1), 0);
    CHECK_EQ(semctl(sem_id, 0, GETVAL), 1);
    CHECK_EQ(unshare(CLONE_SYSVSEM), 0);
    CHECK_EQ(semctl(sem_id, 0, GETVAL), 0); /* nobody else had the list */
    return guest_failures != 0;
}

static void semaphores(void)
{
    sem_id = semget(IPC_PRIVATE, 1, 0600);
    CHECK_EQ(with(0, undo_now), 0);
    CHECK_EQ(semctl(sem_id, 0, IPC_RMID), 0);
}

static pthread_barrier_t barrier;

static void *waits(void *arg)
{
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return arg;
}

static void threads(void)
{
    pthread_t t;

    CHECK_EQ(unshare(CLONE_THREAD | CLONE_SIGHAND | CLONE_VM), 0); /* it is alone */
    pthread_barrier_init(&barrier, NULL, 2);
    CHECK_EQ(pthread_create(&t, NULL, waits, NULL), 0);
    pthread_barrier_wait(&barrier);
    CHECK_ERR(unshare(CLONE_THREAD), EINVAL);
    CHECK_ERR(unshare(CLONE_VM), EINVAL);
    CHECK_EQ(unshare(CLONE_FILES | CLONE_FS), 0);
    pthread_barrier_wait(&barrier);
    pthread_join(t, NULL);
    CHECK_ERR(unshare(CLONE_PARENT), EINVAL);
    CHECK_ERR(unshare(-1), EINVAL);
    CHECK_EQ(unshare(0), 0);
}

static int unprivileged(void *arg)
{
    (void)arg;
    CHECK_EQ(setuid(1234), 0);
    CHECK_ERR(unshare(CLONE_NEWNS), EPERM);
    CHECK_ERR(unshare(CLONE_NEWUTS | CLONE_FILES), EPERM);
    return guest_failures != 0;
}

static void namespaces(void)
{
    if (geteuid() == 0)
        CHECK_EQ(with(0, unprivileged), 0);
}

/* Into the namespace that one is in already; only root may. */
static int joining(void *arg)
{
    int uts = open("/proc/self/ns/uts", O_RDONLY), mnt = open("/proc/self/ns/mnt", O_RDONLY);
    int user = open("/proc/self/ns/user", O_RDONLY), none = open("/dev/null", O_RDONLY);
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    char dir[64] = "";

    (void)arg;
    CHECK_ERR(setns(-1, CLONE_NEWUTS), EBADF);
    CHECK_ERR(setns(none, CLONE_NEWUTS), EINVAL);
    CHECK_ERR(setns(uts, CLONE_NEWIPC), EINVAL);
    CHECK_ERR(setns(uts, -1), EINVAL);
    CHECK_ERR(setns(user, 0), EINVAL);
    CHECK_ERR(setns(pidfd, 0), EINVAL);
    CHECK_EQ(setns(uts, 0), 0);
    CHECK_EQ(setns(uts, CLONE_NEWUTS), 0);
    CHECK_EQ(setns(pidfd, CLONE_NEWUTS | CLONE_NEWIPC), 0);
    CHECK_EQ(chdir("/tmp"), 0);
    CHECK_EQ(setns(mnt, CLONE_NEWNS), 0);
    CHECK(getcwd(dir, sizeof dir) && strcmp(dir, "/") == 0);
    CHECK_EQ(setuid(1234), 0);
    CHECK_ERR(setns(uts, 0), EPERM);
    return guest_failures != 0;
}

static void joined(void)
{
    if (geteuid() == 0)
        CHECK_EQ(with(0, joining), 0);
}

int main(void)
{
    RUN(files);
    RUN(directories);
    RUN(semaphores);
    RUN(threads);
    RUN(namespaces);
    RUN(joined);
    DONE();
}
