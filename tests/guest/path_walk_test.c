/* SPDX-License-Identifier: Apache-2.0 */
/* Path walks as a guest sees them: links, loops, dots, slashes, lengths, openat2. */
#include <limits.h>
#include <stdint.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "scratch.h"

static void links(void)
{
    char buf[64];
    struct stat st;

    CHECK_EQ(mkdir("d", 0755), 0);
    put_text("d/f", "text");
    CHECK_EQ(symlink("d", "l"), 0);
    CHECK_EQ(symlink("d/f", "lf"), 0);
    CHECK_EQ(symlink("self", "self"), 0);
    CHECK_EQ(symlink("b", "a"), 0);
    CHECK_EQ(symlink("a", "b"), 0);
    CHECK_EQ(symlink("gone", "dangling"), 0);
    CHECK_TEXT("l/f", "text");
    CHECK_TEXT("l/../lf", "text");
    CHECK_TEXT("./l//./../d/f", "text");
    CHECK_ERR(open("self", O_RDONLY), ELOOP);
    CHECK_ERR(open("a", O_RDONLY), ELOOP);
    CHECK_ERR(open("a/x", O_RDONLY), ELOOP);
    CHECK_ERR(stat("self", &st), ELOOP);
    CHECK_EQ(lstat("self", &st), 0);
    CHECK(S_ISLNK(st.st_mode));
    CHECK_EQ(st.st_size, 4);
    CHECK_ERR(open("dangling", O_RDONLY), ENOENT);
    CHECK_ERR(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST);
    CHECK_EQ(close(open("dangling", O_CREAT | O_WRONLY, 0600)), 0);
    CHECK_EQ(stat("gone", &st), 0);
    CHECK_EQ(readlink("lf", buf, sizeof buf), 3);
    CHECK_EQ(readlink("lf", buf, 2), 2);
    CHECK_ERR(readlink("lf", buf, 0), EINVAL);
    CHECK_ERR(readlink("d", buf, sizeof buf), EINVAL);
    CHECK_ERR(readlink("none", buf, sizeof buf), ENOENT);
    CHECK_ERR(symlink("", "empty"), ENOENT);
    CHECK_ERR(symlink("x", "lf"), EEXIST);
}

static void slashes(void)
{
    struct stat st;

    CHECK_ERR(stat("d/f/", &st), ENOTDIR);
    CHECK_ERR(stat("lf/", &st), ENOTDIR);
    CHECK_ERR(stat("d/f/..", &st), ENOTDIR);
    CHECK_ERR(stat("d/f/x", &st), ENOTDIR);
    CHECK_EQ(lstat("l/", &st), 0);
    CHECK(S_ISDIR(st.st_mode));
    CHECK_EQ(lstat("l", &st), 0);
    CHECK(S_ISLNK(st.st_mode));
    CHECK_ERR(stat("", &st), ENOENT);
    CHECK_ERR(open("new/", O_CREAT | O_WRONLY, 0600), EISDIR);
    CHECK_ERR(open("d/", O_CREAT | O_RDONLY, 0600), EISDIR);
    CHECK_ERR(open("d", O_CREAT | O_RDONLY, 0600), EISDIR);
    CHECK_EQ(mkdir("m/", 0755), 0);
    CHECK_ERR(mkdir("m/.", 0755), EEXIST);
    CHECK_ERR(mkdir("m", 0755), EEXIST);
    CHECK_ERR(mkdir("/", 0755), EEXIST);
    CHECK_ERR(mknod("n/", S_IFREG | 0600, 0), ENOENT);
    CHECK_ERR(symlink("x", "n/"), ENOENT);
    CHECK_ERR(link("d/f", "n/"), ENOENT);
    CHECK_ERR(unlink("d/f/"), ENOTDIR);
    CHECK_ERR(unlink("m/"), EISDIR);
    CHECK_ERR(unlink("m"), EISDIR);
    CHECK_EQ(rmdir("m/"), 0);
    CHECK_ERR(rmdir("l"), ENOTDIR);
    CHECK_ERR(rmdir("l/"), ENOTDIR);
    CHECK_ERR(rmdir("d/."), EINVAL);
    CHECK_ERR(rmdir("d/.."), ENOTEMPTY);
    CHECK_ERR(rmdir("d"), ENOTEMPTY);
    CHECK_ERR(rmdir("/"), EBUSY);
    CHECK_ERR(unlink("d/."), EISDIR);
}

