/* SPDX-License-Identifier: Apache-2.0 */
/* What the front end tells of the host's control group. See cgroup.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/fs/cgroup/cgroup.h"
#include "sentry/fs/pseudo/pseudo.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/lock.h"

static struct {
    pthread_once_t once;
    struct lock lock; /* LOCK_OBJECT */
    char *text;       /* ends with a NUL */
    size_t n;
} view = { .once = PTHREAD_ONCE_INIT };

static void init(void)
{
    lock_init(&view.lock, LOCK_OBJECT);
}

int cgroup_view_set(const char *text, size_t n)
{
    char *copy, *old;

    if (n > CGROUP_VIEW_MAX || (n && text[n - 1]))
        return -EINVAL;
    copy = kzalloc(n + 1);
    if (!copy)
        return -ENOMEM;
    if (n)
        memcpy(copy, text, n);
    pthread_once(&view.once, init);
    lock(&view.lock);
    old = view.text;
    view.text = copy;
    view.n = n;
    unlock(&view.lock);
    kfree(old);
    return 0;
}

/* Within the lock: the value, or NULL. */
static const char *find_locked(const char *name)
{
    const char *at = view.text, *end = at + view.n;

    assert_locked(&view.lock);
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

bool cgroup_view_put(const char *name, struct ptext *out)
{
    const char *value;

    pthread_once(&view.once, init);
    LOCK_SCOPE(&view.lock);
    value = find_locked(name);
    if (value)
        pt_puts(out, value);
    return value;
}

bool cgroup_view_has(const char *name)
{
    pthread_once(&view.once, init);
    LOCK_SCOPE(&view.lock);
    return find_locked(name);
}

static void set_tasks(void)
{
    uint64_t defaults[LIMITS];
    const char *value;

    limits_init(kernel.mem_total, defaults);
    LOCK_SCOPE(&view.lock);
    value = find_locked(CGROUP_TASKS);
    if (value && strtoull(value, NULL, 10) > 0)
        limit_set(LIMIT_TASKS, strtoull(value, NULL, 10));
    else if (value)
        limit_set(LIMIT_TASKS, defaults[LIMIT_TASKS]);
}

/* What cannot be used is not shown as memory. */
static void set_memory(void)
{
    const char *value;
    uint64_t limit;

    LOCK_SCOPE(&view.lock);
    value = find_locked("memory.max");
    if (!value)
        value = find_locked("memory.limit_in_bytes");
    limit = value ? strtoull(value, NULL, 10) : 0; /* "max" is none */
    if (value)
        atomic_store(&kernel.mem_total, limit ? MIN(kernel.mem_host, limit) : kernel.mem_host);
}

int cgroup_view_take(int fd)
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
            ? cgroup_view_set(text, (size_t)st.st_size)
            : -EIO;
    kfree(text);
    if (r == 0) {
        set_tasks();
        set_memory();
    }
    return r;
}
