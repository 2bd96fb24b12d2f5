/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/sys: the settings that programs read. Those of kernel/sysctl.def, and the sandbox's names,
 * may be written and mean what they mean on Linux. All others stay as they are: writing another value
 * is refused (EPERM), as where a container engine shows them read-only.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "abi/resource.h"

#include "sentry/fs/proc/proc.h"
#include "sentry/fs/proc/sys_set.h"
#include "sentry/ipc/aio.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/core.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/sysctl.h"
#include "sentry/keys/key.h"

/* What is there already may be written: scripts do, and some put back what they found. */
static PROC_STORE(refuse)
{
    struct ptext now = { .buf = NULL };
    size_t want = len;
    bool same;

    while (want && (buf[want - 1] == '\n' || !buf[want - 1]))
        want--;
    if (n->show(t, n, o, &now) < 0 || now.failed) {
        kfree(now.buf);
        return -EPERM;
    }
    while (now.len && now.buf[now.len - 1] == '\n')
        now.len--;
    same = now.len == want && memcmp(now.buf, buf, want) == 0;
    kfree(now.buf);
    return same ? (ssize_t)len : -EPERM;
}

static PROC_SHOW(show_fixed)
{
    return proc_sys_told(n, out) ? 0 : proc_show_text(t, n, o, out);
}

#define SYSCTL(n, text)                                                                            \
    {                                                                                              \
        .name = n, .mode = S_IFREG | 0644, .show = show_fixed, .store = refuse,                    \
        .arg = (long)(uintptr_t)(text "\n")                                                        \
    }

enum { HOSTNAME, DOMAINNAME, THREADS_MAX, FILE_NR, NS_LAST_PID, AIO_NR };

static PROC_SHOW(show_dynamic)
{
    (void)t, (void)o;
    switch (n->arg) {
    case HOSTNAME:
        pt_printf(out, "%.64s\n", kernel.hostname[0] ? kernel.hostname : "(none)");
        break;
    case DOMAINNAME:
        pt_printf(out, "%.64s\n", kernel.domainname[0] ? kernel.domainname : "(none)");
        break;
    case THREADS_MAX:
        pt_printf(out, "%" PRIu64 "\n", MIN(limit_of(LIMIT_TASKS), (uint64_t)4194304));
        break;
    case FILE_NR:
        pt_printf(out, "%u\t0\t9223372036854775807\n", atomic_load(&kernel.ntasks) * 4);
        break;
    case NS_LAST_PID:
        pt_printf(out, "%d\n", pid_last(o->ns));
        break;
    case AIO_NR:
        pt_printf(out, "%" PRIu64 "\n", aio_count());
        break;
    }
    return 0;
}

static PROC_STORE(store_name)
{
    char *which = n->arg == HOSTNAME ? kernel.hostname : kernel.domainname;
    char name[sizeof kernel.hostname] = "";

    (void)t, (void)o;
    memcpy(name, buf, MIN(len, sizeof name - 1));
    name[strcspn(name, "\n")] = 0;
    LOCK_SCOPE(&kernel.tasks_lock);
    memcpy(which, name, sizeof name);
    return (ssize_t)len;
}

static PROC_STORE(store_last_pid)
{
    int64_t pid;
    int r = pseudo_parse(buf, len, 0, sysctl_of(SYSCTL_PID_MAX) - 1, &pid);

    (void)n, (void)o;
    if (!t || (!task_capable(t, CAP_SYS_ADMIN) && !task_capable(t, CAP_CHECKPOINT_RESTORE)))
        return -EPERM;
    if (r < 0)
        return r;
    pid_set_last(t->group->pidns, (pid_t)pid);
    return (ssize_t)len;
}

static PROC_SHOW(show_core_pattern)
{
    char pattern[CORE_PATTERN_MAX];

    (void)t, (void)n, (void)o;
    core_pattern_get(pattern);
    pt_printf(out, "%s\n", pattern);
    return 0;
}

static PROC_STORE(store_core_pattern)
{
    int r = core_pattern_set(buf, len);

    (void)t, (void)n, (void)o;
    return r < 0 ? r : (ssize_t)len;
}

/* Advice, of a number up to n->arg: caches and pages are the host's to drop and to move. */
static PROC_STORE(store_advice)
{
    int64_t what;
    int r = pseudo_parse(buf, len, 1, n->arg, &what);

    (void)t, (void)o;
    return r < 0 ? r : (ssize_t)len;
}

