/* SPDX-License-Identifier: Apache-2.0 */
/* Listings: the names of a lower directory, read whole; and what the overlay changed in all. */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "sentry/fs/overlay/overlay.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"

struct collect {
    struct dirent_sink sink;
    struct lower_list *l;
    int error;
};

void overlay_list_free(struct lower_list *l)
{
    if (l)
        kfree(l->buf);
    kfree(l);
}

static bool reserve(struct lower_list *l, size_t n)
{
    size_t cap = MAX(l->cap * 2, (size_t)4096);
    char *p;

    if (l->used + n <= l->cap)
        return true;
    cap = MAX(cap, l->used + n);
    p = krealloc(l->buf, cap);
    if (!p)
        return false;
    l->buf = p;
    l->cap = cap;
    return true;
}

static bool collect_emit(struct dirent_sink *s, const char *name, size_t len, uint64_t ino,
                         unsigned dtype, loff_t next_pos)
{
    struct collect *c = container_of(s, struct collect, sink);

    (void)next_pos;
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
        return true;
    if (overlay_list_add(c->l, name, len, ino, dtype))
        return true;
    c->error = -ENOMEM;
    return false;
}

bool overlay_list_add(struct lower_list *l, const char *name, size_t len, uint64_t ino,
                      unsigned dtype)
{
    struct lower_name *n;
    size_t size = (sizeof *n + len + 1 + 7) & ~7ul;

    if (!reserve(l, size))
        return false;
    n = (struct lower_name *)(void *)(l->buf + l->used);
    n->ino = ino;
    n->dtype = dtype;
    n->len = len;
    memcpy(n->name, name, len);
    n->name[len] = 0;
    l->used += size;
    l->count++;
    return true;
}

int overlay_list(struct task *t, struct inode *dir, struct lower_list **ret)
{
    return overlay_list_of(t, mem_node(dir)->lower, ret);
}

int overlay_list_of(struct task *t, struct dentry *dir, struct lower_list **ret)
{
    struct path p = { .dentry = dir };
    struct collect c = { .sink.emit = collect_emit, .l = kzalloc(sizeof *c.l) };
    struct file *f;
    int r = 0;

    if (!c.l)
        return -ENOMEM;
    f = vfs_open_inode(t, &p, O_RDONLY | O_DIRECTORY);
    if (IS_ERR(f)) {
        overlay_list_free(c.l);
        return PTR_ERR(f);
    }
    r = f->ops->readdir ? 0 : -ENOTDIR;
    for (unsigned before = 1; r == 0 && c.error == 0 && before != c.l->count;) {
        before = c.l->count; /* until nothing more comes */
        r = f->ops->readdir(t, f, &c.sink);
        if (r == 0 && before == 0 && c.l->count == 0)
            break;
    }
    file_put(f);
    if (r == 0)
        r = c.error;
    if (r < 0) {
        overlay_list_free(c.l);
        return r;
    }
    *ret = c.l;
    return 0;
}

int overlay_any_visible(struct task *t, struct inode *dir)
{
    struct names *names = &mem_node(dir)->names;
    struct lower_list *l = NULL;
    struct lower_name *n;
    size_t at = 0;
    int r = overlay_list(t, dir, &l);

    if (r < 0)
        return r;
    lock(&dir->lock);
    while (r == 0 && (n = lower_next(l, &at)))
        r = !names_find(names, n->name, n->len);
    unlock(&dir->lock);
    overlay_list_free(l);
    return r;
}
