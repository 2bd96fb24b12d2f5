/* SPDX-License-Identifier: Apache-2.0 */
/* See detach.h. */
#include "cli/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/logs.h"
#include "cli/sanitize.h"

static struct {
    const char *name;
    bool keep_log, started;
    int out[DETACH_FDS]; /* what is printed to 1 and 2, our ends */
    int word, tell;      /* to the caller: the word; its standard error */
    int own;             /* what we ourselves print, once the sandbox is there */
} detach = { .out = { -1, -1 }, .word = -1, .tell = -1, .own = -1 };

const char *detach_name(void)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char random[8] = { 0 };
    char name[] = "box-........";

    if (getrandom(random, sizeof random, 0) < 0)
        memcpy(random, &(pid_t){ getpid() }, sizeof(pid_t));
    for (unsigned i = 0; i < 8; i++)
        name[4 + i] = letters[random[i] % 32];
    return xstrdup(name);
}

static int await_word(int fd, pid_t pid)
{
    int status = 0;
    char word = 0;

    while (read(fd, &word, 1) < 0 && errno == EINTR)
        continue;
    close(fd);
    if (word == '!') {
        printf("%s\n", detach.name);
        return fflush(stdout) == 0 ? 0 : EXIT_SBX;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(status))
        return fail(EXIT_SBX, "the sandbox was ended by signal %d while it started",
                    WTERMSIG(status));
    return WEXITSTATUS(status);
}

static bool take_streams(void)
{
    int fds[2];

    detach.tell = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    for (int fd = 3; fd < 1024; fd++) { /* what the caller left open is not kept for ever */
        int flags = fcntl(fd, F_GETFD);

        if (flags >= 0 && !(flags & FD_CLOEXEC) && fd != sanitize_report_fd())
            close(fd);
    }
    for (int i = 0; i < DETACH_FDS; i++) {
        if (pipe2(fds, O_CLOEXEC) < 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ||
            dup2(fds[1], 1 + i) < 0)
            return false;
        close(fds[1]);
        detach.out[i] = fds[0];
    }
    return true;
}

int detach_begin(const char *name, bool keep_log)
{
    int word[2];
    pid_t pid;

    detach.name = name;
    detach.keep_log = keep_log;
    if (pipe2(word, O_CLOEXEC) < 0 || (pid = fork()) < 0)
        return fail(EXIT_SBX, "-d: %s", strerror(errno));
    if (pid > 0) {
        close(word[1]);
        return await_word(word[0], pid);
    }
    close(word[0]);
    detach.word = word[1];
    setsid();
    if (!take_streams())
        _exit(fail(EXIT_SBX, "-d: %s", strerror(errno)));
    return -1;
}

void detach_no_input(void)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (null >= 0) {
        dup2(null, 0);
        close(null);
    }
}

void detach_launched(void)
{
    if (!detach.name)
        return;
    detach.own = memfd_create("notes", MFD_CLOEXEC);
    if (detach.own < 0)
        detach.own = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(detach.own, 1);
    dup2(detach.own, 2);
}

void detach_started(void)
{
    if (!detach.name || detach.started)
        return;
    if (logs_open(detach.name) != 0)
        return; /* never the word: the caller is told at the end */
    detach.started = true;
    while (write(detach.word, "!", 1) < 0 && errno == EINTR)
        continue;
    close(detach.word);
    close(detach.tell);
}

void detach_poll(struct pollfd *fds)
{
    for (int i = 0; i < DETACH_FDS; i++)
        fds[i] = (struct pollfd){ .fd = detach.started ? detach.out[i] : -1, .events = POLLIN };
}

/* One piece of what was printed to stream 1 + i; false: there is none now. */
static bool pump(int i)
{
    static char buf[LOGS_PIECE];
    ssize_t n = detach.out[i] < 0 ? 0 : read(detach.out[i], buf, sizeof buf);

    if (n < 0 && errno == EINTR)
        return true;
    if (n > 0)
        logs_add(1 + i, buf, (size_t)n);
    if (n == 0 && detach.out[i] >= 0) {
        close(detach.out[i]);
        detach.out[i] = -1;
    }
    return n > 0;
}

void detach_run(const struct pollfd *fds)
{
    for (int i = 0; i < DETACH_FDS; i++) {
        if (detach.started && fds[i].fd >= 0 && fds[i].revents)
            pump(i);
    }
}

/* What we printed: to the log, or to who waits for the word. */
static bool tell(const char *buf, ssize_t n)
{
    if (n <= 0)
        return false;
    if (detach.started)
        logs_add(2, buf, (size_t)n);
    else if (write(detach.tell, buf, (size_t)n) < 0)
        return false;
    return true;
}

static void tell_all(void)
{
    char buf[4096];
    off_t at = 0;
    ssize_t n;

    while (!detach.started && tell(buf, read(detach.out[1], buf, sizeof buf)))
        continue;
    while (detach.own >= 0 && (n = pread(detach.own, buf, sizeof buf, at)) > 0 && tell(buf, n))
        at += n;
}

int detach_end(int status, char *const *command)
{
    if (!detach.name)
        return status;
    for (int i = 0; detach.started && i < DETACH_FDS; i++)
        while (pump(i))
            continue;
    tell_all();
    if (detach.started)
        logs_close(detach.name, status, command, detach.keep_log);
    return status;
}
