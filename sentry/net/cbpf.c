/* SPDX-License-Identifier: Apache-2.0 */
/* Classic BPF. See cbpf.h. */
#include "sentry/net/cbpf.h"

#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/lock.h"
#include "sentry/kernel/timer.h"
#include "sentry/mm/copy.h"
#include "sentry/net/sock.h"

struct cbpf {
    unsigned n;
    struct sock_filter insn[];
};

/* ---- checking ---- */

static bool known(uint16_t code)
{
    switch (code) {
    case BPF_LD | BPF_W | BPF_ABS:
    case BPF_LD | BPF_H | BPF_ABS:
    case BPF_LD | BPF_B | BPF_ABS:
    case BPF_LD | BPF_W | BPF_IND:
    case BPF_LD | BPF_H | BPF_IND:
    case BPF_LD | BPF_B | BPF_IND:
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LD | BPF_IMM:
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_B | BPF_MSH:
    case BPF_LDX | BPF_IMM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX:
    case BPF_ALU | BPF_NEG:
    case BPF_JMP | BPF_JA:
    case BPF_RET | BPF_K:
    case BPF_RET | BPF_A:
    case BPF_MISC | BPF_TAX:
    case BPF_MISC | BPF_TXA:
        return true;
    }
    if (BPF_CLASS(code) == BPF_ALU)
        return !(code & ~0xff) && BPF_OP(code) <= BPF_XOR && BPF_OP(code) != BPF_NEG;
    if (BPF_CLASS(code) == BPF_JMP)
        return !(code & ~0xff) && BPF_OP(code) >= BPF_JEQ && BPF_OP(code) <= BPF_JSET;
    return false;
}

/* Loads from here on are of what is not in the packet. */
static bool is_ancillary(uint32_t k)
{
    return k >= (uint32_t)SKF_AD_OFF;
}

static bool insn_ok(const struct sock_filter *f, unsigned at, unsigned n)
{
    unsigned left = n - at - 1;

    if (!known(f->code))
        return false;
    if (BPF_CLASS(f->code) == BPF_LD && BPF_MODE(f->code) == BPF_ABS && is_ancillary(f->k))
        return (f->k & 3) == 0 && f->k - (uint32_t)SKF_AD_OFF < SKF_AD_MAX;
    switch (f->code) {
    case BPF_ALU | BPF_DIV | BPF_K:
    case BPF_ALU | BPF_MOD | BPF_K:
        return f->k != 0;
    case BPF_ALU | BPF_LSH | BPF_K:
    case BPF_ALU | BPF_RSH | BPF_K:
        return f->k < 32;
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX:
        return f->k < BPF_MEMWORDS;
    case BPF_JMP | BPF_JA:
        return f->k < left;
    }
    return BPF_CLASS(f->code) != BPF_JMP || (f->jt < left && f->jf < left);
}

/* A word of memory is read only where each way there has written it. masks: one for each, all set. */
static bool stores_first(const struct cbpf *p, uint16_t *masks)
{
    uint16_t valid = 0;

    for (unsigned i = 0; i < p->n; i++) {
        const struct sock_filter *f = &p->insn[i];

        valid &= masks[i];
        switch (f->code) {
        case BPF_ST:
        case BPF_STX:
            valid |= (uint16_t)(1u << f->k);
            break;
        case BPF_LD | BPF_MEM:
        case BPF_LDX | BPF_MEM:
            if (!(valid >> f->k & 1))
                return false;
            break;
        case BPF_JMP | BPF_JA:
            masks[i + 1 + f->k] &= valid;
            valid = UINT16_MAX;
            break;
        default:
            if (BPF_CLASS(f->code) == BPF_JMP) {
                masks[i + 1 + f->jt] &= valid;
                masks[i + 1 + f->jf] &= valid;
                valid = UINT16_MAX;
            }
        }
    }
    return true;
}

struct cbpf *cbpf_new(const struct sock_filter *insn, unsigned n)
{
    _cleanup_kfree_ uint16_t *masks = NULL;
    struct cbpf *p;
    bool ok = n && n <= BPF_MAXINSNS && BPF_CLASS(insn[n - 1].code) == BPF_RET;

    for (unsigned i = 0; ok && i < n; i++)
        ok = insn_ok(&insn[i], i, n);
    if (!ok)
        return ERR_PTR(-EINVAL);
    p = kzalloc(sizeof *p + n * sizeof *insn);
    masks = kzalloc(n * sizeof *masks);
    if (!p || !masks) {
        kfree(p);
        return ERR_PTR(-ENOMEM);
    }
    p->n = n;
    memcpy(p->insn, insn, n * sizeof *insn);
    memset(masks, 0xff, n * sizeof *masks);
    if (stores_first(p, masks))
        return p;
    kfree(p);
    return ERR_PTR(-EINVAL);
}

