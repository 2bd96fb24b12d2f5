/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attacks of `sbx doctor --self-test`. They run inside, as the hidden command `sbx attack`, which
 * does nothing unless it is given the token that the self-test put into its environment. All aim at
 * bait that the self-test has laid out on the host, and change nothing else there if they succeed.
 *
 * An attack returns NULL when it was held, else how it got through. Each has a process of its own: one
 * that is killed for what it does was held.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATTACK_TOKEN "SBX_SELFTEST" /* environment variable */
#define ATTACK_BAIT "sbx-bait:"     /* how the bait's file begins */
#define ATTACK_TIMEOUT 20           /* seconds, for each */

/* What lies outside. All text comes from the command line. */
struct bait {
    const char *dir;      /* on the host: file `bait`, folder `work`, which is the guest's cwd */
    const char *abstract; /* name of a listening abstract socket; dir/work/sock listens, too */
    const char *shm;      /* a file of the host's /dev/shm */
    const char *hostname, *boot_id;
    const char *secret; /* a variable that was not passed on */
    int port, pid;      /* 127.0.0.1:port listens; pid sleeps */
    int shm_key;        /* SysV; 0: none */
    int64_t uptime;     /* of the host, in seconds */
};

struct attack {
    const char *name;
    const char *(*run)(const struct bait *b);
};

extern const struct attack attacks[];
extern const unsigned attacks_count;

/* Of a sandbox with a rule for the port allowed of 127.0.0.1: an exit status. */
enum { ATTACK_NET_HELD, ATTACK_NET_THROUGH, ATTACK_NET_UNTRIED };
int attack_net(int allowed, int forbidden);

/* ---- between the attacks' files ---- */

/* Formats into memory that is never freed. */
const char *through(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Opens, reads: does it hold the bait? by is said of the way; NULL: no. */
const char *reads_bait(int dir, const char *path, const char *by);

/*
 * A call from where the stub's own code calls the host: the widest filter that a guest can get to.
 * -ENOSYS when that code is not found; where the filter or the sentry ends the process, no return.
 */
long native_call(long nr, long a, long b, long c, long d, long e, long f);
#define NATIVE(nr, a, b, c) native_call(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
bool native_found(void);

const char *attack_by_path(const struct bait *b);
const char *attack_by_links(const struct bait *b);
const char *attack_write(const struct bait *b);
const char *attack_tcp(const struct bait *b);
const char *attack_abstract(const struct bait *b);
const char *attack_unix(const struct bait *b);
const char *attack_signal(const struct bait *b);
const char *attack_see(const struct bait *b);
const char *attack_trace(const struct bait *b);
const char *attack_devices(const struct bait *b);
const char *attack_mounts(const struct bait *b);
const char *attack_namespaces(const struct bait *b);
const char *attack_forbidden(const struct bait *b);
const char *attack_native(const struct bait *b);
const char *attack_other_abi(const struct bait *b);
const char *attack_blob(const struct bait *b);
const char *attack_fresh_memory(const struct bait *b);
const char *attack_names(const struct bait *b);
const char *attack_kernel(const struct bait *b);
const char *attack_ipc(const struct bait *b);
