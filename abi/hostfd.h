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

/* At start-up, as long as RLIMIT_NOFILE may be asked for. Before it there is no limit. */
void hostfd_init(void);
/* May fd, just made, be kept for that use? If not it is to be closed: as EMFILE. */
bool hostfd_may(int fd, enum hostfd_use use);
