/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in file systems: bytes, inodes, names, depth, links, watches, attributes, locks, mounts. */
#include <fcntl.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "bomb.h"

static int fill(const char *path, unsigned long max_bytes)
{
    static char block[1 << 20];
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600), err = 0;
    unsigned long n = 0;
    ssize_t r = 0;

    memset(block, 'x', sizeof block);
    if (fd < 0)
        return bomb_end(0, errno, ENOSPC);
    while (n < max_bytes && (r = write(fd, block, sizeof block)) > 0)
        n += (unsigned long)r;
    err = r < 0 ? errno : 0;
    (void)!ftruncate(fd, 0);
    close(fd);
    unlink(path);
    return bomb_end(n >> 20, err, ENOSPC);
}

static int bomb_file(void)
{
    bomb_scratch();
    return fill("f", bomb_bytes);
}

static int bomb_shm(void)
{
    return fill("/dev/shm/f", bomb_bytes);
}

static int bomb_fallocate(void)
{
    int fd = (bomb_scratch(), open("f", O_RDWR | O_CREAT, 0600));

    if (fallocate(fd, 0, 0, (off_t)bomb_bytes) == 0)
        return bomb_end(1, 0, ENOSPC);
    return bomb_end(0, errno, ENOSPC);
}

/* Files that are small enough to stay in the sentry's heap. */
static int bomb_small_files(void)
{
    static char block[64 << 10];
    unsigned long n = 0;
    int err = 0;

    bomb_scratch();
    while (n < bomb_cap && !err) {
        char name[32];
        ssize_t r;
        int fd;

        snprintf(name, sizeof name, "%lu", n);
        fd = open(name, O_WRONLY | O_CREAT, 0600);
        r = fd < 0 ? -1 : write(fd, block, sizeof block);
        err = r < 0 ? errno : 0;
        if (fd >= 0)
            close(fd);
        n += !err;
    }
    for (unsigned long i = 0; i <= n; i++) {
        char name[32];

        snprintf(name, sizeof name, "%lu", i);
        unlink(name);
    }
    return bomb_end(n, err, ENOSPC);
}

static int bomb_inode(void)
{
    unsigned long n = 0;
    char name[32];
    int err = 0;

    bomb_scratch();
    for (; n < bomb_cap; n++) {
        int fd;

        snprintf(name, sizeof name, "%lu", n);
        fd = open(name, O_WRONLY | O_CREAT, 0600);
        err = fd < 0 ? errno : 0;
        if (err)
            break;
        close(fd);
    }
    for (unsigned long i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%lu", i);
        unlink(name);
    }
    return bomb_end(n, err, ENOSPC);
}

/* Names of one file: they are no inodes. */
static int bomb_link(void)
{
    unsigned long n = 0;
    char name[300];
    int err = 0;

    bomb_scratch();
    memset(name, 'l', 240);
    close(open("f", O_WRONLY | O_CREAT, 0600));
    for (; n < bomb_cap; n++) {
        sprintf(name + 240, "%lu", n);
        err = link("f", name) < 0 ? errno : 0;
        if (err)
            break;
    }
    for (unsigned long i = 0; i < n; i++) {
        sprintf(name + 240, "%lu", i);
        unlink(name);
    }
    return bomb_end(n, err, ENOSPC, EMLINK);
}

static int bomb_deep(void)
{
    unsigned long n = 0;
    char buf[PATH_MAX];
    int err = 0;

    bomb_scratch();
    for (; n < bomb_cap; n++) {
        err = mkdir("dddddddddddddddd", 0755) < 0 || chdir("dddddddddddddddd") < 0 ? errno : 0;
        if (err)
            break;
    }
    /* from the bottom: a path that is longer than a path may be */
    if (n > 10000 && (getcwd(buf, sizeof buf) || errno != ERANGE))
        printf("deep: getcwd\n");
    for (unsigned long i = 0; i < n; i++) {
        if (chdir("..") < 0 || rmdir("dddddddddddddddd") < 0)
            return 1;
    }
    return bomb_end(n, err, ENOSPC, ENOMEM);
}

/* Left as it is, to be torn down with the rest. */
static int bomb_deep_left(void)
{
    bomb_scratch();
    for (unsigned long n = 0; n < 50000; n++) {
        if (mkdir("d", 0755) < 0 || chdir("d") < 0)
            break;
    }
    return bomb_end(50000, ENOSPC, ENOSPC);
}

static int bomb_symlink(void)
{
    char path[PATH_MAX] = "";
    int err;

    bomb_scratch();
    if (symlink("b", "a") < 0 || symlink("a", "b") < 0 || symlink("s/s/s/s/s/s", "s") < 0)
        return 1;
    err = open("a", O_RDONLY) < 0 ? errno : 0;
    if (err != ELOOP)
        return bomb_end(0, err, ELOOP);
    err = open("s", O_RDONLY) < 0 ? errno : 0;
    if (err != ELOOP)
        return bomb_end(1, err, ELOOP);
    /* each link doubles what is to be walked */
    mkdir("d", 0755);
    (void)!symlink("d/../d", "l0");
    for (int i = 1; i < 40; i++) {
        char to[32], name[16];

        snprintf(to, sizeof to, "l%d/../l%d", i - 1, i - 1);
        snprintf(name, sizeof name, "l%d", i);
        (void)!symlink(to, name);
    }
    err = open("l39", O_RDONLY) < 0 ? errno : 0;
    for (int i = 0; i < 1300; i++)
        strcat(path, "a/");
    if (err == ELOOP)
        err = open(path, O_RDONLY) < 0 ? errno : 0;
    return bomb_end(2, err, ELOOP);
}

