/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registered files and buffers. A fixed buffer is a range of the submitter's memory: its pages are not
 * pinned, so one that is unmapped meanwhile gives EFAULT. A tag comes as a result when its resource is
 * taken away.
 */
#include <errno.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/uring/uring.h"

#define BUFFER_MAX (1ul << 30)

static void post_tag(struct uring *r, uint64_t tag)
{
    struct ucqe c = { .user_data = tag };

    if (!tag || atomic_load(&r->closed))
        return;
    lock(&r->lock);
    cq_post_locked(r, &c, /* may_overflow= */ true);
    unlock(&r->lock);
    cq_signal(r, /* async= */ true);
}

void rsrc_node_put(struct unode *n)
{
    if (!n || atomic_fetch_sub(&n->refs, 1) != 1)
        return;
    post_tag(n->ring, n->tag);
    kfree(n);
}

static struct unode *node_ref(struct unode *n)
{
    if (n)
        atomic_fetch_add(&n->refs, 1);
    return n;
}

/* NULL where there is no tag. */
static int node_in(struct task *t, struct uring *r, gaddr_t tags, unsigned i, struct unode **ret)
{
    uint64_t tag = 0;

    *ret = NULL;
    if (tags && copy_in(t, &tag, tags + i * sizeof tag, sizeof tag) < 0)
        return -EFAULT;
    if (!tag)
        return 0;
    *ret = kzalloc(sizeof **ret);
    if (!*ret)
        return -ENOMEM;
    atomic_init(&(*ret)->refs, 1);
    (*ret)->ring = r;
    (*ret)->tag = tag;
    return 0;
}

/* ---- files ---- */

/* Puts f (a reference; NULL: nothing) into a slot; what was there is the caller's. */
static struct uring_file swap_locked(struct uring *r, unsigned i, struct file *f,
                                     struct unode *node)
{
    struct uring_file was = r->files.at[i];

    assert_locked(&r->lock);
    r->files.at[i] = (struct uring_file){ f, node };
    return was;
}

static void let_go(struct uring_file was)
{
    file_put(was.file);
    rsrc_node_put(was.node);
}

static int change(struct uring *r, unsigned i, struct file *f, struct unode *node)
{
    struct uring_file was;

    lock(&r->lock);
    if (i >= r->files.n) {
        unlock(&r->lock);
        file_put(f);
        kfree(node); /* it was never in use */
        return r->files.n ? -EINVAL : -ENXIO;
    }
    was = swap_locked(r, i, f, node);
    unlock(&r->lock);
    let_go(was);
    return 0;
}

/* What may be in the table: not a ring. A reference; NULL for -1. ERR_PTR. */
static struct file *file_in(struct task *t, gaddr_t fds, unsigned i, int *ret_fd)
{
    struct file *f;

    if (copy_in(t, ret_fd, fds + i * 4ul, 4) < 0)
        return ERR_PTR(-EFAULT);
    if (*ret_fd == -1 || *ret_fd == LX_REGISTER_FILES_SKIP)
        return NULL;
    f = fd_get(t, *ret_fd);
    if (!f)
        return ERR_PTR(-EBADF);
    if (uring_of(f)) {
        file_put(f);
        return ERR_PTR(-EBADF);
    }
    return f;
}

long rsrc_files_unregister(struct uring *r)
{
    struct uring_files was;

    lock(&r->lock);
    was = r->files;
    r->files = (struct uring_files){ .alloc_to = UINT32_MAX };
    unlock(&r->lock);
    if (!was.at)
        return -ENXIO;
    for (unsigned i = 0; i < was.n; i++)
        let_go(was.at[i]);
    kfree(was.at);
    return 0;
}

long rsrc_files_register(struct task *t, struct uring *r, gaddr_t fds, gaddr_t tags, unsigned n)
{
    struct uring_file *at;
    int err = 0, fd;

    if (r->files.at)
        return -EBUSY;
    if (!n)
        return -EINVAL;
    if (n > URING_MAX_FILES || n > task_rlimit(t, RLIMIT_NOFILE)->rlim_cur)
        return -EMFILE;
    at = kzalloc(n * sizeof *at);
    if (!at)
        return -ENOMEM;
    for (unsigned i = 0; i < n && fds && err == 0; i++) {
        struct file *f = file_in(t, fds, i, &fd);

        if (IS_ERR(f)) {
            err = PTR_ERR(f);
            break;
        }
        at[i].file = f;
        err = node_in(t, r, tags, i, &at[i].node);
        if (err == 0 && !f && (fd != -1 || at[i].node))
            err = fd == -1 ? -EINVAL : -EBADF;
    }
    for (unsigned i = 0; i < n && err < 0; i++) {
        file_put(at[i].file);
        kfree(at[i].node);
    }
    if (err < 0) {
        kfree(at);
        return err;
    }
    lock(&r->lock);
    r->files = (struct uring_files){ .at = at, .n = n, .alloc_to = n };
    unlock(&r->lock);
    return 0;
}

