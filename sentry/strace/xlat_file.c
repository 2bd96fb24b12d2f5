/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of values: calls on files. An entry that covers several bits stands before those bits.
 * Values that our libc's headers do not know yet are literal.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sentry/strace/xlat.h"

static const struct xlat t_filetype[] = {
    X(S_IFREG), X(S_IFDIR), X(S_IFLNK), X(S_IFCHR), X(S_IFBLK), X(S_IFIFO), X(S_IFSOCK),
};
XSET(x_filetype, t_filetype, "S_IF");

static const struct xlat t_modebits[] = {
    X(S_ISUID),
    X(S_ISGID),
    X(S_ISVTX),
};
XSET(x_modebits, t_modebits, "S_I");

static const struct xlat t_open[] = {
    X(O_CREAT),
    X(O_EXCL),
    X(O_NOCTTY),
    X(O_TRUNC),
    X(O_APPEND),
    X(O_NONBLOCK),
    X(O_SYNC),
    X(O_DSYNC),
    X(O_ASYNC),
    X(O_DIRECT),
    { 0100000, "O_LARGEFILE" },
    X(O_TMPFILE),
    X(O_DIRECTORY),
    X(O_NOFOLLOW),
    X(O_NOATIME),
    X(O_CLOEXEC),
    X(O_PATH),
};
XSET(x_open, t_open, "O_");

static const struct xlat t_at[] = {
    X(AT_SYMLINK_NOFOLLOW), X(AT_EMPTY_PATH),      X(AT_NO_AUTOMOUNT), X(AT_SYMLINK_FOLLOW),
    X(AT_STATX_FORCE_SYNC), X(AT_STATX_DONT_SYNC), X(AT_RECURSIVE),
};
XSET(x_at, t_at, "AT_");

static const struct xlat t_accmode[] = {
    X(F_OK),
    X(R_OK),
    X(W_OK),
    X(X_OK),
};
XSET(x_accmode, t_accmode, "?_OK");

static const struct xlat t_unlink[] = {
    X(AT_REMOVEDIR),
};
XSET(x_unlink, t_unlink, "AT_");

static const struct xlat t_faccess[] = {
    X(AT_EACCESS),
    X(AT_SYMLINK_NOFOLLOW),
    X(AT_EMPTY_PATH),
};
XSET(x_faccess, t_faccess, "AT_");

static const struct xlat t_whence[] = {
    X(SEEK_SET), X(SEEK_CUR), X(SEEK_END), X(SEEK_DATA), X(SEEK_HOLE),
};
XSET(x_whence, t_whence, "SEEK_");

static const struct xlat t_fadvice[] = {
    X(POSIX_FADV_NORMAL),   X(POSIX_FADV_RANDOM),   X(POSIX_FADV_SEQUENTIAL),
    X(POSIX_FADV_WILLNEED), X(POSIX_FADV_DONTNEED), X(POSIX_FADV_NOREUSE),
};
XSET(x_fadvice, t_fadvice, "POSIX_FADV_");

static const struct xlat t_epctl[] = {
    X(EPOLL_CTL_ADD),
    X(EPOLL_CTL_DEL),
    X(EPOLL_CTL_MOD),
};
XSET(x_epctl, t_epctl, "EPOLL_CTL_");

static const struct xlat t_mount[] = {
    X(MS_RDONLY),      X(MS_NOSUID),   X(MS_NODEV),   X(MS_NOEXEC),  X(MS_SYNCHRONOUS),
    X(MS_REMOUNT),     X(MS_MANDLOCK), X(MS_DIRSYNC), X(MS_NOATIME), X(MS_NODIRATIME),
    X(MS_BIND),        X(MS_MOVE),     X(MS_REC),     X(MS_SILENT),  X(MS_POSIXACL),
    X(MS_UNBINDABLE),  X(MS_PRIVATE),  X(MS_SLAVE),   X(MS_SHARED),  X(MS_RELATIME),
    X(MS_STRICTATIME), X(MS_LAZYTIME),
};
XSET(x_mount, t_mount, "MS_");

static const struct xlat t_umount[] = {
    X(MNT_FORCE),
    X(MNT_DETACH),
    X(MNT_EXPIRE),
    X(UMOUNT_NOFOLLOW),
};
XSET(x_umount, t_umount, "MNT_");