void cbpf_free(struct cbpf *p)
{
    kfree(p);
}

/* ---- running ---- */

static bool load(const struct cbpf_data *d, uint64_t at, unsigned n, uint32_t *ret)
{
    uint32_t v = 0;

    if (at + n > d->head_len + d->body_len)
        return false;
    for (uint64_t i = at; i < at + n; i++)
        v = v << 8 | (i < d->head_len ? d->head[i] : d->body[i - d->head_len]);
    *ret = v;
    return true;
}

/* What is not in the packet (SKF_AD_OFF). */
static bool ancillary(const struct cbpf_data *d, uint32_t what, uint32_t a, uint32_t x,
                      uint32_t *ret)
{
    switch (what) {
    case SKF_AD_PROTOCOL:
        *ret = d->protocol;
        return true;
    case SKF_AD_PKTTYPE:
        *ret = d->pkttype;
        return true;
    case SKF_AD_IFINDEX:
        *ret = (uint32_t)d->ifindex;
        return d->ifindex != 0;
    case SKF_AD_HATYPE:
        *ret = d->hatype;
        return d->ifindex != 0;
    case SKF_AD_ALU_XOR_X:
        *ret = a ^ x;
        return true;
    case SKF_AD_MARK:
    case SKF_AD_QUEUE:
    case SKF_AD_RXHASH:
    case SKF_AD_CPU:
    case SKF_AD_VLAN_TAG:
    case SKF_AD_VLAN_TAG_PRESENT:
    case SKF_AD_VLAN_TPID:
    case SKF_AD_NLATTR:
    case SKF_AD_NLATTR_NEST:
        *ret = 0;
        return true;
    case SKF_AD_RANDOM: /* to take samples with */
        *ret = (uint32_t)((uint64_t)ktime_now() * 0x9e3779b97f4a7c15 >> 32);
        return true;
    case SKF_AD_PAY_OFFSET:
        *ret = (uint32_t)d->net;
        return true;
    }
    return false;
}

static bool load_at(const struct cbpf_data *d, const struct sock_filter *f, uint32_t x, uint32_t *a)
{
    unsigned n = BPF_SIZE(f->code) == BPF_W ? 4 : BPF_SIZE(f->code) == BPF_H ? 2 : 1;
    int32_t k = (int32_t)f->k;
    int64_t at = k;

    if (BPF_MODE(f->code) == BPF_IND)
        at = (int32_t)(f->k + x);
    else if (is_ancillary(f->k))
        return ancillary(d, (uint32_t)(k - SKF_AD_OFF), *a, x, a);
    if (at < SKF_LL_OFF)
        return false;
    if (at < SKF_NET_OFF)
        at -= SKF_LL_OFF;
    else if (at < 0)
        at += (int64_t)d->net - SKF_NET_OFF;
    return at >= 0 && load(d, (uint64_t)at, n, a);
}

static bool alu(uint16_t code, uint32_t *a, uint32_t v)
{
    switch (BPF_OP(code)) {
    case BPF_ADD:
        *a += v;
        break;
    case BPF_SUB:
        *a -= v;
        break;
    case BPF_MUL:
        *a *= v;
        break;
    case BPF_DIV:
        if (!v)
            return false;
        *a /= v;
        break;
    case BPF_MOD:
        if (!v)
            return false;
        *a %= v;
        break;
    case BPF_OR:
        *a |= v;
        break;
    case BPF_AND:
        *a &= v;
        break;
    case BPF_XOR:
        *a ^= v;
        break;
    case BPF_LSH:
        *a <<= v & 31;
        break;
    case BPF_RSH:
        *a >>= v & 31;
        break;
    case BPF_NEG:
        *a = -*a;
        break;
    }
    return true;
}

static bool jumps(uint16_t code, uint32_t a, uint32_t v)
{
    switch (BPF_OP(code)) {
    case BPF_JEQ:
        return a == v;
    case BPF_JGT:
        return a > v;
    case BPF_JGE:
        return a >= v;
    default:
        return a & v;
    }
}

