/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See netfence.h. The program is short, and made here of the kernel's own instructions: why not by libbpf
 * is told in docs/decisions/second-net-fence.md. What it does:
 *
 *   key = destination, IPv4 as v4-mapped      from the packet's header
 *   port = destination port of TCP and UDP, 0 of others
 *   ranges = the longest prefix that has key  a map, which the rules were flattened into
 *   let it pass when one of the ranges has port
 *
 * New rules are a new map and a new program. Both programs are attached for a moment, and both must agree.
 */
#include "cli/netfence.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/cgroup.h"
#include "cli/error.h"

#define VALUE_SIZE (NET_FLAT_RANGES * 4u)

struct key {
    uint32_t bits;
    uint8_t ip[16];
};

static int bpf(int cmd, union bpf_attr *a)
{
    int r = (int)syscall(SYS_bpf, cmd, a, sizeof *a);

    return r < 0 ? -errno : r;
}

/* ---- the program ---- */

/* Its stack, from the frame pointer down. */
enum { KEY = -24, KEY_IP = -20, KEY_V4 = -8, HEAD = -28, HEAD_IHL = -27, HEAD_PORT = -26 };

#define EXITS_MAX 80

struct prog {
    struct bpf_insn code[256];
    unsigned n;
    unsigned pass[EXITS_MAX], stop[EXITS_MAX], npass, nstop; /* jumps there */
};

/* BPF_K and BPF_IMM are 0, and not written beside another 0. */
static unsigned op(struct prog *p, unsigned code, unsigned dst, unsigned src, int off, int imm)
{
    p->code[p->n] = (struct bpf_insn){ .code = (uint8_t)code,
                                       .dst_reg = (uint8_t)dst & 15,
                                       .src_reg = (uint8_t)src & 15,
                                       .off = (int16_t)off,
                                       .imm = imm };
    return p->n++;
}

/* A jump that was made, to the next instruction. */
static void here(struct prog *p, unsigned jump)
{
    p->code[jump].off = (int16_t)(p->n - jump - 1);
}

static void set_imm(struct prog *p, unsigned reg, int v)
{
    op(p, BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, v);
}

static void set_reg(struct prog *p, unsigned reg, unsigned from)
{
    op(p, BPF_ALU64 | BPF_MOV | BPF_X, reg, from, 0, 0);
}

static void store(struct prog *p, int at, uint32_t v)
{
    op(p, BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, at, (int)v);
}

static void stop_if(struct prog *p, unsigned code, unsigned reg, unsigned with, int imm)
{
    p->stop[p->nstop++] = op(p, BPF_JMP | code, reg, with, 0, imm);
}

/* n bytes of the packet from where r2 says. */
static void load(struct prog *p, int to, int n)
{
    set_reg(p, BPF_REG_1, BPF_REG_6);
    set_reg(p, BPF_REG_3, BPF_REG_10);
    op(p, BPF_ALU64 | BPF_ADD, BPF_REG_3, 0, 0, to);
    set_imm(p, BPF_REG_4, n);
    op(p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_load_bytes);
    stop_if(p, BPF_JNE | BPF_K, BPF_REG_0, 0, 0);
}

static void load_from(struct prog *p, int from, int to, int n)
{
    set_imm(p, BPF_REG_2, from);
    load(p, to, n);
}

/* Key and protocol onto the stack, where the ports are into r7. */
static void take_headers(struct prog *p)
{
    unsigned v4, both;

    op(p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_6, offsetof(struct __sk_buff, protocol), 0);
    v4 = op(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 0, htons(ETH_P_IP));
    stop_if(p, BPF_JNE | BPF_K, BPF_REG_2, 0, htons(ETH_P_IPV6));
    load_from(p, 24, KEY_IP, 16);
    load_from(p, 6, HEAD, 1);
    set_imm(p, BPF_REG_7, 40);
    both = op(p, BPF_JMP | BPF_JA, 0, 0, 0, 0);
    here(p, v4);
    load_from(p, 16, KEY_V4, 4);
    load_from(p, 9, HEAD, 1);
    load_from(p, 0, HEAD_IHL, 1);
    op(p, BPF_LDX | BPF_MEM | BPF_B, BPF_REG_7, BPF_REG_10, HEAD_IHL, 0);
    op(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_7, 0, 0, 15);
    op(p, BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_7, 0, 0, 2);
    here(p, both);
}

/* Into r8. */
static void take_port(struct prog *p)
{
    unsigned tcp, neither;

    set_imm(p, BPF_REG_8, 0);
    op(p, BPF_LDX | BPF_MEM | BPF_B, BPF_REG_2, BPF_REG_10, HEAD, 0);
    tcp = op(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 0, IPPROTO_TCP);
    neither = op(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 0, IPPROTO_UDP);
    here(p, tcp);
    set_reg(p, BPF_REG_2, BPF_REG_7);
    op(p, BPF_ALU64 | BPF_ADD, BPF_REG_2, 0, 0, 2);
    load(p, HEAD_PORT, 2);
    op(p, BPF_LDX | BPF_MEM | BPF_H, BPF_REG_8, BPF_REG_10, HEAD_PORT, 0);
    op(p, BPF_ALU | BPF_END | BPF_TO_BE, BPF_REG_8, 0, 0, 16);
    here(p, neither);
}