long rsrc_files_update(struct task *t, struct uring *r, unsigned at, gaddr_t fds, gaddr_t tags,
                       unsigned n)
{
    long done = 0;
    int err = 0, fd;

    if (!r->files.at)
        return -ENXIO;
    if (at + n < at)
        return -EOVERFLOW;
    if (at + n > r->files.n)
        return -EINVAL;
    for (; done < n; done++) {
        struct file *f = file_in(t, fds, (unsigned)done, &fd);
        struct unode *node = NULL;

        err = IS_ERR(f) ? PTR_ERR(f) : node_in(t, r, tags, (unsigned)done, &node);
        if (err == 0 && !f && node)
            err = -EINVAL;
        if (err == 0 && fd == LX_REGISTER_FILES_SKIP)
            continue;
        if (err < 0) {
            kfree(node);
            if (!IS_ERR(f))
                file_put(f);
            break;
        }
        err = change(r, at + (unsigned)done, f, node);
        if (err < 0)
            break;
    }
    return done ? done : err;
}

struct file *rsrc_file_get(struct uring *r, unsigned slot, struct unode **ret_node)
{
    LOCK_SCOPE(&r->lock);
    if (slot >= r->files.n || !r->files.at[slot].file)
        return NULL;
    if (ret_node && !*ret_node)
        *ret_node = node_ref(r->files.at[slot].node);
    return file_ref(r->files.at[slot].file);
}

static int free_slot_locked(struct uring *r)
{
    struct uring_files *f = &r->files;
    unsigned to = MIN(f->alloc_to, f->n), from = MIN(f->alloc_from, to);

    assert_locked(&r->lock);
    for (unsigned k = 0, n = to - from; k < n; k++) {
        unsigned i = from + (f->hint - from + k) % n;

        if (!f->at[i].file) {
            f->hint = i + 1;
            return (int)i;
        }
    }
    return -ENFILE;
}

int rsrc_file_install(struct uring *r, struct file *f, uint32_t file_index, bool ret_slot)
{
    int slot = 0;

    if (uring_of(f)) {
        file_put(f);
        return -EBADF;
    }
    if (file_index != LX_FILE_INDEX_ALLOC) {
        slot = change(r, file_index - 1, f, /* node= */ NULL);
        return slot < 0 ? slot : ret_slot ? (int)file_index - 1 : 0;
    }
    lock(&r->lock);
    slot = r->files.n ? free_slot_locked(r) : -ENFILE;
    if (slot >= 0)
        swap_locked(r, (unsigned)slot, f, NULL);
    unlock(&r->lock);
    if (slot < 0)
        file_put(f);
    return slot;
}

int rsrc_file_remove(struct uring *r, unsigned slot)
{
    struct uring_file was;
    int e = 0;

    lock(&r->lock);
    if (!r->files.n)
        e = -ENXIO;
    else if (slot >= r->files.n)
        e = -EINVAL;
    else if (!r->files.at[slot].file)
        e = -EBADF;
    else
        was = swap_locked(r, slot, NULL, NULL);
    unlock(&r->lock);
    if (e == 0)
        let_go(was);
    return e;
}

long rsrc_alloc_range(struct task *t, struct uring *r, gaddr_t arg)
{
    struct lx_file_range a;

    if (get_guest(t, &a, arg) < 0)
        return -EFAULT;
    if (a.off + a.len < a.off)
        return -EOVERFLOW;
    LOCK_SCOPE(&r->lock);
    if (a.resv || a.off + a.len > r->files.n)
        return -EINVAL;
    r->files.alloc_from = r->files.hint = a.off;
    r->files.alloc_to = a.off + a.len;
    return 0;
}

static int redirected(struct task *t, struct file *f)
{
    struct ureq *q = ureq_of(t);

    return rsrc_file_install(q->ring, f, q->sqe.file_index, /* ret_slot= */ false);
}

