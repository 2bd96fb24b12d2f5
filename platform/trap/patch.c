/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patching of hot call sites: a `syscall` that traps again and again gets a jump in front of it, to
 * a trampoline that enters the blob's light path (stub/light.S) without a signal.
 *
 *     b8 nr nr nr nr   mov $nr, %eax         e9 .. .. .. ..   jmp trampoline
 *     0f 05            syscall               0f 05            syscall
 *
 *     trampoline:  what was displaced;  lea behind(%rip), %rcx;  jmp *entry(%rip)
 *
 * The syscall instruction stays, so a thread that is just before it still traps, and the light path
 * has somewhere to go back to when it cannot take a call. Sites of native calls are left alone, and
 * code in writable memory: a program that can write it may also move it, or share it with others.
 *
 * Where no other thread can run in the address space the site is simply written. Otherwise (poke.c)
 * its first byte is a breakpoint while the others change. Everything here is the guest's own memory,
 * changed in the way it could change it itself: nothing is at stake but its own state. It may map something
 * else where the trampolines are: then the displaced code is run here, and put back.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "abi/types.h"
#include "platform/trap/patch.h"

/* ---- one address space's ---- */

static void area_put(struct area *a)
{
    if (atomic_fetch_sub(&a->refs, 1) == 1)
        free(a);
}

/* To be changed: not another process's too. NULL: no memory. */
static struct area *area_own_locked(struct area **at)
{
    struct area *a = *at, *own;

    if (atomic_load(&a->refs) == 1)
        return a;
    own = malloc(sizeof *own);
    if (!own)
        return NULL;
    /* not refs: another that shares it may give it up at this moment */
    memcpy((char *)own + AREA_CONTENT, (const char *)a + AREA_CONTENT, sizeof *own - AREA_CONTENT);
    own->refs = 1;
    area_put(a);
    return *at = own;
}

void patches_free(struct patches *p)
{
    for (unsigned i = 0; p && i < p->nareas; i++)
        area_put(p->area[i]);
    free(p);
}

/* The one context of its address space? Then no thread runs there but ours, which is held. */
static bool alone(const struct aspace *as)
{
    int live = 0;

    pthread_mutex_lock(&trap.lock);
    for (struct tlist *n = as->stubs.next; n != &as->stubs; n = n->next)
        live += atomic_load(&tlist_entry(n, struct stub, as_link)->nlive);
    pthread_mutex_unlock(&trap.lock);
    return live == 1;
}

static struct patches *patches_of(struct aspace *as)
{
    struct patches *p = atomic_load(&as->patches), *none = NULL;

    if (p)
        return p;
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    if (!atomic_compare_exchange_strong(&as->patches, &none, p)) {
        free(p);
        p = none;
    }
    return p;
}

/*
 * The child's memory is what it is at the clone itself: until that is over (patches_forked) no site is
 * begun. A change that is under way (poke.c) is gone on with.
 */
struct patches *patches_fork(struct aspace *as)
{
    /* with nobody else to begin it there is none until then */
    struct patches *p = alone(as) ? atomic_load(&as->patches) : patches_of(as);
    struct patches *q = p ? calloc(1, sizeof *q) : NULL;

    if (!p)
        return NULL;
    pthread_mutex_lock(&p->lock);
    p->forks++;
    if (!q) { /* its trampolines work, without our knowing of them */
        pthread_mutex_unlock(&p->lock);
        return NULL;
    }
    pthread_mutex_init(&q->lock, NULL);
    q->traps = p->traps;
    q->tries = p->tries;
    q->off = p->off;
    q->no_poke = p->no_poke;
    q->poke = p->poke;
    q->poke.alone = q->poke.at != 0;
    q->nareas = p->nareas;
    for (unsigned i = 0; i < p->nareas; i++) {
        q->area[i] = p->area[i];
        atomic_fetch_add(&q->area[i]->refs, 1);
    }
    pthread_mutex_unlock(&p->lock);
    return q;
}

void patches_forked(struct aspace *as)
{
    struct patches *p = atomic_load(&as->patches);

    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    if (p->forks > 0)
        p->forks--;
    pthread_mutex_unlock(&p->lock);
}

