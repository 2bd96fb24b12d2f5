/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal pair, shared by the files of this folder:
 *
 *   tty.c         the pair: making, references, hang-up
 *   ldisc_in.c    what is typed: editing, signals, flow (master -> slave)
 *   ldisc_out.c   what is printed: output processing and echo (slave -> master)
 *   ldisc_read.c  reading a line, or by VMIN and VTIME
 *   pty_file.c    master and slave as files
 *   tty_ioctl.c   settings; tty_job.c job control; devpts.c names; tty_host.c the sandbox's own
 *   tty_relay.c   the master side of further programs' terminals
 *
 * Letters: [L] tty->lock   [T] kernel.tasks_lock   [I] immutable   [a] atomic
 * tty->lock is taken before kernel.tasks_lock.
 */
#pragma once

#include <stdint.h>
#include <termios.h>

#include "abi/tty.h"
#include "cli/control.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/kernel/lock.h"
#include "sentry/kernel/wait.h"

struct pid_entry;

#define TTY_IN_SIZE 4096u   /* one may be missing to fullness, as on Linux: 4095 characters */
#define TTY_OUT_SIZE 32768u /* powers of two */
#define TTY_OUT_SPARE 64u   /* kept from writers, so that echo finds room */

/* c_line and 19 characters, as the kernel counts them. */
#define TTY_CC(tty, x) ((tty)->tio.c_cc[x])

/* How a character of the input ends a line. */
enum { IN_PLAIN, IN_EOL, IN_EOF };

/* TIOCPKT */
enum {
    PKT_FLUSHREAD = 1,
    PKT_FLUSHWRITE = 2,
    PKT_STOP = 4,
    PKT_START = 8,
    PKT_NOSTOP = 16,
    PKT_DOSTOP = 32,
};

struct tty {
    _Atomic int refs;
    int index;                  /* [I] number below /dev/pts */
    const struct super *devpts; /* [I] where that is; never looked into */
    bool host;        /* [I] the sandbox's own: a host's terminal edits, echoes and prints */
    struct lock lock; /* LOCK_TTY */

    struct lx_termios2 tio;        /* [L] */
    struct lx_termios2 tio_locked; /* [L] bits and characters of tio that stay as they are */
    struct lx_winsize ws;          /* [L] */

    /* typed, not yet read: [L]; positions are free-running */
    uint8_t in[TTY_IN_SIZE], in_kind[TTY_IN_SIZE];
    unsigned in_tail;              /* next to be read */
    unsigned in_canon;             /* behind the last complete line */
    unsigned in_head;              /* behind the last character */
    bool lnext;                    /* the next one is literal */
    bool erasing;                  /* between \ and / of ECHOPRT */
    unsigned column, canon_column; /* of the cursor; where the line being edited began */

    /* printed, not yet taken by the master: [L] */
    uint8_t *out;
    unsigned out_tail, out_head;
    bool stopped;     /* ^S */
    bool tco_stopped; /* TCOOFF */

    bool master_open;   /* [L] false: hung up for good */
    uint64_t hung;      /* [L] vhangup: slave files whose ids are below are dead */
    bool locked;        /* [L] TIOCSPTLCK */
    bool excl;          /* [L] TIOCEXCL */
    bool slave_closed;  /* [L] the last slave went: the master reads EIO */
    unsigned nslaves;   /* [L] open slave files */
    bool pkt;           /* [L] packet mode */
    uint8_t pkt_status; /* [L] */

    struct waitqueue slave_rd, slave_wr, master_rd, master_wr;

    struct session *session; /* [T] a reference; the session that it controls */
    struct pid_entry *pgrp;  /* [T] a reference; the foreground group */
    struct inode *inode;     /* [I] reference, until the master is closed; its node */
};

extern const struct file_ops tty_slave_ops, tty_master_ops;

#define I_FLAG(tty, f) ((tty)->tio.c_iflag & (f))
#define O_FLAG(tty, f) ((tty)->tio.c_oflag & (f))
#define L_FLAG(tty, f) ((tty)->tio.c_lflag & (f))

static inline bool tty_is_master(const struct file *f)
{
    return f->ops == &tty_master_ops;
}

static inline bool tty_hung_locked(const struct tty *tty, const struct file *f)
{
    return !tty->master_open || f->id < tty->hung;
}

/* ---- tty.c ---- */
/* A pair with its master open and the slave locked; ERR_PTR. */
struct tty *tty_new(struct task *t);
/* A slave file more; -EIO when locked or hung up, -EBUSY. f->ops and priv are set. */
int tty_open_slave(struct task *t, struct tty *tty, struct file *f);
void tty_master_closed(struct tty *tty);
extern const struct lx_termios2 tty_default_termios;