static const struct xlat t_xattr[] = {
    X(XATTR_CREATE),
    X(XATTR_REPLACE),
};
XSET(x_xattr, t_xattr, "XATTR_");

static const struct xlat t_inotify[] = {
    X(IN_ACCESS),
    X(IN_MODIFY),
    X(IN_ATTRIB),
    X(IN_CLOSE_WRITE),
    X(IN_CLOSE_NOWRITE),
    X(IN_OPEN),
    X(IN_MOVED_FROM),
    X(IN_MOVED_TO),
    X(IN_CREATE),
    X(IN_DELETE),
    X(IN_DELETE_SELF),
    X(IN_MOVE_SELF),
    X(IN_UNMOUNT),
    X(IN_Q_OVERFLOW),
    X(IN_IGNORED),
    X(IN_ONLYDIR),
    X(IN_DONT_FOLLOW),
    X(IN_EXCL_UNLINK),
    { 0x10000000, "IN_MASK_CREATE" },
    X(IN_MASK_ADD),
    X(IN_ISDIR),
    X(IN_ONESHOT),
};
XSET(x_inotify, t_inotify, "IN_");

static const struct xlat t_in[] = {
    X(IN_CLOEXEC),
    X(IN_NONBLOCK),
};
XSET(x_in, t_in, "IN_");

static const struct xlat t_splice[] = {
    X(SPLICE_F_MOVE),
    X(SPLICE_F_NONBLOCK),
    X(SPLICE_F_MORE),
    X(SPLICE_F_GIFT),
};
XSET(x_splice, t_splice, "SPLICE_F_");

static const struct xlat t_syncrange[] = {
    X(SYNC_FILE_RANGE_WAIT_BEFORE),
    X(SYNC_FILE_RANGE_WRITE),
    X(SYNC_FILE_RANGE_WAIT_AFTER),
};
XSET(x_syncrange, t_syncrange, "SYNC_FILE_RANGE_");

static const struct xlat t_falloc[] = {
    X(FALLOC_FL_KEEP_SIZE),      X(FALLOC_FL_PUNCH_HOLE), { 4, "FALLOC_FL_NO_HIDE_STALE" },
    X(FALLOC_FL_COLLAPSE_RANGE), X(FALLOC_FL_ZERO_RANGE), X(FALLOC_FL_INSERT_RANGE),
    X(FALLOC_FL_UNSHARE_RANGE),
};
XSET(x_falloc, t_falloc, "FALLOC_FL_");

static const struct xlat t_tfd[] = {
    X(TFD_CLOEXEC),
    X(TFD_NONBLOCK),
};
XSET(x_tfd, t_tfd, "TFD_");

static const struct xlat t_tfdset[] = {
    X(TFD_TIMER_ABSTIME),
    X(TFD_TIMER_CANCEL_ON_SET),
};
XSET(x_tfdset, t_tfdset, "TFD_");

static const struct xlat t_sfd[] = {
    X(SFD_CLOEXEC),
    X(SFD_NONBLOCK),
};
XSET(x_sfd, t_sfd, "SFD_");

static const struct xlat t_efd[] = {
    X(EFD_SEMAPHORE),
    X(EFD_CLOEXEC),
    X(EFD_NONBLOCK),
};
XSET(x_efd, t_efd, "EFD_");

static const struct xlat t_ep[] = {
    X(EPOLL_CLOEXEC),
};
XSET(x_ep, t_ep, "EPOLL_");

static const struct xlat t_rename[] = {
    X(RENAME_NOREPLACE),
    X(RENAME_EXCHANGE),
    X(RENAME_WHITEOUT),
};
XSET(x_rename, t_rename, "RENAME_");

static const struct xlat t_grnd[] = {
    X(GRND_NONBLOCK),
    X(GRND_RANDOM),
    X(GRND_INSECURE),
};
XSET(x_grnd, t_grnd, "GRND_");

static const struct xlat t_memfd[] = {
    X(MFD_CLOEXEC),           X(MFD_ALLOW_SEALING), X(MFD_HUGETLB),
    { 8, "MFD_NOEXEC_SEAL" }, { 16, "MFD_EXEC" },
};
XSET(x_memfd, t_memfd, "MFD_");

