/* SPDX-License-Identifier: Apache-2.0 */
/* See fscontext.h. */
#include "sentry/vfs/fscontext.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "sentry/fs/mem/mem.h"
#include "sentry/fs/union/union.h"
#include "sentry/ipc/mqueue.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/kernel.h"

struct option {
    const char *name;
    enum {
        OPT_NONE,
        OPT_OCTAL,
        OPT_ID,
        OPT_SIZE,
        OPT_BLOCKS,
        OPT_COUNT,
        OPT_ANY,
        OPT_OFF,
        OPT_PATH
    } kind;
    unsigned given; /* 0: it is taken, and nothing follows from it. OPT_PATH: where it is kept */
};

struct fs_type {
    const char *name;
    struct super *(*create)(struct task *t, struct fs_context *fc);
    const struct option *options;
    bool lenient; /* what it does not know is no error */
    bool of_file; /* its source is a file that it is read from */
};

static struct super *create_tmpfs(struct task *t, struct fs_context *fc)
{
    struct super *sb = tmpfs_new(fc->given & FSOPT_MODE ? fc->mode : 01777, fc->size);
    struct mem_super *ms;

    (void)t;
    if (!sb)
        return NULL;
    ms = mem_super(sb);
    ms->asked.mode = fc->given & FSOPT_MODE ? fc->mode & 07777 : 0;
    ms->asked.uid = fc->given & FSOPT_UID ? fc->uid : 0;
    ms->asked.gid = fc->given & FSOPT_GID ? fc->gid : 0;
    if (fc->given & FSOPT_UID)
        sb->root->inode->uid = fc->uid;
    if (fc->given & FSOPT_GID)
        sb->root->inode->gid = fc->gid;
    ms->max_inodes = fc->inodes;
    return sb;
}

static struct super *create_ramfs(struct task *t, struct fs_context *fc)
{
    (void)t;
    return tmpfs_new(fc->given & FSOPT_MODE ? fc->mode : 0755, 0);
}

#define CREATE(fs)                                                                                 \
    static struct super *create_##fs(struct task *t, struct fs_context *fc)                        \
    {                                                                                              \
        (void)t, (void)fc;                                                                         \
        return fs##_new();                                                                         \
    }
CREATE(proc)
CREATE(sysfs)
CREATE(devpts)
CREATE(devtmpfs)

static struct super *create_mqueue(struct task *t, struct fs_context *fc)
{
    (void)t, (void)fc;
    return mqueue_fs();
}

/* One directory; its path may have backslashes in front of what would end it. */
static int layer(struct task *t, char *path, struct path *ret)
{
    char *to = path;
    int r;

    for (char *p = path; *p; p++) {
        if (*p == '\\' && p[1])
            p++;
        *to++ = *p;
    }
    *to = 0;
    r = walk_path(t, AT_FDCWD, path, WALK_FOLLOW, ret);
    if (r == 0 && !S_ISDIR(dentry_inode(ret->dentry)->mode)) {
        path_put(ret);
        r = -EINVAL;
    }
    return r;
}

/* Takes the next path off a list with colons; NULL: there is none. */
static char *next_layer(char **list)
{
    char *start = *list, *p;

    if (!start)
        return NULL;
    for (p = start; *p && *p != ':'; p++)
        if (*p == '\\' && p[1])
            p++;
    *list = *p ? p + 1 : NULL;
    *p = 0;
    return start;
}

static int lower_layers(struct task *t, char *list, struct path *ret, unsigned *ret_n)
{
    char *path;

    while ((path = next_layer(&list))) {
        int r = *ret_n == UNION_LAYERS || !*path ? -EINVAL : layer(t, path, &ret[*ret_n]);

        if (r < 0)
            return r;
        ++*ret_n;
    }
    return 0;
}

/* A file system in memory can be written to, and keeps what an upper layer has to. */
static int upper_layer(struct task *t, struct fs_context *fc, struct path *upper)
{
    struct path work;
    int r = fc->work ? layer(t, fc->upper, upper) : -EINVAL;

    if (r < 0)
        return r;
    r = layer(t, fc->work, &work);
    if (r < 0)
        return r;
    if (work.dentry->sb != upper->dentry->sb || work.dentry == upper->dentry ||
        !upper->dentry->sb->exports || mnt_want_write(upper) < 0)
        r = -EINVAL;
    path_put(&work);
    return r;
}

