/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and flags: for each kind the values that mean something. See random_flags.h. */
#include "random_flags.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#define LIST(name, ...) static const uint64_t name[] = { __VA_ARGS__ }
#define ONE(kind, list)                                                                            \
    {                                                                                              \
        K_##kind, false, list, sizeof list / sizeof *list                                          \
    }
#define ANY(kind, list)                                                                            \
    {                                                                                              \
        K_##kind, true, list, sizeof list / sizeof *list                                           \
    }

LIST(oflags, O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, O_APPEND, O_NONBLOCK,
     O_DSYNC, O_DIRECT, O_DIRECTORY, O_NOFOLLOW, O_NOATIME, O_CLOEXEC, O_PATH, O_TMPFILE, O_ASYNC);
LIST(prot, PROT_READ, PROT_WRITE, PROT_EXEC, PROT_READ | PROT_WRITE, PROT_GROWSDOWN);
LIST(mapflags, MAP_SHARED, MAP_PRIVATE, MAP_ANONYMOUS, MAP_ANONYMOUS, MAP_PRIVATE, MAP_FIXED,
     MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_NORESERVE, MAP_POPULATE, MAP_STACK, MAP_HUGETLB,
     MAP_LOCKED, 0x40 /* MAP_32BIT */);
LIST(mremapflags, 1, 2, 4);
LIST(msyncflags, MS_ASYNC, MS_SYNC, MS_INVALIDATE);
LIST(accmode, 1, 2, 4);
LIST(socktype, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_NONBLOCK | SOCK_STREAM,
     SOCK_CLOEXEC | SOCK_DGRAM);
LIST(sockflags, SOCK_NONBLOCK, SOCK_CLOEXEC);
LIST(msgflags, MSG_OOB, MSG_PEEK, MSG_DONTROUTE, MSG_CTRUNC, MSG_TRUNC, MSG_DONTWAIT, MSG_DONTWAIT,
     MSG_EOR, MSG_WAITALL, MSG_NOSIGNAL, MSG_MORE, MSG_WAITFORONE, MSG_CMSG_CLOEXEC);
LIST(cloneflags, CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_PIDFD, CLONE_VFORK,
     CLONE_PARENT, CLONE_THREAD, CLONE_SYSVSEM, CLONE_SETTLS, CLONE_PARENT_SETTID,
     CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_NEWUSER, CLONE_NEWNS, SIGCHLD, SIGCHLD,
     SIGUSR1, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD);
LIST(waitopts, WNOHANG, WNOHANG, WUNTRACED, WCONTINUED, WEXITED, WNOWAIT, __WALL, __WCLONE);
LIST(flockop, 1, 2, 4, 8);
LIST(mountflags, MS_RDONLY, MS_NOSUID, MS_BIND, MS_REC, MS_MOVE, MS_REMOUNT, MS_PRIVATE, MS_SHARED);
LIST(umountflags, MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW);
LIST(xattrflags, 1, 2);
LIST(timerflags, TIMER_ABSTIME);
LIST(inotifymask, IN_ACCESS, IN_MODIFY, IN_ATTRIB, IN_CLOSE, IN_OPEN, IN_MOVE, IN_CREATE, IN_DELETE,
     IN_DELETE_SELF, IN_ONLYDIR, IN_DONT_FOLLOW, IN_EXCL_UNLINK, IN_MASK_ADD, IN_ONESHOT);
LIST(nonblock_cloexec, O_NONBLOCK, O_CLOEXEC, 1);
LIST(atflags, AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_REMOVEDIR,
     AT_EACCESS);
LIST(small_bits, 1, 2, 4, 8, 16);
LIST(rwf, 1, 2, 4, 8, 16);
LIST(statxmask, 1, 2, 0x7ff, 0xfff, 0x1000, 0x80000000u);
LIST(falloc, 1, 2, 8, 16, 32, 64);
LIST(signals, SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGCHLD, SIGCONT, SIGWINCH, SIGURG, SIGPIPE,
     SIGALRM, SIGTERM, SIGSTOP, SIGTSTP, SIGKILL, 33, 34, 40, 64, 0);
LIST(whence, 0, 1, 2, 3, 4);
LIST(madvice, 0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 100);
LIST(af, AF_UNIX, AF_UNIX, AF_INET, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNSPEC);
LIST(proto, 0, 0, 0, 6, 17, 1, 255);
LIST(clockid, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, (uint32_t)-6, (uint32_t)-2, (uint32_t)-14);
LIST(solevel, SOL_SOCKET, SOL_SOCKET, 6, 0, 41, 17, 270);
LIST(fcntlcmd, F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETOWN, F_GETOWN,
     F_SETSIG, F_GETSIG, F_SETOWN_EX, F_GETOWN_EX, F_OFD_GETLK, F_OFD_SETLK, F_SETLEASE, F_GETLEASE,
     F_NOTIFY, F_DUPFD_CLOEXEC, F_SETPIPE_SZ, F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS, F_SETLKW);
