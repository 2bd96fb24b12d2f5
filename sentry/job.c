/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/tty.h"
#include "cli/control.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"
#include "sentry/start.h"
#include "sentry/vfs/hostfile.h"
#include "sentry/vfs/vfs.h"

struct parsed {
    struct job_request head;
    char *text; /* the strings */
    char **argv, **envp;
    const char *cwd;
};

static void parsed_free(struct parsed *p)
{
    kfree(p->text);
    kfree(p->argv);
    kfree(p->envp);
}

/* n strings from *at on, none beyond end; a vector with a NULL behind. */
static char **take_vector(char **at, char *end, uint32_t n)
{
    char **v = kzalloc((n + 1ul) * sizeof *v);

    for (uint32_t i = 0; v && i < n; i++) {
        char *nul = memchr(*at, 0, (size_t)(end - *at));

        if (!nul) {
            kfree(v);
            return NULL;
        }
        v[i] = *at;
        *at = nul + 1;
    }
    return v;
}

static int parse(int fd, struct parsed *ret)
{
    struct parsed p = { 0 };
    struct stat st;
    char *at, *end, **cwd;
    size_t n;

    if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof p.head || st.st_size > JOB_REQUEST_MAX ||
        pread(fd, &p.head, sizeof p.head, 0) != (ssize_t)sizeof p.head)
        return -EINVAL;
    n = (size_t)st.st_size - sizeof p.head;
    if (p.head.argc == 0 || p.head.argc > n || p.head.envc > n || p.head.ngroups > 64)
        return -EINVAL;
    p.text = kzalloc(n + 1);
    if (!p.text)
        return -ENOMEM;
    if (pread(fd, p.text, n, sizeof p.head) != (ssize_t)n) {
        parsed_free(&p);
        return -EIO;
    }
    at = p.text;
    end = p.text + n;
    cwd = take_vector(&at, end, 1);
    p.cwd = cwd ? cwd[0] : NULL;
    kfree(cwd);
    p.argv = p.cwd ? take_vector(&at, end, p.head.argc) : NULL;
    p.envp = p.argv ? take_vector(&at, end, p.head.envc) : NULL;
    if (!p.envp) {
        parsed_free(&p);
        return -EINVAL;
    }
    *ret = p;
    return 0;
}

static const char *env_path(char *const *envp)
{
    for (; *envp; envp++) {
        if (strncmp(*envp, "PATH=", 5) == 0)
            return *envp + 5;
    }
    return "/usr/local/bin:/usr/bin:/bin";
}

static bool runs(struct task *t, const char *path)
{
    struct path p;
    bool ok;

    if (walk_path(t, AT_FDCWD, path, WALK_FOLLOW, &p) < 0)
        return false;
    ok = S_ISREG(dentry_inode(p.dentry)->mode) &&
         inode_permission(t, dentry_inode(p.dentry), X_OK) == 0;
    path_put(&p);
    return ok;
}

/* As a shell finds it, inside. */
static int find(struct task *t, const char *name, char *const *envp, char ret[PATH_MAX])
{
    const char *dir = env_path(envp);

    if (strchr(name, '/'))
        return snprintf(ret, PATH_MAX, "%s", name) < PATH_MAX ? 0 : -ENAMETOOLONG;
    while (*dir) {
        size_t n = strcspn(dir, ":");

        if (n > 0 && snprintf(ret, PATH_MAX, "%.*s/%s", (int)n, dir, name) < PATH_MAX &&
            runs(t, ret))
            return 0;
        dir += n + (dir[n] == ':');
    }
    return -ENOENT;
}

static int set_stdio(struct task *t, int fds[3])
{
    int r = 0;

    for (int i = 0; r >= 0 && i < 3; i++) {
        struct file *f;

        if (fds[i] < 0)
            continue;
        f = host_file_new(fds[i], i == 0 ? O_RDONLY : O_WRONLY);
        fds[i] = -1; /* the file's, or closed */
        r = IS_ERR(f) ? PTR_ERR(f) : fd_install_at(t, f, i, false);
    }
    return r < 0 ? r : 0;
}

