/* SPDX-License-Identifier: Apache-2.0 */
/* What lies on no mount (pipes, sockets, memory files) reached by name, through /proc/self/fd. */
#include "guest.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#undef MS_RDONLY
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>

static char names[3][32];

static void open_them(void)
{
    int p[2], s[2], fds[3];

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    fds[0] = p[0];
    fds[1] = s[0];
    fds[2] = memfd_create("none", 0);
    for (int i = 0; i < 3; i++)
        snprintf(names[i], sizeof names[i], "/proc/self/fd/%d", fds[i]);
}

/* A file system whose file was mapped is free when that is unmapped, whoever was told of it. */
static void unmounting(void)
{
    char dir[] = "/tmp/sbx-umount-XXXXXX", file[64];
    char *p;
    int fd;

    if (!mkdtemp(dir))
        return;
    if (mount("none", dir, "tmpfs", 0, NULL) == 0) {
        snprintf(file, sizeof file, "%s/file", dir);
        fd = open(file, O_RDWR | O_CREAT, 0600);
        CHECK_EQ(ftruncate(fd, 8192), 0);
        p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK(p != MAP_FAILED);
        close(fd);
        CHECK_ERR(umount(dir), EBUSY);
        CHECK_EQ(munmap(p, 4096), 0);
        CHECK_ERR(umount(dir), EBUSY);
        CHECK_EQ(munmap(p + 4096, 4096), 0);
        CHECK_EQ(umount(dir), 0);
    }
    CHECK_EQ(rmdir(dir), 0);
}

static void mounting(void)
{
    if (umount2(names[0], 0) < 0 && errno == EPERM)
        return; /* not for such as us */
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(umount2(names[i], 0), EINVAL);
        CHECK_ERR(umount2(names[i], MNT_DETACH), EINVAL);
        CHECK_ERR(mount(NULL, names[i], NULL, MS_REMOUNT | MS_RDONLY, NULL), EINVAL);
        CHECK_ERR(mount(NULL, names[i], NULL, MS_PRIVATE, NULL), EINVAL);
        CHECK_EQ(mount(names[i], names[i], NULL, MS_BIND, NULL), -1);
        CHECK_ERR(mount(names[i], "/proc/self/exe", NULL, MS_BIND, NULL), EINVAL);
        CHECK_EQ(mount("/proc/self/exe", names[i], NULL, MS_BIND, NULL), -1);
        CHECK_EQ(mount("none", names[i], "tmpfs", 0, NULL), -1);
    }
}

static void looking(void)
{
    struct stat st;
    struct statfs sf;
    struct statx stx;

    for (int i = 0; i < 3; i++) {
        CHECK_EQ(stat(names[i], &st), 0);
        CHECK_EQ(statfs(names[i], &sf), 0);
        CHECK_EQ(statx(AT_FDCWD, names[i], 0, STATX_BASIC_STATS, &stx), 0);
        CHECK_EQ(access(names[i], R_OK), 0);
        CHECK_ERR(chdir(names[i]), ENOTDIR);
        CHECK_ERR(open(names[i], O_RDONLY | O_DIRECTORY), ENOTDIR);
    }
    CHECK_EQ(chmod(names[2], 0700), 0);
    CHECK_EQ(truncate(names[2], 100), 0);
    CHECK_ERR(link(names[2], "/tmp/nomount"), EXDEV);
}

/* Also as programs: what is no file EACCES, what is empty or too short ENOEXEC. */
static void executing(void)
{
    char *argv[] = { "x", NULL };

    CHECK_ERR(execv(names[0], argv), EACCES);
    CHECK_ERR(execv(names[1], argv), EACCES);
    CHECK_ERR(execv(names[2], argv), ENOEXEC);
}

/* A program in a memory file that is open for writing: many an installer works so. */
static void memory_program(void)
{
    char *argv[] = { "self", "again", NULL }, buf[65536];
    int fd = memfd_create("program", MFD_CLOEXEC), self = open("/proc/self/exe", O_RDONLY);
    int status = -1;
    ssize_t n;
    pid_t pid;

    while ((n = read(self, buf, sizeof buf)) > 0)
        CHECK_EQ(write(fd, buf, (size_t)n), n);
    pid = fork();
    if (pid == 0) {
        fexecve(fd, argv, argv + 2);
        _exit(errno);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 77 << 8);
    close(fd);
    close(self);
}

/* A lock that is counted from the end asks for the size of what has none. */
static void locking(void)
{
    struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_END, .l_len = 1 };
    int p[2], s[2], e = epoll_create1(0), n;

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_EQ(fcntl(p[1], F_SETLK, &fl), 0);
    CHECK_EQ(fcntl(s[0], F_SETLK, &fl), 0);
    CHECK_EQ(fcntl(e, F_SETLK, &fl), 0);
    CHECK_EQ(fcntl(e, F_GETLK, &fl), 0);
    CHECK_EQ(ioctl(p[0], FIGETBSZ, &n), 0);
    CHECK_EQ(n, 4096);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "again"))
        return 77;
    RUN(open_them);
    RUN(mounting);
    RUN(unmounting);
    RUN(looking);
    RUN(executing);
    RUN(memory_program);
    RUN(locking);
    DONE();
}
