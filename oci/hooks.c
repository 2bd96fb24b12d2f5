/* SPDX-License-Identifier: Apache-2.0 */
/* See hooks.h. A hook is a child of ours in a process group of its own: one that hangs is ended with what
 * it started. */
#include "oci/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/launch.h"
#include "oci/oci.h"

int oci_hooks_state(const struct oci_state *s, enum oci_status status)
{
    json_t *o = oci_state_json(s, status, /* hook= */ true);
    char *text = json_dumps(o, JSON_COMPACT);
    int fd = memfd_create("state", MFD_CLOEXEC);

    json_decref(o);
    if (fd >= 0 && text && write(fd, text, strlen(text)) == (ssize_t)strlen(text))
        lseek(fd, 0, SEEK_SET);
    free(text);
    return fd;
}

static void child(const struct oci_hook *h, const struct oci_state *s, int in, int err)
{
    char *alone[] = { (char *)(uintptr_t)h->path, NULL };
    sigset_t none;
    int null = open("/dev/null", O_WRONLY);

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&none);
    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(in, 0);
    dup2(null, 1);
    dup2(err, 2);
    syscall(SYS_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
    if (s->bundle && chdir(s->bundle) < 0)
        dprintf(2, "chdir %s: %s\n", s->bundle, oci_strerror(errno));
    unsetenv("_OCI_SYNCPIPE"); /* conmon's, whose descriptors are not there */
    unsetenv("_OCI_STARTPIPE");
    execve(h->path, h->args && h->args[0] ? h->args : alone, h->env ? h->env : environ);
    dprintf(2, "%s: %s\n", h->path, oci_strerror(errno));
    _exit(127);
}

/* Its error output, until it has ended or its time is over: then *ret_status is -1. */
static void attend(pid_t pid, int err, unsigned timeout, char *text, size_t cap, int *ret_status)
{
    uint64_t end = timeout ? now_ns() + (uint64_t)timeout * 1000000000 : UINT64_MAX;
    size_t n = 0;

    *ret_status = -1;
    for (;;) {
        struct pollfd p = { .fd = err, .events = POLLIN };
        char buf[512];
        ssize_t got;

        if (waitpid(pid, ret_status, WNOHANG) == pid)
            break;
        if (now_ns() >= end) {
            kill(-pid, SIGKILL);
            waitpid(pid, NULL, 0);
            *ret_status = -1;
            break;
        }
        if (poll(&p, 1, 2) <= 0)
            continue;
        got = read(err, buf, sizeof buf);
        if (got <= 0) {
            usleep(1000); /* closed: it goes on without */
            continue;
        }
        got = (ssize_t)MIN((size_t)got, cap - 1 - n);
        memcpy(text + n, buf, (size_t)got);
        n += (size_t)got;
    }
    while (n < cap - 1) { /* what it said last */
        ssize_t got = read(err, text + n, cap - 1 - n);

        if (got <= 0)
            break;
        n += (size_t)got;
    }
    while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
        n--;
    text[n] = 0;
}

static int run_one(const struct oci_hook *h, const struct oci_state *s, enum oci_status status,
                   char why[OCI_WHY])
{
    int in = oci_hooks_state(s, status), err[2], wait_status;
    char text[256];
    pid_t pid;

    if (in < 0 || pipe2(err, O_CLOEXEC | O_NONBLOCK) < 0) {
        snprintf(why, OCI_WHY, "error running hook %.200s: %s", h->path, oci_strerror(errno));
        return -1;
    }
    pid = fork();
    if (pid == 0)
        child(h, s, in, err[1]);
    close(in);
    close(err[1]);
    wait_status = -1;
    text[0] = 0;
    if (pid > 0)
        attend(pid, err[0], h->timeout, text, sizeof text, &wait_status);
    close(err[0]);
    if (pid > 0 && wait_status == 0)
        return 0;
    if (pid < 0)
        snprintf(why, OCI_WHY, "error running hook %.100s: fork failed", h->path);
    else if (wait_status == -1)
        snprintf(why, OCI_WHY, "error running hook %.100s: it did not end in %u seconds", h->path,
                 h->timeout);
    else if (WIFSIGNALED(wait_status))
        snprintf(why, OCI_WHY, "error running hook %.100s: signal: %d, stderr: %.200s", h->path,
                 WTERMSIG(wait_status), text);
    else
        snprintf(why, OCI_WHY, "error running hook %.100s: exit status %d, stderr: %.200s", h->path,
                 WEXITSTATUS(wait_status), text);
    return -1;
}

int oci_hooks_run(const struct oci_config *c, enum oci_hook_kind kind, const struct oci_state *s,
                  enum oci_status status, char why[OCI_WHY])
{
    int r = 0;

    for (unsigned i = 0; i < c->nhooks[kind] && (r == 0 || kind == HOOK_POSTSTOP); i++)
        if (run_one(&c->hooks[kind][i], s, status, why) < 0)
            r = -1;
    return r;
}
