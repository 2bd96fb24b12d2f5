/* SPDX-License-Identifier: Apache-2.0 */
/* sync and its kin. Most is in memory; what is shared with the host is brought to its disk. */
#include <errno.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

static long sync_file(struct task *t, int fd, bool datasync)
{
    struct file *f = call_file(t, 0, fd);

    if (IS_ERR(f))
        return PTR_ERR(f);
    return f->ops->fsync ? f->ops->fsync(t, f, datasync) : -EINVAL;
}

long sys_fsync(struct task *t, int fd)
{
    return sync_file(t, fd, /* datasync= */ false);
}

long sys_fdatasync(struct task *t, int fd)
{
    return sync_file(t, fd, /* datasync= */ true);
}

/* Those file systems that have something to bring to the disk; each has one mount as a rule. */
struct supers {
    struct super *sb[64];
    unsigned n;
};

static int note_super(struct mount *m, void *arg)
{
    struct supers *s = arg;

    if (m->sb->ops->sync && s->n < ARRAY_SIZE(s->sb))
        s->sb[s->n++] = super_ref(m->sb);
    return 0;
}

long sys_sync(struct task *t)
{
    struct supers s = { .n = 0 };

    vfs_each_mount(note_super, &s);
    for (unsigned i = 0; i < s.n; i++) {
        (void)s.sb[i]->ops->sync(t, s.sb[i]); /* sync(2) has no error */
        super_put(s.sb[i]);
    }
    return 0;
}

long sys_syncfs(struct task *t, int fd)
{
    struct file *f = call_file(t, 0, fd);
    struct super *sb;

    if (IS_ERR(f))
        return PTR_ERR(f);
    sb = f->inode ? f->inode->sb : NULL;
    return sb && sb->ops->sync ? sb->ops->sync(t, sb) : 0;
}