/* ---- changing a site ---- */

static bool native(uint32_t nr)
{
    return nr == SYS_mmap || nr == SYS_munmap || nr == SYS_mprotect || nr == SYS_madvise ||
           nr == SYS_futex || nr == SYS_sched_yield;
}

static void put32(uint8_t *p, uint64_t v)
{
    uint32_t w = (uint32_t)v;

    memcpy(p, &w, 4);
}

bool patch_write(struct aspace *as, gaddr_t at, const void *code, size_t n)
{
    return as_write(as, at, code, n, true) == (ssize_t)n;
}

/* Is what we have put at its start still there? */
static bool is_there(struct aspace *as, const struct area *a)
{
    uint64_t entry;

    return as_read(as, a->base, &entry, sizeof entry) == sizeof entry &&
           entry == stubs.slot + trap.light_entry;
}

/*
 * The trampoline first, then what leads to it. *ret_busy: the last step is under way; it is left to
 * poke.c when other threads may run there.
 */
static bool apply(struct ctx *c, struct patches *p, struct area *a, const struct site *s,
                  bool *ret_busy)
{
    struct aspace *as = c->stub->as;
    unsigned slot = a->used + 1, n = s->n;
    gaddr_t at = a->base + (uint64_t)slot * SLOT_SIZE, behind = c->regs.rip, start = behind - 2 - n;
    uint8_t code[SLOT_SIZE], jump[5] = { 0xe9 }, hop[2] = { 0xeb, (uint8_t)(s->hop - 2) };
    const uint8_t *last = s->hop ? hop : jump;
    unsigned nlast = s->hop ? sizeof hop : sizeof jump;

    memcpy(code, s->displaced, n);
    memcpy(code + n, "\x48\x8d\x0d", 3); /* lea behind(%rip), %rcx */
    put32(code + n + 3, behind - (at + n + 7));
    memcpy(code + n + 7, "\xff\x25", 2); /* jmp *entry(%rip) */
    put32(code + n + 9, a->base - (at + n + 13));
    put32(jump + 1, at - (start + s->hop + 5));
    if (!patch_write(as, at, code, n + 13) ||
        (s->hop && !patch_write(as, start + s->hop, jump, sizeof jump)))
        return false;
    a->slot[slot].behind = (int32_t)(int64_t)(behind - a->base);
    a->slot[slot].site = *s;
    a->used = slot;
    if (!alone(as))
        return *ret_busy = poke_begin_locked(c, p, start, last, nlast);
    return patch_write(as, start, last, nlast);
}

/* Puts the displaced code back, where the jump still is. */
static void undo(struct aspace *as, const struct site *s, gaddr_t behind)
{
    gaddr_t start = behind - 2 - s->n;
    uint8_t now[2];

    if (alone(as) && as_read(as, start, now, 2) == 2 && now[0] == (s->hop ? 0xeb : 0xe9))
        (void)patch_write(as, start, s->displaced, s->n > 5 ? 5 : s->n);
}

static struct area **area_near_locked(struct patches *p, gaddr_t at)
{
    for (unsigned i = 0; i < p->nareas; i++) {
        const struct area *a = p->area[i];
        uint64_t far = a->base > at ? a->base - at : at - a->base;

        if (far < REACH && a->used < AREA_SLOTS && !a->lost)
            return &p->area[i];
    }
    return NULL;
}

/* Where an area for a site at `at` is asked for: far from where its program's heap will grow. */
static gaddr_t area_place(gaddr_t at, unsigned tries)
{
    gaddr_t where = at < 0x80000000 ? at + 0x7e000000 : at - 0x40000000;

    return (where & ~0xffffull) - tries * 0x10000ull;
}

/* Counts; the state of the site when it is to be looked at. */
static uint8_t *count_locked(struct patches *p, gaddr_t behind)
{
    unsigned i = (unsigned)(behind ^ behind >> 8 ^ behind >> 16) % SITES;

    if (p->site[i].behind != behind) {
        if (p->site[i].state == SITE_NEW && p->site[i].traps > 0) {
            p->site[i].traps--;
            return NULL;
        }
        p->site[i].behind = behind;
        p->site[i].traps = 0;
        p->site[i].state = SITE_NEW;
    }
    if (p->site[i].state != SITE_NEW || ++p->site[i].traps < TRAPS_SITE)
        return NULL;
    p->site[i].traps = 0;
    return &p->site[i].state;
}

