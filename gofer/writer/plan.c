/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check before anything is written: which changes can be made, and by which renames. What cannot is
 * named and left out, with all that would lie in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/types.h"
#include "gofer/writer/priv.h"

/* What becomes of a change: later ones may lie beneath it. */
enum fate { FATE_PLANNED, FATE_NEW_DIR, FATE_MERGED_DIR, FATE_SKIPPED };

struct check {
    const struct apply_job *job;
    struct plan *plan;
    unsigned char *fates;
    int error;
};

struct op *plan_add(struct plan *p, enum op_kind kind, const char *path)
{
    struct op *op;

    if (p->n == p->cap) {
        unsigned cap = p->cap ? 2 * p->cap : 64;
        struct op *more = reallocarray(p->ops, cap, sizeof *more);

        if (!more)
            return NULL;
        p->ops = more;
        p->cap = cap;
    }
    op = &p->ops[p->n];
    memset(op, 0, sizeof *op);
    op->path = strdup(path);
    if (!op->path)
        return NULL;
    op->path_len = (uint32_t)strlen(path);
    op->kind = kind;
    op->n = p->n++;
    return op;
}

static int by_path(const void *key, const void *c)
{
    return strcmp(key, ((const struct apply_change *)c)->path);
}

/* The nearest change that the i-th lies beneath; -1. */
static int above(const struct check *c, unsigned i)
{
    char path[4096];
    char *slash;

    memccpy(path, c->job->changes[i].path, 0, sizeof path);
    while ((slash = strrchr(path, '/'))) {
        const struct apply_change *at;

        *slash = 0;
        at = bsearch(path, c->job->changes, c->job->n, sizeof *at, by_path);
        if (at)
            return (int)(at - c->job->changes);
    }
    return -1;
}

static enum fate skip(const struct check *c, const struct apply_change *a, const char *why)
{
    apply_say(c->job, APPLY_SKIPPED, a->path, why);
    return FATE_SKIPPED;
}

static enum fate no_memory(struct check *c)
{
    c->error = -ENOMEM;
    return FATE_SKIPPED;
}

static const char *why_not(int err)
{
    switch (err) {
    case ELOOP:
        return "a symbolic link is in the way";
    case EXDEV:
        return "it lies on another file system";
    case ENOENT:
    case ENOTDIR:
        return "its directory is gone on the host";
    default:
        return strerror(err);
    }
}

static struct op *add_op(const struct check *c, enum op_kind kind, const struct apply_change *a,
                         const struct stat *old)
{
    struct op *op = plan_add(c->plan, kind, a->path);

    if (!op)
        return NULL;
    op->mode = a->head.mode & 0777; /* what is set-id would be so for the caller */
    op->mtime_sec = a->head.mtime_sec;
    op->mtime_nsec = a->head.mtime_nsec;
    op->new_ino = a->index; /* until it is staged */
    if (old)
        ident_of(old, &op->old);
    return op;
}

/* A new object; old: what is there on the host, NULL: nothing. */
static enum fate add_new(struct check *c, const struct apply_change *a, const struct stat *old)
{
    bool dir = S_ISDIR(a->head.mode);

    if (old && dir && S_ISDIR(old->st_mode) && !(a->head.flags & CHANGE_REPLACES))
        return FATE_MERGED_DIR;
    if (old && (dir || S_ISDIR(old->st_mode))) {
        if (!add_op(c, OP_TAKE, a, old))
            return no_memory(c);
        old = NULL;
    }
    if (!add_op(c, dir ? OP_MKDIR : old ? OP_SWAP : OP_PUT, a, old))
        return no_memory(c);
    return dir ? FATE_NEW_DIR : FATE_PLANNED;
}

static enum fate modify(struct check *c, const struct apply_change *a, const struct stat *old)
{
    if ((old->st_mode ^ a->head.mode) & S_IFMT)
        return skip(c, a, "it is something else on the host");
    if (a->head.flags & CHANGE_DATA)
        return add_op(c, OP_SWAP, a, old) ? FATE_PLANNED : no_memory(c);
    if (S_ISLNK(a->head.mode))
        return FATE_PLANNED; /* a link has no mode, and its time is no matter */
    return add_op(c, OP_ATTR, a, old) ? FATE_PLANNED : no_memory(c);
}

