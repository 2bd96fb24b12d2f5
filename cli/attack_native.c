/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on the platform: the stub's code and channel, and the filters of its calls (attack.h). */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/attack.h"
#include "cli/error.h"
#include "platform/stub/blob.h"

#define OUR_RELEASE "-sbx" /* how the release ends that uname(2) tells inside */

static sigjmp_buf fault_exit;

static void on_fault(int sig)
{
    siglongjmp(fault_exit, sig);
}

/* The stub's code as the guest can find it: readable, near the end of the address space. */
static const uint8_t *blob_find(void)
{
    struct sigaction sa = { .sa_handler = on_fault, .sa_flags = SA_NODEFER }, old[2];
    const uint8_t *volatile found = NULL;

    sigaction(SIGSEGV, &sa, &old[0]);
    sigaction(SIGBUS, &sa, &old[1]);
    for (volatile uint64_t hi = 0x7fff; hi > 0x7ff0 && !found; hi--) {
        const uint8_t *at = (const uint8_t *)(hi << SLOT_SHIFT);

        if (sigsetjmp(fault_exit, 1) == 0 && *(const volatile uint32_t *)at == BLOB_MAGIC)
            found = at;
    }
    sigaction(SIGSEGV, &old[0], NULL);
    sigaction(SIGBUS, &old[1], NULL);
    return found;
}

/* A `syscall; ret` in it. */
static const void *gadget(void)
{
    static const void *found;
    const uint8_t *blob = found ? NULL : blob_find();

    if (blob) {
        struct blob_header h;

        memcpy(&h, blob, sizeof h);
        found = memmem(blob, MIN(h.size, (uint32_t)BLOB_MAX), "\x0f\x05\xc3", 3);
    }
    return found;
}

bool native_found(void)
{
    return gadget() != NULL;
}

long native_call(long nr, long a, long b, long c, long d, long e, long f)
{
    const void *at = gadget();
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long r = nr;

    if (!at)
        return -ENOSYS;
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\tcall *%[at]\n\tlea 128(%%rsp), %%rsp"
                     : "+a"(r)
                     : [at] "b"(at), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory", "cc");
    return r;
}

/* Runs fn in a process of its own: what it returns (0 to 100), or -1 when it did not live to. */
static int in_child(int (*fn)(const struct bait *b, long arg), const struct bait *b, long arg)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        alarm(ATTACK_TIMEOUT / 4);
        _exit(fn(b, arg));
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- calls that no guest may make ---- */

static struct perf_event_attr perf = { .type = PERF_TYPE_SOFTWARE,
                                       .size = sizeof perf,
                                       .config = PERF_COUNT_SW_CPU_CLOCK,
                                       .exclude_kernel = 1 };
static uint32_t map[32] = { 2 /* an array */, 4, 4, 1 }; /* union bpf_attr */

/* Arguments with which each succeeds where it is let through, and does no harm. */
static const struct forbidden {
    const char *name;
    long nr, a[5];
} forbidden[] = {
    { "bpf", SYS_bpf, { 0 /* MAP_CREATE */, (long)map, sizeof map } },
    { "perf_event_open", SYS_perf_event_open, { (long)&perf, 0, -1, -1, 0 } },
    { "keyctl", SYS_keyctl, { 22 /* GET_PERSISTENT, which is not there inside */, -1, -4 } },
    { "iopl", SYS_iopl, { 3 } },
    { "ioperm", SYS_ioperm, { 0x80, 1, 1 } },
    { "kcmp", SYS_kcmp, { 1, 1, 0, 0, 0 } },
    { "syslog", SYS_syslog, { 10 /* SIZE_BUFFER */, 0, 0 } },
    { "init_module", SYS_finit_module, { 0, (long)"", 0 } },
};

static int call_plain(const struct bait *b, long i)
{
    const struct forbidden *c = &forbidden[i];

    (void)b;
    return syscall(c->nr, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4]) >= 0 ? 1 : 0;
}

static int call_native(const struct bait *b, long i)
{
    const struct forbidden *c = &forbidden[i];

    (void)b;
    return native_call(c->nr, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4], 0) >= 0 ? 1 : 0;
}

const char *attack_forbidden(const struct bait *b)
{
    for (unsigned i = 0; i < ARRAY_SIZE(forbidden); i++) {
        if (in_child(call_plain, b, i) == 1)
            return through("%s succeeds", forbidden[i].name);
    }
    return NULL;
}

/* ---- from within the stub's own code ---- */