/* Writing what is there succeeds in writable memory only. */
static bool is_writable(struct aspace *as, gaddr_t at, const void *what)
{
    return as_write(as, at, what, 1, false) == 1;
}

/* The code around; less of it where the neighbouring pages cannot be read. */
static bool read_around(struct aspace *as, gaddr_t at, struct site_code *ret)
{
    gaddr_t lo = at - SITE_NEAR, hi = at + 2 + SITE_NEAR, page = at & ~4095ull;

    for (int i = 0; i < 2; i++) {
        ret->n = (size_t)(hi - lo);
        ret->at = (size_t)(at - lo);
        if (as_read(as, lo, ret->bytes, ret->n) == (ssize_t)ret->n)
            return true;
        lo = lo < page ? page : lo;
        hi = hi > page + 4096 ? page + 4096 : hi;
    }
    return false;
}

/* An area near at is asked for; the event waits meanwhile. */
static void want_area(struct ctx *c, gaddr_t where)
{
    c->own_n = 1;
    c->own_ops[0] = (struct as_op){ .kind = AS_MMAP,
                                    .fd = -1,
                                    .a = { where, AREA_SIZE, PROT_READ | PROT_EXEC,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE } };
}

/* True: c->own_ops are to be run. */
static bool try_locked(struct ctx *c, struct patches *p, uint8_t *state)
{
    struct aspace *as = c->stub->as;
    gaddr_t at = c->regs.rip - 2;
    struct site_code code;
    struct site s;
    struct area **a;
    bool busy = false;

    if (p->poke.at || p->forks > 0)
        return false;
    *state = SITE_NEVER;
    if (!read_around(as, at, &code) || !site_recognise(&code, (uint32_t)c->regs.orig_rax, &s) ||
        is_writable(as, at, code.bytes + code.at))
        return false;
    *state = SITE_NEW;
    if ((p->no_poke || !s.single) && !alone(as))
        return false;
    a = area_near_locked(p, at);
    if (!a) {
        p->off = p->nareas == AREAS || p->tries == AREA_TRIES;
        if (!p->off)
            want_area(c, area_place(at, p->tries++));
        return !p->off;
    }
    if (!area_own_locked(a))
        return false;
    (*a)->lost = !is_there(as, *a);
    if ((*a)->lost)
        return false;
    *state = apply(c, p, *a, &s, &busy) ? SITE_DONE : SITE_NEVER;
    if (*state == SITE_DONE)
        atomic_fetch_add_explicit(&trap.st.patches, 1, memory_order_relaxed);
    return busy;
}

/* Not under the lock: c may be gone, or come again on another worker. */
static bool run_own_ops(struct ctx *c, bool busy)
{
    if (busy) {
        c->internal = true;
        ctx_run_ops(c, c->own_ops, c->own_n);
    }
    return busy;
}

bool patch_site(struct ctx *c)
{
    struct aspace *as = c->stub->as;
    struct patches *p;
    uint8_t *state;
    bool busy = false;

    if (!trap.use_gs || as->own_gs || stubs.proc_fd < 0 || c->regs.rip >= stubs.slot ||
        native((uint32_t)c->regs.orig_rax) || c->regs.rip < SITE_NEAR + 2)
        return false;
    p = patches_of(as);
    if (!p)
        return false;
    pthread_mutex_lock(&p->lock);
    if (!p->off && ++p->traps >= TRAPS_FIRST && (state = count_locked(p, c->regs.rip)))
        busy = try_locked(c, p, state);
    pthread_mutex_unlock(&p->lock);
    return run_own_ops(c, busy);
}

/* What want_area has asked for. */
static void mapped_locked(struct ctx *c, struct patches *p)
{
    uint64_t entry = stubs.slot + trap.light_entry;
    gaddr_t base = (gaddr_t)c->own_ops[0].ret;
    struct area *a;

    if (base != c->own_ops[0].a[0] || p->nareas == AREAS || !(a = malloc(sizeof *a)))
        return;
    a->refs = 1;
    a->base = base;
    a->used = 0;
    a->lost = !patch_write(c->stub->as, base, &entry, sizeof entry);
    p->area[p->nareas++] = a;
}

