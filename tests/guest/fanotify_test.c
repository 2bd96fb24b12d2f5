/* SPDX-License-Identifier: Apache-2.0 */
/* fanotify: events by descriptor and by id, marks of each kind, ignored masks. */
#include <poll.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "fan.h"

#ifndef FAN_MARK_IGNORE
#define FAN_MARK_IGNORE 0x400
#endif
#ifndef FAN_MARK_EVICTABLE
#define FAN_MARK_EVICTABLE 0x200
#endif
#ifndef FAN_REPORT_TARGET_FID
#define FAN_REPORT_TARGET_FID 0x1000
#endif
#ifndef FAN_RENAME
#define FAN_RENAME 0x10000000
#endif
#define OLD_DFID_NAME 10
#define NEW_DFID_NAME 12

static void what_is_refused(void)
{
    int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY);

    CHECK(fan >= 0);
    CHECK_ERR(fanotify_init(0x10000000, O_RDONLY), EINVAL);
    CHECK_ERR(fanotify_init(FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT, O_RDONLY), EINVAL);
    CHECK_ERR(fanotify_init(FAN_CLASS_NOTIF, O_ACCMODE), EINVAL);
    CHECK_ERR(fanotify_init(FAN_CLASS_NOTIF, O_CREAT), EINVAL);
    CHECK_ERR(fanotify_init(FAN_CLASS_CONTENT | FAN_REPORT_FID, O_RDONLY), EINVAL);
    CHECK_ERR(fanotify_init(FAN_REPORT_NAME, O_RDONLY), EINVAL);
    CHECK_ERR(fanotify_init(FAN_REPORT_TARGET_FID | FAN_REPORT_DFID_NAME, O_RDONLY), EINVAL);
    CHECK_ERR(fanotify_init(FAN_REPORT_PIDFD | FAN_REPORT_TID, O_RDONLY), EINVAL);
    touch(at("f"));
    CHECK_ERR(mark(fan, FAN_MARK_ADD, 0, at("f")), EINVAL);
    CHECK_ERR(mark(fan, FAN_MARK_ADD | FAN_MARK_REMOVE, FAN_OPEN, at("f")), EINVAL);
    CHECK_ERR(mark(fan, 0, FAN_OPEN, at("f")), EINVAL);
    CHECK_ERR(mark(fan, FAN_MARK_ADD | 0x8000, FAN_OPEN, at("f")), EINVAL);
    CHECK_ERR(mark(fan, FAN_MARK_ADD | FAN_MARK_MOUNT | FAN_MARK_FILESYSTEM, FAN_OPEN, at("f")),
              EINVAL);
    CHECK_ERR(mark(fan, FAN_MARK_ADD, FAN_OPEN | 1ull << 40, at("f")), EINVAL);
    CHECK_ERR(mark(fan, FAN_MARK_ADD, FAN_CREATE, top), EINVAL); /* no group by id */
    CHECK_ERR(mark(fan, FAN_MARK_ADD, FAN_OPEN_PERM, at("f")), EINVAL);
    CHECK_ERR(mark(fan, FAN_MARK_ADD, FAN_OPEN, at("missing")), ENOENT);
    CHECK_ERR(mark(fan, FAN_MARK_ADD | FAN_MARK_ONLYDIR, FAN_OPEN, at("f")), ENOTDIR);
    CHECK_ERR(mark(fan, FAN_MARK_REMOVE, FAN_OPEN, at("f")), ENOENT);
    CHECK_ERR(mark(fan, FAN_MARK_ADD | FAN_MARK_MOUNT | FAN_MARK_EVICTABLE, FAN_OPEN, at("f")),
              EINVAL);
    CHECK_ERR(mark(fan, FAN_MARK_ADD | FAN_MARK_IGNORE | FAN_MARK_IGNORED_MASK, FAN_OPEN, at("f")),
              EINVAL);
    CHECK_ERR(mark(fan, FAN_MARK_ADD | FAN_MARK_IGNORE | FAN_MARK_MOUNT, FAN_OPEN, at("f")),
              EINVAL);
    CHECK_ERR(mark(fan, FAN_MARK_ADD | FAN_MARK_IGNORE, FAN_OPEN, top), EISDIR);
    CHECK_ERR(mark(0, FAN_MARK_ADD, FAN_OPEN, at("f")), EINVAL);
    CHECK_ERR(mark(-1, FAN_MARK_ADD, FAN_OPEN, at("f")), EBADF);
    CHECK_ERR(read(fan, buf, sizeof buf), EAGAIN);
    close(fan);
}

