/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stub's memory from outside. process_vm_* respects page protection as a guest expects (EFAULT on
 * a read-only page); /proc/PID/mem ignores it and is used only where that is wanted, or where
 * process_vm_* is forbidden (some containers): there a call that is to fill a read-only page fills it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "abi/types.h"
#include "platform/trap/trap.h"

/* A thread that has the memory: a leader that has exited before its threads has none any more. */
static pid_t living_thread(const struct stub *s)
{
    for (struct tlist *n = s->ctxs.next; n != &s->ctxs; n = n->next) {
        const struct ctx *c = tlist_entry(n, struct ctx, stub_link);

        if (!atomic_load(&c->freed) && c->tid > 1)
            return c->tid;
    }
    return 0;
}

pid_t aspace_pid(struct aspace *as)
{
    pid_t pid = 0, any = 0;

    pthread_mutex_lock(&trap.lock);
    for (struct tlist *n = as->stubs.next; n != &as->stubs && !pid; n = n->next) {
        struct stub *s = tlist_entry(n, struct stub, as_link);

        if (s->dead || s->pid <= 1)
            continue;
        pid = living_thread(s);
        any = s->pid;
    }
    pthread_mutex_unlock(&trap.lock);
    return pid ? pid : any;
}

static int mem_fd(struct aspace *as)
{
    pid_t pid = aspace_pid(as);
    char path[32];
    int fd = atomic_load(&as->mem_fd), none = -1;

    if (fd < 0 && pid > 1 && trap.proc_fd >= 0) {
        snprintf(path, sizeof path, "%d/mem", (int)pid);
        fd = openat(trap.proc_fd, path, O_RDWR | O_CLOEXEC);
        if (fd >= 0 && !atomic_compare_exchange_strong(&as->mem_fd, &none, fd)) {
            close(fd);
            fd = none;
        }
    }
    return fd;
}

/* As process_vm_*: the bytes of one list into the room of the other, up to what cannot be had. */
static ssize_t file_copy(struct aspace *as, bool write, const struct iovec *local, unsigned nlocal,
                         const struct iovec *remote, unsigned nremote)
{
    size_t l = 0, r = 0; /* of the first of each that are done */
    ssize_t sum = 0;
    int fd = mem_fd(as);

    while (fd >= 0 && nlocal && nremote) {
        size_t n = MIN(local->iov_len - l, remote->iov_len - r);
        char *ours = (char *)local->iov_base + l;
        off_t theirs = (off_t)(uintptr_t)remote->iov_base + (off_t)r;
        ssize_t did = n == 0 ? 0 : write ? pwrite(fd, ours, n, theirs) : pread(fd, ours, n, theirs);

        if (did < 0)
            break;
        sum += did;
        if ((size_t)did < n)
            break;
        l += n;
        r += n;
        if (l == local->iov_len)
            local++, nlocal--, l = 0;
        if (r == remote->iov_len)
            remote++, nremote--, r = 0;
    }
    return sum > 0 ? sum : -EFAULT;
}

/*
 * To or from another address space, through one of its threads. That may be on its way out just
 * now: then it is not named a second time.
 */
static ssize_t vm_copy(struct aspace *as, bool write, const struct iovec *local, unsigned nlocal,
                       const struct iovec *remote, unsigned nremote)
{
    pid_t last = 0, pid;

    if (!trap.use_vm)
        return file_copy(as, write, local, nlocal, remote, nremote);
    while ((pid = aspace_pid(as)) > 1 && pid != last) {
        ssize_t r = write ? process_vm_writev(pid, local, nlocal, remote, nremote, 0)
                          : process_vm_readv(pid, local, nlocal, remote, nremote, 0);

        if (r > 0)
            return r;
        if (r == 0 || errno == EFAULT)
            break;
        if (errno != ESRCH) /* refused, or no memory for it: there is another way */
            return file_copy(as, write, local, nlocal, remote, nremote);
        last = pid;
    }
    return -EFAULT;
}

static bool in_reach(gaddr_t at, size_t n)
{
    return at < trap.slot && n <= trap.slot - at;
}

ssize_t as_read(struct aspace *as, gaddr_t from, void *to, size_t n)
{
    struct iovec local = { to, n }, remote = { (void *)from, n };

    if (n == 0)
        return 0;
    if (!in_reach(from, n) && !(from >= trap.vdso && from + n <= trap.vdso + 0x4000)) {
        if (from >= trap.slot)
            return -EFAULT;
        remote.iov_len = local.iov_len = trap.slot - from;
    }
    atomic_fetch_add_explicit(&trap.st.reads, 1, memory_order_relaxed);
    return vm_copy(as, false, &local, 1, &remote, 1);
}

