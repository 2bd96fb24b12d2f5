/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NUMA: policies of memory and the moving of pages, as a kernel with one node answers. See
 * mm/mempolicy.h for what is kept.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/mempolicy.h>
#include <string.h>

#include "sentry/kernel/access.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mempolicy.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/table.h"

#define LX_MPOL_MAX 7 /* MPOL_WEIGHTED_INTERLEAVE is the last of 6.12 */
#define LX_MPOL_LOCAL 4
#define LX_MPOL_PREFERRED_MANY 5
#define LX_MPOL_WEIGHTED_INTERLEAVE 6
#define F_STATIC 0x8000u
#define F_RELATIVE 0x4000u
#define F_BALANCING 0x2000u
#define MODE_FLAGS (F_STATIC | F_RELATIVE | F_BALANCING)
#define NODES_MAX 1024u /* bits that a kernel of this kind knows */
#define NODE_BITS_MAX (PAGE_SIZE_4K * 8)

/* ---- masks ---- */

/* A mask of the guest's; bits beyond what there can be must not be set. */
static int get_nodes(struct task *t, gaddr_t nmask, unsigned long maxnode, uint64_t *ret)
{
    unsigned long bits = maxnode - 1;
    uint64_t word;

    *ret = 0;
    if (bits == 0 || !nmask)
        return 0;
    if (bits > NODE_BITS_MAX)
        return -EINVAL;
    for (unsigned long i = 0; i * 64 < bits; i++) {
        unsigned long left = bits - i * 64;

        if (copy_in(t, &word, nmask + i * 8, 8) < 0)
            return -EFAULT;
        if (left < 64)
            word &= (1ull << left) - 1;
        if (i >= NODES_MAX / 64 && word)
            return -EINVAL;
        if (i == 0)
            *ret = word;
        else if (word)
            *ret |= 1ull << 63; /* one that is not there either */
    }
    return 0;
}

static int put_nodes(struct task *t, gaddr_t nmask, unsigned long maxnode, uint64_t nodes)
{
    unsigned long bytes = (maxnode - 1 + 63) / 64 * 8;
    uint64_t word = nodes;

    if (bytes > PAGE_SIZE_4K)
        return -EINVAL;
    for (unsigned long i = 0; i < bytes; i += 8) {
        if (copy_out(t, nmask + i, &word, 8) < 0)
            return -EFAULT;
        word = 0;
    }
    return 0;
}

/* ---- policies ---- */

static int policy_flags(int mode)
{
    unsigned flags = (unsigned)mode & MODE_FLAGS, m = (unsigned)mode & ~MODE_FLAGS;

    if (m >= LX_MPOL_MAX || (flags & (F_STATIC | F_RELATIVE)) == (F_STATIC | F_RELATIVE))
        return -EINVAL;
    if ((flags & F_BALANCING) && m != MPOL_BIND && m != LX_MPOL_PREFERRED_MANY)
        return -EINVAL;
    return 0;
}

static int policy_make(int mode, uint64_t nodes, struct mempolicy *ret)
{
    unsigned flags = (unsigned)mode & MODE_FLAGS, m = (unsigned)mode & ~MODE_FLAGS;

    *ret = (struct mempolicy){ .mode = (uint16_t)m, .flags = (uint16_t)flags, .user_nodes = nodes };
    if (m == MPOL_DEFAULT) {
        ret->flags = 0;
        return nodes ? -EINVAL : 0;
    }
    if (m == LX_MPOL_LOCAL || (m == MPOL_PREFERRED && !nodes)) {
        if (nodes || flags & (F_STATIC | F_RELATIVE))
            return -EINVAL;
        ret->mode = LX_MPOL_LOCAL;
        return 0;
    }
    if (!nodes)
        return -EINVAL;
    ret->nodes = flags & F_RELATIVE ? 1
                                    : nodes & 1; /* relative ones are folded onto what there is */
    return ret->nodes ? 0 : -EINVAL;
}