static void by_descriptor(void)
{
    int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC, O_RDONLY), fd, n;
    struct fanotify_event_metadata *m;
    struct pollfd p = { .fd = fan, .events = POLLIN };
    char link[64], target[256];
    ssize_t k;

    CHECK_EQ(fcntl(fan, F_GETFD), FD_CLOEXEC);
    touch(at("f"));
    CHECK_EQ(mark(fan, FAN_MARK_ADD, FAN_OPEN | FAN_CLOSE | FAN_MODIFY | FAN_ACCESS, at("f")), 0);
    CHECK_EQ(poll(&p, 1, 0), 0);
    fd = open(at("f"), O_RDWR);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(write(fd, "text", 4), 4);
    CHECK_EQ(pread(fd, buf, 4, 0), 4);
    close(fd);
    CHECK_EQ(ioctl(fan, FIONREAD, &n), 0);
    CHECK_EQ(n, sizeof *m); /* one object: one event */
    CHECK_ERR(read(fan, buf, 8), EINVAL);
    m = next(fan);
    CHECK(m != NULL);
    CHECK_EQ(m->mask, FAN_OPEN | FAN_MODIFY | FAN_ACCESS | FAN_CLOSE_WRITE);
    CHECK_EQ(m->pid, getpid());
    CHECK(m->fd >= 0);
    snprintf(link, sizeof link, "/proc/self/fd/%d", m->fd);
    k = readlink(link, target, sizeof target - 1);
    target[k > 0 ? k : 0] = 0;
    CHECK(strcmp(target, at("f")) == 0);
    CHECK_EQ(read(m->fd, target, 4), 4); /* nobody is told of that */
    close(m->fd);
    NOTHING(fan);
    close(open(at("g"), O_CREAT | O_WRONLY, 0600));
    NOTHING(fan); /* another file */
    CHECK_EQ(mark(fan, FAN_MARK_REMOVE, FAN_OPEN | FAN_ACCESS | FAN_MODIFY, at("f")), 0);
    close(open(at("f"), O_RDONLY));
    EXPECT(fan, FAN_CLOSE_NOWRITE, getpid());
    CHECK_EQ(mark(fan, FAN_MARK_REMOVE, FAN_CLOSE, at("f")), 0);
    CHECK_ERR(mark(fan, FAN_MARK_REMOVE, FAN_CLOSE, at("f")), ENOENT);
    close(open(at("f"), O_RDONLY));
    NOTHING(fan);
    close(fan);
}

static void directories(void)
{
    int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY);

    touch(at("f"));
    mkdir(at("d"), 0755);
    CHECK_EQ(mark(fan, FAN_MARK_ADD, FAN_OPEN, top), 0);
    close(open(top, O_RDONLY));
    close(open(at("f"), O_RDONLY));
    NOTHING(fan); /* neither directories nor children */
    CHECK_EQ(mark(fan, FAN_MARK_ADD, FAN_EVENT_ON_CHILD, top), 0);
    close(open(at("f"), O_RDONLY));
    EXPECT(fan, FAN_OPEN, getpid());
    close(open(top, O_RDONLY));
    close(open(at("d"), O_RDONLY));
    NOTHING(fan);
    CHECK_EQ(mark(fan, FAN_MARK_ADD, FAN_ONDIR, top), 0);
    close(open(top, O_RDONLY));
    EXPECT(fan, FAN_OPEN, getpid());
    close(open(at("d"), O_RDONLY));
    EXPECT(fan, FAN_OPEN, getpid());
    CHECK_EQ(mark(fan, FAN_MARK_FLUSH, 0, NULL), 0);
    close(open(at("f"), O_RDONLY));
    NOTHING(fan);
    rmdir(at("d"));
    close(fan);
}

