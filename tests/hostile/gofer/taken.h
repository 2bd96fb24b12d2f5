/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox whose sentry is taken over from its first instruction. The test program is linked like
 * sbx, with `--wrap=sentry_main`: front end, gofer, namespaces, ids, descriptors and filters are the
 * real ones, and where the sentry would begin an attack begins. Nothing is exec'd, so an attack is a
 * function pointer, and what it finds it writes on the board, a page that all the processes share.
 *
 *   test program   makes a tree to share and canaries beside it, judges
 *      +-- helper      renames or mounts meanwhile; or a victim
 *      +-- front end   sbx run --bind=TREE:/tree
 *             +-- gofer
 *             +-- taken sentry    attack(); its fences go up by taken_fence()
 *
 * A canary reached is a hole: the attack was to fail. In a build with SBX_UNFENCED each attack runs
 * with the fences gone that stop it, and it is to succeed: so it is known to bite.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gofer/gofer.h"
#include "gofer/protocol.h"
#include "sentry/sentry.h"

#define TOKEN_LEN 32
#define OUTSIDE_MAX 6

struct board {
    char token[TOKEN_LEN + 1]; /* what canaries hold; whoever has these bytes has been outside */
    char top[64];              /* top/tree is shown, top/out is not */
    struct {
        uint64_t dev, ino;
    } outside[OUTSIDE_MAX]; /* whose attributes show only to who has been outside */
    unsigned noutside;
    bool bites; /* it is to succeed: try longer */
    pid_t front, victim, harness;
    atomic_bool victim_ready;
    atomic_int stage; /* of what an attack and its helper do by turns */
    atomic_uint reached, failed;
    char what[256], why[512];
    atomic_ulong tries; /* of whatever the attack tries: so that none passes by not running */
};
extern struct board *board;

/* In victims only these hold the token; everybody else has the same address, empty. */
extern char victim_secret[TOKEN_LEN + 1];

/* How the sandbox is started. */
struct way {
    const char *name;
    bool user;           /* by an ordinary user rather than root */
    const char *without; /* SBX_WITHOUT */
};
extern const struct way way_root, way_user, way_root_plain, way_user_plain;

struct attack {
    const char *name;
    void (*run)(const struct sentry_config *cfg); /* in the taken sentry, before its fences */
    void (*prepare)(void);   /* in the test program: more in the tree; or NULL */
    void (*meanwhile)(void); /* in a helper, until it is killed; or NULL */
    void (*gofer)(const struct gofer_config *cfg); /* the gofer is taken instead, run is NULL */
    bool need_root;                                /* prepare mounts or makes devices */
    bool ring;                                     /* SBX_RING */
    bool named; /* --name: the rules of its network may change */
    const struct way *const *ways;                 /* NULL-terminated */
    /*
     * Without these fences (abi/unfenced.h) it succeeds, started in this way. NULL: it is the host
     * kernel that stops it, or what is tested is that the gofer lives: docs/security/hostile-sentry.md.
     */
    const char *bites;
    const struct way *bites_way;
    const char *option; /* of sbx run; or NULL */
};

/* Of each test program; harness.c has the main(). Usage: [NAME], one attack only. */
extern const struct attack taken_attacks[];
extern const unsigned taken_nattacks;
extern const struct attack *current; /* that is run */
/*
 * Of programs that say so: the tree is shared live (:rw), the second gofer is what is attacked, where
 * nothing else can be written (confine.h), and canaries_judge (live.h) looks for more in the end.
 */
extern bool taken_live;

/* ---- for attacks ---- */

void taken_fence(const struct sentry_config *cfg);      /* what sentry_main() fences itself with */
void taken_gofer_fence(const struct gofer_config *cfg); /* what gofer_main() does */
/* A child of the sentry, fenced like it, that does fn; its wait status. */
int taken_child(const struct sentry_config *cfg, void (*fn)(const struct sentry_config *cfg));
/* The attack has got out. */
void reached(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The gofer is dead, hangs or talks nonsense. Ends this process. */
void broken(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Looks for canaries. */
void judge_bytes(const void *p, size_t n, const char *what);
void judge_fd(int fd, const char *what);

/* ---- for prepare and meanwhile ---- */

const char *in_top(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void put_file(const char *path, const char *text, mode_t mode);
