/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first program: pid 2 (in a container pid 1, leader of a session), stdio from the host. As natively below
 * a shell it leads the foreground group of a session that another process leads, pid 1: a terminal that it
 * opens does not become its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sentry/fs/tty/tty.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"
#include "sentry/process.h"
#include "sentry/start.h"
#include "sentry/strace/strace.h"
#include "sentry/vfs/build.h"
#include "sentry/vfs/hostfile.h"
#include "sentry/vfs/vfs.h"

/* What a process finds on an ordinary machine. */
void first_limits(struct tgroup *g)
{
    const rlim_t nproc = limit_of(LIMIT_TASKS);
    const struct {
        int res;
        rlim_t cur, max;
    } values[] = {
        { RLIMIT_STACK, 8ul << 20, RLIM_INFINITY },
        { RLIMIT_FSIZE, limit_of(LIMIT_FILE_SIZE),
          limit_of(LIMIT_FILE_SIZE) }, /* none: RLIM_INFINITY */
        { RLIMIT_CORE, 0, RLIM_INFINITY },
        { RLIMIT_NPROC, nproc, nproc },
        { RLIMIT_NOFILE, 1024, 1 << 20 },
        { RLIMIT_MEMLOCK, 8ul << 20, 8ul << 20 },
        { RLIMIT_SIGPENDING, nproc, nproc },
        { RLIMIT_MSGQUEUE, 819200, 819200 },
        { RLIMIT_NICE, 0, 0 },
        { RLIMIT_RTPRIO, 0, 0 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
        g->rlim[values[i].res] = (struct rlimit){ values[i].cur, values[i].max };
}

static int stdio(struct task *t, const struct sentry_config *cfg)
{
    struct file *tty = NULL;
    int r = 0;

    if (cfg->tty_sock >= 0) {
        r = tty_host_attach(cfg->tty_sock, &cfg->tty_settings, &tty);
        if (r < 0)
            return r;
        tty_host_winsize(cfg->tty_rows, cfg->tty_cols);
        tty_host_place(cfg->tty_place);
    }
    for (int i = 0; i < 3 && r >= 0; i++) {
        struct file *f;

        if (cfg->stdio_tty[i] && tty)
            f = file_ref(tty);
        else if (cfg->stdio[i] >= 0)
            f = host_file_new(cfg->stdio[i], i == 0 ? O_RDONLY : O_WRONLY);
        else
            continue;
        r = IS_ERR(f) ? PTR_ERR(f) : fd_install_at(t, f, i, false);
    }
    for (unsigned i = 0; i < cfg->npassed && r >= 0; i++) {
        struct file *f = host_file_new(cfg->passed[i], O_RDWR);

        r = IS_ERR(f) ? PTR_ERR(f) : fd_install_at(t, f, 3 + (int)i, false);
    }
    if (tty && r >= 0)
        r = tty_set_controlling(t, tty);
    file_put(tty);
    return r < 0 ? r : 0;
}

static int directories(struct task *t, const struct sentry_config *cfg)
{
    struct mount *top = t->group->container->root;
    struct path root = { top, top->root }, cwd;
    struct fs_ctx *fs = fs_ctx_new(&root);
    int r;

    if (!fs)
        return -ENOMEM;
    t->fs = fs;
    r = walk_path(t, AT_FDCWD, cfg->cwd ? cfg->cwd : "/", WALK_FOLLOW | WALK_DIR, &cwd);
    if (r < 0)
        return r;
    path_put(&fs->cwd);
    fs->cwd = cwd;
    return 0;
}

static int become_user(struct task *t, const struct sentry_config *cfg)
{
    struct cred *c = cfg->uid == 0 && cfg->gid == 0
                         ? cred_new_root()
                         : cred_new_user(cfg->uid, cfg->gid, cfg->groups, cfg->ngroups);

    if (!c)
        return -ENOMEM;
    cred_put(t->cred);
    t->cred = c;
    return 0;
}

/* A container's terminal is its console, too. */
int show_console(unsigned index)
{
    const struct sentry_mount node = {
        .kind = SM_NODE, .path = "/dev/console", .mode = S_IFCHR | 0600, .rdev = makedev(5, 1)
    };
    struct path from, at;
    char name[24];
    int r;

    snprintf(name, sizeof name, "/dev/pts/%u", index);
    r = walk_path(NULL, AT_FDCWD, name, WALK_FOLLOW, &from);
    if (r == -ENOENT)
        return 0; /* no devpts was asked for */
    if (r < 0)
        return r;
    r = vfs_build_one(&node);
    if (r == 0)
        r = walk_path(NULL, AT_FDCWD, "/dev/console", WALK_FOLLOW, &at);
    if (r == 0) {
        r = vfs_bind(&from, &at, 0);
        path_put(&at);
    }
    path_put(&from);
    return r;
}

static int fail_with(void (*say)(const char *, int, char[PROCESS_WHY]), const char *what, int r)
{
    char why[PROCESS_WHY];

    say(what, r, why);
    sandbox_start_refused(why);
    return r;
}

static int start_container(const struct sentry_config *cfg, struct task **ret)
{
    char path[PATH_MAX];
    struct task *t;
    const char *wrong = process_ids_wrong(cfg->container);
    int r;

    if (wrong)
        sandbox_start_refused(wrong);
    r = task_spawn_first(cfg->argv[0], cfg->argv, cfg->envp, &t);
    if (r < 0)
        return r;
    t->group->is_init = t->group->unkillable = true;
    r = process_furnish(t, cfg->container, cfg->cwd);
    if (r < 0)
        return fail_with(process_cwd_failed, cfg->cwd, r);
    r = process_find(t, cfg->argv[0], cfg->envp, path, sizeof path);
    if (r < 0)
        return fail_with(process_failed, cfg->argv[0], r);
    r = exec_first_path(t, path);
    if (r == 0)
        r = task_publish(t);
    if (r == 0)
        strace_first(t, path, cfg->argv, cfg->envp);
    if (r == 0)
        r = (int)MIN(do_setsid(t), 0);
    if (r == 0)
        r = stdio(t, cfg);
    if (r == 0 && cfg->tty_sock >= 0)
        r = show_console(0);
    *ret = t;
    return r;
}

int start_first(const struct sentry_config *cfg, struct task **ret)
{
    struct task *t;
    int r;

    if (cfg->container)
        return start_container(cfg, ret);
    r = task_spawn_first(cfg->exec_path, cfg->argv, cfg->envp, &t);
    if (r < 0)
        return r;
    first_limits(t->group);
    r = become_user(t, cfg);
    if (r == 0)
        r = directories(t, cfg);
    t->files = files_new();
    if (r == 0 && !t->files)
        r = -ENOMEM;
    if (r < 0)
        return r;
    r = task_publish(t);
    if (r == 0)
        strace_first(t, cfg->exec_path, cfg->argv, cfg->envp);
    if (r == 0)
        r = do_setpgid(t, 0, 0);
    if (r == 0)
        r = stdio(t, cfg);
    *ret = t;
    return r;
}