static int bomb_path(void)
{
    char *path = malloc(1 << 20);
    int err;

    memset(path, 'x', 1 << 20);
    path[(1 << 20) - 1] = 0;
    err = open(path, O_RDONLY) < 0 ? errno : 0;
    if (err != ENAMETOOLONG)
        return bomb_end(0, err, ENAMETOOLONG);
    path[256] = 0;
    err = open(path, O_RDONLY) < 0 ? errno : 0;
    return bomb_end(1, err, ENAMETOOLONG);
}

static int bomb_inotify(void)
{
    unsigned long n = 0;

    bomb_many_files();
    while (n < bomb_cap && inotify_init() >= 0)
        n++;
    return bomb_end(n, n < bomb_cap ? errno : 0, EMFILE);
}

static int bomb_watch(void)
{
    unsigned long n = 0;
    int in = inotify_init(), err = 0;
    char name[32];

    bomb_scratch();
    for (; n < bomb_cap; n++) {
        int fd;

        snprintf(name, sizeof name, "%lu", n);
        fd = open(name, O_WRONLY | O_CREAT, 0600);
        err = fd < 0 || inotify_add_watch(in, name, IN_ALL_EVENTS) < 0 ? errno : 0;
        if (err)
            break;
        close(fd);
    }
    for (unsigned long i = 0; i <= n; i++) {
        snprintf(name, sizeof name, "%lu", i);
        unlink(name);
    }
    return bomb_end(n, err, ENOSPC);
}

/* Events that nobody reads. */
static int bomb_events(void)
{
    unsigned long n = 0;
    int in = inotify_init1(IN_NONBLOCK);
    static char buf[1 << 20];
    ssize_t got, last = 0;

    bomb_scratch();
    inotify_add_watch(in, ".", IN_ALL_EVENTS);
    for (; n < 40000; n++) {
        close(open("a", O_WRONLY | O_CREAT, 0600));
        unlink("a");
    }
    while ((got = read(in, buf, sizeof buf)) > 0)
        last = got;
    if (last < (ssize_t)sizeof(struct inotify_event) ||
        ((struct inotify_event *)(void *)(buf + last - sizeof(struct inotify_event)))->mask !=
            IN_Q_OVERFLOW)
        return bomb_end(n, 0, ENOSPC);
    return bomb_end(n, ENOSPC, ENOSPC);
}

static int bomb_xattr(void)
{
    static char value[60000];
    unsigned long n = 0;
    int err = 0;

    bomb_scratch();
    for (; n * sizeof value < bomb_bytes && !err; n++) {
        char name[32];
        int fd;

        snprintf(name, sizeof name, "%lu", n);
        fd = open(name, O_WRONLY | O_CREAT, 0600);
        if (fd < 0 || fsetxattr(fd, getuid() ? "user.x" : "trusted.x", value, sizeof value, 0) < 0)
            err = errno;
        if (fd >= 0)
            close(fd);
    }
    for (unsigned long i = 0; i <= n; i++) {
        char name[32];

        snprintf(name, sizeof name, "%lu", i);
        unlink(name);
    }
    return bomb_end(n, err, ENOSPC, ENOMEM);
}

static int bomb_lock(void)
{
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    unsigned long n = 0;
    int fd = (bomb_scratch(), open("f", O_RDWR | O_CREAT, 0600)), err = 0;

    for (; n < bomb_cap; n++) {
        l.l_start = (off_t)n * 2; /* no two adjoin */
        err = fcntl(fd, F_SETLK, &l) < 0 ? errno : 0;
        if (err)
            break;
    }
    return bomb_end(n, err, ENOLCK);
}

static int bomb_mount(void)
{
    unsigned long n = 0;
    int err = 0;

    bomb_scratch();
    mkdir("m", 0755);
    for (; n < bomb_cap; n++) {
        err = mount("none", "m", "tmpfs", 0, NULL) < 0 ? errno : 0;
        if (err)
            break;
    }
    for (unsigned long i = 0; i < n; i++)
        umount2("m", MNT_DETACH);
    return bomb_end(n, err, ENOSPC, EPERM);
}

const struct bomb bombs_files[] = {
    { "file", bomb_file },
    { "shm", bomb_shm },
    { "fallocate", bomb_fallocate },
    { "small-files", bomb_small_files },
    { "inode", bomb_inode },
    { "link", bomb_link },
    { "deep", bomb_deep },
    { "deep-left", bomb_deep_left },
    { "symlink", bomb_symlink },
    { "path", bomb_path },
    { "inotify", bomb_inotify },
    { "watch", bomb_watch },
    { "events", bomb_events },
    { "xattr", bomb_xattr },
    { "lock", bomb_lock },
    { "mount", bomb_mount },
    { NULL, NULL },
};
