/* SPDX-License-Identifier: Apache-2.0 */
/* In a sandbox whose sentry or gofer is taken: where they would begin, their fences, the judge. */
#include "tests/hostile/gofer/taken.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gofer/server.h"
#include "sentry/fence.h"

#define GOFER_DONE 99 /* stage: the taken gofer has done its worst */

void __wrap_sentry_main(const struct sentry_config *cfg) __attribute__((noreturn));

static void say_end(const struct sentry_config *cfg)
{
    struct control_msg m = { .type = CTL_EXIT };
    struct iovec iov = { &m, sizeof m };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    sendmsg(cfg->control_sock, &msg, MSG_NOSIGNAL); /* its filter has no send() */
}

void __wrap_sentry_main(const struct sentry_config *cfg)
{
    if (current->run)
        current->run(cfg);
    while (current->gofer && atomic_load(&board->stage) != GOFER_DONE &&
           !atomic_load(&board->failed))
        usleep(1000);
    say_end(cfg);
    _exit(0);
}

void __wrap_gofer_main(const struct gofer_config *cfg) __attribute__((noreturn));
void __real_gofer_main(const struct gofer_config *cfg) __attribute__((noreturn));

void __wrap_gofer_main(const struct gofer_config *cfg)
{
    char c;

    if (!current->gofer)
        __real_gofer_main(cfg);
    current->gofer(cfg);
    atomic_store(&board->stage, GOFER_DONE);
    while (recv(cfg->sock, &c, 1, 0) > 0)
        ;
    _exit(0);
}

void taken_gofer_fence(const struct gofer_config *cfg)
{
    int r = gofer_fence(cfg);

    if (r < 0)
        broken("the gofer's fences: %s", strerror(-r));
}

void taken_fence(const struct sentry_config *cfg)
{
    int r = fence_landlock(cfg);

    if (r == 0)
        r = fence_put_up(cfg);
    if (r < 0)
        broken("the sentry's fences: %s", strerror(-r));
}

int taken_child(const struct sentry_config *cfg, void (*fn)(const struct sentry_config *cfg))
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        taken_fence(cfg);
        fn(cfg);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        broken("a child of the sentry: %s", strerror(errno));
    return status;
}

void reached(const char *fmt, ...)
{
    va_list ap;

    if (atomic_fetch_add(&board->reached, 1))
        return; /* the first is told */
    va_start(ap, fmt);
    vsnprintf(board->what, sizeof(board->what), fmt, ap);
    va_end(ap);
}

void broken(const char *fmt, ...)
{
    va_list ap;

    if (!atomic_fetch_add(&board->failed, 1)) {
        va_start(ap, fmt);
        vsnprintf(board->why, sizeof(board->why), fmt, ap);
        va_end(ap);
    }
    _exit(1);
}

/* Attributes travel as ino and dev, one behind the other, at a multiple of 8. */
void judge_bytes(const void *p, size_t n, const char *what)
{
    const unsigned char *b = p;

    if (memmem(p, n, board->token, TOKEN_LEN))
        reached("%s: a canary's bytes", what);
    for (size_t at = 0; at + 16 <= n; at += 8)
        for (unsigned i = 0; i < board->noutside; i++) {
            uint64_t ino, dev;
            memcpy(&ino, b + at, 8);
            memcpy(&dev, b + at + 8, 8);
            if (ino == board->outside[i].ino && dev == board->outside[i].dev)
                reached("%s: the attributes of what lies outside (%u)", what, i);
        }
}

void judge_fd(int fd, const char *what)
{
    static char buf[4096];
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        broken("%s: fstat of what came: %s", what, strerror(errno));
    for (unsigned i = 0; i < board->noutside; i++)
        if (st.st_ino == board->outside[i].ino && st.st_dev == board->outside[i].dev)
            reached("%s: a descriptor of what lies outside", what);
    if (taken_live && (st.st_mode & S_IFMT) == 0)
        return; /* an inotify queue */
    if (!S_ISREG(st.st_mode))
        reached("%s: a descriptor of mode %#o", what, st.st_mode);
    else if ((n = pread(fd, buf, sizeof(buf), 0)) > 0)
        judge_bytes(buf, (size_t)n, what);
    int fl = fcntl(fd, F_GETFL);
    if (fl < 0 || fl & O_PATH || (!taken_live && (fl & O_ACCMODE) != O_RDONLY))
        reached("%s: a descriptor with flags %#x", what, fl);
}