static ssize_t write_forced(struct aspace *as, gaddr_t to, const void *from, size_t n)
{
    int fd = mem_fd(as);
    ssize_t r = fd < 0 ? -1 : pwrite(fd, from, n, (off_t)to);

    return r > 0 ? r : -EFAULT;
}

ssize_t as_write(struct aspace *as, gaddr_t to, const void *from, size_t n, bool force)
{
    struct iovec local = { (void *)(uintptr_t)from, n }, remote = { (void *)to, n };

    if (n == 0)
        return 0;
    if (to >= trap.slot)
        return -EFAULT;
    if (!in_reach(to, n))
        n = remote.iov_len = local.iov_len = trap.slot - to;
    atomic_fetch_add_explicit(&trap.st.writes, 1, memory_order_relaxed);
    if (force)
        return write_forced(as, to, from, n);
    return vm_copy(as, true, &local, 1, &remote, 1);
}

/* Up to the first range that is not a guest's to have. */
ssize_t as_move(struct aspace *as, bool write, const struct iovec *ours, unsigned nours,
                const struct iovec *theirs, unsigned ntheirs)
{
    unsigned n = 0;

    while (n < ntheirs && in_reach((gaddr_t)(uintptr_t)theirs[n].iov_base, theirs[n].iov_len))
        n++;
    if (n == 0)
        return ntheirs ? -EFAULT : 0;
    atomic_fetch_add_explicit(write ? &trap.st.writes : &trap.st.reads, 1, memory_order_relaxed);
    return vm_copy(as, write, ours, nours, theirs, n);
}

/* A stream that reads by pread(2), which the fence lets pass anyway. */
struct reading {
    int fd;
    off_t at;
};

static ssize_t reading_read(void *cookie, char *buf, size_t n)
{
    struct reading *rd = cookie;
    ssize_t got = pread(rd->fd, buf, n, rd->at);

    if (got > 0)
        rd->at += got;
    return got;
}

static int reading_close(void *cookie)
{
    struct reading *rd = cookie;

    close(rd->fd);
    free(rd);
    return 0;
}

static FILE *reading_open(int fd)
{
    static const cookie_io_functions_t io = { .read = reading_read, .close = reading_close };
    struct reading *rd = malloc(sizeof *rd);
    FILE *f = NULL;

    if (rd) {
        *rd = (struct reading){ fd, 0 };
        f = fopencookie(rd, "r", io);
    }
    if (!f) {
        free(rd);
        close(fd);
    }
    return f;
}

static FILE *proc_file(struct aspace *as, const char *name)
{
    char path[48];
    pid_t pid = aspace_pid(as);
    int fd;

    if (trap.proc_fd < 0 || pid <= 1)
        return NULL;
    snprintf(path, sizeof path, "%d/%s", (int)pid, name);
    fd = openat(trap.proc_fd, path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? NULL : reading_open(fd);
}

static const char private_name[] = "[anon:", shared_name[] = "[anon_shmem:";

/* A line of maps that is the guest's. */
static bool parse_mapping(const char *line, struct as_mapping *ret)
{
    char perm[8];
    uint64_t start, end, off, ino;
    unsigned maj, min;
    const char *name;

    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %x:%x %" SCNu64, &start, &end, perm,
               &off, &maj, &min, &ino) != 7)
        return false;
    if (start >= trap.slot && start < trap.slot + (1ull << SLOT_SHIFT))
        return false;
    *ret = (struct as_mapping){ .start = start,
                                .end = end,
                                .shared = perm[3] == 's',
                                .offset = off,
                                .dev = (uint64_t)maj << 20 | min,
                                .ino = ino };
    name = strstr(line, shared_name);
    if (!name)
        name = strstr(line, private_name);
    if (name && (name += strcspn(name, ":") + 1))
        snprintf(ret->name, sizeof ret->name, "%.*s", (int)strcspn(name, "]\n"), name);
    ret->prot = (perm[0] == 'r' ? PROT_READ : 0u) | (perm[1] == 'w' ? PROT_WRITE : 0u) |
                (perm[2] == 'x' ? PROT_EXEC : 0u);
    return true;
}