/* All three are the terminal behind the first. */
static int set_terminal(struct task *t, uint32_t id, uint32_t winsize, int fds[3],
                        struct file **ret_slave)
{
    const struct lx_winsize ws = { .ws_row = (uint16_t)(winsize >> 16),
                                   .ws_col = (uint16_t)winsize };
    struct file *slave;
    int r = tty_relay_start(t, id, fds[0], &ws, &slave);

    if (r < 0)
        return r;
    fds[0] = -1;
    for (int i = 0; r >= 0 && i < 3; i++)
        r = fd_install_at(t, file_ref(slave), i, false);
    *ret_slave = slave;
    return r < 0 ? r : 0;
}

/* What task_spawn_first leaves to its caller, less what concerns a terminal. */
static int furnish(struct task *t, const struct parsed *p, const gid_t *groups)
{
    struct cred *c = p->head.uid == 0 && p->head.gid == 0
                         ? cred_new_root()
                         : cred_new_user(p->head.uid, p->head.gid, groups, p->head.ngroups);
    struct path root = { vfs.root, vfs.root->root }, cwd;
    int r;

    if (!c)
        return -ENOMEM;
    cred_put(t->cred);
    t->cred = c;
    t->fs = fs_ctx_new(&root);
    t->files = files_new();
    if (!t->fs || !t->files)
        return -ENOMEM;
    r = walk_path(t, AT_FDCWD, p->cwd, WALK_FOLLOW | WALK_DIR, &cwd);
    if (r < 0)
        return r;
    path_put(&t->fs->cwd);
    t->fs->cwd = cwd;
    first_limits(t->group);
    return 0;
}

static int start(uint32_t id, const struct parsed *p, int fds[3])
{
    struct file *tty = NULL;
    gid_t groups[64];
    char path[PATH_MAX];
    struct task *t;
    int r;

    for (uint32_t i = 0; i < p->head.ngroups; i++)
        groups[i] = p->head.groups[i];
    r = task_spawn_first(p->argv[0], p->argv, p->envp, &t);
    if (r < 0)
        return r;
    t->group->job = id;
    r = furnish(t, p, groups);
    if (r == 0)
        r = find(t, p->argv[0], p->envp, path);
    if (r == 0)
        r = exec_first_path(t, path);
    if (r == 0)
        r = p->head.tty ? set_terminal(t, id, p->head.winsize, fds, &tty) : set_stdio(t, fds);
    if (r < 0) {
        call_end(t);
        task_abort(t);
    } else {
        r = task_publish(t);
    }
    if (r == 0) {
        (void)do_setsid(t);
        if (tty)
            (void)tty_set_controlling(t, tty);
        task_make_ready(t);
    }
    file_put(tty);
    return r;
}

void job_start(uint32_t id, int request, const int stdio[3])
{
    int fds[3] = { stdio[0], stdio[1], stdio[2] };
    struct parsed p;
    int r = parse(request, &p);

    if (r == 0) {
        r = start(id, &p, fds);
        parsed_free(&p);
    }
    close(request);
    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    if (r < 0) {
        tty_relay_over(id);
        job_failed(id, -r);
    }
}

struct wanted {
    uint32_t id;
    int sig;
};

static int signal_one(struct tgroup *g, void *arg)
{
    const struct wanted *w = arg;

    if (g->job != w->id || g->zombie)
        return 0;
    signal_send_group_locked(g, w->sig, NULL);
    return 1;
}

void job_signal(uint32_t id, int sig)
{
    struct wanted w = { id, sig };

    if (sig < 1 || sig > LX_NSIG)
        return;
    lock(&kernel.tasks_lock);
    tgroup_each_locked(signal_one, &w);
    unlock(&kernel.tasks_lock);
}

void job_ended(uint32_t id, int wait_status)
{
    tty_relay_over(id);
    control_send(CTL_JOB_EXIT, (uint64_t)id << 32 | (uint32_t)wait_status, NULL);
}

void job_failed(uint32_t id, int err)
{
    int status = err == ENOENT || err == ENOTDIR ? 127 : 126;

    control_send(CTL_JOB_FAILED, (uint64_t)id << 32 | (uint32_t)status, "%s%s", strerror(err),
                 err == ENOEXEC ? " (wrong architecture, or no program)" : "");
}