/* ---- those of kernel/sysctl.def ---- */

#define FIRST(n) ((enum sysctl)((n)->arg & 0xffff))
#define COUNT(n) ((unsigned)((n)->arg >> 16))

static PROC_SHOW(show_tunable)
{
    (void)t, (void)o;
    for (unsigned i = 0; i < COUNT(n); i++) {
        int64_t v = sysctl_of(FIRST(n) + i);

        pt_printf(out, sysctl_is_unsigned(FIRST(n) + i) ? "%s%" PRIu64 : "%s%" PRId64,
                  i ? "\t" : "", v);
    }
    pt_puts(out, "\n");
    return 0;
}

static PROC_STORE(store_tunable)
{
    int r = sysctl_write(FIRST(n), COUNT(n), buf, len);

    (void)t, (void)o;
    return r < 0 ? r : (ssize_t)len;
}

#define TUNABLES(n, m, first, count)                                                               \
    {                                                                                              \
        .name = n, .mode = S_IFREG | (m), .show = show_tunable, .store = store_tunable,            \
        .arg = SYSCTL_##first | (count) << 16                                                      \
    }
#define TUNABLE(n, id) TUNABLES(n, 0644, id, 1)

/* From a group to another; what is no range is nobody's. */
static PROC_STORE(store_pingers)
{
    ssize_t r = store_tunable(t, n, o, buf, len);

    if (r >= 0 && sysctl_of(SYSCTL_PING_FIRST) > sysctl_of(SYSCTL_PING_LAST)) {
        atomic_store(&sysctl_values[SYSCTL_PING_FIRST], 1);
        atomic_store(&sysctl_values[SYSCTL_PING_LAST], 0);
    }
    return r;
}

#define DYNAMIC(n, m, what)                                                                        \
    {                                                                                              \
        .name = n, .mode = S_IFREG | (m), .show = show_dynamic, .store = refuse, .arg = what       \
    }
#define NAME(n, what)                                                                              \
    {                                                                                              \
        .name = n, .mode = S_IFREG | 0644, .show = show_dynamic, .store = store_name, .arg = what  \
    }

/* ---- kernel.random ---- */

static void print_uuid(const uint8_t b[16], struct ptext *out)
{
    for (int k = 0; k < 16; k++)
        pt_printf(out, k == 4 || k == 6 || k == 8 || k == 10 ? "-%02x" : "%02x", b[k]);
    pt_puts(out, "\n");
}

static int new_uuid(uint8_t b[16])
{
    if (getrandom(b, 16, 0) != 16)
        return -EIO;
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    return 0;
}

static PROC_SHOW(show_uuid)
{
    uint8_t b[16];
    int r = new_uuid(b);

    (void)t, (void)n, (void)o;
    if (r == 0)
        print_uuid(b, out);
    return r;
}

static PROC_SHOW(show_boot_id)
{
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    static uint8_t id[16];
    int r = 0;

    (void)t, (void)n, (void)o;
    pthread_mutex_lock(&once);
    if (!id[6]) /* its version makes this byte non-zero */
        r = new_uuid(id);
    pthread_mutex_unlock(&once);
    if (r == 0)
        print_uuid(id, out);
    return r;
}

static const struct pnode random_nodes[] = {
    PFILE("boot_id", 0444, show_boot_id), PTEXT("entropy_avail", 0444, "256\n"),
    PTEXT("poolsize", 0444, "256\n"),     SYSCTL("urandom_min_reseed_secs", "60"),
    PFILE("uuid", 0444, show_uuid),       SYSCTL("write_wakeup_threshold", "256"),
};
static const struct pdir random_dir = { PNODES(random_nodes) };

static const struct pnode seccomp_nodes[] = {
    PTEXT("actions_avail", 0444, "kill_process kill_thread trap errno trace log allow\n"),
    SYSCTL("actions_logged", ""),
};
static const struct pdir seccomp_dir = { PNODES(seccomp_nodes) };

static PROC_SHOW(show_key_limit)
{
    (void)t, (void)o;
    pt_printf(out, "%u\n", atomic_load(&key_limits[n->arg]));
    return 0;
}

