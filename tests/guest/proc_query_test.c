/* SPDX-License-Identifier: Apache-2.0 */
/* procfs asked about single things: a mapping, pages, namespaces, what a process is doing. */
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"

#undef NS_GET_MNTNS_ID
#define NS_GET_MNTNS_ID _IOR(0xb7, 5, unsigned long)

struct procmap {
    uint64_t size, flags, addr, start, end, vma_flags, page_size, offset, inode;
    uint32_t major, minor, name_size, id_size;
    uint64_t name, id;
};

static void one_mapping(void)
{
    char name[4096] = "", exe[4096] = "";
    char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = open("/proc/self/maps", O_RDONLY);
    struct procmap q = { .size = sizeof q };
    const unsigned long query = 0xc0686611;

    mprotect(p + 4096, 4096, PROT_NONE);
    q.addr = (uint64_t)(uintptr_t)p + 5000;
    if (ioctl(fd, query, &q) < 0 && errno == ENOTTY) {
        printf("SKIP: no PROCMAP_QUERY on this kernel\n");
        return;
    }
    CHECK_EQ(q.start, (uintptr_t)p + 4096);
    CHECK_EQ(q.end, (uintptr_t)p + 8192);
    CHECK_EQ(q.vma_flags, 0);
    CHECK_EQ(q.page_size, 4096);
    CHECK_EQ(q.inode, 0);
    q.flags = 2; /* writable */
    CHECK_ERR(ioctl(fd, query, &q), ENOENT);
    q.flags = 2 | 0x10; /* or the next one */
    CHECK_EQ(ioctl(fd, query, &q), 0);
    CHECK_EQ(q.start, (uintptr_t)p + 8192);
    CHECK_EQ(q.vma_flags, 3);
    q = (struct procmap){ .size = sizeof q, .addr = (uintptr_t)&one_mapping };
    q.name = (uintptr_t)name, q.name_size = sizeof name;
    CHECK_EQ(ioctl(fd, query, &q), 0);
    CHECK_EQ(q.vma_flags & 5, 5);
    CHECK(q.inode != 0);
    CHECK(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
    CHECK(strcmp(name, exe) == 0);
    CHECK_EQ(q.name_size, strlen(exe) + 1);
    q.name_size = 3;
    CHECK_ERR(ioctl(fd, query, &q), ENAMETOOLONG);
    q.name_size = 0;
    CHECK_ERR(ioctl(fd, query, &q), EINVAL);
    q = (struct procmap){ .size = 16 };
    CHECK_ERR(ioctl(fd, query, &q), EINVAL);
    q = (struct procmap){ .size = sizeof q, .flags = 0x80 };
    CHECK_ERR(ioctl(fd, query, &q), EINVAL);
    close(fd);
}

static void pages(void)
{
    char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = open("/proc/self/pagemap", O_RDONLY);
    uint64_t e[3] = { 1, 1, 1 };

    p[4096] = 1;
    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, e, sizeof e, (off_t)((uintptr_t)p / 4096 * 8)), sizeof e);
    CHECK_EQ(e[0] >> 63, 0);
    CHECK_EQ(e[1] >> 63, 1);
    CHECK_EQ(e[2] >> 63, 0);
    CHECK_ERR(pread(fd, e, 7, 0), EINVAL);
    close(fd);
    munmap(p, 3 * 4096);
}