static struct super *create_overlay(struct task *t, struct fs_context *fc)
{
    struct path *lower = kzalloc(UNION_LAYERS * sizeof *lower), upper = {};
    struct super *sb = NULL;
    unsigned n = 0;
    int r = !lower ? -ENOMEM : !fc->lower ? -EINVAL : 0;

    if (r == 0 && fc->upper)
        r = upper_layer(t, fc, &upper);
    if (r == 0)
        r = lower_layers(t, fc->lower, lower, &n);
    if (r == 0)
        sb = union_new(fc->upper ? &upper : NULL, lower, n);
    while (n)
        path_put(&lower[--n]);
    path_put(&upper);
    kfree(lower);
    return r < 0 ? ERR_PTR(r) : sb;
}

/* The source is a file of the sandbox's, and the rights on it are the caller's. */
static struct super *create_image(struct task *t, struct fs_context *fc)
{
    struct path at;
    struct file *f;
    int r;

    if (!fc->source || !*fc->source)
        return ERR_PTR(-EINVAL);
    r = walk_path(t, AT_FDCWD, fc->source, WALK_FOLLOW, &at);
    if (r < 0)
        return ERR_PTR(r);
    r = S_ISREG(dentry_inode(at.dentry)->mode) ? inode_permission(t, dentry_inode(at.dentry), R_OK)
                                               : -ENOTBLK;
    f = r < 0 ? ERR_PTR(r) : vfs_open_inode(NULL, &at, O_RDONLY);
    path_put(&at);
    return IS_ERR(f) ? (struct super *)f : image_new(fc->type->name, f);
}

static const struct option no_options[] = { { NULL, OPT_NONE, 0 } };
static const struct option tmpfs_options[] = {
    { "mode", OPT_OCTAL, FSOPT_MODE },
    { "uid", OPT_ID, FSOPT_UID },
    { "gid", OPT_ID, FSOPT_GID },
    { "size", OPT_SIZE, FSOPT_SIZE },
    { "nr_blocks", OPT_BLOCKS, FSOPT_SIZE },
    { "nr_inodes", OPT_COUNT, FSOPT_INODES },
    { "huge", OPT_ANY, 0 },
    { "mpol", OPT_ANY, 0 },
    { "inode32", OPT_NONE, 0 },
    { "inode64", OPT_NONE, 0 },
    { "noswap", OPT_NONE, 0 },
    { NULL, OPT_NONE, 0 },
};
static const struct option ramfs_options[] = { { "mode", OPT_OCTAL, FSOPT_MODE },
                                               { NULL, OPT_NONE, 0 } };
static const struct option proc_options[] = {
    { "hidepid", OPT_ANY, 0 },
    { "gid", OPT_ID, 0 },
    { "subset", OPT_ANY, 0 },
    { NULL, OPT_NONE, 0 },
};
static const struct option devpts_options[] = {
    { "mode", OPT_OCTAL, 0 },     { "uid", OPT_ID, 0 },  { "gid", OPT_ID, 0 },
    { "ptmxmode", OPT_OCTAL, 0 }, { "max", OPT_ANY, 0 }, { "newinstance", OPT_NONE, 0 },
    { NULL, OPT_NONE, 0 },
};

static const struct option overlay_options[] = {
    { "lowerdir", OPT_PATH, offsetof(struct fs_context, lower) },
    { "upperdir", OPT_PATH, offsetof(struct fs_context, upper) },
    { "workdir", OPT_PATH, offsetof(struct fs_context, work) },
    { "redirect_dir", OPT_OFF, 0 },
    { "index", OPT_OFF, 0 },
    { "metacopy", OPT_OFF, 0 },
    { "nfs_export", OPT_OFF, 0 },
    { "xino", OPT_ANY, 0 },
    { "uuid", OPT_ANY, 0 },
    { "volatile", OPT_NONE, 0 },
    { NULL, OPT_NONE, 0 },
};
static const struct option squashfs_options[] = {
    { "errors", OPT_ANY, 0 },
    { "threads", OPT_ANY, 0 },
    { NULL, OPT_NONE, 0 },
};
static const struct option erofs_options[] = {
    { "user_xattr", OPT_NONE, 0 }, { "nouser_xattr", OPT_NONE, 0 },  { "acl", OPT_NONE, 0 },
    { "noacl", OPT_NONE, 0 },      { "cache_strategy", OPT_ANY, 0 }, { NULL, OPT_NONE, 0 },
};

