/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/sys that may be written, and what it changes. Natively the tests of System V limits run in
 * IPC and UTS namespaces of their own, and nothing else is changed: for the rest a write of the value
 * that is there must succeed, and a bad one fail.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "scratch.h"

static bool inside; /* whose machine it is: may be changed */

static ssize_t get(const char *name, char *buf, size_t cap)
{
    char path[128];
    int fd;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/sys/%s", name);
    fd = open(path, O_RDONLY);
    n = read(fd, buf, cap - 1);
    close(fd);
    buf[n < 0 ? 0 : n] = 0;
    return n;
}

/* 0 or -1 with errno. */
static int set(const char *name, const char *value)
{
    char path[128];
    int fd, r, e;

    snprintf(path, sizeof path, "/proc/sys/%s", name);
    fd = open(path, O_WRONLY | O_TRUNC);
    if (fd < 0)
        return -1;
    r = write(fd, value, strlen(value)) == (ssize_t)strlen(value) ? 0 : -1;
    e = errno;
    close(fd);
    errno = e;
    return r;
}

static bool is(const char *name, const char *want)
{
    char buf[128];

    get(name, buf, sizeof buf);
    if (strcmp(buf, want) != 0)
        printf("%s: %s", name, buf);
    return strcmp(buf, want) == 0;
}

static void values(void)
{
    static const char *const names[] = {
        "kernel/pid_max",
        "fs/nr_open",
        "fs/pipe-max-size",
        "fs/inotify/max_user_instances",
        "fs/inotify/max_queued_events",
        "fs/protected_symlinks",
        "fs/protected_hardlinks",
        "fs/protected_regular",
        "fs/protected_fifos",
    };
    char buf[128];

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK(get(names[i], buf, sizeof buf) > 0);
        CHECK_EQ(set(names[i], buf), 0);
        CHECK(is(names[i], buf));
        CHECK_ERR(set(names[i], "word\n"), EINVAL);
    }
    CHECK_ERR(set("fs/protected_symlinks", "7"), EINVAL);
    CHECK_ERR(set("fs/nr_open", "1"), EINVAL);
    CHECK_ERR(set("kernel/pid_max", "5"), EINVAL);
}

static void names(void)
{
    struct utsname u;

    CHECK_EQ(set("kernel/hostname", "a-name\n"), 0);
    CHECK_EQ(set("kernel/domainname", "a.domain"), 0);
    CHECK_EQ(uname(&u), 0);
    CHECK(strcmp(u.nodename, "a-name") == 0);
    CHECK(strcmp(u.domainname, "a.domain") == 0);
    CHECK_EQ(sethostname("other", 5), 0);
    CHECK(is("kernel/hostname", "other\n"));
}

static void next_ids(void)
{
    int id;

    CHECK(is("kernel/msg_next_id", "-1\n"));
    CHECK_EQ(set("kernel/msg_next_id", "70000"), 0);
    id = msgget(IPC_PRIVATE, 0600);
    CHECK_EQ(id, 70000);
    CHECK(is("kernel/msg_next_id", "-1\n"));
    CHECK_EQ(set("kernel/msg_next_id", "70000"), 0);
    CHECK_EQ(msgget(IPC_PRIVATE, 0600), 70001); /* that one is taken */
    CHECK_EQ(msgctl(70001, IPC_RMID, NULL), 0);
    CHECK_EQ(msgctl(id, IPC_RMID, NULL), 0);
    CHECK_EQ(set("kernel/shm_next_id", "4711"), 0);
    CHECK_EQ(shmget(IPC_PRIVATE, 4096, 0600), 4711);
    CHECK_EQ(shmctl(4711, IPC_RMID, NULL), 0);
    CHECK_EQ(set("kernel/sem_next_id", "32768"), 0);
    CHECK_EQ(semget(IPC_PRIVATE, 1, 0600), 32768);
    CHECK_EQ(semctl(32768, 0, IPC_RMID), 0);
    CHECK_ERR(set("kernel/msg_next_id", "-2"), EINVAL);
}

