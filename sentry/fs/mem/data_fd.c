/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File contents in a memfd, so that stubs can map them. The memfd is as long as the file. Read and
 * written by pread and pwrite.
 *
 * Large reads, and writes to what is there, go through a mapping of ours, for then the host copies
 * once instead of twice. No instruction of ours ever touches it, only the host's process_vm_*
 * calls do: where a hostile stub has truncated the file, they stop with a short count, and no SIGBUS
 * comes. A few files have one, so that the host's limit on mappings is not the guest's to use up.
 *
 * What guests write through their mappings makes pages that no call of ours sees: they are counted
 * at the next operation here, and until then by data_uncounted(), for kernel/oom.c.
 *
 * pread and pwrite of a memfd touch memory only, so they are made under the inode's lock.
 */
#include "sentry/fs/mem/data_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "abi/unfenced.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"

#define MAP_WORTH 32768u /* bytes of a call from which on the mapping pays */
#define MAPS_MAX 256

static _Atomic unsigned nmaps;

static struct list shared = LIST_INIT(shared); /* shared_lock */
static struct lock shared_lock;                /* LOCK_LEAF */

__attribute__((constructor)) static void shared_init(void)
{
    lock_init(&shared_lock, LOCK_LEAF);
}

static void unmap(struct data *d)
{
    if (!d->map)
        return;
    munmap(d->map, d->map_len);
    d->map = NULL;
    atomic_fetch_sub(&nmaps, 1);
}

/* A mapping that holds the first end bytes; NULL: do without. */
static char *map_for(struct data *d, uint64_t end)
{
    size_t len = MAX(PAGE_ALIGN_UP(end), d->map_len * 2);
    void *p;

    if (d->map && end <= d->map_len)
        return d->map;
    unmap(d);
    if (end > SIZE_MAX / 4 || atomic_fetch_add(&nmaps, 1) >= MAPS_MAX) {
        atomic_fetch_sub(&nmaps, 1);
        return NULL;
    }
    p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, d->fd, 0);
    if (p == MAP_FAILED) {
        atomic_fetch_sub(&nmaps, 1);
        return NULL;
    }
    d->map = p;
    d->map_len = len;
    return p;
}

int data_fd_new(struct data *d, uint64_t size)
{
    int fd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

    if (fd < 0)
        return errno == ENFILE || errno == EMFILE ? -ENFILE : -ENOSPC;
    if (!hostfd_may(fd, HOSTFD_FILE)) {
        close(fd);
        return -ENFILE;
    }
    if (ftruncate(fd, size) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    d->fd = fd;
    return 0;
}

void data_fd_free(struct data *d)
{
    unmap(d);
    lock(&shared_lock);
    if (d->shared.next)
        list_del(&d->shared);
    unlock(&shared_lock);
    close(d->fd);
    d->fd = -1;
    kuncharge(d->charged);
    d->charged = 0;
    quota_give(d, d->bytes);
}

int data_fd_put(struct data *d, const void *p, size_t n, uint64_t pos)
{
    ssize_t r = pwrite(d->fd, p, n, pos);

    return r == (ssize_t)n ? 0 : r < 0 && errno != ENOMEM ? -errno : -ENOSPC;
}

int data_fd_recount(struct data *d)
{
    uint64_t now = data_fd_blocks(d) * 512;

    if (now < d->charged) {
        kuncharge(d->charged - now);
        quota_give(d, d->bytes - now);
        d->charged = now;
    } else if (now > d->charged) {
        if (quota_take(d, now - d->charged) < 0)
            return -ENOSPC;
        if (kcharge(now - d->charged) < 0) {
            quota_give(d, now - d->charged);
            return -ENOSPC;
        }
        d->charged = now;
    }
    return 0;
}

ssize_t data_fd_read(struct data *d, struct iter *it, uint64_t pos, size_t n)
{
    char *buf = data_bounce, *map;
    size_t done = 0;

    if (it->task && n >= MAP_WORTH && (map = map_for(d, pos + n)))
        return iter_putv(it, &(struct iovec){ map + pos, n }, 1);
    while (done < n) {
        ssize_t got = pread(d->fd, buf, MIN(n - done, (size_t)BOUNCE), pos + done), r;

        if (got <= 0)
            return done ? (ssize_t)done : got < 0 ? -errno : 0;
        r = iter_put(it, buf, got);
        if (r < 0)
            return done ? (ssize_t)done : r;
        done += r;
        if (r < got)
            break;
    }
    return done;
}

ssize_t data_fd_write(struct data *d, struct iter *it, uint64_t pos, size_t n, uint64_t size)
{
    char *buf = data_bounce, *map;
    size_t done = 0;
    int r = 0;

    /* without holes, for a page that is made by a fault is zeroed first and counted by nobody */
    if (it->task && n >= MAP_WORTH && pos + n <= size && d->charged >= size &&
        (map = map_for(d, pos + n)))
        return iter_getv(it, &(struct iovec){ map + pos, n }, 1);
    while (done < n) {
        ssize_t got = iter_get(it, buf, MIN(n - done, (size_t)BOUNCE)), put;

        if (got < 0)
            return done ? (ssize_t)done : got;
        put = pwrite(d->fd, buf, got, pos + done);
        r = put < 0 ? -ENOSPC : data_fd_recount(d);
        if (r < 0)
            break;
        done += put;
        if (put < got || it->fault)
            break;
    }
    return done ? (ssize_t)done : r;
}

int data_fd_truncate(struct data *d, uint64_t size)
{
    if (ftruncate(d->fd, size) < 0)
        return -errno;
    return data_fd_recount(d);
}

int data_fd_punch(struct data *d, uint64_t off, uint64_t len)
{
    if (fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len) < 0)
        return -errno;
    return data_fd_recount(d);
}