/* In the order of /proc/filesystems. */
static const struct fs_type types[] = {
    { .name = "sysfs", .create = create_sysfs, .options = no_options },
    { .name = "tmpfs", .create = create_tmpfs, .options = tmpfs_options },
    { .name = "proc", .create = create_proc, .options = proc_options },
    { .name = "devtmpfs", .create = create_devtmpfs, .options = tmpfs_options },
    { .name = "devpts", .create = create_devpts, .options = devpts_options },
    { .name = "overlay", .create = create_overlay, .options = overlay_options },
    { .name = "ramfs", .create = create_ramfs, .options = ramfs_options, .lenient = true },
    { .name = "sockfs", .options = no_options },
    { .name = "pipefs", .options = no_options },
    { .name = "mqueue", .create = create_mqueue, .options = no_options },
    { .name = "squashfs", .create = create_image, .options = squashfs_options, .of_file = true },
    { .name = "erofs", .create = create_image, .options = erofs_options, .of_file = true },
};

const char *fs_type_name(unsigned n, bool *ret_nodev)
{
    if (n >= ARRAY_SIZE(types))
        return NULL;
    *ret_nodev = !types[n].of_file;
    return types[n].name;
}

int fs_type_index(const char *name)
{
    for (unsigned n = 0; n < ARRAY_SIZE(types); n++)
        if (!strcmp(types[n].name, name))
            return (int)n;
    return -1;
}

int fscontext_init(struct fs_context *fc, const char *type)
{
    int n = fs_type_index(type);

    if (n < 0)
        return -ENODEV;
    *fc = (struct fs_context){ .type = &types[n] };
    return 0;
}

void fscontext_done(struct fs_context *fc)
{
    kfree(fc->source);
    kfree(fc->lower);
    kfree(fc->upper);
    kfree(fc->work);
    fc->source = fc->lower = fc->upper = fc->work = NULL;
}

static int number(const char *s, int base, uint64_t max, uint64_t *ret)
{
    char *end;

    if (!s || *s < '0' || *s > '9')
        return -EINVAL;
    errno = 0;
    *ret = strtoull(s, &end, base);
    return errno || *end || *ret > max ? -EINVAL : 0;
}

/* "10k", "1G", "50%" (of the memory there is). */
static int size_in(const char *s, bool percent, uint64_t *ret)
{
    static const char units[] = "kmgtpe";
    const char *u;
    char *end;

    if (!s || *s < '0' || *s > '9')
        return -EINVAL;
    errno = 0;
    *ret = strtoull(s, &end, 0);
    if (errno)
        return -EINVAL;
    if (percent && *end == '%') {
        if (*ret > 100)
            return -EINVAL;
        *ret = *ret * (kernel.mem_total / 100);
        end++;
    } else if (*end && (u = strchr(units, *end | 32))) {
        unsigned shift = 10 * (unsigned)(u - units + 1);

        if (*ret > UINT64_MAX >> shift)
            return -EINVAL;
        *ret <<= shift;
        end++;
    }
    return *end ? -EINVAL : 0;
}

static int keep(const char *value, char **to)
{
    char *copy;

    if (!value || !*value)
        return -EINVAL;
    copy = kstrdup(value);
    if (!copy)
        return -ENOMEM;
    kfree(*to);
    *to = copy;
    return 0;
}