static void mounts_and_file_systems(void)
{
    int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY);

    mkdir(at("other"), 0755);
    touch(at("f"));
    CHECK_EQ(mount(top, at("other"), NULL, MS_BIND, NULL), 0);
    CHECK_EQ(mark(fan, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, at("f")), 0);
    close(open(at("f"), O_RDONLY));
    EXPECT(fan, FAN_OPEN, getpid());
    close(open(at("other/f"), O_RDONLY)); /* by another mount */
    NOTHING(fan);
    CHECK_EQ(mark(fan, FAN_MARK_FLUSH | FAN_MARK_MOUNT, 0, NULL), 0);
    CHECK_EQ(mark(fan, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN, at("f")), 0);
    close(open(at("f"), O_RDONLY));
    EXPECT(fan, FAN_OPEN, getpid());
    close(open(at("other/f"), O_RDONLY));
    EXPECT(fan, FAN_OPEN, getpid());
    CHECK_EQ(mark(fan, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, at("other")), 0);
    CHECK_EQ(umount(at("other")), 0); /* a mark does not keep it */
    rmdir(at("other"));
    close(fan);
}

static void ignoring(void)
{
    int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY), fd;

    touch(at("f"));
    CHECK_EQ(mark(fan, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, at("f")), 0);
    CHECK_EQ(mark(fan, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK, FAN_OPEN, at("f")), 0);
    close(open(at("f"), O_RDONLY));
    NOTHING(fan);
    fd = open(at("f"), O_WRONLY);
    CHECK_EQ(write(fd, "x", 1), 1); /* what was ignored is another file now */
    close(fd);
    NOTHING(fan);
    close(open(at("f"), O_RDONLY));
    EXPECT(fan, FAN_OPEN, getpid());
    CHECK_EQ(mark(fan, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY,
                  FAN_OPEN, at("f")),
             0);
    fd = open(at("f"), O_WRONLY);
    CHECK_EQ(write(fd, "x", 1), 1);
    close(fd);
    close(open(at("f"), O_RDONLY));
    NOTHING(fan);
    CHECK_ERR(mark(fan, FAN_MARK_ADD | FAN_MARK_IGNORE, FAN_OPEN, at("f")), EEXIST);
    close(fan);
}

/* ---- by id ---- */

struct record {
    int type;
    char name[64];
    char handle[160];
};

/* The records of an event; how many. */
static int records(struct fanotify_event_metadata *m, struct record *r, int max)
{
    char *p = (char *)(m + 1), *end = (char *)m + m->event_len;
    struct statfs sf;
    int n = 0;

    statfs(top, &sf);
    for (; p < end && n < max; n++) {
        struct fanotify_event_info_fid *f = (void *)p;
        struct file_handle *h = (void *)f->handle;

        r[n] = (struct record){ .type = f->hdr.info_type };
        CHECK(f->hdr.len % 4 == 0 && f->hdr.len > 0);
        if (f->hdr.len == 0)
            break;
        CHECK(memcmp(&f->fsid, &sf.f_fsid, sizeof f->fsid) == 0);
        memcpy(r[n].handle, h, sizeof *h + h->handle_bytes);
        if (f->hdr.info_type != FAN_EVENT_INFO_TYPE_FID &&
            f->hdr.info_type != FAN_EVENT_INFO_TYPE_DFID)
            snprintf(r[n].name, sizeof r[n].name, "%s", (char *)h->f_handle + h->handle_bytes);
        p += f->hdr.len;
    }
    return n;
}

