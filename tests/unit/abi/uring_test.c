/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/uring.h"

#include <linux/aio_abi.h>
#include <linux/io_uring.h>

#include "abi/aio.h"
#include "tests/unit/abi/same.h"

static const struct same uring[] = {
    SIZE(lx_iocb, iocb),
    AT(lx_iocb, rw_flags, iocb, aio_rw_flags),
    AT(lx_iocb, opcode, iocb, aio_lio_opcode),
    AT(lx_iocb, fildes, iocb, aio_fildes),
    AT(lx_iocb, offset, iocb, aio_offset),
    AT(lx_iocb, resfd, iocb, aio_resfd),
    SIZE(lx_io_event, io_event),
    AT(lx_io_event, res2, io_event, res2),
    SIZE_IS(lx_aio_ring, 32),
    VALUE(LX_IOCB_POLL, IOCB_CMD_POLL),
    VALUE(LX_IOCB_PWRITEV, IOCB_CMD_PWRITEV),

    SIZE(lx_sqe, io_uring_sqe),
    AT(lx_sqe, ioprio, io_uring_sqe, ioprio),
    AT(lx_sqe, off, io_uring_sqe, off),
    AT(lx_sqe, addr, io_uring_sqe, addr),
    AT(lx_sqe, len, io_uring_sqe, len),
    AT(lx_sqe, op_flags, io_uring_sqe, rw_flags),
    AT(lx_sqe, user_data, io_uring_sqe, user_data),
    AT(lx_sqe, buf_index, io_uring_sqe, buf_index),
    AT(lx_sqe, personality, io_uring_sqe, personality),
    AT(lx_sqe, file_index, io_uring_sqe, file_index),
    AT(lx_sqe, addr_len, io_uring_sqe, addr_len),
    AT(lx_sqe, addr3, io_uring_sqe, addr3),
    SIZE(lx_cqe, io_uring_cqe),
    AT(lx_cqe, flags, io_uring_cqe, flags),
    SIZE(lx_uring_params, io_uring_params),
    AT(lx_uring_params, features, io_uring_params, features),
    AT(lx_uring_params, sq_off, io_uring_params, sq_off),
    AT(lx_uring_params, cq_off, io_uring_params, cq_off),
    AT(lx_sqring_offsets, array, io_sqring_offsets, array),
    AT(lx_cqring_offsets, cqes, io_cqring_offsets, cqes),
    SIZE(lx_uring_getevents_arg, io_uring_getevents_arg),
    AT(lx_uring_getevents_arg, ts, io_uring_getevents_arg, ts),
    SIZE(lx_recvmsg_out, io_uring_recvmsg_out),
    SIZE(lx_pbuf, io_uring_buf),
    AT(lx_pbuf, resv, io_uring_buf, resv),
    SIZE(lx_pbuf_reg, io_uring_buf_reg),
    AT(lx_pbuf_reg, bgid, io_uring_buf_reg, bgid),
    SIZE(lx_rsrc_register, io_uring_rsrc_register),
    SIZE(lx_rsrc_update, io_uring_rsrc_update2),
    AT(lx_rsrc_update, nr, io_uring_rsrc_update2, nr),
    SIZE(lx_probe, io_uring_probe),
    SIZE(lx_probe_op, io_uring_probe_op),
    SIZE(lx_restriction, io_uring_restriction),
    SIZE(lx_sync_cancel, io_uring_sync_cancel_reg),
    SIZE(lx_file_range, io_uring_file_index_range),
    VALUE(LX_OP_SENDMSG_ZC, IORING_OP_SENDMSG_ZC),
    VALUE(LX_OP_MSG_RING, IORING_OP_MSG_RING),
    VALUE(LX_OP_PROVIDE_BUFFERS, IORING_OP_PROVIDE_BUFFERS),
    VALUE(LX_REGISTER_FILE_ALLOC_RANGE, IORING_REGISTER_FILE_ALLOC_RANGE),
    VALUE(LX_FEAT_LINKED_FILE, IORING_FEAT_LINKED_FILE),
    VALUE(LX_SQE_CQE_SKIP, IOSQE_CQE_SKIP_SUCCESS),
    VALUE(LX_URING_DEFER_TASKRUN, IORING_SETUP_DEFER_TASKRUN),
    VALUE(LX_TIMEOUT_ETIME_SUCCESS, IORING_TIMEOUT_ETIME_SUCCESS),
    VALUE(LX_POLL_LEVEL, IORING_POLL_ADD_LEVEL),
    VALUE(LX_CANCEL_FD_FIXED, IORING_ASYNC_CANCEL_FD_FIXED),
    VALUE(LX_SEND_ZC_REPORT_USAGE, IORING_SEND_ZC_REPORT_USAGE),
};

SAME_MAIN("abi/uring", uring)
