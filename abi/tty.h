/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals: the kernel's termios (not libc's, which is longer) and the window size. */
#pragma once

#include "abi/types.h"

#define LX_NCCS 19

struct lx_termios { /* TCGETS */
    uint32_t c_iflag, c_oflag, c_cflag, c_lflag;
    uint8_t c_line, c_cc[LX_NCCS];
};

struct lx_termios2 { /* TCGETS2 */
    uint32_t c_iflag, c_oflag, c_cflag, c_lflag;
    uint8_t c_line, c_cc[LX_NCCS];
    uint32_t c_ispeed, c_ospeed;
};

struct lx_termio { /* TCGETA: the low halves, and the first eight characters */
    uint16_t c_iflag, c_oflag, c_cflag, c_lflag;
    uint8_t c_line, c_cc[8];
};

struct lx_winsize {
    uint16_t ws_row, ws_col, ws_xpixel, ws_ypixel;
};

/* ioctl numbers that libc does not name */
#define LX_TCGETS2 0x802c542au
#define LX_TCSETS2 0x402c542bu
#define LX_TCSETSW2 0x402c542cu
#define LX_TCSETSF2 0x402c542du