int data_fd_alloc(struct data *d, uint64_t off, uint64_t len)
{
    /* Asked of the limits first: the host would make it all. */
    if (d->quota->max && len > d->quota->max)
        return -ENOSPC;
    if (kcharge(len) < 0)
        return -ENOSPC;
    kuncharge(len);
    if (fallocate(d->fd, FALLOC_FL_KEEP_SIZE, off, len) < 0)
        return errno == ENOMEM ? -ENOSPC : -errno;
    return data_fd_recount(d);
}

loff_t data_fd_seek(struct data *d, loff_t off, bool hole, uint64_t size)
{
    loff_t r = lseek(d->fd, off, hole ? SEEK_HOLE : SEEK_DATA);

    if (r < 0)
        return -errno;
    return (uint64_t)r > size ? (loff_t)size : r;
}

uint64_t data_fd_blocks(struct data *d)
{
    struct stat st;

    return fstat(d->fd, &st) < 0 ? 0 : st.st_blocks;
}

bool data_fd_seal_write(struct data *d)
{
    unmap(d); /* or it counted as somebody's that writes */
    return fcntl(d->fd, F_ADD_SEALS, F_SEAL_WRITE) == 0;
}

/* A second, read-only open of the memfd: what a stub gets that may only read. */
static int reopen_readonly(int fd)
{
    char path[32];
    int r;

    if (kernel.proc_fd >= 0) {
        snprintf(path, sizeof path, "self/fd/%d", fd);
        r = openat(kernel.proc_fd, path, O_RDONLY | O_CLOEXEC);
    } else {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        r = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC); /* the fence knows no open(2) */
    }
    return r < 0 ? -errno : r;
}

static void share(struct data *d, pid_t pid)
{
    lock(&shared_lock);
    if (!d->shared.next)
        list_add_tail(&shared, &d->shared);
    d->sharer = pid;
    unlock(&shared_lock);
}

void data_uncounted(void (*fn)(void *arg, pid_t pid, uint64_t bytes), void *arg)
{
    struct data *d;

    LOCK_SCOPE(&shared_lock);
    list_for_each(d, &shared, shared) {
        uint64_t now = data_fd_blocks(d) * 512;
        uint64_t counted = __atomic_load_n(&d->charged, __ATOMIC_RELAXED);

        if (now > counted)
            fn(arg, d->sharer, now - counted);
    }
}

int data_map_fd(struct data *d, bool writable, pid_t pid, int *ret_fd, bool *ret_owned)
{
    int fd;

    if (writable || unfenced("lentro")) {
        share(d, pid);
        *ret_fd = d->fd;
        *ret_owned = false;
        return 0;
    }
    fd = reopen_readonly(d->fd);
    if (fd < 0)
        return fd == -EMFILE || fd == -ENFILE ? -ENFILE : -EACCES;
    *ret_fd = fd;
    *ret_owned = true;
    return 0;
}