/* Copies lie in directories of which nothing was told. */
static int add_parents(struct check *c, const char *path)
{
    char dir[4096];

    memccpy(dir, path, 0, sizeof dir);
    for (char *slash = strchr(dir, '/'); slash; slash = strchr(slash + 1, '/')) {
        const struct op *last = c->plan->n ? &c->plan->ops[c->plan->n - 1] : NULL;
        struct op *op;

        *slash = 0;
        /* In order of paths: what was made for the one before begins in the same way. */
        if (!last || strncmp(last->path, dir, strlen(dir)) != 0 ||
            (last->path[strlen(dir)] != '/' && last->path[strlen(dir)])) {
            op = plan_add(c->plan, OP_MKDIR, dir);
            if (!op)
                return -ENOMEM;
            op->mode = 0777; /* less the umask */
            op->mtime_nsec = MTIME_NONE;
        }
        *slash = '/';
    }
    return 0;
}

static enum fate check_one(struct check *c, unsigned i)
{
    const struct apply_change *a = &c->job->changes[i];
    int up = above(c, i), r;
    bool added = a->head.kind == CHANGE_ADDED;
    struct stat st;

    if (up >= 0 && c->fates[up] == FATE_SKIPPED)
        return FATE_SKIPPED; /* has been said of the directory */
    if (a->head.kind != CHANGE_REMOVED && !S_ISREG(a->head.mode) && !S_ISDIR(a->head.mode) &&
        !S_ISLNK(a->head.mode))
        return skip(c, a, "only files, directories and links are written");
    if (a->head.flags & CHANGE_GONE)
        return skip(c, a, "it is gone on the host");
    if (added && (a->head.mode & (S_ISUID | S_ISGID)) && S_ISREG(a->head.mode))
        apply_say(c->job, APPLY_NOTE, a->path, "written without its set-id bits");
    if (c->job->into) {
        if (a->head.kind == CHANGE_REMOVED || (!added && S_ISDIR(a->head.mode)))
            return FATE_PLANNED;
        return add_parents(c, a->path) < 0 ? no_memory(c) : add_new(c, a, NULL);
    }
    if (up >= 0 && c->fates[up] == FATE_NEW_DIR)
        return added ? add_new(c, a, NULL) : skip(c, a, "its directory is a new one");
    r = tree_stat(c->job->dir, a->path, &st);
    if (r == -ENOENT && a->head.kind == CHANGE_REMOVED)
        return FATE_PLANNED; /* gone already */
    if (r == -ENOENT && added) {
        const char *name;
        int parent = tree_parent(c->job->dir, a->path, &name);

        if (parent < 0)
            return skip(c, a, why_not(-parent));
        close(parent);
        return add_new(c, a, NULL);
    }
    if (r < 0)
        return skip(c, a, r == -ENOENT ? "it is gone on the host" : why_not(-r));
    if (S_ISDIR(st.st_mode) &&
        (a->head.kind == CHANGE_MODIFIED ||
         (added && S_ISDIR(a->head.mode) && !(a->head.flags & CHANGE_REPLACES))))
        r = 0; /* what is in it stays */
    else
        r = tree_changed_since(c->job->dir, a->path, &c->job->since);
    if (r < 0)
        return skip(c, a, why_not(-r));
    if (r > 0)
        return skip(c, a, "it changed on the host meanwhile");
    if (added)
        return add_new(c, a, &st);
    if (a->head.kind == CHANGE_REMOVED)
        return add_op(c, OP_TAKE, a, &st) ? FATE_PLANNED : no_memory(c);
    return modify(c, a, &st);
}

int plan_make(const struct apply_job *job, struct plan *ret)
{
    struct plan p = { 0 };
    struct check c = { .job = job, .plan = &p, .fates = calloc(job->n ? job->n : 1, 1) };

    if (!c.fates)
        return -ENOMEM;
    for (unsigned i = 0; c.error == 0 && i < job->n; i++)
        c.fates[i] = (unsigned char)check_one(&c, i);
    free(c.fates);
    *ret = p;
    return c.error;
}
