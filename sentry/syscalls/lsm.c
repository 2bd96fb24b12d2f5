/* SPDX-License-Identifier: Apache-2.0 */
/* Security modules: there is one, the capabilities, which has no attributes. */
#include <errno.h>

#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"

#define LSM_ID_CAPABILITY 100u
#define LSM_FLAG_SINGLE 1u

struct lsm_ctx {
    uint64_t id, flags, len, ctx_len;
};

long sys_lsm_list_modules(struct task *t, gaddr_t ids, gaddr_t size, unsigned flags)
{
    uint64_t id = LSM_ID_CAPABILITY;
    uint32_t room, need = sizeof id;

    if (flags)
        return -EINVAL;
    if (get_guest(t, &room, size) < 0 || put_guest(t, size, &need) < 0)
        return -EFAULT;
    if (room < need)
        return -E2BIG;
    return put_guest(t, ids, &id) < 0 ? -EFAULT : 1;
}

long sys_lsm_get_self_attr(struct task *t, unsigned attr, gaddr_t ctx, gaddr_t size, unsigned flags)
{
    struct lsm_ctx c;
    uint32_t room, none = 0;

    if (attr == 0 || !size)
        return -EINVAL;
    if (get_guest(t, &room, size) < 0)
        return -EFAULT;
    if (flags) {
        if (flags != LSM_FLAG_SINGLE || !ctx)
            return -EINVAL;
        if (get_guest(t, &c, ctx) < 0)
            return -EFAULT;
        if (c.id == 0)
            return -EINVAL;
    }
    return put_guest(t, size, &none) < 0 ? -EFAULT : -EOPNOTSUPP;
}

long sys_lsm_set_self_attr(struct task *t, unsigned attr, gaddr_t ctx, unsigned size,
                           unsigned flags)
{
    struct lsm_ctx c;

    (void)attr;
    if (flags || size < sizeof c)
        return -EINVAL;
    if (size > PAGE_SIZE_4K)
        return -E2BIG;
    if (get_guest(t, &c, ctx) < 0)
        return -EFAULT;
    if (size < c.len || c.ctx_len > UINT64_MAX - sizeof c || c.len < sizeof c + c.ctx_len)
        return -EINVAL;
    return -EOPNOTSUPP;
}