long sys_set_mempolicy(struct task *t, int mode, gaddr_t nmask, unsigned long maxnode)
{
    struct mempolicy p;
    uint64_t nodes;
    int r = policy_flags(mode);

    if (r == 0)
        r = get_nodes(t, nmask, maxnode, &nodes);
    if (r == 0)
        r = policy_make(mode, nodes, &p);
    if (r == 0)
        t->policy = p;
    return r;
}

static bool is_mapped(struct task *t, gaddr_t addr)
{
    struct as_mapping m;

    return kernel.platform->as_query(t->mm->as, addr, &m) == 0 && m.start <= addr;
}

/* Where the next page of an interleaved policy goes, or where the page at addr is: node 0. */
static int node_of(struct task *t, const struct mempolicy *p, gaddr_t addr, unsigned long flags)
{
    char byte;

    if (flags & MPOL_F_ADDR)
        return copy_in(t, &byte, addr, 1) < 0 ? -EFAULT : 0;
    return p->mode == MPOL_INTERLEAVE || p->mode == LX_MPOL_WEIGHTED_INTERLEAVE ? 0 : -EINVAL;
}

long sys_get_mempolicy(struct task *t, gaddr_t policy, gaddr_t nmask, unsigned long maxnode,
                       gaddr_t addr, unsigned long flags)
{
    struct mempolicy p = t->policy;
    uint64_t nodes;
    int32_t value = 0;
    int r;

    if ((nmask && maxnode < 1) ||
        flags & ~(unsigned long)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
        return -EINVAL;
    if (flags & MPOL_F_MEMS_ALLOWED) {
        if (flags & (MPOL_F_NODE | MPOL_F_ADDR))
            return -EINVAL;
        nodes = 1;
    } else {
        if (flags & MPOL_F_ADDR) {
            if (!is_mapped(t, addr))
                return -EFAULT;
            mm_policy_get(t->mm, addr, &p);
        } else if (addr) {
            return -EINVAL;
        }
        r = flags & MPOL_F_NODE ? node_of(t, &p, addr, flags) : p.mode | p.flags;
        if (r < 0)
            return r;
        value = r;
        nodes = p.flags & (F_STATIC | F_RELATIVE) ? p.user_nodes : p.nodes;
    }
    if (policy && put_guest(t, policy, &value) < 0)
        return -EFAULT;
    return nmask ? put_nodes(t, nmask, maxnode, nodes) : 0;
}

/* ---- ranges ---- */

struct cover {
    gaddr_t at, end;
};

static int cover_one(const struct as_mapping *m, void *arg)
{
    struct cover *c = arg;

    if (m->start <= c->at && m->end > c->at)
        c->at = m->end;
    return m->start >= c->end;
}

/* Is all of it mapped? */
static bool is_covered(struct task *t, gaddr_t start, gaddr_t end)
{
    struct cover c = { start, end };

    (void)kernel.platform->as_each(t->mm->as, /* usage= */ false, cover_one, &c);
    return c.at >= end;
}

long sys_mbind(struct task *t, gaddr_t start, size_t len, int mode, gaddr_t nmask,
               unsigned long maxnode, unsigned flags)
{
    uint64_t nodes, size = PAGE_ALIGN_UP(len);
    struct mempolicy p;
    int r = policy_flags(mode);

    if (r == 0)
        r = get_nodes(t, nmask, maxnode, &nodes);
    if (r < 0)
        return r;
    if (flags & ~(unsigned)(MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
        return -EINVAL;
    if ((flags & MPOL_MF_MOVE_ALL) && !task_capable(t, CAP_SYS_NICE))
        return -EPERM;
    if (start & (PAGE_SIZE_4K - 1) || start + size < start)
        return -EINVAL;
    if (size == 0)
        return 0;
    r = policy_make(mode, nodes, &p);
    if (r < 0)
        return r;
    if (!is_covered(t, start, start + size))
        return -EFAULT;
    return mm_policy_set(t->mm, start, start + size, p.mode == MPOL_DEFAULT ? NULL : &p);
}

/* The node that allocations of a range go to first: there is none but the one that they go to. */
long sys_set_mempolicy_home_node(struct task *t, gaddr_t start, size_t len, unsigned long home_node,
                                 unsigned flags)
{
    uint64_t size = PAGE_ALIGN_UP(len);
    struct mempolicy p;

    if (start & (PAGE_SIZE_4K - 1) || flags || home_node != 0 || start + size < start)
        return -EINVAL;
    if (size == 0)
        return 0;
    for (gaddr_t at = start; at < start + size; at += PAGE_SIZE_4K) {
        if (!mm_policy_get(t->mm, at, &p))
            return -ENOENT;
        if (p.mode != MPOL_BIND && p.mode != LX_MPOL_PREFERRED_MANY)
            return -EOPNOTSUPP;
        if (at - start >= 64 * PAGE_SIZE_4K) /* enough of it: policies are set for whole ranges */
            break;
    }
    return 0;
}

/* ---- moving ---- */

static int get_mm(struct task *t, pid_t pid, struct mm **ret)
{
    struct task *other;

    LOCK_SCOPE(&kernel.tasks_lock);
    other = pid ? task_find_locked(t->group->pidns, pid) : t;
    if (!other)
        return -ESRCH;
    if (!task_may_access_locked(t, other, false))
        return -EPERM;
    if (!other->mm)
        return -EINVAL;
    *ret = mm_ref(other->mm);
    return 0;
}

long sys_migrate_pages(struct task *t, pid_t pid, unsigned long maxnode, gaddr_t old_nodes,
                       gaddr_t new_nodes)
{
    uint64_t from, to;
    struct mm *mm;
    int r = get_nodes(t, old_nodes, maxnode, &from);

    if (r == 0)
        r = get_nodes(t, new_nodes, maxnode, &to);
    if (r == 0)
        r = get_mm(t, pid, &mm);
    if (r < 0)
        return r;
    mm_put(mm);
    if (to & ~1ull && !task_capable(t, CAP_SYS_NICE))
        return -EPERM;
    return to & 1 ? 0 : -EINVAL; /* nothing lies elsewhere */
}

/* Where a page is: its node, -ENOENT where there is none yet, -EFAULT where none can be. */
static int page_status(struct mm *mm, gaddr_t addr)
{
    struct as_mapping m;
    uint64_t entry = 0; /* of its pagemap: bit 63, it is present */

    if (kernel.platform->as_query(mm->as, addr, &m) < 0 || m.start > addr)
        return -EFAULT;
    if (kernel.platform->as_pages)
        kernel.platform->as_pages(mm->as, PAGE_ALIGN_DOWN(addr), &entry, 1);
    return entry >> 63 ? 0 : -ENOENT;
}

static int move_one(struct task *t, struct mm *mm, gaddr_t page, gaddr_t node, gaddr_t status)
{
    int32_t to = 0, st;
    uint64_t addr;

    if (get_guest(t, &addr, page) < 0 || (node && get_guest(t, &to, node) < 0))
        return -EFAULT;
    if (to != 0)
        return -ENODEV;
    st = page_status(mm, addr);
    return put_guest(t, status, &st);
}

#define MOVE_AT_ONCE 64u

long sys_move_pages(struct task *t, pid_t pid, unsigned long nr, gaddr_t pages, gaddr_t nodes,
                    gaddr_t status, int flags)
{
    struct mm *mm;
    int r;

    if (flags & ~(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
        return -EINVAL;
    if ((flags & MPOL_MF_MOVE_ALL) && !task_capable(t, CAP_SYS_NICE))
        return -EPERM;
    r = get_mm(t, pid, &mm);
    if (r < 0)
        return r;
    kernel.platform->worker_block_begin();
    for (unsigned long i = 0; i < nr && r == 0; i++) {
        if (i % MOVE_AT_ONCE == MOVE_AT_ONCE - 1 && task_signal_pending(t))
            r = -ERESTARTNOINTR; /* nothing has moved that would not be the same again */
        else
            r = move_one(t, mm, pages + i * 8, nodes ? nodes + i * 4 : 0, status + i * 4);
    }
    kernel.platform->worker_block_end();
    mm_put(mm);
    return r;
}
