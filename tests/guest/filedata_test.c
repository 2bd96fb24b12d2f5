/* SPDX-License-Identifier: Apache-2.0 */
/* Contents of files: holes, seeks, punches, shared maps, memfds and their seals. */
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "scratch.h"

static void holes(void)
{
    char buf[100];
    int fd = open("h", O_CREAT | O_RDWR, 0600);

    CHECK_EQ(pwrite(fd, "end", 3, 1 << 20), 3);
    CHECK_EQ(lseek(fd, 0, SEEK_END), (1 << 20) + 3);
    CHECK_EQ(pread(fd, buf, 100, 4096), 100);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(buf[i], 0);
    CHECK_EQ(lseek(fd, 0, SEEK_DATA), 1 << 20);
    CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 0);
    CHECK_EQ(lseek(fd, 1 << 20, SEEK_HOLE), (1 << 20) + 3);
    CHECK_ERR(lseek(fd, (1 << 20) + 3, SEEK_DATA), ENXIO);
    CHECK_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
    CHECK_ERR(lseek(fd, 0, 9), EINVAL);
    CHECK_EQ(pread(fd, buf, 100, 1 << 20), 3);
    CHECK_EQ(pread(fd, buf, 100, 1 << 21), 0);
    CHECK_ERR(pread(fd, buf, 100, -1), EINVAL);
    close(fd);
}

static void punches(void)
{
    char buf[12288];
    struct stat st;
    int fd = open("p", O_CREAT | O_RDWR, 0600);

    memset(buf, 'a', sizeof buf);
    CHECK_EQ(write(fd, buf, sizeof buf), sizeof buf);
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4000, 5000) == 0) {
        CHECK_EQ(pread(fd, buf, sizeof buf, 0), sizeof buf);
        CHECK_EQ(buf[3999], 'a');
        CHECK_EQ(buf[4000], 0);
        CHECK_EQ(buf[8999], 0);
        CHECK_EQ(buf[9000], 'a');
    }
    CHECK_EQ(fallocate(fd, 0, 0, 20000), 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 20000);
    CHECK_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 30000), 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 20000);
    CHECK_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
    CHECK_ERR(fallocate(fd, 0, -1, 10), EINVAL);
    CHECK_ERR(fallocate(fd, 0, 0, 0), EINVAL);
    CHECK_ERR(fallocate(99, 0, 0, 1), EBADF);
    close(fd);
    fd = open("p", O_RDONLY);
    CHECK_ERR(fallocate(fd, 0, 0, 1), EBADF);
    close(fd);
}

static void truncated_tail(void)
{
    char buf[16];
    int fd = open("t", O_CREAT | O_RDWR, 0600);

    CHECK_EQ(write(fd, "0123456789", 10), 10);
    CHECK_EQ(ftruncate(fd, 3), 0);
    CHECK_EQ(ftruncate(fd, 10), 0);
    CHECK_EQ(pread(fd, buf, 16, 0), 10);
    CHECK_EQ(memcmp(buf, "012\0\0\0\0\0\0\0", 10), 0);
    close(fd);
}

static void shared_map(void)
{
    char c;
    char *p, *q;
    int fd = open("m", O_CREAT | O_RDWR, 0600), status;

    CHECK_EQ(write(fd, "heap", 4), 4);
    CHECK_EQ(ftruncate(fd, 8192), 0);
    p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    if (p == MAP_FAILED)
        return;
    CHECK_EQ(memcmp(p, "heap", 4), 0);
    p[0] = 'H';
    CHECK_EQ(pread(fd, &c, 1, 0), 1);
    CHECK_EQ(c, 'H');
    CHECK_EQ(pwrite(fd, "Z", 1, 5000), 1);
    CHECK_EQ(p[5000], 'Z');
    q = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(q != MAP_FAILED);
    q[1] = 'x';
    CHECK_EQ(p[1], 'e');
    if (fork() == 0) {
        p[2] = 'c';
        _exit(0);
    }
    wait(&status);
    CHECK_EQ(p[2], 'c');
    CHECK_EQ(unlink("m"), 0);
    close(fd);
    CHECK_EQ(p[5000], 'Z');
    munmap(p, 8192);
    munmap(q, 8192);
}

static void map_rights(void)
{
    void *p;
    int fd;

    put_text("r", "readonly");
    fd = open("r", O_RDONLY);
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p == MAP_FAILED && errno == EACCES);
    p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK_ERR(mprotect(p, 4096, PROT_READ | PROT_WRITE), EACCES);
    munmap(p, 4096);
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK_EQ(memcmp(p, "readonly", 8), 0);
    ((char *)p)[0] = 'R';
    munmap(p, 4096);
    CHECK_TEXT("r", "readonly");
    close(fd);
    fd = open("r", O_WRONLY);
    p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(p == MAP_FAILED && errno == EACCES);
    close(fd);
    fd = open(".", O_RDONLY);
    p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(p == MAP_FAILED && errno == ENODEV);
    close(fd);
}

static void seals(void)
{
    int fd = memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    char link[64], want[64];
    struct stat st;
    void *p;
    ssize_t n;

    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), 0);
    CHECK_EQ(ftruncate(fd, 4096), 0);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
    CHECK_ERR(ftruncate(fd, 8192), EPERM);
    CHECK_ERR(pwrite(fd, "x", 1, 4096), EPERM);
    CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    CHECK_ERR(ftruncate(fd, 0), EPERM);
    munmap(p, 4096);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
    CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(st.st_nlink, 0);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, want, sizeof want - 1);
    if (n > 0) {
        want[n] = 0;
        CHECK_EQ(strcmp(want, "/memfd:name (deleted)"), 0);
    }
    close(fd);
    fd = memfd_create("sealed", MFD_ALLOW_SEALING);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    CHECK_ERR(write(fd, "x", 1), EPERM);
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p == MAP_FAILED && errno == EPERM);
    close(fd);
    fd = memfd_create("mapped once", MFD_ALLOW_SEALING);
    CHECK_EQ(ftruncate(fd, 4096), 0);
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    strcpy(p, "sealed");
    munmap(p, 4096);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
    p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED && !strcmp(p, "sealed"));
    CHECK_ERR(pwrite(fd, "x", 1, 0), EPERM);
    munmap(p, 4096);
    close(fd);
    fd = memfd_create("plain", 0);
    CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
    close(fd);
    CHECK_ERR(memfd_create("x", 0x8000), EINVAL);
}

static void large(void)
{
    static char buf[65536], back[65536];
    int fd = open("big", O_CREAT | O_RDWR, 0600);

    for (size_t i = 0; i < sizeof buf; i++)
        buf[i] = i * 7;
    for (int i = 0; i < 96; i++) /* 6 MiB: beyond what is kept in small pieces */
        CHECK_EQ(write(fd, buf, sizeof buf), sizeof buf);
    CHECK_EQ(pread(fd, back, sizeof back, 95 * 65536), sizeof back);
    CHECK_EQ(memcmp(buf, back, sizeof buf), 0);
    CHECK_EQ(pread(fd, back, 1000, 65536 * 3 + 17), 1000);
    CHECK_EQ(memcmp(buf + 17, back, 1000), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 96 * 65536);
    close(fd);
}

int main(void)
{
    scratch_begin();
    RUN(holes);
    RUN(punches);
    RUN(truncated_tail);
    RUN(shared_map);
    RUN(map_rights);
    RUN(seals);
    RUN(large);
    scratch_end();
    DONE();
}
