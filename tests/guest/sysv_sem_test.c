/* SPDX-License-Identifier: Apache-2.0 */
/* System V semaphores: values, blocking, several at once, undo, removal, errors. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
    struct seminfo *info;
};

static int control(int id, int i, int cmd, unsigned long v)
{
    return semctl(id, i, cmd, (union semun){ .buf = (struct semid_ds *)v });
}

static int op(int id, int num, int n, int flags)
{
    struct sembuf b = { (unsigned short)num, (short)n, (short)flags };

    return semop(id, &b, 1);
}

static int new_set(int n)
{
    int id = semget(IPC_PRIVATE, n, 0600);

    CHECK(id >= 0);
    return id;
}

static void wait_ok(pid_t pid)
{
    int st = -1;

    CHECK(waitpid(pid, &st, 0) == pid);
    CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

/* Until that many calls wait for semaphore i. */
static void until_waiting(int id, int i, int cmd, int n)
{
    while (control(id, i, cmd, 0) != n)
        usleep(1000);
}

static void keys(void)
{
    key_t key = 0x53425801 + (getpid() << 8);
    int id;

    CHECK_ERR(semget(key, 1, 0600), ENOENT);
    id = semget(key, 3, IPC_CREAT | IPC_EXCL | 0600);
    CHECK(id >= 0);
    CHECK_ERR(semget(key, 3, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    CHECK(semget(key, 0, 0) == id);
    CHECK(semget(key, 3, IPC_CREAT | 0600) == id);
    CHECK_ERR(semget(key, 4, 0), EINVAL);
    CHECK_ERR(semget(IPC_PRIVATE, 0, 0600), EINVAL);
    CHECK_ERR(semget(IPC_PRIVATE, -1, 0600), EINVAL);
    CHECK_ERR(semget(IPC_PRIVATE, 32001, 0600), EINVAL);
    CHECK(control(id, 0, IPC_RMID, 0) == 0);
    CHECK_ERR(control(id, 0, IPC_RMID, 0), EINVAL);
    CHECK_ERR(semget(key, 0, 0), ENOENT);
}

static void values(void)
{
    int id = new_set(3);
    unsigned short all[3] = { 1, 2, 3 }, got[3] = { 0 };
    struct semid_ds ds;

    CHECK(control(id, 0, GETVAL, 0) == 0);
    CHECK(control(id, 1, SETVAL, 7) == 0);
    CHECK(control(id, 1, GETVAL, 0) == 7);
    CHECK(control(id, 1, GETPID, 0) == getpid());
    CHECK_ERR(control(id, 1, SETVAL, 32768), ERANGE);
    CHECK_ERR(control(id, 1, SETVAL, (unsigned long)-1), ERANGE);
    CHECK_ERR(control(id, 3, SETVAL, 1), EINVAL);
    CHECK_ERR(control(id, -1, GETVAL, 0), EINVAL);
    CHECK_ERR(control(id, 0, 77, 0), EINVAL);
    CHECK(control(id, 0, SETALL, (unsigned long)all) == 0);
    CHECK(control(id, 0, GETALL, (unsigned long)got) == 0);
    CHECK(got[0] == 1 && got[1] == 2 && got[2] == 3);
    all[2] = 40000;
    CHECK_ERR(control(id, 0, SETALL, (unsigned long)all), ERANGE);
    CHECK_ERR(control(id, 0, GETALL, 8), EFAULT);
    CHECK(control(id, 0, IPC_STAT, (unsigned long)&ds) == 0);
    CHECK(ds.sem_nsems == 3 && ds.sem_otime == 0 && ds.sem_ctime != 0);
    CHECK((ds.sem_perm.mode & 0777) == 0600);
    ds.sem_perm.mode = 0640;
    CHECK(control(id, 0, IPC_SET, (unsigned long)&ds) == 0);
    CHECK(control(id, 0, IPC_STAT, (unsigned long)&ds) == 0);
    CHECK((ds.sem_perm.mode & 0777) == 0640);
    CHECK(op(id, 0, 1, 0) == 0);
    CHECK(control(id, 0, IPC_STAT, (unsigned long)&ds) == 0);
    CHECK(ds.sem_otime != 0);
    CHECK(control(id, 0, IPC_RMID, 0) == 0);
}

static void errors(void)
{
    int id = new_set(2);
    struct sembuf many[501] = { { 0, 1, 0 } }, bad = { 2, 1, 0 };
    struct timespec none = { 0, 20000000 }, wrong = { 0, -1 };

    CHECK_ERR(semop(id, many, 0), EINVAL);
    CHECK_ERR(semop(id, many, 501), E2BIG);
    CHECK_ERR(semop(id, &bad, 1), EFBIG);
    CHECK_ERR(semop(id + 1000000, many, 1), EINVAL);
    CHECK_ERR(semop(-1, many, 1), EINVAL);
    CHECK_ERR(semop(id, (struct sembuf *)8, 1), EFAULT);
    CHECK_ERR(op(id, 0, -1, IPC_NOWAIT), EAGAIN);
    bad = (struct sembuf){ 0, -1, 0 };
    CHECK_ERR(semtimedop(id, &bad, 1, &none), EAGAIN);
    CHECK_ERR(semtimedop(id, &bad, 1, &wrong), EINVAL);
    CHECK(control(id, 0, SETVAL, 32767) == 0);
    CHECK_ERR(op(id, 0, 1, 0), ERANGE);
    CHECK_ERR(op(id, 0, 0, IPC_NOWAIT), EAGAIN);
    CHECK(op(id, 1, 0, 0) == 0);
    CHECK(control(id, 0, IPC_RMID, 0) == 0);
}

/* All or nothing: the first of two goes back when the second cannot be. */
static void together(void)
{
    int id = new_set(2);
    struct sembuf two[2] = { { 0, -1, 0 }, { 1, -1, 0 } };
    pid_t pid;

    CHECK(control(id, 0, SETVAL, 1) == 0);
    two[1].sem_flg = IPC_NOWAIT;
    CHECK_ERR(semop(id, two, 2), EAGAIN);
    CHECK(control(id, 0, GETVAL, 0) == 1);
    two[1].sem_flg = 0;
    pid = fork();
    if (pid == 0)
        _exit(semop(id, two, 2) != 0);
    until_waiting(id, 1, GETNCNT, 1);
    CHECK(control(id, 0, GETNCNT, 0) == 0); /* only what blocks counts */
    CHECK(op(id, 0, -1, 0) == 0);
    CHECK(op(id, 1, 1, 0) == 0); /* now the first one blocks */
    until_waiting(id, 0, GETNCNT, 1);
    CHECK(control(id, 1, GETVAL, 0) == 1);
    CHECK(op(id, 0, 1, 0) == 0);
    wait_ok(pid);
    CHECK(control(id, 0, GETVAL, 0) == 0 && control(id, 1, GETVAL, 0) == 0);
    CHECK(control(id, 0, GETPID, 0) == pid);
    CHECK(control(id, 0, IPC_RMID, 0) == 0);
}

static void zero(void)
{
    int id = new_set(1);
    pid_t pid;

    CHECK(control(id, 0, SETVAL, 2) == 0);
    pid = fork();
    if (pid == 0)
        _exit(op(id, 0, 0, 0) != 0);
    until_waiting(id, 0, GETZCNT, 1);
    CHECK(control(id, 0, GETNCNT, 0) == 0);
    CHECK(op(id, 0, -1, 0) == 0);
    CHECK(control(id, 0, GETZCNT, 0) == 1);
    CHECK(op(id, 0, -1, 0) == 0);
    wait_ok(pid);
    CHECK(control(id, 0, IPC_RMID, 0) == 0);
}

/* Who waits first gets it first. */
static void in_order(void)
{
    int id = new_set(1);
    int *order = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[5];

    for (int i = 0; i < 5; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            if (op(id, 0, -1, 0) != 0)
                _exit(1);
            order[++order[0]] = i;
            _exit(op(id, 0, 1, 0) != 0);
        }
        until_waiting(id, 0, GETNCNT, i + 1);
    }
    CHECK(op(id, 0, 1, 0) == 0);
    for (int i = 0; i < 5; i++)
        wait_ok(pids[i]);
    for (int i = 0; i < 5; i++)
        CHECK(order[i + 1] == i);
    CHECK(control(id, 0, IPC_RMID, 0) == 0);
}

static void undo(void)
{
    int id = new_set(2);
    pid_t pid;

    CHECK(control(id, 0, SETVAL, 3) == 0);
    pid = fork();
    if (pid == 0) {
        int r = op(id, 0, -2, SEM_UNDO) || op(id, 1, 4, SEM_UNDO) || op(id, 0, 1, 0);
        _exit(r || control(id, 0, GETVAL, 0) != 2);
    }
    wait_ok(pid);
    CHECK(control(id, 0, GETVAL, 0) == 4);
    CHECK(control(id, 1, GETVAL, 0) == 0);
    CHECK(control(id, 0, GETPID, 0) == pid);

    /* What is given back wakes. */
    CHECK(control(id, 0, SETVAL, 1) == 0);
    pid = fork();
    if (pid == 0) {
        if (op(id, 0, -1, SEM_UNDO))
            _exit(1);
        until_waiting(id, 0, GETNCNT, 1);
        _exit(0);
    }
    while (control(id, 0, GETPID, 0) != pid)
        usleep(1000);
    CHECK(op(id, 0, -1, 0) == 0);
    wait_ok(pid);

    /* SETVAL forgets it; kill has it done. */
    pid = fork();
    if (pid == 0) {
        if (op(id, 0, 5, SEM_UNDO) || op(id, 1, 5, SEM_UNDO))
            _exit(1);
        pause();
    }
    while (control(id, 1, GETVAL, 0) != 5)
        usleep(1000);
    CHECK(control(id, 0, SETVAL, 9) == 0);
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
    CHECK(control(id, 0, GETVAL, 0) == 9);
    CHECK(control(id, 1, GETVAL, 0) == 0);
    CHECK(control(id, 0, IPC_RMID, 0) == 0);
}

static int set;

static void *in_thread(void *arg)
{
    return op(set, 0, 1, SEM_UNDO) == 0 ? arg : NULL;
}

/* Threads have one list: what one did is undone when the last of the process goes. */
static void undo_of_threads(void)
{
    pid_t pid;

    set = new_set(1);
    pid = fork();
    if (pid == 0) {
        pthread_t th;
        void *r = NULL;

        if (pthread_create(&th, NULL, in_thread, &set) || pthread_join(th, &r) || !r)
            _exit(1);
        usleep(50000); /* the thread itself is gone by now */
        _exit(control(set, 0, GETVAL, 0) != 1);
    }
    wait_ok(pid);
    CHECK(control(set, 0, GETVAL, 0) == 0);
    CHECK(control(set, 0, IPC_RMID, 0) == 0);
}

static void on_signal(int sig)
{
    (void)sig;
}

static void interrupted(void)
{
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    int id = new_set(1), st;
    pid_t pid;

    sigaction(SIGUSR1, &sa, NULL);
    pid = fork();
    if (pid == 0)
        _exit(op(id, 0, -1, 0) == -1 && errno == EINTR ? 0 : 1); /* SA_RESTART or not */
    until_waiting(id, 0, GETNCNT, 1);
    kill(pid, SIGUSR1);
    wait_ok(pid);
    CHECK(control(id, 0, GETNCNT, 0) == 0);

    pid = fork();
    if (pid == 0)
        _exit(op(id, 0, -1, 0) == -1 && errno == EIDRM ? 0 : 1);
    until_waiting(id, 0, GETNCNT, 1);
    CHECK(control(id, 0, IPC_RMID, 0) == 0);
    wait_ok(pid);

    /* One that is killed waits no more. */
    id = new_set(1);
    pid = fork();
    if (pid == 0)
        _exit(op(id, 0, -1, 0));
    until_waiting(id, 0, GETNCNT, 1);
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, &st, 0) == pid && WIFSIGNALED(st));
    CHECK(control(id, 0, GETNCNT, 0) == 0);
    CHECK(op(id, 0, 1, 0) == 0);
    CHECK(control(id, 0, GETVAL, 0) == 1);
    CHECK(control(id, 0, IPC_RMID, 0) == 0);
}

