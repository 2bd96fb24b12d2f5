/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree [-n WAVES] [-j AT_ONCE] [-t SECONDS] -r FD -- COMMAND...
 *
 * Starts the command AT_ONCE times at once, waits for these to end, and does so WAVES times. It is
 * the subreaper of all that they leave behind, and waits for that too, but outside the time that is
 * measured. To FD it writes
 *
 *   wall US     of each wave
 *   cpu US      user and system time of all that was reaped
 *   late        when it all took longer than SECONDS, or it was told to end; what was left was killed
 *
 * Its status is the first one that was not 0. Descendants that nobody reaped (their parent ignores
 * SIGCHLD, or was pid 1 of a namespace that ended) are missing in the cpu time; the driver asks a
 * cgroup where it can make one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double cpu_us;
static int late;

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double time_us(struct timeval t)
{
    return (double)t.tv_sec * 1e6 + (double)t.tv_usec;
}

/* The parent of a process, by /proc; 0 where it is gone. */
static long parent_of(const char *pid)
{
    char path[300], line[512] = "";
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return 0;
    size_t n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = '\0';
    char *end = strrchr(line, ')');
    long parent = 0;
    if (end != NULL && sscanf(end + 1, " %*c %ld", &parent) != 1)
        return 0;
    return parent;
}

/* Kills every child of ours; what they leave behind becomes our child, and is killed next time. */
static void kill_children(void)
{
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return;
    for (struct dirent *e = readdir(proc); e != NULL; e = readdir(proc)) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        if (pid > 1 && parent_of(e->d_name) == getpid())
            kill(pid, SIGKILL);
    }
    closedir(proc);
}

/* The alarm rings again and again until nothing is left; being told to end is the same. */
static void on_alarm(int sig)
{
    (void)sig;
    late = 1;
}

/* Reaps one process; 0 when there is none. */
static pid_t reap(int *ret_how)
{
    for (;;) {
        struct rusage used;
        pid_t pid = wait4(-1, ret_how, 0, &used);
        if (pid > 0) {
            cpu_us += time_us(used.ru_utime) + time_us(used.ru_stime);
            return pid;
        }
        if (errno != EINTR)
            return 0;
        if (late) {
            kill_children();
            alarm(1);
        }
    }
}

static pid_t start(char **argv)
{
    pid_t pid;
    int r = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
    if (r == 0)
        return pid;
    fprintf(stderr, "%s: %s\n", argv[0], strerror(r));
    exit(127);
}

/* Starts all and waits until all have ended; others are reaped on the way. Returns the first status
 * that was not 0. */
static int wave(char **argv, int at_once, pid_t *pids)
{
    int status = 0;
    for (int i = 0; i < at_once; i++)
        pids[i] = start(argv);
    for (int left = at_once; left > 0;) {
        int how;
        pid_t pid = reap(&how);
        if (pid == 0)
            break;
        for (int i = 0; i < at_once; i++) {
            if (pids[i] != pid)
                continue;
            left--;
            if (status == 0)
                status = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
        }
    }
    return status;
}

/* What a wave left behind must be gone before the next one begins. */
static void drain(void)
{
    int how;
    while (reap(&how) != 0)
        ;
}

int main(int argc, char **argv)
{
    int c, at_once = 1, waves = 1, limit = 60, fd = 1, status = 0;
    while ((c = getopt(argc, argv, "+n:j:t:r:")) != -1) {
        int value = (int)strtol(optarg ? optarg : "0", NULL, 10);
        if (c == '?' || value < 1)
            return 2;
        *(c == 'n' ? &waves : c == 'j' ? &at_once : c == 't' ? &limit : &fd) = value;
    }
    FILE *out = fdopen(fd, "w");
    pid_t *pids = calloc((size_t)at_once, sizeof *pids);
    if (optind == argc || out == NULL || pids == NULL)
        return 2;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    struct sigaction act = { .sa_handler = on_alarm }; /* no SA_RESTART: it ends a wait */
    sigaction(SIGALRM, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    alarm((unsigned)limit);
    for (int i = 0; i < waves && !late && status == 0; i++) {
        double begin = now_us();
        status = wave(argv + optind, at_once, pids);
        fprintf(out, "wall %.3f\n", now_us() - begin);
        drain();
    }
    fprintf(out, "cpu %.0f\n%s", cpu_us, late ? "late\n" : "");
    fclose(out);
    free(pids);
    return status;
}
