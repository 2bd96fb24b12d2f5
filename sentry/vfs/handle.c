/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See handle.h. An inode that a handle was made of is put into the table of inodes, where it is
 * found again as long as it lives: files in memory live as long as they have a name. Numbers are not
 * used again there, so the generation is always 0.
 */
#include "sentry/vfs/handle.h"

#include <errno.h>
#include <string.h>

#include "sentry/kernel/call.h"
#include "sentry/vfs/dcache.h"

void file_id_publish(struct inode *i)
{
    if (i && i->sb->exports && !__atomic_load_n(&i->hashed, __ATOMIC_ACQUIRE))
        inode_publish(i);
}

int file_id_of(struct inode *i, bool fid, struct file_id *ret)
{
    if (!i || (!fid && !i->sb->exports))
        return -EOPNOTSUPP;
    *ret = (struct file_id){ .len = 12 };
    if (i->sb->exports) {
        ret->type = LX_FILEID_INO_GEN;
        ret->bytes[1] = (uint32_t)i->ino;
        ret->bytes[2] = (uint32_t)(i->ino >> 32);
    } else {
        ret->type = LX_FILEID_INO64_GEN;
        memcpy(ret->bytes, &i->ino, sizeof i->ino);
    }
    return 0;
}

int file_id_open(struct super *sb, const struct file_id *id, struct dentry **ret)
{
    struct inode *i;

    if (!sb->exports)
        return -EOPNOTSUPP;
    if (id->type != LX_FILEID_INO_GEN || id->len < 12 || id->bytes[0])
        return -ESTALE;
    i = inode_find(sb, (uint64_t)id->bytes[2] << 32 | id->bytes[1]);
    if (i && i->nlink == 0) {
        inode_put(i);
        i = NULL;
    }
    if (!i)
        return -ESTALE;
    *ret = is_dir(i) ? inode_dir_dentry(i) : NULL;
    if (*ret)
        inode_put(i);
    else
        *ret = dentry_new_anon(i);
    return *ret ? 0 : -ENOMEM;
}