static int is_handle_of(const struct record *r, const char *path)
{
    union {
        struct file_handle h;
        char room[160];
    } u = { .h.handle_bytes = 128 };
    int id;

    if (name_to_handle_at(AT_FDCWD, path, &u.h, &id, 0) < 0)
        return 0;
    return memcmp(&u, r->handle, sizeof u.h + u.h.handle_bytes) == 0;
}

static void by_id(void)
{
    int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_REPORT_FID, O_RDONLY);
    struct fanotify_event_metadata *m;
    struct record r[4];

    CHECK(fan >= 0);
    touch(at("f"));
    CHECK_EQ(mark(fan, FAN_MARK_ADD, FAN_OPEN | FAN_ATTRIB | FAN_DELETE_SELF, at("f")), 0);
    CHECK_EQ(mark(fan, FAN_MARK_ADD, FAN_CREATE | FAN_DELETE | FAN_ONDIR, top), 0);
    close(open(at("f"), O_RDONLY));
    m = next(fan);
    CHECK(m && m->fd == FAN_NOFD && m->mask == FAN_OPEN);
    CHECK_EQ(records(m, r, 4), 1);
    CHECK_EQ(r[0].type, FAN_EVENT_INFO_TYPE_FID);
    CHECK(is_handle_of(&r[0], at("f")));
    mkdir(at("d"), 0755);
    m = next(fan);
    CHECK(m && m->mask == (FAN_CREATE | FAN_ONDIR));
    CHECK_EQ(records(m, r, 4), 1);
    CHECK(is_handle_of(&r[0], top)); /* the directory that changed */
    rmdir(at("d"));
    EXPECT(fan, (FAN_DELETE | FAN_ONDIR), getpid());
    unlink(at("f"));
    CHECK((m = next(fan)) && m->mask & FAN_ATTRIB);
    close(fan);
    while (next(fan))
        ;
    len = pos = 0;
}

static void by_name(void)
{
    int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_REPORT_DFID_NAME | FAN_REPORT_FID |
                                FAN_REPORT_TARGET_FID,
                            O_RDONLY);
    struct fanotify_event_metadata *m;
    struct record r[4];

    CHECK(fan >= 0);
    mkdir(at("d"), 0755);
    CHECK_EQ(mark(fan, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
                  FAN_CREATE | FAN_DELETE | FAN_RENAME | FAN_OPEN | FAN_ONDIR, top),
             0);
    CHECK_EQ(mknod(at("n"), S_IFREG | 0600, 0), 0);
    m = next(fan);
    CHECK(m && m->mask == FAN_CREATE);
    CHECK_EQ(records(m, r, 4), 2);
    CHECK_EQ(r[0].type, FAN_EVENT_INFO_TYPE_DFID_NAME);
    CHECK(strcmp(r[0].name, "n") == 0 && is_handle_of(&r[0], top));
    CHECK_EQ(r[1].type, FAN_EVENT_INFO_TYPE_FID);
    CHECK(is_handle_of(&r[1], at("n")));
    CHECK_EQ(rename(at("n"), at("d/moved")), 0);
    m = next(fan);
    CHECK(m && m->mask == FAN_RENAME);
    CHECK_EQ(records(m, r, 4), 3);
    CHECK_EQ(r[0].type, OLD_DFID_NAME);
    CHECK(strcmp(r[0].name, "n") == 0 && is_handle_of(&r[0], top));
    CHECK_EQ(r[1].type, NEW_DFID_NAME);
    CHECK(strcmp(r[1].name, "moved") == 0 && is_handle_of(&r[1], at("d")));
    CHECK_EQ(r[2].type, FAN_EVENT_INFO_TYPE_FID);
    CHECK(is_handle_of(&r[2], at("d/moved")));
    close(open(at("d/moved"), O_RDONLY));
    m = next(fan);
    CHECK(m && m->mask == FAN_OPEN);
    CHECK_EQ(records(m, r, 4), 2);
    CHECK(r[0].type == FAN_EVENT_INFO_TYPE_DFID_NAME && !strcmp(r[0].name, "moved"));
    close(open(at("d"), O_RDONLY));
    m = next(fan);
    CHECK(m && m->mask == (FAN_OPEN | FAN_ONDIR));
    CHECK_EQ(records(m, r, 4), 1);
    CHECK(r[0].type == FAN_EVENT_INFO_TYPE_DFID_NAME && !strcmp(r[0].name, "."));
    CHECK(is_handle_of(&r[0], at("d")));
    unlink(at("d/moved"));
    rmdir(at("d"));
    close(fan);
    len = pos = 0;
    fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_REPORT_DFID_NAME, O_RDONLY);
    CHECK_ERR(mark(fan, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_CREATE, top), EINVAL);
    close(fan);
}

