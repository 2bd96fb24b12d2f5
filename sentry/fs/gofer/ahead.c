/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files read before they are asked for. Who reads a directory's files one after another (tar,
 * cp -r, grep -r, a loop of a shell) pays a trip for each, twice what it takes to open and read a
 * small file. So when files of a directory are read in the order of its listing or of their names,
 * the trip for one brings the next ones as well: few at first, twice as many each time that at least
 * half of them were wanted, half as many else.
 *
 * Where the host may change files under us, bytes that were brought so are good for a moment only:
 * long enough for who reads on, and too short to matter to one who was told of a change.
 */
#include <string.h>
#include <sys/stat.h>

#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/scratch.h"
#include "sentry/kernel/timer.h"

#define GOOD_FOR 20000000ll /* ns */
#define WINDOW_MIN 4u
#define WINDOW_MAX (GOFER_FILES_MAX - 1)
#define NAMES_RUN 3      /* so many in the order of names are no accident */
#define NAMES_MAX 4096   /* larger directories are not searched for the next names */
#define BYTES_MAX 57344u /* of an answer; a datagram is no larger than 64 KiB */
#define PAUSE 16

struct batch {
    struct gname *pick[WINDOW_MAX]; /* good while fs->lock is held */
    unsigned n;
    size_t len; /* bytes in scratch()->names */
};

bool ghandle_use_ahead_locked(struct gofer_fs *fs, struct ghandle *h)
{
    struct gdir *d = h->name && h->name->parent ? h->name->parent->dir : NULL;

    if (!fs->stable && ktime_now() - h->stamp > GOOD_FOR)
        return false;
    h->ahead = false;
    if (d && d->ahead.used < UINT8_MAX)
        d->ahead.used++;
    return true;
}

static const char *name_at(const struct gdir *d, uint32_t place_and_1)
{
    const struct gname *n = place_and_1 && place_and_1 <= d->n ? d->kids[place_and_1 - 1] : NULL;

    return n ? n->name : NULL;
}

/* Does n follow what was read before, in either order? */
static void note_order(struct gofer_fs *fs, struct gdir *d, const struct gname *n)
{
    struct gahead *a = &d->ahead;
    const char *last = name_at(d, a->name);
    uint32_t at = n->index + 1;
    bool next = at > a->place && at - a->place <= 4;

    /* The first files of a directory are no sign, but where others were read through before. */
    a->by_place = next && (a->place || fs->ahead) ? MIN(a->by_place + 1, 100) : 0;
    a->by_name = last && strcmp(n->name, last) > 0 ? MIN(a->by_name + 1, 100) : 0;
    a->place = a->name = at;
}

/* How many files to bring beside the one that is asked for. */
static unsigned window(struct gofer_fs *fs, struct gahead *a)
{
    bool paid = a->used * 2 >= a->given;

    if (a->given) {
        a->window = paid ? MIN(a->window * 2u, WINDOW_MAX) : a->window / 2;
        fs->ahead = paid ? a->window : 0;
        if (!a->window)
            a->pause = PAUSE;
    }
    a->given = a->used = 0;
    if (a->pause) {
        a->pause--;
        return 0;
    }
    if (!a->by_place && a->by_name < NAMES_RUN)
        return 0;
    if (!a->window)
        a->window = MAX(WINDOW_MIN, fs->ahead);
    return a->window;
}

static bool small(const struct gname *k)
{
    return k->attr && S_ISREG(k->mode) && k->attr->size <= GOFER_SMALL_MAX;
}

static bool worth_it(const struct gname *k)
{
    return k && !k->gone && !k->handle && small(k);
}

static void pick_by_place(const struct gdir *d, const struct gname *n, unsigned max,
                          struct batch *b)
{
    uint32_t end = MIN(d->n, n->index + 1 + max * 2);

    for (uint32_t i = n->index + 1; i < end && b->n < max; i++)
        if (worth_it(d->kids[i]))
            b->pick[b->n++] = d->kids[i];
}