static PROC_STORE(store_key_limit)
{
    int64_t v;
    int r = pseudo_parse(buf, len, 0, INT32_MAX, &v);

    (void)t, (void)o;
    if (r < 0)
        return r;
    atomic_store(&key_limits[n->arg], (unsigned)v);
    return (ssize_t)len;
}

#define KEY_LIMIT(name_, which)                                                                    \
    {                                                                                              \
        .name = name_, .mode = S_IFREG | 0644, .show = show_key_limit, .store = store_key_limit,   \
        .arg = which                                                                               \
    }

static const struct pnode keys_nodes[] = {
    SYSCTL("gc_delay", "300"),
    KEY_LIMIT("maxbytes", KEY_LIMIT_BYTES),
    KEY_LIMIT("maxkeys", KEY_LIMIT_KEYS),
    KEY_LIMIT("root_maxbytes", KEY_LIMIT_ROOT_BYTES),
    KEY_LIMIT("root_maxkeys", KEY_LIMIT_ROOT_KEYS),
};
static const struct pdir keys_dir = { PNODES(keys_nodes) };

static const struct pnode kernel_nodes[] = {
    PTEXT("cap_last_cap", 0444, "40\n"),
    PFILE_RW("core_pattern", 0644, show_core_pattern, store_core_pattern),
    SYSCTL("core_pipe_limit", "0"),
    SYSCTL("core_uses_pid", "0"),
    SYSCTL("dmesg_restrict", "1"),
    NAME("domainname", DOMAINNAME),
    NAME("hostname", HOSTNAME),
    SYSCTL("io_uring_disabled", "0"),
    SYSCTL("io_uring_group", "-1"),
    PDIR("keys", &keys_dir),
    SYSCTL("kptr_restrict", "2"),
    SYSCTL("max_lock_depth", "1024"),
    SYSCTL("modules_disabled", "1"),
    TUNABLE("msg_next_id", MSG_NEXT_ID),
    TUNABLE("msgmax", MSGMAX),
    TUNABLE("msgmnb", MSGMNB),
    TUNABLE("msgmni", MSGMNI),
    PTEXT("ngroups_max", 0444, "65536\n"),
    { .name = "ns_last_pid",
      .mode = S_IFREG | 0666,
      .show = show_dynamic,
      .store = store_last_pid,
      .arg = NS_LAST_PID },
    PTEXT("osrelease", 0444, SBX_UTS_RELEASE "\n"),
    PTEXT("ostype", 0444, SBX_UTS_SYSNAME "\n"),
    SYSCTL("overflowgid", "65534"),
    SYSCTL("overflowuid", "65534"),
    SYSCTL("panic", "0"),
    SYSCTL("perf_event_paranoid", "4"),
    TUNABLE("pid_max", PID_MAX),
    SYSCTL("printk", "4\t4\t1\t7"),
    PDIR("random", &random_dir),
    SYSCTL("randomize_va_space", "2"),
    SYSCTL("sched_child_runs_first", "0"),
    SYSCTL("sched_rr_timeslice_ms", "100"),
    SYSCTL("sched_rt_period_us", "1000000"),
    SYSCTL("sched_rt_runtime_us", "950000"),
    PDIR("seccomp", &seccomp_dir),
    TUNABLES("sem", 0644, SEMMSL, 4),
    TUNABLE("sem_next_id", SEM_NEXT_ID),
    TUNABLE("shm_next_id", SHM_NEXT_ID),
    SYSCTL("shm_rmid_forced", "0"),
    TUNABLE("shmall", SHMALL),
    TUNABLE("shmmax", SHMMAX),
    TUNABLE("shmmni", SHMMNI),
    SYSCTL("sysrq", "0"),
    SYSCTL("tainted", "0"),
    DYNAMIC("threads-max", 0644, THREADS_MAX),
    SYSCTL("unprivileged_bpf_disabled", "2"),
    PTEXT("version", 0444, SBX_UTS_VERSION "\n"),
};
static const struct pdir kernel_dir = { PNODES(kernel_nodes) };

