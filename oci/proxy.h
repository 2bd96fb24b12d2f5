/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The init proxy of a container: the host process that callers know it by. It is the front end of the
 * sandbox (parent of sentry and gofers, which end with it), lives from create until the guest's first process
 * has ended, and ends with its status, or with 128 and the signal. Signals to it act on that process.
 *
 *   create            the proxy
 *     fork ------------> terminal, cgroup, namespaces
 *     <--------- USERNS  (where it has made a new one)
 *     maps of ids, GO ->
 *     <----- NAMESPACES
 *     hooks prestart, createRuntime
 *     GO --------------> hooks createContainer, launch_start()
 *     <---------- READY  (or WIRE_FAILED, and it ends)
 *     state, pid file
 *     KEEP ------------> serves control.sock
 *     exit
 *
 * Whoever creates it ends; it is then the child of the caller's subreaper, which is told of its end.
 */
#pragma once

#include "oci/box.h"
#include "oci/passed.h"
#include "oci/wire.h"

enum { SYNC_USERNS = 128, SYNC_NAMESPACES, SYNC_GO, SYNC_READY, SYNC_KEEP };

struct proxy_setup {
    const struct oci_config *config;
    const struct oci_state *state;
    struct box *box;
    int sync; /* its end of the socket to create */
    int pod;  /* a connection to the first proxy of its pod (pod.h); -1: it has its own sentry */
    const char *console; /* path of the socket that the terminal's other side goes to; NULL: none */
    const struct passed *passed;
    bool notify;     /* its program has a socket for sd_notify */
    bool foreground; /* `run` without --detach: the caller's own terminal and session */
};

/* In the child of a fork. Never returns. */
void proxy_main(const struct proxy_setup *p) __attribute__((noreturn));

/* terminal.c: a new terminal of the host, for which the caller gets the other side. Its own side, or -1
 * with one line in why. */
int terminal_open(const char *console, unsigned rows, unsigned cols, char why[OCI_WHY]);

/* terminal.c: the caller gets a pidfd of pid by the socket at path; NULL: nobody asked. 0, or 1 after the error
 * was printed. */
int send_pidfd(const char *path, pid_t pid);

/*
 * namespaces.c: enters those that the configuration has a path of, or makes the others. That of users is
 * userns.c's, between the two: who joins needs the caller's rights, what is made is to belong to it.
 * 0, or -1 with one line in why.
 */
int namespaces_join(const struct oci_config *c, char why[OCI_WHY]);
int namespaces_make(const struct oci_config *c, char why[OCI_WHY]);

/* userns.c. A new one is asked for, whose maps are to be written. */
bool userns_is_new(const struct oci_config *c);
/* The maps of pid, which has made one. 0, or 1 after the error was printed. */
int userns_map(const struct oci_config *c, pid_t pid);
/* Joins or makes it, where one is asked for, and becomes its root. sync: to the maker. 0, or -1 with why. */
int userns_enter(const struct oci_config *c, int sync, char why[OCI_WHY]);
/* Writes one map of pid by our own rights; 0 or -errno. */
int idmap_write(pid_t pid, const char *name, const struct idmap *m);
/* idmap.c: the mounts that have maps of their own. 0, or -1 with why. */
int idmap_open(struct shown *s, char why[OCI_WHY]);
/* When the gofer has them. */
void idmap_close(const struct shown *s);
/* The maps that are ours from then on are shown inside. */
void userns_show(struct launch *l);
/* Who made the proxy, as he is seen from here: what the other end of sync is tells. */
void userns_maker(int sync);
uid_t userns_made_by(void);