/* ---- ldisc_in.c; tty->lock held ---- */
/* Types n bytes; how many were taken (the rest: when somebody has read). */
size_t tty_type_locked(struct tty *tty, const uint8_t *from, size_t n);
/* As the host's terminal has edited them: no bytes are an end of file. */
void tty_typed_locked(struct tty *tty, const uint8_t *from, size_t n);
/* How many are taken whatever they are; 0: none now. */
size_t tty_type_room_locked(const struct tty *tty);
void tty_flush_input_locked(struct tty *tty);
void tty_start_locked(struct tty *tty);
void tty_stop_locked(struct tty *tty);
/* Termios changed from old. */
void tty_settings_changed_locked(struct tty *tty, const struct lx_termios2 *old);
static inline unsigned tty_in_count(const struct tty *tty)
{
    return tty->in_head - tty->in_tail;
}

/* ---- ldisc_out.c; tty->lock held ---- */
/* How many bytes of a program's write find room whatever they are; then prints them. */
size_t tty_print_room_locked(const struct tty *tty);
void tty_print_locked(struct tty *tty, const uint8_t *from, size_t n);
bool tty_can_print_locked(const struct tty *tty);
void tty_echo_locked(struct tty *tty, uint8_t c);     /* control characters as ^X */
void tty_echo_raw_locked(struct tty *tty, uint8_t c); /* as it is, but for output processing */
/* Rubs out the character c that stood behind the rest of the line being edited. */
void tty_echo_erase_locked(struct tty *tty, uint8_t c);
/* For the master: the next printed bytes that lie in one piece; n of them are taken. */
size_t tty_peek_locked(struct tty *tty, const uint8_t **ret);
void tty_taken_locked(struct tty *tty, size_t n);
void tty_flush_output_locked(struct tty *tty);
static inline unsigned tty_out_count(const struct tty *tty)
{
    return tty->out_head - tty->out_tail;
}
static inline bool tty_continuation(const struct tty *tty, uint8_t c)
{
    return (tty->tio.c_iflag & IUTF8) && (c & 0xc0) == 0x80;
}
static inline bool tty_cntrl(uint8_t c)
{
    return c < 32 || c == 127;
}

/* ---- ldisc_read.c ---- */
ssize_t tty_slave_read(struct task *t, struct file *f, struct iter *it, loff_t *pos);
bool tty_readable_locked(const struct tty *tty);

/* ---- tty_job.c ---- */
/* May a background process read (SIGTTIN), write or change settings (SIGTTOU)? 0, -EIO, -EWAITING,
 * -ERESTARTSYS (the signal was sent). Without tty->lock. */
int tty_job_check(struct task *t, struct tty *tty, int sig);
/* Signals of keys: to the foreground group. */
void tty_signal_foreground(struct tty *tty, int sig);
/* -ENOIOCTLCMD when cmd is none of job control's. */
long tty_job_ioctl(struct task *t, struct file *f, struct tty *tty, unsigned cmd, uint64_t arg);
/* Opened without O_NOCTTY: becomes the controlling terminal where t may have one. */
void tty_open_controls(struct task *t, struct tty *tty, struct file *f);
/* The master is gone: the session loses the terminal, its leader gets SIGHUP. */
void tty_hangup_session(struct tty *tty);

/* ---- tty_ioctl.c ---- */
long tty_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg);
void tty_set_winsize(struct tty *tty, const struct lx_winsize *ws);

/* ---- tty_host.c: for the sandbox's own terminal (tty->host) ---- */
/* Settings were made, and unread input is to go (flush); queues are to be emptied. */
void tty_host_set_locked(struct tty *tty, bool flush);
void tty_host_flush_locked(struct tty *tty, int which);
/* Bytes that can be read and are not here yet; 0: none. */
unsigned tty_host_ready_locked(const struct tty *tty);
/*
 * Nothing here for a read of n bytes: -EWAITING while the front end is asked; -EAGAIN when it has
 * nothing either (and may_wait is false); another error.
 */
int tty_host_ask_locked(struct task *t, struct tty *tty, size_t n, bool may_wait);
/* Where a call on tty stands outside; -EWAITING while the front end is asked, -ERESTARTSYS. */
int tty_host_where(struct task *t, struct tty *tty, enum term_place *ret);
bool tty_host_lent(const struct tty *tty); /* somebody outside has it, as far as is known */

/* ---- devpts.c ---- */
/* Gives tty a number and a node; -ENOSPC, -ENOMEM. */
int devpts_add(struct task *t, struct tty *tty);
void devpts_remove(struct tty *tty);
/* A slave file of tty with the path /dev/pts/N. ERR_PTR. */
struct file *devpts_open_slave(struct task *t, struct tty *tty, unsigned flags);
