/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signal frames: handlers, masks and alternate stacks of the input's are set, signals sent, frames that
 * were built are changed before they are returned through, and frames of the input's own are. Whatever
 * comes back must be what a program could set by itself.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "abi/sigframe.h"
#include "tests/fuzz/args.h"
#include "tests/fuzz/fuzz.h"

static bool caught;

#define USER_FLAGS 0x250fd7ull /* that a program may see set, the fixed ones included */

/* What has come back from a frame. A handler may be anywhere: its process ends by SIGSEGV there. */
static void check(struct ctx *c)
{
    const struct regs *r = mock_regs(c);

    if (r->rip >= mock_as_limit() || r->rsp > mock_as_limit() || (r->rflags & ~USER_FLAGS) ||
        !(r->rflags & 0x200))
        abort();
}

static void set_handler(struct args *a, struct ctx *c, struct take *t)
{
    uint8_t how = take8(t);
    struct {
        uint64_t handler, flags, restorer, mask;
    } sa = { how & 1 ? take_int(t, 8) : MOCK_CODE + 16, take_int(t, 4) | (how & 2 ? 0x04000000 : 0),
             MOCK_CODE + 32, take_int(t, 8) };

    caught |= how & 1; /* its handler is anywhere */
    CALL(c, SYS_rt_sigaction, how >> 2 & 63, args_put(a, c, &sa, sizeof sa), 0, 8);
}

static void set_altstack(struct args *a, struct ctx *c, struct take *t)
{
    uint8_t how = take8(t);
    struct {
        uint64_t sp;
        int flags, pad;
        uint64_t size;
    } ss = { how & 1 ? take_int(t, 8) : MOCK_DATA + 0x10000, how >> 1 & 7, 0,
             how & 64 ? take_int(t, 8) : 0x4000 };

    if (how & 128)
        ss.flags |= (int)(1u << 31); /* SS_AUTODISARM */
    CALL(c, SYS_sigaltstack, args_put(a, c, &ss, sizeof ss), 0);
}

/* Some words of what lies at the stack pointer, where a frame may be. */
static void change_frame(struct ctx *c, struct take *t)
{
    for (unsigned k = take8(t) % 8; k > 0; k--) {
        uint64_t off = take8(t) * 8ull, v = take_int(t, 8);

        (void)mock_as_write(mock_aspace(c), mock_regs(c)->rsp + off, &v, 8, false);
    }
}

static void own_frame(struct ctx *c, struct take *t)
{
    size_t n;
    const uint8_t *p = take_bytes(t, take16(t) % 0x600u, &n);

    if (n)
        (void)mock_as_write(mock_aspace(c), mock_regs(c)->rsp, p, n, false);
}

static void step(struct args *a, struct ctx *c, struct take *t)
{
    uint8_t what = take8(t);

    switch (what % 8) {
    case 0:
        set_handler(a, c, t);
        break;
    case 1:
        set_altstack(a, c, t);
        break;
    case 2:
        CALL(c, SYS_tkill, (uint64_t)CALL(c, SYS_gettid, 0), what >> 3);
        break;
    case 3:
        change_frame(c, t);
        break;
    case 4:
        own_frame(c, t);
        break;
    case 5: /* as behind a handler's return */
        mock_regs(c)->rsp += 8;
        CALL(c, SYS_rt_sigreturn, 0);
        if (mock_is_in_guest(c) && !caught)
            check(c);
        break;
    case 6:
        mock_regs(c)->rsp = what & 8 ? take_int(t, 8) % mock_as_limit() : MOCK_STACK - (what << 3);
        break;
    default:
        mock_fault(c, &(struct fault){ .signo = SIGSEGV, .code = 1, .addr = take_int(t, 8) });
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct take t = { p, n };
    struct args a;
    struct ctx *c;

    mock_boot();
    c = mock_spawn();
    args_init(&a);
    caught = false;
    for (int i = 0; i < 40 && t.n && mock_is_in_guest(c); i++)
        step(&a, c, &t);
    mock_ctx_put(c);
    mock_end();
    return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static const uint8_t steps[][16] = {
        { 14, 0, 2 | SIGUSR1 << 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, /* SA_SIGINFO */
        { 14, 0, 2 | SIGSEGV << 2, 4, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0 }, /* SA_ONSTACK */
        { 2, 1, 0 },
        { 1, 2 | (SIGUSR1 << 3 & 0xf8) },
        { 9, 7, 0, 0, 0, 0, 0, 0, 0, 0 },
        { 1, 5 },
        { 11, 3, 1, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
        { 2, 1, 128 },
    };
    const uint8_t *s = steps[i % 8];

    if (cap < s[0])
        return 0;
    memcpy(buf, s + 1, s[0]);
    return s[0];
}
