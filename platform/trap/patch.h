/* SPDX-License-Identifier: Apache-2.0 */
/* Between patch.c and poke.c: what is known of the call sites of an address space. */
#pragma once

#include "platform/trap/site.h"
#include "platform/trap/trap.h"

#define SITES 256 /* a hash without chains: a site that finds its place taken takes it over */
#define AREAS 4
#define AREA_TRIES 16
#define AREA_SIZE 0x4000u
#define SLOT_SIZE 32u
#define AREA_SLOTS (AREA_SIZE / SLOT_SIZE - 1) /* the first holds the entry's address */
#define REACH 0x7ff00000ull
#define TRAPS_FIRST 32 /* of a process, before it is worth an area */
#define TRAPS_SITE 3   /* of a site */

enum site_state { SITE_NEW, SITE_DONE, SITE_NEVER };

/* Shared between a process and its forked children until one of them adds to it. */
struct area {
    _Atomic int refs;
    gaddr_t base;
    unsigned used;
    bool lost; /* the guest has mapped something else there */
    struct {
        int32_t behind; /* the address behind the site's syscall instruction, from base */
        struct site site;
    } slot[AREA_SLOTS + 1]; /* from 1 on */
};

#define AREA_CONTENT offsetof(struct area, base) /* from here on it does not change while shared */

static inline gaddr_t area_behind(const struct area *a, unsigned slot)
{
    return a->base + (uint64_t)(int64_t)a->slot[slot].behind;
}

/* Where the displaced code was. */
static inline gaddr_t area_start(const struct area *a, unsigned slot)
{
    return area_behind(a, slot) - 2 - a->slot[slot].site.n;
}

/* A change under way while other threads run; see poke.c. */
struct poke {
    gaddr_t at; /* 0: none */
    uint8_t old[8], new[8];
    unsigned n, step;
    bool alone; /* a forked child has the breakpoint, and nobody who takes it out */
};

struct patches {
    pthread_mutex_t lock;
    unsigned traps, tries;
    bool off, no_poke;
    struct {
        gaddr_t behind; /* the address behind the instruction */
        uint8_t traps, state;
    } site[SITES];
    struct area *area[AREAS];
    unsigned nareas;
    struct poke poke;
    unsigned forks; /* under way: memory is not to change without what is known of it */
};

bool patch_write(struct aspace *as, gaddr_t at, const void *code, size_t n);

/*
 * Begins to write n bytes of code at `at`, where other threads may run now; c's event waits for
 * poke_go_on. Both: true while it is under way, then c->own_ops are to be run. p->lock held.
 */
bool poke_begin_locked(struct ctx *c, struct patches *p, gaddr_t at, const void *code, unsigned n);
bool poke_go_on_locked(struct ctx *c, struct patches *p);
