/* SPDX-License-Identifier: Apache-2.0 */
/* See user.h. A static program has no NSS: only the passwd and group files are read. */
#include "cli/user.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include "cli/error.h"

static FILE *open_file(const struct view *v, const char *path)
{
    int fd = view_open(v, path, O_RDONLY);

    return fd < 0 ? NULL : fdopen(fd, "re");
}

/* By name, or by number when name is NULL. The entry is valid until the next call. */
static struct passwd *find_user(const struct view *v, const char *name, uid_t uid)
{
    FILE *f = open_file(v, "/etc/passwd");
    struct passwd *pw = NULL;

    while (f && (pw = fgetpwent(f))) {
        if (name ? strcmp(pw->pw_name, name) == 0 : pw->pw_uid == uid)
            break;
    }
    if (f)
        fclose(f);
    return pw;
}

static bool find_group(const struct view *v, const char *name, gid_t *ret)
{
    FILE *f = open_file(v, "/etc/group");
    struct group *gr = NULL;

    while (f && (gr = fgetgrent(f))) {
        if (strcmp(gr->gr_name, name) == 0) {
            *ret = gr->gr_gid;
            break;
        }
    }
    if (f)
        fclose(f);
    return gr != NULL;
}

static bool number(const char *s, uid_t *ret)
{
    char *end;
    unsigned long v;

    if (*s < '0' || *s > '9')
        return false;
    errno = 0;
    v = strtoul(s, &end, 10);
    if (*end || errno || v >= UINT_MAX)
        return false;
    *ret = (uid_t)v;
    return true;
}

static int parse(const struct view *v, const char *spec, struct user *u)
{
    char *user = xstrdup(spec), *group = strchr(user, ':');
    struct passwd *pw;

    if (group)
        *group++ = 0;
    u->groups = NULL;
    u->ngroups = 0;
    if (number(user, &u->uid)) {
        pw = find_user(v, NULL, u->uid);
        u->gid = pw ? pw->pw_gid : u->uid;
    } else {
        pw = find_user(v, user, 0);
        if (!pw)
            return fail(EXIT_SBX, "--user %s: no such user; give a name of /etc/passwd or a number",
                        spec);
        u->uid = pw->pw_uid;
        u->gid = pw->pw_gid;
    }
    u->name = pw ? xstrdup(pw->pw_name) : NULL;
    if (v->root !=
        AT_FDCWD) /* on the host's tree it stays the caller's: a fresh one is put there */
        u->home = pw && pw->pw_dir[0] == '/' ? xstrdup(pw->pw_dir) : "/";
    if (group && !number(group, &u->gid) && !find_group(v, group, &u->gid))
        return fail(EXIT_SBX, "--user %s: no such group; give a name of /etc/group or a number",
                    spec);
    return 0;
}

static void caller(const struct view *v, struct user *u)
{
    struct passwd *pw = find_user(v, NULL, getuid());
    int n = getgroups(0, NULL);

    u->uid = getuid();
    u->gid = getgid();
    u->name = pw ? xstrdup(pw->pw_name) : NULL;
    if (n > 0) {
        u->groups = xcalloc((size_t)n, sizeof(gid_t));
        n = getgroups(n, u->groups);
        u->ngroups = n < 0 ? 0 : (unsigned)n;
    }
}

static void find_homes(struct user *u)
{
    struct view host = { .root = AT_FDCWD, .cwd = "/" };
    const char *env = getenv("HOME");
    struct passwd *pw = find_user(&host, NULL, getuid());
    char buf[PATH_MAX];

    if (env && *env == '/')
        u->homes[0] = xstrdup(realpath(env, buf) ? buf : view_absolute(&host, env));
    if (pw && pw->pw_dir[0] == '/')
        u->homes[1] = xstrdup(realpath(pw->pw_dir, buf) ? buf : view_absolute(&host, pw->pw_dir));
}

int user_find(const struct view *v, const char *spec, struct user *ret)
{
    struct user u = { 0 };
    bool host = v->root == AT_FDCWD;
    int r;

    find_homes(&u);
    caller(v, &u);
    if (host) { /* the same path as outside, so that paths in messages and files agree */
        for (unsigned i = 0; i < 2 && !u.home; i++) {
            if (u.homes[i] && strcmp(u.homes[i], "/") != 0)
                u.home = u.homes[i];
        }
        if (!u.home)
            u.home = "/home/user";
    } else {
        struct passwd *pw = find_user(v, NULL, u.uid);

        u.home = pw && pw->pw_dir[0] == '/' ? xstrdup(pw->pw_dir) : "/";
    }
    r = spec ? parse(v, spec, &u) : 0;
    if (r == 0)
        *ret = u;
    return r;
}