static void with_pidfd(void)
{
    int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_REPORT_PIDFD, O_RDONLY);
    struct fanotify_event_info_pidfd *rec;
    struct fanotify_event_metadata *m;

    touch(at("f"));
    CHECK_EQ(mark(fan, FAN_MARK_ADD, FAN_OPEN, at("f")), 0);
    close(open(at("f"), O_RDONLY));
    m = next(fan);
    CHECK(m && m->event_len == sizeof *m + sizeof *rec);
    rec = (void *)(m + 1);
    CHECK_EQ(rec->hdr.info_type, FAN_EVENT_INFO_TYPE_PIDFD);
    CHECK_EQ(rec->hdr.len, sizeof *rec);
    CHECK(rec->pidfd >= 0);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, rec->pidfd, 0, NULL, 0), 0);
    close(rec->pidfd);
    close(m->fd);
    close(fan);
}

static void overflow(void)
{
    int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_REPORT_DFID_NAME, O_RDONLY), n = 0;
    struct fanotify_event_metadata *m;
    char last[32];

    CHECK_EQ(mark(fan, FAN_MARK_ADD, FAN_CREATE, top), 0);
    for (int i = 0; i < 16390; i++) {
        snprintf(last, sizeof last, "o%d", i);
        CHECK_EQ(mknod(at(last), S_IFREG, 0), 0);
        unlink(at(last));
    }
    while ((m = next(fan)) && !(m->mask & FAN_Q_OVERFLOW))
        n++;
    CHECK(m != NULL);
    CHECK_EQ(n, 16384);
    CHECK(m && m->fd == FAN_NOFD && m->event_len == sizeof *m);
    NOTHING(fan);
    close(fan);
}

static void unprivileged(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        int fan;

        guest_failures = 0;
        touch(at("f"));
        CHECK_EQ(setuid(1234), 0);
        CHECK_ERR(fanotify_init(FAN_CLASS_NOTIF, O_RDONLY), EPERM);
        CHECK_ERR(fanotify_init(FAN_REPORT_FID | FAN_UNLIMITED_MARKS, O_RDONLY), EPERM);
        fan = fanotify_init(FAN_REPORT_FID | FAN_NONBLOCK, O_RDONLY);
        CHECK(fan >= 0);
        CHECK_ERR(mark(fan, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, at("f")), EPERM);
        CHECK_EQ(mark(fan, FAN_MARK_ADD, FAN_OPEN, at("f")), 0);
        close(open(at("f"), O_RDONLY));
        EXPECT(fan, FAN_OPEN, getpid());
        _exit(guest_failures != 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

int main(void)
{
    mounts_begin();
    RUN(what_is_refused);
    RUN(by_descriptor);
    RUN(directories);
    RUN(mounts_and_file_systems);
    RUN(ignoring);
    RUN(by_id);
    RUN(by_name);
    RUN(with_pidfd);
    RUN(overflow);
    RUN(unprivileged);
    mounts_end();
    DONE();
}
