/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an overlay changed: what a report at the end, and later a hand-over to the host, is made
 * from. A changed lower object is named by its path below; what was made here by the directory it
 * lies in. A directory of the lower that was moved is told as added, its contents are not repeated.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs/overlay/overlay.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"

struct report {
    void (*fn)(void *arg, char kind, const char *path);
    void *arg;
};

/* An inode that is still to be told of. */
struct todo {
    struct list link;
    struct inode *i;
    char *path; /* NULL: its path below */
};

static void push(struct list *todo, struct inode *i, const char *path)
{
    struct todo *d = kzalloc(sizeof *d);

    if (!d)
        return; /* the report is shorter */
    d->path = path ? kstrdup(path) : NULL;
    d->i = inode_ref(i);
    list_add_tail(todo, &d->link);
}

static char *lower_path(struct mem_node *n, char *buf, size_t cap)
{
    struct path p = { .dentry = n->lower };
    bool reached;

    return path_string_flags(NULL, &p, buf, cap, /* deleted= */ false, &reached);
}

static void tell_names(struct report *rep, struct inode *dir, const char *at, struct list *todo)
{
    struct names *names = &mem_node(dir)->names;
    struct mem_name *e;
    char path[PATH_MAX];

    LOCK_SCOPE(&dir->lock);
    list_for_each(e, &names->all, order) {
        if (snprintf(path, sizeof path, "%s%s%s", at, at[1] ? "/" : "", e->name) >=
            (int)sizeof path)
            continue;
        rep->fn(rep->arg, e->inode ? 'A' : 'D', path);
        if (e->inode && S_ISDIR(e->inode->mode) && !mem_node(e->inode)->lower)
            push(todo, e->inode, path);
    }
}

void overlay_changes(struct super *sb, void (*fn)(void *arg, char kind, const char *path),
                     void *arg)
{
    struct report rep = { fn, arg };
    struct mem_super *ms = mem_super(sb);
    struct list todo = LIST_INIT(todo);
    struct mem_node *n;
    char buf[PATH_MAX];

    lock(&ms->lock);
    list_for_each(n, &ms->changed, changed_link)
        push(&todo, n->inode, NULL);
    unlock(&ms->lock);
    while (!list_empty(&todo)) {
        struct todo *d = list_first(&todo, struct todo, link);
        const char *path = d->path ? d->path : lower_path(mem_node(d->i), buf, sizeof buf);

        list_del(&d->link);
        if (!IS_ERR(path) && S_ISDIR(d->i->mode))
            tell_names(&rep, d->i, path, &todo);
        else if (!IS_ERR(path))
            fn(arg, 'M', path);
        inode_put(d->i);
        kfree(d->path);
        kfree(d);
    }
}
