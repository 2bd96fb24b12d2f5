/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens regular files for the sentry. Their data does not pass through here, but for the first
 * bytes of a file, which ride along with the answer and are all of a small one.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/types.h"
#include "abi/unfenced.h"
#include "gofer/server.h"

/* A file larger than was asked for is read on from its descriptor: a header's worth is enough. */
#define HEAD 4096u

static int first_bytes(struct job *job, int fd, const struct gw_attr *attr)
{
    uint32_t room = JOB_OUT_MAX - job->rep.len;
    uint32_t want = MIN(job->req.arg, room), got = 0;

    if (!want)
        return 0;
    if (attr->size >= want)
        want = MIN(want, HEAD);
    while (got < want) {
        ssize_t n = pread(fd, job->out + job->rep.len + got, want - got, (off_t)got);
        if (n < 0)
            return -errno;
        got += (uint32_t)n;
        if (n == 0 || got == attr->size)
            break;
    }
    job->rep.len += got;
    /* Whole only when it ended where its size says: what grows meanwhile, or /proc, is not. */
    if (got < want && got == attr->size)
        job->rep.flags |= GW_WHOLE;
    return 0;
}

static void hand_over(struct job *job, int fd)
{
    if ((job->rep.flags & GW_WHOLE) && !(job->req.flags & GW_ALWAYS_FD)) {
        close(fd);
        return;
    }
    if ((job->req.flags & GW_WANT_SLOT) && job->cfg->ring_fd >= 0) {
        int slot = ring_install(job->cfg->ring_fd, fd);
        if (slot >= 0) {
            close(fd);
            job->rep.flags |= GW_SLOT;
            job->rep.value = (uint64_t)slot;
            return;
        }
    }
    job->fd = fd;
    job->rep.flags |= GW_FD;
}

int open_for(struct job *job, struct target *t, struct gw_attr *ret_attr)
{
    int fd = target_open_read(t, ret_attr);
    if (fd < 0)
        return fd;
    int r = S_ISREG(ret_attr->mode) || unfenced("kinds") ? first_bytes(job, fd, ret_attr) : -EISDIR;
    if (r < 0) {
        close(fd);
        return r;
    }
    hand_over(job, fd);
    return 0;
}

int serve_open(struct job *job)
{
    struct target t;
    struct gw_entry e = { .node = 0 };

    int r = target_find(job, (const char *)job->in, job->req.len, &t);
    if (r < 0)
        return r;
    job->rep.len = sizeof(e);
    job->rep.count = 1;
    r = open_for(job, &t, &e.attr);
    target_put(&t);
    memcpy(job->out, &e, sizeof(e));
    return r;
}
