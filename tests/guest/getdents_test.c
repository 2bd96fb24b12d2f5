/* SPDX-License-Identifier: Apache-2.0 */
/* Reading directories: all names once, positions that stay good, changes on the way, small buffers. */
#include <sys/syscall.h>

#include "scratch.h"

static int cmp(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names, sorted, each with a space behind it. */
static const char *sorted(const char *path)
{
    static char text[8192];
    char *names[300];
    struct dirent *e;
    int n = 0;
    DIR *d = opendir(path);

    text[0] = 0;
    if (!d)
        return "(none)";
    while (n < 300 && (e = readdir(d)))
        names[n++] = strdup(e->d_name);
    closedir(d);
    qsort(names, n, sizeof *names, cmp);
    for (int i = 0; i < n; i++) {
        strcat(strcat(text, names[i]), " ");
        free(names[i]);
    }
    return text;
}

static void kinds(void)
{
    struct dirent *e;
    struct stat st;
    DIR *d;

    CHECK_EQ(mkdir("k", 0755), 0);
    CHECK_EQ(mkdir("k/dir", 0755), 0);
    put_text("k/file", "x");
    CHECK_EQ(symlink("x", "k/link"), 0);
    CHECK_EQ(mkfifo("k/fifo", 0600), 0);
    CHECK_EQ(strcmp(sorted("k"), ". .. dir fifo file link "), 0);
    d = opendir("k");
    while ((e = readdir(d))) {
        if (!strcmp(e->d_name, ".."))
            continue;
        CHECK_EQ(fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
        CHECK_EQ(e->d_ino, st.st_ino);
        CHECK_EQ(e->d_type, IFTODT(st.st_mode));
    }
    closedir(d);
    CHECK_EQ(stat("k", &st), 0);
    CHECK_EQ(st.st_nlink, 3);
}

static void positions(void)
{
    char name[16], first[256];
    struct dirent *e;
    long at;
    DIR *d;
    int n = 0;

    CHECK_EQ(mkdir("p", 0755), 0);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "p/n%03d", i);
        put_text(name, "");
    }
    d = opendir("p");
    for (int i = 0; i < 100; i++)
        CHECK(readdir(d) != NULL);
    at = telldir(d);
    e = readdir(d);
    CHECK(e != NULL);
    strcpy(first, e->d_name);
    while (readdir(d))
        n++;
    CHECK_EQ(n, 101);
    seekdir(d, at);
    e = readdir(d);
    CHECK(e && !strcmp(e->d_name, first));
    rewinddir(d);
    for (n = 0; readdir(d); n++)
        ;
    CHECK_EQ(n, 202);
    closedir(d);
}

static void removing_all(void)
{
    struct dirent *e;
    DIR *d = opendir("p");
    int n = 0;

    while ((e = readdir(d)))
        if (e->d_name[0] != '.') {
            CHECK_EQ(unlinkat(dirfd(d), e->d_name, 0), 0);
            n++;
        }
    closedir(d);
    CHECK_EQ(n, 200);
    CHECK_EQ(strcmp(sorted("p"), ". .. "), 0);
    CHECK_EQ(rmdir("p"), 0);
}

static void buffers(void)
{
    char buf[4096];
    int fd = open("k", O_RDONLY | O_DIRECTORY), f;

    CHECK_ERR(syscall(SYS_getdents64, fd, buf, 8), EINVAL);
    CHECK(syscall(SYS_getdents64, fd, buf, 24) == 24);
    CHECK(syscall(SYS_getdents64, fd, buf, sizeof buf) > 24);
    CHECK_EQ(syscall(SYS_getdents64, fd, buf, sizeof buf), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_ERR(syscall(SYS_getdents64, fd, (void *)8, sizeof buf), EFAULT);
    CHECK(syscall(SYS_getdents, fd, buf, sizeof buf) > 24);
    CHECK_ERR(syscall(SYS_getdents64, 99, buf, sizeof buf), EBADF);
    f = open("k/file", O_RDONLY);
    CHECK_ERR(syscall(SYS_getdents64, f, buf, sizeof buf), ENOTDIR);
    close(f);
    close(fd);
}

static void gone(void)
{
    char buf[512];
    int fd;

    CHECK_EQ(mkdir("g", 0755), 0);
    fd = open("g", O_RDONLY | O_DIRECTORY);
    CHECK_EQ(rmdir("g"), 0);
    CHECK_ERR(syscall(SYS_getdents64, fd, buf, sizeof buf), ENOENT);
    CHECK_ERR(openat(fd, "x", O_CREAT | O_WRONLY, 0600), ENOENT);
    close(fd);
}

#define READERS 6
#define NAMES 300

/* One small buffer of fd's: counts the names in it, and says the number of the last one. */
static int read_some(int fd, unsigned char *seen, int *ret_last)
{
    char buf[120], *p;
    int n = (int)syscall(SYS_getdents64, fd, buf, sizeof buf);

    for (p = buf; p < buf + n;) {
        unsigned short len;

        memcpy(&len, p + 16, sizeof len);
        if (p[19] == 'n') {
            *ret_last = atoi(p + 20);
            seen[*ret_last]++;
        }
        p += len;
    }
    return n;
}

/* Several read at their own pace while names behind, before and at where they stand go away. */
static void readers(void)
{
    static unsigned char seen[READERS][NAMES];
    int fds[READERS], left = READERS, last = 0;
    char name[32];

    CHECK_EQ(mkdir("r", 0755), 0);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "r/n%d", i);
        put_text(name, "");
    }
    for (int i = 0; i < READERS; i++)
        fds[i] = open("r", O_RDONLY | O_DIRECTORY);
    for (int round = 0; left; round++) {
        left = 0;
        for (int i = 0; i < READERS; i++) {
            if (round % (i + 1) == 0 && read_some(fds[i], seen[i], &last) > 0)
                left++;
            else if (round % (i + 1))
                left++;
        }
        for (int i = last - 4; i < last + 5; i++) {
            snprintf(name, sizeof name, "r/n%d", i);
            if (i > 0 && i % 3 == 0)
                unlink(name);
        }
    }
    for (int i = 0; i < READERS; i++) {
        for (int k = 0; k < NAMES; k++)
            if (seen[i][k] > 1 || (k % 3 && seen[i][k] != 1))
                CHECK_EQ(k, -1);
        close(fds[i]);
    }
}

int main(void)
{
    scratch_begin();
    RUN(kinds);
    RUN(positions);
    RUN(removing_all);
    RUN(buffers);
    RUN(gone);
    RUN(readers);
    scratch_end();
    DONE();
}