static void msg_limits(void)
{
    struct {
        long type;
        char text[64];
    } m = { .type = 1 };
    struct msginfo mi;
    int a, b;

    CHECK_EQ(set("kernel/msgmni", "2"), 0);
    a = msgget(IPC_PRIVATE, 0600);
    b = msgget(IPC_PRIVATE, 0600);
    CHECK(a >= 0 && b >= 0);
    CHECK_ERR(msgget(IPC_PRIVATE, 0600), ENOSPC);
    CHECK_EQ(set("kernel/msgmax", "10"), 0);
    CHECK_EQ(msgsnd(a, &m, 10, IPC_NOWAIT), 0);
    CHECK_ERR(msgsnd(a, &m, 11, IPC_NOWAIT), EINVAL);
    CHECK(msgctl(0, IPC_INFO, (struct msqid_ds *)&mi) >= 0);
    CHECK_EQ(mi.msgmni, 2);
    CHECK_EQ(mi.msgmax, 10);
    CHECK_EQ(msgctl(b, IPC_RMID, NULL), 0);
    CHECK_EQ(set("kernel/msgmnb", "20"), 0);
    b = msgget(IPC_PRIVATE, 0600);
    CHECK_EQ(msgsnd(b, &m, 10, IPC_NOWAIT), 0);
    CHECK_EQ(msgsnd(b, &m, 10, IPC_NOWAIT), 0);
    CHECK_ERR(msgsnd(b, &m, 1, IPC_NOWAIT), EAGAIN);
    CHECK_EQ(msgctl(a, IPC_RMID, NULL), 0);
    CHECK_EQ(msgctl(b, IPC_RMID, NULL), 0);
}

static void sem_limits(void)
{
    struct sembuf ops[3] = { { 0, 1, 0 }, { 0, 1, 0 }, { 0, 1, 0 } };
    struct seminfo si;
    int id;

    CHECK_EQ(set("kernel/sem", "4\t6 2\n"), 0);
    CHECK_ERR(semget(IPC_PRIVATE, 5, 0600), EINVAL);
    id = semget(IPC_PRIVATE, 4, 0600);
    CHECK(id >= 0);
    CHECK_ERR(semget(IPC_PRIVATE, 3, 0600), ENOSPC);
    CHECK_EQ(semop(id, ops, 2), 0);
    CHECK_ERR(semop(id, ops, 3), E2BIG);
    CHECK(semctl(0, 0, IPC_INFO, &si) >= 0);
    CHECK_EQ(si.semmsl, 4);
    CHECK_EQ(si.semmns, 6);
    CHECK_EQ(si.semopm, 2);
    CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
    CHECK_EQ(set("kernel/sem", "4 6 2 0"), 0);
    CHECK_ERR(semget(IPC_PRIVATE, 1, 0600), ENOSPC);
}

static void shm_limits(void)
{
    struct shminfo si;
    int id;

    CHECK_EQ(set("kernel/shmmax", "8192"), 0);
    CHECK_ERR(shmget(IPC_PRIVATE, 8193, 0600), EINVAL);
    CHECK_EQ(set("kernel/shmall", "3"), 0);
    id = shmget(IPC_PRIVATE, 8192, 0600);
    CHECK(id >= 0);
    CHECK_ERR(shmget(IPC_PRIVATE, 8192, 0600), ENOSPC);
    CHECK_EQ(set("kernel/shmmni", "1"), 0);
    CHECK_ERR(shmget(IPC_PRIVATE, 1, 0600), ENOSPC);
    CHECK(shmctl(0, IPC_INFO, (struct shmid_ds *)&si) >= 0);
    CHECK_EQ(si.shmmax, 8192);
    CHECK_EQ(si.shmall, 3);
    CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
    CHECK_EQ(set("kernel/shmmax", "18446744073709551615"), 0);
    CHECK(is("kernel/shmmax", "18446744073709551615\n"));
    CHECK_ERR(set("kernel/shmmax", "-1"), EINVAL);
}

