/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a directory in memory. Positions: 0 ".", 1 "..", then a name's own number, which it keeps
 * while it lives; names of a lower layer stand behind LOWER_POS by their place in its listing. The
 * listing is taken when a directory is read from its start, and kept by the open file.
 *
 * Names are emitted under the directory's lock: the sink only copies into memory of ours.
 */
#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "sentry/fs/mem/mem.h"
#include "sentry/fs/overlay/overlay.h"

#define LOWER_POS (1ll << 40)

static unsigned dtype(const struct inode *i)
{
    return IFTODT(i->mode);
}

/* False: the sink is full, f->pos stays at what did not fit. */
static bool emit_dots(struct file *f, struct dirent_sink *s)
{
    struct inode *i = f->inode;

    if (f->pos == 0) {
        if (!s->emit(s, ".", 1, i->ino, DT_DIR, 1))
            return false;
        f->pos = 1;
    }
    if (f->pos == 1) {
        if (!s->emit(s, "..", 2, mem_node(i)->parent_ino, DT_DIR, 2))
            return false;
        f->pos = 2;
    }
    return true;
}

static bool emit_names(struct file *f, struct dirent_sink *s)
{
    struct names *n = &mem_node(f->inode)->names;
    struct mem_name *e;

    LOCK_SCOPE(&f->inode->lock);
    for (e = names_from(n, (uint64_t)f->pos); e; e = names_next(n, e)) {
        loff_t next = (loff_t)e->pos + 1;

        if (!e->inode)
            continue;
        if (!s->emit(s, e->name, e->len, e->inode->ino, dtype(e->inode), next)) {
            names_mark(n, e);
            return false;
        }
        f->pos = next;
    }
    return true;
}

static int emit_lower(struct file *f, struct dirent_sink *s)
{
    struct lower_list *l = f->priv;
    struct lower_name *n;
    LOCK_SCOPE(&f->inode->lock);
    bool marked = l->mark && l->mark_pos == f->pos;
    size_t at = marked ? l->mark : 0, before = at;
    loff_t pos = marked ? f->pos : LOWER_POS;

    for (; (n = lower_next(l, &at)); before = at) {
        loff_t here = pos++;

        if (here < f->pos || names_find(&mem_node(f->inode)->names, n->name, n->len))
            continue;
        if (!s->emit(s, n->name, n->len, n->ino, n->dtype, pos)) {
            l->mark = before;
            l->mark_pos = f->pos = here;
            return 0;
        }
        f->pos = pos;
    }
    return 0;
}

static int mem_readdir(struct task *t, struct file *f, struct dirent_sink *s)
{
    struct mem_node *n = mem_node(f->inode);
    int r;

    if (f->inode->nlink == 0)
        return -ENOENT;
    if (n->lower && (f->pos == 0 || !f->priv)) {
        overlay_list_free(f->priv);
        f->priv = NULL;
        r = overlay_list(t, f->inode, (struct lower_list **)&f->priv);
        if (r < 0)
            return r;
    }
    file_accessed(f);
    if (!emit_dots(f, s))
        return 0;
    if (f->pos < LOWER_POS) {
        if (!emit_names(f, s) || !n->lower)
            return 0;
        f->pos = LOWER_POS;
    }
    return n->lower ? emit_lower(f, s) : 0;
}

static void mem_dir_release(struct file *f)
{
    overlay_list_free(f->priv);
}

const struct file_ops mem_dir_fops = {
    .name = "directory",
    .readdir = mem_readdir,
    .llseek = vfs_dir_llseek,
    .fsync = vfs_dir_fsync,
    .release = mem_dir_release,
};
