/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/PID/{mounts,mountinfo,mountstats}, as the reader's root sees them. Names are made after the
 * mounts were taken off the list of all, because making a name takes the lock of that list.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/vfs/mount.h"

/* A mount, and what of it is read under mounts_lock. */
struct seen {
    struct mount *m; /* a reference */
    int parent, group, master, from;
    bool unbindable;
};

struct mounts {
    struct seen *m;
    size_t n, cap;
    const struct path *root; /* the reader's */
};

static int collect(struct mount *m, void *arg)
{
    struct mounts *ms = arg;

    if (ms->n == ms->cap) {
        size_t cap = ms->cap ? 2 * ms->cap : 32;
        struct seen *p = krealloc(ms->m, cap * sizeof *p);
        if (!p)
            return -ENOMEM;
        ms->m = p;
        ms->cap = cap;
    }
    ms->m[ms->n++] = (struct seen){ .m = mount_ref(m),
                                    .parent = m->parent ? m->parent->id : 1,
                                    .group = m->group,
                                    .master = m->master ? m->master->group : 0,
                                    .from = mount_dominating_locked(m, ms->root),
                                    .unbindable = m->unbindable };
    return 0;
}

static void escaped(struct ptext *out, const char *s)
{
    for (; *s; s++) {
        if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\\')
            pt_printf(out, "\\%03o", (unsigned char)*s);
        else
            pt_bytes(out, s, 1);
    }
}

static void options(struct ptext *out, unsigned flags)
{
    pt_puts(out, flags & MS_RDONLY ? "ro" : "rw");
    if (flags & MS_NOSUID)
        pt_puts(out, ",nosuid");
    if (flags & MS_NODEV)
        pt_puts(out, ",nodev");
    if (flags & MS_NOEXEC)
        pt_puts(out, ",noexec");
    if (flags & MS_NOATIME)
        pt_puts(out, ",noatime");
    if (flags & MS_NODIRATIME)
        pt_puts(out, ",nodiratime");
    if (flags & MS_RELATIME)
        pt_puts(out, ",relatime");
    if (flags & LX_MS_NOSYMFOLLOW)
        pt_puts(out, ",nosymfollow");
}

static void own_options(struct ptext *out, const struct super *sb)
{
    char buf[128] = "";

    if (sb->flags & MS_SYNCHRONOUS)
        pt_puts(out, ",sync");
    if (sb->flags & MS_DIRSYNC)
        pt_puts(out, ",dirsync");
    if (sb->flags & MS_LAZYTIME)
        pt_puts(out, ",lazytime");
    if (sb->options)
        pt_printf(out, ",%s", sb->options);
    if (sb->ops->show)
        sb->ops->show(sb, buf, sizeof buf);
    pt_puts(out, buf);
}

static void root_within(struct ptext *out, struct dentry *d)
{
    _cleanup_kfree_ char *buf = kzalloc(PATH_MAX);
    char *s = buf ? dentry_string(d, buf, PATH_MAX) : NULL;

    if (!s || IS_ERR(s))
        s = "/";
    if (d->sb->at)
        escaped(out, d->sb->at);
    if (!d->sb->at || s[1])
        escaped(out, s);
}

static void propagation(struct ptext *out, const struct seen *s)
{
    if (s->group)
        pt_printf(out, " shared:%d", s->group);
    if (s->master) {
        pt_printf(out, " master:%d", s->master);
        if (s->from && s->from != s->master)
            pt_printf(out, " propagate_from:%d", s->from);
    }
    if (s->unbindable)
        pt_puts(out, " unbindable");
}

enum { MOUNTS, MOUNTINFO, MOUNTSTATS };

static void print_mount(const struct seen *s, const char *at, int form, struct ptext *out)
{
    const struct mount *m = s->m;
    const char *type = m->sb->type;
    unsigned sb_flags = m->sb->readonly ? MS_RDONLY : 0;

    switch (form) {
    case MOUNTS:
        escaped(out, m->source ? m->source : type);
        pt_puts(out, " ");
        escaped(out, at);
        pt_printf(out, " %s ", type);
        options(out, m->flags | sb_flags);
        own_options(out, m->sb);
        pt_puts(out, " 0 0\n");
        break;
    case MOUNTINFO:
        pt_printf(out, "%d %d %u:%u ", m->id, s->parent, major(m->sb->dev), minor(m->sb->dev));
        root_within(out, m->root);
        pt_puts(out, " ");
        escaped(out, at);
        pt_puts(out, " ");
        options(out, m->flags);
        propagation(out, s);
        pt_printf(out, " - %s ", type);
        escaped(out, m->source ? m->source : type);
        pt_puts(out, sb_flags ? " ro" : " rw");
        own_options(out, m->sb);
        pt_puts(out, "\n");
        break;
    default:
        pt_puts(out, "device ");
        escaped(out, m->source ? m->source : type);
        pt_puts(out, " mounted on ");
        escaped(out, at);
        pt_printf(out, " with fstype %s\n", type);
    }
}

static int show(struct task *t, int form, struct ptext *out)
{
    struct path root = fs_ctx_root(t);
    struct mounts ms = { .root = &root };
    _cleanup_kfree_ char *buf = kzalloc(PATH_MAX);
    int r = buf ? vfs_each_mount(collect, &ms) : -ENOMEM;

    for (size_t k = 0; k < ms.n; k++) {
        struct mount *m = ms.m[k].m;
        struct path p = { m, m->root };
        bool reached = false;
        char *at = r < 0 ? NULL : path_string_flags(t, &p, buf, PATH_MAX, false, &reached);
        if (at && !IS_ERR(at) && reached)
            print_mount(&ms.m[k], at, form, out);
        mount_put_unused(m);
    }
    kfree(ms.m);
    path_put(&root);
    return r;
}

PROC_SHOW(proc_show_mounts)
{
    (void)n, (void)o;
    return show(t, MOUNTS, out);
}

PROC_SHOW(proc_show_mountinfo)
{
    (void)n, (void)o;
    return show(t, MOUNTINFO, out);
}

PROC_SHOW(proc_show_mountstats)
{
    (void)n, (void)o;
    return show(t, MOUNTSTATS, out);
}
