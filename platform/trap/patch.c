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
 * has somewhere to go back to when it cannot take a call. Sites of native calls are left alone.
 *
 * Where no other thread can run in the address space the site is simply written. Otherwise (poke.c)
 * its first byte is a breakpoint while the others change. Everything here is the
 * guest's own memory, changed in the way it could change it itself: nothing is at stake but its own
 * state. What is displaced does not depend on where it runs, and can be run twice: a kick inside a
 * trampoline goes back to the site (patch_unwind).
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "abi/types.h"
#include "platform/trap/patch.h"

/* How a site is changed. */
struct change {
    gaddr_t at;           /* what is displaced */
    uint8_t displaced[8]; /* from there */
    unsigned n;
    bool single; /* it is one instruction: no thread stands in the middle of it */
    gaddr_t pad; /* not 0: a short jump leads here, and from here the long one */
};

static uint64_t entry_address(void)
{
    return trap.slot + trap.light_entry;
}

struct patches *patches_copy(const struct patches *p)
{
    struct patches *q = p ? malloc(sizeof *q) : NULL;

    if (q) {
        memcpy(q, p, sizeof *q);
        pthread_mutex_init(&q->lock, NULL);
        q->poke.alone = q->poke.at != 0;
    }
    return q;
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

static bool native(uint32_t nr)
{
    return nr == SYS_mmap || nr == SYS_munmap || nr == SYS_mprotect || nr == SYS_madvise ||
           nr == SYS_futex || nr == SYS_sched_yield;
}

/* Unreachable filling, as compilers make it, of at least five bytes. */
static bool is_filling(const uint8_t *p)
{
    static const uint8_t fill[][6] = {
        { 4, 0x0f, 0x1f, 0x44, 0x00 },       { 4, 0x0f, 0x1f, 0x80, 0x00 },
        { 4, 0x0f, 0x1f, 0x84, 0x00 },       { 5, 0x66, 0x0f, 0x1f, 0x44, 0x00 },
        { 5, 0x66, 0x0f, 0x1f, 0x84, 0x00 }, { 5, 0x66, 0x2e, 0x0f, 0x1f, 0x84 }
    };

    for (unsigned i = 0; i < ARRAY_SIZE(fill); i++) {
        if (!memcmp(p, fill[i] + 1, fill[i][0]))
            return true;
    }
    return false;
}

/* mov between two general registers, of three bytes */
static bool is_move(const uint8_t *p)
{
    return (p[0] & 0xf8) == 0x48 && p[1] == 0x89 && p[2] >= 0xc0;
}

/* code: BEFORE bytes before the syscall instruction, it, and BEHIND bytes behind it. */
static bool recognise(const uint8_t *code, gaddr_t at, struct change *ret)
{
    const uint8_t *end = code + BEFORE, *behind = end + 2;
    uint32_t nr;

    ret->pad = 0;
    ret->single = true;
    if (end[0] != 0x0f || end[1] != 0x05)
        return false;
    if (end[-5] == 0xb8) { /* mov $nr, %eax */
        memcpy(&nr, end - 4, 4);
        ret->n = 5;
        if (native(nr))
            return false;
    } else if (end[-7] == 0x48 && end[-6] == 0xc7 && end[-5] == 0xc0) { /* mov $nr, %rax */
        memcpy(&nr, end - 4, 4);
        ret->n = 7;
        if (native(nr))
            return false;
    } else if (!memcmp(end - 5, "\x4c\x8b\x4c\x24\x08", 5)) { /* mov 8(%rsp), %r9: syscall(3) */
        ret->n = 5;
    } else if (is_move(end - 3) && is_move(end - 6)) {
        ret->n = 6;
        ret->single = false;
    } else if (end[-2] == 0x31 && end[-1] == 0xc0 && behind[0] == 0x48 && behind[1] == 0x3d &&
               behind[6] == 0x77 && behind[8] == 0xc3 && is_filling(behind + 9)) {
        /* xor %eax, %eax; syscall; cmp $, %rax; ja; ret; filling */
        ret->n = 2;
        ret->pad = at + 2 + 9;
    } else {
        return false;
    }
    ret->at = at - ret->n;
    memcpy(ret->displaced, end - ret->n, ret->n);
    return true;
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

/*
 * The trampoline first, then what leads to it. *ret_busy: the last step is under way; it is given to
 * poke.c when other threads may run there.
 */
static bool apply(struct ctx *c, struct patches *p, struct area *a, const struct change *ch,
                  gaddr_t behind, bool *ret_busy)
{
    struct aspace *as = c->stub->as;
    unsigned slot = a->used + 1, n = ch->n;
    gaddr_t at = a->base + (uint64_t)slot * SLOT_SIZE;
    gaddr_t from = ch->pad ? ch->pad : ch->at;
    uint8_t code[SLOT_SIZE], jump[5] = { 0xe9 }, hop[2] = { 0xeb, (uint8_t)(ch->pad - ch->at - 2) };

    memcpy(code, ch->displaced, n);
    memcpy(code + n, "\x48\x8d\x0d", 3); /* lea behind(%rip), %rcx */
    put32(code + n + 3, behind - (at + n + 7));
    memcpy(code + n + 7, "\xff\x25", 2); /* jmp *entry(%rip) */
    put32(code + n + 9, a->base - (at + n + 13));
    put32(jump + 1, at - (from + 5));
    if (!patch_write(as, at, code, n + 13) || (ch->pad && !patch_write(as, from, jump, 5)))
        return false;
    a->site[slot] = ch->at;
    a->used++;
    atomic_fetch_add_explicit(&trap.st.patches, 1, memory_order_relaxed);
    if (!alone(as)) {
        *ret_busy = poke_begin_locked(c, p, ch->at, ch->pad ? hop : jump, ch->pad ? 2 : 5);
        return *ret_busy;
    }
    return ch->pad ? patch_write(as, ch->at, hop, 2) : patch_write(as, ch->at, jump, 5);
}

static struct area *area_near(struct patches *p, gaddr_t at)
{
    for (unsigned i = 0; i < p->nareas; i++) {
        struct area *a = &p->area[i];
        uint64_t far = a->base > at ? a->base - at : at - a->base;

        if (far < REACH && a->used < AREA_SLOTS)
            return a;
    }
    return NULL;
}

/* Asks the stub for an area near at. The event waits meanwhile; patch_mapped goes on. */
static void want_area(struct ctx *c, gaddr_t at)
{
    gaddr_t where = (at & ~0xffffull) - 0x40000000;

    if (at < 0x50000000)
        where = (at & ~0xffffull) + 0x40000000;
    c->own_ops[0] = (struct as_op){ .kind = AS_MMAP,
                                    .fd = -1,
                                    .a = { where, AREA_SIZE, PROT_READ | PROT_EXEC,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE } };
    c->internal = true;
    ctx_run_ops(c, c->own_ops, 1);
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

static bool try_locked(struct ctx *c, struct patches *p, uint8_t *state)
{
    struct aspace *as = c->stub->as;
    gaddr_t behind = c->regs.rip, at = behind - 2;
    uint8_t code[BEFORE + 2 + BEHIND];
    struct change ch;
    struct area *a;
    bool busy = false;

    if (p->poke.at)
        return false;
    if (as_read(as, at - BEFORE, code, sizeof code) != (ssize_t)sizeof code ||
        !recognise(code, at, &ch)) {
        *state = SITE_NEVER;
        return false;
    }
    if (ch.single ? p->no_poke && !alone(as) : !alone(as))
        return false;
    a = area_near(p, ch.at);
    if (!a) {
        if (p->nareas == AREAS)
            p->off = true;
        else
            want_area(c, ch.at);
        return !p->off;
    }
    *state = SITE_DONE;
    if (!apply(c, p, a, &ch, behind, &busy))
        p->off = true;
    return busy;
}

bool patch_site(struct ctx *c)
{
    struct aspace *as = c->stub->as;
    struct patches *p;
    uint8_t *state;
    bool busy = false;

    if (!trap.use_gs || as->own_gs || trap.proc_fd < 0 || c->regs.rip >= trap.slot ||
        native((uint32_t)c->regs.orig_rax) || c->regs.rip < BEFORE + 2)
        return false;
    p = patches_of(as);
    if (!p || p->off)
        return false;
    pthread_mutex_lock(&p->lock);
    if (++p->traps >= TRAPS_FIRST && (state = count_locked(p, c->regs.rip)))
        busy = try_locked(c, p, state);
    pthread_mutex_unlock(&p->lock);
    return busy;
}

static void mapped_locked(struct ctx *c, struct patches *p)
{
    uint64_t entry = entry_address();
    const struct as_op *op = &c->own_ops[0];
    gaddr_t base = (gaddr_t)op->ret;

    if (op->ret == (int64_t)op->a[0] && p->nareas < AREAS &&
        patch_write(c->stub->as, base, &entry, sizeof entry)) {
        p->area[p->nareas].base = base;
        p->area[p->nareas++].used = 0;
    } else {
        p->off = true;
    }
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
    return busy;
}

static struct area *area_of(struct patches *p, gaddr_t at)
{
    for (unsigned i = 0; p && i < p->nareas; i++) {
        if (at - p->area[i].base < AREA_SIZE)
            return &p->area[i];
    }
    return NULL;
}

void patch_unwind(struct ctx *c)
{
    struct patches *p = atomic_load(&c->stub->as->patches);
    struct area *a = p ? area_of(p, c->regs.rip) : NULL;
    unsigned slot;

    if (!a)
        return;
    slot = (unsigned)((c->regs.rip - a->base) / SLOT_SIZE);
    if (slot > 0 && slot <= a->used)
        c->regs.rip = a->site[slot];
}

bool patch_owns(struct aspace *as, gaddr_t at)
{
    return area_of(atomic_load(&as->patches), at) != NULL;
}

/* The guest takes gs: every trampoline goes back to its syscall instruction from now on. */
void patch_disable(struct aspace *as)
{
    struct patches *p = atomic_load(&as->patches);
    uint64_t plain = trap.slot + trap.light_plain;

    as->own_gs = true;
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->off = true;
    for (unsigned i = 0; i < p->nareas; i++)
        (void)patch_write(as, p->area[i].base, &plain, sizeof plain);
    pthread_mutex_unlock(&p->lock);
}
