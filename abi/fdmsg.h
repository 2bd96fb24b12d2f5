/* SPDX-License-Identifier: Apache-2.0 */
/* Messages with descriptors, over a socket of AF_UNIX. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#define FDMSG_MAX 253 /* what Linux takes in one message */

/* Sends data with n descriptors of fds, which stay open here. 0 or -errno. */
int fdmsg_send(int sock, const void *data, size_t len, const int *fds, unsigned n);
/*
 * One message: its length, 0 at the end, -errno. flags: of recvmsg(2). fds[0] to fds[*ret_n - 1] are those that
 * came with it, close-on-exec and the caller's; of more than max none is taken.
 */
ssize_t fdmsg_receive(int sock, void *data, size_t len, int flags, int *fds, unsigned max,
                      unsigned *ret_n);
/* Closes and forgets n of them. */
void fdmsg_close(int *fds, unsigned n);
