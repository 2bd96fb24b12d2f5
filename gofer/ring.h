/* SPDX-License-Identifier: Apache-2.0 */
/* What maker and user of the restricted ring share (ring_new.c, ring.c). */
#pragma once

#include <linux/io_uring.h>

#define GOFER_RING_ENTRIES 8

extern struct io_uring_params gofer_ring_params; /* of the last ring made; all are made alike */
