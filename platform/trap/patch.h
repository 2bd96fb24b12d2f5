/* SPDX-License-Identifier: Apache-2.0 */
/* Between patch.c and poke.c: what is known of the call sites of an address space. */
#pragma once

#include "platform/trap/trap.h"

#define SITES 256 /* a hash without chains: a site that finds its place taken takes it over */
#define AREAS 4
#define AREA_SIZE 0x4000u
#define SLOT_SIZE 32u
#define AREA_SLOTS (AREA_SIZE / SLOT_SIZE - 1) /* the first holds the entry's address */
#define REACH 0x7ff00000ull
#define TRAPS_FIRST 32 /* of a process, before it is worth an area */
#define TRAPS_SITE 3   /* of a site */
#define BEFORE 8       /* bytes looked at before a syscall instruction, and behind it: */
#define BEHIND 20

enum site_state { SITE_NEW, SITE_DONE, SITE_NEVER };

struct area {
    gaddr_t base;
    unsigned used;
    gaddr_t site[AREA_SLOTS + 1]; /* where the trampoline of a slot belongs */
};

/* A change under way while other threads run; see poke.c. */
struct poke {
    gaddr_t at; /* 0: none */
    uint8_t old[8], new[8];
    unsigned n, step;
    bool alone; /* a forked child has the breakpoint, and nobody who takes it out */
};

struct patches {
    pthread_mutex_t lock;
    unsigned traps;
    bool off, no_poke;
    struct {
        gaddr_t behind; /* the address behind the instruction */
        uint8_t traps, state;
    } site[SITES];
    struct area area[AREAS];
    unsigned nareas;
    struct poke poke;
};

bool patch_write(struct aspace *as, gaddr_t at, const void *code, size_t n);

/*
 * Begins to write n bytes of code at `at`, where other threads may run now; c's event waits for
 * poke_go_on. Both: true while it is under way. p->lock held.
 */
bool poke_begin_locked(struct ctx *c, struct patches *p, gaddr_t at, const void *code, unsigned n);
bool poke_go_on_locked(struct ctx *c, struct patches *p);
