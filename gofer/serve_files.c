/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several small files of one directory, whole, in one datagram: for who reads a directory's files
 * one after another. The sentry names them; each is opened, looked at and read as by GW_OPEN, and
 * closed again. What does not fit any more is left out, with all behind it.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/types.h"
#include "gofer/server.h"

/* All of fd's bytes, when they are as many as its attributes say. */
static int read_whole(int fd, unsigned char *to, uint64_t size)
{
    uint64_t got = 0;

    for (;;) {
        /* One byte more than there should be: a file that grew, or one of /proc, is not whole. */
        ssize_t n = pread(fd, to + got, size - got + 1, (off_t)got);
        if (n < 0)
            return -errno;
        got += (uint64_t)n;
        if (got > size)
            return -EAGAIN;
        if (n == 0 || got == size)
            return got == size ? 0 : -EAGAIN;
    }
}

/* t's file behind what job->out has. 1: it does not fit. */
static int add_file(struct job *job, struct target *t)
{
    uint32_t at = job->rep.len, room = JOB_OUT_MAX - at;
    struct gw_small s = { .error = 0 };

    if (room < sizeof(s) + 8)
        return 1;
    room -= (uint32_t)sizeof(s) + 8;
    int fd = target_open_read(t, &s.attr);
    if (fd < 0)
        s.error = fd;
    else if (!S_ISREG(s.attr.mode))
        s.error = -EISDIR;
    else if (s.attr.size > GW_SMALL_MAX)
        s.error = -EFBIG;
    else if (s.attr.size > room)
        s.error = 1;
    else
        s.error = read_whole(fd, job->out + at + sizeof(s), s.attr.size);
    if (fd >= 0)
        close(fd);
    if (s.error > 0)
        return 1;
    s.len = s.error ? 0 : (uint32_t)s.attr.size;
    memcpy(job->out + at, &s, sizeof(s));
    memset(job->out + at + sizeof(s) + s.len, 0, GW_PAD8(s.len) - s.len);
    job->rep.len += (uint32_t)sizeof(s) + GW_PAD8(s.len);
    job->rep.count++;
    return 0;
}

/* The next of the names in [*p, end), each with a NUL before it, into t. */
static int next_name(const char **p, const char *end, struct target *t)
{
    const char *name = *p + 1, *nul = memchr(name, 0, (size_t)(end - name));
    size_t len = (size_t)((nul ? nul : end) - name);
    int r = **p ? -EINVAL : name_check(name, len);

    if (r < 0)
        return r;
    memcpy(t->name, name, len);
    t->name[len] = 0;
    *p = name + len;
    return 0;
}

int serve_files(struct job *job)
{
    const char *p = (const char *)job->in + job->req.arg;
    const char *end = (const char *)job->in + job->req.len;
    struct target t;

    if (job->req.arg > job->req.len)
        return -EINVAL;
    int r = target_find(job, (const char *)job->in, job->req.arg, &t);
    if (r < 0)
        return r;
    if (!t.name[0])
        r = -EINVAL; /* a node has no siblings */
    while (r == 0) {
        r = add_file(job, &t);
        if (r > 0 || p == end)
            break;
        if (r == 0)
            r = job->rep.count == GW_FILES_MAX ? -EINVAL : next_name(&p, end, &t);
    }
    target_put(&t);
    return MIN(r, 0);
}
