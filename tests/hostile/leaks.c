/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks for what comes out of the sentry, or of the host, without having been asked for.
 *
 *     leaks <STRINGS      lines that only the host knows: its names, numbers, directories. By standard
 *                         input, since arguments are shown in /proc to whoever looks.
 */
#include "leaks.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crew.h"
#include "stub.h"

static unsigned found;

void leak(const char *what, const char *fmt, ...)
{
    va_list ap;

    found++;
    printf("LEAK %s: ", what);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

/* ---- addresses ---- */

static struct {
    uint64_t start, end;
} maps[512];
static unsigned nmaps;

void maps_load(void)
{
    char line[512];
    FILE *f = fopen("/proc/self/maps", "re");
    unsigned long start, end;

    nmaps = 0;
    while (f && nmaps < 512 && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx", &start, &end) != 2)
            continue;
        maps[nmaps].start = start;
        maps[nmaps++].end = end;
        if (start >= stub.slot && start < 0xffffffffff600000 /* vsyscall */)
            leak("maps", "the slot is shown: %s", line);
    }
    if (f)
        fclose(f);
    if (nmaps == 0)
        leak("maps", "cannot be read");
}

static bool is_ours(uint64_t v)
{
    for (unsigned i = 0; i < nmaps; i++) {
        if (v >= maps[i].start - 4096 && v <= maps[i].end)
            return true;
    }
    return v >= stub.slot && v < stub.slot + (1ull << SLOT_SHIFT);
}

bool looks_foreign(const void *at, size_t n, unsigned long long *ret_value)
{
    for (size_t i = 0; i + 8 <= n; i += 8) {
        uint64_t v;

        memcpy(&v, (const char *)at + i, 8);
        *ret_value = v;
        /* kernel text, heap and stacks; not small negative numbers */
        if (v >= 0xffff800000000000ull && v < 0xffffffffff000000ull && v << 32)
            return true;
        /* what a static PIE, its heap, its maps and its stack have */
        if (v >= 0x550000000000ull && v < 0x800000000000ull && v != 0x7fffffffffffull &&
            !is_ours(v))
            return true;
    }
    return false;
}

/* ---- numbers ---- */

#define PIDS_MAX 5000 /* a fresh sandbox has given out few; the host's of hostile.py are above */

static void check_status(const char *path)
{
    char line[512];
    FILE *f = fopen(path, "re");

    while (f && fgets(line, sizeof line, f)) {
        static const char *const names[] = { "Pid:",   "PPid:",   "Tgid:",   "Ngid:", "TracerPid:",
                                             "NSpid:", "NStgid:", "NSpgid:", "NSsid:" };

        for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
            if (strncmp(line, names[i], strlen(names[i])) == 0 &&
                atoi(line + strlen(names[i])) > PIDS_MAX)
                leak("pid", "%s: %s", path, line);
        }
    }
    if (f)
        fclose(f);
}

void leaks_in_facts(void)
{
    struct timespec ts;
    struct sysinfo si;
    struct ucred cred = { 0 };
    socklen_t n = sizeof cred;
    double load[3];
    int sv[2], status;
    pid_t pid;

    check_status("/proc/self/status");
    check_status("/proc/1/status");
    check_status("/proc/thread-self/status");
    if (getpid() > PIDS_MAX || getppid() > PIDS_MAX || getsid(0) > PIDS_MAX)
        leak("pid", "%d, %d, %d", getpid(), getppid(), getsid(0));
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0 &&
        getsockopt(sv[0], SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0 && cred.pid != getpid())
        leak("pid", "SO_PEERCRED says %d", cred.pid);
    pid = fork();
    if (pid == 0)
        end_hard(0);
    if (pid > PIDS_MAX || waitpid(pid, &status, 0) != pid)
        leak("pid", "of a child: %d", pid);
    if (sysinfo(&si) == 0 && si.uptime > 600)
        leak("uptime", "sysinfo: %ld s", si.uptime);
    if (getloadavg(load, 3) == 3 && (load[0] > 0 || load[1] > 0 || load[2] > 0))
        printf("note: the load is shown: %.2f %.2f %.2f\n", load[0], load[1], load[2]);
    if (si.loads[0] || si.loads[1] || si.loads[2])
        leak("load", "sysinfo: %lu %lu %lu", si.loads[0], si.loads[1], si.loads[2]);
    for (unsigned i = 0; i < 3; i++) {
        static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW };

        if (clock_gettime(clocks[i], &ts) == 0 && ts.tv_sec > 600)
            leak("uptime", "clock %d: %ld s", (int)clocks[i], (long)ts.tv_sec);
    }
    if (getauxval(AT_EXECFN) == 0 ||
        looks_foreign((void *)getauxval(AT_RANDOM), 16, &(unsigned long long){ 0 }))
        leak("auxv", "AT_RANDOM looks like an address");
}

bool leaks_all(int argc, char **argv)
{
    static char line[256], *strings[64];
    int n = 0;

    (void)argc, (void)argv;
    while (n < 64 && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (*line)
            strings[n++] = strdup(line);
    }
    maps_load();
    leaks_in_facts();
    leaks_in_pages();
    leaks_in_results();
    leaks_in_texts(strings, n);
    printf("%u leaks\n", found);
    return found == 0;
}
