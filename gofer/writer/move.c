/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The renames. Each may have been done before (an interrupted writer's are done again), and each can be
 * taken back. What is moved away is looked at once more when it is in the stage, where nobody else
 * changes its name: when it is not what was planned with, it goes back and all ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/types.h"
#include "gofer/writer/priv.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

static int rename_at(int from, const char *a, int to, const char *b, unsigned flags)
{
    return syscall(SYS_renameat2, from, a, to, b, flags) < 0 ? -errno : 0;
}

/* Where nothing is. File systems without that rename have links. */
static int rename_new(int from, const char *a, int to, const char *b)
{
    int r = rename_at(from, a, to, b, RENAME_NOREPLACE);

    if (r != -EINVAL && r != -ENOSYS)
        return r;
    if (linkat(from, a, to, b, 0) < 0)
        return -errno;
    unlinkat(from, a, 0);
    return 0;
}

static bool there(int dir, const char *name, struct stat *ret)
{
    return fstatat(dir, name, ret, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Two names: "N" of what is staged, "N.old" of what was moved away. */
struct names {
    char staged[16], old[24];
};

static void name_op(const struct op *op, struct names *ret)
{
    snprintf(ret->staged, sizeof ret->staged, "%u", op->n);
    snprintf(ret->old, sizeof ret->old, "%u.old", op->n);
}

static int do_take(int stage, int parent, const char *name, const struct op *op, const char *old)
{
    struct stat st;
    int r;

    if (there(stage, old, &st))
        return 0;
    r = rename_new(parent, name, stage, old);
    if (r < 0)
        return r;
    if (!there(stage, old, &st) || !ident_same(&st, &op->old)) {
        rename_new(stage, old, parent, name);
        return -ESTALE;
    }
    return 0;
}

static int do_put(int stage, int parent, const char *name, const struct op *op, const char *staged)
{
    struct stat st;

    if (!there(stage, staged, &st)) /* it was */
        return there(parent, name, &st) && st.st_ino == op->new_ino ? 0 : -ESTALE;
    return rename_new(stage, staged, parent, name);
}

static int do_swap(int stage, int parent, const char *name, const struct op *op,
                   const struct names *n)
{
    struct stat st;
    int r;

    if (there(parent, name, &st) && st.st_ino == op->new_ino)
        return 0;
    if (there(stage, n->old, &st))
        return do_put(stage, parent, name, op, n->staged);
    r = rename_at(stage, n->staged, parent, name, RENAME_EXCHANGE);
    if (r == -EINVAL || r == -ENOSYS) {
        r = do_take(stage, parent, name, op, n->old);
        return r < 0 ? r : do_put(stage, parent, name, op, n->staged);
    }
    if (r < 0)
        return r;
    if (!there(stage, n->staged, &st) || !ident_same(&st, &op->old)) {
        rename_at(stage, n->staged, parent, name, RENAME_EXCHANGE);
        return -ESTALE;
    }
    return 0;
}

/* Mode and time of a file or directory, through a descriptor that no link led to. */
static int set_attr(int parent, const char *name, uint32_t mode, int64_t sec, uint32_t nsec,
                    const struct ident *only)
{
    const struct timespec t[2] = { { 0, UTIME_OMIT }, { sec, (long)nsec } };
    int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), r = 0;
    struct stat st;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) ||
        (only && (st.st_ino != only->ino || st.st_dev != only->dev)))
        r = -ESTALE;
    if (r == 0 && (st.st_mode & 07777) != mode &&
        syscall(452 /* fchmodat2 */, fd, "", mode, AT_EMPTY_PATH) < 0) {
        int real = errno == ENOSYS || errno == EPERM
                       ? openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
                       : -1;

        r = real >= 0 && fchmod(real, mode) == 0 ? 0 : -errno;
        if (real >= 0)
            close(real);
    }
    if (r == 0 && nsec != MTIME_NONE && utimensat(fd, "", t, AT_EMPTY_PATH) < 0 && errno != EINVAL)
        r = -errno;
    close(fd);
    return r;
}

static int do_mkdir(int parent, const char *name, const struct op *op)
{
    struct stat st;

    if (mkdirat(parent, name, op->mode | 0700) == 0)
        return 0;
    return errno == EEXIST && there(parent, name, &st) && S_ISDIR(st.st_mode) ? 0 : -errno;
}

static int do_op(int dir, int stage, const struct op *op)
{
    const char *name;
    struct names n;
    int parent = tree_parent(dir, op->path, &name), r = 0;

    if (parent < 0)
        return parent;
    name_op(op, &n);
    switch ((enum op_kind)op->kind) {
    case OP_MKDIR:
        r = do_mkdir(parent, name, op);
        break;
    case OP_PUT:
        r = do_put(stage, parent, name, op, n.staged);
        break;
    case OP_SWAP:
        r = do_swap(stage, parent, name, op, &n);
        break;
    case OP_TAKE:
        r = do_take(stage, parent, name, op, n.old);
        break;
    case OP_ATTR:
        r = set_attr(parent, name, op->mode, op->mtime_sec, op->mtime_nsec, &op->old);
        break;
    }
    close(parent);
    return r;
}

