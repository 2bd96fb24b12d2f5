/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks startContainer: inside, with the rights of the container's process, which is held until the last of them
 * has ended well. Each is a job (sentry/job.h) of a number that no client has.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/fdmsg.h"
#include "cli/launch.h"
#include "oci/hooks.h"
#include "oci/oci.h"
#include "oci/proxy_priv.h"

static struct {
    unsigned next;     /* the first that was not begun */
    uint32_t job;      /* 0: none runs */
    int said;          /* its error output */
    uint64_t deadline; /* 0: none */
    bool late;
} hk;

static const struct oci_hook *current(void)
{
    return &px.setup->config->hooks[HOOK_START_CONTAINER][hk.next - 1];
}

static void fail_start(const char *fmt, ...) PRINTF_LIKE(1, 2);

static void fail_start(const char *fmt, ...)
{
    char how[OCI_WHY / 2];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(how, sizeof how, fmt, ap);
    va_end(ap);
    snprintf(px.why, sizeof px.why, "error running startContainer hook %.100s: %s", current()->path,
             how);
    px_start_failed();
    px_tell(CTL_KILL, 0, NULL, 0);
}

/* 0 or -1. */
static int begin(const struct oci_hook *h)
{
    char *alone[] = { (char *)(uintptr_t)h->path, NULL };
    struct oci_process p = px.setup->config->process;
    struct oci_state s = *px.setup->state;
    int fds[4] = { -1, -1, -1, -1 }, said[2] = { -1, -1 };

    p.args = h->args && h->args[0] ? h->args : alone;
    s.pid = 1; /* as runc's have it, which run in its place */
    fds[0] = box_job(&p, h->path, h->env ? h->env : px.launch->envp, PROCESS_PATH);
    fds[1] = oci_hooks_state(&s, OCI_CREATED);
    fds[2] = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (pipe2(said, O_CLOEXEC | O_NONBLOCK) == 0)
        fds[3] = said[1];
    hk.said = said[0];
    hk.late = false;
    hk.deadline = h->timeout ? now_ns() + h->timeout * 1000000000ull : 0;
    hk.job = ++px.jobs;
    const bool whole = fds[0] >= 0 && fds[1] >= 0 && fds[2] >= 0 && fds[3] >= 0;

    if (whole)
        px_tell(CTL_JOB, hk.job, fds, 4);
    fdmsg_close(fds, 4);
    return whole ? 0 : -1;
}

void px_hooks_run(void)
{
    const struct oci_config *c = px.setup->config;

    if (hk.next == c->nhooks[HOOK_START_CONTAINER]) {
        px_tell(CTL_START, 0, NULL, 0);
        return;
    }
    if (begin(&c->hooks[HOOK_START_CONTAINER][hk.next++]) < 0)
        fail_start("it cannot be started");
}

static void read_said(char *text, size_t cap)
{
    ssize_t n = read(hk.said, text, cap - 1);

    n = n < 0 ? 0 : n;
    while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
        n--;
    text[n] = 0;
    close(hk.said);
}

bool px_hooks_ended(const struct control_msg *m)
{
    const int status = (int)(uint32_t)m->value;
    char text[160];

    if (!hk.job || (uint32_t)(m->value >> 32) != hk.job)
        return false;
    hk.job = 0;
    read_said(text, sizeof text);
    if (m->type == CTL_JOB_FAILED) {
        snprintf(text, sizeof text, "%.*s", (int)MIN(m->len, sizeof text - 1u), m->text);
        fail_start("%s", text);
    } else if (hk.late) {
        fail_start("it did not end in %u seconds", current()->timeout);
    } else if (WIFSIGNALED(status)) {
        fail_start("signal: %d, stderr: %s", WTERMSIG(status), text);
    } else if (WEXITSTATUS(status)) {
        fail_start("exit status %d, stderr: %s", WEXITSTATUS(status), text);
    } else {
        px_hooks_run();
    }
    return true;
}

int px_hooks_wait(void)
{
    uint64_t now = now_ns();

    if (!hk.job || !hk.deadline || hk.late)
        return -1;
    return now >= hk.deadline ? 0 : (int)MIN((hk.deadline - now) / 1000000 + 1, 1000000ull);
}

void px_hooks_late(void)
{
    if (px_hooks_wait() != 0)
        return;
    hk.late = true;
    px_tell(CTL_JOB_SIGNAL, (uint64_t)hk.job << 32 | SIGKILL, NULL, 0);
}