static const struct pnode vm_nodes[] = {
    SYSCTL("admin_reserve_kbytes", "8192"),
    { .name = "compact_memory", .mode = S_IFREG | 0200, .store = store_advice, .arg = 1 },
    SYSCTL("dirty_background_ratio", "10"),
    SYSCTL("dirty_expire_centisecs", "3000"),
    SYSCTL("dirty_ratio", "20"),
    SYSCTL("dirty_writeback_centisecs", "500"),
    { .name = "drop_caches", .mode = S_IFREG | 0200, .store = store_advice, .arg = 4 },
    SYSCTL("legacy_va_layout", "0"),
    SYSCTL("max_map_count", "65530"),
    SYSCTL("min_free_kbytes", "67584"),
    SYSCTL("mmap_min_addr", "65536"),
    SYSCTL("nr_hugepages", "0"),
    SYSCTL("nr_overcommit_hugepages", "0"),
    SYSCTL("oom_kill_allocating_task", "0"),
    SYSCTL("overcommit_kbytes", "0"),
    SYSCTL("overcommit_memory", "0"),
    SYSCTL("overcommit_ratio", "50"),
    SYSCTL("page-cluster", "3"),
    SYSCTL("panic_on_oom", "0"),
    SYSCTL("swappiness", "60"),
    TUNABLE("unprivileged_userfaultfd", UNPRIVILEGED_UFFD),
    SYSCTL("user_reserve_kbytes", "131072"),
    SYSCTL("vfs_cache_pressure", "100"),
    SYSCTL("zone_reclaim_mode", "0"),
};
static const struct pdir vm_dir = { PNODES(vm_nodes) };

static const struct pnode inotify_nodes[] = {
    TUNABLE("max_queued_events", INOTIFY_QUEUED),
    TUNABLE("max_user_instances", INOTIFY_INSTANCES),
    TUNABLE("max_user_watches", INOTIFY_WATCHES),
};
static const struct pdir inotify_dir = { PNODES(inotify_nodes) };
static const struct pnode fanotify_nodes[] = {
    SYSCTL("max_queued_events", "16384"),
    SYSCTL("max_user_groups", "128"),
    SYSCTL("max_user_marks", "8192"),
};
static const struct pdir fanotify_dir = { PNODES(fanotify_nodes) };
static const struct pnode epoll_nodes[] = { SYSCTL("max_user_watches", "1048576") };
static const struct pdir epoll_dir = { PNODES(epoll_nodes) };
static const struct pnode mqueue_nodes[] = {
    SYSCTL("msg_default", "10"),   SYSCTL("msg_max", "10"),     SYSCTL("msgsize_default", "8192"),
    SYSCTL("msgsize_max", "8192"), SYSCTL("queues_max", "256"),
};
static const struct pdir mqueue_dir = { PNODES(mqueue_nodes) };

static const struct pnode fs_nodes[] = {
    SYSCTL("aio-max-nr", "65536"),
    DYNAMIC("aio-nr", 0444, AIO_NR),
    PTEXT("dentry-state", 0444, "0\t0\t45\t0\t0\t0\n"),
    PDIR("epoll", &epoll_dir),
    PDIR("fanotify", &fanotify_dir),
    SYSCTL("file-max", "9223372036854775807"),
    DYNAMIC("file-nr", 0444, FILE_NR),
    PTEXT("inode-nr", 0444, "0\t0\n"),
    PDIR("inotify", &inotify_dir),
    TUNABLE("lease-break-time", LEASE_BREAK_TIME),
    TUNABLE("leases-enable", LEASES_ENABLE),
    PDIR("mqueue", &mqueue_dir),
    TUNABLE("nr_open", NR_OPEN),
    SYSCTL("overflowgid", "65534"),
    SYSCTL("overflowuid", "65534"),
    TUNABLE("pipe-max-size", PIPE_MAX_SIZE),
    SYSCTL("pipe-user-pages-hard", "0"),
    SYSCTL("pipe-user-pages-soft", "16384"),
    TUNABLE("protected_fifos", PROTECTED_FIFOS),
    TUNABLE("protected_hardlinks", PROTECTED_HARDLINKS),
    TUNABLE("protected_regular", PROTECTED_REGULAR),
    TUNABLE("protected_symlinks", PROTECTED_SYMLINKS),
    SYSCTL("suid_dumpable", "0"),
};
static const struct pdir fs_dir = { PNODES(fs_nodes) };

static const struct pnode core_nodes[] = {
    SYSCTL("netdev_max_backlog", "1000"), SYSCTL("optmem_max", "131072"),
    SYSCTL("rmem_default", "212992"),     SYSCTL("rmem_max", "212992"),
    SYSCTL("somaxconn", "4096"),          SYSCTL("wmem_default", "212992"),
    SYSCTL("wmem_max", "212992"),
};
static const struct pdir core_dir = { PNODES(core_nodes) };

