/* SPDX-License-Identifier: Apache-2.0 */
/* Overlays that the program mounts itself: two lower directories, an upper one, and what lands there. */
#include <dirent.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "mounts.h"

static void put(const char *name, const char *text)
{
    int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static const char *get(const char *name)
{
    static char buf[256];
    int fd = open(name, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf - 1);

    buf[n > 0 ? n : 0] = 0;
    close(fd);
    return fd < 0 ? "(missing)" : buf;
}

static int cmp(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The names in a directory, sorted, with spaces between. */
static const char *names(const char *dir)
{
    static char all[64][64], ret[4096];
    DIR *d = opendir(dir);
    struct dirent *e;
    int n = 0;

    ret[0] = 0;
    while (d && (e = readdir(d)) && n < 64)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            snprintf(all[n++], 64, "%.63s", e->d_name);
    if (d)
        closedir(d);
    qsort(all, (size_t)n, 64, cmp);
    for (int i = 0; i < n; i++) {
        strcat(ret, i ? " " : "");
        strcat(ret, all[i]);
    }
    return ret;
}

static int is_whiteout(const char *name)
{
    struct stat st;

    return lstat(name, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

static int overlay(const char *opts, const char *where)
{
    return mount("overlay", where, "overlay", 0, opts);
}

static char *options(const char *fmt)
{
    static char buf[1024];

    snprintf(buf, sizeof buf, fmt, top, top, top, top);
    return buf;
}

#define CHECK_STR(a, b)                                                                            \
    do {                                                                                           \
        const char *a_ = (a), *b_ = (b);                                                           \
        if (strcmp(a_, b_)) {                                                                      \
            guest_failures++;                                                                      \
            printf("%s:%d: %s: failed: %s is \"%s\", wanted \"%s\"\n", __FILE__, __LINE__,         \
                   guest_current, #a, a_, b_);                                                     \
        }                                                                                          \
    } while (0)

static void what_is_refused(void)
{
    CHECK_ERR(overlay(options("upperdir=%s/up,workdir=%s/work"), at("m")), EINVAL);
    CHECK_ERR(overlay(options("lowerdir=%s/missing:%s/l2"), at("m")), ENOENT);
    CHECK_ERR(overlay(options("lowerdir=%s/l1,upperdir=%s/up"), at("m")), EINVAL);
    CHECK_ERR(overlay(options("lowerdir=%s/l1/f,upperdir=%s/up,workdir=%s/work"), at("m")), EINVAL);
}

static void layers(void)
{
    CHECK_EQ(overlay(options("lowerdir=%s/l1:%s/l2"), at("m")), 0);
    CHECK_STR(get(at("m/f")), "one"); /* the first is on top */
    CHECK_STR(get(at("m/g")), "two");
    CHECK_STR(names(at("m")), "both d f g hidden");
    CHECK_STR(names(at("m/both")), "a b");
    CHECK_ERR(open(at("m/f"), O_WRONLY), EROFS);
    CHECK_ERR(mkdir(at("m/new"), 0755), EROFS);
    CHECK_EQ(umount(at("m")), 0);
}

static void changes(void)
{
    struct stat st, st2;
    char c[2];
    int fd, rd;

    CHECK_STR(get(at("m/g")), "two");
    rd = open(at("m/g"), O_RDONLY);
    fd = open(at("m/g"), O_WRONLY | O_APPEND);
    CHECK_EQ(write(fd, "!", 1), 1);
    close(fd);
    CHECK_STR(get(at("m/g")), "two!");
    CHECK_STR(get(at("up/g")), "two!");
    CHECK_STR(get(at("l2/g")), "two"); /* below nothing ever changes */
    CHECK_EQ(read(rd, c, 2), 2);
    close(rd);
    CHECK_EQ(stat(at("m/g"), &st), 0);
    CHECK_EQ(st.st_size, 4);
    CHECK_EQ(chmod(at("m/both/a"), 0600), 0);
    CHECK_EQ(stat(at("up/both/a"), &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0600);
    CHECK_STR(get(at("up/both/a")), "a");
    CHECK_STR(names(at("m/both")), "a b");
    put(at("m/both/new"), "new");
    CHECK_STR(get(at("up/both/new")), "new");
    CHECK_EQ(unlink(at("m/f")), 0);
    CHECK_STR(get(at("m/f")), "(missing)");
    CHECK(is_whiteout(at("up/f")));
    put(at("m/f"), "again");
    CHECK_STR(get(at("m/f")), "again");
    CHECK_STR(get(at("up/f")), "again");
    CHECK_EQ(setxattr(at("m/d"), "user.x", "v", 1, 0), 0);
    CHECK_EQ(getxattr(at("up/d"), "user.x", c, 2), 1);
    CHECK_EQ(symlink("g", at("m/link")), 0);
    CHECK_STR(get(at("m/link")), "two!");
    CHECK_EQ(link(at("m/both/b"), at("m/hard")), 0);
    CHECK_EQ(stat(at("m/hard"), &st), 0);
    CHECK_EQ(st.st_nlink, 2);
    CHECK_EQ(stat(at("m/both/b"), &st2), 0);
    CHECK_EQ(st.st_ino, st2.st_ino);
    fd = open(at("m"), O_TMPFILE | O_RDWR, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "x", 1), 1);
    close(fd);
}

static void renames(void)
{
    CHECK_EQ(rename(at("m/both/b"), at("m/both/c")), 0);
    CHECK_STR(get(at("m/both/c")), "b");
    CHECK(is_whiteout(at("up/both/b")));
    CHECK_STR(names(at("m/both")), "a c new");
    CHECK_ERR(rename(at("m/both"), at("m/elsewhere")), EXDEV);
    CHECK_EQ(mkdir(at("m/mine"), 0755), 0);
    put(at("m/mine/x"), "x");
    CHECK_EQ(rename(at("m/mine"), at("m/yours")), 0);
    CHECK_STR(names(at("m/yours")), "x");
    CHECK_EQ(rename(at("m/yours/x"), at("m/g")), 0); /* over what was copied up */
    CHECK_STR(get(at("m/g")), "x");
    CHECK_EQ(rmdir(at("m/yours")), 0);
}

static void directories(void)
{
    char c;

    CHECK_ERR(rmdir(at("m/d")), ENOTEMPTY);
    CHECK_EQ(unlink(at("m/d/in")), 0);
    CHECK(is_whiteout(at("up/d/in")));
    CHECK_STR(names(at("m/d")), "");
    CHECK_EQ(rmdir(at("m/d")), 0);
    CHECK(is_whiteout(at("up/d")));
    CHECK_EQ(mkdir(at("m/d"), 0755), 0); /* a new one: what was below does not come back */
    CHECK_STR(names(at("m/d")), "");
    CHECK_EQ(getxattr(at("up/d"), "trusted.overlay.opaque", &c, 1), 1);
    CHECK_EQ(c, 'y');
    CHECK_ERR(getxattr(at("m/d"), "trusted.overlay.opaque", &c, 1), ENODATA);
}

int main(void)
{
    mounts_begin();
    dirs("l1 l2 up work m l1/both l2/both l2/d");
    put(at("l1/f"), "one");
    put(at("l2/f"), "two");
    put(at("l2/g"), "two");
    put(at("l1/both/a"), "a");
    put(at("l2/both/b"), "b");
    put(at("l2/d/in"), "in");
    put(at("l1/hidden"), "file");
    CHECK_EQ(mkdir(at("l2/hidden"), 0755), 0);
    if (overlay(options("lowerdir=%s/l1:%s/l2"), at("m")) < 0 && errno == ENODEV)
        SKIP("this kernel has no overlay");
    CHECK_EQ(umount(at("m")), 0);
    RUN(what_is_refused);
    RUN(layers);
    CHECK_EQ(overlay(options("lowerdir=%s/l1:%s/l2,upperdir=%s/up,workdir=%s/work"), at("m")), 0);
    RUN(changes);
    RUN(renames);
    RUN(directories);
    CHECK_EQ(umount(at("m")), 0);
    /* and all of it is there when it is mounted again */
    CHECK_EQ(overlay(options("lowerdir=%s/l1:%s/l2,upperdir=%s/up,workdir=%s/work"), at("m")), 0);
    guest_current = "again";
    CHECK_STR(get(at("m/f")), "again");
    CHECK_STR(names(at("m/both")), "a c new");
    CHECK_STR(names(at("m/d")), "");
    CHECK_EQ(umount(at("m")), 0);
    mounts_end();
    DONE();
}
