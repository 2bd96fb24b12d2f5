/* SPDX-License-Identifier: Apache-2.0 */
/* open, openat, openat2, creat. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>

#include "abi/fs.h"
#include "sentry/kernel/call.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/table.h"

#define LX_O_LARGEFILE 0100000 /* libc calls it 0 */
#define LX_O_TMPFILE 020000000 /* the bit alone */
#define PATH_FLAGS (O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)
#define ALL_FLAGS                                                                                  \
    (LX_O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |       \
     O_DSYNC | O_ASYNC | O_DIRECT | LX_O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME |        \
     O_CLOEXEC | O_PATH | LX_O_TMPFILE)

/* What is wrong with flags in every kind of open. */
static int check_flags(unsigned flags)
{
    if ((flags & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT))
        return -EINVAL;
    if (flags & LX_O_TMPFILE && (!(flags & O_DIRECTORY) || (flags & LX_O_ACCMODE) == O_RDONLY))
        return -EINVAL;
    return 0;
}

static long open_path(struct task *t, int dfd, gaddr_t upath, unsigned flags, unsigned mode,
                      unsigned walk)
{
    char path[PATH_MAX];
    struct file *f;
    int r = check_flags(flags);

    if (r == 0)
        r = path_in(t, path, upath);
    if (r < 0)
        return r;
    if (flags & O_SYNC & ~O_DSYNC)
        flags |= O_DSYNC;
    f = vfs_open_how(t, dfd, path, flags, mode, walk);
    if (IS_ERR(f))
        return PTR_ERR(f);
    return fd_install(t, f, 0, flags & O_CLOEXEC);
}

unsigned open_flags(int oflags)
{
    unsigned flags = (oflags & ALL_FLAGS) | LX_O_LARGEFILE;

    return flags & O_PATH ? flags & PATH_FLAGS : flags;
}

long sys_openat(struct task *t, int dfd, gaddr_t path, int oflags, unsigned mode)
{
    return open_path(t, dfd, path, open_flags(oflags), mode & 07777, 0);
}

long sys_open(struct task *t, gaddr_t path, int flags, unsigned mode)
{
    return sys_openat(t, AT_FDCWD, path, flags, mode);
}

long sys_creat(struct task *t, gaddr_t path, unsigned mode)
{
    return sys_openat(t, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* A structure that may be longer than we know, if what is behind is zero. */
static int how_in(struct task *t, struct lx_open_how *how, gaddr_t at, size_t size)
{
    size_t known = sizeof *how;
    uint8_t rest[PAGE_SIZE_4K];

    if (size < LX_OPEN_HOW_SIZE_VER0)
        return -EINVAL;
    if (size > PAGE_SIZE_4K)
        return -E2BIG;
    if (copy_in(t, how, at, known) < 0 ||
        (size > known && copy_in(t, rest, at + known, size - known) < 0))
        return -EFAULT;
    for (size_t i = 0; i < size - known; i++)
        if (rest[i])
            return -E2BIG;
    return 0;
}

static int walk_of_resolve(uint64_t resolve, unsigned *ret)
{
    static const struct {
        uint64_t resolve;
        unsigned walk;
    } map[] = {
        { RESOLVE_NO_XDEV, WALK_NO_XDEV },         { RESOLVE_NO_MAGICLINKS, WALK_NO_MAGIC },
        { RESOLVE_NO_SYMLINKS, WALK_NO_SYMLINKS }, { RESOLVE_BENEATH, WALK_BENEATH },
        { RESOLVE_IN_ROOT, WALK_IN_ROOT },         { RESOLVE_CACHED, WALK_CACHED },
    };

    *ret = 0;
    for (size_t i = 0; i < ARRAY_SIZE(map); i++)
        if (resolve & map[i].resolve) {
            *ret |= map[i].walk;
            resolve &= ~map[i].resolve;
        }
    if (resolve || (*ret & WALK_BENEATH && *ret & WALK_IN_ROOT))
        return -EINVAL;
    return 0;
}

long sys_openat2(struct task *t, int dfd, gaddr_t path, gaddr_t uhow, size_t size)
{
    struct lx_open_how how;
    unsigned walk = 0;
    int r = how_in(t, &how, uhow, size);

    if (r == 0 && how.flags & ~(uint64_t)ALL_FLAGS)
        r = -EINVAL;
    if (r == 0)
        r = walk_of_resolve(how.resolve, &walk);
    if (r < 0)
        return r;
    if (how.flags & (O_CREAT | LX_O_TMPFILE) ? how.mode & ~07777ull : how.mode)
        return -EINVAL;
    if (how.flags & O_PATH && how.flags & ~(uint64_t)PATH_FLAGS)
        return -EINVAL;
    if (walk & WALK_CACHED && how.flags & (O_TRUNC | O_CREAT | LX_O_TMPFILE))
        return -EAGAIN;
    return open_path(t, dfd, path, how.flags, how.mode, walk);
}
