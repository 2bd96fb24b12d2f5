/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every change beneath a directory, by where it shows at the end.
 *
 * A directory or file of the lower that was changed is on its superblock's list. Where its path below still
 * leads to it, it is told there; else it was moved, and is told, with all that is in it, by the name
 * that it has now, which is a name of ours in some directory. So nothing is told twice. What was written and
 * is the same as before, and times alone, are no changes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs/overlay/overlay.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"

#define CHUNK 65536

struct teller {
    struct task *t;
    struct dentry *scope;
    char scope_path[PATH_MAX]; /* "": the root of the overlay */
    int (*fn)(void *arg, const struct overlay_change *c);
    void *arg;
    struct list todo; /* added directories that are still to be read */
};

struct todo {
    struct list link;
    struct dentry *d;
    char path[];
};

/* A copy of a directory's names: no lock is held while they are looked at. */
struct copied_name {
    struct list link;
    struct inode *inode; /* reference; NULL: a whiteout, or not asked */
    uint32_t len;
    char name[];
};

struct name_list {
    struct dirent_sink sink;
    struct list all;
    unsigned count;
    int error;
};

static int keep_name(struct name_list *l, const char *name, size_t len, struct inode *i)
{
    struct copied_name *n = kzalloc(sizeof *n + len + 1);

    if (!n)
        return l->error = -ENOMEM;
    memcpy(n->name, name, len);
    n->len = (uint32_t)len;
    n->inode = i ? inode_ref(i) : NULL;
    list_add_tail(&l->all, &n->link);
    l->count++;
    return 0;
}

static void free_names(struct name_list *l)
{
    while (!list_empty(&l->all)) {
        struct copied_name *n = list_first(&l->all, struct copied_name, link);

        list_del(&n->link);
        if (n->inode)
            inode_put(n->inode);
        kfree(n);
    }
}

static bool emit_name(struct dirent_sink *s, const char *name, size_t len, uint64_t ino,
                      unsigned dtype, loff_t next_pos)
{
    struct name_list *l = container_of(s, struct name_list, sink);

    (void)ino, (void)dtype, (void)next_pos;
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
        return true;
    return keep_name(l, name, len, NULL) == 0;
}

