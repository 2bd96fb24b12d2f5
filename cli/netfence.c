/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See netfence.h: the cgroup, the maps and their rules; the programs are netfence_prog.c's.
 *
 * New rules are a new map and a new program. Both programs are attached for a moment, and both must agree.
 * Who came to a published port stays known.
 *
 * Published ports are bound by the front end before anything is started, and a socket belongs for good
 * to the cgroup that it was made in. So a child that shares our descriptors makes each once more, in
 * the cgroup, beside the old one, which then goes: the port is ours throughout.
 */
#include "cli/netfence.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cgroup.h"
#include "cli/cleaner.h"
#include "cli/error.h"
#include "cli/netfence_prog.h"

#define VALUE_SIZE (NET_FLAT_RANGES * 4u)
#define PEERS_MAX 16384 /* the host forgets who came longest ago */

/* ---- rules ---- */

static int fill(int map, const struct net_flat *all, unsigned n)
{
    int r = 0;

    for (unsigned i = 0; i < n && r >= 0; i++) {
        struct netfence_key k = { .bits = all[i].bits };
        union bpf_attr a = { 0 };

        memcpy(k.ip, all[i].ip.b, sizeof k.ip);
        a.map_fd = (uint32_t)map;
        a.key = (uintptr_t)&k;
        a.value = (uintptr_t)all[i].ports;
        r = netfence_bpf(BPF_MAP_UPDATE_ELEM, &a);
    }
    return r;
}

/* A program with a map of these rules: a descriptor or -errno. */
static int make(const struct network *n, int peers)
{
    struct net_ip servers[BROKER_SERVERS_MAX];
    union bpf_attr a = { 0 };
    struct net_flat *all;
    unsigned nall;
    int map, r;

    _Static_assert(sizeof all->ports == VALUE_SIZE, "as the program reads it");
    for (unsigned i = 0; i < n->nservers; i++) {
        memcpy(servers[i].b, &n->servers[i].sin6_addr, 16);
        servers[i] = net_normal(&servers[i]);
    }
    all = net_flatten(&n->policy, servers, n->nservers, &nall);
    if (!all)
        return -ENOMEM;
    a.map_type = BPF_MAP_TYPE_LPM_TRIE;
    a.key_size = sizeof(struct netfence_key);
    a.value_size = VALUE_SIZE;
    a.max_entries = nall;
    a.map_flags = BPF_F_NO_PREALLOC;
    map = netfence_bpf(BPF_MAP_CREATE, &a);
    r = map < 0 ? map : fill(map, all, nall);
    free(all);
    if (r >= 0)
        r = netfence_egress(map, peers);
    if (map >= 0)
        close(map); /* the program has it */
    return r;
}

static int attach(int dir, int prog, enum bpf_attach_type type)
{
    union bpf_attr a = { 0 };

    a.target_fd = (uint32_t)dir;
    a.attach_bpf_fd = (uint32_t)prog;
    a.attach_type = type;
    a.attach_flags = BPF_F_ALLOW_MULTI;
    return netfence_bpf(BPF_PROG_ATTACH, &a);
}

static void detach(int dir, int prog)
{
    union bpf_attr a = { 0 };

    a.target_fd = (uint32_t)dir;
    a.attach_bpf_fd = (uint32_t)prog;
    a.attach_type = BPF_CGROUP_INET_EGRESS;
    netfence_bpf(BPF_PROG_DETACH, &a);
}

/* ---- the cgroup ---- */

#define PREFIX "sbx-net-"

/* What front ends have left that were killed with their cleaners. One with a process in it the host does not remove. */
static void sweep(const char *parent)
{
    DIR *d = opendir(parent);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        pid_t pid = strncmp(e->d_name, PREFIX, strlen(PREFIX)) == 0
                        ? atoi(e->d_name + strlen(PREFIX))
                        : 0;

        if (pid > 0 && kill(pid, 0) < 0 && errno == ESRCH)
            unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
    }
    if (d)
        closedir(d);
}

