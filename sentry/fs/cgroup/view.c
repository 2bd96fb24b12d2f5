/* SPDX-License-Identifier: Apache-2.0 */
/* What the front end tells of the host's control group. See cgroup.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/fs/cgroup/cgroup.h"
#include "sentry/fs/pseudo/pseudo.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/lock.h"

struct cgroup_view {
    char *text; /* ends with a NUL */
    size_t n;
};

static struct lock view_lock; /* LOCK_OBJECT; of all containers' */

__attribute__((constructor)) static void view_start(void)
{
    lock_init(&view_lock, LOCK_OBJECT);
}

void cgroup_view_free(struct cgroup_view *v)
{
    if (v)
        kfree(v->text);
    kfree(v);
}

/* Within the lock: the value, or NULL. */
static const char *find_locked(const struct container *c, const char *name)
{
    const char *at = c->view ? c->view->text : NULL, *end = at ? at + c->view->n : NULL;

    assert_locked(&view_lock);
    while (at && at < end) {
        const char *value = at + strlen(at) + 1;

        if (value >= end)
            break;
        if (strcmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

static void set_tasks(struct container *c)
{
    uint64_t defaults[LIMITS];
    const char *value;

    limits_init(kernel.mem_total, defaults);
    LOCK_SCOPE(&view_lock);
    value = find_locked(c, CGROUP_TASKS);
    if (!value)
        return;
    const uint64_t max = strtoull(value, NULL, 10);

    if (atomic_load(&c->tasks_max) || !container_is_first(c)) /* one of several */
        atomic_store(&c->tasks_max, max ? max : defaults[LIMIT_TASKS]);
    else
        limit_set(LIMIT_TASKS, max ? max : defaults[LIMIT_TASKS]);
}

int cgroup_view_set(struct container *c, const char *text, size_t n)
{
    struct cgroup_view *v, *old;

    if (n > CGROUP_VIEW_MAX || (n && text[n - 1]))
        return -EINVAL;
    v = kzalloc(sizeof *v);
    if (v)
        v->text = kzalloc(n + 1);
    if (!v || !v->text) {
        cgroup_view_free(v);
        return -ENOMEM;
    }
    if (n)
        memcpy(v->text, text, n);
    v->n = n;
    lock(&view_lock);
    old = c->view;
    c->view = v;
    unlock(&view_lock);
    cgroup_view_free(old);
    if (!container_is_first(c)) /* whose was told with all of its limits */
        set_tasks(c);
    return 0;
}

bool cgroup_view_put(const char *name, struct ptext *out)
{
    const char *value;

    LOCK_SCOPE(&view_lock);
    value = find_locked(container_here(), name);
    if (value)
        pt_puts(out, value);
    return value;
}

bool cgroup_view_has(const char *name)
{
    LOCK_SCOPE(&view_lock);
    return find_locked(container_here(), name);
}

int cgroup_view_take(struct container *c, int fd)
{
    struct stat st;
    char *text;
    int r;

    if (fstat(fd, &st) < 0 || st.st_size < 0 || st.st_size > (off_t)CGROUP_VIEW_MAX)
        return -EINVAL;
    text = kzalloc((size_t)st.st_size + 1);
    if (!text)
        return -ENOMEM;
    r = pread(fd, text, (size_t)st.st_size, 0) == (ssize_t)st.st_size
            ? cgroup_view_set(c, text, (size_t)st.st_size)
            : -EIO;
    kfree(text);
    if (r == 0)
        set_tasks(c);
    return r;
}
