/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of operations. What is not in it is refused as by a kernel that does not know it, and not
 * told of by IORING_REGISTER_PROBE: the futex operations (most futexes never come here).
 */
#include "sentry/uring/ops.h"

#include <poll.h>

#include "sentry/uring/uring.h"

#define READS (POLLIN | POLLRDNORM)
#define WRITES (POLLOUT | POLLWRNORM)
#define RW (UOP_FILE | UOP_PRIO)
#define NET (UOP_FILE | UOP_NO_IOPOLL)
#define NAME UOP_NO_IOPOLL

static const struct uop table[LX_OP_LAST] = {
    [LX_OP_NOP] = { nop_prep, nop_issue, NULL, 0, 0 },
    [LX_OP_READV] = { rwv_prep, rw_issue, rw_cleanup, RW | UOP_SELECT, READS },
    [LX_OP_WRITEV] = { rwv_prep, rw_issue, rw_cleanup, RW, WRITES },
    [LX_OP_FSYNC] = { fsync_prep, fsync_issue, NULL, NET, 0 },
    [LX_OP_READ_FIXED] = { rw_fixed_prep, rw_issue, NULL, RW, READS },
    [LX_OP_WRITE_FIXED] = { rw_fixed_prep, rw_issue, NULL, RW, WRITES },
    [LX_OP_POLL_ADD] = { poll_add_prep, poll_add_issue, poll_add_cleanup, NET, 0 },
    [LX_OP_POLL_REMOVE] = { poll_remove_prep, poll_remove_issue, NULL, NAME, 0 },
    [LX_OP_SYNC_FILE_RANGE] = { sync_range_prep, sync_range_issue, NULL, NET, 0 },
    [LX_OP_SENDMSG] = { sendmsg_prep, sendmsg_issue, NULL, NET | UOP_PRIO, WRITES },
    [LX_OP_RECVMSG] = { recvmsg_prep, recvmsg_issue, NULL, NET | UOP_PRIO | UOP_SELECT, READS },
    [LX_OP_TIMEOUT] = { timeout_prep, timeout_issue, NULL, NAME, 0 },
    [LX_OP_TIMEOUT_REMOVE] = { timeout_remove_prep, timeout_remove_issue, NULL, NAME, 0 },
    [LX_OP_ACCEPT] = { accept_prep, accept_issue, NULL, NET | UOP_PRIO, READS },
    [LX_OP_ASYNC_CANCEL] = { cancel_prep, cancel_issue, NULL, NAME, 0 },
    [LX_OP_LINK_TIMEOUT] = { link_timeout_prep, link_timeout_issue, NULL, NAME, 0 },
    [LX_OP_CONNECT] = { connect_prep, connect_issue, NULL, NET, WRITES },
    [LX_OP_FALLOCATE] = { fallocate_prep, fallocate_issue, NULL, NET, 0 },
    [LX_OP_OPENAT] = { open_prep, openat_issue, NULL, NAME, 0 },
    [LX_OP_CLOSE] = { close_prep, close_issue, NULL, NAME, 0 },
    [LX_OP_FILES_UPDATE] = { files_update_prep, files_update_issue, NULL, 0, 0 },
    [LX_OP_STATX] = { statx_prep, statx_issue, NULL, NAME, 0 },
    [LX_OP_READ] = { rw_prep, rw_issue, NULL, RW | UOP_SELECT, READS },
    [LX_OP_WRITE] = { rw_prep, rw_issue, NULL, RW, WRITES },
    [LX_OP_FADVISE] = { fadvise_prep, fadvise_issue, NULL, NET, 0 },
    [LX_OP_MADVISE] = { madvise_prep, madvise_issue, NULL, NAME, 0 },
    [LX_OP_SEND] = { send_prep, send_issue, NULL, NET | UOP_PRIO, WRITES },
    [LX_OP_RECV] = { recv_prep, recv_issue, NULL, NET | UOP_PRIO | UOP_SELECT, READS },
    [LX_OP_OPENAT2] = { open_prep, openat2_issue, NULL, NAME, 0 },
    [LX_OP_EPOLL_CTL] = { epoll_ctl_prep, epoll_ctl_issue, NULL, NAME, 0 },
    [LX_OP_SPLICE] = { splice_prep, splice_issue, NULL, NET, 0 },
    [LX_OP_PROVIDE_BUFFERS] = { provide_prep, provide_issue, NULL, 0, 0 },
    [LX_OP_REMOVE_BUFFERS] = { remove_prep, remove_issue, NULL, 0, 0 },
    [LX_OP_TEE] = { splice_prep, tee_issue, NULL, NET, 0 },
    [LX_OP_SHUTDOWN] = { shutdown_prep, shutdown_issue, NULL, NET, 0 },
    [LX_OP_RENAMEAT] = { path2_prep, renameat_issue, NULL, NAME, 0 },
    [LX_OP_UNLINKAT] = { path_prep, unlinkat_issue, NULL, NAME, 0 },
    [LX_OP_MKDIRAT] = { path_prep, mkdirat_issue, NULL, NAME, 0 },
    [LX_OP_SYMLINKAT] = { path2_prep, symlinkat_issue, NULL, NAME, 0 },
    [LX_OP_LINKAT] = { path2_prep, linkat_issue, NULL, NAME, 0 },
    [LX_OP_MSG_RING] = { msg_ring_prep, msg_ring_issue, NULL, UOP_FILE, 0 },
    [LX_OP_FSETXATTR] = { xattr_prep, fsetxattr_issue, NULL, NAME, 0 },
    [LX_OP_SETXATTR] = { xattr_prep, setxattr_issue, NULL, NAME, 0 },
    [LX_OP_FGETXATTR] = { xattr_prep, fgetxattr_issue, NULL, NAME, 0 },
    [LX_OP_GETXATTR] = { xattr_prep, getxattr_issue, NULL, NAME, 0 },
    [LX_OP_SOCKET] = { socket_prep, socket_issue, NULL, NAME, 0 },
    [LX_OP_URING_CMD] = { NULL, command_issue, NULL, UOP_FILE, 0 },
    [LX_OP_SEND_ZC] = { send_zc_prep, send_zc_issue, NULL, NET | UOP_PRIO, WRITES },
    [LX_OP_SENDMSG_ZC] = { send_zc_prep, send_zc_issue, NULL, NET | UOP_PRIO, WRITES },
    [LX_OP_WAITID] = { waitid_prep, waitid_issue, NULL, 0, 0 },
    [LX_OP_READ_MULTISHOT] = { read_multishot_prep, read_multishot_issue, NULL,
                               UOP_FILE | UOP_SELECT, READS },
    [LX_OP_FIXED_FD_INSTALL] = { fd_install_prep, fd_install_issue, NULL, UOP_FILE, 0 },
    [LX_OP_FTRUNCATE] = { ftruncate_prep, ftruncate_issue, NULL, NET, 0 },
    [LX_OP_BIND] = { bind_prep, bind_issue, NULL, NET, 0 },
    [LX_OP_LISTEN] = { listen_prep, listen_issue, NULL, NET, 0 },
};

const struct uop *uop_of(unsigned opcode)
{
    return opcode < LX_OP_LAST && table[opcode].issue ? &table[opcode] : NULL;
}
