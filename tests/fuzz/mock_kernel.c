/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel on the mock platform. It is booted once; each input then gets a tree of its own (a tmpfs with
 * the boot's /proc, /sys and /dev bound into it) and processes of its own, and all of both is taken
 * away at its end. Pids 1 and 2 stay: the end of pid 2 would be the end of the sandbox.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"
#include "sentry/mm/mm.h"
#include "sentry/sentry.h"
#include "sentry/vfs/build.h"
#include "sentry/vfs/callpath.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"
#include "tests/fuzz/mock.h"

#define TASKS_MAX 10 /* pids 1 and 2 too; no more than one drain runs by itself (dispatch.c) */
#define MEM_LIMIT (256ull << 20)
#define MEM_LEAKED (192ull << 20) /* charged between inputs: nothing of them should be */
#define MOUNTS_MAX 512

static struct mount *tree; /* of this input; NULL: it has none yet */
static bool filled;        /* it has its files */
static int last_boot_id;   /* of a mount */

static void check(long r, const char *what)
{
    if (r < 0) {
        fprintf(stderr, "mock: %s: %ld\n", what, r);
        abort();
    }
}

/* ---- boot ---- */

static void init_kernel(void)
{
    struct timespec ts;

    kernel.platform = &mock_platform;
    lock_init(&kernel.tasks_lock, LOCK_TASKS);
    clock_gettime(CLOCK_MONOTONIC, &ts);
    kernel.boot_mono = ts.tv_sec * 1000000000ll + ts.tv_nsec;
    clock_gettime(CLOCK_REALTIME, &ts);
    kernel.boot_real = ts.tv_sec * 1000000000ll + ts.tv_nsec;
    kernel.ncpus = 2;
    kernel.mem_total = 1ull << 30;
    limits[LIMIT_TASKS] = TASKS_MAX;
    kernel.proc_fd = -1;
    strcpy(kernel.hostname, "sbx");
    strcpy(kernel.domainname, "(none)");
    kcharge_limit(MEM_LIMIT);
}

/* Pids 1 and 2: nobody's code, and no signal ends them. */
static struct task *make_idle(struct task *parent)
{
    struct task *t;

    check(task_alloc(parent, 0, SIGCHLD, &t), "task_alloc");
    if (!t->cred)
        t->cred = cred_new_root();
    t->files = files_new();
    t->group->is_sentry = true;
    check(task_publish(t), "task_publish");
    return t;
}

static int highest_id(struct mount *m, void *arg)
{
    int *id = arg;

    *id = m->id > *id ? m->id : *id;
    return 0;
}

static void build_tree(void)
{
    static const struct sentry_mount mounts[] = {
        { .kind = SM_TMPFS, .path = "/" },    { .kind = SM_PROC, .path = "/proc" },
        { .kind = SM_SYSFS, .path = "/sys" }, { .kind = SM_DEV, .path = "/dev" },
        { .kind = SM_DIR, .path = "/each" },
    };
    struct sentry_config cfg = { .mounts = mounts, .nmounts = sizeof mounts / sizeof mounts[0] };

    check(vfs_build(cfg.mounts, cfg.nmounts, &(const char *){ NULL }), "vfs_build");
    vfs_each_mount(highest_id, &last_boot_id);
}

void mock_boot(void)
{
    static bool done;
    struct platform_config pc = { .client = &dispatch_client, .proc_fd = -1 };

    if (done)
        return;
    done = true;
    kalloc_init();
    init_kernel();
    mock_platform.early(&pc);
    dispatch_worker_start();
    vfs_init();
    build_tree();
    first_container.init = make_idle(NULL)->group;
    first_container.init->leader->comm[0] = 'i';
    make_idle(first_container.init->leader);
}

/* ---- an input's tree ---- */

static void bind_in(struct task *t, const char *path)
{
    struct path from, at;

    check(vfs_mkdir_at(t, AT_FDCWD, path, 0755), path);
    check(walk_path(NULL, AT_FDCWD, path, WALK_FOLLOW, &from), path);
    check(walk_path(t, AT_FDCWD, path, WALK_FOLLOW, &at), path);
    check(vfs_bind(&from, &at, 0), path);
    path_put(&from);
    path_put(&at);
    callpath_end(t);
}

static void fill_tree(struct task *t)
{
    struct file *f;

    bind_in(t, "/proc");
    bind_in(t, "/sys");
    bind_in(t, "/dev");
    check(vfs_mkdir_at(t, AT_FDCWD, "/d", 0755), "/d");
    callpath_end(t);
    check(vfs_symlink_at(t, "d", AT_FDCWD, "/l"), "/l");
    callpath_end(t);
    f = vfs_open_at(t, AT_FDCWD, "/d/f", O_CREAT | O_RDWR, 0755);
    check(IS_ERR(f) ? PTR_ERR(f) : 0, "/d/f");
    file_put(f);
    callpath_end(t);
}

static void mount_tree(void)
{
    struct super *sb = tmpfs_new(01777, 0);
    struct path at;

    check(sb ? 0 : -1, "tmpfs_new");
    check(walk_path(NULL, AT_FDCWD, "/each", WALK_FOLLOW, &at), "/each");
    check(vfs_mount(sb, &at, 0, "tmpfs", &tree), "vfs_mount");
    path_put(&at);
}

/* ---- processes ---- */

static void set_limits(struct tgroup *g)
{
    g->rlim[RLIMIT_STACK] = (struct rlimit){ 8ul << 20, RLIM_INFINITY };
    g->rlim[RLIMIT_CORE] = (struct rlimit){ 0, RLIM_INFINITY };
    g->rlim[RLIMIT_NOFILE] = (struct rlimit){ 64, 256 };
    g->rlim[RLIMIT_NPROC] = (struct rlimit){ TASKS_MAX, TASKS_MAX };
    g->rlim[RLIMIT_SIGPENDING] = (struct rlimit){ 64, 64 };
    g->rlim[RLIMIT_MEMLOCK] = (struct rlimit){ 8ul << 20, 8ul << 20 };
}

static void map(struct aspace *as, gaddr_t at, uint64_t len, unsigned prot)
{
    struct as_op op = { .kind = AS_MMAP,
                        .fd = -1,
                        .a = { at, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED } };

    check((long)mock_as_op(as, &op), "map");
}

static void map_memory(struct ctx *c)
{
    struct aspace *as = mock_aspace(c);

    map(as, MOCK_DATA, MOCK_DATA_SIZE, PROT_READ | PROT_WRITE);
    map(as, MOCK_CODE, 4096, PROT_READ | PROT_EXEC);
    map(as, MOCK_STACK - MOCK_STACK_SIZE, MOCK_STACK_SIZE, PROT_READ | PROT_WRITE);
    *mock_regs(c) = (struct regs){
        .rip = MOCK_CODE + 2, .rsp = MOCK_STACK - 0x4000, .rflags = 0x202, .orig_rax = (uint64_t)-1
    };
}

struct ctx *mock_spawn(void)
{
    struct ctx *c = mock_ctx_new();
    struct task *t;
    struct path root;

    if (!tree)
        mount_tree();
    root = (struct path){ tree, tree->root };
    check(task_alloc(first_container.init->leader, 0, SIGCHLD, &t), "task_alloc");
    set_limits(t->group);
    memcpy(t->comm, "fuzzed", 7);
    t->fs = fs_ctx_new(&root);
    t->files = files_new();
    mock_as_ref(mock_aspace(c));
    t->mm = mm_new(mock_aspace(c));
    t->mm->brk_start = t->mm->brk = 0x10000000;
    map_memory(c);
    t->ctx = c;
    mock_platform.ctx_set_owner(c, t);
    atomic_store(&t->born, BORN_YES);
    check(task_publish(t), "task_publish");
    check(do_setsid(t), "setsid");
    if (!filled)
        fill_tree(t);
    filled = true;
    task_return(t);
    return c;
}

long mock_call(struct ctx *c, uint64_t nr, const uint64_t args[6])
{
    long r;

    if (!mock_is_in_guest(c))
        return MOCK_LEFT;
    mock_platform.ctx_ref(c);
    mock_syscall(c, nr, args);
    if (mock_is_in_guest(c))
        r = (long)mock_regs(c)->rax;
    else
        r = mock_is_owned(c) ? MOCK_WAITS : MOCK_LEFT;
    mock_ctx_put(c);
    return r;
}

void mock_file(struct ctx *c, const char *path, const void *bytes, size_t n)
{
    gaddr_t at = MOCK_DATA + MOCK_DATA_SIZE - 0x10000;
    long fd;

    (void)mock_as_write(mock_aspace(c), at, path, strlen(path) + 1, false);
    fd = CALL(c, SYS_open, at, O_CREAT | O_TRUNC | O_WRONLY, 0755);
    check(fd, path);
    (void)mock_as_write(mock_aspace(c), at, bytes, n, false);
    CALL(c, SYS_write, (uint64_t)fd, at, n);
    CALL(c, SYS_close, (uint64_t)fd);
}

void mock_mount(struct ctx *c, const char *name, struct super *sb)
{
    gaddr_t at = MOCK_DATA + MOCK_DATA_SIZE - 0x1000;
    char path[64];
    struct path to;

    if (!sb)
        return;
    snprintf(path, sizeof path, "/each/%s", name);
    (void)mock_as_write(mock_aspace(c), at, name, strlen(name) + 1, false);
    CALL(c, SYS_mkdir, at, 0755);
    check(walk_path(NULL, AT_FDCWD, path, 0, &to), path);
    (void)vfs_mount(sb, &to, 0, sb->type, NULL); /* -ENOTDIR: its root is none */
    path_put(&to);
}

/* ---- the end ---- */

static void kill_owner(void *owner)
{
    struct task *t = owner;

    lock(&kernel.tasks_lock);
    group_kill_locked(t->group, SIGKILL);
    unlock(&kernel.tasks_lock);
}

static void kill_all(void)
{
    mock_each_owner(kill_owner);
    mock_pump();
    if (mock_ncontexts()) {
        fprintf(stderr, "mock: %u contexts outlive SIGKILL\n", mock_ncontexts());
        abort();
    }
}

struct found {
    struct mount *m[MOUNTS_MAX];
    unsigned n;
};

static int collect(struct mount *m, void *arg)
{
    struct found *f = arg;

    if (m->id > last_boot_id && f->n < MOUNTS_MAX)
        f->m[f->n++] = mount_ref(m);
    return 0;
}

/* Children lie behind their parents in the list. */
static void unmount_all(void)
{
    struct found f;
    unsigned gone = 1;

    do {
        f.n = 0;
        vfs_each_mount(collect, &f);
        gone = 0;
        for (unsigned i = f.n; i-- > 0;) {
            gone += vfs_umount(f.m[i]) == 0;
            mount_put(f.m[i]);
        }
    } while (gone);
    if (f.n) {
        fprintf(stderr, "mock: %u mounts stay\n", f.n);
        abort();
    }
    tree = NULL;
    filled = false;
}

void mock_end(void)
{
    kill_all();
    unmount_all();
    ktimers_run();
    dispatch_drain();
    strcpy(kernel.hostname, "sbx");
    if (kcharged() > MEM_LEAKED) {
        fprintf(stderr, "mock: %zu bytes are charged, and nobody is left\n", kcharged());
        abort();
    }
}