static void namespaces(void)
{
    static const char *const kinds[] = {
        "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"
    };
    char path[64], link[64], shown[64];
    struct stat st;
    int fd;
    unsigned uid = 77;

    for (unsigned k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[k]);
        ssize_t n = readlink(path, link, sizeof link - 1);
        CHECK(n > 0);
        link[n > 0 ? n : 0] = 0;
        CHECK_EQ(stat(path, &st), 0);
        CHECK(S_ISREG(st.st_mode));
        snprintf(shown, sizeof shown, "%s:[%lu]", kinds[k], (unsigned long)st.st_ino);
        CHECK(strcmp(link, shown) == 0);
        fd = open(path, O_RDONLY);
        CHECK(fd >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        n = readlink(path, link, sizeof link - 1);
        link[n > 0 ? n : 0] = 0;
        CHECK(strcmp(link, shown) == 0);
        close(fd);
    }
    fd = open("/proc/self/ns/uts", O_RDONLY);
    CHECK_EQ(ioctl(fd, 0xb703), 0x04000000); /* NS_GET_NSTYPE: CLONE_NEWUTS */
    CHECK_ERR(ioctl(fd, 0xb702), EINVAL);    /* NS_GET_PARENT */
    CHECK_ERR(ioctl(fd, 0xb704, &uid), EINVAL);
    int owner = ioctl(fd, 0xb701); /* NS_GET_USERNS */
    CHECK(owner >= 0);
    CHECK_EQ(ioctl(owner, 0xb703), 0x10000000);
    CHECK_EQ(fcntl(owner, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(ioctl(owner, 0xb704, &uid), 0);
    CHECK_EQ(uid, 0);
    CHECK_ERR(ioctl(fd, 0x5401), ENOTTY);
    close(owner);
    unsigned long id = 0;
    if (ioctl(fd, NS_GET_MNTNS_ID, &id) < 0 && errno != ENOTTY) { /* 6.11 */
        CHECK_EQ(errno, EINVAL);
        close(fd);
        fd = open("/proc/self/ns/mnt", O_RDONLY);
        CHECK_EQ(ioctl(fd, NS_GET_MNTNS_ID, &id), 0);
        CHECK(id != 0);
    } else if (guest_inside()) {
        CHECK(!"NS_GET_MNTNS_ID is known");
    }
    close(fd);
    fd = open("/proc/self/ns/pid", O_RDONLY);
    CHECK_ERR(ioctl(fd, 0xb702), EPERM);
    close(fd);
}

static char state_of(pid_t pid)
{
    char path[32], text[256] = "", *p;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    CHECK(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    p = strrchr(text, ')');
    return p ? p[2] : 0;
}

static bool becomes(pid_t pid, char want)
{
    for (int i = 0; i < 500; i++) {
        if (state_of(pid) == want)
            return true;
        usleep(2000);
    }
    return false;
}

/* Asleep is asleep, whoever lets it sleep: calls that the host carries out itself, too. */
static void states(void)
{
    int word = 0, st;
    pid_t pid = fork();

    if (pid == 0) {
        syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
        _exit(0);
    }
    CHECK(becomes(pid, 'S'));
    kill(pid, SIGKILL);
    CHECK(becomes(pid, 'Z'));
    waitpid(pid, &st, 0);
    pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    CHECK(becomes(pid, 'S'));
    kill(pid, SIGSTOP);
    CHECK(becomes(pid, 'T'));
    kill(pid, SIGKILL);
    waitpid(pid, &st, 0);
    pid = fork();
    if (pid == 0) {
        for (volatile int i = 0;; i++)
            ;
    }
    CHECK(becomes(pid, 'R'));
    kill(pid, SIGKILL);
    waitpid(pid, &st, 0);
}

/* A process that has the number of an older one has another directory. */
static void directories(void)
{
    char path[32];
    struct stat first, second;
    int fd;
    pid_t pid = fork(), again = 0;

    if (pid == 0)
        pause();
    snprintf(path, sizeof path, "/proc/%d", pid);
    CHECK_EQ(stat(path, &first), 0);
    CHECK_EQ(stat(path, &second), 0);
    CHECK_EQ(first.st_ino, second.st_ino);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
    if (fd >= 0 && dprintf(fd, "%d", pid - 1) > 0)
        again = fork();
    if (fd >= 0 && again == 0 && getpid() == pid)
        pause();
    if (again == pid) { /* natively somebody else may have been faster */
        CHECK_EQ(stat(path, &second), 0);
        CHECK(first.st_ino != second.st_ino);
    }
    if (again > 0) {
        kill(again, SIGKILL);
        waitpid(again, NULL, 0);
    }
    close(fd);
}

int main(void)
{
    RUN(one_mapping);
    RUN(pages);
    RUN(namespaces);
    RUN(states);
    RUN(directories);
    DONE();
}