static const struct pnode ipv4_nodes[] = {
    SYSCTL("ip_default_ttl", "64"),
    SYSCTL("ip_forward", "0"),
    SYSCTL("ip_local_port_range", "32768\t60999"),
    SYSCTL("ip_local_reserved_ports", ""),
    SYSCTL("ip_nonlocal_bind", "0"),
    TUNABLE("ip_unprivileged_port_start", PORT_START),
    { .name = "ping_group_range",
      .mode = S_IFREG | 0644,
      .show = show_tunable,
      .store = store_pingers,
      .arg = SYSCTL_PING_FIRST | 2 << 16 },
    SYSCTL("tcp_available_congestion_control", "reno"),
    SYSCTL("tcp_congestion_control", "reno"),
    SYSCTL("tcp_ecn", "2"),
    SYSCTL("tcp_fastopen", "0"),
    SYSCTL("tcp_fin_timeout", "60"),
    SYSCTL("tcp_keepalive_intvl", "75"),
    SYSCTL("tcp_keepalive_probes", "9"),
    SYSCTL("tcp_keepalive_time", "7200"),
    SYSCTL("tcp_max_syn_backlog", "4096"),
    SYSCTL("tcp_mem", "185688\t247584\t371376"),
    SYSCTL("tcp_retries2", "15"),
    SYSCTL("tcp_rmem", "4096\t131072\t6291456"),
    SYSCTL("tcp_sack", "1"),
    SYSCTL("tcp_syn_retries", "6"),
    SYSCTL("tcp_syncookies", "1"),
    SYSCTL("tcp_timestamps", "1"),
    SYSCTL("tcp_tw_reuse", "2"),
    SYSCTL("tcp_window_scaling", "1"),
    SYSCTL("tcp_wmem", "4096\t16384\t4194304"),
};
static const struct pdir ipv4_dir = { PNODES(ipv4_nodes) };

static const struct pnode ipv6_if_nodes[] = { SYSCTL("disable_ipv6", "0"), SYSCTL("mtu", "65536") };
static const struct pdir ipv6_if_dir = { PNODES(ipv6_if_nodes) };
static const struct pnode ipv6_conf_nodes[] = {
    PDIR("all", &ipv6_if_dir),
    PDIR("default", &ipv6_if_dir),
    PDIR("lo", &ipv6_if_dir),
};
static const struct pdir ipv6_conf_dir = { PNODES(ipv6_conf_nodes) };
static const struct pnode ipv6_nodes[] = { SYSCTL("bindv6only", "0"),
                                           PDIR("conf", &ipv6_conf_dir) };
static const struct pdir ipv6_dir = { PNODES(ipv6_nodes) };

static const struct pnode unix_nodes[] = { SYSCTL("max_dgram_qlen", "512") };
static const struct pdir unix_dir = { PNODES(unix_nodes) };

static const struct pnode net_nodes[] = {
    PDIR("core", &core_dir),
    PDIR("ipv4", &ipv4_dir),
    PDIR("ipv6", &ipv6_dir),
    PDIR("unix", &unix_dir),
};
static const struct pdir net_dir = { PNODES(net_nodes) };

static const struct pdir empty_dir = { .nodes = NULL };

static const struct pnode user_nodes[] = {
    SYSCTL("max_cgroup_namespaces", "0"), SYSCTL("max_ipc_namespaces", "0"),
    SYSCTL("max_mnt_namespaces", "0"),    SYSCTL("max_net_namespaces", "0"),
    SYSCTL("max_pid_namespaces", "0"),    SYSCTL("max_time_namespaces", "0"),
    SYSCTL("max_user_namespaces", "0"),   SYSCTL("max_uts_namespaces", "0"),
};
static const struct pdir user_dir = { PNODES(user_nodes) };

static const struct pnode sys_nodes[] = {
    PDIR("abi", &empty_dir), PDIR("debug", &empty_dir),   PDIR("dev", &empty_dir),
    PDIR("fs", &fs_dir),     PDIR("kernel", &kernel_dir), PDIR("net", &net_dir),
    PDIR("user", &user_dir), PDIR("vm", &vm_dir),
};
const struct pdir proc_sys_dir = { PNODES(sys_nodes) };
