/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/fdmsg.h"
#include "abi/tty.h"
#include "cli/control.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/container.h"
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
    if (p.head.argc == 0 || p.head.argc > n || p.head.envc > n || process_check(&p.head.as) < 0)
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

/* All three streams are the terminal behind the first descriptor. */
static int set_terminal(struct task *t, uint32_t id, const struct process_spec *s, int fds[3],
                        struct file **ret_slave)
{
    const struct lx_winsize ws = { .ws_row = s->rows, .ws_col = s->cols };
    struct file *slave;
    int r = fds[0] < 0 ? -EBADF : tty_relay_start(t, id, fds[0], &ws, &slave);

    if (r < 0)
        return r;
    fds[0] = -1;
    for (int i = 0; r >= 0 && i < 3; i++)
        r = fd_install_at(t, file_ref(slave), i, false);
    *ret_slave = slave;
    return r < 0 ? r : 0;
}

static int set_files(struct task *t, int *fds, int from, int n)
{
    int r = 0;

    for (int i = from; r >= 0 && i < n; i++) {
        struct file *f;

        if (fds[i] < 0)
            continue;
        f = host_file_new(fds[i], i == 0 ? O_RDONLY : i < 3 ? O_WRONLY : O_RDWR);
        fds[i] = -1; /* the file's, or closed */
        r = IS_ERR(f) ? PTR_ERR(f) : fd_install_at(t, f, i, false);
    }
    return r < 0 ? r : 0;
}

/* Who looks for descriptors (sd_listen_fds(3)) wants to find its own number beside them. */
static int say_pid(struct task *t, char **envp)
{
    static const char name[] = "LISTEN_PID=";
    static char text[32];

    for (char **at = envp; *at; at++) {
        if (strncmp(*at, name, sizeof name - 1) != 0)
            continue;
        snprintf(text, sizeof text, "%s%d", name, t->group->pid);
        *at = text;
    }
    return exec_first_env(t, envp);
}

static int set_streams(struct task *t, uint32_t id, const struct process_spec *s, int *fds, int n,
                       struct file **ret_tty)
{
    int r;

    if (s->flags & PROCESS_TTY)
        r = set_terminal(t, id ? id : TTY_PROGRAM, s, fds, ret_tty);
    else
        r = set_files(t, fds, 0, 3);
    return r < 0 ? r : set_files(t, fds, 3, n);
}

/* The program of a container is its pid 1, where that has a pid namespace of its own. */
static int publish(struct task *t, uint32_t id)
{
    struct container *c = t->group->container;
    int r;

    if (!id)
        t->group->is_init = t->group->unkillable = c->pidns != first_container.pidns;
    r = task_publish(t);
    if (r == 0 && !id) {
        lock(&kernel.tasks_lock);
        c->program = t->group;
        unlock(&kernel.tasks_lock);
    }
    return r;
}

/* In container_here(). id 0: its program. *ret is to be made ready. */
static int start(uint32_t id, const struct parsed *p, int *fds, int n, char why[PROCESS_WHY],
                 struct task **ret)
{
    const char *name = p->argv[0];
    char path[PATH_MAX];
    struct file *tty = NULL;
    struct task *t;
    int r;

    if (p->head.as.flags & PROCESS_PATH && process_ids_wrong(&p->head.as)) {
        snprintf(why, PROCESS_WHY, "%s", process_ids_wrong(&p->head.as));
        return -EINVAL;
    }
    r = task_spawn_first(name, p->argv + (p->head.as.flags & PROCESS_FILE ? 1 : 0), p->envp, &t);
    if (r < 0)
        return r;
    t->group->job = id;
    r = p->head.as.flags & PROCESS_LISTEN ? say_pid(t, p->envp) : 0;
    if (r == 0)
        r = process_furnish(t, &p->head.as, p->cwd);
    if (r < 0 && p->head.as.flags & PROCESS_PATH)
        process_cwd_failed(p->cwd, r, why);
    if (r == 0) {
        r = process_find(t, name, p->envp, path, sizeof path);
        if (r < 0 && p->head.as.flags & PROCESS_PATH)
            process_failed(name, r, why);
    }
    if (r == 0)
        r = exec_first_path(t, path);
    if (r == 0)
        r = set_streams(t, id, &p->head.as, fds, n, &tty);
    if (r < 0) {
        file_put(tty);
        call_end(t);
        task_abort(t);
    } else {
        r = publish(t, id);
    }
    if (r == 0) {
        (void)do_setsid(t);
        if (tty)
            (void)tty_set_controlling(t, tty);
        *ret = t;
    }
    if (r == 0 && tty && !id)
        r = show_console(0); /* the first one of its devpts */
    file_put(tty);
    return r;
}

static int status_of(int err)
{
    return err == ENOENT || err == ENOTDIR ? 127 : 126;
}

void job_start(struct container *c, uint32_t id, int request, int *fds, unsigned n)
{
    char why[PROCESS_WHY] = "";
    struct parsed p;
    struct task *t;
    int r = parse(request, &p);

    if (r == 0) {
        container_enter(c);
        r = start(id, &p, fds, (int)n, why, &t);
        container_enter(NULL);
        parsed_free(&p);
    }
    close(request);
    fdmsg_close(fds, n);
    if (r == 0)
        task_make_ready(t);
    if (r < 0)
        tty_relay_over(c, id);
    if (r < 0 && *why)
        control_tell(c, CTL_JOB_FAILED, (uint64_t)id << 32 | (uint32_t)status_of(-r), "%s", why);
    else if (r < 0)
        job_failed(c, id, "the program", -r);
}

int job_program(int request, int *fds, unsigned n, char why[PROCESS_WHY], struct task **ret)
{
    struct parsed p;
    int r = parse(request, &p);

    if (r < 0)
        return r;
    r = start(0, &p, fds, (int)n, why, ret);
    parsed_free(&p);
    return r;
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

void job_signal(struct container *c, uint32_t id, int sig)
{
    struct wanted w = { id, sig };

    if (sig < 1 || sig > LX_NSIG || !id)
        return;
    lock(&kernel.tasks_lock);
    container_groups_locked(c, signal_one, &w);
    unlock(&kernel.tasks_lock);
}

static int signal_each(struct tgroup *g, void *arg)
{
    const int *sig = arg;

    if (!g->zombie)
        signal_send_group_locked(g, *sig, NULL);
    return 0;
}

void job_signal_all(struct container *c, int sig)
{
    if (sig < 1 || sig > LX_NSIG)
        return;
    lock(&kernel.tasks_lock);
    container_groups_locked(c, signal_each, &sig);
    unlock(&kernel.tasks_lock);
}

void job_ended(struct container *c, uint32_t id, int wait_status)
{
    tty_relay_over(c, id);
    control_tell(c, CTL_JOB_EXIT, (uint64_t)id << 32 | (uint32_t)wait_status, NULL);
}

void job_failed(struct container *c, uint32_t id, const char *name, int err)
{
    const uint64_t value = (uint64_t)id << 32 | (uint32_t)status_of(err);
    char why[PROCESS_WHY];

    if (kernel.first == 1) {
        process_failed(name, -err, why);
        control_tell(c, CTL_JOB_FAILED, value, "%s", why);
        return;
    }
    control_tell(c, CTL_JOB_FAILED, value, "%s%s", strerror(err),
                 err == ENOEXEC ? " (wrong architecture, or no program)" : "");
}