/* As another user: what the setting that is in force says. */
static void links(void)
{
    char sym[8], hard[8];
    int st = -1;

    if (inside) {
        CHECK_EQ(set("fs/protected_symlinks", "1"), 0);
        CHECK_EQ(set("fs/protected_hardlinks", "1"), 0);
        CHECK_EQ(set("fs/protected_regular", "1"), 0);
    }
    get("fs/protected_symlinks", sym, sizeof sym);
    get("fs/protected_hardlinks", hard, sizeof hard);
    CHECK_EQ(chmod(".", 01777), 0);
    put_text("file", "text");
    CHECK_EQ(symlink("file", "link"), 0);
    CHECK_EQ(lchown("link", 4321, 4321), 0);
    put_text("alien", "text");
    CHECK_EQ(chown("alien", 4321, 4321), 0);
    CHECK_EQ(chmod("alien", 0666), 0);
    CHECK_EQ(mkdir("dir", 0777), 0);
    CHECK_EQ(symlink("dir", "dirlink"), 0);
    CHECK_EQ(lchown("dirlink", 4321, 4321), 0);
    if (fork() == 0) {
        CHECK_EQ(setgid(1234), 0);
        CHECK_EQ(setuid(1234), 0);
        if (*sym == '1')
            CHECK_ERR(open("link", O_RDONLY), EACCES);
        else
            CHECK(open("link", O_RDONLY) >= 0);
        CHECK_EQ(access("dirlink/..", F_OK), 0); /* in the middle it is followed */
        if (*hard == '1')
            CHECK_ERR(linkat(AT_FDCWD, "file", AT_FDCWD, "second", 0), EPERM);
        else
            CHECK_EQ(linkat(AT_FDCWD, "file", AT_FDCWD, "second", 0), 0);
        if (inside)
            CHECK_ERR(open("alien", O_RDONLY | O_CREAT, 0600), EACCES);
        CHECK(open("alien", O_RDONLY) >= 0);
        exit(guest_failures != 0);
    }
    wait(&st);
    CHECK_EQ(st, 0);
    if (inside) {
        CHECK_EQ(set("fs/protected_symlinks", "0"), 0);
        CHECK_EQ(set("fs/protected_hardlinks", "0"), 0);
        CHECK_EQ(set("fs/protected_regular", "0"), 0);
    }
}

/* Limits that hold for the whole machine. */
static void only_inside(void)
{
    struct rlimit lim;
    int fd, p[2];
    pid_t pid, again;

    CHECK_EQ(set("fs/inotify/max_user_instances", "0"), 0);
    CHECK_ERR(inotify_init(), EMFILE);
    CHECK_EQ(set("fs/inotify/max_user_instances", "128"), 0);
    fd = inotify_init();
    CHECK(fd >= 0);
    close(fd);
    CHECK_EQ(set("fs/nr_open", "64"), 0);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &lim), 0);
    lim.rlim_max = 65;
    lim.rlim_cur = 65;
    CHECK_ERR(setrlimit(RLIMIT_NOFILE, &lim), EPERM);
    CHECK_EQ(set("fs/nr_open", "1048576"), 0);
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(set("fs/pipe-max-size", "65536"), 0);
    if (fork() == 0) {
        CHECK_EQ(setuid(1234), 0);
        CHECK_ERR(fcntl(p[0], F_SETPIPE_SZ, 131072), EPERM);
        CHECK_ERR(set("fs/pipe-max-size", "131072"), EACCES);
        exit(guest_failures != 0);
    }
    int st = -1;
    wait(&st);
    CHECK_EQ(st, 0);
    CHECK_EQ(set("fs/pipe-max-size", "1048576"), 0);
    pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    char text[16];
    snprintf(text, sizeof text, "%d", pid - 1);
    CHECK_EQ(set("kernel/ns_last_pid", text), 0);
    again = fork();
    if (again == 0)
        _exit(0);
    CHECK_EQ(again, pid);
    waitpid(again, NULL, 0);
}

int main(void)
{
    struct utsname u;

    uname(&u);
    inside = strstr(u.version, "sbx") != NULL;
    if (geteuid() != 0)
        SKIP("only root writes to /proc/sys");
    if (!inside && unshare(CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        SKIP("no namespaces of its own");
    scratch_begin();
    RUN(values);
    RUN(names);
    RUN(next_ids);
    RUN(msg_limits);
    RUN(sem_limits);
    RUN(shm_limits);
    RUN(links);
    if (inside)
        RUN(only_inside);
    scratch_end();
    DONE();
}
