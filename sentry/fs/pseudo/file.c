/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of text that is made when it is read, and parsed when it is written. See pseudo.h.
 *
 * An open file keeps the text of its last read at position 0. Making text takes locks of every
 * class, so it is made outside the lock of the open file and then put in place.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs/pseudo/pseudo_priv.h"
#include "sentry/kernel/alloc.h"

struct pfile {
    struct lock lock; /* LOCK_OBJECT; guards the rest */
    struct ptext text;
    bool made;
};

/* ---- text ---- */

static bool reserve(struct ptext *p, size_t more)
{
    size_t cap = p->cap ? p->cap : 512;
    char *n;

    if (p->failed)
        return false;
    if (p->len + more < p->cap)
        return true;
    while (cap <= p->len + more)
        cap *= 2;
    n = krealloc(p->buf, cap);
    if (!n) {
        p->failed = true;
        return false;
    }
    p->buf = n;
    p->cap = cap;
    return true;
}

void pt_bytes(struct ptext *p, const void *bytes, size_t n)
{
    if (!n || !reserve(p, n))
        return;
    memcpy(p->buf + p->len, bytes, n);
    p->len += n;
}

void pt_puts(struct ptext *p, const char *s)
{
    pt_bytes(p, s, strlen(s));
}

void pt_printf(struct ptext *p, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !reserve(p, (size_t)n))
        return;
    va_start(ap, fmt);
    vsnprintf(p->buf + p->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    p->len += (size_t)n;
}

int pseudo_parse(const char *buf, size_t len, int64_t min, int64_t max, int64_t *ret)
{
    bool minus = false;
    int64_t v = 0;
    size_t k = 0;

    while (len && (buf[len - 1] == '\n' || buf[len - 1] == ' ' || !buf[len - 1]))
        len--;
    while (k < len && buf[k] == ' ')
        k++;
    if (k < len && buf[k] == '-')
        minus = true, k++;
    if (k == len || len - k > 18)
        return -EINVAL;
    for (; k < len; k++) {
        if (buf[k] < '0' || buf[k] > '9')
            return -EINVAL;
        v = v * 10 + (buf[k] - '0');
    }
    v = minus ? -v : v;
    if (v < min || v > max)
        return -EINVAL;
    *ret = v;
    return 0;
}

/* ---- files ---- */

int pseudo_file_open(struct file *f)
{
    struct pfile *p = kzalloc(sizeof *p);

    if (!p)
        return -ENOMEM;
    lock_init(&p->lock, LOCK_OBJECT);
    f->priv = p;
    return 0;
}

static int make_text(struct task *t, struct file *f, struct ptext *ret)
{
    const struct pnode *n = pnode_of(f->inode);
    int r = n->show ? 0 : -EINVAL;

    if (!r && n->may_open && t) /* again: it may have become another program meanwhile */
        r = n->may_open(t, pobj_of(f->inode));
    if (!r)
        r = n->show(t, n, pobj_of(f->inode), ret);
    if (r >= 0 && ret->failed)
        r = -ENOMEM;
    if (r < 0) {
        kfree(ret->buf);
        *ret = (struct ptext){ .buf = NULL };
    }
    return r;
}

static ssize_t text_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct pfile *p = f->priv;
    struct ptext fresh = { .buf = NULL };
    bool made;

    lock(&p->lock);
    made = p->made;
    unlock(&p->lock);
    if (*pos == 0 || !made) {
        int r = make_text(t, f, &fresh);
        if (r < 0)
            return r;
        lock(&p->lock);
        kfree(p->text.buf);
        p->text = fresh;
        p->made = true;
    } else {
        lock(&p->lock);
    }
    ssize_t n = 0;
    if ((uint64_t)*pos < p->text.len)
        n = iter_put(it, p->text.buf + *pos, MIN(it->left, p->text.len - (size_t)*pos));
    if (n > 0)
        *pos += n;
    unlock(&p->lock);
    return n;
}

static ssize_t text_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    const struct pnode *n = pnode_of(f->inode);
    size_t len = MIN(it->left, PAGE_SIZE_4K);
    char buf[4096 + 1];
    ssize_t got;

    if (!n->store)
        return -EINVAL;
    got = iter_get(it, buf, len);
    if (got < 0)
        return got;
    buf[got] = 0;
    got = n->store(t, n, pobj_of(f->inode), buf, (size_t)got);
    if (got > 0 && pos)
        *pos += got;
    return got;
}

static long text_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    const struct pnode *n = pnode_of(f->inode);

    return n->ioctl ? n->ioctl(t, pobj_of(f->inode), cmd, arg) : -ENOIOCTLCMD;
}

static loff_t text_llseek(struct task *t, struct file *f, loff_t off, int whence)
{
    loff_t base = whence == SEEK_CUR ? f->pos : whence == SEEK_END ? (loff_t)f->inode->size : 0;

    (void)t;
    if (whence != SEEK_CUR && whence != SEEK_END && whence != SEEK_SET)
        return -EINVAL;
    if (__builtin_add_overflow(base, off, &off) || off < 0)
        return -EINVAL;
    f->pos = off;
    return off;
}

static void text_release(struct file *f)
{
    struct pfile *p = f->priv;

    if (!p)
        return;
    kfree(p->text.buf);
    lock_done(&p->lock);
    kfree(p);
}

const struct file_ops pseudo_file_ops = {
    .name = "pseudo file",
    .read = text_read,
    .write = text_write,
    .ioctl = text_ioctl,
    .llseek = text_llseek,
    .release = text_release,
};
