/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of terminals: termios in both forms, window size, flow, flushing, and what only the
 * master has (lock, number, peer, packet mode). Done on the master, settings are the slave's, as
 * for every pty.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sentry/fs/tty/tty_priv.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"

#define LX_CBAUD 0010017u
#define LX_BOTHER 0010000u

/* ---- termios ---- */

static uint32_t baud_of(uint32_t cflag)
{
    static const uint32_t low[16] = { 0,   50,   75,   110,  134,  150,  200,   300,
                                      600, 1200, 1800, 2400, 4800, 9600, 19200, 38400 };
    static const uint32_t high[16] = { 0,       57600,   115200,  230400,  460800,  500000,
                                       576000,  921600,  1000000, 1152000, 1500000, 2000000,
                                       2500000, 3000000, 3500000, 4000000 };
    return cflag & LX_BOTHER ? high[cflag & 15] : low[cflag & 15];
}

static long get_termios(struct task *t, struct tty *tty, gaddr_t arg, bool second)
{
    struct lx_termios2 tio;
    lock(&tty->lock);
    tio = tty->tio;
    unlock(&tty->lock);
    return copy_out(t, arg, &tio, second ? sizeof tio : sizeof(struct lx_termios));
}

static long get_termio(struct task *t, struct tty *tty, gaddr_t arg)
{
    struct lx_termio old = { 0 };
    lock(&tty->lock);
    old.c_iflag = (uint16_t)tty->tio.c_iflag;
    old.c_oflag = (uint16_t)tty->tio.c_oflag;
    old.c_cflag = (uint16_t)tty->tio.c_cflag;
    old.c_lflag = (uint16_t)tty->tio.c_lflag;
    old.c_line = tty->tio.c_line;
    memcpy(old.c_cc, tty->tio.c_cc, sizeof old.c_cc);
    unlock(&tty->lock);
    return put_guest(t, arg, &old);
}

static uint32_t low_half(uint32_t flags, uint16_t low)
{
    return (flags & 0xffff0000u) | low;
}

/* The settings that are in force, with what the guest gave of them. */
enum form { TERMIO, TERMIOS, TERMIOS2 };

static int take_settings(struct task *t, gaddr_t arg, enum form form, struct lx_termios2 *tio)
{
    struct lx_termio old;
    if (form != TERMIO)
        return copy_in(t, tio, arg, form == TERMIOS2 ? sizeof *tio : sizeof(struct lx_termios));
    if (get_guest(t, &old, arg))
        return -EFAULT;
    tio->c_iflag = low_half(tio->c_iflag, old.c_iflag);
    tio->c_oflag = low_half(tio->c_oflag, old.c_oflag);
    tio->c_cflag = low_half(tio->c_cflag, old.c_cflag);
    tio->c_lflag = low_half(tio->c_lflag, old.c_lflag);
    memcpy(tio->c_cc, old.c_cc, sizeof old.c_cc);
    return 0;
}

static uint32_t but_locked(uint32_t new, uint32_t old, uint32_t locked)
{
    return (new & ~locked) | (old & locked);
}

/* What TIOCSLCKTRMIOS has locked stays as it is. */
static void keep_locked(const struct tty *tty, struct lx_termios2 *new)
{
    const struct lx_termios2 *old = &tty->tio, *l = &tty->tio_locked;

    new->c_iflag = but_locked(new->c_iflag, old->c_iflag, l->c_iflag);
    new->c_oflag = but_locked(new->c_oflag, old->c_oflag, l->c_oflag);
    new->c_cflag = but_locked(new->c_cflag, old->c_cflag, l->c_cflag);
    new->c_lflag = but_locked(new->c_lflag, old->c_lflag, l->c_lflag);
    for (size_t i = 0; i < sizeof new->c_cc; i++)
        if (l->c_cc[i])
            new->c_cc[i] = old->c_cc[i];
}

static long get_locked(struct task *t, struct tty *tty, gaddr_t arg)
{
    struct lx_termios2 l;

    lock(&tty->lock);
    l = tty->tio_locked;
    unlock(&tty->lock);
    return copy_out(t, arg, &l, sizeof(struct lx_termios));
}

static long set_locked(struct task *t, struct tty *tty, gaddr_t arg)
{
    struct lx_termios2 l = { 0 };

    if (!task_capable(t, CAP_SYS_ADMIN))
        return -EPERM;
    if (copy_in(t, &l, arg, sizeof(struct lx_termios)) < 0)
        return -EFAULT;
    LOCK_SCOPE(&tty->lock);
    tty->tio_locked = l;
    return 0;
}