static void rights(void)
{
    int id = semget(IPC_PRIVATE, 1, 0640);
    pid_t pid;

    if (geteuid() != 0)
        return;
    pid = fork();
    if (pid == 0) {
        struct semid_ds ds;
        int bad = 0;

        if (setgid(4711) || setuid(4711))
            _exit(1);
        bad |= control(id, 0, GETVAL, 0) != -1 || errno != EACCES;
        bad |= op(id, 0, 1, 0) != -1 || errno != EACCES;
        bad |= control(id, 0, SETVAL, 1) != -1 || errno != EACCES;
        bad |= control(id, 0, IPC_RMID, 0) != -1 || errno != EPERM;
        bad |= control(id, 0, IPC_STAT, (unsigned long)&ds) != -1 || errno != EACCES;
        _exit(bad);
    }
    wait_ok(pid);
    CHECK(control(id, 0, IPC_RMID, 0) == 0);
}

/* Two processes hand over to each other. */
static void ping_pong(void)
{
    int id = new_set(2);
    pid_t pid = fork();

    for (int i = 0; i < 2000; i++) {
        int r = pid ? op(id, 0, 1, 0) || op(id, 1, -1, 0) : op(id, 0, -1, 0) || op(id, 1, 1, 0);
        if (r) {
            CHECK(!r);
            break;
        }
    }
    if (pid == 0)
        _exit(guest_failures != 0);
    wait_ok(pid);
    CHECK(control(id, 0, IPC_RMID, 0) == 0);
}

int main(void)
{
    RUN(keys);
    RUN(values);
    RUN(errors);
    RUN(together);
    RUN(zero);
    RUN(in_order);
    RUN(undo);
    RUN(undo_of_threads);
    RUN(interrupted);
    RUN(rights);
    RUN(ping_pong);
    DONE();
}
