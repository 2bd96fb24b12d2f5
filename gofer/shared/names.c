/* SPDX-License-Identifier: Apache-2.0 */
/* Shared exports: names that go, move, or are added. Each is one component in a directory held open. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gofer/server.h"

int serve_remove(struct job *job)
{
    struct target t;

    if (job->req.arg > 1)
        return -EINVAL;
    int r = target_find(job, (const char *)job->in, job->req.len, &t);
    if (r < 0)
        return r;
    r = target_may_change(&t);
    if (r == 0 && unlinkat(t.dirfd, t.name, job->req.arg ? AT_REMOVEDIR : 0) < 0)
        r = -errno;
    target_put(&t);
    return r;
}

/* Both ends of a request with two paths. */
static int find_both(struct job *job, struct gw_move *m, struct target *from, struct target *to)
{
    const char *paths;
    size_t len;

    int r = job_take(job, m, sizeof(*m), &paths, &len);
    if (r < 0 || m->oldlen > len)
        return -EINVAL;
    r = target_find(job, paths, m->oldlen, from);
    if (r < 0)
        return r;
    r = target_find_from(m->to, paths + m->oldlen, len - m->oldlen, to);
    if (r < 0) {
        target_put(from);
        return r;
    }
    r = target_may_change(to);
    /* Between exports it is another file system, whatever the host has beneath. */
    if (r == 0 && from->node->export != to->node->export)
        r = -EXDEV;
    return r;
}

int serve_rename(struct job *job)
{
    struct target from = { .node = NULL, .own_fd = -1 }, to = from;
    struct gw_move m;

    int r = find_both(job, &m, &from, &to);
    if (r == 0)
        r = target_may_change(&from);
    if (r == 0 && m.flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE))
        r = -EINVAL;
    if (r == 0 && syscall(SYS_renameat2, from.dirfd, from.name, to.dirfd, to.name, m.flags) < 0)
        r = -errno;
    target_put(&from);
    target_put(&to);
    return r;
}

int serve_link(struct job *job)
{
    struct target from = { .node = NULL, .own_fd = -1 }, to = from;
    struct gw_move m;

    int r = find_both(job, &m, &from, &to);
    if (r == 0 && m.flags)
        r = -EINVAL;
    if (r == 0 && target_file(&from) < 0)
        r = target_may_change(&from);
    /* By the open file where it has no name (O_TMPFILE); what is not its opener's is refused. */
    if (r == 0 &&
        linkat(from.dirfd, from.name, to.dirfd, to.name, from.name[0] ? 0 : AT_EMPTY_PATH) < 0)
        r = -errno;
    target_put(&from);
    target_put(&to);
    return r;
}
