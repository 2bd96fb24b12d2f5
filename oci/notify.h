/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sd_notify(3) out of a container. Where the caller's environment has NOTIFY_SOCKET the program finds a socket at
 * NOTIFY_INSIDE, which is the sentry's. That it said READY=1 is all that passes; the manager outside is told by
 * whoever starts it, in words of ours.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define NOTIFY_DIR "/run/notify"
#define NOTIFY_INSIDE NOTIFY_DIR "/notify.sock"

struct oci_state;

bool notify_wanted(void);
/* env with its address inside. */
char **notify_environment(char **env);
/* Asks the init proxy: a connection that is answered, or ends with the container; -1: no such socket inside. */
int notify_ask(const struct oci_state *s);
/* Waits for it there, and tells the manager; pid: its main process from now on, 0: it knows that. */
void notify_pass(int sock, pid_t pid);