bool patch_go_on(struct ctx *c)
{
    struct patches *p = atomic_load(&c->stub->as->patches);
    bool busy = false;

    pthread_mutex_lock(&p->lock);
    c->internal = false;
    if (c->own_ops[0].kind == AS_MMAP)
        mapped_locked(c, p);
    else
        busy = poke_go_on_locked(c, p);
    pthread_mutex_unlock(&p->lock);
    return run_own_ops(c, busy);
}

/* ---- a thread that is stopped in a trampoline ---- */

static struct area **area_of_locked(struct patches *p, gaddr_t at)
{
    for (unsigned i = 0; i < p->nareas; i++) {
        if (at - p->area[i]->base < AREA_SIZE)
            return &p->area[i];
    }
    return NULL;
}

/* Before the displaced code has run: it is run here. */
static bool run_displaced(struct ctx *c, const struct site *s)
{
    uint64_t arg7;
    bool known = s->displaced[0] == 0x4c && s->n == 5 &&
                 as_read(c->stub->as, c->regs.rsp + 8, &arg7, 8) == 8;

    return site_run(s, &c->regs, known ? &arg7 : NULL);
}

/* Is it the trampoline itself that could not be run? */
static bool is_lost(const struct ctx *c, const struct area *a)
{
    return (c->fault.signo == SIGSEGV || c->fault.signo == SIGBUS) &&
           c->fault.addr - a->base < AREA_SIZE;
}

/*
 * Displaced code that has run in part is run again from its start, which does no harm; once it has
 * all run, only the call is left. A single step over it is one step.
 */
static bool unwind_locked(struct ctx *c, struct patches *p)
{
    struct area **at = area_of_locked(p, c->regs.rip), *a = at ? *at : NULL;
    unsigned off = a ? (unsigned)(c->regs.rip - a->base) : 0, slot = off / SLOT_SIZE;
    bool lost;

    if (slot == 0 || slot > a->used)
        return false;
    const struct site *s = &a->slot[slot].site;
    gaddr_t behind = area_behind(a, slot);

    lost = is_lost(c, a);
    if (lost)
        undo(c->stub->as, s, behind);
    if (off % SLOT_SIZE >= s->n ||
        (off % SLOT_SIZE == 0 && (lost || c->fault.signo == SIGTRAP) && run_displaced(c, s)))
        c->regs.rip = behind - 2;
    else
        c->regs.rip = behind - 2 - s->n;
    if (lost && !a->lost && (a = area_own_locked(at)))
        a->lost = true;
    return lost;
}

bool patch_unwind(struct ctx *c)
{
    struct patches *p = atomic_load(&c->stub->as->patches);
    bool go_on;

    if (!p)
        return false;
    pthread_mutex_lock(&p->lock);
    go_on = unwind_locked(c, p);
    pthread_mutex_unlock(&p->lock);
    return go_on;
}

bool patch_owns(struct stub_memory *mem, gaddr_t at)
{
    struct aspace *as = tlist_entry(mem, struct aspace, mem);
    struct patches *p = atomic_load(&as->patches);
    bool owns = false;

    if (p) {
        struct area **a;

        pthread_mutex_lock(&p->lock);
        a = area_of_locked(p, at);
        owns = a && !(*a)->lost;
        pthread_mutex_unlock(&p->lock);
    }
    return owns;
}

/* The guest takes gs: every trampoline goes back to its syscall instruction from now on. */
void patch_disable(struct aspace *as)
{
    struct patches *p = atomic_load(&as->patches);
    uint64_t plain = stubs.slot + trap.light_plain;

    as->own_gs = true;
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->off = true;
    for (unsigned i = 0; i < p->nareas; i++) {
        if (is_there(as, p->area[i]))
            (void)patch_write(as, p->area[i]->base, &plain, sizeof plain);
    }
    pthread_mutex_unlock(&p->lock);
}
