/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/ids.h"
#include "sentry/kernel/kernel.h"
#include "sentry/start.h"
#include "sentry/vfs/build.h"
#include "sentry/vfs/vfs.h"

int process_check(const struct process_spec *s)
{
    if (s->ngroups > PROCESS_GROUPS || s->nrlimits > RLIM_NLIMITS)
        return -EINVAL;
    for (uint32_t i = 0; i < s->nrlimits; i++) {
        if (s->rlimits[i].resource >= RLIM_NLIMITS || s->rlimits[i].cur > s->rlimits[i].max)
            return -EINVAL;
    }
    return 0;
}

const char *process_ids_wrong(const struct process_spec *s)
{
    if (!uid_known(s->uid))
        return "cannot set uid to unmapped user in user namespace";
    if (!gid_known(s->gid))
        return "cannot set gid to unmapped user in user namespace";
    for (uint32_t i = 0; i < s->ngroups; i++)
        if (groups_denied() || !gid_known(s->groups[i]))
            return groups_denied() ? "cannot set any additional groups in a rootless container"
                                   : "cannot set gid to unmapped user in user namespace";
    return NULL;
}

static struct cred *make_cred(const struct process_spec *s)
{
    gid_t groups[PROCESS_GROUPS];
    struct cred *c;

    for (uint32_t i = 0; i < s->ngroups; i++)
        groups[i] = s->groups[i];
    c = cred_new_user(s->uid, s->gid, groups, s->ngroups);
    if (!c)
        return NULL;
    if (s->flags & PROCESS_CAPS) {
        c->cap_bset = s->cap_bounding & CAP_ALL;
        c->cap_permitted = s->cap_permitted & CAP_ALL;
        c->cap_effective = s->cap_effective & c->cap_permitted;
        c->cap_inheritable = s->cap_inheritable & CAP_ALL;
        c->cap_ambient = s->cap_ambient & c->cap_permitted & c->cap_inheritable;
    }
    c->no_new_privs = s->flags & PROCESS_NO_NEW_PRIVS;
    return c;
}

/* cwd with its parents: made as root, its last directory the user's. */
static int make_cwd(const struct process_spec *s, const char *cwd)
{
    struct path p;
    int r;

    if (!(s->flags & PROCESS_MAKE_CWD))
        return 0;
    r = walk_path(NULL, AT_FDCWD, cwd, WALK_FOLLOW, &p);
    if (r == 0)
        path_put(&p);
    return r == -ENOENT ? vfs_build_dir(cwd, s->uid, s->gid) : 0;
}

static int enter_cwd(struct task *t, const char *cwd)
{
    struct path to;
    int r = walk_path(t, AT_FDCWD, cwd, WALK_FOLLOW | WALK_DIR, &to);

    if (r < 0)
        return r;
    path_put(&t->fs->cwd);
    t->fs->cwd = to;
    return 0;
}

int process_furnish(struct task *t, const struct process_spec *s, const char *cwd)
{
    struct mount *top = t->group->container->root;
    struct path root = { top, top->root };
    struct cred *c = make_cred(s);
    int r;

    if (!c)
        return -ENOMEM;
    cred_put(t->cred);
    t->cred = c;
    t->fs = fs_ctx_new(&root);
    t->files = files_new();
    if (!t->fs || !t->files)
        return -ENOMEM;
    if (s->flags & PROCESS_UMASK)
        t->fs->umask = s->umask & 0777;
    first_limits(t->group);
    for (uint32_t i = 0; i < s->nrlimits; i++)
        t->group->rlim[s->rlimits[i].resource] = (struct rlimit){ s->rlimits[i].cur,
                                                                  s->rlimits[i].max };
    t->group->oom_score_adj = s->oom_score_adj;
    r = make_cwd(s, cwd);
    return r < 0 ? r : enter_cwd(t, cwd);
}

/* ---- the program ---- */

static const char *env_path(char *const *envp)
{
    for (; *envp; envp++) {
        if (strncmp(*envp, "PATH=", 5) == 0)
            return *envp + 5;
    }
    return "/usr/local/bin:/usr/bin:/bin";
}

static int runs(struct task *t, const char *path)
{
    struct path p;
    int r = walk_path(t, AT_FDCWD, path, WALK_FOLLOW, &p);

    if (r < 0)
        return r;
    if (!S_ISREG(dentry_inode(p.dentry)->mode))
        r = S_ISDIR(dentry_inode(p.dentry)->mode) ? -EISDIR : -EACCES;
    else
        r = inode_permission(t, dentry_inode(p.dentry), X_OK);
    path_put(&p);
    return r;
}

int process_find(struct task *t, const char *name, char *const *envp, char *ret, size_t cap)
{
    const char *dir = env_path(envp);
    int err = -ENOENT;

    if (!*name)
        return -ENOENT;
    if (strchr(name, '/'))
        return (size_t)snprintf(ret, cap, "%s", name) < cap ? runs(t, ret) : -ENAMETOOLONG;
    while (*dir) {
        size_t n = strcspn(dir, ":");

        if (n > 0 && (size_t)snprintf(ret, cap, "%.*s/%s", (int)n, dir, name) < cap) {
            int r = runs(t, ret);

            if (r == 0)
                return 0;
            if (r == -EACCES)
                err = r;
        }
        dir += n + (dir[n] == ':');
    }
    return err;
}

/* ---- why not ---- */

const char *process_strerror(int err)
{
    static _Thread_local char text[128];

    snprintf(text, sizeof text, "%s", strerror(err < 0 ? -err : err));
    if (text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z'))
        text[0] = (char)(text[0] | 0x20);
    return text;
}

void process_failed(const char *name, int err, char why[PROCESS_WHY])
{
    bool path = strchr(name, '/');

    if (err == -ENOENT && !path)
        snprintf(why, PROCESS_WHY, "exec: \"%.800s\": executable file not found in $PATH", name);
    else if (err == -EISDIR)
        snprintf(why, PROCESS_WHY, "exec: \"%.800s\": is a directory: permission denied", name);
    else
        snprintf(why, PROCESS_WHY, "exec: \"%.400s\": %s%.400s%s%s", name,
                 err == -ENOENT ? "stat " : "", err == -ENOENT ? name : "",
                 err == -ENOENT ? ": " : "", process_strerror(err));
}

void process_cwd_failed(const char *cwd, int err, char why[PROCESS_WHY])
{
    snprintf(why, PROCESS_WHY, "chdir to cwd (\"%.800s\") set in config.json failed: %s", cwd,
             process_strerror(err));
}
