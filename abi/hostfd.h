/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process's own descriptors, which are few, are shared out: who opens what guests' files need
 * must leave some for processes, and who makes processes some for what those need later. The host
 * gives the lowest number that is free, so a high number says that most are taken.
 */
#pragma once

#include <stdbool.h>

enum hostfd_use {
    HOSTFD_FILE,    /* three quarters */
    HOSTFD_PROCESS, /* seven eighths */
};

/*
 * The sentry's channels have numbers of their own: its fence lets it send to these and no others, and
 * never lets it close them. A socket that is handed to it gets another number, and whatever becomes of
 * the sentry, no message with an address goes there.
 */
#define HOSTFD_CHANNELS 64 /* the first; a multiple of their number */
#define HOSTFD_NCHANNELS 8 /* a power of two */
enum hostfd_channel {
    HOSTFD_CONTROL,
    HOSTFD_GOFER,
    HOSTFD_BROKER,
    HOSTFD_TTY,
    HOSTFD_RESULTS,
    HOSTFD_ZYGOTE,
    HOSTFD_SHARED,
};
/* *fd, where it is none of the channels' numbers, stays; else it moves behind them. -1 stays too. */
void hostfd_clear(int *fd);
/* Moves *fd there, close-on-exec. -1 stays. False: the host refuses. */
bool hostfd_settle(int *fd, enum hostfd_channel as);

/* close_range(2), and one by one where the host (a container's filter) knows nothing of it. 0 or -errno. */
int hostfd_close_range(unsigned from, unsigned to);

/* close(2); of a channel's number, which stays taken, shutdown(2). */
void hostfd_close(int fd);

/* At start-up, as long as RLIMIT_NOFILE may be asked for. Before it there is no limit. */
void hostfd_init(void);
/* May fd, just made, be kept for that use? If not it is to be closed: as EMFILE. */
bool hostfd_may(int fd, enum hostfd_use use);