/* path/name; -ENAMETOOLONG. path "": the scope itself. */
static int join(char *ret, const char *path, const char *name, size_t len)
{
    int n = snprintf(ret, PATH_MAX, "%s%s%.*s", path, *path ? "/" : "", (int)len, name);

    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int tell_one(struct teller *w, char kind, bool replaces, bool data, const char *path,
                    struct dentry *d, uint32_t was)
{
    const struct overlay_change c = {
        .kind = kind, .replaces = replaces, .data = data, .path = path, .dentry = d, .was = was
    };
    int r = w->fn(w->arg, &c);

    if (r < 0 || kind != 'A' || !S_ISDIR(dentry_inode(d)->mode))
        return r;
    size_t len = strlen(path);
    struct todo *todo = kzalloc(sizeof *todo + len + 1);

    if (!todo)
        return -ENOMEM;
    memcpy(todo->path, path, len);
    todo->d = dentry_ref(d);
    list_add_tail(&w->todo, &todo->link);
    return 0;
}

/* All that is in an added directory is added. */
static int tell_added_dir(struct teller *w, struct dentry *dir, const char *path)
{
    struct name_list l = { .sink.emit = emit_name, .all = LIST_INIT(l.all) };
    struct path p = { .dentry = dir };
    struct file *f = vfs_open_inode(w->t, &p, O_RDONLY | O_DIRECTORY);
    struct copied_name *n;
    char full[PATH_MAX];
    int r = 0;

    if (IS_ERR(f))
        return PTR_ERR(f);
    for (unsigned before = 1; r == 0 && l.error == 0 && before != l.count;) {
        before = l.count;
        r = f->ops->readdir(w->t, f, &l.sink);
        if (before == 0 && l.count == 0)
            break;
    }
    file_put(f);
    r = r < 0 ? r : l.error;
    list_for_each(n, &l.all, link) {
        struct dentry *d;

        if (r < 0 || (r = join(full, path, n->name, n->len)) < 0)
            break;
        d = vfs_lookup(w->t, dir, n->name, n->len);
        if (IS_ERR(d)) {
            r = PTR_ERR(d);
            break;
        }
        if (dentry_inode(d))
            r = tell_one(w, 'A', false, S_ISREG(dentry_inode(d)->mode), full, d, 0);
        dentry_put(d);
    }
    free_names(&l);
    return r;
}

static int tell_todo(struct teller *w, int r)
{
    while (!list_empty(&w->todo)) {
        struct todo *todo = list_first(&w->todo, struct todo, link);

        list_del(&todo->link);
        if (r == 0)
            r = tell_added_dir(w, todo->d, todo->path);
        dentry_put(todo->d);
        kfree(todo);
    }
    return r;
}

/* One name of ours in a directory that has a lower. */
static int tell_name(struct teller *w, struct dentry *dir, const struct copied_name *n,
                     const char *path)
{
    struct dentry *low = vfs_lookup(w->t, mem_node(dentry_inode(dir))->lower, n->name, n->len), *d;
    struct inode *below;
    int r = 0;

    if (IS_ERR(low))
        return PTR_ERR(low);
    below = dentry_inode(low);
    if (!n->inode) {
        if (below)
            r = tell_one(w, 'D', false, false, path, NULL, below->mode);
        dentry_put(low);
        return r;
    }
    d = vfs_lookup(w->t, dir, n->name, n->len);
    if (IS_ERR(d)) {
        dentry_put(low);
        return PTR_ERR(d);
    }
    /* What has come back to its place is told as itself, if it was changed. */
    if (dentry_inode(d) == n->inode && mem_node(n->inode)->lower != low)
        r = tell_one(w, 'A', below != NULL, S_ISREG(n->inode->mode), path, d,
                     below ? below->mode : 0);
    dentry_put(d);
    dentry_put(low);
    return r;
}

static int tell_names(struct teller *w, struct dentry *dir, const char *path)
{
    struct inode *i = dentry_inode(dir);
    struct name_list l = { .all = LIST_INIT(l.all) };
    struct copied_name *n;
    struct mem_name *e;
    char full[PATH_MAX];
    int r;

    lock(&i->lock);
    list_for_each(e, &mem_node(i)->names.all, order)
        keep_name(&l, e->name, e->len, e->inode);
    unlock(&i->lock);
    r = l.error;
    list_for_each(n, &l.all, link) {
        if (r == 0)
            r = join(full, path, n->name, n->len);
        if (r == 0)
            r = tell_name(w, dir, n, full);
    }
    free_names(&l);
    return r;
}

static bool mode_differs(struct teller *w, struct inode *i)
{
    struct kstat low;

    if (inode_getattr(w->t, dentry_inode(mem_node(i)->lower), &low) < 0)
        return true;
    return ((low.mode ^ i->mode) & 07777) != 0;
}

/* One chunk of both: 1 they differ, 0 they do not, -errno. */
static int compare_chunk(struct teller *w, struct file *a, struct file *b, char *buf, loff_t pos,
                         size_t n)
{
    ssize_t x = vfs_read_kernel(w->t, a, buf, n, pos);
    ssize_t y = vfs_read_kernel(w->t, b, buf + CHUNK, n, pos);

    if (x < 0 || y < 0)
        return (int)(x < 0 ? x : y);
    return x != y || memcmp(buf, buf + CHUNK, (size_t)x) != 0;
}

/* Was it written to, and holds something else now? What cannot be read is said to differ. */
static bool data_differs(struct teller *w, struct inode *i, struct dentry *d)
{
    struct path ours = { .dentry = d }, low = { .dentry = mem_node(i)->lower };
    struct file *a, *b;
    struct kstat st;
    char *buf;
    int r;

    if (!S_ISREG(i->mode) || !mem_node(i)->copied)
        return false;
    if (inode_getattr(w->t, dentry_inode(low.dentry), &st) < 0 || st.size != i->size)
        return true;
    buf = kzalloc(2 * CHUNK);
    a = vfs_open_inode(w->t, &ours, O_RDONLY | O_LARGEFILE);
    b = vfs_open_inode(w->t, &low, O_RDONLY | O_LARGEFILE);
    r = !buf || IS_ERR(a) || IS_ERR(b);
    for (uint64_t pos = 0; r == 0 && pos < st.size; pos += CHUNK)
        r = compare_chunk(w, a, b, buf, (loff_t)pos, MIN((uint64_t)CHUNK, st.size - pos));
    if (!IS_ERR(a))
        file_put(a);
    if (!IS_ERR(b))
        file_put(b);
    kfree(buf);
    return r != 0;
}

/* The dentry that the path shows beneath root if it is i's, else NULL. Or ERR_PTR. */
static struct dentry *shown_at(struct teller *w, struct dentry *root, struct inode *i,
                               const char *path)
{
    struct dentry *d = dentry_ref(root);

    while (*path && d) {
        size_t n = strcspn(path, "/");

        if (n) {
            struct dentry *next = dentry_inode(d) && S_ISDIR(dentry_inode(d)->mode)
                                      ? vfs_lookup(w->t, d, path, n)
                                      : NULL;

            dentry_put(d);
            d = next;
            if (IS_ERR(d))
                return d;
        }
        path += n + (path[n] == '/');
    }
    if (d && dentry_inode(d) == i)
        return d;
    if (d)
        dentry_put(d);
    return NULL;
}

/* It shows nowhere that its path below leads to: moved, and told by its new name, or lost below. */
static int tell_gone(struct teller *w, struct inode *i, const char *path, const char *relative)
{
    struct dentry *root = mem_super(i->sb)->lower->root, *d;
    const struct overlay_change c = { .kind = 'M', .gone = true, .path = relative, .was = i->mode };

    if (S_ISDIR(i->mode) || i->nlink == 0)
        return 0;
    d = shown_at(w, root, dentry_inode(mem_node(i)->lower), path);
    if (d && !IS_ERR(d))
        dentry_put(d);
    return d ? 0 : w->fn(w->arg, &c);
}

static int tell_changed(struct teller *w, struct inode *i)
{
    struct path p = { .dentry = mem_node(i)->lower };
    size_t n = strlen(w->scope_path);
    char buf[PATH_MAX], *path;
    bool reached;
    struct dentry *d;
    int r = 0;

    path = path_string_flags(NULL, &p, buf, sizeof buf, /* deleted= */ false, &reached);
    if (IS_ERR(path))
        return PTR_ERR(path);
    if (strncmp(path, w->scope_path, n) != 0 || (path[n] && path[n] != '/'))
        return 0;
    d = shown_at(w, i->sb->root, i, path);
    if (!d)
        return tell_gone(w, i, path, path + n + (path[n] == '/'));
    if (IS_ERR(d))
        return PTR_ERR(d);
    path += n;
    while (*path == '/')
        path++;
    if (*path) { /* the directory itself is not spoken of */
        bool data = data_differs(w, i, d);

        if (data || mode_differs(w, i))
            r = tell_one(w, 'M', false, data, path, d, i->mode);
    }
    if (r == 0 && S_ISDIR(i->mode))
        r = tell_names(w, d, path);
    dentry_put(d);
    return tell_todo(w, r);
}

int overlay_tell(struct task *t, struct dentry *scope,
                 int (*fn)(void *arg, const struct overlay_change *c), void *arg)
{
    struct teller w = { .t = t, .scope = scope, .fn = fn, .arg = arg, .todo = LIST_INIT(w.todo) };
    struct mem_super *ms = mem_super(scope->sb);
    struct path p = { .dentry = scope };
    struct name_list l = { .all = LIST_INIT(l.all) };
    struct copied_name *n;
    struct mem_node *node;
    char buf[PATH_MAX], *path;
    bool reached;
    int r = 0;

    path = path_string_flags(NULL, &p, buf, sizeof buf, /* deleted= */ false, &reached);
    if (IS_ERR(path))
        return PTR_ERR(path);
    snprintf(w.scope_path, sizeof w.scope_path, "%s", path[1] ? path : "");
    lock(&ms->lock);
    list_for_each(node, &ms->changed, changed_link)
        keep_name(&l, "", 0, node->inode);
    unlock(&ms->lock);
    r = l.error;
    list_for_each(n, &l.all, link) {
        int e = r == -EPIPE ? r : tell_changed(&w, n->inode);

        r = r ? r : e; /* the rest is told all the same */
    }
    free_names(&l);
    return r;
}
