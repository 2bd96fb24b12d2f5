/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of the gofer file system. A directory read from its start is listed whole (names
 * only: whoever wants attributes of many asks for some first, and then gets all, see inode.c); what
 * is known of a stable one is not asked for again. Positions: 0 ".", 1 "..", then a name's place
 * among the known, which it keeps.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/timer.h"

#define TICKS 50000000ll /* ns; longer than any host's clock stands still */

struct fill {
    struct gofer_fs *fs;
    struct gname *dir;
    bool *seen; /* of the names known before, by place */
    uint32_t nseen;
};

static int fill_one(void *arg, const struct gofer_dirent *e)
{
    struct fill *f = arg;

    LOCK_SCOPE(&f->fs->lock);
    struct gname *n = gname_note_locked(f->fs, f->dir, e->name, e->namelen, &e->entry, e->has_attr);
    if (!n)
        return -ENOMEM;
    if (n->index < f->nseen)
        f->seen[n->index] = true;
    if (e->linklen && S_ISLNK(n->mode) && !n->target) {
        n->target = kzalloc(e->linklen + 1);
        if (n->target)
            memcpy(n->target, e->link, e->linklen);
    }
    return 0;
}

/* Names that were known and are not listed any more are gone, unless they came meanwhile. */
static void forget_unseen_locked(struct fill *f)
{
    for (uint32_t i = 0; i < f->nseen; i++)
        if (!f->seen[i] && f->dir->dir->kids[i]) {
            f->dir->dir->kids[i]->gone = true;
            f->dir->dir->kids[i]->stamp = ktime_now();
        }
}

/* The directory as the host has it now. */
static int ask_dir(struct gofer_fs *fs, const struct gaddr *addr, struct gofer_attr *ret)
{
    gofer_trip_begin();
    int r = gofer_getattr(fs->g, addr->node, addr->path, ret);
    gofer_trip_end();
    return r;
}

/*
 * A change within the same tick of the host's clock as another one leaves the times as they are: a
 * listing can be told to be good only if the last change before it lay well back.
 */
static void date_locked(struct gdir *d, const struct gofer_attr *a)
{
    d->dated = a && ktime_real() - (a->ctime_s * 1000000000ll + a->ctime_ns) > TICKS;
    if (!d->dated)
        return;
    d->mtime_s = a->mtime_s, d->mtime_ns = a->mtime_ns;
    d->ctime_s = a->ctime_s, d->ctime_ns = a->ctime_ns;
}

/* Has the host left the directory alone since it was listed? One trip, cheaper than a listing. */
static bool listing_stands(struct gofer_fs *fs, struct gname *dir)
{
    struct gaddr *addr = kzalloc(sizeof *addr);
    struct gofer_attr a;
    bool stands = false;

    if (!addr)
        return false;
    lock(&fs->lock);
    bool ask = dir->dir->dated && gname_addr_locked(fs, dir, NULL, addr) == 0;
    unlock(&fs->lock);
    if (ask && ask_dir(fs, addr, &a) == 0) {
        LOCK_SCOPE(&fs->lock);
        const struct gdir *d = dir->dir;
        stands = d->dated && d->mtime_s == a.mtime_s && d->mtime_ns == a.mtime_ns &&
                 d->ctime_s == a.ctime_s && d->ctime_ns == a.ctime_ns;
    }
    kfree(addr);
    return stands;
}

