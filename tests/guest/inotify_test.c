/* SPDX-License-Identifier: Apache-2.0 */
/* inotify: which events come, in which order. */
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "guest.h"

static char dir[] = "/tmp/in-XXXXXX";

/* All events there are, as text: "mask:name/cookie? ..." */
static const char *events(int fd)
{
    static char text[2048];
    char buf[4096] __attribute__((aligned(8)));
    size_t len = 0;
    ssize_t n;

    text[0] = '\0';
    while ((n = read(fd, buf, sizeof buf)) > 0)
        for (char *p = buf; p < buf + n;) {
            struct inotify_event *e = (void *)p;

            len += (size_t)snprintf(text + len, sizeof text - len, "%d:%x:%s%s ", e->wd, e->mask,
                                    e->len ? e->name : "", e->cookie ? "/c" : "");
            p += sizeof *e + e->len;
        }
    return text;
}

#define EXPECT(fd, want)                                                                           \
    do {                                                                                           \
        const char *got_ = events(fd);                                                             \
        if (strcmp(got_, want) != 0) {                                                             \
            guest_failures++;                                                                      \
            printf("%s:%d: %s: got \"%s\", wanted \"%s\"\n", __FILE__, __LINE__, guest_current,    \
                   got_, want);                                                                    \
        }                                                                                          \
    } while (0)

static void put(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT, 0644);

    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void directory(void)
{
    int in = inotify_init1(IN_NONBLOCK), wd, n = -1;
    char c;

    CHECK_EQ(wd = inotify_add_watch(in, ".", IN_ALL_EVENTS), 1);
    CHECK_ERR(read(in, &c, 1), EAGAIN);
    put("a", "x");
    EXPECT(in, "1:100:a 1:20:a 1:2:a 1:8:a ");
    close(open("a", O_RDONLY));
    EXPECT(in, "1:20:a 1:10:a ");
    CHECK_EQ(chmod("a", 0600), 0);
    EXPECT(in, "1:4:a ");
    CHECK_EQ(mkdir("d", 0755), 0);
    EXPECT(in, "1:40000100:d ");
    CHECK_EQ(rename("a", "b"), 0);
    EXPECT(in, "1:40:a/c 1:80:b/c ");
    CHECK_EQ(rename("b", "d/b"), 0);
    EXPECT(in, "1:40:b/c ");
    CHECK_EQ(rename("d/b", "b"), 0);
    EXPECT(in, "1:80:b/c ");
    CHECK_EQ(link("b", "l"), 0);
    EXPECT(in, "1:100:l ");
    CHECK_EQ(symlink("b", "s"), 0);
    EXPECT(in, "1:100:s ");
    CHECK_EQ(unlink("s"), 0);
    CHECK_EQ(unlink("l"), 0);
    CHECK_EQ(truncate("b", 0), 0);
    EXPECT(in, "1:200:s 1:200:l 1:2:b ");
    CHECK_EQ(unlink("b"), 0);
    EXPECT(in, "1:200:b ");
    CHECK_EQ(rmdir("d"), 0);
    EXPECT(in, "1:40000200:d ");
    put("q", "1");
    CHECK_EQ(ioctl(in, FIONREAD, &n), 0);
    CHECK_EQ(n, 4 * 32);
    CHECK_ERR(read(in, &c, 1), EINVAL);
    events(in);
    unlink("q");
    events(in);
    CHECK_EQ(inotify_rm_watch(in, wd), 0);
    EXPECT(in, "1:8000: ");
    CHECK_ERR(inotify_rm_watch(in, wd), EINVAL);
    close(in);
}

static void file(void)
{
    int in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), fd;
    char c;

    CHECK_EQ(fcntl(in, F_GETFD), FD_CLOEXEC);
    put("f", "abc");
    CHECK_EQ(inotify_add_watch(in, "f", IN_ALL_EVENTS), 1);
    fd = open("f", O_RDWR);
    CHECK_EQ(read(fd, &c, 1), 1);
    CHECK_EQ(read(fd, &c, 1), 1);
    CHECK_EQ(write(fd, "z", 1), 1);
    close(fd);
    EXPECT(in, "1:20: 1:1: 1:2: 1:8: "); /* equal ones in a row are one */
    CHECK_EQ(rename("f", "g"), 0);
    EXPECT(in, "1:800: ");
    fd = open("g", O_RDONLY);
    CHECK_EQ(unlink("g"), 0);
    EXPECT(in, "1:20: 1:4: ");
    close(fd);
    EXPECT(in, "1:10: 1:400: 1:8000: ");
    close(in);
}

static void masks(void)
{
    int in = inotify_init1(IN_NONBLOCK);
    struct pollfd p = { .fd = in, .events = POLLIN };

    put("f", "abc");
    CHECK_ERR(inotify_add_watch(in, "f", 0), EINVAL);
    CHECK_ERR(inotify_add_watch(in, "f", IN_ONLYDIR | IN_OPEN), ENOTDIR);
    CHECK_ERR(inotify_add_watch(in, "none", IN_OPEN), ENOENT);
    CHECK_ERR(inotify_add_watch(1000, "f", IN_OPEN), EBADF);
    CHECK_ERR(inotify_add_watch(1, "f", IN_OPEN), EINVAL);
    CHECK_EQ(inotify_add_watch(in, "f", IN_OPEN), 1);
    CHECK_ERR(inotify_add_watch(in, "f", IN_OPEN | IN_MASK_CREATE), EEXIST);
    CHECK_ERR(inotify_add_watch(in, "f", IN_OPEN | IN_MASK_CREATE | IN_MASK_ADD), EINVAL);
    CHECK_EQ(inotify_add_watch(in, "f", IN_MODIFY), 1); /* replaces */
    put("f", "x");
    EXPECT(in, "1:2: ");
    CHECK_EQ(inotify_add_watch(in, "f", IN_OPEN | IN_MASK_ADD), 1);
    CHECK_EQ(poll(&p, 1, 0), 0);
    put("f", "x");
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN);
    EXPECT(in, "1:20: 1:2: ");
    CHECK_EQ(inotify_add_watch(in, "f", IN_OPEN | IN_ONESHOT), 1);
    put("f", "x");
    put("f", "y");
    EXPECT(in, "1:20: 1:8000: ");
    CHECK_EQ(inotify_add_watch(in, "f", IN_OPEN), 2);
    CHECK_EQ(symlink("f", "s"), 0);
    CHECK_EQ(inotify_add_watch(in, "s", IN_OPEN), 2);
    CHECK_EQ(inotify_add_watch(in, "s", IN_OPEN | IN_DONT_FOLLOW), 3);
    unlink("s");
    unlink("f");
    CHECK_ERR(inotify_init1(7), EINVAL);
    close(in);
}

static void self(void)
{
    int in = inotify_init1(IN_NONBLOCK);

    CHECK_EQ(mkdir("w", 0755), 0);
    CHECK_EQ(inotify_add_watch(in, "w", IN_ALL_EVENTS), 1);
    put("w/x", "");
    EXPECT(in, "1:100:x 1:20:x 1:8:x ");
    CHECK_EQ(rename("w", "v"), 0);
    EXPECT(in, "1:800: ");
    unlink("v/x");
    EXPECT(in, "1:200:x ");
    CHECK_EQ(rmdir("v"), 0);
    EXPECT(in, "1:400: 1:8000: ");
    close(in);
}

int main(void)
{
    if (!mkdtemp(dir) || chdir(dir) < 0)
        SKIP("no /tmp");
    RUN(directory);
    RUN(file);
    RUN(masks);
    RUN(self);
    rmdir(dir);
    DONE();
}
