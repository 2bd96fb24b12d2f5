/* SPDX-License-Identifier: Apache-2.0 */
/* The operations by file; what they do stands in ops.c's table. */
#pragma once

struct ureq;

/* rw.c */
int rw_prep(struct ureq *q);
int rwv_prep(struct ureq *q);
int rw_fixed_prep(struct ureq *q);
int read_multishot_prep(struct ureq *q);
void rw_cleanup(struct ureq *q);
long rw_issue(struct ureq *q);
long read_multishot_issue(struct ureq *q);

/* files.c */
int nop_prep(struct ureq *q);
long nop_issue(struct ureq *q);
int fsync_prep(struct ureq *q);
long fsync_issue(struct ureq *q);
int sync_range_prep(struct ureq *q);
long sync_range_issue(struct ureq *q);
int fallocate_prep(struct ureq *q);
long fallocate_issue(struct ureq *q);
int ftruncate_prep(struct ureq *q);
long ftruncate_issue(struct ureq *q);
int fadvise_prep(struct ureq *q);
int madvise_prep(struct ureq *q);
long madvise_issue(struct ureq *q);
long fadvise_issue(struct ureq *q);
int splice_prep(struct ureq *q);
long splice_issue(struct ureq *q);
long tee_issue(struct ureq *q);
int epoll_ctl_prep(struct ureq *q);
long epoll_ctl_issue(struct ureq *q);
int files_update_prep(struct ureq *q);
long files_update_issue(struct ureq *q);
int fd_install_prep(struct ureq *q);
long fd_install_issue(struct ureq *q);
int msg_ring_prep(struct ureq *q);
long msg_ring_issue(struct ureq *q);

/* paths.c */
int open_prep(struct ureq *q);
long openat_issue(struct ureq *q);
long openat2_issue(struct ureq *q);
int close_prep(struct ureq *q);
long close_issue(struct ureq *q);
int statx_prep(struct ureq *q);
long statx_issue(struct ureq *q);
int path_prep(struct ureq *q);
int path2_prep(struct ureq *q);
long renameat_issue(struct ureq *q);
long unlinkat_issue(struct ureq *q);
long mkdirat_issue(struct ureq *q);
long symlinkat_issue(struct ureq *q);
long linkat_issue(struct ureq *q);
int xattr_prep(struct ureq *q);
long setxattr_issue(struct ureq *q);
long fsetxattr_issue(struct ureq *q);
long getxattr_issue(struct ureq *q);
long fgetxattr_issue(struct ureq *q);
int waitid_prep(struct ureq *q);
long waitid_issue(struct ureq *q);

/* command.c */
long command_issue(struct ureq *q);

/* net.c */
int send_prep(struct ureq *q);
long send_issue(struct ureq *q);
int sendmsg_prep(struct ureq *q);
long sendmsg_issue(struct ureq *q);
int send_zc_prep(struct ureq *q);
long send_zc_issue(struct ureq *q);
int recv_prep(struct ureq *q);
long recv_issue(struct ureq *q);
int recvmsg_prep(struct ureq *q);
long recvmsg_issue(struct ureq *q);
int accept_prep(struct ureq *q);
long accept_issue(struct ureq *q);
int connect_prep(struct ureq *q);
long connect_issue(struct ureq *q);
int shutdown_prep(struct ureq *q);
long shutdown_issue(struct ureq *q);
int socket_prep(struct ureq *q);
long socket_issue(struct ureq *q);
int bind_prep(struct ureq *q);
long bind_issue(struct ureq *q);
int listen_prep(struct ureq *q);
long listen_issue(struct ureq *q);
