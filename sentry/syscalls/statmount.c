/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statmount and listmount. There is one mount namespace, whose id is NSFS_MNT_ID. Names are made without
 * mounts_lock, which making them takes.
 */
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sentry/fs/nsfs.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/mountcalls.h"
#include "sentry/syscalls/table.h"

#define FIRST_ID (1ull << 32)
#define LIST_MAX 1000000

static int req_in(struct task *t, gaddr_t at, struct lx_mnt_id_req *ret)
{
    uint8_t rest[PAGE_SIZE_4K];
    uint32_t size;
    size_t known;

    if (get_guest(t, &size, at) < 0)
        return -EFAULT;
    if (size > PAGE_SIZE_4K)
        return -E2BIG;
    if (size < LX_MNT_ID_REQ_SIZE_VER0)
        return -EINVAL;
    *ret = (struct lx_mnt_id_req){};
    known = MIN((size_t)size, sizeof *ret);
    if (copy_in(t, ret, at, known) < 0 ||
        (size > known && copy_in(t, rest, at + known, size - known) < 0))
        return -EFAULT;
    for (size_t i = 0; i < size - known; i++)
        if (rest[i])
            return -E2BIG;
    if (ret->spare || ret->mnt_id <= FIRST_ID)
        return -EINVAL;
    return ret->mnt_ns_id && ret->mnt_ns_id != NSFS_MNT_ID ? -ENOENT : 0;
}

static struct mount *find_locked(struct mount *top, uint64_t id)
{
    for (struct mount *m = top; m; m = mount_next_locked(m, top))
        if (mount_unique_id(m) == id)
            return m;
    return NULL;
}

/* ---- statmount ---- */

struct answer {
    struct lx_statmount sm;
    char str[4 * PATH_MAX];
    size_t len, cap; /* of str; what the caller has room for */
};

/* Adds a string; its place goes to *off. */
static int add(struct answer *a, uint32_t bit, uint32_t *off, const char *s)
{
    size_t n = strlen(s) + 1;

    if (sizeof a->sm + a->len + n > a->cap || a->len + n > sizeof a->str)
        return -EOVERFLOW;
    *off = (uint32_t)a->len;
    memcpy(a->str + a->len, s, n);
    a->len += n;
    a->sm.mask |= bit;
    return 0;
}

static void fill_locked(struct answer *a, const struct mount *m, uint64_t want,
                        const struct path *root)
{
    struct lx_statmount *s = &a->sm;
    const struct mount *parent = m->parent ? m->parent : m;

    if (want & LX_STATMOUNT_SB_BASIC) {
        s->mask |= LX_STATMOUNT_SB_BASIC;
        s->sb_dev_major = major(m->sb->dev);
        s->sb_dev_minor = minor(m->sb->dev);
        s->sb_magic = m->sb->magic;
        s->sb_flags = m->sb->readonly ? MS_RDONLY : 0;
    }
    if (want & LX_STATMOUNT_MNT_BASIC) {
        s->mask |= LX_STATMOUNT_MNT_BASIC;
        s->mnt_id = mount_unique_id(m);
        s->mnt_parent_id = mount_unique_id(parent);
        s->mnt_id_old = (uint32_t)m->id;
        s->mnt_parent_id_old = (uint32_t)parent->id;
        s->mnt_attr = mount_attr_of_flags(m->flags);
        s->mnt_propagation = (m->group ? MS_SHARED : 0) | (m->master ? MS_SLAVE : 0) |
                             (m->unbindable ? MS_UNBINDABLE : 0);
        if (!s->mnt_propagation)
            s->mnt_propagation = MS_PRIVATE;
        s->mnt_peer_group = (uint64_t)m->group;
        s->mnt_master = m->master ? (uint64_t)m->master->group : 0;
    }
    if (want & LX_STATMOUNT_PROPAGATE_FROM) {
        s->mask |= LX_STATMOUNT_PROPAGATE_FROM;
        s->propagate_from = (uint64_t)mount_dominating_locked(m, root);
    }
    if (want & LX_STATMOUNT_MNT_NS_ID) {
        s->mask |= LX_STATMOUNT_MNT_NS_ID;
        s->mnt_ns_id = NSFS_MNT_ID;
    }
}

static int add_strings(struct task *t, struct answer *a, struct mount *m, uint64_t want)
{
    struct path at = { m, m->root };
    char *buf = kzalloc(PATH_MAX), *s;
    bool reached;
    int r = buf ? 0 : -ENOMEM;

    if (r == 0 && want & LX_STATMOUNT_FS_TYPE)
        r = add(a, LX_STATMOUNT_FS_TYPE, &a->sm.fs_type, m->sb->type);
    if (r == 0 && want & LX_STATMOUNT_MNT_ROOT) {
        s = dentry_string(m->root, buf, PATH_MAX);
        r = IS_ERR(s) ? PTR_ERR(s) : add(a, LX_STATMOUNT_MNT_ROOT, &a->sm.mnt_root, s);
    }
    if (r == 0 && want & LX_STATMOUNT_MNT_POINT) {
        s = path_string_flags(t, &at, buf, PATH_MAX, /* deleted= */ false, &reached);
        if (IS_ERR(s))
            r = PTR_ERR(s);
        else if (reached)
            r = add(a, LX_STATMOUNT_MNT_POINT, &a->sm.mnt_point, s);
    }
    kfree(buf);
    return r;
}

