/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes: set, get, list, remove; sizes, names and kinds of files. */
#include <stdbool.h>
#include <sys/xattr.h>

#include "scratch.h"

static bool has_name(const char *list, ssize_t n, const char *name)
{
    for (const char *p = list; p < list + n; p += strlen(p) + 1)
        if (!strcmp(p, name))
            return true;
    return false;
}

static void values(void)
{
    char buf[64];

    put_text("f", "x");
    if (setxattr("f", "user.a", "one", 3, 0) < 0 && errno == EOPNOTSUPP) {
        scratch_end();
        SKIP("/tmp has no extended attributes");
    }
    CHECK_EQ(getxattr("f", "user.a", buf, sizeof buf), 3);
    CHECK_EQ(memcmp(buf, "one", 3), 0);
    CHECK_EQ(getxattr("f", "user.a", NULL, 0), 3);
    CHECK_ERR(getxattr("f", "user.a", buf, 2), ERANGE);
    CHECK_ERR(getxattr("f", "user.none", buf, 2), ENODATA);
    CHECK_ERR(setxattr("f", "user.a", "x", 1, XATTR_CREATE), EEXIST);
    CHECK_ERR(setxattr("f", "user.b", "x", 1, XATTR_REPLACE), ENODATA);
    CHECK_ERR(setxattr("f", "user.a", "x", 1, 8), EINVAL);
    CHECK_EQ(setxattr("f", "user.a", "four", 4, XATTR_REPLACE), 0);
    CHECK_EQ(getxattr("f", "user.a", buf, sizeof buf), 4);
    CHECK_EQ(setxattr("f", "user.empty", "", 0, 0), 0);
    CHECK_EQ(getxattr("f", "user.empty", buf, sizeof buf), 0);
}

static void names(void)
{
    static char big[1 << 17];
    char list[256], name[300];
    ssize_t n;

    n = listxattr("f", list, sizeof list);
    CHECK(has_name(list, n, "user.a"));
    CHECK(has_name(list, n, "user.empty"));
    CHECK_EQ(listxattr("f", NULL, 0), n);
    CHECK_ERR(listxattr("f", list, 3), ERANGE);
    CHECK_EQ(removexattr("f", "user.a"), 0);
    CHECK_ERR(removexattr("f", "user.a"), ENODATA);
    CHECK_ERR(setxattr("f", "wrong.a", "x", 1, 0), EOPNOTSUPP);
    CHECK_ERR(setxattr("f", "nodot", "x", 1, 0), EOPNOTSUPP);
    CHECK_ERR(setxattr("f", "user.", "x", 1, 0), EINVAL);
    CHECK_ERR(setxattr("f", "", "x", 1, 0), ERANGE);
    memset(name, 'n', sizeof name - 1);
    name[299] = 0;
    memcpy(name, "user.", 5);
    CHECK_ERR(setxattr("f", name, "x", 1, 0), ERANGE);
    CHECK_ERR(setxattr("f", "user.big", big, sizeof big, 0), E2BIG);
    CHECK_ERR(setxattr("none", "user.a", "x", 1, 0), ENOENT);
}

static void kinds(void)
{
    char buf[8];
    int fd;

    CHECK_EQ(symlink("f", "l"), 0);
    CHECK_EQ(mkfifo("fifo", 0600), 0);
    CHECK_EQ(mkdir("d", 0755), 0);
    CHECK_EQ(setxattr("d", "user.d", "x", 1, 0), 0);
    CHECK_EQ(setxattr("l", "user.l", "x", 1, 0), 0);
    CHECK_EQ(getxattr("f", "user.l", buf, 8), 1);
    CHECK_ERR(lsetxattr("l", "user.l", "x", 1, 0), EPERM);
    CHECK_ERR(lgetxattr("l", "user.l", buf, 8), ENODATA);
    CHECK_ERR(setxattr("fifo", "user.x", "x", 1, 0), EPERM);
    fd = open("f", O_RDONLY);
    CHECK_EQ(fsetxattr(fd, "user.f", "x", 1, 0), 0);
    CHECK_EQ(fgetxattr(fd, "user.f", buf, 8), 1);
    CHECK_EQ(fremovexattr(fd, "user.f"), 0);
    close(fd);
    fd = open("f", O_PATH);
    CHECK_ERR(fgetxattr(fd, "user.l", buf, 8), EBADF);
    close(fd);
}

int main(void)
{
    scratch_begin();
    RUN(values);
    RUN(names);
    RUN(kinds);
    scratch_end();
    DONE();
}
