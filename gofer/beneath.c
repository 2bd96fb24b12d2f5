/* SPDX-License-Identifier: Apache-2.0 */
/* Opens one name beneath a directory, and says what of it an export shows. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "abi/unfenced.h"
#include "gofer/beneath.h"

#define OVERFLOW_ID 65534 /* what an id without a mapping looks like */

static bool foreign_is_root;
static bool have_openat2;

static int openat2_beneath(int dirfd, const char *name, int flags, uint32_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)flags,
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };
    for (int tries = 0;; tries++) {
        long fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        /* Something was renamed meanwhile, and the kernel could not be sure. */
        if ((errno != EAGAIN && errno != EXDEV && errno != EINTR) || tries == 32)
            return -errno;
    }
}

void beneath_init(bool lone_id)
{
    foreign_is_root = lone_id;
    /* Old hosts say ENOSYS, container profiles that do not know the call EPERM. */
    int r = openat2_beneath(-1, ".", O_PATH, 0);
    have_openat2 = r != -ENOSYS && r != -EPERM && !unfenced("beneath");
}

int name_check(const char *name, size_t len)
{
    if (len == 0 || memchr(name, '/', len) || memchr(name, 0, len))
        return -EINVAL;
    if (len > GW_NAME_MAX)
        return -ENAMETOOLONG;
    if (unfenced("names"))
        return 0;
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
        return -EINVAL;
    return 0;
}

int beneath_create(int dirfd, const char *name, int flags, uint32_t mode)
{
    flags |= O_CLOEXEC | (unfenced("beneath") ? 0 : O_NOFOLLOW);
    if (have_openat2)
        return openat2_beneath(dirfd, name, flags, mode);
    for (;;) {
        int fd = openat(dirfd, name, flags, mode);
        if (fd >= 0 || errno != EINTR)
            return fd >= 0 ? fd : -errno;
    }
}

int beneath_open(int dirfd, const char *name, int flags)
{
    return beneath_create(dirfd, name, flags, /* mode= */ 0);
}

/* In a map of one id all others look like "nobody"; what lies on a system is root's as a rule. */
static uint32_t shown_id(uint32_t id)
{
    return foreign_is_root && id == OVERFLOW_ID ? 0 : id;
}

int beneath_stat(int dirfd, const char *name, struct gw_attr *ret)
{
    struct statx st;

    if (statx(dirfd, name,
              AT_EMPTY_PATH | AT_NO_AUTOMOUNT | (unfenced("links") ? 0 : AT_SYMLINK_NOFOLLOW),
              STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
        return -errno;
    *ret = (struct gw_attr){
        .ino = st.stx_ino,
        .dev = makedev(st.stx_dev_major, st.stx_dev_minor),
        .nlink = st.stx_nlink,
        .rdev = makedev(st.stx_rdev_major, st.stx_rdev_minor),
        .size = st.stx_size,
        .blocks = st.stx_blocks,
        .mode = st.stx_mode,
        .uid = shown_id(st.stx_uid),
        .gid = shown_id(st.stx_gid),
        .blksize = st.stx_blksize,
        .atime_s = st.stx_atime.tv_sec,
        .mtime_s = st.stx_mtime.tv_sec,
        .ctime_s = st.stx_ctime.tv_sec,
        .btime_s = st.stx_btime.tv_sec,
        .atime_ns = st.stx_atime.tv_nsec,
        .mtime_ns = st.stx_mtime.tv_nsec,
        .ctime_ns = st.stx_ctime.tv_nsec,
        .btime_ns = st.stx_btime.tv_nsec,
    };
    return 0;
}

bool export_shows(const struct gofer_export *e, const struct gw_attr *a)
{
    if (!e->public_only || S_ISLNK(a->mode) || unfenced("shown"))
        return true;
    if (S_ISDIR(a->mode))
        return (a->mode & (S_IROTH | S_IXOTH)) == (S_IROTH | S_IXOTH);
    return a->mode & S_IROTH;
}

bool export_names(const struct gofer_export *e, const char *name, size_t len)
{
    if (!e->names || unfenced("shown"))
        return true;
    for (unsigned i = 0; i < e->nnames; i++)
        if (strlen(e->names[i]) == len && !memcmp(e->names[i], name, len))
            return true;
    return false;
}
