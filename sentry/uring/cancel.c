/* SPDX-License-Identifier: Apache-2.0 */
/* Cancelling requests that wait: by what they carry, by file, by operation, or all. */
#include <errno.h>

#include "sentry/kernel/timer.h"
#include "sentry/mm/copy.h"
#include "sentry/uring/uring.h"

#define CANCEL_FLAGS                                                                               \
    (LX_CANCEL_ALL | LX_CANCEL_FD | LX_CANCEL_ANY | LX_CANCEL_FD_FIXED | LX_CANCEL_USERDATA |      \
     LX_CANCEL_OP)

struct list *uring_bucket(struct uring *r, uint64_t user_data)
{
    return &r->inflight[user_data * 0x9e3779b97f4a7c15ull >> 57];
}

static struct ureq *find_in(struct list *l, bool (*fn)(struct ureq *q, const void *arg),
                            const void *arg)
{
    struct ureq *q;

    list_for_each(q, l, link) {
        if (!async_cancelled(&q->task) && fn(q, arg)) {
            task_ref(&q->task);
            return q;
        }
    }
    return NULL;
}

struct ureq *uring_find(struct uring *r, const uint64_t *user_data,
                        bool (*fn)(struct ureq *q, const void *arg), const void *arg)
{
    struct ureq *q = NULL;

    LOCK_SCOPE(&r->lock);
    if (user_data)
        return find_in(uring_bucket(r, *user_data), fn, arg);
    for (unsigned i = 0; i < URING_BUCKETS && !q; i++)
        q = find_in(&r->inflight[i], fn, arg);
    return q;
}

static bool any(struct ureq *q, const void *arg)
{
    (void)q, (void)arg;
    return true;
}

void uring_cancel_all(struct uring *r)
{
    struct ureq *q;

    while ((q = uring_find(r, NULL, any, NULL))) {
        async_end(&q->task);
        task_put(&q->task);
    }
}

struct search {
    const struct ucancel *c;
    const struct ureq *but;
    bool told; /* the one that was found is a waitid: of those Linux tells how many it found */
};

static bool by_user_data(const struct ucancel *c)
{
    return !(c->flags & LX_CANCEL_ANY) &&
           (c->flags & LX_CANCEL_USERDATA || !(c->flags & (LX_CANCEL_FD | LX_CANCEL_OP)));
}

static bool matches(struct ureq *q, const void *arg)
{
    const struct search *s = arg;
    const struct ucancel *c = s->c;

    if (q == s->but)
        return false;
    if (c->flags & LX_CANCEL_ANY)
        return true;
    if (c->flags & LX_CANCEL_FD && q->file != c->file)
        return false;
    if (c->flags & LX_CANCEL_OP && q->sqe.opcode != c->opcode)
        return false;
    return !by_user_data(c) || q->sqe.user_data == c->user_data;
}

/* In one pass: they stay on the list until they have been run. */
static int cancel_in(struct list *l, struct search *s, bool all)
{
    struct ureq *q;
    int n = 0;

    list_for_each(q, l, link) {
        if (!matches(q, s) || !async_cancel(&q->task))
            continue;
        n++;
        s->told = q->sqe.opcode == LX_OP_WAITID;
        if (!all)
            break;
    }
    return n;
}

static int cancel_later(struct uring *r, struct search *s, bool all)
{
    int n = 0;

    LOCK_SCOPE(&r->lock);
    if (by_user_data(s->c))
        return cancel_in(uring_bucket(r, s->c->user_data), s, all);
    for (unsigned i = 0; i < URING_BUCKETS && (all || !n); i++)
        n += cancel_in(&r->inflight[i], s, all);
    return n;
}

static int cancel_now(struct uring *r, const struct search *s, bool all)
{
    const uint64_t *key = by_user_data(s->c) ? &s->c->user_data : NULL;
    struct ureq *q;
    int n = 0;

    while ((all || !n) && (q = uring_find(r, key, matches, s))) {
        async_end(&q->task);
        task_put(&q->task);
        n++;
    }
    return n;
}

int uring_cancel(struct uring *r, const struct ucancel *c, struct ureq *but)
{
    struct search s = { c, but, false };
    bool all = c->flags & (LX_CANCEL_ALL | LX_CANCEL_ANY);
    int n = but ? cancel_later(r, &s, all) : cancel_now(r, &s, all);

    return all ? n : n ? s.told : -ENOENT;
}

static int flags_check(unsigned f)
{
    if (f & ~CANCEL_FLAGS)
        return -EINVAL;
    return f & LX_CANCEL_ANY && f & (LX_CANCEL_FD | LX_CANCEL_OP) ? -EINVAL : 0;
}

int cancel_prep(struct ureq *q)
{
    if (q->sqe.off || q->sqe.splice_fd_in)
        return -EINVAL;
    return flags_check(q->sqe.op_flags);
}

long cancel_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;
    struct ucancel c = { .user_data = s->addr, .flags = s->op_flags, .opcode = (uint8_t)s->len };
    int r;

    if (c.flags & LX_CANCEL_FD) {
        c.file = ureq_file(q, s->fd, s->flags & LX_SQE_FIXED_FILE || c.flags & LX_CANCEL_FD_FIXED);
        if (!c.file)
            return -EBADF;
    }
    r = uring_cancel(q->ring, &c, q);
    file_put(c.file);
    return r;
}

/* Requests end in the call that cancels them, so there is nothing left to wait for, and no timeout. */
long uring_sync_cancel(struct task *t, struct uring *r, gaddr_t arg)
{
    struct lx_sync_cancel a;
    struct ucancel c;
    int e;

    if (get_guest(t, &a, arg) < 0)
        return -EFAULT;
    for (unsigned i = 0; i < ARRAY_SIZE(a.pad_); i++)
        if (a.pad_[i])
            return -EINVAL;
    if (a.pad2_[0] || a.pad2_[1] || a.pad2_[2] || flags_check(a.flags) < 0)
        return -EINVAL;
    c = (struct ucancel){ .user_data = a.addr, .flags = a.flags, .opcode = a.opcode };
    if (c.flags & LX_CANCEL_FD) {
        c.file = c.flags & LX_CANCEL_FD_FIXED ? rsrc_file_get(r, (unsigned)a.fd, NULL)
                                              : fd_get(t, a.fd);
        if (!c.file)
            return -EBADF;
    }
    e = uring_cancel(r, &c, NULL);
    file_put(c.file);
    return e > 0 ? 0 : e;
}