static void decide(struct prog *p, int map)
{
    op(p, BPF_LD | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map);
    op(p, 0, 0, 0, 0, 0);
    set_reg(p, BPF_REG_2, BPF_REG_10);
    op(p, BPF_ALU64 | BPF_ADD, BPF_REG_2, 0, 0, KEY);
    op(p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
    stop_if(p, BPF_JEQ | BPF_K, BPF_REG_0, 0, 0);
    for (int i = 0; i < NET_FLAT_RANGES; i++) {
        op(p, BPF_LDX | BPF_MEM | BPF_H, BPF_REG_2, BPF_REG_0, 4 * i, 0);
        stop_if(p, BPF_JGT | BPF_X, BPF_REG_2, BPF_REG_8, 0);
        op(p, BPF_LDX | BPF_MEM | BPF_H, BPF_REG_2, BPF_REG_0, 4 * i + 2, 0);
        p->pass[p->npass++] = op(p, BPF_JMP | BPF_JGE | BPF_X, BPF_REG_2, BPF_REG_8, 0, 0);
    }
    for (unsigned i = 0; i < p->nstop; i++)
        here(p, p->stop[i]);
    set_imm(p, BPF_REG_0, 0);
    op(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    for (unsigned i = 0; i < p->npass; i++)
        here(p, p->pass[i]);
    set_imm(p, BPF_REG_0, 1);
    op(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static int load_program(int map)
{
    struct prog p = { .n = 0 };
    union bpf_attr a = { 0 };

    set_reg(&p, BPF_REG_6, BPF_REG_1);
    store(&p, KEY, 128);
    store(&p, KEY_IP, 0);
    store(&p, KEY_IP + 4, 0);
    store(&p, KEY_IP + 8, htonl(0xffff));
    store(&p, KEY_V4, 0);
    store(&p, HEAD, 0);
    take_headers(&p);
    take_port(&p);
    decide(&p, map);
    a.prog_type = BPF_PROG_TYPE_CGROUP_SKB;
    a.expected_attach_type = BPF_CGROUP_INET_EGRESS;
    a.insns = (uintptr_t)p.code;
    a.insn_cnt = p.n;
    a.license = (uintptr_t) "Apache-2.0";
    memcpy(a.prog_name, "sbx_net", 8);
    return bpf(BPF_PROG_LOAD, &a);
}

/* ---- rules ---- */

static int fill(int map, const struct net_flat *all, unsigned n)
{
    int r = 0;

    for (unsigned i = 0; i < n && r >= 0; i++) {
        struct key k = { .bits = all[i].bits };
        union bpf_attr a = { 0 };

        memcpy(k.ip, all[i].ip.b, sizeof k.ip);
        a.map_fd = (uint32_t)map;
        a.key = (uintptr_t)&k;
        a.value = (uintptr_t)all[i].ports;
        r = bpf(BPF_MAP_UPDATE_ELEM, &a);
    }
    return r;
}

/* A program with a map of these rules: a descriptor or -errno. */
static int make(const struct network *n)
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
    a.key_size = sizeof(struct key);
    a.value_size = VALUE_SIZE;
    a.max_entries = nall;
    a.map_flags = BPF_F_NO_PREALLOC;
    map = bpf(BPF_MAP_CREATE, &a);
    r = map < 0 ? map : fill(map, all, nall);
    free(all);
    if (r >= 0)
        r = load_program(map);
    if (map >= 0)
        close(map); /* the program has it */
    return r;
}

static int attach(int dir, int prog)
{
    union bpf_attr a = { 0 };

    a.target_fd = (uint32_t)dir;
    a.attach_bpf_fd = (uint32_t)prog;
    a.attach_type = BPF_CGROUP_INET_EGRESS;
    a.attach_flags = BPF_F_ALLOW_MULTI;
    return bpf(BPF_PROG_ATTACH, &a);
}

static void detach(int dir, int prog)
{
    union bpf_attr a = { 0 };

    a.target_fd = (uint32_t)dir;
    a.attach_bpf_fd = (uint32_t)prog;
    a.attach_type = BPF_CGROUP_INET_EGRESS;
    bpf(BPF_PROG_DETACH, &a);
}

/* ---- the cgroup ---- */

#define PREFIX "sbx-net-"

/* What front ends that were killed have left. One that has a process in it is not removed by the host. */
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

    if (!parent)
        return -ENODEV;
    sweep(parent);
    f->path = xasprintf("%s/" PREFIX "%d", parent, (int)getpid());
    free(parent);
    if (mkdir(f->path, 0755) < 0 && errno != EEXIST)
        return -errno;
    f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return f->dir < 0 ? -errno : 0;
}

int netfence_open(struct netfence *f, const struct network *n)
{
    int r;

    *f = (struct netfence){ .dir = -1, .prog = make(n) };
    r = f->prog < 0 ? f->prog : make_dir(f);
    if (r == 0)
        r = attach(f->dir, f->prog);
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
    int prog = f->dir >= 0 ? make(n) : -1, r;

    if (f->dir < 0)
        return 0;
    r = prog < 0 ? prog : attach(f->dir, prog);
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
    for (int i = 0; f->path && i < 100 && rmdir(f->path) < 0 && errno == EBUSY; i++)
        usleep(1000);
    free(f->path);
    *f = (struct netfence){ .dir = -1, .prog = -1 };
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