static const struct xlat t_rwf[] = {
    X(RWF_HIPRI),           X(RWF_DSYNC),  X(RWF_SYNC),
    X(RWF_NOWAIT),          X(RWF_APPEND), { 0x20, "RWF_NOAPPEND" },
    { 0x40, "RWF_ATOMIC" },
};
XSET(x_rwf, t_rwf, "RWF_");

static const struct xlat t_statx_mask[] = {
    X(STATX_ALL),
    X(STATX_BASIC_STATS),
    X(STATX_TYPE),
    X(STATX_MODE),
    X(STATX_NLINK),
    X(STATX_UID),
    X(STATX_GID),
    X(STATX_ATIME),
    X(STATX_MTIME),
    X(STATX_CTIME),
    X(STATX_INO),
    X(STATX_SIZE),
    X(STATX_BLOCKS),
    X(STATX_BTIME),
    X(STATX_MNT_ID),
    { 0x2000, "STATX_DIOALIGN" },
    { 0x4000, "STATX_MNT_ID_UNIQUE" },
    { 0x8000, "STATX_SUBVOL" },
    { 0x10000, "STATX_WRITE_ATOMIC" },
};
XSET(x_statx_mask, t_statx_mask, "STATX_");

static const struct xlat t_closerange[] = {
    X(CLOSE_RANGE_UNSHARE),
    X(CLOSE_RANGE_CLOEXEC),
};
XSET(x_closerange, t_closerange, "CLOSE_RANGE_");

static const struct xlat t_fcntl[] = {
    X(F_DUPFD),
    X(F_GETFD),
    X(F_SETFD),
    X(F_GETFL),
    X(F_SETFL),
    X(F_GETLK),
    X(F_SETLK),
    X(F_SETLKW),
    X(F_SETOWN),
    X(F_GETOWN),
    X(F_SETSIG),
    X(F_GETSIG),
    X(F_SETOWN_EX),
    X(F_GETOWN_EX),
    X(F_OFD_GETLK),
    X(F_OFD_SETLK),
    X(F_OFD_SETLKW),
    { 1027, "F_DUPFD_QUERY" },
    { 1028, "F_CREATED_QUERY" },
    X(F_SETLEASE),
    X(F_GETLEASE),
    X(F_NOTIFY),
    X(F_DUPFD_CLOEXEC),
    X(F_SETPIPE_SZ),
    X(F_GETPIPE_SZ),
    X(F_ADD_SEALS),
    X(F_GET_SEALS),
    X(F_GET_RW_HINT),
    X(F_SET_RW_HINT),
    X(F_GET_FILE_RW_HINT),
    X(F_SET_FILE_RW_HINT),
};
XSET(x_fcntl, t_fcntl, "F_");

static const struct xlat t_fdflags[] = {
    X(FD_CLOEXEC),
};
XSET(x_fdflags, t_fdflags, "FD_");

static const struct xlat t_lock[] = {
    X(F_RDLCK),
    X(F_WRLCK),
    X(F_UNLCK),
};
XSET(x_lock, t_lock, "F_");

static const struct xlat t_poll[] = {
    X(POLLIN),     X(POLLPRI), X(POLLOUT), X(POLLRDNORM), X(POLLRDBAND), X(POLLWRNORM),
    X(POLLWRBAND), X(POLLMSG), X(POLLERR), X(POLLHUP),    X(POLLRDHUP),  X(POLLNVAL),
};
XSET(x_poll, t_poll, "POLL");

static const struct xlat t_epoll[] = {
    X(EPOLLIN),     X(EPOLLPRI),       X(EPOLLOUT),    X(EPOLLRDNORM),  X(EPOLLRDBAND),
    X(EPOLLWRNORM), X(EPOLLWRBAND),    X(EPOLLMSG),    X(EPOLLERR),     X(EPOLLHUP),
    X(EPOLLRDHUP),  X(EPOLLEXCLUSIVE), X(EPOLLWAKEUP), X(EPOLLONESHOT), X(EPOLLET),
};
XSET(x_epoll, t_epoll, "EPOLL");

static const struct xlat t_resolve[] = {
    { 1, "RESOLVE_NO_XDEV" }, { 2, "RESOLVE_NO_MAGICLINKS" }, { 4, "RESOLVE_NO_SYMLINKS" },
    { 8, "RESOLVE_BENEATH" }, { 16, "RESOLVE_IN_ROOT" },      { 32, "RESOLVE_CACHED" },
};
XSET(x_resolve, t_resolve, "RESOLVE_");