static int make_dir(struct netfence *f)
{
    char *parent = cgroup_own();
    int r;

    if (!parent)
        return -ENODEV;
    sweep(parent);
    f->path = xasprintf("%s/" PREFIX "%d", parent, (int)getpid());
    free(parent);
    if (mkdir(f->path, 0755) < 0 && errno != EEXIST)
        return -errno;
    r = cleaner_add(f->path);
    if (r < 0)
        return r;
    f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return f->dir < 0 ? -errno : 0;
}

/* Who comes to published ports is noted, and may be answered. */
static int note_peers(struct netfence *f, const struct network *n)
{
    union bpf_attr a = { 0 };
    int prog, r;

    if (n->policy.npub == 0)
        return 0;
    a.map_type = BPF_MAP_TYPE_LRU_HASH;
    a.key_size = sizeof(struct netfence_peer);
    a.value_size = sizeof(uint32_t);
    a.max_entries = PEERS_MAX;
    f->peers = netfence_bpf(BPF_MAP_CREATE, &a);
    if (f->peers < 0)
        return f->peers;
    prog = netfence_ingress(f->peers, n->policy.pub, n->policy.npub);
    if (prog < 0)
        return prog;
    r = attach(f->dir, prog, BPF_CGROUP_INET_INGRESS);
    close(prog); /* the cgroup has it */
    return r;
}

/* The child shares our descriptors, and is in the cgroup. 0, or an errno as its status. */
static int publish_again(const struct netfence *f, const struct network *n)
{
    int status = 0;
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

    if (pid < 0)
        return -errno;
    if (pid == 0) {
        int r = netfence_enter(f, getpid());

        for (unsigned i = 0; i < n->policy.npub && r == 0; i++)
            r = network_bind_again(&n->policy.pub[i]);
        _exit(-r);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

int netfence_open(struct netfence *f, const struct network *n)
{
    int r;

    *f = (struct netfence){ .dir = -1, .prog = -1, .peers = -1 };
    r = make_dir(f);
    if (r == 0)
        r = note_peers(f, n);
    if (r == 0)
        r = f->prog = make(n, f->peers);
    if (r >= 0)
        r = attach(f->dir, f->prog, BPF_CGROUP_INET_EGRESS);
    if (r >= 0 && n->policy.npub)
        r = publish_again(f, n);
    if (r < 0)
        netfence_close(f);
    return r < 0 ? r : 0;
}

int netfence_enter(const struct netfence *f, pid_t pid)
{
    char text[16];
    int fd = openat(f->dir, "cgroup.procs", O_WRONLY | O_CLOEXEC), r = 0;

    if (fd < 0)
        return -errno;
    snprintf(text, sizeof text, "%d", (int)pid);
    if (write(fd, text, strlen(text)) < 0)
        r = -errno;
    close(fd);
    return r;
}

int netfence_update(struct netfence *f, const struct network *n)
{
    int prog = f->dir >= 0 ? make(n, f->peers) : -1, r;

    if (f->dir < 0)
        return 0;
    r = prog < 0 ? prog : attach(f->dir, prog, BPF_CGROUP_INET_EGRESS);
    if (r < 0 && prog >= 0)
        close(prog);
    if (r < 0)
        return r;
    detach(f->dir, f->prog);
    close(f->prog);
    f->prog = prog;
    return 0;
}

void netfence_close(struct netfence *f)
{
    if (f->dir >= 0)
        close(f->dir);
    if (f->prog >= 0)
        close(f->prog);
    if (f->peers >= 0)
        close(f->peers);
    for (int i = 0; f->path && i < 100 && !cleaner_remove(f->path); i++)
        usleep(1000);
    free(f->path);
    *f = (struct netfence){ .dir = -1, .prog = -1, .peers = -1 };
}

int host_netfence(void)
{
    struct network n = { .policy = { .on = true } };
    struct netfence f;
    int r = netfence_open(&f, &n);

    if (r == 0)
        netfence_close(&f);
    return -r;
}