uint32_t cbpf_run(const struct cbpf *p, const struct cbpf_data *d)
{
    uint32_t a = 0, x = 0, v, mem[BPF_MEMWORDS] = { 0 };
    uint32_t len = (uint32_t)(d->head_len + d->body_len);

    for (unsigned pc = 0; pc < p->n; pc++) {
        const struct sock_filter *f = &p->insn[pc];

        v = BPF_SRC(f->code) == BPF_X ? x : f->k;
        switch (BPF_CLASS(f->code)) {
        case BPF_LD:
            if (BPF_MODE(f->code) == BPF_IMM)
                a = f->k;
            else if (BPF_MODE(f->code) == BPF_MEM)
                a = mem[f->k];
            else if (BPF_MODE(f->code) == BPF_LEN)
                a = len;
            else if (!load_at(d, f, x, &a))
                return 0;
            break;
        case BPF_LDX:
            if (BPF_MODE(f->code) == BPF_IMM)
                x = f->k;
            else if (BPF_MODE(f->code) == BPF_MEM)
                x = mem[f->k];
            else if (BPF_MODE(f->code) == BPF_LEN)
                x = len;
            else if (!load(d, f->k, 1, &v))
                return 0;
            else
                x = (v & 0xf) << 2;
            break;
        case BPF_ST:
            mem[f->k] = a;
            break;
        case BPF_STX:
            mem[f->k] = x;
            break;
        case BPF_ALU:
            if (!alu(f->code, &a, v))
                return 0;
            break;
        case BPF_JMP:
            pc += BPF_OP(f->code) == BPF_JA ? f->k : jumps(f->code, a, v) ? f->jt : f->jf;
            break;
        case BPF_RET:
            return BPF_RVAL(f->code) == BPF_A ? a : f->k;
        default:
            if (BPF_MISCOP(f->code) == BPF_TAX)
                x = a;
            else
                a = x;
        }
    }
    return 0;
}

/* ---- of a socket ---- */

/* Guards sock.filter of all: who runs one holds locks of many kinds. */
static struct lock filters_lock = { .class = LOCK_LEAF };

int sock_filter_attach(struct task *t, struct sock *sk, const void *v, socklen_t n)
{
    struct { /* struct sock_fprog */
        uint16_t len;
        gaddr_t filter;
    } prog;
    _cleanup_kfree_ struct sock_filter *insn = NULL;
    struct cbpf *p, *old;

    if (n != sizeof prog)
        return -EINVAL;
    memcpy(&prog, v, sizeof prog);
    if (!prog.filter || !prog.len || prog.len > BPF_MAXINSNS)
        return -EINVAL;
    insn = kzalloc(prog.len * sizeof *insn);
    if (!insn)
        return -ENOMEM;
    if (copy_in(t, insn, prog.filter, prog.len * sizeof *insn) < 0)
        return -EFAULT;
    p = cbpf_new(insn, prog.len);
    if (IS_ERR(p))
        return (int)PTR_ERR(p);
    lock(&filters_lock);
    old = sk->lock_filter ? p : sk->filter;
    if (!sk->lock_filter)
        atomic_store(&sk->filter, p);
    unlock(&filters_lock);
    cbpf_free(old);
    return old == p ? -EPERM : 0;
}

int sock_filter_detach(struct sock *sk)
{
    struct cbpf *old;

    lock(&filters_lock);
    old = sk->lock_filter ? NULL : sk->filter;
    if (old)
        atomic_store(&sk->filter, NULL);
    unlock(&filters_lock);
    cbpf_free(old);
    return sk->lock_filter ? -EPERM : old ? 0 : -ENOENT;
}

int sock_filter_lock(struct sock *sk, int on)
{
    LOCK_SCOPE(&filters_lock);
    if (sk->lock_filter && !on)
        return -EPERM;
    sk->lock_filter = on != 0;
    return 0;
}

int sock_filter_get(struct task *t, struct sock *sk, gaddr_t to, socklen_t *n)
{
    _cleanup_kfree_ struct cbpf *copy = NULL;
    socklen_t room = *n;
    size_t size = 0;

    copy = kzalloc(sizeof *copy + BPF_MAXINSNS * sizeof *copy->insn);
    if (!copy)
        return -ENOMEM;
    lock(&filters_lock);
    if (sk->filter) {
        size = sk->filter->n * sizeof *copy->insn;
        copy->n = sk->filter->n;
        memcpy(copy->insn, sk->filter->insn, size);
    }
    unlock(&filters_lock);
    *n = copy->n;
    if (!room || !copy->n)
        return 0;
    if (room < copy->n)
        return -EINVAL;
    return copy_out(t, to, copy->insn, size) < 0 ? -EFAULT : 0;
}

uint32_t sock_filter_run(struct sock *sk, const struct cbpf_data *d)
{
    if (!atomic_load(&sk->filter))
        return UINT32_MAX;
    LOCK_SCOPE(&filters_lock);
    return sk->filter ? cbpf_run(sk->filter, d) : UINT32_MAX;
}
