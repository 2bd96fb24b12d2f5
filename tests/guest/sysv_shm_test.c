/* SPDX-License-Identifier: Apache-2.0 */
/* System V shared memory: attaching, sharing, counting, removal, errors. */
#include <errno.h>
#include <grp.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define PAGE 4096ul
#define BAD ((void *)-1)

static int new_segment(size_t size)
{
    int id = shmget(IPC_PRIVATE, size, 0600);

    CHECK(id >= 0);
    return id;
}

static long attached(int id)
{
    struct shmid_ds ds;

    return shmctl(id, IPC_STAT, &ds) == 0 ? (long)ds.shm_nattch : -1;
}

static void wait_ok(pid_t pid)
{
    int st = -1;

    CHECK(waitpid(pid, &st, 0) == pid);
    CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

static void keys(void)
{
    key_t key = 0x53425803 + (getpid() << 8);
    int id = shmget(key, 100, IPC_CREAT | 0600);

    CHECK(id >= 0);
    CHECK(shmget(key, 100, 0) == id);
    CHECK(shmget(key, 0, 0) == id);
    CHECK_ERR(shmget(key, 101, 0), EINVAL);
    CHECK_ERR(shmget(key, 100, IPC_CREAT | IPC_EXCL), EEXIST);
    CHECK_ERR(shmget(IPC_PRIVATE, 0, 0600), EINVAL);
    CHECK_ERR(shmget(IPC_PRIVATE, (size_t)-1, 0600), EINVAL);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    CHECK_ERR(shmget(key, 100, 0), ENOENT);
    CHECK_ERR(shmctl(id, IPC_RMID, NULL), EINVAL);
}

static void shared(void)
{
    int id = new_segment(3 * PAGE - 5);
    volatile int *p = shmat(id, NULL, 0), *q = shmat(id, NULL, 0);
    pid_t pid;

    CHECK(p != BAD && q != BAD && p != q);
    CHECK(p[0] == 0 && p[3 * PAGE / 4 - 1] == 0); /* zero, to the end of its last page */
    p[5] = 77;
    CHECK(q[5] == 77);
    CHECK(attached(id) == 2);
    pid = fork();
    if (pid == 0) {
        if (attached(id) != 4)
            _exit(1);
        p[6] = q[5] + 1;
        _exit(shmdt((void *)p) || attached(id) != 3);
    }
    wait_ok(pid);
    CHECK(p[6] == 78);
    CHECK(attached(id) == 2);
    CHECK(shmdt((void *)p) == 0);
    CHECK_ERR(shmdt((void *)p), EINVAL);
    CHECK(shmdt((void *)q) == 0);
    CHECK(attached(id) == 0);
    p = shmat(id, NULL, 0);
    CHECK(p[5] == 77); /* nobody had it, it is there still */
    CHECK(shmdt((void *)p) == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

static void figures(void)
{
    int id = new_segment(5000);
    struct shmid_ds ds;
    void *p;

    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    CHECK(ds.shm_segsz == 5000 && ds.shm_cpid == getpid() && ds.shm_lpid == 0);
    CHECK(!ds.shm_atime && !ds.shm_dtime && ds.shm_ctime);
    p = shmat(id, NULL, 0);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    CHECK(ds.shm_atime && ds.shm_lpid == getpid() && ds.shm_nattch == 1);
    CHECK(shmdt(p) == 0);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    CHECK(ds.shm_dtime && ds.shm_nattch == 0);
    ds.shm_perm.mode = 0644;
    CHECK(shmctl(id, IPC_SET, &ds) == 0);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0 && (ds.shm_perm.mode & 0777) == 0644);
    CHECK_ERR(shmctl(id, IPC_STAT, (void *)8), EFAULT);
    CHECK_ERR(shmctl(id, 99, NULL), EINVAL);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

/* Removed while somebody has it: no key and no name any more, but it lives until the last goes. */
static void removed(void)
{
    key_t key = 0x53425804 + (getpid() << 8);
    int id = shmget(key, PAGE, IPC_CREAT | 0600);
    char *p = shmat(id, NULL, 0), *q;
    struct shmid_ds ds;
    pid_t pid;

    strcpy(p, "still here");
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    CHECK_ERR(shmget(key, PAGE, 0), ENOENT);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    CHECK(ds.shm_perm.mode & SHM_DEST);
    q = shmat(id, NULL, 0);
    CHECK(q != BAD && strcmp(q, "still here") == 0);
    CHECK(shmdt(q) == 0);
    pid = fork();
    if (pid != 0)
        CHECK(shmdt(p) == 0);
    if (pid == 0)
        _exit(strcmp(p, "still here") != 0 || attached(id) < 1); /* goes by exit */
    wait_ok(pid);
    CHECK_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
}

static void places(void)
{
    int id = new_segment(2 * PAGE);
    char *room = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *p;

    CHECK_ERR((long)shmat(id, room, 0), EINVAL); /* something is there */
    CHECK_ERR((long)shmat(id, room + 5, 0), EINVAL);
    CHECK_ERR((long)shmat(id, NULL, SHM_REMAP), EINVAL);
    CHECK(shmat(id, room, SHM_REMAP) == room);
    munmap(room + 4 * PAGE, 4 * PAGE);
    p = shmat(id, room + 4 * PAGE + 5, SHM_RND);
    CHECK(p == room + 4 * PAGE);
    room[7] = 'x';
    CHECK(p[7] == 'x');
    CHECK(attached(id) == 2);
    CHECK_ERR(shmdt(room + PAGE), EINVAL);
    CHECK_ERR(shmdt(room + 1), EINVAL);
    CHECK(shmdt(room) == 0);
    CHECK(shmdt(p) == 0);
    CHECK(attached(id) == 0);

    /* One with a hole in it goes whole. */
    p = shmat(id, NULL, 0);
    munmap(p + PAGE, PAGE);
    CHECK(attached(id) == 1);
    CHECK(shmdt(p) == 0);
    CHECK(attached(id) == 0);
    CHECK_ERR((long)shmat(id + 1000000, NULL, 0), EINVAL);
    CHECK_ERR((long)shmat(-1, NULL, 0), EINVAL);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

static sigjmp_buf back;

static void on_fault(int sig)
{
    (void)sig;
    siglongjmp(back, 1);
}

static void read_only(void)
{
    struct sigaction sa = { .sa_handler = on_fault };
    int id = new_segment(PAGE);
    volatile char *p = shmat(id, NULL, SHM_RDONLY);
    volatile int faulted = 0;

    CHECK(p != BAD && p[0] == 0);
    sigaction(SIGSEGV, &sa, NULL);
    if (sigsetjmp(back, 1) == 0)
        p[0] = 1;
    else
        faulted = 1;
    CHECK(faulted);
    signal(SIGSEGV, SIG_DFL);
    CHECK(shmdt((void *)p) == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

static void rights(void)
{
    int id = shmget(IPC_PRIVATE, PAGE, 0644);
    pid_t pid;

    if (geteuid() != 0)
        return;
    pid = fork();
    if (pid == 0) {
        int bad = 0;

        if (setgid(4711) || setuid(4711))
            _exit(1);
        bad |= shmat(id, NULL, 0) != BAD || errno != EACCES;
        bad |= shmat(id, NULL, SHM_RDONLY) == BAD;
        bad |= shmctl(id, IPC_RMID, NULL) != -1 || errno != EPERM;
        bad |= shmctl(id, SHM_LOCK, NULL) != -1 || errno != EPERM;
        _exit(bad);
    }
    wait_ok(pid);
    CHECK(attached(id) == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

/* SHM_LOCK: marked and kept, for an owner only as far as RLIMIT_MEMLOCK goes. */
static void locked(void)
{
    int id = new_segment(4 * PAGE);
    struct rlimit few = { 2 * PAGE, 2 * PAGE };
    struct shmid_ds ds;
    pid_t pid;

    CHECK(shmctl(id, SHM_LOCK, NULL) == 0);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    CHECK(ds.shm_perm.mode & SHM_LOCKED);
    CHECK(shmctl(id, SHM_LOCK, NULL) == 0);
    CHECK(shmctl(id, SHM_UNLOCK, NULL) == 0);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    CHECK(!(ds.shm_perm.mode & SHM_LOCKED));
    CHECK(shmctl(id, SHM_LOCK, NULL) == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    if (geteuid() != 0)
        return;
    pid = fork();
    if (pid == 0) {
        int bad = setrlimit(RLIMIT_MEMLOCK, &few) || setgid(4711) || setuid(4711);
        int small = shmget(IPC_PRIVATE, PAGE, 0600), large = shmget(IPC_PRIVATE, 4 * PAGE, 0600);

        bad |= shmctl(small, SHM_LOCK, NULL) != 0;
        bad |= (shmctl(large, SHM_LOCK, NULL) != -1 || errno != ENOMEM) << 1;
        bad |= shmctl(small, IPC_RMID, NULL) != 0;
        bad |= shmctl(large, IPC_RMID, NULL) != 0;
        _exit(bad);
    }
    wait_ok(pid);
}

/* Gone with exec, as all that is mapped. */
static void by_exec(void)
{
    int id = new_segment(PAGE);
    pid_t pid = fork();

    if (pid == 0) {
        shmat(id, NULL, 0);
        execl("/proc/self/exe", "sysv_shm", "gone", NULL);
        _exit(1);
    }
    wait_ok(pid);
    CHECK(attached(id) == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

static void listed(void)
{
    int id = new_segment(PAGE), fd = open("/proc/sysvipc/shm", O_RDONLY);
    static char text[65536];
    char want[32];
    size_t n = 0;
    ssize_t r;

    /* a page at a time: the host natively may have many of others */
    while (n < sizeof text - 1 && (r = read(fd, text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)r;
    CHECK(n > 0);
    snprintf(want, sizeof want, "%10d  %4o", id, 0600);
    CHECK(strstr(text, want) != NULL);
    close(fd);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

/* None are set aside; and not everybody may ask. */
static void huge(void)
{
    int st = -1;

    if (geteuid() != 0)
        return;
    if (fork() == 0) {
        CHECK_EQ(setgroups(0, NULL), 0);
        CHECK_EQ(setgid(1234), 0);
        CHECK_EQ(setuid(1234), 0);
        CHECK_ERR(shmget(IPC_PRIVATE, 4096, 0600 | 04000 /* SHM_HUGETLB */), EPERM);
        exit(guest_failures != 0);
    }
    wait(&st);
    CHECK_EQ(st, 0);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 0;
    RUN(keys);
    RUN(shared);
    RUN(figures);
    RUN(removed);
    RUN(places);
    RUN(read_only);
    RUN(rights);
    RUN(locked);
    RUN(by_exec);
    RUN(listed);
    RUN(huge);
    DONE();
}