static long set_termios(struct task *t, struct tty *tty, gaddr_t arg, enum form form, bool flush)
{
    struct lx_termios2 new, old;
    int r = tty_job_check(t, tty, SIGTTOU);
    if (r)
        return r;
    lock(&tty->lock);
    new = tty->tio;
    unlock(&tty->lock);
    if (take_settings(t, arg, form, &new))
        return -EFAULT;
    if (form != TERMIOS2 || (new.c_cflag &LX_CBAUD) != LX_BOTHER)
        new.c_ispeed = new.c_ospeed = baud_of(new.c_cflag);
    /* a pty has eight bits, whatever is asked for */
    new.c_cflag = (new.c_cflag & ~(uint32_t)(CSIZE | PARENB)) | CS8 | CREAD;
    LOCK_SCOPE(&tty->lock);
    if (flush)
        tty_flush_input_locked(tty);
    old = tty->tio;
    keep_locked(tty, &new);
    new.c_line = old.c_line;
    tty->tio = new;
    tty_settings_changed_locked(tty, &old);
    tty_host_set_locked(tty, flush);
    return 0;
}

/* ---- size, flow, flushing ---- */

void tty_set_winsize(struct tty *tty, const struct lx_winsize *ws)
{
    lock(&tty->lock);
    bool changed = memcmp(&tty->ws, ws, sizeof *ws) != 0;
    tty->ws = *ws;
    unlock(&tty->lock);
    if (changed)
        tty_signal_foreground(tty, SIGWINCH);
}

static long flush_queues(struct tty *tty, bool master, uint64_t which)
{
    if (which > TCIOFLUSH)
        return -EINVAL;
    LOCK_SCOPE(&tty->lock);
    /* the master's input is the slave's output */
    if (which == TCIOFLUSH || which == (master ? TCOFLUSH : TCIFLUSH))
        tty_flush_input_locked(tty);
    if (which == TCIOFLUSH || which == (master ? TCIFLUSH : TCOFLUSH))
        tty_flush_output_locked(tty);
    tty_host_flush_locked(tty, (int)which);
    return 0;
}

static long flow(struct tty *tty, uint64_t action)
{
    LOCK_SCOPE(&tty->lock);
    uint8_t c = 0;
    switch (action) {
    case TCOOFF:
        tty_stop_locked(tty);
        tty->tco_stopped = true;
        return 0;
    case TCOON:
        tty->tco_stopped = false;
        tty_start_locked(tty);
        return 0;
    case TCIOFF:
        c = TTY_CC(tty, VSTOP);
        break;
    case TCION:
        c = TTY_CC(tty, VSTART);
        break;
    default:
        return -EINVAL;
    }
    if (c)
        tty_echo_raw_locked(tty, c);
    return 0;
}

static long queue_size(struct task *t, struct tty *tty, bool master, bool input, gaddr_t arg)
{
    lock(&tty->lock);
    int n = 0;
    if (master == input)
        n = (int)tty_out_count(tty);
    else if (input)
        n = (int)(L_FLAG(tty, ICANON) ? tty->in_canon - tty->in_tail : tty_in_count(tty)) +
            (int)tty_host_ready_locked(tty);
    if (!input)
        n = 0; /* what is written has arrived: there is no line to be sent over */
    unlock(&tty->lock);
    return put_guest(t, arg, &n);
}

/* Commands on settings that a background process has to be stopped for. -ENOIOCTLCMD: another. */
static long changing_ioctl(struct task *t, struct file *f, struct tty *tty, unsigned cmd,
                           uint64_t arg)
{
    switch (cmd) {
    case TCSETS:
    case TCSETSW:
        return set_termios(t, tty, arg, TERMIOS, false);
    case TCSETSF:
        return set_termios(t, tty, arg, TERMIOS, true);
    case TCSETA:
    case TCSETAW:
        return set_termios(t, tty, arg, TERMIO, false);
    case TCSETAF:
        return set_termios(t, tty, arg, TERMIO, true);
    case LX_TCSETS2:
    case LX_TCSETSW2:
        return set_termios(t, tty, arg, TERMIOS2, false);
    case LX_TCSETSF2:
        return set_termios(t, tty, arg, TERMIOS2, true);
    case TCSBRK:
    case TCSBRKP:
    case TCXONC:
    case TCFLSH:
        break;
    default:
        return -ENOIOCTLCMD;
    }
    int r = tty_job_check(t, tty, SIGTTOU);
    if (r)
        return r;
    if (cmd == TCXONC)
        return flow(tty, arg);
    return cmd == TCFLSH ? flush_queues(tty, tty_is_master(f), arg) : 0;
}

