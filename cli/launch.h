/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts the processes of one sandbox (docs/ARCHITECTURE.md, "Start-up"):
 *
 *   front end    launch_start(): sockets, ring, then
 *     +-- gofer    launch_gofer.c: opens the exports as detached mounts, empty root, gofer_main()
 *     +-- gofer    the same once more for what is shared live (--bind SRC:DST:rw), as the caller
 *     +-- sentry   launch_sentry.c: every namespace there is, procfs, empty root, sentry_main()
 *
 * Neither is exec'd: what they need stands in memory. The front end stays single-threaded, is the
 * parent of both, and both die with it (PR_SET_PDEATHSIG). A step that this host refuses is left
 * out where the sandbox holds without it; `lost` says what, doctor says what that costs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/idmap.h"
#include "abi/tty.h"
#include "abi/types.h"
#include "cli/control.h"
#include "cli/netfence.h"
#include "cli/network.h"
#include "cli/options.h"
#include "cli/shown.h"
#include "cli/user.h"
#include "gofer/gofer.h"
#include "sentry/kernel/limits.h"
#include "sentry/process.h"
#include "sentry/sentry.h"

#define LAUNCH_STEPS 12

struct launch {
    /* in */
    const struct run_options *options;
    const struct shown *shown;
    const struct user *user;
    const struct program *program;
    const struct process_spec *container; /* sentry/sentry.h; NULL: `sbx run` */
    const int *passed;                    /* descriptors that the program finds from 3 on */
    unsigned npassed;                     /* at most PASSED_MAX */
    const char *notify, *cgroup;          /* sentry/sentry.h */
    size_t ncgroup;
    const char *domainname;
    const struct sentry_sysctl *sysctls;
    unsigned nsysctls;
    const struct idmap *uids, *gids; /* shown inside; NULL: each id is itself */
    uint64_t mem_total;              /* shown inside; 0: the host's */
    unsigned ncpus;
    char **envp;
    const struct platform *platform;
    const char *platform_why; /* why it is not a better one; NULL: it is the best */
    uint64_t without;
    uint64_t limits[LIMITS];
    uint64_t t_start_ns;
    int log_fd, strace_fd;
    struct network *network;
    const char *results_path; /* inside; NULL: nobody asks what was changed */
    bool tty[3];              /* standard stream that is a terminal */
    bool terminal;            /* there is one, a standard stream or not */
    enum term_place tty_place;
    struct lx_termios2 tty_settings;
    uint16_t tty_rows, tty_cols;

    /* out: the front end's ends */
    int control, gofer_status, tty_sock, results;
    int rules; /* to the broker, where rules may change; -1 */
    struct netfence netfence;
    /* shared: the gofer of what is shared live; it and broker 0: there is none */
    pid_t gofer, shared, sentry, broker;
    int gofer_pidfd, shared_pidfd, sentry_pidfd, broker_pidfd;
    struct {
        const char *name;
        uint64_t end_ns;
    } steps[LAUNCH_STEPS];
    unsigned nsteps;
};

/* Of three host ids for each sandbox that own nothing: see ids.h. */
#define LAUNCH_ID_BASE 0x78000000u

/*
 * Which platform is to be used, by name or "auto"; what the host has not is added to l->without. 0, or the exit
 * status after the error was printed.
 */
int launch_platform(struct launch *l, const char *name);
/* 0, or the exit status after the error was printed; then nothing is left running. */
int launch_start(struct launch *l);
/*
 * The gofers alone, for a sentry that another has started: *ret_shared and *ret_plain are its ends of their sockets, -1
 * for the latter where nothing is shown that is not shared live. The same.
 */
int launch_gofers(struct launch *l, int *ret_shared, int *ret_plain);
/*
 * When the sentry is about to end: waits (bounded) until the broker has sent what it was told to, and is
 * gone. Whoever sees us end may publish the same ports again at once.
 */
void launch_end_broker(const struct launch *l);
void launch_step(struct launch *l, const char *name);
uint64_t now_ns(void);

/* ---- between the launch files ---- */

/* The children's ends. */
struct launch_fds {
    int control, gofer_status, gofer_sock[2], shared_sock[2], ring, tty_sock, results;
    int broker_sock[2]; /* the broker's, the sentry's; -1: no network */
    int rules;          /* the broker's to us; -1 */
    int fenced[2];      /* the broker waits for a byte; -1: for nothing */
};

/* How a child is made and what it may count on. */
struct spawn {
    unsigned flags;   /* CLONE_NEW* that were granted */
    int go;           /* readable when the id maps are written; EOF: the front end is gone */
    uid_t uid;        /* what to become, as numbered inside; (uid_t)-1: stay */
    bool root;        /* started by root: groups can be dropped */
    bool groups_stay; /* but not here */
};

/*
 * Makes a child in the namespaces of want, or in fewer, but for those of must. Returns its pid, 0 in
 * the child, -errno.
 * host_uid: the id that owns nothing (root only). whole: its map shows every id of this namespace.
 */
pid_t spawn(unsigned want, unsigned must, uint64_t without, uid_t host_uid, bool whole,
            struct spawn *ret, int *ret_pidfd);
/* First step of a child: own session, dies with its parent, waits for its maps. */
void child_begin(struct spawn *sp);
/*
 * Changes root to an empty directory; -errno when refused. Else its descriptor, to be kept: the host
 * takes the mount down when it is closed, and makes the closer wait for a grace period (100 to 400
 * us). It gives no more than the root itself does.
 */
int child_empty_root(void);
/* Becomes sp->uid, keeping the permitted capabilities; no new privileges; not dumpable. */
int child_become(const struct spawn *sp);
/* Drops every capability but those of the mask. */
int child_capabilities(uint64_t keep);
/* Closes every descriptor but these; a closed one of 0 to 2 becomes null_fd. */
void child_close_all_but(const int *keep, unsigned n, int null_fd);
/* One line to the front end, which ends with status. Does not return. */
void child_fail(int sock, int status, const char *fmt, ...) PRINTF_LIKE(3, 4)
    __attribute__((noreturn));

/* shared: the one of what is shared live, which acts with the caller's id. */
void gofer_child(const struct launch *l, const struct launch_fds *f, struct spawn *sp, bool shared)
    __attribute__((noreturn));
void broker_child(const struct launch *l, const struct launch_fds *f, struct spawn *sp)
    __attribute__((noreturn));
void sentry_child(const struct launch *l, const struct launch_fds *f, struct spawn *sp)
    __attribute__((noreturn));
