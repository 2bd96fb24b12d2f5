/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See results.h. The other side is the front end, or the writer that it has forked (gofer/writer/apply.h): trusted
 * with what the program made, so nothing here is checked beyond what keeps us from falling over.
 */
#include "sentry/results.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include "abi/hostio.h"
#include "gofer/changes.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/timer.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/vfs.h"

#define CHUNK 65536
#define DEATHS 1000000000 /* ns that the processes inside may take to end */

struct results {
    int sock;
    struct task *t;
    struct dentry **files; /* by index; references, NULL where there is no content */
    uint32_t n, cap;
};

/* -EPIPE: the other side is gone. */
static int send_all(int sock, const void *p, size_t n)
{
    const char *at = p;

    while (n > 0) {
        ssize_t r = hostio_send(sock, at, n, MSG_NOSIGNAL);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return -EPIPE;
        at += r;
        n -= (size_t)r;
    }
    return 0;
}

static int end_group(struct tgroup *g, void *arg)
{
    struct task *t;

    (void)arg;
    if (g->is_sentry)
        return 0;
    list_for_each(t, &g->tasks, group_link) {
        if (!t->dead && t->ctx)
            kernel.platform->ctx_kill(t->ctx);
    }
    return 0;
}

/* So that nothing changes while it is told; what would not end in time goes on changing its own files. */
static void end_all(void)
{
    ktime_t until = ktime_now() + DEATHS;

    lock(&kernel.tasks_lock);
    kernel_kill_all_locked();
    tgroup_each_locked(NULL, end_group, NULL);
    unlock(&kernel.tasks_lock);
    while (atomic_load(&kernel.ntasks) > 1 && ktime_now() < until)
        hostio_nap(200000);
}

static int keep_file(struct results *s, struct dentry *d)
{
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? 2 * s->cap : 64;
        struct dentry **more = krealloc(s->files, cap * sizeof *more);

        if (!more)
            return -ENOMEM;
        s->files = more;
        s->cap = cap;
    }
    s->files[s->n++] = d ? dentry_ref(d) : NULL;
    return 0;
}

static int tell(void *arg, const struct overlay_change *c)
{
    struct results *s = arg;
    struct change_head h = { .kind = (unsigned char)c->kind,
                             .flags = c->gone ? CHANGE_GONE : 0u,
                             .mode = c->was,
                             .path_len = (uint32_t)strlen(c->path) };
    char link[PATH_MAX];
    int r;

    if (c->dentry) {
        struct inode *i = dentry_inode(c->dentry);

        if (S_ISLNK(i->mode)) {
            ssize_t n = i->ops->readlink ? i->ops->readlink(s->t, i, link, sizeof link) : -EINVAL;

            if (n < 0)
                return (int)n;
            h.link_len = (uint32_t)MIN((size_t)n, sizeof link - 1);
        }
        LOCK_SCOPE(&i->lock);
        h.flags = (c->data ? CHANGE_DATA : 0u) | (c->replaces ? CHANGE_REPLACES : 0u);
        h.mode = i->mode;
        h.size = S_ISREG(i->mode) ? (uint64_t)i->size : 0;
        h.ino = S_ISREG(i->mode) && i->nlink > 1 ? i->ino : 0;
        h.mtime_sec = i->mtime.tv_sec;
        h.mtime_nsec = (uint32_t)i->mtime.tv_nsec;
    }
    r = keep_file(s, c->dentry && S_ISREG(dentry_inode(c->dentry)->mode) ? c->dentry : NULL);
    if (r == 0)
        r = send_all(s->sock, &h, sizeof h);
    if (r == 0)
        r = send_all(s->sock, c->path, h.path_len);
    return r == 0 ? send_all(s->sock, link, h.link_len) : r;
}

static int tell_all(struct results *s, const char *path)
{
    struct path scope;
    int r = walk_path(s->t, AT_FDCWD, path, WALK_FOLLOW | WALK_DIR, &scope);

    if (r < 0)
        return r;
    if (strcmp(scope.dentry->sb->type, "overlay") != 0 ||
        !mem_node(dentry_inode(scope.dentry))->lower)
        r = -ESTALE; /* something else lies there now */
    else
        r = overlay_tell(s->t, scope.dentry, tell, s);
    path_put(&scope);
    return r;
}

/* Exactly size bytes are sent, whatever becomes of the file. */
static int send_content(struct results *s, struct dentry *d)
{
    struct path p = { .dentry = d };
    struct file *f = d ? vfs_open_inode(s->t, &p, O_RDONLY | O_LARGEFILE) : ERR_PTR(-EINVAL);
    struct change_data head = { IS_ERR(f) ? PTR_ERR(f) : (int64_t)f->inode->size };
    char *buf = kzalloc(CHUNK);
    loff_t pos = 0;
    int r;

    if (!buf && !IS_ERR(f))
        head.size = -ENOMEM;
    r = send_all(s->sock, &head, sizeof head);
    while (r == 0 && pos < head.size) {
        size_t want = (size_t)MIN((int64_t)CHUNK, head.size - pos);
        ssize_t n = vfs_read_kernel(s->t, f, buf, want, pos);

        if (n <= 0) {
            memset(buf, 0, want);
            n = (ssize_t)want;
        }
        r = send_all(s->sock, buf, (size_t)n);
        pos += n;
    }
    kfree(buf);
    if (!IS_ERR(f))
        file_put(f);
    return r;
}

static bool receive(int sock, struct change_want *ret)
{
    ssize_t r;

    do {
        r = hostio_recv(sock, ret, sizeof *ret, MSG_WAITALL);
    } while (r < 0 && errno == EINTR);
    return r == (ssize_t)sizeof *ret;
}

void results_serve(const struct sentry_config *cfg)
{
    struct results s = { .sock = cfg->results_sock, .t = first_container.init->leader };
    struct change_head end = { .kind = CHANGE_END };
    struct change_want want;
    int r;

    if (!cfg->results_path)
        return;
    kernel.platform->worker_block_begin();
    tty_host_close();
    end_all();
    r = tell_all(&s, cfg->results_path);
    end.size = (uint64_t) - (int64_t)r;
    r = r == -EPIPE ? r : send_all(s.sock, &end, sizeof end);
    while (r == 0 && receive(s.sock, &want))
        r = send_content(&s, want.index < s.n ? s.files[want.index] : NULL);
    kernel.platform->worker_block_end();
}
