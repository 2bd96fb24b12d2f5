/* SPDX-License-Identifier: Apache-2.0 */
/* System V message queues: order, types, room, waiting both ways, removal, errors. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

struct message {
    long type;
    char text[9000];
};

static struct message m;

static int put(int id, long type, const char *text, int flags)
{
    struct message out = { .type = type };

    strcpy(out.text, text);
    return msgsnd(id, &out, strlen(text), flags);
}

static int is(int id, long type, int flags, const char *text, long got_type)
{
    ssize_t n;

    memset(&m, 0, sizeof m);
    n = msgrcv(id, &m, sizeof m.text, type, flags | IPC_NOWAIT);
    return n == (ssize_t)strlen(text) && memcmp(m.text, text, (size_t)n) == 0 && m.type == got_type;
}

static int new_queue(void)
{
    int id = msgget(IPC_PRIVATE, 0600);

    CHECK(id >= 0);
    return id;
}

static void wait_ok(pid_t pid)
{
    int st = -1;

    CHECK(waitpid(pid, &st, 0) == pid);
    CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

static void keys(void)
{
    key_t key = 0x53425802 + (getpid() << 8);
    int id = msgget(key, IPC_CREAT | 0600);

    CHECK(id >= 0);
    CHECK(msgget(key, 0) == id);
    CHECK_ERR(msgget(key, IPC_CREAT | IPC_EXCL), EEXIST);
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
    CHECK_ERR(msgget(key, 0), ENOENT);
    CHECK_ERR(msgctl(id, IPC_RMID, NULL), EINVAL);
}

static void order_and_types(void)
{
    int id = new_queue();

    CHECK(put(id, 3, "three", 0) == 0);
    CHECK(put(id, 1, "one", 0) == 0);
    CHECK(put(id, 2, "two", 0) == 0);
    CHECK(put(id, 1, "uno", 0) == 0);
    CHECK(is(id, 2, MSG_COPY, "two", 2)); /* the third, and it stays */
    CHECK(is(id, 0, MSG_COPY, "three", 3));
    CHECK(is(id, 2, 0, "two", 2));
    CHECK(is(id, 3, MSG_EXCEPT, "one", 1));
    CHECK(is(id, -3, 0, "uno", 1)); /* the least type, not the first */
    CHECK(is(id, 0, 0, "three", 3));
    CHECK_ERR(msgrcv(id, &m, sizeof m.text, 0, IPC_NOWAIT), ENOMSG);
    CHECK_ERR(msgrcv(id, &m, sizeof m.text, 0, IPC_NOWAIT | MSG_COPY), ENOMSG);
    CHECK_ERR(msgrcv(id, &m, sizeof m.text, 0, MSG_COPY), EINVAL);
    CHECK(put(id, 1, "", 0) == 0);
    CHECK(is(id, 0, 0, "", 1));
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
}

static void errors(void)
{
    int id = new_queue();

    CHECK_ERR(put(id, 0, "x", 0), EINVAL);
    CHECK_ERR(put(id, -1, "x", 0), EINVAL);
    m.type = 1;
    CHECK_ERR(msgsnd(id, &m, 8193, 0), EINVAL);
    CHECK_ERR(msgsnd(id, &m, (size_t)-1, 0), EINVAL);
    CHECK_ERR(msgsnd(-1, &m, 1, 0), EINVAL);
    CHECK_ERR(msgsnd(id + 1000000, &m, 1, 0), EINVAL);
    CHECK_ERR(msgsnd(id, (void *)8, 1, 0), EFAULT);
    CHECK_ERR(msgrcv(id, &m, (size_t)-1, 0, 0), EINVAL);
    CHECK_ERR(msgctl(id, 99, NULL), EINVAL);
    CHECK(put(id, 5, "longer", 0) == 0);
    CHECK_ERR(msgrcv(id, &m, 3, 0, 0), E2BIG);
    CHECK(msgrcv(id, &m, 3, 0, MSG_NOERROR) == 3);
    CHECK(memcmp(m.text, "lon", 3) == 0);
    CHECK_ERR(msgrcv(id, &m, 3, 0, IPC_NOWAIT), ENOMSG);
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
}

