/* SPDX-License-Identifier: Apache-2.0 */
/* Printers of ioctl: names of the common ones, and the arguments of some. See line.h. */
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "abi/tty.h"
#include "abi/uffd.h"
#include "sentry/strace/xlat.h"

enum arg_form {
    HEXARG,
    NOARG,
    INT_IN,
    INT_OUT,
    INT_VALUE,
    WINSIZE,
    WINSIZE_OUT,
    TERMIOS,
    TERMIOS_OUT
};

static const struct {
    unsigned cmd;
    const char *name;
    enum arg_form form;
} ioctls[] = {
#define C(n, form)                                                                                 \
    {                                                                                              \
        (unsigned)(n), #n, form                                                                    \
    }
    C(TCGETS, TERMIOS_OUT),
    C(TCSETS, TERMIOS),
    C(TCSETSW, TERMIOS),
    C(TCSETSF, TERMIOS),
    { 0x802c542a, "TCGETS2", HEXARG },
    { 0x402c542b, "TCSETS2", HEXARG },
    { 0x402c542c, "TCSETSW2", HEXARG },
    { 0x402c542d, "TCSETSF2", HEXARG },
    C(TCSBRK, INT_VALUE),
    C(TCXONC, INT_VALUE),
    C(TCFLSH, INT_VALUE),
    C(TIOCEXCL, NOARG),
    C(TIOCNXCL, NOARG),
    C(TIOCSCTTY, INT_VALUE),
    C(TIOCNOTTY, NOARG),
    C(TIOCGPGRP, INT_OUT),
    C(TIOCSPGRP, INT_IN),
    C(TIOCGSID, INT_OUT),
    C(TIOCOUTQ, INT_OUT),
    C(TIOCSTI, HEXARG),
    C(TIOCGWINSZ, WINSIZE_OUT),
    C(TIOCSWINSZ, WINSIZE),
    C(TIOCGPTN, INT_OUT),
    C(TIOCSPTLCK, INT_IN),
    C(TIOCGPTLCK, INT_OUT),
    C(TIOCGPTPEER, INT_VALUE),
    C(TIOCPKT, INT_IN),
    C(FIONREAD, INT_OUT),
    C(FIONBIO, INT_IN),
    C(FIOASYNC, INT_IN),
    C(FIOCLEX, NOARG),
    C(FIONCLEX, NOARG),
    C(FIOQSIZE, HEXARG),
    C(FS_IOC_GETFLAGS, INT_OUT),
    C(FS_IOC_SETFLAGS, INT_IN),
    C(FS_IOC_FIEMAP, HEXARG),
    C(FS_IOC_FSGETXATTR, HEXARG),
    C(FS_IOC_FSSETXATTR, HEXARG),
    C(FICLONE, INT_VALUE),
    C(FICLONERANGE, HEXARG),
    C(FIDEDUPERANGE, HEXARG),
    C(FIBMAP, HEXARG),
    C(FIGETBSZ, INT_OUT),
    C(BLKGETSIZE64, HEXARG),
    C(BLKSSZGET, INT_OUT),
    C(SIOCATMARK, INT_OUT),
    C(SIOCGIFCONF, HEXARG),
    C(SIOCGIFNAME, HEXARG),
    C(SIOCGIFINDEX, HEXARG),
    C(SIOCGIFFLAGS, HEXARG),
    C(SIOCSIFFLAGS, HEXARG),
    C(SIOCGIFADDR, HEXARG),
    C(SIOCGIFMTU, HEXARG),
    C(SIOCGIFHWADDR, HEXARG),
    C(SIOCOUTQNSD, INT_OUT),
    { LX_UFFDIO_API, "UFFDIO_API", HEXARG },
    { LX_UFFDIO_REGISTER, "UFFDIO_REGISTER", HEXARG },
    { LX_UFFDIO_UNREGISTER, "UFFDIO_UNREGISTER", HEXARG },
    { LX_UFFDIO_WAKE, "UFFDIO_WAKE", HEXARG },
    { LX_UFFDIO_COPY, "UFFDIO_COPY", HEXARG },
    { LX_UFFDIO_ZEROPAGE, "UFFDIO_ZEROPAGE", HEXARG },
    { LX_UFFDIO_MOVE, "UFFDIO_MOVE", HEXARG },
    { LX_UFFDIO_WP, "UFFDIO_WRITEPROTECT", HEXARG },
    { LX_UFFDIO_CONTINUE, "UFFDIO_CONTINUE", HEXARG },
    { LX_UFFDIO_POISON, "UFFDIO_POISON", HEXARG },
#undef C
};

static int find(unsigned cmd)
{
    for (unsigned k = 0; k < ARRAY_SIZE(ioctls); k++)
        if (ioctls[k].cmd == cmd)
            return (int)k;
    return -1;
}

void p_ioctl(struct sx *s, unsigned i)
{
    unsigned cmd = (unsigned)s->a[i];
    int k = find(cmd);

    if (k >= 0) {
        sx_puts(s, ioctls[k].name);
        return;
    }
    sx_puts(s, "_IOC(");
    if (!_IOC_DIR(cmd))
        sx_puts(s, "_IOC_NONE");
    if (_IOC_DIR(cmd) & _IOC_READ)
        sx_puts(s, "_IOC_READ");
    if (_IOC_DIR(cmd) == (_IOC_READ | _IOC_WRITE))
        sx_puts(s, "|");
    if (_IOC_DIR(cmd) & _IOC_WRITE)
        sx_puts(s, "_IOC_WRITE");
    sx_printf(s, ", %#x, %#x, %#x)", _IOC_TYPE(cmd), _IOC_NR(cmd), _IOC_SIZE(cmd));
}

static void winsize_print(struct sx *s, gaddr_t p, bool out)
{
    struct lx_winsize w;

    if (out ? sx_fetch_out(s, p, &w, sizeof w) : sx_fetch(s, p, &w, sizeof w))
        sx_printf(s, "{ws_row=%u, ws_col=%u, ws_xpixel=%u, ws_ypixel=%u}", w.ws_row, w.ws_col,
                  w.ws_xpixel, w.ws_ypixel);
}

static void termios_print(struct sx *s, gaddr_t p, bool out)
{
    struct lx_termios t;

    if (out ? sx_fetch_out(s, p, &t, sizeof t) : sx_fetch(s, p, &t, sizeof t))
        sx_printf(s, "{c_iflag=%#x, c_oflag=%#x, c_cflag=%#x, c_lflag=%#x, ...}", t.c_iflag,
                  t.c_oflag, t.c_cflag, t.c_lflag);
}

void p_ioctl_arg(struct sx *s, unsigned i)
{
    int k = find((unsigned)s->a[1]);
    int32_t v;

    switch (k >= 0 ? ioctls[k].form : HEXARG) {
    case INT_IN:
        if (sx_fetch(s, s->a[i], &v, sizeof v))
            sx_printf(s, "[%d]", v);
        break;
    case INT_OUT:
        if (sx_fetch_out(s, s->a[i], &v, sizeof v))
            sx_printf(s, "[%d]", v);
        break;
    case INT_VALUE:
        sx_printf(s, "%d", (int)s->a[i]);
        break;
    case WINSIZE:
    case WINSIZE_OUT:
        winsize_print(s, s->a[i], ioctls[k].form == WINSIZE_OUT);
        break;
    case TERMIOS:
    case TERMIOS_OUT:
        termios_print(s, s->a[i], ioctls[k].form == TERMIOS_OUT);
        break;
    case NOARG:
    case HEXARG:
        sx_printf(s, "%#lx", (unsigned long)s->a[i]);
    }
}
