/* SPDX-License-Identifier: Apache-2.0 */
/* What old programs ask of file systems: ustat, sysfs. */
#include <errno.h>
#include <string.h>

#include "abi/stat.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/fscontext.h"
#include "sentry/vfs/vfs.h"

struct search {
    unsigned dev;
    struct super *found; /* a reference */
};

static int compare(struct mount *m, void *arg)
{
    struct search *s = arg;

    if ((unsigned)m->sb->dev != s->dev)
        return 0;
    s->found = super_ref(m->sb);
    return 1;
}

long sys_ustat(struct task *t, unsigned dev, gaddr_t buf)
{
    struct search s = { .dev = dev };
    struct lx_statfs st = { 0 };
    struct lx_ustat u = { 0 };
    int r;

    if (!vfs_each_mount(compare, &s))
        return -EINVAL;
    r = s.found->ops->statfs ? s.found->ops->statfs(t, s.found, &st) : 0;
    super_put(s.found);
    if (r < 0)
        return r;
    u.f_tfree = (int32_t)st.f_bfree;
    u.f_tinode = st.f_ffree;
    return put_guest(t, buf, &u);
}

static long index_of(struct task *t, gaddr_t uname)
{
    char name[32];
    ssize_t n = copy_in_str(t, name, uname, sizeof name);

    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : n;
    n = fs_type_index(name);
    return n < 0 ? -EINVAL : n;
}

long sys_sysfs(struct task *t, int option, unsigned long arg1, unsigned long arg2)
{
    const char *name;
    bool nodev;
    long count = 0;

    switch (option) {
    case 1:
        return index_of(t, arg1);
    case 2:
        name = fs_type_name((unsigned)arg1, &nodev);
        return name ? copy_out(t, arg2, name, strlen(name) + 1) : -EINVAL;
    case 3:
        while (fs_type_name((unsigned)count, &nodev))
            count++;
        return count;
    default:
        return -EINVAL;
    }
}