static void figures(void)
{
    int id = new_queue();
    struct msqid_ds ds;

    CHECK(put(id, 1, "hello", 0) == 0);
    CHECK(put(id, 1, "you", 0) == 0);
    CHECK(msgctl(id, IPC_STAT, &ds) == 0);
    CHECK(ds.msg_qnum == 2 && ds.__msg_cbytes == 8 && ds.msg_qbytes == 16384);
    CHECK(ds.msg_lspid == getpid() && ds.msg_lrpid == 0);
    CHECK(ds.msg_stime && !ds.msg_rtime && ds.msg_ctime);
    CHECK(is(id, 0, 0, "hello", 1));
    CHECK(msgctl(id, IPC_STAT, &ds) == 0);
    CHECK(ds.msg_qnum == 1 && ds.__msg_cbytes == 3 && ds.msg_lrpid == getpid() && ds.msg_rtime);
    ds.msg_qbytes = 4;
    ds.msg_perm.mode = 0644;
    CHECK(msgctl(id, IPC_SET, &ds) == 0);
    CHECK_ERR(put(id, 1, "more", IPC_NOWAIT), EAGAIN);
    CHECK(put(id, 1, "x", IPC_NOWAIT) == 0);
    CHECK(msgctl(id, IPC_STAT, &ds) == 0);
    CHECK((ds.msg_perm.mode & 0777) == 0644 && ds.msg_qbytes == 4);
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
}

/* A full queue: the sender waits until there is room. */
static void room(void)
{
    int id = new_queue();
    int got = 0;
    pid_t pid;

    m.type = 1;
    CHECK(msgsnd(id, &m, 8192, 0) == 0);
    CHECK(msgsnd(id, &m, 8192, 0) == 0);
    CHECK_ERR(msgsnd(id, &m, 1, IPC_NOWAIT), EAGAIN);
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 20; i++) {
            if (msgsnd(id, &m, 4096, 0) != 0)
                _exit(1);
        }
        _exit(0);
    }
    usleep(20000);
    for (int i = 0; i < 22; i++)
        got += msgrcv(id, &m, sizeof m.text, 0, 0) > 0;
    CHECK(got == 22);
    wait_ok(pid);
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
}

/* Each receiver gets what it asked for. */
static void waiting(void)
{
    int id = new_queue();
    pid_t pids[4];

    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            ssize_t n = msgrcv(id, &m, i == 3 ? 1 : 100, i + 1, 0);
            if (i == 3)
                _exit(!(n == -1 && errno == E2BIG));
            _exit(!(n == 2 && m.type == i + 1 && m.text[0] == 'a' + i));
        }
    }
    usleep(50000);
    CHECK(put(id, 4, "dd", 0) == 0); /* too much for who waits: it is told, the message stays */
    CHECK(put(id, 3, "cc", 0) == 0);
    CHECK(put(id, 1, "aa", 0) == 0);
    CHECK(put(id, 2, "bb", 0) == 0);
    for (int i = 0; i < 4; i++)
        wait_ok(pids[i]);
    CHECK(is(id, 0, 0, "dd", 4));
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
}

static void on_signal(int sig)
{
    (void)sig;
}

static void interrupted(void)
{
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    int id = new_queue();
    pid_t pid;

    sigaction(SIGUSR1, &sa, NULL);
    pid = fork();
    if (pid == 0)
        _exit(msgrcv(id, &m, 10, 0, 0) == -1 && errno == EINTR ? 0 : 1);
    guest_asleep(pid);
    kill(pid, SIGUSR1);
    wait_ok(pid);
    pid = fork();
    if (pid == 0)
        _exit(msgrcv(id, &m, 10, 0, 0) == -1 && errno == EIDRM ? 0 : 1);
    guest_asleep(pid);
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
    wait_ok(pid);

    id = new_queue();
    m.type = 1;
    CHECK(msgsnd(id, &m, 8192, 0) == 0 && msgsnd(id, &m, 8192, 0) == 0);
    pid = fork();
    if (pid == 0)
        _exit(msgsnd(id, &m, 10, 0) == -1 && errno == EIDRM ? 0 : 1);
    guest_asleep(pid);
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
    wait_ok(pid);
}

static void rights(void)
{
    int id = msgget(IPC_PRIVATE, 0644);
    pid_t pid;

    if (geteuid() != 0)
        return;
    pid = fork();
    if (pid == 0) {
        struct msqid_ds ds;
        int bad = 0;

        if (setgid(4711) || setuid(4711))
            _exit(1);
        bad |= put(id, 1, "x", 0) != -1 || errno != EACCES;
        bad |= msgctl(id, IPC_STAT, &ds) != 0;
        bad |= msgctl(id, IPC_SET, &ds) != -1 || errno != EPERM;
        bad |= msgctl(id, IPC_RMID, NULL) != -1 || errno != EPERM;
        bad |= msgrcv(id, &m, 10, 0, IPC_NOWAIT) != -1 || errno != ENOMSG;
        _exit(bad);
    }
    wait_ok(pid);
    CHECK(msgctl(id, IPC_RMID, NULL) == 0);
}

int main(void)
{
    RUN(keys);
    RUN(order_and_types);
    RUN(errors);
    RUN(figures);
    RUN(room);
    RUN(waiting);
    RUN(interrupted);
    RUN(rights);
    DONE();
}
