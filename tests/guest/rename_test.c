/* SPDX-License-Identifier: Apache-2.0 */
/* rename and link: the matrix of kinds, flags, errors; what moves and what stays. */
#include <sys/syscall.h>

#include "scratch.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

static int rename2(const char *a, const char *b, unsigned flags)
{
    return syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags);
}

static void kinds(void)
{
    CHECK_EQ(mkdir("e", 0755), 0);
    CHECK_EQ(mkdir("full", 0755), 0);
    put_text("full/x", "x");
    put_text("f", "f");
    put_text("g", "g");
    CHECK_EQ(symlink("f", "l"), 0);
    CHECK_ERR(rename("none", "x"), ENOENT);
    CHECK_ERR(rename("f", "none/x"), ENOENT);
    CHECK_ERR(rename("f", "g/x"), ENOTDIR);
    CHECK_ERR(rename("f", "e"), EISDIR);
    CHECK_ERR(rename("e", "f"), ENOTDIR);
    CHECK_ERR(rename("e", "full"), ENOTEMPTY);
    CHECK_ERR(rename("full", "full/sub"), EINVAL);
    CHECK_ERR(rename("full/x", "full"), ENOTEMPTY); /* its own parent */
    CHECK_ERR(rename("f", "x/"), ENOTDIR);
    CHECK_ERR(rename("f/", "x"), ENOTDIR);
    CHECK_ERR(rename(".", "x"), EBUSY);
    CHECK_ERR(rename("e/..", "x"), EBUSY);
    CHECK_ERR(rename("f", "."), EBUSY);
    CHECK_EQ(rename("full", "e"), 0);
    CHECK_TEXT("e/x", "x");
    CHECK_EQ(rename("f", "g"), 0);
    CHECK_TEXT("g", "f");
    CHECK_ERR(open("f", O_RDONLY), ENOENT);
    CHECK_EQ(rename("l", "l2"), 0);
    CHECK_EQ(rename("e", "dir/"), 0);
    CHECK_TEXT("dir/x", "x");
    CHECK_EQ(rename("g", "g"), 0);
}

static void flags(void)
{
    put_text("a", "a");
    put_text("b", "b");
    CHECK_EQ(mkdir("d1", 0755), 0);
    put_text("d1/in", "in");
    CHECK_ERR(rename2("a", "b", RENAME_NOREPLACE), EEXIST);
    CHECK_ERR(rename2("a", "none", RENAME_EXCHANGE), ENOENT);
    CHECK_ERR(rename2("a", "b", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
    CHECK_ERR(rename2("a", "b", 64), EINVAL);
    CHECK_EQ(rename2("a", "b", RENAME_EXCHANGE), 0);
    CHECK_TEXT("a", "b");
    CHECK_TEXT("b", "a");
    CHECK_EQ(rename2("a", "d1", RENAME_EXCHANGE), 0);
    CHECK_TEXT("d1", "b");
    CHECK_TEXT("a/in", "in");
    CHECK_EQ(rename2("d1", "new", RENAME_NOREPLACE), 0);
    CHECK_TEXT("new", "b");
}

static void open_over_it(void)
{
    char c;
    int fd;
    struct stat st;

    put_text("old", "o");
    put_text("repl", "r");
    fd = open("old", O_RDONLY);
    CHECK_EQ(rename("repl", "old"), 0);
    CHECK_EQ(read(fd, &c, 1), 1);
    CHECK_EQ(c, 'o');
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_nlink, 0);
    close(fd);
    CHECK_TEXT("old", "r");
}

static void dotdot_moves(void)
{
    struct stat a, b;
    int fd;

    CHECK_EQ(mkdir("p1", 0755), 0);
    CHECK_EQ(mkdir("p2", 0755), 0);
    CHECK_EQ(mkdir("p1/c", 0755), 0);
    CHECK_EQ(stat("p1", &a), 0);
    CHECK_EQ(a.st_nlink, 3);
    fd = open("p1/c", O_RDONLY | O_DIRECTORY);
    CHECK_EQ(rename("p1/c", "p2/c"), 0);
    CHECK_EQ(fstatat(fd, "..", &a, 0), 0);
    CHECK_EQ(stat("p2", &b), 0);
    CHECK_EQ(a.st_ino, b.st_ino);
    CHECK_EQ(b.st_nlink, 3);
    CHECK_EQ(stat("p1", &a), 0);
    CHECK_EQ(a.st_nlink, 2);
    close(fd);
}

static void links(void)
{
    struct stat st;
    char name[64];
    int fd;

    put_text("one", "1");
    CHECK_EQ(link("one", "two"), 0);
    CHECK_EQ(stat("two", &st), 0);
    CHECK_EQ(st.st_nlink, 2);
    CHECK_EQ(rename("one", "two"), 0); /* the same file: both stay */
    CHECK_TEXT("one", "1");
    CHECK_ERR(link("one", "two"), EEXIST);
    CHECK_ERR(link("none", "x"), ENOENT);
    CHECK_ERR(link("dir", "x"), EPERM);
    CHECK_EQ(symlink("one", "sl"), 0);
    CHECK_EQ(link("sl", "sl2"), 0);
    CHECK_EQ(lstat("sl2", &st), 0);
    CHECK(S_ISLNK(st.st_mode));
    CHECK_EQ(linkat(AT_FDCWD, "sl", AT_FDCWD, "three", AT_SYMLINK_FOLLOW), 0);
    CHECK_EQ(lstat("three", &st), 0);
    CHECK_EQ(st.st_nlink, 3);
    CHECK_ERR(linkat(AT_FDCWD, "one", AT_FDCWD, "x", 0x10), EINVAL);
    fd = open("one", O_RDONLY);
    CHECK_EQ(unlink("one"), 0);
    CHECK_EQ(unlink("two"), 0);
    CHECK_EQ(unlink("three"), 0);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    CHECK_ERR(linkat(AT_FDCWD, name, AT_FDCWD, "back", AT_SYMLINK_FOLLOW), ENOENT);
    close(fd);
}

int main(void)
{
    scratch_begin();
    RUN(kinds);
    RUN(flags);
    RUN(open_over_it);
    RUN(dotdot_moves);
    RUN(links);
    scratch_end();
    DONE();
}
