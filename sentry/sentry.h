/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry as the front end sees it. The front end forks (it does not exec), the child enters its
 * namespaces, is fenced and calls sentry_main() with what stands here; nothing is read from files.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/tty.h"
#include "cli/control.h"

struct idmap;
struct platform;
struct process_spec;

enum sentry_mount_kind {
    SM_OVERLAY,
    SM_RO,
    SM_SHARED,
    SM_TMPFS,
    SM_PROC,
    SM_SYSFS,
    SM_DEV,
    SM_SYMLINK,
    SM_DIR,
    SM_TEXT,
    SM_IMAGE, /* what an image holds, and in memory what is changed of it */
    SM_IMAGE_RO,
    /* of a container (docs/OCI.md) */
    SM_CGROUP,  /* options: its controllers, as cgroup_fs_new() */
    SM_FS,      /* a file system of that type, with options */
    SM_DEVICES, /* what every container has in /dev; what is there stays */
    SM_NODE,    /* a device: mode with its kind, rdev, uid, gid */
    SM_MASK, /* nothing is to be read there: a file is /dev/null, a directory empty; none: none */
    SM_READONLY, /* the same tree, not to be written to; the root itself too; none: none */
    SM_PROPAGATE /* flags: MS_SHARED, MS_SLAVE, ..., with MS_REC */
};

/* One step of building the guest's tree, in order. Parents are made as needed. */
struct sentry_mount {
    enum sentry_mount_kind kind;
    const char *path;   /* inside */
    unsigned export_id; /* OVERLAY, RO: the gofer's export (its root may be a file or a directory);
                      IMAGE: the file's;
                      SHARED: the second gofer's */
    const char *
        target; /* SYMLINK; TEXT: what is in the file; SHARED: a single file's name in the export, or NULL */
    uint32_t mode, uid, gid;    /* TMPFS, DIR, NODE */
    uint64_t rdev;              /* NODE */
    bool exact;                 /* the mount's flags are these, and no others are added */
    unsigned flags;             /* MS_* of the mount */
    const char *type, *options; /* FS */
    const char *source;         /* as it is shown; NULL: the type */
    const char *root; /* SHARED: where its root lies on the host, as mountinfo has it; NULL: "/" */
    bool learn; /* what is opened in it is recorded (sentry/learn.h), where that is asked for */
};

/* "net.ipv4.tcp_ecn" and what it is set to; one that is not to be changed here stays as it is. */
struct sentry_sysctl {
    const char *name, *value;
};

struct sentry_port {
    uint16_t port; /* inside */
    bool udp;
};

struct sentry_net {
    int sock;      /* SEQPACKET to the broker; -1: no network but lo */
    bool loopback; /* the host's loopback can be reached, to begin with */
    bool host;     /* every port may be listened on */
    struct sentry_port *pub;
    unsigned npub;
};

struct sentry_config {
    int gofer_sock;    /* SEQPACKET; -1 only in tests */
    int shared_sock;   /* SEQPACKET to the gofer of what is shared live; -1: none */
    int gofer_ring;    /* restricted io_uring, or -1 */
    int control_sock;  /* SEQPACKET to the front end: cli/control.h */
    int stdio[3];      /* host descriptors of the program's 0, 1, 2; -1: closed */
    bool stdio_tty[3]; /* this one is the sandbox's terminal (a pty of our own) instead */
    int tty_sock;      /* SEQPACKET to the front end's terminal (cli/control.h); -1: no terminal */
    struct lx_termios2 tty_settings; /* as the host's has them */
    enum term_place tty_place;
    uint16_t tty_rows, tty_cols;
    struct sentry_net net;
    int log_fd, strace_fd; /* -1: none */
    int log_level;
    int proc_fd; /* procfs of the sentry's pid namespace, or -1 */

    const struct platform *platform;
    uint64_t without; /* SBX_WITHOUT_* */

    const struct sentry_mount *mounts;
    unsigned nmounts;

    char *const *argv; /* argv[0] is looked up by the front end: exec_path is what is run */
    char *const *envp;
    const char *exec_path, *cwd;
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    unsigned ngroups;
    const char *hostname;

    int results_sock;         /* gofer/changes.h */
    const char *results_path; /* changes beneath this directory are told; NULL: none */

    /*
     * A container: the program is pid 1 and found inside, as its environment has it; it is held, when
     * all else is ready, until CTL_START. NULL: `sbx run`.
     */
    const struct process_spec *container;
    const int *passed; /* host descriptors of the program's 3, 4, ... */
    unsigned npassed;
    const char *cgroup;     /* what is to be seen of its control group (fs/cgroup/cgroup.h); NULL */
    size_t ncgroup;         /* bytes */
    const char *notify;     /* path of a socket that it may say READY=1 to; NULL: none */
    const char *domainname; /* NULL: none */
    const struct sentry_sysctl *sysctls;
    unsigned nsysctls;
    const struct idmap *uids, *gids; /* which ids there are; NULL: all */
    bool groups_stay;                /* setgroups(2) is denied */
    uint64_t mem_total;              /* bytes of memory that are shown; 0: the host's */
    unsigned ncpus;                  /* processors that are shown; 0: the host's */

    const uint64_t *limits; /* kernel/limits.h; NULL: the defaults */
    bool stats;
    bool tell_started;   /* CTL_STARTED is wanted */
    bool learn;          /* sentry/learn.h */
    uint64_t t_start_ns; /* CLOCK_MONOTONIC when the front end began, for the start-up budget */
};

/*
 * Runs the sandbox to the end and sends the wait status of the program over control_sock. Never
 * returns. On a start-up error sends it (errno and one line) in the same way.
 */
void sentry_main(const struct sentry_config *cfg) __attribute__((noreturn));
