/* SPDX-License-Identifier: Apache-2.0 */
/*
 * userfaultfd(2): the caller's context makes one of the host's, the platform fetches it, the context
 * closes its own. A platform that cannot, or a host that has none or forbids it, is EPERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/sysctl.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uffd.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"

#define CAP_SYS_PTRACE 19
#define NO_NUMBER UINT64_MAX
#define FLAGS (LX_UFFD_USER_MODE_ONLY | O_CLOEXEC | O_NONBLOCK)

struct making { /* in the record's scratch */
    struct as_op op;
    int fd; /* the host's; 0: none (anymore) */
};

static void making_free(void *p)
{
    struct making *m = p;

    if (m->op.kind == AS_UFFD && m->op.ret > 0) /* its caller was ended before it could take it */
        close((int)m->op.ret);
    if (m->fd > 0)
        close(m->fd);
}

long uffd_open(struct task *t, unsigned flags)
{
    struct making *m;
    struct file *f;

    if (flags & ~(unsigned)FLAGS)
        return -EINVAL;
    m = call_scratch(t, sizeof *m);
    if (!m)
        return -ENOMEM;
    if (t->call.phase == 0) {
        t->call.scratch_free = making_free;
        m->op = (struct as_op){ .kind = AS_UFFD,
                                .fd = -1,
                                .a = { O_CLOEXEC | O_NONBLOCK | LX_UFFD_USER_MODE_ONLY,
                                       NO_NUMBER } };
        t->call.phase = 1;
        return call_ops(t, &m->op, 1);
    }
    if (t->call.phase == 1) {
        m->fd = m->op.ret > 0 ? (int)m->op.ret : 0;
        if (m->op.a[1] == NO_NUMBER)
            return -EPERM;
        m->op = (struct as_op){ .kind = AS_CLOSE, .fd = -1, .a = { m->op.a[1] } };
        t->call.phase = 2;
        return call_ops(t, &m->op, 1);
    }
    if (!m->fd)
        return -EMFILE;
    f = uffd_file_new(t->mm, m->fd, flags);
    if (IS_ERR(f))
        return PTR_ERR(f);
    m->fd = 0;
    return fd_install(t, f, 0, flags & O_CLOEXEC);
}

long sys_userfaultfd(struct task *t, int flags)
{
    if (!(flags & LX_UFFD_USER_MODE_ONLY) && !sysctl_of(SYSCTL_UNPRIVILEGED_UFFD) &&
        !task_capable(t, CAP_SYS_PTRACE))
        return -EPERM;
    return uffd_open(t, (unsigned)flags);
}
