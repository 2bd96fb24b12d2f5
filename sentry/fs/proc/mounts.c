/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/PID/{mounts,mountinfo,mountstats}, as the reader's root sees them. Names are made after the
 * mounts were taken off the list of all, because making a name takes the lock of that list.
 */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/alloc.h"

struct mounts {
    struct mount **m;
    size_t n, cap;
};

static int collect(struct mount *m, void *arg)
{
    struct mounts *ms = arg;

    if (ms->n == ms->cap) {
        size_t cap = ms->cap ? 2 * ms->cap : 32;
        struct mount **p = krealloc(ms->m, cap * sizeof(struct mount *));
        if (!p)
            return -ENOMEM;
        ms->m = p;
        ms->cap = cap;
    }
    ms->m[ms->n++] = mount_ref(m);
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
    else
        pt_puts(out, ",relatime");
}

/* The name of a dentry inside its own file system. */
static void root_within(struct ptext *out, struct dentry *d)
{
    char names[8][256];
    unsigned n = 0;

    lock(&vfs.dcache_lock);
    for (; d->parent != d && n < ARRAY_SIZE(names); d = d->parent, n++) {
        size_t len = MIN((size_t)d->namelen, sizeof names[0] - 1);
        memcpy(names[n], d->name, len);
        names[n][len] = 0;
    }
    unlock(&vfs.dcache_lock);
    if (!n)
        pt_puts(out, "/");
    while (n--) {
        pt_puts(out, "/");
        escaped(out, names[n]);
    }
}

enum { MOUNTS, MOUNTINFO, MOUNTSTATS };

static void print_mount(const struct mount *m, const char *at, int form, struct ptext *out)
{
    const char *type = m->sb->type;
    unsigned sb_flags = m->sb->readonly ? MS_RDONLY : 0;

    switch (form) {
    case MOUNTS:
        escaped(out, m->source ? m->source : type);
        pt_puts(out, " ");
        escaped(out, at);
        pt_printf(out, " %s ", type);
        options(out, m->flags | sb_flags);
        pt_puts(out, " 0 0\n");
        break;
    case MOUNTINFO:
        pt_printf(out, "%d %d %u:%u ", m->id, m->parent ? m->parent->id : 1, major(m->sb->dev),
                  minor(m->sb->dev));
        root_within(out, m->root);
        pt_puts(out, " ");
        escaped(out, at);
        pt_puts(out, " ");
        options(out, m->flags);
        pt_printf(out, " - %s ", type);
        escaped(out, m->source ? m->source : type);
        pt_printf(out, " %s\n", sb_flags ? "ro" : "rw");
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
    struct mounts ms = { .m = NULL };
    _cleanup_kfree_ char *buf = kzalloc(4096);
    int r = buf ? vfs_each_mount(collect, &ms) : -ENOMEM;

    for (size_t k = 0; k < ms.n; k++) {
        struct mount *m = ms.m[k];
        struct path p = { m, m->root };
        bool reached = false;
        char *at = r < 0 ? NULL : path_string_flags(t, &p, buf, 4096, false, &reached);
        if (at && !IS_ERR(at) && reached)
            print_mount(m, at, form, out);
        mount_put(m);
    }
    kfree(ms.m);
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
