/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals, for the rest of the kernel. Every terminal is a pty pair; the sandbox's own one has
 * its master side in the front end (tty_host.c) instead of in a file.
 */
#pragma once

#include "sentry/vfs/file.h"

struct container;
struct inode;
struct lx_termios2;
struct lx_winsize;
struct session;
struct tty;

struct tty *tty_ref(struct tty *tty);
void tty_put(struct tty *tty);

/*
 * Opens a character device of majors 5 (0: /dev/tty, 2: /dev/ptmx) and 136 as f, for whoever opens
 * devices by number; -ENXIO for another one. An inode's ops->open has the same form.
 */
int tty_chrdev_open(struct task *t, struct inode *inode, struct file *f);

/* t's controlling terminal, a reference; NULL: none. */
struct tty *tty_controlling(struct task *t);
/* As TIOCSCTTY by the leader of t's session, with t's group in the foreground. */
int tty_set_controlling(struct task *t, struct file *slave);
/* Device number of the controlling terminal for /proc/PID/stat (0: none), and its foreground
 * group's id (-1: none). kernel.tasks_lock held. */
uint64_t tty_session_rdev_locked(const struct session *s);
pid_t tty_session_pgrp_locked(const struct session *s);

/* vhangup: t's controlling terminal is nobody's any more, and who has it open reads its end. */
void tty_hangup(struct task *t);
/* t, the leader of its session, leaves: the terminal leaves the session. Without locks. */
void tty_session_leader_exit(struct task *t);

/* ---- the sandbox's own terminal ---- */

/*
 * A terminal whose other side is the front end's, behind the SEQPACKET socket sock (taken over; made
 * non-blocking). After event_start() and after devpts was mounted at /dev/pts. *ret_slave: an open
 * slave, without controlling anything yet.
 */
int tty_host_attach(int sock, const struct lx_termios2 *settings, struct file **ret_slave);
void tty_host_winsize(unsigned rows, unsigned cols);
/* Where the front end stands in the host's job control (enum term_place). */
void tty_host_place(unsigned place);
/* Sends and takes what can be; on the event thread. */
void tty_host_pump(void);
/* To the foreground group; -ESRCH when there is none. */
int tty_host_signal(int sig);
/* At the end: everything written so far goes out, however long that takes; or not, in a hurry. */
void tty_host_drain(void);
/* Nothing is printed any more: who shows it need not wait for our end. */
void tty_host_close(void);
void tty_host_hurry(void);

/* ---- terminals of further programs (sbx exec -t); on the event thread ---- */

/*
 * A terminal whose other side is behind the stream socket sock, which is taken over on success. *ret_slave: an
 * open slave. id: the job's, not 0; TTY_PROGRAM: of the first program of a further container. -ENOSPC: there
 * are too many.
 */
#define TTY_PROGRAM UINT32_MAX
int tty_relay_start(struct task *t, uint32_t id, int sock, const struct lx_winsize *ws,
                    struct file **ret_slave);
void tty_relay_winsize(const struct container *c, uint32_t id, unsigned rows, unsigned cols);
/* The job has ended: what was printed is passed on, then the socket is closed. Any thread. No-op for others. */
void tty_relay_over(const struct container *c, uint32_t id);