static long get_int(struct task *t, gaddr_t arg, int v)
{
    return put_guest(t, arg, &v);
}

static bool flag(struct tty *tty, const bool *which)
{
    LOCK_SCOPE(&tty->lock);
    return *which;
}

static long get_flag(struct task *t, gaddr_t arg, struct tty *tty, const bool *which)
{
    return get_int(t, arg, flag(tty, which));
}

/* ---- the master's own ---- */

static long master_ioctl(struct task *t, struct tty *tty, unsigned cmd, uint64_t arg)
{
    int v;
    switch (cmd) {
    case TIOCGPTN:
        return get_int(t, arg, tty->index);
    case TIOCGPTLCK:
        return get_flag(t, arg, tty, &tty->locked);
    case TIOCGPKT:
        return get_flag(t, arg, tty, &tty->pkt);
    case TIOCGPTPEER: {
        struct file *f = devpts_open_slave(t, tty, (unsigned)arg);
        return IS_ERR(f) ? PTR_ERR(f) : fd_install(t, f, 0, arg & O_CLOEXEC);
    }
    case TIOCSIG:
        if (arg != SIGINT && arg != SIGQUIT && arg != SIGTSTP)
            return -EINVAL;
        tty_signal_foreground(tty, (int)arg);
        return 0;
    case TIOCSPTLCK:
    case TIOCPKT:
        break;
    default:
        return -ENOIOCTLCMD;
    }
    if (get_guest(t, &v, arg))
        return -EFAULT;
    LOCK_SCOPE(&tty->lock);
    if (cmd == TIOCSPTLCK) {
        tty->locked = v;
        return 0;
    }
    if (v && !tty->pkt)
        tty->pkt_status = 0;
    tty->pkt = v;
    return 0;
}

static long common_ioctl(struct task *t, struct file *f, struct tty *tty, unsigned cmd,
                         uint64_t arg)
{
    struct lx_winsize ws;
    int v;
    switch (cmd) {
    case TCGETA:
        return get_termio(t, tty, arg);
    case TCGETS:
        return get_termios(t, tty, arg, false);
    case LX_TCGETS2:
        return get_termios(t, tty, arg, true);
    case TIOCGLCKTRMIOS:
        return get_locked(t, tty, arg);
    case TIOCSLCKTRMIOS:
        return set_locked(t, tty, arg);
    case TIOCGWINSZ:
        lock(&tty->lock);
        ws = tty->ws;
        unlock(&tty->lock);
        return put_guest(t, arg, &ws);
    case TIOCSWINSZ:
        if (get_guest(t, &ws, arg))
            return -EFAULT;
        tty_set_winsize(tty, &ws);
        return 0;
    case FIONREAD:
        return queue_size(t, tty, tty_is_master(f), true, arg);
    case TIOCOUTQ:
        return queue_size(t, tty, tty_is_master(f), false, arg);
    case TIOCGETD:
        return get_int(t, arg, 0);
    case TIOCSETD:
        return get_guest(t, &v, arg) ? -EFAULT : v == 0 ? 0 : -EINVAL;
    case TIOCEXCL:
    case TIOCNXCL:
        lock(&tty->lock);
        tty->excl = cmd == TIOCEXCL;
        unlock(&tty->lock);
        return 0;
    case TIOCGEXCL:
        return get_flag(t, arg, tty, &tty->excl);
    case TIOCSTI:
        return -EIO;
    case TIOCCONS:
    case TIOCVHANGUP:
        return -EPERM;
    default:
        return -ENOIOCTLCMD;
    }
}

long tty_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    struct tty *tty = f->priv;
    bool master = tty_is_master(f);
    lock(&tty->lock);
    bool hung = !master && tty_hung_locked(tty, f);
    unlock(&tty->lock);
    if (hung)
        return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
    long r = master ? master_ioctl(t, tty, cmd, arg) : -ENOIOCTLCMD;
    if (r == -ENOIOCTLCMD)
        r = tty_job_ioctl(t, f, tty, cmd, arg);
    if (r == -ENOIOCTLCMD)
        r = changing_ioctl(t, f, tty, cmd, arg);
    return r == -ENOIOCTLCMD ? common_ioctl(t, f, tty, cmd, arg) : r;
}