static void lengths(void)
{
    static char path[PATH_MAX + 16], name[NAME_MAX + 2];
    struct stat st;

    memset(name, 'n', sizeof name - 1);
    CHECK_ERR(stat(name, &st), ENAMETOOLONG);
    CHECK_ERR(mkdir(name, 0755), ENAMETOOLONG);
    CHECK_ERR(open(name, O_CREAT | O_WRONLY, 0600), ENAMETOOLONG);
    name[NAME_MAX] = 0;
    CHECK_EQ(mkdir(name, 0755), 0);
    CHECK_EQ(rmdir(name), 0);
    memset(path, '/', PATH_MAX - 1);
    CHECK_EQ(stat(path, &st), 0);
    path[PATH_MAX - 1] = '/';
    path[PATH_MAX] = 0;
    CHECK_ERR(stat(path, &st), ENAMETOOLONG);
    CHECK_ERR(stat((char *)8, &st), EFAULT);
    CHECK_ERR(open((char *)-1, O_RDONLY), EFAULT);
}

static void forty(void)
{
    char to[16], name[16];
    struct stat st;

    put_text("c0", "end");
    for (int i = 1; i <= 41; i++) {
        snprintf(to, sizeof to, "c%d", i - 1);
        snprintf(name, sizeof name, "c%d", i);
        CHECK_EQ(symlink(to, name), 0);
    }
    CHECK_TEXT("c40", "end");
    CHECK_ERR(stat("c41", &st), ELOOP);
}

/* What is found the first time, which brings the names into the cache, is found from there, too. */
static ino_t ino_of(const char *path)
{
    struct stat first, again;

    if (stat(path, &first) < 0 || stat(path, &again) < 0)
        return 0;
    CHECK_EQ(first.st_ino, again.st_ino);
    CHECK_EQ(first.st_dev, again.st_dev);
    return again.st_ino;
}

static void in_root(void)
{
    struct stat st;

    CHECK_EQ(mkdir("jail", 0755), 0);
    CHECK_EQ(mkdir("jail/f", 0755), 0);
    CHECK_EQ(symlink("/f", "jail/abs"), 0);
    CHECK_EQ(symlink("../../../..", "jail/f/up"), 0);
    ino_t root = ino_of("jail"), f = ino_of("jail/f");

    if (chroot("jail") < 0 || chdir("/") < 0) {
        printf("note: no chroot: %s\n", strerror(errno));
        exit(guest_failures > 0);
    }
    CHECK_EQ(ino_of("/.."), root);
    CHECK_EQ(ino_of("/../../f/.."), root);
    CHECK_EQ(ino_of("../f/../.."), root);
    CHECK_EQ(ino_of("/f/up"), root);
    CHECK_EQ(ino_of("/f/up/f"), f);
    CHECK_EQ(ino_of("f/up/../abs"), f);
    CHECK_EQ(ino_of("abs/../abs/up/abs/"), f);
    CHECK_ERR(stat("/abs/up/d", &st), ENOENT);
    CHECK_ERR(stat("/abs/up/d", &st), ENOENT);
    exit(guest_failures > 0);
}

