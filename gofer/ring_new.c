/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The restricted ring. It is made disabled, given an empty table of files and its restrictions, and
 * then enabled; from then on neither sentry nor gofer can widen it. A descriptor that is no fixed
 * file, or any other operation, gets EACCES. The gofer may change the table (it is the one that
 * checks what is opened); the sentry's filter has no io_uring_register.
 *
 * The layout of a ring is told when it is made and cannot be asked for later. All rings here are
 * made alike, and sentry and gofer are forked from their maker, so it is kept in one variable.
 */
#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/types.h"
#include "abi/unfenced.h"
#include "gofer/gofer.h"
#include "gofer/ring.h"

struct io_uring_params gofer_ring_params;

static int reg(int fd, unsigned op, const void *arg, unsigned n)
{
    return syscall(SYS_io_uring_register, fd, op, arg, n) < 0 ? -errno : 0;
}

static int register_empty_table(int fd)
{
    int *none = malloc(GOFER_RING_SLOTS * sizeof(*none));

    if (!none)
        return -ENOMEM;
    memset(none, 0xff, GOFER_RING_SLOTS * sizeof(*none)); /* -1: free */
    int r = reg(fd, IORING_REGISTER_FILES, none, GOFER_RING_SLOTS);
    free(none);
    return r;
}

static int restrict_ring(int fd)
{
    static const struct io_uring_restriction rules[] = {
        { .opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_FILES_UPDATE },
        { .opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_ENABLE_RINGS },
        { .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ },
        { .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE },
        { .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC },
        { .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_POLL_ADD },
        { .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_ASYNC_CANCEL },
        { .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_FIXED_FILE },
        { .opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE },
    };
    return reg(fd, IORING_REGISTER_RESTRICTIONS, rules, ARRAY_SIZE(rules));
}

int gofer_ring_new(void)
{
    struct io_uring_params p = { .flags = IORING_SETUP_R_DISABLED };

    int fd = (int)syscall(SYS_io_uring_setup, GOFER_RING_ENTRIES, &p);
    if (fd < 0)
        return -errno;
    int r = p.features & IORING_FEAT_SINGLE_MMAP ? register_empty_table(fd) : -EOPNOTSUPP;
    if (r == 0 && !unfenced("ring"))
        r = restrict_ring(fd);
    if (r == 0)
        r = reg(fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    if (r < 0) {
        close(fd);
        return r;
    }
    gofer_ring_params = p;
    return fd;
}