int as_query(struct aspace *as, gaddr_t addr, struct as_mapping *ret)
{
    FILE *f = proc_file(as, "maps");
    struct as_mapping m;
    char line[512];
    int r = -ENOENT;

    if (!f)
        return -ENOENT;
    while (r < 0 && fgets(line, sizeof line, f)) {
        if (parse_mapping(line, &m) && m.end > addr && !patch_owns(as, m.start)) {
            *ret = m;
            r = 0;
        }
    }
    fclose(f);
    return r;
}

static bool usage_line(const char *line, struct as_mapping *m)
{
    unsigned long kib;

    if (sscanf(line, "Rss: %lu kB", &kib) == 1)
        m->rss = kib * 1024ull;
    else if (sscanf(line, "Anonymous: %lu kB", &kib) == 1)
        m->anon = kib * 1024ull;
    else if (sscanf(line, "Locked: %lu kB", &kib) == 1)
        m->locked = kib * 1024ull;
    else if (!strncmp(line, "VmFlags:", 8)) {
        m->nodump = strstr(line, " dd") != NULL;
        return true; /* the last one of a mapping */
    }
    return false;
}

int as_each(struct aspace *as, bool usage, int (*fn)(const struct as_mapping *m, void *arg),
            void *arg)
{
    FILE *f = proc_file(as, usage ? "smaps" : "maps");
    struct as_mapping m, next;
    bool have = false;
    char line[512];
    int r = 0;

    if (!f)
        return -ENOENT;
    while (!r && fgets(line, sizeof line, f)) {
        if (parse_mapping(line, &next)) {
            m = next;
            have = true;
        }
        if (have && (!usage || usage_line(line, &m))) {
            r = patch_owns(as, m.start) ? 0 : fn(&m, arg);
            have = false;
        }
    }
    fclose(f);
    return r;
}

#define PAGEMAP_FLAGS (0x1ffull << 55) /* never the frame, which is the host's business */

void as_pages(struct aspace *as, gaddr_t addr, uint64_t *ret, size_t n)
{
    pid_t pid = aspace_pid(as);
    char path[32];
    int fd;

    if (trap.proc_fd < 0 || pid <= 1 || !in_reach(addr, n * 4096))
        return;
    snprintf(path, sizeof path, "%d/pagemap", (int)pid);
    fd = openat(trap.proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (pread(fd, ret, n * 8, (off_t)(addr / 4096 * 8)) < 0)
        memset(ret, 0, n * 8);
    close(fd);
    for (size_t i = 0; i < n; i++)
        ret[i] &= PAGEMAP_FLAGS;
}

int as_usage(struct aspace *as, struct as_usage *ret)
{
    FILE *f = proc_file(as, "statm");
    unsigned long size, res;
    int r = -ENOENT;

    if (!f)
        return -ENOENT;
    if (fscanf(f, "%lu %lu", &size, &res) == 2) {
        *ret = (struct as_usage){ .rss = res * 4096ull, .vsize = size * 4096ull - CHANNEL_SIZE };
        r = 0;
    }
    fclose(f);
    return r;
}

static uint64_t field(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    unsigned long kib;

    return at && sscanf(at + strlen(name), " %lu", &kib) == 1 ? kib * 1024ull : 0;
}

int proc_text(pid_t pid, const char *name, char *buf, size_t cap)
{
    ssize_t n;
    int fd;

    if (trap.proc_fd < 0 || pid <= 1)
        return -ENOENT;
    snprintf(buf, cap, "%d/%s", (int)pid, name);
    fd = openat(trap.proc_fd, buf, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -ENOENT;
    n = pread(fd, buf, cap - 1, 0);
    close(fd);
    if (n <= 0)
        return -ENOENT;
    buf[n] = 0;
    return 0;
}

int as_cost(struct aspace *as, bool exact, struct as_usage *ret)
{
    uint64_t tables;
    char text[4096];
    int r = proc_text(aspace_pid(as), "status", text, sizeof text);

    if (r < 0)
        return r;
    tables = field(text, "\nVmPTE:");
    *ret = (struct as_usage){ .rss = field(text, "\nVmRSS:") + tables,
                              .vsize = field(text, "\nVmSize:"),
                              .locked = field(text, "\nVmLck:"),
                              .own = field(text, "\nRssAnon:") + field(text, "\nVmSwap:") +
                                     tables };
    if (exact && proc_text(aspace_pid(as), "smaps_rollup", text, sizeof text) == 0 &&
        strstr(text, "Pss_Anon:"))
        ret->own = field(text, "\nPss_Anon:") + field(text, "\nSwapPss:") + tables;
    return 0;
}
