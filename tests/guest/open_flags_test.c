/* SPDX-License-Identifier: Apache-2.0 */
/* Flags of open, and what an open file keeps of them. */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "scratch.h"

static void creation(void)
{
    struct stat st;
    int fd;

    umask(027);
    fd = open("c", O_CREAT | O_EXCL | O_RDONLY, 0666);
    CHECK(fd >= 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_mode, S_IFREG | 0640);
    close(fd);
    umask(022);
    CHECK_ERR(open("c", O_CREAT | O_EXCL | O_RDONLY, 0666), EEXIST);
    fd = open("ro", O_CREAT | O_RDWR, 0444); /* writable all the same */
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "abc", 3), 3);
    close(fd);
    CHECK_ERR(open("c", O_DIRECTORY), ENOTDIR);
    CHECK_ERR(open("c", O_DIRECTORY | O_CREAT, 0600), EINVAL);
    CHECK_ERR(open("none", O_RDONLY), ENOENT);
    CHECK_EQ(creat("t", 0600) >= 0, 1);
}

static void truncation(void)
{
    struct stat st;
    int fd, keep;

    put_text("t", "hello");
    keep = open("t", O_RDONLY);
    fd = open("t", O_WRONLY | O_TRUNC);
    CHECK_EQ(fstat(keep, &st), 0);
    CHECK_EQ(st.st_size, 0);
    CHECK_EQ(write(fd, "x", 1), 1);
    close(fd);
    close(keep);
    CHECK_TEXT("t", "x");
}

static void append(void)
{
    char buf[8] = "";
    int fd, fd2;

    put_text("a", "12");
    fd = open("a", O_RDWR | O_APPEND);
    fd2 = open("a", O_WRONLY);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(write(fd, "3", 1), 1);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3);
    CHECK_EQ(pwrite(fd2, "0", 1, 0), 1);
    CHECK_EQ(write(fd, "4", 1), 1);
    CHECK_EQ(pread(fd, buf, 8, 0), 4);
    CHECK_EQ(memcmp(buf, "0234", 4), 0);
    close(fd);
    close(fd2);
}

static void modes(void)
{
    char c;
    int r = open("a", O_RDONLY), w = open("a", O_WRONLY), d = open(".", O_RDONLY);

    CHECK_ERR(write(r, "x", 1), EBADF);
    CHECK_ERR(read(w, &c, 1), EBADF);
    CHECK_ERR(read(d, &c, 1), EISDIR);
    CHECK_ERR(open(".", O_WRONLY), EISDIR);
    CHECK_ERR(open(".", O_RDWR), EISDIR);
    CHECK_EQ(fcntl(r, F_GETFL) & O_ACCMODE, O_RDONLY);
    CHECK_EQ(fcntl(w, F_GETFL) & (O_ACCMODE | 0100000), O_WRONLY | 0100000);
    CHECK_ERR(ftruncate(r, 0), EINVAL);
    CHECK_ERR(ftruncate(d, 0), EINVAL);
    CHECK_ERR(ftruncate(w, -1), EINVAL);
    close(r);
    close(w);
    close(d);
}

static void nofollow(void)
{
    int fd;
    struct stat st;

    CHECK_EQ(symlink("a", "l"), 0);
    CHECK_EQ(symlink(".", "dl"), 0);
    CHECK_ERR(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_ERR(open("l", O_WRONLY | O_CREAT | O_NOFOLLOW, 0600), ELOOP);
    CHECK_ERR(open("dl", O_RDONLY | O_NOFOLLOW | O_DIRECTORY), ENOTDIR);
    CHECK_EQ(close(open("dl", O_RDONLY | O_DIRECTORY)), 0);
    CHECK_EQ(close(open("dl/a", O_RDONLY | O_NOFOLLOW)), 0);
    fd = open("l", O_PATH | O_NOFOLLOW);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK(S_ISLNK(st.st_mode));
    close(fd);
}

static void paths_only(void)
{
    char c, name[64];
    struct stat st;
    int fd = open("a", O_PATH), fd2, dir;

    CHECK(fd >= 0);
    CHECK_ERR(read(fd, &c, 1), EBADF);
    CHECK_ERR(write(fd, &c, 1), EBADF);
    CHECK_ERR(fchmod(fd, 0600), EBADF);
    CHECK_ERR(ftruncate(fd, 0), EBADF);
    CHECK_ERR(lseek(fd, 0, SEEK_SET), EBADF);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(fcntl(fd, F_GETFL), O_PATH);
    fd2 = dup(fd);
    CHECK(fd2 >= 0);
    close(fd2);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    fd2 = open(name, O_RDONLY);
    if (fd2 >= 0 || errno != ENOENT) { /* without /proc there is nothing to test */
        CHECK_EQ(read(fd2, &c, 1), 1);
        close(fd2);
    }
    close(fd);
    dir = open(".", O_PATH);
    fd2 = openat(dir, "a", O_RDONLY);
    CHECK(fd2 >= 0);
    close(fd2);
    CHECK_EQ(fchdir(dir), 0);
    close(dir);
}

static void tmpfile_flag(void)
{
    char name[64];
    struct stat st;
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);

    if (fd < 0 && errno == EOPNOTSUPP)
        return;
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "tmp", 3), 3);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_nlink, 0);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    CHECK_EQ(linkat(AT_FDCWD, name, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), 0);
    CHECK_TEXT("named", "tmp");
    close(fd);
    CHECK_ERR(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    CHECK_ERR(open("a", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
}

static void unlinked(void)
{
    char buf[4];
    struct stat st;
    int fd;

    put_text("u", "abc");
    fd = open("u", O_RDWR);
    CHECK_EQ(unlink("u"), 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_nlink, 0);
    CHECK_EQ(pwrite(fd, "X", 1, 1), 1);
    CHECK_EQ(pread(fd, buf, 3, 0), 3);
    CHECK_EQ(memcmp(buf, "aXc", 3), 0);
    put_text("u", "other");
    CHECK_EQ(pread(fd, buf, 3, 0), 3);
    CHECK_EQ(memcmp(buf, "aXc", 3), 0);
    close(fd);
}

/* A program that runs is not written to; one that is written to does not run. */
static void text_busy(void)
{
    static char buf[1 << 16];
    int in = open("/proc/self/exe", O_RDONLY), out, fds[2], status;
    ssize_t n;
    pid_t pid;

    out = open("prog", O_CREAT | O_WRONLY, 0755);
    while ((n = read(in, buf, sizeof buf)) > 0)
        CHECK_EQ(write(out, buf, n), n);
    close(in);
    CHECK_ERR(execl("prog", "prog", NULL), ETXTBSY);
    close(out);
    CHECK_EQ(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        execl("prog", "prog", "child", NULL);
        _exit(1);
    }
    close(fds[1]);
    CHECK_EQ(read(fds[0], buf, 1), 1); /* it runs */
    CHECK_ERR(open("prog", O_WRONLY), ETXTBSY);
    CHECK_ERR(truncate("prog", 0), ETXTBSY);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(read(fds[0], buf, 1), 0);
    CHECK_EQ(close(open("prog", O_WRONLY)), 0);
    close(fds[0]);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "child")) {
        CHECK_EQ(write(1, "x", 1), 1);
        pause();
    }
    scratch_begin();
    RUN(creation);
    RUN(truncation);
    RUN(append);
    RUN(modes);
    RUN(nofollow);
    RUN(paths_only);
    RUN(tmpfile_flag);
    RUN(unlinked);
    RUN(text_busy);
    scratch_end();
    DONE();
}