void rsrc_redirect(struct ureq *q)
{
    if (q->sqe.file_index)
        q->task.call.install = redirected;
}

/* ---- buffers ---- */

static int buffer_in(struct task *t, struct uring *r, gaddr_t iovs, gaddr_t tags, unsigned i,
                     struct uring_buffer *ret)
{
    int err;

    struct {
        gaddr_t base;
        uint64_t len;
    } v = { 0 };

    *ret = (struct uring_buffer){ 0 };
    if (iovs && copy_in(t, &v, iovs + i * sizeof v, sizeof v) < 0)
        return -EFAULT;
    *ret = (struct uring_buffer){ .addr = v.base, .len = v.len, .used = v.base };
    err = node_in(t, r, tags, i, &ret->node);
    if (err < 0)
        return err;
    if (!v.base)
        return v.len ? -EFAULT : ret->node ? -EINVAL : 0;
    if (!v.len || v.len > BUFFER_MAX)
        return -EFAULT;
    return v.base + v.len < v.base ? -EOVERFLOW : 0;
}

/* Is it memory at all? Its first and last byte tell. */
static int buffer_probe(struct task *t, const struct uring_buffer *b)
{
    uint8_t c;

    if (!b->used)
        return 0;
    return copy_in(t, &c, b->addr, 1) < 0 || copy_in(t, &c, b->addr + b->len - 1, 1) < 0 ? -EFAULT
                                                                                         : 0;
}

long rsrc_buffers_unregister(struct uring *r)
{
    struct uring_buffer *was;
    unsigned n;

    lock(&r->lock);
    was = r->bufs;
    n = r->nbufs;
    r->bufs = NULL;
    r->nbufs = 0;
    unlock(&r->lock);
    if (!was)
        return -ENXIO;
    for (unsigned i = 0; i < n; i++)
        rsrc_node_put(was[i].node);
    kfree(was);
    return 0;
}

long rsrc_buffers_register(struct task *t, struct uring *r, gaddr_t iovs, gaddr_t tags, unsigned n)
{
    struct uring_buffer *b;
    int err = 0;

    if (r->bufs)
        return -EBUSY;
    if (!n || n > URING_MAX_BUFFERS)
        return -EINVAL;
    b = kzalloc(n * sizeof *b);
    if (!b)
        return -ENOMEM;
    for (unsigned i = 0; i < n && err == 0; i++) {
        err = buffer_in(t, r, iovs, tags, i, &b[i]);
        if (err == 0)
            err = buffer_probe(t, &b[i]);
    }
    if (err < 0) {
        for (unsigned i = 0; i < n; i++)
            kfree(b[i].node);
        kfree(b);
        return err;
    }
    lock(&r->lock);
    r->bufs = b;
    r->nbufs = n;
    unlock(&r->lock);
    return 0;
}

long rsrc_buffers_update(struct task *t, struct uring *r, unsigned at, gaddr_t iovs, gaddr_t tags,
                         unsigned n)
{
    long done = 0;
    int err = 0;

    if (!r->bufs)
        return -ENXIO;
    if (at + n < at)
        return -EOVERFLOW;
    if (at + n > r->nbufs)
        return -EINVAL;
    for (; done < n; done++) {
        struct uring_buffer b, was;

        err = buffer_in(t, r, iovs, tags, (unsigned)done, &b);
        if (err == 0)
            err = buffer_probe(t, &b);
        if (err < 0) {
            kfree(b.node);
            break;
        }
        lock(&r->lock);
        was = r->bufs[at + done];
        r->bufs[at + done] = b;
        unlock(&r->lock);
        rsrc_node_put(was.node);
    }
    return done ? done : err;
}

int rsrc_buffer_check(struct uring *r, unsigned index, gaddr_t addr, uint64_t len,
                      struct unode **ret_node)
{
    const struct uring_buffer *b;

    LOCK_SCOPE(&r->lock);
    if (index >= r->nbufs)
        return -EFAULT;
    b = &r->bufs[index];
    if (!b->used || addr < b->addr || addr - b->addr > b->len || len > b->len - (addr - b->addr))
        return -EFAULT;
    if (!*ret_node)
        *ret_node = node_ref(b->node);
    return 0;
}

void rsrc_free(struct uring *r)
{
    (void)rsrc_files_unregister(r);
    (void)rsrc_buffers_unregister(r);
}