static void again(void)
{
    char name[PATH_MAX];
    ino_t d = ino_of("d"), f = ino_of("d/f");
    struct stat st;
    int status;

    snprintf(name, sizeof name, "%s/l", scratch_dir);
    CHECK_EQ(symlink(name, "abs"), 0);
    CHECK_EQ(symlink("l", "ll"), 0);
    CHECK_EQ(symlink("d/", "ld"), 0);
    CHECK_EQ(symlink("/", "top"), 0);
    CHECK_EQ(symlink("d/..", "here"), 0);
    CHECK_EQ(symlink("ll/.", "dot"), 0);
    CHECK_EQ(symlink("lf/", "bad"), 0);
    CHECK(d && f);
    CHECK_EQ(ino_of("abs/f"), f);
    CHECK_EQ(ino_of("ll/f"), f);
    CHECK_EQ(ino_of("ll//./f"), f);
    CHECK_EQ(ino_of("ld/f"), f);
    CHECK_EQ(ino_of("dot/f"), f);
    CHECK_EQ(ino_of("here/here/ll/../abs/../lf"), f);
    CHECK_EQ(ino_of("ll/.."), ino_of("."));
    CHECK_EQ(ino_of("top"), ino_of("/"));
    CHECK_EQ(ino_of("top/"), ino_of("/.."));
    CHECK_EQ(ino_of("top/../../.."), ino_of("/"));
    CHECK_EQ(ino_of("/proc/.."), ino_of("/"));
    CHECK_EQ(ino_of("/proc/self/../.."), ino_of("/"));
    CHECK_EQ(ino_of("top/proc/../proc"), ino_of("/proc"));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(lstat("ll/", &st), 0); /* one link behind another */
        CHECK_EQ(st.st_ino, d);
        CHECK_EQ(lstat("dot", &st), 0);
        CHECK(S_ISLNK(st.st_mode));
        CHECK_ERR(stat("bad", &st), ENOTDIR);
        CHECK_ERR(stat("lf/x", &st), ENOTDIR);
        CHECK_ERR(stat("lf/..", &st), ENOTDIR);
        CHECK_ERR(stat("ll/none", &st), ENOENT);
        CHECK_ERR(stat("self/x", &st), ELOOP);
        CHECK_ERR(stat("ll/../a", &st), ELOOP);
        CHECK_TEXT("c40", "end");
        CHECK_ERR(stat("c41", &st), ELOOP);
    }
    /* a link that is another one now, and a directory that is elsewhere */
    CHECK_EQ(rename("lf", "ll"), 0);
    CHECK_EQ(ino_of("ll"), f);
    CHECK_EQ(mkdir("e", 0755), 0);
    CHECK_EQ(ino_of("d/.."), ino_of("."));
    CHECK_EQ(rename("d", "e/d"), 0);
    CHECK_EQ(ino_of("e/d/.."), ino_of("e"));
    CHECK_ERR(stat("l/f", &st), ENOENT);
    CHECK_EQ(rename("e/d", "d"), 0);
    CHECK_EQ(ino_of("l/f"), f);
    /* a body and what follows it, together as long as no path may be */
    memset(name, '/', sizeof name);
    memcpy(name, "d", 1);
    memcpy(name + sizeof name - 2, "f", 2);
    CHECK_EQ(ino_of(name), f);
    memset(name, '.', 2000);
    for (int i = 1; i < 2000; i += 2)
        name[i] = '/';
    name[2000] = 0;
    CHECK_EQ(symlink(name, "long"), 0);
    memcpy(name, "long/", 5);
    memset(name + 5, '/', sizeof name - 5);
    memcpy(name + sizeof name - 4, "d/f", 4);
    CHECK_EQ(ino_of(name), f);
    pid_t pid = fork();
    if (pid == 0) {
        in_root();
        exit(1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

static int openat2_(int dfd, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = { .flags = flags, .resolve = resolve };

    return syscall(SYS_openat2, dfd, path, &how, sizeof how);
}

static void fences(void)
{
    struct open_how how = { .flags = O_RDONLY };
    struct {
        struct open_how how;
        uint64_t more;
    } big = { { .flags = O_RDONLY }, 0 };
    int d, fd;

    CHECK_EQ(mkdir("jail2", 0755), 0);
    put_text("jail2/f", "in");
    CHECK_EQ(symlink("../d/f", "jail2/rel"), 0);
    CHECK_EQ(symlink("/f", "jail2/abs"), 0);
    CHECK_EQ(symlink("f", "jail2/ok"), 0);
    d = open("jail2", O_PATH | O_DIRECTORY);
    CHECK(d >= 0);
    CHECK_ERR(openat2_(d, "rel", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK_ERR(openat2_(d, "abs", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK_ERR(openat2_(d, "..", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK_ERR(openat2_(d, "/", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK_ERR(openat2_(d, "ok", O_RDONLY, RESOLVE_NO_SYMLINKS), ELOOP);
    fd = openat2_(d, "ok", O_RDONLY, RESOLVE_BENEATH);
    CHECK(fd >= 0);
    close(fd);
    fd = openat2_(d, "abs", O_RDONLY, RESOLVE_IN_ROOT);
    CHECK(fd >= 0);
    close(fd);
    fd = openat2_(d, "/../../f", O_RDONLY, RESOLVE_IN_ROOT);
    CHECK(fd >= 0);
    close(fd);
    CHECK_ERR(openat2_(d, "f", O_RDONLY, 1u << 20), EINVAL);
    CHECK_ERR(openat2_(d, "f", O_RDONLY, RESOLVE_BENEATH | RESOLVE_IN_ROOT), EINVAL);
    CHECK_ERR(openat2_(d, "f", 1ull << 40, 0), EINVAL);
    CHECK_ERR(openat2_(d, "f", O_PATH | O_WRONLY, 0), EINVAL);
    CHECK_ERR(syscall(SYS_openat2, d, "f", &how, 8), EINVAL);
    CHECK_ERR(syscall(SYS_openat2, d, "f", &how, 100000), E2BIG);
    fd = syscall(SYS_openat2, d, "f", &big, sizeof big);
    CHECK(fd >= 0);
    close(fd);
    big.more = 1;
    CHECK_ERR(syscall(SYS_openat2, d, "f", &big, sizeof big), E2BIG);
    how.mode = 0600;
    CHECK_ERR(syscall(SYS_openat2, d, "f", &how, sizeof how), EINVAL);
    close(d);
}

static void cwd(void)
{
    char buf[PATH_MAX];
    struct stat st;

    CHECK_EQ(mkdir("w", 0755), 0);
    CHECK_EQ(chdir("w"), 0);
    CHECK(getcwd(buf, sizeof buf) != NULL);
    CHECK(!strncmp(buf, scratch_dir, strlen(scratch_dir)) &&
          !strcmp(buf + strlen(scratch_dir), "/w"));
    CHECK_ERR(syscall(SYS_getcwd, buf, 3), ERANGE);
    CHECK_EQ(syscall(SYS_getcwd, buf, sizeof buf), strlen(scratch_dir) + 3);
    CHECK_EQ(rmdir("../w"), 0);
    CHECK_ERR(syscall(SYS_getcwd, buf, sizeof buf), ENOENT);
    CHECK_ERR(mkdir("x", 0755), ENOENT);
    CHECK_ERR(open("x", O_CREAT | O_WRONLY, 0600), ENOENT);
    CHECK_EQ(stat(".", &st), 0);
    CHECK_EQ(st.st_nlink, 0);
    CHECK_EQ(chdir(".."), 0);
    CHECK_ERR(chdir("d/f"), ENOTDIR);
    CHECK_ERR(chdir("none"), ENOENT);
    CHECK_ERR(fchdir(99), EBADF);
}

#define MANY 36000 /* more than any table of ours has buckets, or had */
#define MANY_FILES 18000

/* Names beyond what tables begin with: each still leads where it should. */
static void many(void)
{
    char name[32];
    struct stat st;
    ino_t ino;

    CHECK_EQ(mkdir("many", 0755), 0);
    put_text("many/n0", "x");
    CHECK_EQ(stat("many/n0", &st), 0);
    ino = st.st_ino;
    for (int i = 1; i < MANY; i++) {
        snprintf(name, sizeof name, "many/n%d", i);
        if (i < MANY_FILES)
            close(open(name, O_CREAT | O_WRONLY, 0644));
        else
            CHECK_EQ(link("many/n0", name), 0);
    }
    for (int i = 1; i < MANY; i++) {
        snprintf(name, sizeof name, "many/n%d", i);
        if (stat(name, &st) < 0 || (st.st_ino == ino) != (i >= MANY_FILES))
            CHECK_EQ(i, -1);
        if (unlink(name) < 0)
            CHECK_EQ(i, -1);
    }
    CHECK_EQ(stat("many/n0", &st), 0);
    CHECK_EQ(st.st_nlink, 1);
}

int main(void)
{
    scratch_begin();
    RUN(links);
    RUN(slashes);
    RUN(lengths);
    RUN(forty);
    RUN(again);
    RUN(fences);
    RUN(cwd);
    RUN(many);
    scratch_end();
    DONE();
}