/* The sentry may answer a call that the filter has stopped: what counts is whose kernel answers. */
static int native_uname(const struct bait *b, long arg)
{
    struct utsname u = { 0 };

    (void)b, (void)arg;
    if (NATIVE(SYS_uname, &u, 0, 0) != 0)
        return 0;
    size_t n = strlen(u.release), our = strlen(OUR_RELEASE);

    return n < our || strcmp(u.release + n - our, OUR_RELEASE) != 0;
}

static int native_bait(const struct bait *b, long arg)
{
    char path[512], buf[sizeof ATTACK_BAIT] = "";
    long fd;

    (void)arg;
    if (strlen(b->dir) > sizeof path - 8)
        return 0;
    strcat(strcpy(path, b->dir), "/bait");
    fd = NATIVE(SYS_openat, AT_FDCWD, path, O_RDONLY);
    return fd >= 0 && NATIVE(SYS_read, fd, buf, sizeof buf - 1) > 0 &&
           strcmp(buf, ATTACK_BAIT) == 0;
}

static int native_signal(const struct bait *b, long arg)
{
    (void)arg;
    return NATIVE(SYS_kill, b->pid, 0, 0) == 0;
}

static int native_unshare(const struct bait *b, long arg)
{
    (void)b, (void)arg;
    return NATIVE(SYS_unshare, CLONE_NEWUSER, 0, 0) == 0;
}

const char *attack_native(const struct bait *b)
{
    if (!native_found())
        return through("not tried: the stub's code was not found");
    if (in_child(native_uname, b, 0) == 1)
        return through("the host's kernel answers uname");
    if (in_child(native_bait, b, 0) == 1)
        return through("a file of the host can be read");
    if (in_child(native_signal, b, 0) == 1)
        return through("a process of the host can be signalled");
    if (in_child(native_unshare, b, 0) == 1)
        return through("a user namespace can be made");
    for (unsigned i = 0; i < ARRAY_SIZE(forbidden); i++) {
        if (in_child(call_native, b, i) == 1)
            return through("%s succeeds", forbidden[i].name);
    }
    return NULL;
}

/* ---- calls of other kinds ---- */

static int call_int80(const struct bait *b, long arg)
{
    long r;

    (void)b, (void)arg;
    __asm__ volatile("int $0x80"
                     : "=a"(r)
                     : "a"(20l /* getpid */)
                     : "memory", "r8", "r9", "r10", "r11");
    return (int)r > 0;
}

static int call_x32(const struct bait *b, long arg)
{
    (void)b, (void)arg;
    return syscall(0x40000000 | SYS_getpid) > 0;
}

static int call_x32_native(const struct bait *b, long arg)
{
    (void)b, (void)arg;
    return NATIVE(0x40000000 | SYS_getpid, 0, 0, 0) > 0;
}

const char *attack_other_abi(const struct bait *b)
{
    if (in_child(call_int80, b, 0) == 1)
        return through("int 0x80 reaches a kernel");
    if (in_child(call_x32, b, 0) == 1 || in_child(call_x32_native, b, 0) == 1)
        return through("an x32 call reaches a kernel");
    return NULL;
}

/* ---- the stub's code and channel ---- */

/* All stubs share the code: nobody may write to it. Whoever unmaps it has only himself harmed. */
static int blob_write(const struct bait *b, long arg)
{
    uint8_t *blob = (uint8_t *)(uintptr_t)blob_find();

    (void)b;
    if (!blob)
        return 0;
    if (arg == 0) /* the filter lets it pass from there: the memory file is sealed */
        return NATIVE(SYS_mprotect, blob, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == 0;
    if (arg == 1 && mprotect(blob, 4096, PROT_READ | PROT_WRITE) < 0)
        return 0;
    *(volatile uint8_t *)blob = 0;
    return 1;
}

static int blob_ruin(const struct bait *b, long arg)
{
    uint8_t *blob = (uint8_t *)(uintptr_t)blob_find();
    uint8_t *channel = blob + CHANNEL_OFF;

    (void)b;
    if (!blob)
        return 0;
    if (arg == 0)
        memset(channel, 0xff, BLOCK_STACK_OFF);
    else if (arg == 1)
        memset(channel, 0, BLOCK_SIZE);
    else
        NATIVE(SYS_munmap, blob, BLOB_MAX, 0);
    (void)getppid();
    return 0;
}

static int alive(const struct bait *b, long arg)
{
    (void)b, (void)arg;
    return getppid() > 0 ? 42 : 0;
}

const char *attack_blob(const struct bait *b)
{
    for (long i = 0; i < 3; i++) {
        if (in_child(blob_write, b, i) == 1)
            return through("the code of all stubs can be written");
    }
    for (long i = 0; i < 3; i++) {
        (void)in_child(blob_ruin, b, i);
        if (in_child(alive, b, 0) != 42)
            return through("the sandbox does not outlive it");
    }
    return NULL;
}