static int take_value(struct fs_context *fc, const struct option *o, const char *value)
{
    uint64_t v = 0;
    int r = 0;

    switch (o->kind) {
    case OPT_NONE:
        return value ? -EINVAL : 0;
    case OPT_ANY:
        return value ? 0 : -EINVAL;
    case OPT_OFF: /* what is not there can be switched off */
        return value && (!strcmp(value, "off") || !strcmp(value, "nofollow")) ? 0 : -EINVAL;
    case OPT_PATH:
        return keep(value, (char **)(void *)((char *)fc + o->given));
    case OPT_OCTAL:
        r = number(value, 8, UINT32_MAX, &v);
        break;
    case OPT_ID:
        r = number(value, 10, UINT32_MAX - 1, &v);
        break;
    default:
        r = size_in(value, o->kind == OPT_SIZE, &v);
        if (o->kind == OPT_BLOCKS && v > UINT64_MAX / PAGE_SIZE_4K)
            r = -EINVAL;
    }
    if (r < 0)
        return r;
    fc->given |= o->given;
    if (o->given & FSOPT_MODE)
        fc->mode = (uint32_t)v & 07777;
    if (o->given & FSOPT_UID)
        fc->uid = (uint32_t)v;
    if (o->given & FSOPT_GID)
        fc->gid = (uint32_t)v;
    if (o->given & FSOPT_SIZE)
        fc->size = o->kind == OPT_BLOCKS ? v * PAGE_SIZE_4K : PAGE_ALIGN_UP(v);
    if (o->given & FSOPT_INODES)
        fc->inodes = v;
    return 0;
}

bool fscontext_general(struct fs_context *fc, const char *key)
{
    static const struct {
        const char *name;
        unsigned flag;
        bool set;
    } flags[] = {
        { "ro", MS_RDONLY, true },
        { "rw", MS_RDONLY, false },
        { "sync", MS_SYNCHRONOUS, true },
        { "async", MS_SYNCHRONOUS, false },
        { "dirsync", MS_DIRSYNC, true },
        { "mand", MS_MANDLOCK, true },
        { "nomand", MS_MANDLOCK, false },
        { "lazytime", MS_LAZYTIME, true },
        { "nolazytime", MS_LAZYTIME, false },
    };

    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        if (strcmp(key, flags[i].name) != 0)
            continue;
        fc->sb_mask |= flags[i].flag;
        fc->sb_flags = flags[i].set ? fc->sb_flags | flags[i].flag : fc->sb_flags & ~flags[i].flag;
        return true;
    }
    return false;
}

int fscontext_option(struct fs_context *fc, const char *key, const char *value)
{
    if (!*key)
        return -EINVAL;
    if (fscontext_general(fc, key))
        return 0;
    for (const struct option *o = fc->type->options; o->name; o++)
        if (!strcmp(o->name, key))
            return take_value(fc, o, value);
    if (!strcmp(key, "source")) {
        if (!value || fc->source)
            return -EINVAL;
        fc->source = kstrdup(value);
        return fc->source ? 0 : -ENOMEM;
    }
    return fc->type->lenient ? 0 : -EINVAL;
}

int fscontext_options(struct fs_context *fc, char *opts)
{
    char *save = NULL;

    for (char *o = strtok_r(opts, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
        char *value = strchr(o, '=');
        int r;

        if (value)
            *value++ = 0;
        r = fscontext_option(fc, o, value);
        if (r < 0)
            return r;
    }
    return 0;
}

struct super *fscontext_create(struct task *t, struct fs_context *fc)
{
    struct super *sb;

    if (!fc->type->create)
        return ERR_PTR(-EINVAL);
    sb = fc->type->create(t, fc);
    if (!sb)
        return ERR_PTR(-ENOMEM);
    if (IS_ERR(sb))
        return sb;
    if (fc->sb_mask & MS_RDONLY)
        sb->readonly = sb->readonly || fc->sb_flags & MS_RDONLY;
    sb->flags |= fc->sb_flags & (MS_SYNCHRONOUS | MS_DIRSYNC | MS_LAZYTIME);
    return sb;
}

int fscontext_reconfigure(struct fs_context *fc, struct super *sb)
{
    struct mem_super *ms;

    if (fc->type->create == create_tmpfs) {
        ms = mem_super(sb);
        if (fc->given & FSOPT_SIZE && fc->size && fc->size < atomic_load(&ms->quota.used))
            return -EINVAL;
        if (fc->given & FSOPT_INODES && fc->inodes && fc->inodes < atomic_load(&ms->inodes))
            return -EINVAL;
        if (fc->given & FSOPT_SIZE)
            ms->quota.max = fc->size;
        if (fc->given & FSOPT_INODES)
            ms->max_inodes = fc->inodes;
    }
    if (fc->sb_mask & MS_RDONLY && !fc->type->of_file) /* an image stays what it is */
        sb->readonly = fc->sb_flags & MS_RDONLY;
    return 0;
}