/* What was put there, if it still is: another's that has taken its place stays. */
static int undo_put(int stage, int parent, const char *name, const struct op *op,
                    const char *staged)
{
    struct stat st;
    bool ours = there(parent, name, &st) && st.st_ino == op->new_ino;
    int r;

    if (!ours)
        return 0;
    if (there(stage, staged, &st)) /* ended between link and unlink */
        return unlinkat(parent, name, 0) < 0 ? -errno : 0;
    r = rename_new(parent, name, stage, staged);
    if (r < 0 || (there(stage, staged, &st) && st.st_ino == op->new_ino))
        return r;
    return rename_new(stage, staged, parent, name);
}

static int undo_swap(int stage, int parent, const char *name, const struct op *op,
                     const struct names *n)
{
    struct stat st;
    int r = 0;

    if (there(stage, n->old, &st)) {
        if (!there(stage, n->staged, &st))
            r = rename_new(parent, name, stage, n->staged);
        return r < 0 ? r : rename_new(stage, n->old, parent, name);
    }
    if (there(stage, n->staged, &st) && st.st_ino == op->new_ino)
        return 0;
    return rename_at(stage, n->staged, parent, name, RENAME_EXCHANGE);
}

/*
 * Its directory cannot be had, as why says: is there nothing to take back? Not of what was not done; nor,
 * when all is done again, of what lies in a directory that has been moved away or is a link by now: there it stays.
 */
static bool is_let_be(int stage, const struct op *op, const struct names *n, bool again, int why)
{
    struct stat st;

    if (again && (why == -ELOOP || why == -ENOENT || why == -ENOTDIR))
        return true;
    if (op->kind == OP_TAKE)
        return !there(stage, n->old, &st);
    return (op->kind == OP_PUT || op->kind == OP_SWAP) && there(stage, n->staged, &st) &&
           st.st_ino == op->new_ino;
}

/* Of what was not done it does nothing. */
static int undo_op(int dir, int stage, const struct op *op, bool again)
{
    const char *name;
    struct names n;
    struct stat st;
    int parent = tree_parent(dir, op->path, &name), r = 0;

    name_op(op, &n);
    if (parent < 0)
        return is_let_be(stage, op, &n, again, parent) ? 0 : parent;
    switch ((enum op_kind)op->kind) {
    case OP_MKDIR: /* one that was there before is not empty, or it is no loss */
        if (op->old.ino == 0)
            unlinkat(parent, name, AT_REMOVEDIR);
        break;
    case OP_PUT:
        r = undo_put(stage, parent, name, op, n.staged);
        break;
    case OP_SWAP:
        r = undo_swap(stage, parent, name, op, &n);
        break;
    case OP_TAKE:
        if (there(stage, n.old, &st))
            r = rename_new(stage, n.old, parent, name);
        break;
    case OP_ATTR:
        if (there(parent, name, &st) && st.st_ino == op->old.ino && st.st_dev == op->old.dev)
            r = set_attr(parent, name, op->old.mode & 07777, op->old.mtime_sec, op->old.mtime_nsec,
                         &op->old);
        break;
    }
    close(parent);
    return r;
}

/* Directories get their modes last: what they hold has to be put there. */
static int finish_dirs(int dir, const struct plan *p, const char **ret_path)
{
    int r = 0;

    for (unsigned i = p->n; r == 0 && i-- > 0;) {
        const struct op *op = &p->ops[i];
        const char *name;
        int parent;

        if (op->kind != OP_MKDIR || op->mtime_nsec == MTIME_NONE)
            continue;
        *ret_path = op->path;
        parent = tree_parent(dir, op->path, &name);
        if (parent < 0)
            return parent;
        r = set_attr(parent, name, op->mode, op->mtime_sec, op->mtime_nsec, NULL);
        close(parent);
    }
    return r;
}

int journal_move(struct journal *j, const struct plan *p, bool again, const char **ret_path)
{
    unsigned done = 0;
    int r = 0, undone = 0;

    *ret_path = "";
    while (r == 0 && done < p->n) {
        *ret_path = p->ops[done].path;
        r = do_op(j->dir, j->stage, &p->ops[done]);
        done += r == 0;
    }
    if (r == 0)
        r = finish_dirs(j->dir, p, ret_path);
    if (r == 0)
        return 0;
    if (again) /* an interrupted writer had come further, perhaps */
        done = p->n;
    while (done-- > 0) {
        int e = undo_op(j->dir, j->stage, &p->ops[done], again);

        undone = undone ? undone : e;
    }
    return undone ? -EREMOTEIO : r;
}