static int stat_it(struct task *t, struct answer *a, const struct lx_mnt_id_req *req)
{
    struct path root = fs_ctx_root(t);
    struct mount *m;
    int r = 0;

    lock(&vfs.mounts_lock);
    m = find_locked(t->group->container->root, req->mnt_id);
    if (!m)
        r = -ENOENT;
    else if (!mount_reachable_locked(m, m->root, &root) && !task_capable(t, CAP_SYS_ADMIN))
        r = -EPERM;
    if (r == 0) {
        mount_ref(m);
        fill_locked(a, m, req->param, &root);
    }
    unlock(&vfs.mounts_lock);
    path_put(&root);
    if (r < 0)
        return r;
    r = add_strings(t, a, m, req->param);
    mount_put_unused(m);
    return r;
}

long sys_statmount(struct task *t, gaddr_t ureq, gaddr_t buf, size_t size, unsigned flags)
{
    struct lx_mnt_id_req req;
    struct answer *a;
    size_t head;
    int r;

    if (flags)
        return -EINVAL;
    r = req_in(t, ureq, &req);
    if (r < 0)
        return r;
    a = kzalloc(sizeof *a);
    if (!a)
        return -ENOMEM;
    a->cap = size;
    head = MIN(size, sizeof a->sm);
    r = stat_it(t, a, &req);
    a->sm.size = (uint32_t)(head + a->len);
    if (r == 0 && a->len && copy_out(t, buf + sizeof a->sm, a->str, a->len) < 0)
        r = -EFAULT;
    if (r == 0 && head && copy_out(t, buf, &a->sm, head) < 0)
        r = -EFAULT;
    kfree(a);
    return r;
}

/* ---- listmount ---- */

static int by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The ids of all mounts below `under`, in an array that grows as there are mounts. */
static int collect_locked(struct mount *top, const struct path *under, uint64_t but, uint64_t **ret,
                          size_t *ret_n)
{
    size_t cap = 0, n = 0;
    uint64_t *ids = NULL;

    for (struct mount *m = top; m; m = mount_next_locked(m, top)) {
        if (mount_unique_id(m) == but || !mount_reachable_locked(m, m->root, under))
            continue;
        if (n == cap) {
            uint64_t *p = krealloc(ids, (cap = cap ? 2 * cap : 64) * sizeof *ids);

            if (!p) {
                kfree(ids);
                return -ENOMEM;
            }
            ids = p;
        }
        ids[n++] = mount_unique_id(m);
    }
    *ret = ids;
    *ret_n = n;
    return 0;
}

static int list_it(struct task *t, const struct lx_mnt_id_req *req, uint64_t **ret, size_t *ret_n)
{
    struct path root = fs_ctx_root(t), under = root;
    struct mount *m;
    int r = 0;

    lock(&vfs.mounts_lock);
    if (req->mnt_id != LX_LSMT_ROOT) {
        m = find_locked(t->group->container->root, req->mnt_id);
        if (m)
            under = (struct path){ m, m->root };
        else
            r = -ENOENT;
    }
    if (r == 0 && !mount_reachable_locked(under.mnt, under.dentry, &root) &&
        !task_capable(t, CAP_SYS_ADMIN))
        r = -EPERM;
    if (r == 0)
        r = collect_locked(t->group->container->root, &under, req->mnt_id, ret, ret_n);
    unlock(&vfs.mounts_lock);
    path_put(&root);
    return r;
}

long sys_listmount(struct task *t, gaddr_t ureq, gaddr_t uids, size_t max, unsigned flags)
{
    bool reverse = flags & LX_LISTMOUNT_REVERSE;
    struct lx_mnt_id_req req;
    uint64_t *ids = NULL;
    size_t n = 0;
    long done = 0;
    int r;

    if (flags & ~LX_LISTMOUNT_REVERSE)
        return -EINVAL;
    if (max > LIST_MAX)
        return -EOVERFLOW;
    r = req_in(t, ureq, &req);
    if (r == 0 && req.param && req.param <= FIRST_ID)
        r = -EINVAL;
    if (r == 0)
        r = list_it(t, &req, &ids, &n);
    if (r < 0)
        return r;
    qsort(ids, n, sizeof *ids, by_id);
    for (size_t i = 0; i < n && (size_t)done < max && r == 0; i++) {
        uint64_t id = ids[reverse ? n - 1 - i : i];

        if (req.param && (reverse ? id >= req.param : id <= req.param))
            continue;
        r = copy_out(t, uids + (gaddr_t)done * sizeof id, &id, sizeof id) < 0 ? -EFAULT : 0;
        done++;
    }
    kfree(ids);
    return r < 0 ? r : done;
}