int gofer_fill_dir(struct gofer_fs *fs, struct gname *dir, bool attrs, unsigned max)
{
    struct gaddr *addr = kzalloc(sizeof *addr);
    struct fill f = { .fs = fs, .dir = dir };
    struct gofer_attr a;
    bool again, dated = false;
    int r;

    if (!addr)
        return -ENOMEM;
    lock(&fs->lock);
    r = gname_addr_locked(fs, dir, NULL, addr);
    if (!dir->dir)
        dir->dir = kzalloc(sizeof *dir->dir);
    f.nseen = dir->dir ? dir->dir->n : 0;
    again = !fs->stable && dir->dir && dir->dir->complete;
    if (r == 0 && !dir->dir)
        r = -ENOMEM;
    unlock(&fs->lock);
    f.seen = r == 0 && f.nseen ? kzalloc(f.nseen) : NULL;
    if (r == 0 && f.nseen && !f.seen)
        r = -ENOMEM;
    if (r == 0 && again) /* and so perhaps a third time */
        dated = ask_dir(fs, addr, &a) == 0;
    if (r == 0) {
        gofer_trip_begin();
        r = gofer_list(fs->g, addr->node, addr->path, attrs, max, fill_one, &f);
        gofer_trip_end();
    }
    if (r == 0) {
        LOCK_SCOPE(&fs->lock);
        forget_unseen_locked(&f);
        dir->dir->complete = true;
        dir->dir->stamp = ktime_now();
        date_locked(dir->dir, dated ? &a : NULL);
        dir->dir->lookups = dir->dir->misses = 0;
    }
    kfree(f.seen);
    kfree(addr);
    return r;
}

static int emit_names_locked(struct file *f, struct gname *dir, struct dirent_sink *s)
{
    for (uint32_t i = (uint32_t)(f->pos - 2); dir->dir && i < dir->dir->n; i++) {
        struct gname *n = dir->dir->kids[i];
        loff_t next = (loff_t)i + 3;

        if (n && !n->gone && !s->emit(s, n->name, n->namelen, n->ino, IFTODT(n->mode), next))
            return 0;
        f->pos = next;
    }
    return 0;
}

#define WANTED_OFTEN 2
#define GUESS_MAX 1024 /* entries; the attributes of more are not told unasked */

/*
 * Who walks a tree and looks at all of it (tar, du, ls -lR) wants the attributes of each directory
 * that it lists: after the second one they come with the names, until nobody looks at them.
 */
static int fill_from_start(struct gofer_fs *fs, struct gname *dir)
{
    lock(&fs->lock);
    if (!fs->guess_paid)
        fs->wanted = 0;
    bool guess = fs->wanted >= WANTED_OFTEN;
    if (guess)
        fs->guess_paid = false;
    unlock(&fs->lock);
    int r = guess ? gofer_fill_dir(fs, dir, /* attrs= */ true, GUESS_MAX) : -E2BIG;
    bool bare = r == -E2BIG;
    if (bare)
        r = gofer_fill_dir(fs, dir, /* attrs= */ false, 0);
    LOCK_SCOPE(&fs->lock);
    if (dir->dir) {
        dir->dir->bare = bare;
        dir->dir->guessed = !bare;
    }
    return r;
}

static int gofer_readdir(struct task *t, struct file *f, struct dirent_sink *s)
{
    struct gofer_fs *fs = gofer_fs_of(f->inode);
    struct gname *dir = gname_of(f->inode);
    int r = 0;

    (void)t;
    lock(&fs->lock);
    bool known = dir->dir && dir->dir->complete && (fs->stable || f->pos > 2);
    bool complete = dir->dir && dir->dir->complete;
    uint64_t ino = dir->ino, above = dir->parent ? dir->parent->ino : ino;
    unlock(&fs->lock);
    if (!known && !(complete && listing_stands(fs, dir)))
        r = fill_from_start(fs, dir);
    if (r < 0)
        return r;
    if (f->pos == 0) {
        if (!s->emit(s, ".", 1, ino, DT_DIR, 1))
            return 0;
        f->pos = 1;
    }
    if (f->pos == 1) {
        if (!s->emit(s, "..", 2, above, DT_DIR, 2))
            return 0;
        f->pos = 2;
    }
    if (f->pos - 2 > UINT32_MAX)
        return 0;
    LOCK_SCOPE(&fs->lock);
    return emit_names_locked(f, dir, s);
}

const struct file_ops gofer_dir_fops = {
    .name = "directory",
    .readdir = gofer_readdir,
    .llseek = vfs_dir_llseek,
    .fsync = vfs_dir_fsync,
};