LIST(ioctlcmd, TCGETS, TCSETS, TCSETSW, TIOCGWINSZ, TIOCSWINSZ, TIOCGPGRP, TIOCSPGRP, TIOCSCTTY,
     TIOCNOTTY, TIOCGPTN, TIOCSPTLCK, TIOCSTI, FIONREAD, FIONBIO, FIOASYNC, FIOCLEX, FIONCLEX,
     TIOCGSID, TIOCPKT, TCFLSH, TCXONC, TCSBRK, TIOCOUTQ, 0x8912 /* SIOCGIFCONF */, 0x8913, 0x8915,
     0x8927, 0x541b, 0x5441 /* TIOCGPTPEER */, FS_IOC_GETFLAGS, FICLONE, 0x6601);
LIST(futexop, FUTEX_WAKE, FUTEX_WAIT, FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP,
     FUTEX_LOCK_PI, FUTEX_UNLOCK_PI, FUTEX_TRYLOCK_PI, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET,
     FUTEX_WAIT_REQUEUE_PI, FUTEX_CMP_REQUEUE_PI, FUTEX_WAKE | 128, FUTEX_WAIT | 128,
     FUTEX_WAIT_BITSET | 128, FUTEX_CMP_REQUEUE | 128, FUTEX_WAIT_BITSET | 128 | 256);
LIST(prctlop, 1, 2, 3, 4, 7, 8, 13, 14, 15, 16, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 35,
     36, 37, 38, 39, 40, 41, 42, 47, 53, 62, 0x53564d41, 0x59616d61);
LIST(archprctl, 0x1001, 0x1002, 0x1003, 0x1004, 0x1011, 0x1012, 0x2001, 0x3001);
LIST(mknodmode, S_IFREG | 0644, S_IFIFO | 0666, S_IFSOCK | 0600, S_IFCHR | 0600, S_IFBLK | 0600,
     S_IFDIR | 0700, 0644);
LIST(modes, 0644, 0755, 0, 07777, 0600, 0111, 04755, 01777);
LIST(devs, 0x103, 0x105, 0x500, 0x502, 0x800, 0);
LIST(ids, 0, 1000, 1001, 65534, (uint32_t)-1, (uint32_t)-2);
LIST(membarrier, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512);
LIST(epctl, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLL_CTL_ADD);
LIST(pers, 0, 0x40000, 0x400000, 0x8, 0xffffffff);
LIST(persflags, 1, 4, 16);

static const struct flag_list lists[] = {
    ANY(OFLAGS, oflags),
    ANY(PROT, prot),
    ANY(MAPFLAGS, mapflags),
    ANY(MREMAPFLAGS, mremapflags),
    ANY(MSYNCFLAGS, msyncflags),
    ANY(ACCMODE, accmode),
    ONE(SOCKTYPE, socktype),
    ANY(SOCKFLAGS, sockflags),
    ANY(MSGFLAGS, msgflags),
    ANY(CLONEFLAGS, cloneflags),
    ANY(WAITOPTS, waitopts),
    ANY(FLOCKOP, flockop),
    ANY(MOUNTFLAGS, mountflags),
    ANY(UMOUNTFLAGS, umountflags),
    ANY(XATTRFLAGS, xattrflags),
    ANY(TIMERFLAGS, timerflags),
    ANY(INOTIFYMASK, inotifymask),
    ANY(INFLAGS, nonblock_cloexec),
    ANY(TFDFLAGS, nonblock_cloexec),
    ANY(SFDFLAGS, nonblock_cloexec),
    ANY(EFDFLAGS, nonblock_cloexec),
    ANY(EPFLAGS, nonblock_cloexec),
    ANY(ATFLAGS, atflags),
    ANY(UNLINKFLAGS, atflags),
    ANY(FACCESSFLAGS, atflags),
    ANY(SPLICEFLAGS, small_bits),
    ANY(SYNCRANGEFLAGS, small_bits),
    ANY(MLOCKALLFLAGS, small_bits),
    ANY(MLOCKFLAGS, small_bits),
    ANY(TFDSETFLAGS, small_bits),
    ANY(RENAMEFLAGS, small_bits),
    ANY(GRNDFLAGS, small_bits),
    ANY(MEMFDFLAGS, small_bits),
    ANY(CLOSERANGEFLAGS, small_bits),
    ANY(PIDFDFLAGS, nonblock_cloexec),
    ANY(FALLOCMODE, falloc),
    ANY(RWFFLAGS, rwf),
    ANY(STATXMASK, statxmask),
    ONE(SIGNAL, signals),
    ONE(WHENCE, whence),
    ONE(MADVICE, madvice),
    ONE(AF, af),
    ONE(PROTO, proto),
    ONE(CLOCKID, clockid),
    ONE(SOLEVEL, solevel),
    ONE(FCNTL, fcntlcmd),
    ONE(IOCTL, ioctlcmd),
    ONE(FUTEXOP, futexop),
    ONE(PRCTL, prctlop),
    ONE(ARCHPRCTL, archprctl),
    ONE(MKNODMODE, mknodmode),
    ONE(MODE, modes),
    ONE(DEV, devs),
    ONE(UID, ids),
    ONE(GID, ids),
    ONE(MEMBARRIERCMD, membarrier),
    ONE(EPCTL, epctl),
    ONE(PERSONALITY, pers),
    ANY(SHMGETFLAGS, persflags),
};

const struct flag_list *flag_list(enum arg_kind kind)
{
    for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (lists[i].kind == kind)
            return &lists[i];
    }
    return NULL;
}