/* The names next after n's, in their order. */
static void pick_by_name(const struct gdir *d, const struct gname *n, unsigned max, struct batch *b)
{
    for (uint32_t i = 0; d->n <= NAMES_MAX && i < d->n; i++) {
        struct gname *k = d->kids[i];
        unsigned at = b->n;

        if (!worth_it(k) || strcmp(k->name, n->name) <= 0)
            continue;
        while (at && strcmp(k->name, b->pick[at - 1]->name) < 0)
            at--;
        if (at == max)
            continue;
        if (b->n < max)
            b->n++;
        memmove(&b->pick[at + 1], &b->pick[at], (b->n - 1 - at) * sizeof(b->pick[0]));
        b->pick[at] = k;
    }
}

/* What the request says: n's path, and the names picked, as many as an answer holds. */
static void spell(const struct gname *n, const struct gaddr *addr, struct batch *b)
{
    char *names = scratch()->names;
    size_t bytes = n->attr->size;
    unsigned i;

    b->len = strlen(addr->path);
    memcpy(names, addr->path, b->len);
    for (i = 0; i < b->n; i++) {
        struct gname *k = b->pick[i];

        bytes += k->attr->size + 128;
        if (bytes > BYTES_MAX || b->len + 1 + k->namelen >= sizeof(scratch()->names))
            break;
        names[b->len++] = 0;
        memcpy(names + b->len, k->name, k->namelen);
        b->len += k->namelen;
    }
    names[b->len] = 0;
    b->n = i;
}

/* False: none is to be brought beside n. */
static bool plan_locked(struct gofer_fs *fs, struct gname *n, struct gaddr *addr, struct batch *b)
{
    struct gdir *d = n->parent ? n->parent->dir : NULL;
    unsigned max;

    if (!d || !small(n))
        return false;
    note_order(fs, d, n);
    max = window(fs, &d->ahead);
    if (!max || gname_addr_locked(fs, n, NULL, addr) < 0 || !addr->path[0])
        return false;
    if (d->ahead.by_place >= d->ahead.by_name)
        pick_by_place(d, n, max, b);
    else
        pick_by_name(d, n, max, b);
    spell(n, addr, b);
    if (!b->n)
        return false;
    d->ahead.place = d->ahead.name = b->pick[b->n - 1]->index + 1;
    d->ahead.given = (uint8_t)b->n;
    return true;
}

struct taking {
    struct gofer_fs *fs;
    struct gname *n;
    const char *name; /* of the next file, behind a NUL; the first is n */
    struct ghandle *first;
};

static void take(void *arg, unsigned i, const struct gofer_small *s)
{
    struct taking *t = arg;
    const char *name = t->name;
    size_t len = strlen(name);
    struct gofer_file file = { .g = t->fs->g, .fd = -1, .slot = -1, .whole = true };

    if (i)
        t->name += len + 1;
    if (s->error)
        return;
    file.nfirst = s->attr.size;
    file.attr = s->attr;
    struct ghandle *h = ghandle_new(&file, s->bytes);
    if (!i)
        t->first = h;
    if (!i || !h)
        return;
    h->ahead = true;
    LOCK_SCOPE(&t->fs->lock);
    struct gname *k = gname_find_locked(t->fs, t->n->parent, name, len);
    if (k && (k->gone || k->handle))
        k = NULL;
    if (k)
        gname_told_locked(t->fs, k, &s->attr);
    ghandle_keep_locked(t->fs, k, h);
}

bool ghandle_read_ahead(struct gofer_fs *fs, struct gname *n, struct gaddr *addr,
                        struct ghandle **ret)
{
    struct batch b = { .n = 0 };
    struct taking t = { .fs = fs, .n = n };

    lock(&fs->lock);
    bool planned = plan_locked(fs, n, addr, &b);
    unlock(&fs->lock);
    if (!planned)
        return false;
    t.name = scratch()->names + strlen(addr->path) + 1;
    gofer_trip_begin();
    int r = gofer_files(fs->g, addr->node, scratch()->names, b.len, take, &t);
    gofer_trip_end();
    if (r < 0 && t.first)
        ghandle_put(fs, t.first);
    *ret = t.first;
    return r == 0 && t.first;
}
